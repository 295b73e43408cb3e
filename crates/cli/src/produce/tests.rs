use clap::Parser;

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    produce: Produce,
}

fn parse(options: &[&str]) -> Result<Produce, clap::Error> {
    let command = ["produce", "--bootstrap", "b:9092", "--topic", "t"];
    let command = Command::try_parse_from(command.iter().chain(options));
    command.map(|command| command.produce)
}

fn cut(line: &'static str, delimiter: Option<&str>) -> (Option<Bytes>, Bytes) {
    split(&Bytes::from_static(line.as_bytes()), delimiter)
}

#[test]
fn a_line_is_cut_at_its_first_delimiter() {
    let keyed = |key: &'static str, value: &'static str| (Some(key.into()), value.into());
    let plain = |value: &'static str| (None, value.into());
    assert_eq!(cut("k:v:w", Some(":")), keyed("k", "v:w"));
    assert_eq!(cut("k => v", Some(" => ")), keyed("k", "v"));
    assert_eq!(cut(":v", Some(":")), keyed("", "v"));
    assert_eq!(cut("k:", Some(":")), keyed("k", ""));
    assert_eq!(cut("no key", Some(":")), plain("no key"));
    assert_eq!(cut("", Some(":")), plain(""));
    assert_eq!(cut("k:v", None), plain("k:v"));
}

#[test]
fn partitioners_go_by_their_names() {
    let chosen = |options: &[&str]| parse(options).map(|args| args.config().partitioner);
    let of_a = |options: &[&str]| {
        let all = [0, 1, 2, 3, 4, 5, 6];
        let partitions = divvy::Partitions::new(&all, &all);
        let partitioner = chosen(options).unwrap();
        let picked = (0..50).map(|_| partitioner.partition("t", Some(b"a"), partitions));
        picked.collect::<std::collections::BTreeSet<_>>()
    };
    let (javas, pykafkas) = (of_a(&[]), of_a(&["--partitioner", "hashing"]));
    assert_eq!((javas.len(), pykafkas.len()), (1, 1));
    assert_ne!(javas, pykafkas);
    for name in ["round-robin", "random"] {
        assert!(of_a(&["--partitioner", name]).len() > 2, "{name}");
    }
    assert!(chosen(&["--partitioner", "hashing", "--partition", "1"]).is_err());
}

#[test]
fn options_have_the_defaults_of_the_producer() {
    let config = parse(&[]).unwrap().config();
    let expected = ProducerConfig::default();
    assert_eq!(format!("{config:?}"), format!("{expected:?}"));
}

#[test]
fn a_small_budget_bounds_batches_and_messages() {
    let config = parse(&["--max-in-flight-bytes", "4096"]).unwrap().config();
    assert!(config.validate().is_ok());
    assert_eq!((config.max_request_size, config.batch_size), (4096, 4096));
}

#[test]
fn values_are_read_or_refused() {
    let options = parse(&[
        "--acks",
        "1",
        "--linger",
        "0",
        "--key-delimiter",
        "\\t",
        "--compression",
        "lz4",
    ]);
    let options = options.unwrap();
    assert_eq!(options.config().acks, Acks::Leader);
    assert_eq!(options.config().linger, Duration::ZERO);
    assert_eq!(options.config().compression, Compression::Lz4);
    assert_eq!(options.key_delimiter.as_deref(), Some("\t"));
    for wrong in [
        ["--acks", "2"],
        ["--compression", "brotli"],
        ["--partition", "-1"],
        ["--key-delimiter", ""],
        ["--linger", "soon"],
        ["--delivery-timeout", "0"],
    ] {
        assert!(parse(&wrong).is_err(), "{wrong:?}");
    }
}
