use std::time::Duration;

/// The servers of an ensemble in the order in which they are tried, and how long to wait between the rounds.
///
/// Everything that is by chance comes from the seed, so that a run can be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    names: Vec<String>,
    next: usize,
    chance: u64,
    /// What the next pause is about.
    pause: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(20);

impl Servers {
    /// In an order that the seed decides, so that many clients spread over the servers.
    pub(crate) fn new(mut names: Vec<String>, seed: u64) -> Self {
        let mut chance = seed;
        for at in (1..names.len()).rev() {
            let other = u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1);
            let other = usize::try_from(draw(&mut chance) % other).unwrap_or(0);
            names.swap(at, other);
        }
        Self {
            names,
            next: 0,
            chance,
            pause: FIRST_PAUSE,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The server to be tried next.
    pub(crate) fn next(&mut self) -> Option<(usize, String)> {
        let at = self.next.checked_rem(self.names.len())?;
        self.next = at + 1;
        Some((at, self.names.get(at)?.clone()))
    }

    /// How long to wait before the next round: twice as long each time, about a random half of it, at most `most`.
    pub(crate) fn pause(&mut self, most: Duration) -> Duration {
        let pause = self.pause.min(most);
        self.pause = pause * 2;
        // Out of 1,024, which is fine enough.
        let part = u32::try_from(512 + draw(&mut self.chance) % 513).unwrap_or(1024);
        pause * part / 1024
    }

    /// The last connection was a good one: pauses are short again.
    pub(crate) fn good(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}

/// SplitMix64: a sequence of numbers that look random.
pub(crate) fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64) -> Vec<String> {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let mut servers = Servers::new(names, seed);
        (0..6).map(|_| servers.next().unwrap().1).collect()
    }

    #[test]
    fn every_order_comes_about_and_repeats() {
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let order = order(seed);
            assert_eq!(order[..3], order[3..]);
            assert_eq!(order, self::order(seed));
            orders.insert(order);
        }
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn pauses_grow_to_their_limit() {
        let mut servers = Servers::new(vec!["a".to_owned()], 1);
        let most = Duration::from_millis(300);
        for about in [20, 40, 80, 160, 300, 300] {
            let about = Duration::from_millis(about);
            let pause = servers.pause(most);
            assert!(
                pause >= about / 2 && pause <= about,
                "{pause:?} for {about:?}"
            );
        }
        servers.good();
        assert!(servers.pause(most) <= FIRST_PAUSE);
    }
}
