use super::*;

#[test]
fn a_port_is_leased_once() {
    let locks = tempfile::tempdir().expect("a directory");
    let lease = PortLease::new().expect("a port");
    let port = lease.port();
    drop(lease);

    let lease = PortLease::take(port, locks.path())
        .expect("a lock file")
        .expect("a free port");
    assert!(
        PortLease::take(port, locks.path())
            .expect("a lock file")
            .is_none()
    );
    drop(lease);
    assert!(
        PortLease::take(port, locks.path())
            .expect("a lock file")
            .is_some()
    );
}

#[test]
fn a_port_in_use_is_not_leased() {
    let locks = tempfile::tempdir().expect("a directory");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    assert!(
        PortLease::take(port, locks.path())
            .expect("a lock file")
            .is_none()
    );
}
