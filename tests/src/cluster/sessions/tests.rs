use super::owner_of;

#[test]
fn the_owner_of_a_node_is_found() {
    let dump = "SessionTracker dump:\nSession Sets (1):\n1 expire at Thu:\n\t0x2\n\
                ephemeral nodes dump:\nSessions with Ephemerals (2):\n0x1:\n\t/a\n\t/a/b\n0x2:\n\t/c\n";
    assert_eq!(owner_of(dump, "/a/b"), Some("0x1"));
    assert_eq!(owner_of(dump, "/c"), Some("0x2"));
    assert_eq!(owner_of(dump, "/b"), None);
}
