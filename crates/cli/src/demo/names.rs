//! How the demo calls what it shows.

use std::time::Duration;

/// A letter for each member, in the order in which they join. There are more letters than a demo may have members.
pub(super) fn member(id: usize) -> char {
    let letters = ('A'..='Z').chain('a'..='z');
    letters.cycle().nth(id).unwrap_or('?')
}

/// Partitions in ascending order, such as `0 1 4` or `0-3 7`.
pub(super) fn partitions<'a>(partitions: impl IntoIterator<Item = &'a i32>) -> String {
    let partitions: Vec<i32> = partitions.into_iter().copied().collect();
    let runs = partitions.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let names = runs.flat_map(|run| match run {
        [first, _, .., last] => vec![format!("{first}-{last}")],
        few => few.iter().map(ToString::to_string).collect(),
    });
    names.collect::<Vec<_>>().join(" ")
}

/// Such as `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Such as `62 ms` or `1.25 s`.
pub(super) fn time(time: Duration) -> String {
    match time.as_millis() {
        millis @ ..1000 => format!("{millis} ms"),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

/// Such as `12.3 s`.
pub(super) fn moment(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// The shortest and the longest of times in their order, such as `48 ms to 62 ms`; or one, where they look alike.
pub(super) fn range(sorted: &[Duration]) -> String {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return "-".to_owned();
    };
    match (time(*first), time(*last)) {
        (first, last) if first == last => last,
        (first, last) => format!("{first} to {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_partitions_are_runs() {
        assert_eq!(partitions(&[]), "");
        assert_eq!(partitions(&[0, 1, 4]), "0 1 4");
        assert_eq!(partitions(&[0, 1, 2, 3, 7, 9, 10]), "0-3 7 9 10");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let counts = [0, 999, 1000, 12_345, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn times_are_short() {
        let times = [0, 62, 999, 1000, 1256].map(|millis| time(Duration::from_millis(millis)));
        assert_eq!(times, ["0 ms", "62 ms", "999 ms", "1.00 s", "1.26 s"]);
        let [short, close, long] = [48_000, 48_200, 62_000].map(Duration::from_micros);
        assert_eq!(range(&[short, close, long]), "48 ms to 62 ms");
        assert_eq!(range(&[short, close]), "48 ms");
        assert_eq!(range(&[]), "-");
    }

    #[test]
    fn members_have_letters() {
        assert_eq!([0, 25, 26, 51].map(member), ['A', 'Z', 'a', 'z']);
    }
}
