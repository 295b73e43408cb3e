use std::collections::BTreeSet;

use super::ErrorCode;

#[test]
fn the_codes_are_kafkas() {
    let numbers: Vec<i16> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
    let expected: Vec<i16> = (-1..=47)
        .chain([56])
        .chain(58..=60)
        .chain(68..=72)
        .chain(74..=76)
        .chain(78..=79)
        .chain(81..=82)
        .chain(87..=89)
        .chain([100, 103])
        .collect();
    assert_eq!(numbers, expected);
}

#[test]
fn the_retriable_codes_are_kafkas() {
    let retriable: Vec<i16> = (i16::MIN..=i16::MAX)
        .filter(|code| ErrorCode::from(*code).is_retriable())
        .collect();
    let expected = [
        2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 56, 70, 71, 72, 74, 75, 78, 88, 89, 100, 103,
    ];
    assert_eq!(retriable, expected);
}

#[test]
fn each_code_has_its_own_name_and_sentence() {
    let names: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
    let sentences: BTreeSet<_> = ErrorCode::ALL
        .iter()
        .map(|code| code.description())
        .collect();
    assert_eq!(names.len(), ErrorCode::ALL.len());
    assert_eq!(sentences.len(), ErrorCode::ALL.len());
    for sentence in sentences {
        assert!(sentence.ends_with('.') && sentence.matches(". ").count() == 0);
    }
}

#[test]
fn codes_that_are_not_known_are_kept() {
    let code = ErrorCode::from(1234);
    assert_eq!(code.code(), 1234);
    assert_eq!(code.to_string(), "UNKNOWN_ERROR_CODE (1234)");
    assert!(!code.is_ok() && !code.is_retriable());
    assert_eq!(code.ok(), Err(code));
}

#[test]
fn none_is_no_error() {
    assert_eq!(ErrorCode::default(), ErrorCode::NONE);
    assert_eq!(ErrorCode::NONE.ok(), Ok(()));
    assert_eq!(ErrorCode::from(0).to_string(), "NONE (0)");
    assert_eq!(i16::from(ErrorCode::REQUEST_TIMED_OUT), 7);
}
