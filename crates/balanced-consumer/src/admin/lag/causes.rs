//! Which reason it is that lag grows: computed from two looks, from the evidence that leaves least doubt to that which leaves most.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use divvy_protocol::TopicPartition;

use super::{Growth, LagChange, LagReason, SLACK};

/// How many times as much as the others a partition gets that is called hot.
const HOT: f64 = 2.0;

/// How long a broker that is well never takes to say where its logs end, twice in a row.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

impl LagChange {
    /// Why the group falls behind; none if it does not.
    ///
    /// Offsets alone do not tell a slow broker from a slow reader of what it leads. What does is how long the broker takes for a
    /// trifle, and else that several members are slow at this broker and nobody at others.
    pub fn reason(&self) -> Option<LagReason> {
        if !self.grows() {
            return None;
        }
        let causes = [
            Self::nobody_reads,
            Self::broker_answers_slowly,
            Self::stands_still,
            Self::broker_reads_slowly,
            Self::slow_member,
        ];
        let cause = causes.iter().find_map(|cause| cause(self));
        cause.or_else(|| self.too_few())
    }

    fn behind(&self) -> impl Iterator<Item = (&TopicPartition, &Growth)> {
        let partitions = self.partitions.iter();
        partitions.filter(|(_, growth)| growth.falls_behind())
    }

    /// The partitions that show that others manage: what is produced there is read.
    fn in_time(&self) -> impl Iterator<Item = &Growth> {
        let read = |growth: &&Growth| !growth.falls_behind() && growth.produced > 0.0;
        self.partitions.values().filter(read)
    }

    fn nobody_reads(&self) -> Option<LagReason> {
        if !self.is_live {
            return Some(LagReason::NotRunning);
        }
        let partitions = names(self.behind().filter(|(_, growth)| growth.owner.is_none()));
        (!partitions.is_empty()).then_some(LagReason::NoReader { partitions })
    }

    /// A broker that takes long for a trifle is slow, whatever else may be the matter.
    fn broker_answers_slowly(&self) -> Option<LagReason> {
        let leaders = self.behind().filter_map(|(_, growth)| growth.leader);
        let answered = leaders.filter_map(|id| Some((*self.answered_in.get(&id)?, id)));
        let (answered_in, broker) = answered.max()?;
        (answered_in >= SLOW_ANSWER).then(|| LagReason::SlowBroker {
            broker,
            partitions: names(self.behind().filter(|(_, g)| g.leader == Some(broker))),
            answered_in: Some(answered_in),
        })
    }

    fn stands_still(&self) -> Option<LagReason> {
        let still: Vec<_> = self.behind().filter(|(_, g)| g.stands_still()).collect();
        if still.is_empty() {
            return None;
        }
        let members: BTreeSet<_> = still.iter().filter_map(|(_, g)| g.member.clone()).collect();
        Some(LagReason::StandsStill {
            partitions: names(still),
            members: members.into_iter().collect(),
            others_advance: !self.partitions.values().all(Growth::stands_still),
            within: self.elapsed,
        })
    }

    /// One broker's partitions are behind, whoever reads them, and those of the other brokers are read faster.
    fn broker_reads_slowly(&self) -> Option<LagReason> {
        let leaders: BTreeSet<_> = self.behind().map(|(_, growth)| growth.leader).collect();
        let members: BTreeSet<_> = self.behind().map(|(_, growth)| &growth.member).collect();
        let &Some(broker) = only(&leaders)? else {
            return None;
        };
        // A broker that gives some partitions in time is not slow.
        let gives_in_time = self.in_time().any(|growth| growth.leader == Some(broker));
        let elsewhere = mean(self.in_time().map(|growth| growth.consumed))?;
        let here = mean(self.behind().map(|(_, growth)| growth.consumed))?;
        (!gives_in_time && members.len() > 1 && elsewhere > here).then(|| LagReason::SlowBroker {
            broker,
            partitions: names(self.behind()),
            answered_in: None,
        })
    }

    /// One member's partitions are behind, and somebody else finishes more than it does: it has not just more to do.
    fn slow_member(&self) -> Option<LagReason> {
        let members: BTreeSet<_> = self.behind().map(|(_, growth)| &growth.member).collect();
        let member = (*only(&members)?).as_ref()?;
        let mut finished: BTreeMap<&str, f64> = BTreeMap::new();
        for growth in self.partitions.values() {
            if let Some(member) = &growth.member {
                *finished.entry(member).or_default() += growth.consumed;
            }
        }
        let own = finished.remove(member.as_str())?;
        let best = finished.into_values().max_by(f64::total_cmp)?;
        (best > own).then(|| LagReason::SlowMember {
            member: member.clone(),
            partitions: names(self.behind()),
            finishes: own,
            another: best,
        })
    }

    /// Everybody who has enough to do is behind: more of them would do, as far as there are partitions for them. Streams share each
    /// topic by itself.
    fn too_few(&self) -> Option<LagReason> {
        let topic = self.worst_topic()?;
        let partitions = self.partitions.iter().filter(|(tp, _)| tp.topic == topic);
        let partitions: Vec<_> = partitions.collect();
        let mut streams: BTreeMap<&str, (f64, bool)> = BTreeMap::new();
        for (_, growth) in &partitions {
            if let Some(owner) = &growth.owner {
                let (finished, is_busy) = streams.entry(owner).or_default();
                *finished += growth.consumed;
                *is_busy |= growth.falls_behind();
            }
        }
        // Whoever is in time would do more if there were more.
        let busy = streams.values().filter(|(_, is_busy)| *is_busy);
        let rate = mean(busy.map(|(finished, _)| *finished)).filter(|rate| *rate > 0.0)?;
        let have = streams.len();
        let loads: Vec<f64> = partitions.iter().map(|(_, g)| g.produced).collect();
        let limit = self.partition_counts.get(&topic).copied().unwrap_or(0);
        let enough = |streams: &usize| busiest(&loads, *streams) * (1.0 + SLACK) <= rate;
        if let Some(need) = (have + 1..=limit).find(enough) {
            return Some(LagReason::TooFewMembers {
                topic,
                have,
                need,
                rate,
            });
        }
        // Not even a reader of its own would do for one partition at least.
        let produced: f64 = loads.iter().sum();
        let hottest = partitions.iter();
        let (tp, hot) = hottest.max_by(|a, b| a.1.produced.total_cmp(&b.1.produced))?;
        let others = produced - hot.produced;
        if loads.len() > 1 && hot.produced >= HOT * others / (loads.len() - 1) as f64 {
            return Some(LagReason::HotPartition {
                tp: (*tp).clone(),
                share: hot.produced / produced,
            });
        }
        // Saturates where hardly anything is finished.
        let need = ((produced * (1.0 + SLACK) / rate).ceil() as usize).max(limit + 1);
        Some(LagReason::TooFewPartitions {
            topic,
            partitions: limit,
            need,
            rate,
        })
    }

    /// The topic of whose partitions those that fall behind do so fastest, taken together.
    fn worst_topic(&self) -> Option<Arc<str>> {
        let mut topics: BTreeMap<&Arc<str>, f64> = BTreeMap::new();
        for (tp, growth) in self.behind() {
            *topics.entry(&tp.topic).or_default() += growth.growth();
        }
        let worst = topics.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        worst.map(|(topic, _)| Arc::clone(topic))
    }
}

/// How much the stream gets that gets most, where so many share partitions with these loads as [`Range`](crate::Range) does: in
/// runs, the first of which are longer by one where it does not come out even.
fn busiest(loads: &[f64], streams: usize) -> f64 {
    let (Some(each), Some(longer)) = (
        loads.len().checked_div(streams),
        loads.len().checked_rem(streams),
    ) else {
        return f64::INFINITY;
    };
    let (long, short) = loads.split_at(longer * (each + 1));
    let long = long.chunks(each + 1);
    let runs = long.chain(short.chunks(each.max(1)));
    runs.map(|run| run.iter().sum()).fold(0.0, f64::max)
}

fn names<'a>(
    partitions: impl IntoIterator<Item = (&'a TopicPartition, &'a Growth)>,
) -> Vec<TopicPartition> {
    let partitions = partitions.into_iter();
    partitions.map(|(tp, _)| tp.clone()).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn only<T: Ord>(set: &BTreeSet<T>) -> Option<&T> {
    match set.len() {
        1 => set.first(),
        _ => None,
    }
}
