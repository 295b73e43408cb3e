use super::{ProxyMode, ZooKeeperRequest};

/// A request of an opcode, with a body of some length.
fn request(opcode: u8, body: u8) -> Vec<u8> {
    let mut request = vec![0, 0, 0, 8 + body, 0, 0, 0, 7, 0, 0, 0, opcode];
    request.resize(12 + usize::from(body), 1);
    request
}

#[test]
fn a_request_is_found_among_others() {
    let create = ProxyMode::LoseAnswerTo(ZooKeeperRequest::Create);
    assert!(create.loses_answer_to(&request(1, 20)));
    assert!(create.loses_answer_to(&[request(11, 0), request(4, 9), request(1, 5)].concat()));
    assert!(!create.loses_answer_to(&[request(11, 0), request(5, 30)].concat()));
    assert!(!ProxyMode::Forward.loses_answer_to(&request(1, 20)));
}

#[test]
fn what_is_no_request_is_none() {
    let create = ProxyMode::LoseAnswerTo(ZooKeeperRequest::Create);
    for length in 0..12 {
        assert!(!create.loses_answer_to(&request(1, 0)[..length]));
    }
    assert!(!create.loses_answer_to(&[0xff; 40]));
    assert!(!create.loses_answer_to(&[0; 40]));
}
