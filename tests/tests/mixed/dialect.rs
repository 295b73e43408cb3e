//! Groups in PyKafka's dialect: PyKafka's own members and divvy's share a topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use divvy::{BrokerOffsetStore, Client, ClientConfig, CommittedOffset, TopicPartition};
use divvy_tests::group::PATIENCE;
use divvy_tests::{
    Cluster, CommittedWatch, Group, KafkaVersion, Store, on_every_version, wait_some,
};
use divvy_zookeeper::paths;

on_every_version!(
    members_of_both_makes_share_a_topic,
    offsets_carry_over_from_one_make_to_the_other,
    members_follow_a_pykafka_member_and_come_back,
    a_claim_under_any_leaders_name_is_respected,
    members_of_kafkas_own_dialect_are_not_mixed_in,
    what_pykafka_writes_over_is_committed_again,
);

const PARTITIONS: i32 = 8;
const SESSION: Duration = Duration::from_secs(3);
/// How long PyKafka's members try to get a partition: five attempts, with pauses of 0, 2, 4 and 6 s between them.
const PYKAFKA_PATIENCE: Duration = Duration::from_secs(14);

/// A member looks at its owner nodes at least this often.
const AUDITED: Duration = Duration::from_secs(30);

fn group(cluster: &Cluster) -> Result<Group<'_>> {
    Ok(Group::new(cluster, &[PARTITIONS])?
        .session_timeout(SESSION)
        .arguments(&["--dialect", "pykafka", "--commit-interval", "500ms"]))
}

/// Two members of each make come, leave and die. After each change every partition has one owner among those that live, whom
/// PyKafka's rule names, and nothing is lost.
fn members_of_both_makes_share_a_topic(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = group(cluster)?;
    let producers = group.produce(200)?;
    let first = group.enter()?;
    settle(&group, PYKAFKA_PATIENCE)?;
    let snake = group.enter_pykafka()?;
    settle(&group, PYKAFKA_PATIENCE)?;
    let second = group.enter()?;
    settle(&group, PYKAFKA_PATIENCE)?;
    let second_snake = group.enter_pykafka()?;
    settle(&group, PYKAFKA_PATIENCE)?;
    group.wait_for_lines(100)?;

    group.kill(first)?;
    settle(&group, SESSION + PYKAFKA_PATIENCE).context("after the death of a divvy")?;
    leave(&mut group, snake)?;
    settle(&group, PYKAFKA_PATIENCE).context("after PyKafka's member has left")?;
    group.enter()?;
    settle(&group, PYKAFKA_PATIENCE)?;
    group.kill(second_snake)?;
    settle(&group, SESSION + PYKAFKA_PATIENCE).context("after the death of PyKafka's member")?;
    leave(&mut group, second)?;
    settle(&group, PYKAFKA_PATIENCE)?;
    group.nothing_is_lost(producers)
}

/// What one make has read and committed the other one does not read again, in either direction.
fn offsets_carry_over_from_one_make_to_the_other(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = group(cluster)?;
    for turn in 0..4 {
        let first = 1_000_000 * turn;
        let topic = group.topic().to_owned();
        let producer = cluster.produce_numbers_from(first, &topic, 0..PARTITIONS, 400)?;
        let member = if turn % 2 == 0 {
            group.enter()?
        } else {
            group.enter_pykafka()?
        };
        settle(&group, PYKAFKA_PATIENCE)?;
        group.wait_for_lines(400)?;
        let written = producer.stop()?;
        group.wait_until_printed(&topic, &written)?;
        leave(&mut group, member)?;
        let again = group.output.duplicates();
        ensure!(again.is_empty(), "printed twice in turn {turn}: {again:?}");
    }
    Ok(())
}

/// Members of a group of Kafka's own dialect take part in the division of a PyKafka member, each under a second name, and go on in
/// their own when it has left. Nothing is lost on the way.
fn members_follow_a_pykafka_member_and_come_back(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = Group::new(cluster, &[PARTITIONS])?
        .session_timeout(SESSION)
        .arguments(&["--foreign-members", "follow", "--offsets", "dual"]);
    let ours = [group.join()?, group.join()?];
    let producers = group.produce(200)?;
    group.wait_for_lines(200)?;
    let stranger = group.enter_pykafka()?;
    settle_participants(&group, 3)?;
    group.wait_for_lines(200)?;

    leave(&mut group, stranger)?;
    group.settle_from(&[].into(), PYKAFKA_PATIENCE)?;
    ensure!(owners(&group)?.is_empty(), "{:?}", owners(&group)?);
    group.wait_for_lines(200)?;
    let again = group.enter_pykafka()?;
    settle_participants(&group, 3)?;
    group.kill(ours[0])?;
    settle_participants(&group, 2)?;
    leave(&mut group, again)?;
    group.settle_from(&[].into(), PYKAFKA_PATIENCE)?;
    group.nothing_is_lost(producers)?;
    group.leave(ours[1])
}

/// Waits until there are so many participants in PyKafka's dialect, and each partition is claimed by whom PyKafka's rule names.
fn settle_participants(group: &Group<'_>, count: usize) -> Result<()> {
    let (mut ids, mut claimed) = (BTreeMap::new(), BTreeMap::new());
    let settled = wait_some(SESSION + PYKAFKA_PATIENCE, "PyKafka's division", || {
        ids = group.view.ids(&group.name).ok()?;
        claimed = owners(group).ok()?;
        let participants = ids.iter().filter(|(_, data)| *data == group.topic());
        let participants: BTreeSet<String> = participants.map(|(id, _)| id.clone()).collect();
        (participants.len() == count && claimed == expected(&participants)).then_some(())
    });
    settled.with_context(|| format!("registered are {ids:#?}, owners are {claimed:#?}"))
}

/// PyKafka's members name owner nodes after the leaders that they know of, in one directory of two. Wherever somebody claims a
/// partition, and whenever, it is left to him, and taken when he is gone.
fn a_claim_under_any_leaders_name_is_respected(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = group(cluster)?;
    let owner = |directory: &str, name: &str| {
        format!("{}/{name}", paths::topic_owners(&group.name, directory))
    };
    let taken = owner(&format!("b'{}'", group.topic()), "7-3");
    let intruder = owner(group.topic(), "9-5");
    ensure!(group.view.put_ephemeral(&taken, "host:stranger")?);
    let member = group.enter()?;
    let waits = group
        .divvy(member)
        .wait_for_event(PATIENCE, "waiting", |event| event["partition"] == 3)?;
    ensure!(waits.fields["owner"] == "host:stranger", "{waits:?}");
    let stranger = BTreeSet::from(["host:stranger".to_owned()]);
    let others = expected(&BTreeSet::from([group.members[member].id.clone()]));
    let but = |partition| {
        let mut owners = others.clone();
        owners.insert(partition, stranger.clone());
        owners
    };
    let claimed = owners(&group)?;
    ensure!(claimed == but(3), "{claimed:#?}");
    group.view.delete(&taken)?;
    settle(&group, Duration::from_secs(1))?;

    // Whoever writes this does not see the member's claim, and reads whatever the member does.
    ensure!(group.view.put_ephemeral(&intruder, "host:stranger")?);
    let given_up = wait_some(PATIENCE + AUDITED, "the partition to be given up", || {
        (owners(&group).ok()? == but(5)).then_some(())
    });
    given_up.with_context(|| format!("{:#?}", owners(&group)))?;
    group.view.delete(&intruder)?;
    settle(&group, Duration::from_secs(1))
}

/// A PyKafka member commits once more after it has given a partition up: the next owner commits its own position over that.
fn what_pykafka_writes_over_is_committed_again(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let mut group = group(cluster)?;
    let topic = group.topic().to_owned();
    let producer = cluster.produce_numbers(&topic, 0..PARTITIONS, 800)?;
    let member = group.enter()?;
    group.wait_for_lines(200)?;
    group.wait_until_printed(&topic, &producer.stop()?)?;
    let (name, store) = (&group.name, Store::Kafka);
    let mut committed = CommittedWatch::new(cluster, store, name, &topic, PARTITIONS)?;
    committed.watch(Duration::from_secs(2))?;
    commit_late(&group, 0, 1)?;
    group
        .divvy(member)
        .wait_for_event(PATIENCE, "fenced", |event| {
            event["partitions"] == serde_json::json!([0])
        })?;
    committed.look()?;
    let before = committed.steps_back().len();
    committed.watch(Duration::from_secs(1))?;
    ensure!(
        committed.steps_back().len() == before,
        "it is not repaired for good"
    );
    leave(&mut group, member)
}

/// Commits an offset as PyKafka's members do.
fn commit_late(group: &Group<'_>, partition: i32, offset: i64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let metadata = r#"{"consumer_id":"host:stranger","hostname":"host"}"#.to_owned();
    let tp = TopicPartition::new(group.topic(), partition);
    let offsets = BTreeMap::from([(tp.clone(), CommittedOffset { offset, metadata })]);
    runtime.block_on(async {
        let bootstrap = ClientConfig::bootstrap([group.cluster.bootstrap()]);
        let client = Client::connect(bootstrap).await?;
        let coordinator = client.find_coordinator(&group.name).await?;
        let store = BrokerOffsetStore::Kafka;
        let done = client.commit(&coordinator, store, &group.name, &offsets);
        done.await?
            .remove(&tp)
            .context("the answer leaves it out")??;
        Ok(())
    })
}

/// A group of Kafka's own consumers is not entered in PyKafka's dialect, which would stop them all; one that comes into a group of
/// PyKafka's is named.
fn members_of_kafkas_own_dialect_are_not_mixed_in(version: KafkaVersion) -> Result<()> {
    let cluster = Cluster::shared(version)?;
    let group = group(cluster)?;
    let node = paths::group_id(&group.name, "kafka");
    let registration = format!(
        r#"{{"version":1,"subscription":{{"{}":1}},"pattern":"static","timestamp":"1"}}"#,
        group.topic()
    );
    ensure!(group.view.put_ephemeral(&node, &registration)?);
    let refused = group.spawn(&cluster.zookeeper_connect())?;
    ensure!(refused.wait(PATIENCE)?.code() == Some(1));
    let said = refused.stderr().tail(5);
    ensure!(said.contains(&node), "{said}");

    group.view.delete(&node)?;
    let member = group.spawn(&cluster.zookeeper_connect())?;
    member.wait_for_event(PATIENCE, "assigned", |_| true)?;
    ensure!(group.view.put_ephemeral(&node, &registration)?);
    member.wait_for_event(PATIENCE, "error", |event| {
        event["message"]
            .as_str()
            .is_some_and(|said| said.starts_with(&node))
    })?;
    Ok(())
}

/// Asks a member to end and waits until it has left.
fn leave(group: &mut Group<'_>, member: usize) -> Result<()> {
    group.members[member].program.term()?;
    group.members[member].program.wait_success(PATIENCE)?;
    group.members[member].lives = false;
    group.collect()
}

/// Who claims each partition, in either directory.
fn owners(group: &Group<'_>) -> Result<BTreeMap<i32, BTreeSet<String>>> {
    let mut owners: BTreeMap<i32, BTreeSet<String>> = BTreeMap::new();
    for directory in [group.topic().to_owned(), format!("b'{}'", group.topic())] {
        let parent = paths::topic_owners(&group.name, &directory);
        for name in group.view.children(&parent)? {
            // Others are Kafka's own.
            let Some((_, partition)) = name.split_once('-') else {
                continue;
            };
            let owner = group.view.text(&format!("{parent}/{name}"))?;
            let owner = owner.unwrap_or_default();
            owners.entry(partition.parse()?).or_default().insert(owner);
        }
    }
    Ok(owners)
}

/// What PyKafka's range gives each partition of a topic whose leader is one and the same.
fn expected(living: &BTreeSet<String>) -> BTreeMap<i32, BTreeSet<String>> {
    let (each, one_more) = (
        PARTITIONS as usize / living.len(),
        PARTITIONS as usize % living.len(),
    );
    let mut partitions = 0..PARTITIONS;
    let mut expected = BTreeMap::new();
    for (position, id) in living.iter().enumerate() {
        let share = each + usize::from(position < one_more);
        for partition in partitions.by_ref().take(share) {
            expected.insert(partition, BTreeSet::from([id.clone()]));
        }
    }
    expected
}

/// Waits until exactly the members that live are registered, and each partition is claimed by whom PyKafka's rule names, and by
/// nobody else.
fn settle(group: &Group<'_>, within: Duration) -> Result<()> {
    let living = group.members.iter().filter(|member| member.lives);
    let living: BTreeSet<String> = living.map(|member| member.id.clone()).collect();
    let expected = expected(&living);
    let (mut ids, mut claimed) = (BTreeSet::new(), BTreeMap::new());
    let settled = wait_some(within, "every partition to have its one owner", || {
        ids = group.view.ids(&group.name).ok()?.into_keys().collect();
        claimed = owners(group).ok()?;
        (ids == living && claimed == expected).then_some(())
    });
    settled.with_context(|| {
        format!("registered are {ids:#?}, owners are {claimed:#?} and should be {expected:#?}")
    })?;
    ensure!(!claimed.is_empty());
    Ok(())
}
