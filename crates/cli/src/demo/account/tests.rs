use super::*;

const A: usize = 0;
const B: usize = 1;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Ten numbers that were all acknowledged.
fn produced() -> Account {
    let mut account = Account::new(10);
    (1..=10).for_each(|number| account.acknowledge(number));
    account
}

fn print_all(account: &mut Account) {
    for number in 1..=10 {
        account.print(A, 0, number, at(number));
    }
}

#[test]
fn what_was_printed_once_is_in_order() {
    let mut account = produced();
    print_all(&mut account);
    let sums = Sums {
        produced: 10,
        printed: 10,
        consumed: 10,
        ..Sums::default()
    };
    assert_eq!(account.sums(), sums);
    assert_eq!(account.complaint(), None);
}

#[test]
fn a_loss_is_found_behind_a_duplicate() {
    let mut account = produced();
    for number in 1..=9 {
        account.print(A, 0, number, at(1));
    }
    // As many lines as messages, and one is missing all the same.
    account.print(B, 0, 9, at(2));
    let sums = Sums {
        produced: 10,
        printed: 10,
        consumed: 9,
        lost: 1,
        duplicates: 1,
        ..Sums::default()
    };
    assert_eq!(account.sums(), sums);
    assert_eq!(
        account.complaint().as_deref(),
        Some("1 message(s) were lost")
    );
    assert_eq!(account.json()["lost"], 1);
}

#[test]
fn what_was_never_acknowledged_is_not_lost() {
    let mut account = Account::new(3);
    account.acknowledge(1);
    account.print(A, 0, 1, at(1));
    account.print(A, 0, 2, at(1));
    let sums = account.sums();
    assert_eq!((sums.produced, sums.consumed, sums.lost), (1, 2, 0));
    assert_eq!((sums.unacknowledged, sums.duplicates), (1, 0));
    assert_eq!(account.complaint(), None);
}

#[test]
fn acknowledgements_and_lines_come_in_any_order() {
    let mut account = Account::new(2);
    account.print(A, 0, 2, at(1));
    assert_eq!(account.sums().unacknowledged, 1);
    account.acknowledge(1);
    assert_eq!(account.sums().lost, 1);
    account.acknowledge(2);
    account.print(A, 0, 1, at(1));
    // Told twice, it is one message still.
    account.acknowledge(2);
    let sums = Sums {
        produced: 2,
        printed: 2,
        consumed: 2,
        ..Sums::default()
    };
    assert_eq!(account.sums(), sums);
}

#[test]
fn lines_that_nobody_wrote_are_no_messages() {
    for number in [0, 11, u64::MAX] {
        let mut account = produced();
        print_all(&mut account);
        account.print(A, 0, number, at(1));
        assert_eq!(account.sums().unknown, 1, "{number}");
        assert!(account.complaint().is_some(), "{number}");
    }
}

#[test]
fn a_demo_that_produced_nothing_shows_nothing() {
    assert!(Account::new(10).complaint().is_some());
}

#[test]
fn a_takeover_ends_with_the_first_line_of_another_member() {
    let mut account = produced();
    print_all(&mut account);
    account.kill(A, vec![0, 1], at(100));
    // What the killed member wrote last arrives later.
    account.print(A, 0, 1, at(101));
    assert!(!account.kills()[0].is_over());
    account.print(B, 0, 2, at(140));
    account.print(B, 0, 3, at(150));
    account.print(B, 7, 4, at(150));
    let complaint = account.complaint().expect("partition 1 has no reader");
    assert!(complaint.contains("not taken over"), "{complaint}");
    account.print(B, 1, 5, at(190));
    assert_eq!(account.kills()[0].times(), [at(40), at(90)]);
    assert_eq!(account.complaint(), None);
    let json = account.json();
    assert_eq!(json["kills"][0]["takeover_ms"]["1"], 90.0);
    assert_eq!(json["takeover_worst_ms"], 90.0);
}

#[test]
fn successors_that_are_killed_too_leave_both_waiting() {
    let mut account = produced();
    print_all(&mut account);
    account.kill(A, vec![0], at(100));
    account.kill(B, vec![0], at(110));
    account.print(2, 0, 1, at(150));
    assert_eq!(account.takeovers(), [at(40), at(50)]);
}

#[test]
fn medians_lie_in_the_middle() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[at(1)]), Some(at(1)));
    assert_eq!(median(&[at(1), at(3)]), Some(at(2)));
    assert_eq!(median(&[at(1), at(3), at(9)]), Some(at(3)));
}
