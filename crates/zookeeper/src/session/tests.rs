use super::*;

fn is_send<T: Send>(_: T) {}

/// Compiles only while every operation can be spawned on a runtime with several threads.
#[allow(dead_code)]
fn operations_can_be_spawned(session: &Session) {
    is_send(session.close());
    is_send(session.expired());
    is_send(session.sync("/"));
    is_send(session.get("/"));
    is_send(session.get_watched("/"));
    is_send(session.children("/"));
    is_send(session.children_watched("/"));
    is_send(session.exists("/"));
    is_send(session.exists_watched("/"));
    is_send(session.create_ephemeral("/", b""));
    is_send(session.create_persistent("/", b""));
    is_send(session.set("/", b"", None));
    is_send(session.set_many(&[]));
    is_send(session.delete("/", None));
    is_send(session.delete_checked("/", None, "/", None));
    is_send(session.lease().ended());
    is_send(session.brokers_watched());
    is_send(session.topic_watched("topic"));
    is_send(async { session.subscribe().recv().await });
}

fn shared() -> Shared {
    let second = Duration::from_secs(1);
    let lease = Lease::new(Arc::new(crate::BootClock), second, Lease::FRACTION);
    Shared::new(None, lease, second)
}

#[test]
fn a_session_that_was_opened_is_connected() {
    let shared = shared();
    assert_eq!(*shared.states.borrow(), State::Connected);
    assert!(shared.lease.is_connected());
}

#[test]
fn the_first_end_counts() {
    let shared = shared();
    shared.end(End::Expired);
    shared.end(End::Closed);
    shared.end(End::Unconfirmed);
    assert!(shared.is_over() && !shared.is_unconfirmed());

    let closed = self::shared();
    closed.end(End::Closed);
    closed.end(End::Unconfirmed);
    assert!(closed.is_over() && closed.is_unconfirmed());
    closed.down();
    closed.up(tokio::sync::mpsc::channel(1).0);
    assert!(closed.is_over(), "an ended session came back");
}

#[test]
fn a_final_state_stays() {
    let shared = shared();
    for (published, state) in [
        (State::Connected, State::Connected),
        (State::Expired, State::Expired),
        (State::Connected, State::Expired),
        (State::Closed, State::Expired),
    ] {
        shared.publish(published);
        assert_eq!(*shared.states.borrow(), state);
    }
}
