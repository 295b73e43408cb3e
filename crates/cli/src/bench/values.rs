//! The values that are written: the same in every run, and compressible like what is in real topics.

use std::fmt::Write as _;

use bytes::Bytes;

/// How many different values there are at most. A prime number, so that each partition gets all of them in turns, however many
/// partitions there are, and no batch repeats itself.
const MOST_VALUES: usize = 16_381;
/// How many bytes they take together, or a few values' worth where these are larger.
const MOST_BYTES: usize = 16 << 20;
const FEWEST_VALUES: usize = 17;

const SECTIONS: [&str; 8] = [
    "books", "music", "garden", "kitchen", "toys", "shoes", "office", "travel",
];
const AGENTS: [&str; 4] = [
    "Firefox/38.0",
    "Chrome/43.0.2357",
    "Safari/600.6.3",
    "curl/7.42.1",
];

/// Values of one size: lines as a web server logs them, as many as fill it, the last one cut off. A batch of 200 of 100 bytes
/// compresses about 2:1 with snappy and lz4, and 3:1 with gzip.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    all: Bytes,
    size: usize,
    count: usize,
}

impl Values {
    /// Makes values of `size` bytes each.
    pub(crate) fn new(size: usize) -> Self {
        let count = (MOST_BYTES / size.max(1)).clamp(FEWEST_VALUES, MOST_VALUES);
        let mut random = SplitMix(0);
        let mut all = String::with_capacity(count * size + 200);
        for index in 1..=count {
            let end = index * size;
            while all.len() < end {
                push_line(&mut all, random.next());
            }
            all.truncate(end);
        }
        Self {
            // They are there until the program ends, and what never goes need not be counted with each use.
            all: Bytes::from_static(all.leak().as_bytes()),
            size,
            count,
        }
    }

    /// The value of a message, by its number; shared, not copied.
    pub(crate) fn get(&self, number: u64) -> Bytes {
        let index = usize::try_from(number % self.count as u64).unwrap_or_default();
        self.all.slice(index * self.size..(index + 1) * self.size)
    }
}

/// A line of a web server's log; ASCII, so that it can be cut anywhere.
fn push_line(text: &mut String, random: u64) {
    let digits = |shift: u32, below: u64| (random >> shift) % below;
    let pick = |names: &[&'static str], shift: u32| {
        let index = digits(shift, names.len() as u64);
        names.get(index as usize).copied().unwrap_or_default()
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:08x} 2015-06-01T12:{:02}:{:02}.{:03}Z GET /shop/{}/item-{}?page={} 200 {} {}",
        random >> 32,
        digits(3, 60),
        digits(7, 60),
        digits(13, 1000),
        pick(&SECTIONS, 23),
        digits(26, 50_000),
        digits(17, 10),
        digits(11, 20_000),
        pick(&AGENTS, 41),
    );
}

/// The generator SplitMix64: every number follows from the one before.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
