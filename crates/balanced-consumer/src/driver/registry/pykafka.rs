//! The nodes of a group as PyKafka's balanced consumer keeps them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use divvy_protocol::TopicPartition;
use divvy_zookeeper::documents::{PartitionState, Registration};
use divvy_zookeeper::{Create, Node, Result, Stat, paths};

use super::{ATTEMPTS, Meaning, Own, Registry};
use crate::assignor::{ConsumerThreadId, Subscription, TopicPartitions, pykafka_order};
use crate::dialect::OwnerDirectories;
use crate::machine::{Owners, Ownership, SessionEvent, Token};
use crate::view::View;

/// A group in dialect PyKafka, as one member uses it within one session.
///
/// A registration is the bare name of a topic, and an owner node is named `<leader>-<partition>`. PyKafka takes the leaders that it
/// happens to know, so a partition is claimed by any node of that partition, whatever leader its name begins with.
#[derive(Debug)]
pub(in crate::driver) struct PyKafkaRegistry {
    own: Own,
    topic: String,
    directories: Vec<String>,
    /// Whether members of Kafka's own dialect belong to the group as well.
    beside_java: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The data of the registrations. Nobody changes one.
    known: BTreeMap<String, Vec<u8>>,
    attempt: Attempt,
    /// The nodes of each claim, the one whose `czxid` is the token first.
    claims: BTreeMap<i32, Vec<Claimed>>,
}

/// What the assignment was last computed from.
///
/// PyKafka's members compute it when one of these lists changes and at no other time. Leaders that move in between would make this
/// member alone change its mind, so they are read when it is computed and kept until then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Attempt {
    ids: Vec<String>,
    brokers: Vec<String>,
    topics: Vec<String>,
    /// The leader of each partition, as far as there was ever one.
    leaders: BTreeMap<i32, i32>,
}

#[derive(Clone, Debug)]
struct Claimed {
    path: String,
    czxid: i64,
}

impl PyKafkaRegistry {
    pub(in crate::driver) fn new(own: Own, topic: String, directories: OwnerDirectories) -> Self {
        Self {
            own,
            directories: directories.names(&topic),
            topic,
            beside_java: false,
            state: Mutex::default(),
        }
    }

    pub(in crate::driver) fn beside_java(self, beside_java: bool) -> Self {
        Self {
            beside_java,
            ..self
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The members of the topic: those whose registration is its name, byte for byte.
    async fn participants(&self, ids: &[String]) -> Result<Vec<String>> {
        let mut known = {
            let mut state = self.state();
            state.known.retain(|id, _| ids.contains(id));
            state.known.clone()
        };
        let unread = ids.iter().filter(|id| !known.contains_key(*id)).cloned();
        let group = &self.own.group;
        let path = |id: &str| paths::group_id(group, id);
        let read = self.own.session.get_each(unread.collect(), path).await?;
        known.extend(read.into_iter().map(|(id, node)| (id, node.data)));
        self.state().known.clone_from(&known);
        let of_topic = |data: &[u8]| data == self.topic.as_bytes();
        let participants = known.into_iter().filter(|(_, data)| of_topic(data));
        Ok(participants.map(|(id, _)| id).collect())
    }

    /// The nodes of members of Kafka's own dialect, where they do not belong to the group. One without a subscription takes no part
    /// anywhere.
    fn misplaced(&self) -> Vec<String> {
        if self.beside_java {
            return Vec::new();
        }
        let state = self.state();
        let known = state.known.iter();
        let is_java = |data: &[u8]| {
            let registration = Registration::parse(data);
            registration.is_ok_and(|registration| !registration.subscription.is_empty())
        };
        known
            .filter(|(_, data)| is_java(data))
            .map(|(id, _)| paths::group_id(&self.own.group, id))
            .collect()
    }

    /// The partitions with their leaders; `None` where there is no such topic.
    async fn leaders(&self, ids: Vec<String>) -> Result<Option<BTreeMap<i32, i32>>> {
        let session = &self.own.session;
        let brokers = session.children_watched(paths::BROKER_IDS).await?;
        let attempt = Attempt {
            ids,
            brokers: brokers.map(|found| found.names).unwrap_or_default(),
            topics: session.topics_watched().await?,
            leaders: BTreeMap::new(),
        };
        let Some(topic) = session.topic_watched(&self.topic).await? else {
            return Ok(None);
        };
        let last = self.state().attempt.clone();
        let unchanged = Attempt {
            leaders: BTreeMap::new(),
            ..last.clone()
        } == attempt;
        if unchanged && topic.partitions.keys().eq(last.leaders.keys()) {
            return Ok(Some(last.leaders));
        }
        let names = topic.partitions.keys().map(ToString::to_string).collect();
        let path = |partition: &str| {
            let partition = partition.parse().unwrap_or(-1);
            paths::partition_state(&self.topic, partition)
        };
        let mut leaders = last.leaders;
        leaders.retain(|partition, _| topic.partitions.contains_key(partition));
        for (partition, node) in session.get_each(names, path).await? {
            let leader = PartitionState::parse(&node.data).ok();
            // While a partition has no leader, PyKafka goes on with the one that it knew.
            if let (Ok(partition), Some(leader)) =
                (partition.parse(), leader.and_then(|state| state.leader))
            {
                leaders.insert(partition, leader);
            }
        }
        let attempt = Attempt {
            leaders: leaders.clone(),
            ..attempt
        };
        self.state().attempt = attempt;
        Ok(Some(leaders))
    }

    fn directory(&self, name: &str) -> String {
        paths::topic_owners(&self.own.group, name)
    }

    /// Every owner node of a partition, in either directory and with any leader.
    async fn claims(&self, partition: i32) -> Result<Vec<(String, Node)>> {
        let session = &self.own.session;
        let mut claims = Vec::new();
        for name in &self.directories {
            let directory = self.directory(name);
            let Some(children) = session.children(&directory).await? else {
                continue;
            };
            let mut names = children.names;
            names.retain(|name| partition_of(name) == Some(partition));
            let path = |name: &str| format!("{directory}/{name}");
            let nodes = session.get_each(names, path).await?;
            claims.extend(nodes.into_iter().map(|(name, node)| (path(&name), node)));
        }
        Ok(claims)
    }

    fn is_own(&self, node: &Node) -> bool {
        node.data == self.own.consumer_id.as_bytes()
    }

    fn is_of_session(&self, stat: &Stat) -> bool {
        stat.ephemeral_owner == self.own.session.id()
    }

    /// Deletes what this member has of a partition, but for the nodes of these paths if they are of this session.
    async fn clear(&self, claims: &[(String, Node)], but: &[String]) -> Result<()> {
        for (path, node) in claims {
            let kept = but.contains(path) && self.is_of_session(&node.stat);
            if self.is_own(node) && !kept {
                self.own
                    .session
                    .delete(path, Some(node.stat.version))
                    .await?;
            }
        }
        Ok(())
    }

    /// Creates the nodes of a claim; `None` where somebody else has one of them.
    async fn create(&self, wanted: &[String]) -> Result<Option<Vec<Claimed>>> {
        let mut claimed = Vec::new();
        for path in wanted {
            let data = self.own.consumer_id.as_bytes();
            match self.own.session.create_ephemeral(path, data).await? {
                Create::Created(stat) => claimed.push(Claimed {
                    path: path.clone(),
                    czxid: stat.czxid,
                }),
                Create::Exists(_) => return Ok(None),
            }
        }
        Ok(Some(claimed))
    }

    /// Whether the nodes of a claim are there as they were created. Watches them.
    async fn stands(&self, claimed: &[Claimed]) -> Result<bool> {
        for Claimed { path, czxid } in claimed {
            let stat = self.own.session.exists_watched(path).await?;
            if !stat.is_some_and(|stat| stat.czxid == *czxid && self.is_of_session(&stat)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[async_trait]
impl Registry for PyKafkaRegistry {
    fn own(&self) -> &Own {
        &self.own
    }

    fn owner_path(&self, tp: &TopicPartition) -> String {
        let state = self.state();
        let claimed = state.claims.get(&tp.partition).and_then(|all| all.first());
        // Nothing is there without a claim.
        claimed.map_or_else(
            || paths::owner(&self.own.group, &tp.topic, tp.partition),
            |claimed| claimed.path.clone(),
        )
    }

    fn meaning(&self, path: &str) -> Meaning {
        if path == paths::group_ids(&self.own.group)
            || path == paths::BROKER_IDS
            || path.starts_with(paths::TOPICS)
        {
            return Meaning::Group;
        }
        let owner = self.directories.iter().find_map(|name| {
            let node = path.strip_prefix(&self.directory(name))?;
            partition_of(node.strip_prefix('/')?)
        });
        match owner {
            Some(partition) => Meaning::Owner(TopicPartition::new(self.topic.as_str(), partition)),
            None => Meaning::Nothing,
        }
    }

    async fn view(&self) -> Result<View> {
        let (ids, ids_zxid) = self.own.ids_watched().await?;
        let participants = self.participants(&ids).await?;
        let subscription = Subscription::from([(self.topic.as_str().into(), 1)]);
        let leaders = self.leaders(ids).await?;
        let partitions =
            leaders.map(|leaders| (self.topic.as_str().into(), pykafka_order(leaders)));
        let is_ours = |id: &&String| paths::is_own_pykafka_consumer_id(id);
        let ours = participants.iter().filter(is_ours);
        Ok(View {
            ours: ours.map(|id| id.as_str().into()).collect(),
            ids_zxid,
            misplaced: self.misplaced(),
            members: participants
                .into_iter()
                .map(|id| (id, subscription.clone()))
                .collect(),
            partitions: TopicPartitions::from_iter(partitions),
            registration: self.own.registration().await?,
            ..View::default()
        })
    }

    async fn owners(&self) -> Result<Owners> {
        let mut owners = Owners {
            ids_zxid: self.own.ids_zxid().await?,
            ..Owners::default()
        };
        for name in &self.directories {
            for (name, text) in self.own.owner_nodes(name).await? {
                if let Some(partition) = partition_of(&name) {
                    let tp = TopicPartition::new(self.topic.as_str(), partition);
                    owners.owners.insert(tp, text);
                }
            }
        }
        Ok(owners)
    }

    async fn claim(&self, tp: &TopicPartition, _: &ConsumerThreadId) -> Result<SessionEvent> {
        let leader = self.state().attempt.leaders.get(&tp.partition).copied();
        let Some(leader) = leader else {
            return Ok(SessionEvent::ClaimFailed {
                tp: tp.clone(),
                error: format!("{tp} has no leader that its owner node could be named after"),
            });
        };
        let path = |name: &String| format!("{}/{leader}-{}", self.directory(name), tp.partition);
        let wanted: Vec<String> = self.directories.iter().map(path).collect();
        for _ in 0..ATTEMPTS {
            let found = self.claims(tp.partition).await?;
            if found.iter().all(|(_, node)| self.is_own(node)) {
                // What is left of this member's earlier sessions, and of leaders before.
                self.clear(&found, &wanted).await?;
                if let Some(claimed) = self.create(&wanted).await? {
                    // Another member may have claimed under another leader's name, or in the second directory, meanwhile.
                    let found = self.claims(tp.partition).await?;
                    let alone = found.iter().all(|(_, node)| self.is_own(node));
                    if alone && self.stands(&claimed).await? {
                        let token = Token(claimed.first().map_or(0, |first| first.czxid));
                        self.state().claims.insert(tp.partition, claimed);
                        let tp = tp.clone();
                        return Ok(SessionEvent::Claimed { tp, token });
                    }
                }
            }
            let found = self.claims(tp.partition).await?;
            let other = found.iter().find(|(_, node)| !self.is_own(node));
            if let Some((path, node)) = other {
                self.clear(&found, &[]).await?;
                if self.own.session.exists_watched(path).await?.is_some() {
                    return Ok(SessionEvent::ClaimRefused {
                        tp: tp.clone(),
                        owner: String::from_utf8_lossy(&node.data).into_owned(),
                    });
                }
            }
        }
        Ok(SessionEvent::ClaimFailed {
            tp: tp.clone(),
            error: format!("the owner nodes of {tp} change faster than they can be looked at"),
        })
    }

    async fn release(
        &self,
        tp: &TopicPartition,
        _: Option<Token>,
        _: &str,
    ) -> Result<SessionEvent> {
        // A partition has one claim at a time, so whatever is of this session belongs to this one.
        for (path, node) in self.claims(tp.partition).await? {
            if self.is_of_session(&node.stat) {
                let version = Some(node.stat.version);
                self.own.session.delete(&path, version).await?;
            }
        }
        self.state().claims.remove(&tp.partition);
        Ok(SessionEvent::Released { tp: tp.clone() })
    }

    async fn check_owner(&self, tp: &TopicPartition, token: Token) -> Result<SessionEvent> {
        let claimed = self.state().claims.get(&tp.partition).cloned();
        let claimed = claimed.filter(|all| all.first().is_some_and(|one| one.czxid == token.0));
        let stands = match claimed {
            Some(claimed) => self.stands(&claimed).await?,
            None => false,
        };
        // A PyKafka member that took another broker for the leader does not see this member's claim, and goes on whatever this
        // member does.
        let found = self.claims(tp.partition).await?;
        let other = found.iter().find(|(_, node)| !self.is_own(node));
        let ownership = match other {
            Some((_, node)) => Ownership::Foreign {
                owner: String::from_utf8_lossy(&node.data).into_owned(),
            },
            None if stands => Ownership::Ours,
            None => Ownership::Gone,
        };
        Ok(SessionEvent::OwnerChecked {
            tp: tp.clone(),
            token,
            ownership,
        })
    }
}

/// The partition that an owner node is for: what follows the first `-` of `<leader>-<partition>`.
fn partition_of(name: &str) -> Option<i32> {
    name.split_once('-')?.1.parse().ok()
}
