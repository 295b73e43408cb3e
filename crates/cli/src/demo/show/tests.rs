use super::*;

const A: usize = 0;
const B: usize = 1;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn printed(partition: i32, number: u64) -> Heard {
    Heard::Printed {
        partition,
        offset: 10,
        number,
    }
}

fn ended(success: bool) -> Heard {
    let how = if success {
        "exit status: 0"
    } else {
        "exit status: 1"
    };
    Heard::Ended {
        success,
        how: how.to_owned(),
    }
}

/// A owns the partitions 0 and 1, and B 2 and 3.
fn show() -> Show {
    let mut show = Show::new(4, 100);
    for (id, owned) in [(A, vec![0, 1]), (B, vec![2, 3])] {
        assert!(!show.is_shared_out());
        show.join(7, at(0));
        show.hear(Who::Member(id), Heard::Assigned(owned), at(10));
    }
    show
}

fn owners(show: &Show) -> Vec<Option<usize>> {
    show.partitions
        .iter()
        .map(|partition| partition.owner)
        .collect()
}

fn texts(show: &Show) -> Vec<&str> {
    show.events
        .iter()
        .map(|event| event.text.as_str())
        .collect()
}

#[test]
fn it_is_shared_out_when_everything_is_owned_and_nobody_is_on_the_way() {
    let mut show = show();
    assert!(show.is_shared_out());
    show.join(8, at(20));
    assert!(!show.is_shared_out());
    show.hear(Who::Member(2), Heard::Assigned(vec![1]), at(30));
    assert!(show.is_shared_out());
    // With more members than partitions, some never own anything.
    (0..2).for_each(|_| show.join(9, at(40)));
    assert!(show.is_shared_out());
}

#[test]
fn a_partition_stays_with_its_new_owner_when_the_old_one_is_heard_last() {
    let mut show = show();
    show.hear(Who::Member(B), Heard::Assigned(vec![1]), at(20));
    show.hear(Who::Member(A), Heard::Released(vec![1]), at(21));
    assert_eq!(owners(&show), [Some(A), Some(B), Some(B), Some(B)]);
    show.hear(Who::Member(A), Heard::Released(vec![0]), at(22));
    assert_eq!(owners(&show)[0], None);
}

#[test]
fn a_kill_frees_what_the_member_owned_until_others_print_it() {
    let mut show = show();
    assert_eq!(show.victim(), Some(A));
    show.kill(A, at(100));
    assert_eq!(owners(&show), [None, None, Some(B), Some(B)]);
    assert_eq!(show.victim(), Some(B));
    // What it had said before, and its end, change nothing.
    show.hear(Who::Member(A), Heard::Assigned(vec![2]), at(101));
    show.hear(Who::Member(A), printed(0, 1), at(101));
    show.hear(Who::Member(A), ended(false), at(102));
    assert_eq!(owners(&show), [None, None, Some(B), Some(B)]);
    assert_eq!(show.members[A].state, State::Killed(at(100)));

    show.hear(Who::Member(B), Heard::Assigned(vec![0, 1]), at(120));
    show.hear(Who::Member(B), printed(0, 2), at(140));
    show.hear(Who::Member(B), printed(1, 3), at(160));
    let last = texts(&show).pop();
    assert_eq!(
        last,
        Some("0 1 of A are read by others, after 40 ms to 60 ms")
    );
    assert_eq!(show.troubles, [""; 0]);
    assert_eq!(owners(&show), [Some(B); 4]);
}

#[test]
fn members_that_end_by_themselves_are_trouble() {
    let mut show = show();
    show.hear(Who::Producer, Heard::Acknowledged(1), at(20));
    show.hear(Who::Member(A), printed(0, 1), at(30));
    assert_eq!(show.complaint(), None);
    show.hear(Who::Member(A), ended(true), at(40));
    assert_eq!(
        show.complaint().as_deref(),
        Some("A ended unasked: exit status: 0")
    );

    show.leave(at(50));
    show.hear(Who::Member(B), ended(true), at(60));
    assert_eq!(show.troubles.len(), 1);
    show.hear(Who::Producer, ended(false), at(70));
    assert_eq!(show.troubles.len(), 2);
    assert!(show.is_over());
}

#[test]
fn it_is_drained_when_everything_acknowledged_was_printed() {
    let mut show = show();
    for number in [1, 2] {
        show.hear(Who::Producer, Heard::Acknowledged(number), at(20));
    }
    show.hear(Who::Member(A), printed(0, 1), at(30));
    show.hear(Who::Producer, ended(true), at(30));
    assert!(!show.is_drained());
    assert_eq!(show.complaint().as_deref(), Some("1 message(s) were lost"));
    show.hear(Who::Member(B), printed(2, 2), at(30));
    assert!(show.is_drained());
    assert!(!show.is_over());
}

#[test]
fn lag_is_what_lies_behind_the_last_printed() {
    let mut show = show();
    for partition in &mut show.partitions {
        partition.end = 15;
    }
    assert_eq!(show.lag(), 60);
    show.hear(Who::Member(A), printed(0, 1), at(30));
    assert_eq!(show.partitions[0].lag(), 4);
    // What a successor prints again is no step back.
    let again = Heard::Printed {
        partition: 0,
        offset: 3,
        number: 1,
    };
    show.hear(Who::Member(B), again, at(40));
    assert_eq!(show.lag(), 49);
    // Places that there are not belong to no partition.
    for partition in [-1, 4] {
        show.hear(Who::Member(B), printed(partition, 1), at(50));
    }
    assert_eq!(show.lag(), 49);
}

#[test]
fn rates_are_those_of_the_last_seconds() {
    let mut meter = Meter::default();
    assert_eq!(meter.rate(), 0.0);
    for tick in 0..=10 {
        meter.count = 100 * tick;
        meter.mark(at(1000 * tick));
    }
    assert_eq!(meter.rate(), 100.0);
    for tick in 11..=13 {
        meter.mark(at(1000 * tick));
    }
    assert_eq!(meter.rate(), 0.0);
    assert!(meter.marks.len() < 5);
}
