use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::*;

/// A clock that is set by hand.
#[derive(Debug, Default)]
struct HandClock(AtomicU64);

impl HandClock {
    fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap();
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> BootTime {
        BootTime::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// tokio's clock, so that pausing it pauses the lease too.
#[derive(Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> BootTime {
        BootTime::default() + self.0.elapsed()
    }
}

const T: Duration = Duration::from_secs(6);
const SECOND: Duration = Duration::from_secs(1);

fn by_hand() -> (Arc<HandClock>, Lease) {
    let clock = Arc::new(HandClock::default());
    clock.advance(SECOND);
    (clock.clone(), Lease::new(clock, T, Lease::FRACTION))
}

fn by_tokio() -> Lease {
    let clock = TokioClock(Instant::now() - SECOND);
    Lease::new(Arc::new(clock), T, Lease::FRACTION)
}

fn renew(lease: &Lease) {
    lease.acknowledged(lease.sent(RequestKind::Sync));
}

#[test]
fn counts_from_the_sending() {
    let (clock, lease) = by_hand();
    assert!(!lease.is_current() && lease.end().is_none());
    let sent = lease.sent(RequestKind::Write);
    clock.advance(3 * SECOND);
    lease.acknowledged(sent);
    assert_eq!((lease.is_current(), lease.remaining()), (true, SECOND));
    clock.advance(SECOND);
    assert_eq!(
        (lease.is_current(), lease.remaining()),
        (false, Duration::ZERO)
    );
}

#[test]
fn only_the_leader_s_word_renews() {
    let (_, lease) = by_hand();
    for kind in [RequestKind::Read, RequestKind::Ping] {
        lease.acknowledged(lease.sent(kind));
        assert!(!lease.is_current(), "{kind:?}");
    }
    for kind in [RequestKind::Write, RequestKind::Sync] {
        let (_, lease) = by_hand();
        lease.acknowledged(lease.sent(kind));
        assert!(lease.is_current(), "{kind:?}");
    }
}

#[test]
fn an_older_request_never_shortens_it() {
    let (clock, lease) = by_hand();
    let old = lease.sent(RequestKind::Write);
    clock.advance(SECOND);
    renew(&lease);
    let end = lease.end();
    lease.acknowledged(old);
    assert_eq!(lease.end(), end);
}

#[test]
fn counts_a_lapse_once_it_is_current_again() {
    let (clock, lease) = by_hand();
    renew(&lease);
    assert_eq!(lease.lapses(), 0, "the beginning is no lapse");
    let late = lease.sent(RequestKind::Sync);
    clock.advance(5 * SECOND);
    lease.acknowledged(late);
    assert_eq!((lease.is_current(), lease.lapses()), (false, 0));
    renew(&lease);
    assert_eq!((lease.is_current(), lease.lapses()), (true, 1));
    clock.advance(SECOND);
    renew(&lease);
    assert_eq!(lease.lapses(), 1, "renewed in time");
}

#[test]
fn a_revoked_lease_stays_ended() {
    let (_, lease) = by_hand();
    renew(&lease);
    lease.set_connected(true);
    lease.revoke();
    renew(&lease);
    lease.set_connected(true);
    assert!(!lease.is_current() && !lease.is_connected());
    assert!(lease.ended().now_or_never().is_some());
    assert!(lease.renewed().now_or_never().is_none());
}

#[test]
fn takes_any_fraction() {
    for (fraction, remaining) in [
        (f64::NAN, Duration::ZERO),
        (-1.0, Duration::ZERO),
        (0.5, 3 * SECOND),
        (f64::INFINITY, T),
    ] {
        let clock = Arc::new(HandClock::default());
        clock.advance(SECOND);
        let lease = Lease::new(clock, T, fraction);
        renew(&lease);
        assert_eq!(lease.remaining(), remaining, "{fraction}");
    }
}

#[tokio::test(start_paused = true)]
async fn ended_follows_renewals() {
    let lease = by_tokio();
    renew(&lease);
    let started = Instant::now();
    let ended = tokio::spawn({
        let lease = lease.clone();
        async move {
            lease.ended().await;
            started.elapsed()
        }
    });
    // In the middle of one of the waits.
    assert!(
        timeout(Duration::from_millis(3500), std::future::pending::<()>())
            .await
            .is_err()
    );
    renew(&lease);
    let elapsed = ended.await.unwrap();
    let expected = Duration::from_millis(7500);
    assert!(
        elapsed >= expected && elapsed < expected + Duration::from_millis(5),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_told() {
    let lease = by_tokio();
    assert!(lease.renewed().now_or_never().is_none());
    assert!(lease.disconnected().now_or_never().is_some());
    let waiting = tokio::spawn({
        let lease = lease.clone();
        async move {
            lease.connected().await;
            lease.renewed().await;
            lease.disconnected().await;
        }
    });
    tokio::task::yield_now().await;
    lease.set_connected(true);
    tokio::task::yield_now().await;
    renew(&lease);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    lease.set_connected(false);
    timeout(SECOND, waiting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_runs_ahead_is_noticed() {
    let (clock, lease) = by_hand();
    renew(&lease);
    let ended = tokio::spawn({
        let lease = lease.clone();
        async move { lease.ended().await }
    });
    tokio::task::yield_now().await;
    // As after the machine was suspended: tokio's clock has stood still.
    clock.advance(T);
    timeout(LOOK_AGAIN + Duration::from_millis(5), ended)
        .await
        .unwrap()
        .unwrap();
}
