//! The nodes of a group as Kafka's own high-level consumer keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use divvy_protocol::TopicPartition;
use divvy_zookeeper::documents::{Member, Pattern, Registration};
use divvy_zookeeper::{Create, Delete, DeleteChecked, Node, Result, paths};

use super::entry::names_topic;
use super::{ATTEMPTS, Meaning, Own, Registry, SHOWN_DATA};
use crate::assignor::{ConsumerThreadId, Subscription, TopicPartitions};
use crate::dialect::CLIENT;
use crate::driver::Subscribed;
use crate::machine::{Owners, Ownership, SessionEvent, Token};
use crate::topic_filter::TopicFilter;
use crate::view::{PoisonKind, PoisonMember, View};

/// A group in dialect Java, as one member uses it within one session.
#[derive(Debug)]
pub(in crate::driver) struct JavaRegistry {
    own: Own,
    /// The topics that the member subscribes.
    topics: Subscribed,
    /// Registrations by consumer id. A member never changes its own, because others do not watch it.
    known: Mutex<BTreeMap<String, Registration>>,
}

impl JavaRegistry {
    pub(in crate::driver) fn new(own: Own, topics: Subscribed) -> Self {
        Self {
            own,
            topics,
            known: Mutex::default(),
        }
    }

    async fn partitions(&self) -> Result<TopicPartitions> {
        let mut partitions = TopicPartitions::new();
        let topics: Vec<Arc<str>> = match &self.topics {
            Subscribed::Named(topics) => topics.clone(),
            Subscribed::Matching(filter) => {
                let topics = self.own.session.topics_watched().await?;
                let matching = topics.into_iter().filter(|topic| filter.allows(topic));
                matching.map(Arc::from).collect()
            }
        };
        for topic in topics {
            if let Some(found) = self.own.session.topic_watched(&topic).await? {
                let ids = found.partitions.into_keys().collect();
                partitions.insert(topic, ids);
            }
        }
        Ok(partitions)
    }

    /// The registrations of all members that Java can parse; the others are noted in the view.
    async fn registrations(
        &self,
        ids: Vec<String>,
        view: &mut View,
    ) -> Result<BTreeMap<String, Registration>> {
        let mut registrations = BTreeMap::new();
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|id, _| ids.contains(id));
            registrations.extend(known.clone());
        }
        let unread: Vec<String> = ids
            .into_iter()
            .filter(|id| !registrations.contains_key(id))
            .collect();
        let group = &self.own.group;
        let nodes = self
            .own
            .session
            .get_each(unread, |id| paths::group_id(group, id))
            .await?;
        for (id, node) in nodes {
            if let Some(registration) = self.classify(&id, &node, view).await? {
                registrations.insert(id, registration);
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone_from(&registrations);
        Ok(registrations)
    }

    async fn classify(
        &self,
        id: &str,
        node: &Node,
        view: &mut View,
    ) -> Result<Option<Registration>> {
        let text = String::from_utf8_lossy(&node.data);
        let is_topic = names_topic(&self.own.session, node).await?;
        let kind = match Member::parse(&node.data, |_| is_topic) {
            Member::Registered(registration) => return Ok(Some(registration)),
            Member::InProgress => {
                view.registering.push(id.to_owned());
                return Ok(None);
            }
            Member::PyKafka { .. } => PoisonKind::PyKafka,
            Member::Garbage { .. } => PoisonKind::Garbage,
        };
        view.poison.push(PoisonMember {
            node: paths::group_id(&self.own.group, id),
            data: text.chars().take(SHOWN_DATA).collect(),
            kind,
        });
        Ok(None)
    }
}

#[async_trait]
impl Registry for JavaRegistry {
    fn own(&self) -> &Own {
        &self.own
    }

    fn owner_path(&self, tp: &TopicPartition) -> String {
        paths::owner(&self.own.group, &tp.topic, tp.partition)
    }

    fn meaning(&self, path: &str) -> Meaning {
        if path == paths::group_ids(&self.own.group) || path.starts_with(paths::TOPICS) {
            return Meaning::Group;
        }
        match partition_of(&self.own.group, path) {
            Some(tp) => Meaning::Owner(tp),
            None => Meaning::Nothing,
        }
    }

    async fn view(&self) -> Result<View> {
        let (ids, ids_zxid) = self.own.ids_watched().await?;
        let mut view = View {
            registration: self.own.registration().await?,
            ids_zxid,
            partitions: self.partitions().await?,
            ..View::default()
        };
        let registrations = self.registrations(ids, &mut view).await?;
        let patterns = registrations
            .values()
            .any(|registration| registration.pattern != Pattern::Static);
        let all_topics = if patterns {
            self.own.session.topics_watched().await?
        } else {
            Vec::new()
        };
        for (id, registration) in registrations {
            if registration.client.as_deref() == Some(CLIENT) {
                view.ours.insert(id.as_str().into());
            }
            match subscription(&registration, &all_topics) {
                Ok(subscription) => view.members.insert(id, subscription),
                Err(why) => view.poison.push(PoisonMember {
                    node: paths::group_id(&self.own.group, &id),
                    data: why,
                    kind: PoisonKind::Garbage,
                }),
            }
        }
        Ok(view)
    }

    async fn owners(&self) -> Result<Owners> {
        let mut owners = Owners {
            ids_zxid: self.own.ids_zxid().await?,
            ..Owners::default()
        };
        for topic in self.partitions().await?.into_keys() {
            for (name, text) in self.own.owner_nodes(&topic).await? {
                if let Ok(partition) = name.parse() {
                    let tp = TopicPartition::new(Arc::clone(&topic), partition);
                    owners.owners.insert(tp, text);
                }
            }
        }
        Ok(owners)
    }

    async fn claim(&self, tp: &TopicPartition, thread: &ConsumerThreadId) -> Result<SessionEvent> {
        let path = self.owner_path(tp);
        let text = thread.to_string();
        for _ in 0..ATTEMPTS {
            let node = match self
                .own
                .session
                .create_ephemeral(&path, text.as_bytes())
                .await?
            {
                Create::Created(stat) => {
                    let token = Token(stat.czxid);
                    // Watched from now on; where it went already, the look that follows finds that.
                    let watched = self.own.session.exists_watched(&path).await?;
                    if watched.is_some_and(|watched| watched.czxid == stat.czxid) {
                        return Ok(SessionEvent::Claimed {
                            tp: tp.clone(),
                            token,
                        });
                    }
                    continue;
                }
                Create::Exists(node) => node,
            };
            let owner = String::from_utf8_lossy(&node.data).into_owned();
            let own_session = node.stat.ephemeral_owner == self.own.session.id();
            let own_name = owner
                .strip_prefix(&*self.own.consumer_id)
                .is_some_and(|rest| rest.starts_with('-'));
            if own_session || own_name {
                // Left from an earlier session of this member, or claimed for another of its streams.
                self.own
                    .session
                    .delete(&path, Some(node.stat.version))
                    .await?;
                continue;
            }
            if self.own.session.exists_watched(&path).await?.is_some() {
                return Ok(SessionEvent::ClaimRefused {
                    tp: tp.clone(),
                    owner,
                });
            }
        }
        Ok(SessionEvent::ClaimFailed {
            tp: tp.clone(),
            error: format!("{path} changes hands faster than it can be looked at"),
        })
    }

    async fn release(
        &self,
        tp: &TopicPartition,
        token: Option<Token>,
        fence: &str,
    ) -> Result<SessionEvent> {
        let path = self.owner_path(tp);
        let session = &self.own.session;
        for _ in 0..ATTEMPTS {
            if self.owned(&path, token).await?.is_none() {
                break;
            }
            // Read before the owner node is looked at: whoever takes the partition over after that, because Kafka's own consumer
            // has deleted the owner node, changes it. The versions of owner nodes tell nothing, because all of them are 0.
            let fenced = session.exists(fence).await?;
            let Some(version) = self.owned(&path, token).await? else {
                break;
            };
            let changed = match fenced {
                Some(fenced) => matches!(
                    session
                        .delete_checked(&path, Some(version), fence, Some(fenced.version))
                        .await?,
                    DeleteChecked::CheckBadVersion
                        | DeleteChecked::CheckNoNode
                        | DeleteChecked::BadVersion
                ),
                None => session.delete(&path, Some(version)).await? == Delete::BadVersion,
            };
            if !changed {
                break;
            }
        }
        Ok(SessionEvent::Released { tp: tp.clone() })
    }

    async fn check_owner(&self, tp: &TopicPartition, token: Token) -> Result<SessionEvent> {
        let path = self.owner_path(tp);
        let ownership = match self.own.session.exists_watched(&path).await? {
            None => Ownership::Gone,
            Some(stat)
                if stat.czxid == token.0 && stat.ephemeral_owner == self.own.session.id() =>
            {
                Ownership::Ours
            }
            Some(_) => match self.own.session.get(&path).await? {
                None => Ownership::Gone,
                Some(node) => Ownership::Foreign {
                    owner: String::from_utf8_lossy(&node.data).into_owned(),
                },
            },
        };
        Ok(SessionEvent::OwnerChecked {
            tp: tp.clone(),
            token,
            ownership,
        })
    }
}

impl JavaRegistry {
    /// The version of an owner node, if it is of this session and of this claim.
    async fn owned(&self, path: &str, token: Option<Token>) -> Result<Option<i32>> {
        let stat = self.own.session.exists(path).await?;
        let ours = stat.filter(|stat| {
            stat.ephemeral_owner == self.own.session.id()
                && token.is_none_or(|token| token.0 == stat.czxid)
        });
        Ok(ours.map(|stat| stat.version))
    }
}

/// What a member subscribes, with a list evaluated over the topics that exist.
pub(crate) fn subscription(
    registration: &Registration,
    topics: &[String],
) -> std::result::Result<Subscription, String> {
    let filter = match (registration.pattern, registration.subscription.first()) {
        (Pattern::Static, _) => {
            let topics = registration.subscription.iter();
            return Ok(topics
                .map(|(topic, streams)| (topic.as_str().into(), *streams))
                .collect());
        }
        (_, None) => return Ok(Subscription::new()),
        (Pattern::WhiteList, Some((expression, streams))) => {
            (TopicFilter::white_list(expression)?, *streams)
        }
        (Pattern::BlackList, Some((expression, streams))) => {
            (TopicFilter::black_list(expression)?, *streams)
        }
    };
    let (filter, streams) = filter;
    let allowed = topics.iter().filter(|topic| filter.allows(topic));
    Ok(allowed
        .map(|topic| (topic.as_str().into(), streams))
        .collect())
}

/// The partition that an owner node is for, if the path is one of this group's.
fn partition_of(group: &str, path: &str) -> Option<TopicPartition> {
    let rest = path
        .strip_prefix(&paths::group_owners(group))?
        .strip_prefix('/')?;
    let (topic, partition) = rest.split_once('/')?;
    Some(TopicPartition::new(topic, partition.parse().ok()?))
}
