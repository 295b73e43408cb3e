use super::*;

#[test]
fn what_is_there_is_found_without_waiting() {
    assert_eq!(
        wait_some(Duration::ZERO, "a number", || Some(7)).expect("it is there"),
        7
    );
}

#[test]
fn what_comes_is_waited_for() {
    let mut polls = 0;
    wait_for(Duration::from_secs(60), "the third poll", || {
        polls += 1;
        polls == 3
    })
    .expect("it comes");
}

#[test]
fn what_never_comes_is_named() {
    let error = wait_for(Duration::from_millis(1), "godot", || false).expect_err("it never comes");
    assert!(error.to_string().contains("godot"), "{error}");
}

#[test]
fn names_are_used_once() {
    assert_ne!(unique("topic"), unique("topic"));
}
