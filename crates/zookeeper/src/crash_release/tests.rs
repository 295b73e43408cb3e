use std::time::Duration;

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use super::message::Message;
use crate::secret::Secret;
use crate::session::Credentials;

fn message() -> impl Strategy<Value = Message> {
    let hold = (
        any::<i64>(),
        vec(any::<u8>(), 0..20),
        vec("[a-z0-9.:]{1,20}", 0..4),
        0..3_600_000_u64,
    );
    prop_oneof![
        hold.prop_map(|(id, password, servers, timeout)| {
            Message::Hold(Credentials {
                id,
                password: Secret::new(password),
                servers,
                timeout: Duration::from_millis(timeout),
            })
        }),
        any::<i64>().prop_map(Message::Forget),
        Just(Message::Goodbye),
    ]
}

proptest! {
    #[test]
    fn what_a_parent_says_is_what_its_helper_hears(said in vec(message(), 0..5), cut in 1..9_usize) {
        let mut bytes = BytesMut::new();
        for message in &said {
            bytes.extend_from_slice(&message.encode().unwrap());
        }
        let (mut received, mut heard) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(cut) {
            received.extend_from_slice(piece);
            while let Some(message) = Message::decode(&mut received).unwrap() {
                heard.push(message);
            }
        }
        prop_assert_eq!(heard, said);
    }

    #[test]
    fn any_bytes_are_heard_without_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(&mut BytesMut::from(&bytes[..]));
    }
}

#[test]
fn a_message_is_written_as_a_whole_or_not_at_all() {
    let message = Message::Hold(Credentials {
        id: 1,
        password: Secret::default(),
        servers: vec!["server:2181".to_owned(); 1000],
        timeout: Duration::ZERO,
    });
    message.encode().unwrap_err();
}
