use futures_util::FutureExt;

use super::*;
use crate::stat::Stat;

fn watches(chroot: Option<&str>) -> (Watches, Changes) {
    let watches = Watches::new(chroot.map(str::to_owned));
    let states = watch::Sender::new(State::Connected);
    let changes = watches.subscribe(states.subscribe());
    (watches, changes)
}

fn ask(request: Request, watches: &Watches, answer: Result<Response, ErrorCode>) {
    watches.arm(Asked::by(&request).unwrap(), &answer);
}

fn get(path: &str) -> Request {
    let path = path.to_owned();
    Request::GetData { path, watch: true }
}

fn exists(path: &str) -> Request {
    let path = path.to_owned();
    Request::Exists { path, watch: true }
}

fn children(path: &str) -> Request {
    let path = path.to_owned();
    Request::GetChildren2 { path, watch: true }
}

fn stat() -> Result<Response, ErrorCode> {
    Ok(Response::Exists(Stat::default()))
}

fn event(kind: EventKind, path: &str) -> WatcherEvent {
    WatcherEvent {
        kind,
        state: WatcherEvent::CONNECTED,
        path: path.to_owned(),
    }
}

fn reported(changes: &mut Changes) -> Vec<(String, ChangeKind)> {
    std::iter::from_fn(|| match changes.recv().now_or_never()?? {
        Change::Node { path, kind } => Some((path.to_string(), kind)),
        Change::Everything => panic!("fell behind"),
    })
    .collect()
}

fn armed(watches: &Watches) -> [Vec<String>; 3] {
    let batches = watches.set_again(5);
    assert!(batches.iter().all(|batch| batch.last_zxid == 5));
    let each = |paths: fn(&SetWatches) -> &Vec<String>| {
        let paths = batches.iter().flat_map(paths);
        paths.cloned().collect()
    };
    [
        each(|batch| &batch.data),
        each(|batch| &batch.exist),
        each(|batch| &batch.child),
    ]
}

#[test]
fn the_answer_says_which_watch_was_set() {
    let (watches, _) = watches(None);
    ask(get("/data"), &watches, stat());
    ask(get("/missing"), &watches, Err(ErrorCode::NoNode));
    ask(exists("/there"), &watches, stat());
    ask(exists("/awaited"), &watches, Err(ErrorCode::NoNode));
    ask(exists("/forbidden"), &watches, Err(ErrorCode::NoAuth));
    ask(children("/parent"), &watches, stat());
    ask(children("/missing"), &watches, Err(ErrorCode::NoNode));
    let [data, exist, child] = armed(&watches);
    assert_eq!(data, ["/data", "/there"]);
    assert_eq!(exist, ["/awaited"]);
    assert_eq!(child, ["/parent"]);
    let plain = Request::GetData {
        path: "/data".to_owned(),
        watch: false,
    };
    assert!(Asked::by(&plain).is_none());
}

#[test]
fn an_event_ends_the_watches_that_a_server_drops_with_it() {
    for (kind, left) in [
        (EventKind::Created, [0, 0, 1]),
        (EventKind::DataChanged, [0, 0, 1]),
        (EventKind::ChildrenChanged, [1, 1, 0]),
        (EventKind::Deleted, [0, 0, 0]),
        (EventKind::None, [1, 1, 1]),
    ] {
        let (watches, mut changes) = watches(None);
        ask(get("/a"), &watches, stat());
        ask(exists("/a"), &watches, Err(ErrorCode::NoNode));
        ask(children("/a"), &watches, stat());
        watches.fired(&event(kind, "/a"));
        assert_eq!(armed(&watches).map(|paths| paths.len()), left, "{kind:?}");
        let reported = reported(&mut changes).len();
        assert_eq!(reported, usize::from(kind != EventKind::None));
    }
}

#[test]
fn reports_are_below_the_chroot() {
    let (watches, mut changes) = watches(Some("/kafka"));
    ask(get("/kafka/a"), &watches, stat());
    watches.fired(&event(EventKind::DataChanged, "/kafka/a"));
    watches.fired(&event(EventKind::ChildrenChanged, "/kafka"));
    watches.fired(&event(EventKind::Deleted, "/elsewhere"));
    assert_eq!(
        reported(&mut changes),
        [
            ("/a".to_owned(), ChangeKind::Data),
            ("/".to_owned(), ChangeKind::Children)
        ]
    );
}

#[test]
fn every_watched_node_is_lost_once() {
    let (watches, mut changes) = watches(None);
    ask(get("/a"), &watches, stat());
    ask(children("/a"), &watches, stat());
    ask(exists("/b"), &watches, Err(ErrorCode::NoNode));
    watches.lose_all();
    watches.lose_all();
    assert_eq!(
        reported(&mut changes),
        [
            ("/a".to_owned(), ChangeKind::WatchLost),
            ("/b".to_owned(), ChangeKind::WatchLost)
        ]
    );
}

#[test]
fn watches_are_set_again_in_batches_that_a_server_takes() {
    let (watches, _) = watches(None);
    assert!(watches.set_again(1).is_empty());
    let long = "x".repeat(1000);
    let mut paths = Vec::new();
    for n in 0..500 {
        let path = format!("/{long}/{n:03}");
        ask(
            if n % 2 == 0 {
                get(&path)
            } else {
                children(&path)
            },
            &watches,
            stat(),
        );
        paths.push(path);
    }
    let batches = watches.set_again(1);
    assert_eq!(batches.len(), 5);
    let size = |batch: &SetWatches| -> usize {
        let paths = batch.data.iter().chain(&batch.child);
        paths.map(|path| path.len() + 4).sum()
    };
    assert!(batches.iter().all(|batch| size(batch) <= BATCH));
    let mut again: Vec<String> = batches
        .into_iter()
        .flat_map(|batch| batch.data.into_iter().chain(batch.child))
        .collect();
    again.sort();
    assert_eq!(again, paths);
}
