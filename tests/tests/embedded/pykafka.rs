//! PyKafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::{
    Cluster, KafkaVersion, Process, PyKafkaConsumer, ZooKeeperView, pykafka, unique, wait_for,
};
use divvy_zookeeper::paths;

use super::{PATIENCE, as_both_versions};

as_both_versions!(
    pykafka_writes_and_reads_and_goes_on_where_it_committed,
    two_members_of_pykafkas_share,
);

const PARTITIONS: usize = 4;
const MESSAGES: usize = 60;

/// It finds leaders and replicas, writes each message with an acknowledgement, and reads them in two turns of one group.
fn pykafka_writes_and_reads_and_goes_on_where_it_committed(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::builder().kafka(version).brokers(3).start()?;
    let topic = unique("written");
    cluster.create_topic(&topic, PARTITIONS, 2)?;
    let mut command = pykafka::python_program("pykafka_tour.py")?;
    command.args([&cluster.bootstrap(), "0.8.2", &topic, &MESSAGES.to_string()]);
    let program = Process::spawn("PyKafka", &mut command)?;
    program.wait_success(PATIENCE)?;

    let lines = program.stdout().texts();
    let leaders = lines
        .iter()
        .filter_map(|line| line.strip_prefix("partition "));
    let leaders: Vec<&str> = leaders.collect();
    ensure!(leaders.len() == PARTITIONS, "{leaders:?}");
    let metadata = cluster.metadata()?;
    for (number, partition) in &metadata.topics[&topic] {
        let leader = partition.leader.context("no leader")?;
        let wanted = format!("{number} {leader} 2 2");
        ensure!(leaders.contains(&wanted.as_str()), "{wanted}: {leaders:?}");
    }
    let mut next = BTreeMap::new();
    let mut values = BTreeSet::new();
    for line in lines
        .iter()
        .filter_map(|line| line.strip_prefix("message "))
    {
        let mut fields = line.split(' ');
        let mut field = || fields.next().context("a field is missing");
        let (partition, offset, value) = (field()?, field()?.parse::<i64>()?, field()?);
        let expected = next.entry(partition.to_owned()).or_insert(0);
        ensure!(*expected == offset, "{line} instead of offset {expected}");
        *expected += 1;
        values.insert(value.parse::<usize>()?);
    }
    ensure!(values == (0..MESSAGES).collect(), "{values:?}");
    Ok(())
}

/// Two balanced consumers share the partitions; when one leaves, the other has all of them, and every message is read.
fn two_members_of_pykafkas_share(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let (topic, group) = (unique("shared"), unique("group"));
    cluster.create_topic(&topic, PARTITIONS, 1)?;
    let partitions = 0..i32::try_from(PARTITIONS)?;
    let producer = cluster.produce_numbers(&topic, partitions, 100)?;
    let member = PyKafkaConsumer {
        group: group.clone(),
        topic: topic.clone(),
        zookeeper: None,
        session_timeout: Duration::from_secs(3),
    };
    let members = [member.spawn(cluster)?, member.spawn(cluster)?];
    let view = cluster.zookeeper_view()?;
    let owners = || owners(&view, &group, &topic);
    let shared = wait_for(PATIENCE, "both to own two partitions", || {
        owners().is_ok_and(|owners| owners.values().eq([&2, &2]))
    });
    shared.with_context(|| members[0].stderr().tail(20))?;
    for member in &members {
        let from = member.stdout().len();
        wait_for(PATIENCE, "lines of each", || {
            member.stdout().len() > from + 20
        })?;
    }
    members[0].term()?;
    members[0].wait(PATIENCE)?;
    wait_for(PATIENCE, "one to own everything", || {
        owners().is_ok_and(|owners| owners.values().eq([&4]))
    })?;
    let acknowledged = producer.stop()?;
    wait_for(PATIENCE, "every message to be read", || {
        let lines = members.iter().flat_map(|member| member.stdout().texts());
        let values: BTreeSet<u64> = lines
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        let mut all = acknowledged.iter();
        all.all(|message| values.contains(&message.number))
    })
}

/// How many partitions each member owns, under either spelling of the topic's name that PyKafka uses.
fn owners(view: &ZooKeeperView, group: &str, topic: &str) -> Result<BTreeMap<String, usize>> {
    let mut owners = BTreeMap::new();
    for directory in [topic.to_owned(), format!("b'{topic}'")] {
        let parent = paths::topic_owners(group, &directory);
        for name in view.children(&parent)? {
            let owner = view.text(&format!("{parent}/{name}"))?;
            *owners.entry(owner.unwrap_or_default()).or_insert(0) += 1;
        }
    }
    Ok(owners)
}
