//! Logs on disk: they give what those in memory give, also after they were opened anew.

use std::fs;
use std::path::Path;

use divvy_protocol::compression::Compression;
use tempfile::TempDir;

use super::super::append::number;
use super::super::tests::{messages, set};
use super::dir::LogDir;
use super::folder::Folder;
use super::*;
use crate::server::Error;

const LARGE: Limits = Limits {
    segment: 1 << 20,
    retention: 1 << 30,
    retention_ms: None,
};
/// Three or four messages a segment.
const SMALL: Limits = Limits {
    segment: 124,
    retention: 600,
    retention_ms: None,
};

fn open(folder: &Path, limits: Limits) -> Log {
    let folder = Folder::create(folder.to_owned()).expect("a folder");
    Log::open(folder, 0, limits).expect("a log")
}

fn append(log: &mut Log, now_ms: i64, codec: Compression, values: &[&str]) {
    let chunk = number(&set(codec, values), log.end()).expect("good messages");
    log.append(now_ms, chunk.expect("messages")).expect("room");
}

/// Everything from an offset on, segment by segment.
fn all(log: &Log, from: i64) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let mut next = from;
    while next < log.end() {
        let read = log.read(next, 1 << 20).expect("a file").expect("in range");
        let read = messages(&read);
        next = read.last().expect("a message").0 + 1;
        found.extend(read.into_iter().filter(|(offset, _)| *offset >= from));
    }
    found
}

fn files(folder: &Path) -> Vec<String> {
    let mut files = folder::names(folder).expect("a folder");
    files.sort();
    files
}

#[test]
fn a_log_on_disk_gives_what_one_in_memory_gives() {
    let place = TempDir::new().expect("a place");
    for limits in [LARGE, SMALL] {
        let place = place.path().join(limits.segment.to_string());
        let (mut disk, mut memory) = (open(&place, limits), Log::new(0, limits));
        let codecs = [Compression::None, Compression::Gzip, Compression::Snappy];
        for (at, codec) in (0..60).zip(codecs.into_iter().cycle()) {
            let long = "x".repeat(at % 40);
            let values = [&at.to_string(), long.as_str(), "z"];
            let values = &values[..1 + at % 3];
            for log in [&mut disk, &mut memory] {
                append(log, 7, codec, values);
            }
            if at % 20 == 0 {
                disk = open(&place, limits);
            }
            assert_eq!((disk.start(), disk.end()), (memory.start(), memory.end()));
            for offset in memory.start() - 1..=memory.end() + 1 {
                for most in [1, 20, 70, 1 << 20] {
                    let (one, other) = (disk.read(offset, most), memory.read(offset, most));
                    assert_eq!(one.unwrap(), other.unwrap(), "{at}: {most} from {offset}");
                }
            }
            let begin = |log: &Log| log.offsets_before(8, -1, 1000);
            assert_eq!(begin(&disk), begin(&memory));
        }
        assert!(memory.end() > 100, "that was little");
    }
}

/// Marks lead to the right place wherever it is between them.
#[test]
fn every_offset_is_found_in_a_large_segment() {
    let place = TempDir::new().expect("a place");
    let mut log = open(place.path(), LARGE);
    for at in 0..400 {
        let value = format!("{at} {}", "x".repeat(at % 97));
        append(&mut log, 0, Compression::None, &[&value, "b"]);
    }
    let log = [log, open(place.path(), LARGE)];
    for log in &log {
        for offset in 0..800 {
            let read = log.read(offset, 300).unwrap().unwrap();
            assert_eq!(messages(&read)[0].0, offset);
        }
    }
}

/// However much of the last message is missing, those before it are there, and the next one takes its offset.
#[test]
fn a_torn_tail_is_cut_off() {
    let place = TempDir::new().expect("a place");
    let mut log = open(place.path(), LARGE);
    append(&mut log, 0, Compression::None, &["a", "b"]);
    let file = place.path().join("00000000000000000000.log");
    let two = fs::read(&file).unwrap();
    append(&mut log, 0, Compression::Gzip, &["c", "d"]);
    let whole = fs::read(&file).unwrap();
    let torn = (two.len()..whole.len()).map(|length| whole[..length].to_vec());
    let zeros = (1..40).map(|length| [&two[..], &vec![0; length]].concat());
    let wrong = (two.len() + 12..whole.len()).map(|at| {
        let mut wrong = whole.clone();
        // Other formats are not for us to cut.
        wrong[at] ^= if at == two.len() + 16 { 0x80 } else { 1 };
        wrong
    });
    for bytes in torn.chain(zeros).chain(wrong) {
        fs::write(&file, &bytes).unwrap();
        let mut log = open(place.path(), LARGE);
        assert_eq!(log.end(), 2, "{bytes:?}");
        assert_eq!(fs::read(&file).unwrap(), two);
        append(&mut log, 0, Compression::None, &["e"]);
        let texts: Vec<_> = all(&log, 0).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["a", "b", "e"]);
    }
}

/// What a part of an earlier segment is lost of is passed over.
#[test]
fn a_segment_that_ends_early_is_passed_over() {
    let place = TempDir::new().expect("a place");
    let mut log = open(place.path(), SMALL);
    for at in 0..10 {
        append(&mut log, 0, Compression::None, &[&format!("1234{at}")]);
    }
    let names = files(place.path());
    assert_eq!(names.len(), 3, "{names:?}");
    let second = place.path().join(&names[1]);
    let cut = fs::read(&second).unwrap()[..40].to_vec();
    fs::write(&second, cut).unwrap();
    let log = open(place.path(), SMALL);
    let offsets: Vec<_> = all(&log, 0).into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 8, 9]);
}

#[test]
fn what_is_too_old_is_deleted_and_offsets_go_on() {
    let place = TempDir::new().expect("a place");
    let mut log = open(place.path(), SMALL);
    for _ in 0..40 {
        append(&mut log, 10, Compression::None, &["12345"]);
    }
    assert_eq!(log.start(), 20, "as in memory");
    let names = files(place.path());
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(names[0], "00000000000000000020.log");
    let brief = Limits {
        retention_ms: Some(5),
        ..SMALL
    };
    log.limit(20, brief);
    assert_eq!(files(place.path()), ["00000000000000000040.log"]);
    let log = open(place.path(), SMALL);
    assert_eq!((log.start(), log.end()), (40, 40));
}

#[test]
fn a_damaged_message_is_damaged_on_disk() {
    let place = TempDir::new().expect("a place");
    let mut log = open(place.path(), LARGE);
    append(&mut log, 0, Compression::None, &["a", "b", "c"]);
    let file = place.path().join("00000000000000000000.log");
    let before = fs::read(&file).unwrap();
    assert_eq!(log.corrupt(1).unwrap(), Some(1..2));
    assert_eq!(log.corrupt(3).unwrap(), None);
    let after = fs::read(&file).unwrap();
    let differ = (0..before.len()).filter(|at| before[*at] != after[*at]);
    assert_eq!(differ.collect::<Vec<_>>(), [before.len() / 3 * 2 - 1]);
}

#[test]
fn messages_of_later_formats_are_refused_and_left_alone() {
    let place = TempDir::new().expect("a place");
    let mut log = open(place.path(), LARGE);
    append(&mut log, 0, Compression::None, &["a"]);
    let file = place.path().join("00000000000000000000.log");
    let mut later = fs::read(&file).unwrap();
    later[16] = 2;
    fs::write(&file, &later).unwrap();
    let folder = Folder::create(place.path().to_owned()).unwrap();
    let refused = Log::open(folder, 0, LARGE).unwrap_err();
    assert!(
        matches!(&refused, Error::Log { file: named, .. } if *named == file),
        "{refused}"
    );
    assert_eq!(fs::read(&file).unwrap(), later);
}

#[test]
fn a_folder_of_logs_has_one_user_and_knows_its_partitions() {
    let place = TempDir::new().expect("a place");
    let own = LogDir::open(place.path().to_owned()).unwrap();
    let second = LogDir::open(place.path().to_owned());
    assert!(matches!(second, Err(Error::LogInUse(_))), "{second:?}");
    for partition in 0..3 {
        let log = own.create("a-b", partition, 0, LARGE).unwrap();
        log.keep_replicas(&[2, partition]).unwrap();
    }
    for other in ["lost+found", "a-b-03", "a-b", "-1", "x"] {
        fs::create_dir(place.path().join(other)).unwrap();
    }
    fs::write(place.path().join("file-1"), "").unwrap();
    drop(own);
    let own = LogDir::open(place.path().to_owned()).unwrap();
    let kept = own.kept(0, LARGE).unwrap();
    let replicas: Vec<_> = kept["a-b"].iter().map(|one| &one.replicas[..]).collect();
    assert_eq!(replicas, [&[2, 0][..], &[2, 1], &[2, 2]]);
    assert_eq!(kept.len(), 1, "{kept:?}");
    fs::remove_dir_all(place.path().join("a-b-1")).unwrap();
    let kept = own.kept(0, LARGE);
    assert!(matches!(kept, Err(Error::MissingLog(_))), "{kept:?}");
}
