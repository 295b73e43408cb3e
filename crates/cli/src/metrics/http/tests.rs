use super::target;

#[test]
fn a_get_has_a_target() {
    assert_eq!(
        target(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"),
        Some("/metrics")
    );
    assert_eq!(
        target(b"GET /metrics?debug=1 HTTP/1.0\r\n\r\n"),
        Some("/metrics")
    );
    assert_eq!(target(b"GET / HTTP/1.1\r\n\r\n"), Some("/"));
}

#[test]
fn anything_else_has_none() {
    for request in [
        &b""[..],
        b"\r\n\r\n",
        b"GET",
        b"GET /metrics",
        b"GET /metrics SSH-2.0\r\n",
        b"POST /metrics HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /\xff HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(target(request), None, "{request:?}");
    }
}
