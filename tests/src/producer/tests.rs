use super::*;

#[test]
fn a_message_is_one_of_format_v0() {
    let expected = [
        0, 0, 0, 0, 0, 0, 0, 0, // offset
        0, 0, 0, 15, // size
        0xd3, 0xd7, 0xce, 0xf3, // CRC-32 of what follows
        0, 0, // magic, attributes
        0xff, 0xff, 0xff, 0xff, // no key
        0, 0, 0, 1, b'7',
    ];
    assert_eq!(message(7), expected);
}

#[test]
fn an_answer_is_read() {
    let mut answer = Vec::new();
    answer.extend_from_slice(&CORRELATION_ID.to_be_bytes());
    answer.extend_from_slice(&1_i32.to_be_bytes());
    answer.extend_from_slice(&[0, 1, b't']);
    answer.extend_from_slice(&1_i32.to_be_bytes());
    answer.extend_from_slice(&3_i32.to_be_bytes());
    let mut refused = answer.clone();
    answer.extend_from_slice(&0_i16.to_be_bytes());
    answer.extend_from_slice(&42_i64.to_be_bytes());
    assert_eq!(first_offset(&answer).expect("an offset"), 42);

    refused.extend_from_slice(&6_i16.to_be_bytes());
    refused.extend_from_slice(&(-1_i64).to_be_bytes());
    let refusal = first_offset(&refused).expect_err("a refusal");
    assert_eq!(refusal.to_string(), "error 6");
    assert!(first_offset(&answer[1..]).is_err());
    assert!(first_offset(&answer[..4]).is_err());
}
