//! What is wrong with a group, and what to do about it: computed from what was found alone.

use std::collections::BTreeMap;

use divvy_protocol::TopicPartition;

use super::cluster::ClusterView;
use super::lag::{LagChange, list};
use super::view::{Claim, GroupView, MemberKind, PartitionView};
use crate::driver::why_blocked;
use crate::view::PoisonKind;

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Problem {
    /// A member beside which nobody can own anything.
    PoisoningMember,
    /// An owner node of somebody who is no member.
    StaleOwner,
    /// A partition that several members have claimed.
    ClaimedTwice,
    /// A partition without an owner in a live group.
    Orphan,
    /// A stored offset beyond the end of the log.
    OffsetBeyondLog,
    /// A stored offset of messages that the log does not hold any more.
    OffsetBelowLog,
    /// A stored text that is no offset.
    UnreadableOffset,
    /// Both stores have an offset, and not the same.
    StoresDisagree,
    /// A topic that does not exist.
    MissingTopic,
    /// A node whose ACL forbids what members do there.
    NotAllowed,
    /// A partition that no broker leads.
    NoLeader,
    /// A broker that answers and is not registered.
    UnregisteredBroker,
    /// A broker that is not registered, and did not answer where it was looked for.
    MissingBroker,
    /// Brokers that did not say what was asked of them.
    NoAnswer,
    /// Messages come faster than they are finished.
    GrowingLag,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of trouble it is.
    pub problem: Problem,
    /// What it is about: a node, a partition, a broker, the group.
    pub subject: String,
    /// What was found.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Problem {
    /// The name for tables and JSON, such as `stale-owner`.
    pub fn name(self) -> &'static str {
        match self {
            Self::PoisoningMember => "poisoning-member",
            Self::StaleOwner => "stale-owner",
            Self::ClaimedTwice => "claimed-twice",
            Self::Orphan => "orphan",
            Self::OffsetBeyondLog => "offset-beyond-log",
            Self::OffsetBelowLog => "offset-below-log",
            Self::UnreadableOffset => "unreadable-offset",
            Self::StoresDisagree => "stores-disagree",
            Self::MissingTopic => "missing-topic",
            Self::NotAllowed => "not-allowed",
            Self::NoLeader => "no-leader",
            Self::UnregisteredBroker => "unregistered-broker",
            Self::MissingBroker => "missing-broker",
            Self::NoAnswer => "no-answer",
            Self::GrowingLag => "growing-lag",
        }
    }
}

impl Finding {
    fn new(
        problem: Problem,
        subject: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            problem,
            subject: subject.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// Everything that is wrong with a group by one look.
pub fn diagnose(view: &GroupView, cluster: &ClusterView) -> Vec<Finding> {
    let mut findings = members(view);
    findings.extend(nodes(view));
    findings.extend(orphans(view));
    for (tp, partition) in &view.partitions {
        findings.extend(claims(view, tp, partition));
        findings.extend(offsets(tp, partition));
        findings.extend(leader(tp, partition));
    }
    findings.extend(brokers(view, cluster));
    findings.extend(unanswered(view));
    findings
}

/// What two looks have both found, as the second found it, and why lag grows between them. A group that is just sharing its
/// partitions out anew looks odd for a moment.
pub fn confirmed(before: &[Finding], after: Vec<Finding>, lag: &LagChange) -> Vec<Finding> {
    let known = |finding: &Finding| {
        let same = |other: &Finding| {
            (other.problem, &other.subject) == (finding.problem, &finding.subject)
        };
        before.iter().any(same)
    };
    let mut findings: Vec<Finding> = after.into_iter().filter(known).collect();
    if let Some(reason) = lag.reason() {
        let left = lag.partitions.values().map(|growth| growth.lag.max(0));
        let what = format!(
            "{:.1} messages a second come, {:.1} are finished, and {} are left",
            lag.produced(),
            lag.consumed().max(0.0),
            left.fold(0_i64, i64::saturating_add)
        );
        let remedy = reason.to_string();
        findings.push(Finding::new(Problem::GrowingLag, "the group", what, remedy));
    }
    findings
}

fn members(view: &GroupView) -> Vec<Finding> {
    let finding = |member: &super::GroupMember| {
        let kind = match member.kind {
            MemberKind::PyKafka | MemberKind::DivvyAsPyKafka => PoisonKind::PyKafka,
            _ => PoisonKind::Garbage,
        };
        let node = divvy_zookeeper::paths::group_id(&view.group, &member.consumer_id);
        let host = member.host.as_deref();
        let host = host
            .map(|host| format!(" on host {host}"))
            .unwrap_or_default();
        let (why, remedy) = split(why_blocked(kind));
        let what = format!("{why}{host}; it says `{}`", member.data);
        Finding::new(Problem::PoisoningMember, node, what, remedy)
    };
    view.poisoning().into_iter().map(finding).collect()
}

/// What is the matter, and what to do, of a text that says both.
fn split(text: &str) -> (&str, &str) {
    text.rsplit_once(". ").unwrap_or((text, ""))
}

fn nodes(view: &GroupView) -> Vec<Finding> {
    let forbidden = view.forbidden.iter().map(|node| {
        Finding::new(
            Problem::NotAllowed,
            node.as_str(),
            "its ACL forbids what every member does there",
            "Give the members the identity that made it, or have that identity open it to all: in ZooKeeper's shell, `setAcl NODE world:anyone:cdrwa`",
        )
    });
    let missing = view.missing_topics.iter().map(|topic| {
        let group = &view.group;
        let remedy = format!(
            "Create it with `divvy topic create`; or subscribe it no more, and delete what is left of it: in ZooKeeper's shell, `rmr /consumers/{group}/offsets/{topic}` and `rmr /consumers/{group}/owners/{topic}`"
        );
        let what = "the group subscribes it or has offsets of it, and there is no such topic";
        Finding::new(Problem::MissingTopic, &**topic, what, remedy)
    });
    forbidden.chain(missing).collect()
}

fn orphans(view: &GroupView) -> Vec<Finding> {
    let mut by_topic: BTreeMap<&str, Vec<TopicPartition>> = BTreeMap::new();
    for tp in view.orphans() {
        by_topic.entry(&*tp.topic).or_default().push(tp.clone());
    }
    let remedy = match view.poisoning().is_empty() {
        true => {
            "A member has given up, or shares out by another rule: restart the members that own too little, which `divvy group describe` shows, or let a divvy member run with --nudge"
        }
        false => "Nobody can own anything before the poisoning member is gone",
    };
    let finding = |(topic, partitions): (&str, Vec<TopicPartition>)| {
        let what = format!("nobody owns {}", list(&partitions));
        Finding::new(Problem::Orphan, topic, what, remedy)
    };
    by_topic.into_iter().map(finding).collect()
}

fn claims(view: &GroupView, tp: &TopicPartition, partition: &PartitionView) -> Vec<Finding> {
    let strangers = partition.claims.iter();
    let strangers = strangers.filter(|claim| view.member(&claim.owner).is_none());
    let mut findings: Vec<Finding> = strangers.map(stale).collect();
    let mut owners: Vec<&str> = partition.claims.iter().map(|claim| &*claim.owner).collect();
    owners.sort_unstable();
    owners.dedup();
    if owners.len() > 1 {
        let what = format!("it is claimed by {}", owners.join(" and "));
        let remedy = "They do not see each other's claims: keep to one client, or to one version of Python, in a group";
        findings.push(Finding::new(
            Problem::ClaimedTwice,
            tp.to_string(),
            what,
            remedy,
        ));
    }
    findings
}

fn stale(claim: &Claim) -> Finding {
    let who = format!("it names {}, which is not registered", claim.owner);
    let (what, remedy) = match claim.session {
        0 => (
            format!("{who}, and it is not ephemeral"),
            format!(
                "It never goes by itself and keeps everybody from the partition: in ZooKeeper's shell, `delete {}`",
                claim.node
            ),
        ),
        session => (
            who,
            format!(
                "It goes by itself when session 0x{session:x} ends; if it is still there in a minute, the client of that session lives: ask the ZooKeeper servers `cons` for its address, and end it"
            ),
        ),
    };
    Finding::new(Problem::StaleOwner, claim.node.as_str(), what, remedy)
}

fn offsets(tp: &TopicPartition, partition: &PartitionView) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |problem, what: String, remedy: &str| {
        findings.push(Finding::new(problem, tp.to_string(), what, remedy));
    };
    if let Some(text) = &partition.no_offset {
        let what = format!("its offset in ZooKeeper is `{text}`");
        let remedy = "It counts as none, so that reading begins by the reset policy; set it with `divvy offsets set`";
        add(Problem::UnreadableOffset, what, remedy);
    }
    if let (Some(committed), Some(start), Some(end)) = (
        partition.committed(),
        partition.log_start,
        partition.log_end,
    ) {
        if committed > end {
            let what = format!("offset {committed} is stored and the log ends at {end}");
            let remedy = "The topic was made anew or cut off: what comes before that offset would be left out by some clients; stop the members, and move the group with `divvy group reset --to earliest`, or to where it should go on";
            add(Problem::OffsetBeyondLog, what, remedy);
        }
        if committed < start {
            let what = format!(
                "offset {committed} is stored and the log begins at {start}: {} messages are gone unread",
                start - committed
            );
            let remedy = "Retention was faster than the group: read faster, or keep more (retention.ms, retention.bytes); reading goes on by the reset policy";
            add(Problem::OffsetBelowLog, what, remedy);
        }
    }
    if let (Some(here), Some(kafka)) = (partition.in_zookeeper, partition.in_kafka)
        && here.offset != kafka
    {
        let what = format!("ZooKeeper has offset {} and Kafka {kafka}", here.offset);
        let remedy = "Members that keep offsets in both begin at the larger one, others at their own: find out which store the members use (`--offsets`, `offsets.storage`), and set the other one to it with `divvy offsets set`";
        add(Problem::StoresDisagree, what, remedy);
    }
    findings
}

fn leader(tp: &TopicPartition, partition: &PartitionView) -> Option<Finding> {
    let replicas: Vec<String> = partition.replicas.iter().map(i32::to_string).collect();
    partition.leader.is_none().then(|| {
        Finding::new(
            Problem::NoLeader,
            tp.to_string(),
            "no broker leads it, so that nobody can read or write it",
            format!(
                "Start one of the brokers that hold it: {}",
                replicas.join(", ")
            ),
        )
    })
}

fn brokers(view: &GroupView, cluster: &ClusterView) -> Vec<Finding> {
    let lost = cluster.unregistered.iter().map(|(id, address)| {
        Finding::new(
            Problem::UnregisteredBroker,
            format!("broker {id}"),
            format!("it answers at {address} and is not registered in ZooKeeper (KAFKA-1387), so that it leads nothing and its partitions may have no leader"),
            "Restart it: it registers only when it starts or its session is new",
        )
    });
    let replicas = view
        .partitions
        .values()
        .flat_map(|partition| &partition.replicas);
    let mut missing: Vec<i32> = replicas
        .filter(|id| !cluster.registered.contains(id) && !cluster.unregistered.contains_key(id))
        .copied()
        .collect();
    missing.sort_unstable();
    missing.dedup();
    let missing = missing.into_iter().map(|id| {
        Finding::new(
            Problem::MissingBroker,
            format!("broker {id}"),
            "it holds partitions of the group and is not registered in ZooKeeper",
            "Start it; if it runs, name its address with --bootstrap to see whether it answers (KAFKA-1387)",
        )
    });
    lost.chain(missing).collect()
}

/// What is not known of partitions that have a leader: nothing else that is found out speaks of it.
fn unanswered(view: &GroupView) -> Vec<Finding> {
    let mut by_trouble: BTreeMap<&str, Vec<TopicPartition>> = BTreeMap::new();
    for (tp, partition) in &view.partitions {
        if let (Some(_), Some(trouble)) = (partition.leader, &partition.trouble) {
            by_trouble.entry(trouble).or_default().push(tp.clone());
        }
    }
    let finding = |(trouble, partitions): (&str, Vec<TopicPartition>)| {
        Finding::new(
            Problem::NoAnswer,
            list(&partitions),
            format!("logs or offsets there are not known: {trouble}"),
            "See whether the broker runs, can be reached from here, and is not overloaded: members have the same trouble with it",
        )
    };
    by_trouble.into_iter().map(finding).collect()
}
