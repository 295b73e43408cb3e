//! When members are killed and when others join.

use std::time::Duration;

/// What is done to the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Kill,
    Join,
}

/// A member is killed, another joins, and so on, evenly over the time. So there are as many members in the end as in the
/// beginning, and one less in between.
pub(super) fn steps(length: Duration, kills: usize) -> impl Iterator<Item = (Duration, Step)> {
    let pauses = u32::try_from(2 * kills + 1).unwrap_or(u32::MAX);
    let pause = length / pauses;
    (1..pauses).map(move |index| {
        let step = if index % 2 == 1 {
            Step::Kill
        } else {
            Step::Join
        };
        (pause * index, step)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_and_joins_take_turns() {
        let steps: Vec<_> = steps(Duration::from_secs(10), 2).collect();
        let expected = [
            (2, Step::Kill),
            (4, Step::Join),
            (6, Step::Kill),
            (8, Step::Join),
        ];
        assert_eq!(
            steps,
            expected.map(|(at, step)| (Duration::from_secs(at), step))
        );
    }

    #[test]
    fn nobody_needs_to_be_killed() {
        assert_eq!(steps(Duration::from_secs(10), 0).count(), 0);
    }
}
