//! What the driver reads and writes in ZooKeeper, one operation of the group each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use divvy_protocol::TopicPartition;
use divvy_zookeeper::documents::{Member, Pattern, Registration};
use divvy_zookeeper::{Create, Delete, Node, Result, Session, paths};

use super::Subscribed;
use crate::assignor::{ConsumerThreadId, Subscription, TopicPartitions};
use crate::machine::{Ownership, SessionEvent, Token};
use crate::topic_filter::TopicFilter;
use crate::view::{OwnRegistration, PoisonKind, PoisonMember, View};

/// How often an operation that found its node changing under its hands looks again, before it says so.
const ATTEMPTS: usize = 5;

/// How much of a node's data a report shows.
const SHOWN_DATA: usize = 200;

/// The registry of one group in ZooKeeper, as one member uses it within one session.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) session: Session,
    pub(super) group: String,
    pub(super) consumer_id: Arc<str>,
    /// The member's own registration.
    pub(super) registration: String,
    /// The topics that the member subscribes.
    pub(super) topics: Subscribed,
    /// Registrations by consumer id. A member never changes its own, because others do not watch it.
    pub(super) known: Mutex<BTreeMap<String, Registration>>,
}

impl Registry {
    fn own_path(&self) -> String {
        paths::group_id(&self.group, &self.consumer_id)
    }

    pub(super) fn owner_path(&self, tp: &TopicPartition) -> String {
        paths::owner(&self.group, &tp.topic, tp.partition)
    }

    pub(super) async fn register(&self) -> Result<SessionEvent> {
        let path = self.own_path();
        for _ in 0..ATTEMPTS {
            let data = self.registration.as_bytes();
            match self.session.create_ephemeral(&path, data).await? {
                Create::Created(_) => return Ok(SessionEvent::Registered),
                // The id is this member's alone: it is left from a session that is over, or about to be.
                Create::Exists(node) => {
                    self.session.delete(&path, Some(node.stat.version)).await?;
                }
            }
        }
        Ok(SessionEvent::RegisterFailed {
            error: format!("{path} is created again and again by somebody else"),
        })
    }

    pub(super) async fn unregister(&self) -> Result<SessionEvent> {
        self.session.delete(&self.own_path(), None).await?;
        Ok(SessionEvent::Unregistered)
    }

    /// Reads the group's nodes and sets watches on them.
    pub(super) async fn view(&self) -> Result<View> {
        let ids = self
            .session
            .children_watched(&paths::group_ids(&self.group))
            .await?;
        let ids = ids.map(|ids| ids.names).unwrap_or_default();
        let own = self.session.get(&self.own_path()).await?;
        let mut view = View {
            registration: match &own {
                None => OwnRegistration::Missing,
                Some(node) if node.stat.ephemeral_owner == self.session.id() => {
                    OwnRegistration::Ours
                }
                Some(_) => OwnRegistration::Foreign,
            },
            partitions: self.partitions().await?,
            ..View::default()
        };
        let registrations = self.registrations(ids, &mut view).await?;
        let patterns = registrations
            .values()
            .any(|registration| registration.pattern != Pattern::Static);
        let all_topics = if patterns {
            self.session.topics_watched().await?
        } else {
            Vec::new()
        };
        for (id, registration) in registrations {
            match subscription(&registration, &all_topics) {
                Ok(subscription) => view.members.insert(id, subscription),
                Err(why) => view.poison.push(PoisonMember {
                    node: paths::group_id(&self.group, &id),
                    data: why,
                    kind: PoisonKind::Garbage,
                }),
            }
        }
        Ok(view)
    }

    async fn partitions(&self) -> Result<TopicPartitions> {
        let mut partitions = TopicPartitions::new();
        let topics: Vec<Arc<str>> = match &self.topics {
            Subscribed::Named(topics) => topics.clone(),
            Subscribed::Matching(filter) => {
                let topics = self.session.topics_watched().await?;
                let matching = topics.into_iter().filter(|topic| filter.allows(topic));
                matching.map(Arc::from).collect()
            }
        };
        for topic in topics {
            if let Some(found) = self.session.topic_watched(&topic).await? {
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
        let group = &self.group;
        let nodes = self
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
        // A name that could be a topic's is one only if there is such a topic.
        let is_topic = paths::validate_topic(&text).is_ok()
            && self.session.exists(&paths::topic(&text)).await?.is_some();
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
            node: paths::group_id(&self.group, id),
            data: text.chars().take(SHOWN_DATA).collect(),
            kind,
        });
        Ok(None)
    }

    /// Creates the owner node, and watches it or the one that is in the way.
    pub(super) async fn claim(
        &self,
        tp: &TopicPartition,
        thread: &ConsumerThreadId,
    ) -> Result<SessionEvent> {
        let path = self.owner_path(tp);
        let text = thread.to_string();
        for _ in 0..ATTEMPTS {
            let node = match self
                .session
                .create_ephemeral(&path, text.as_bytes())
                .await?
            {
                Create::Created(stat) => {
                    let token = Token(stat.czxid);
                    // Watched from now on; where it went already, the look that follows finds that.
                    let watched = self.session.exists_watched(&path).await?;
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
            let own_session = node.stat.ephemeral_owner == self.session.id();
            let own_name = owner
                .strip_prefix(&*self.consumer_id)
                .is_some_and(|rest| rest.starts_with('-'));
            if own_session || own_name {
                // Left from an earlier session of this member, or claimed for another of its streams.
                self.session.delete(&path, Some(node.stat.version)).await?;
                continue;
            }
            if self.session.exists_watched(&path).await?.is_some() {
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

    /// Deletes the owner node where it is this session's and of this claim.
    pub(super) async fn release(
        &self,
        tp: &TopicPartition,
        token: Option<Token>,
    ) -> Result<SessionEvent> {
        let path = self.owner_path(tp);
        for _ in 0..ATTEMPTS {
            let Some(stat) = self.session.exists(&path).await? else {
                break;
            };
            let ours = stat.ephemeral_owner == self.session.id()
                && token.is_none_or(|token| token.0 == stat.czxid);
            if !ours || self.session.delete(&path, Some(stat.version)).await? != Delete::BadVersion
            {
                break;
            }
        }
        Ok(SessionEvent::Released { tp: tp.clone() })
    }

    pub(super) async fn check_owner(
        &self,
        tp: &TopicPartition,
        token: Token,
    ) -> Result<SessionEvent> {
        let path = self.owner_path(tp);
        let ownership = match self.session.exists_watched(&path).await? {
            None => Ownership::Gone,
            Some(stat) if stat.czxid == token.0 && stat.ephemeral_owner == self.session.id() => {
                Ownership::Ours
            }
            Some(_) => match self.session.get(&path).await? {
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

/// What a member subscribes, with a list evaluated over the topics that exist.
fn subscription(
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
pub(super) fn partition_of(group: &str, path: &str) -> Option<TopicPartition> {
    let rest = path
        .strip_prefix(&paths::group_owners(group))?
        .strip_prefix('/')?;
    let (topic, partition) = rest.split_once('/')?;
    Some(TopicPartition::new(topic, partition.parse().ok()?))
}
