use divvy::admin::{Growth, PartitionView};

use super::*;

/// So many partitions of a topic, the first of which is furthest behind, and none of which is read.
fn group(partitions: i32) -> (GroupView, LagChange) {
    let (mut view, mut change) = (GroupView::default(), LagChange::default());
    view.group = "billing".to_owned();
    for partition in 0..partitions {
        let tp = TopicPartition::new("a-topic-with-a-long-name", partition);
        let mut seen = PartitionView::default();
        seen.log_end = Some(1_000_000 - i64::from(partition));
        seen.in_kafka = Some(10);
        view.partitions.insert(tp.clone(), seen);
        let mut growth = Growth::default();
        (growth.produced, growth.lag, growth.waiting) = (10.0, 1000, 900);
        change.partitions.insert(tp, growth);
    }
    change.is_live = true;
    (view, change)
}

fn texts(lines: &[Line]) -> Vec<String> {
    lines.iter().map(Line::text).collect()
}

#[test]
fn a_screen_has_room_for_everything_at_80_and_at_120_columns() {
    for size in [(80, 24), (120, 40), (20, 5)] {
        for partitions in [1, 4, 64] {
            let (view, change) = group(partitions);
            let trouble = Some("nothing new is seen: no broker answered at kafka-1:9092");
            let lines = texts(&screen(&view, Some(&change), trouble, size));
            assert!(lines.len() <= size.1, "{lines:?}");
            let fits = |line: &String| line.chars().count() <= size.0;
            assert!(lines.iter().all(fits), "{lines:?}");
            if size.0 >= 80 {
                let all = lines.join(" ");
                for part in [
                    "billing: 0 members",
                    "999990",
                    "what keeps the members",
                    "9092",
                ] {
                    assert!(all.contains(part), "{part}: {lines:?}");
                }
                assert_eq!(all.contains("less behind"), partitions == 64);
            }
        }
    }
}

#[test]
fn a_text_is_cut_between_words() {
    assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    assert_eq!(wrapped("one two three", 100), ["one two three"]);
    assert_eq!(wrapped("unbreakable word", 4), ["unbreakable", "word"]);
    assert_eq!(wrapped("", 4), [""; 0]);
}
