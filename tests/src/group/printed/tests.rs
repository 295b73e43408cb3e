use super::*;

/// The output of a partition: which member printed which offset, and the milliseconds between which it did.
fn output(lines: &[(usize, i64, Range<u64>)]) -> Output {
    let began = Instant::now();
    let moment = |millis: u64| began + Duration::from_millis(millis);
    let mut output = Output::default();
    for (member, offset, written) in lines {
        let printed = Printed {
            member: *member,
            since: moment(written.start),
            at: moment(written.end),
            partition: ("t".to_owned(), 0),
            offset: *offset,
            number: offset.unsigned_abs(),
        };
        output.push(printed).expect("one number for each offset");
    }
    output
}

fn turns(output: &Output) -> usize {
    output.handovers().values().sum::<usize>() + 1
}

#[test]
fn lines_that_are_read_late_are_in_order() {
    let late = output(&[(0, 0, 0..5), (0, 1, 5..50), (1, 2, 20..25), (1, 3, 25..30)]);
    assert!(late.disorder().is_none());
    assert_eq!(turns(&late), 2);
}

#[test]
fn disorder_is_noticed() {
    let of_one = output(&[(0, 1, 0..5), (0, 0, 0..9)]);
    assert!(of_one.disorder().is_some());
    let of_two = output(&[(0, 0, 0..5), (0, 1, 30..35), (1, 2, 20..25)]);
    let [before, behind] = of_two.disorder().expect("offset 1 was written too late");
    assert_eq!((before.offset, behind.offset), (2, 1));
    let again = output(&[(0, 0, 0..5), (0, 0, 5..10)]);
    assert!(again.disorder().is_some());
}

#[test]
fn two_that_print_at_once_are_noticed() {
    let at_once = output(&[
        (0, 0, 0..5),
        (0, 2, 20..25),
        (0, 4, 40..45),
        (1, 1, 10..15),
        (1, 3, 30..35),
    ]);
    assert_eq!(turns(&at_once), 5);
}
