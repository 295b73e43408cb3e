//! Reading a group out of ZooKeeper. Nothing here writes, and no watch is set.

use std::collections::BTreeSet;
use std::sync::Arc;

use divvy_client::{Result, TopicPartition};
use divvy_zookeeper::documents::{Member, PartitionState, Registration, parse_offset};
use divvy_zookeeper::{Error as ZooKeeperError, Node, Session, paths};

use super::view::{
    Claim, GroupMember, GroupView, MemberKind, PartitionView, StoredOffset, host, owned_partition,
    owned_topic,
};
use crate::assignor::Subscription;
use crate::dialect::CLIENT;
use crate::driver::{names_topic, subscription};

/// How much of a node's data a report shows.
const SHOWN_DATA: usize = 200;

/// One look at a group.
pub(super) struct Look<'a> {
    session: &'a Session,
    view: GroupView,
}

impl<'a> Look<'a> {
    /// Reads a group and, besides its own topics, `topics`. The brokers' part is left open.
    pub(super) async fn read(
        session: &'a Session,
        group: &str,
        topics: &[String],
    ) -> Result<GroupView> {
        let view = GroupView {
            group: group.to_owned(),
            ..GroupView::default()
        };
        let mut look = Self { session, view };
        // Whatever was written before the look belongs into it.
        session.sync(paths::CONSUMERS).await?;
        look.members().await?;
        let mut names = look.own_topics().await?;
        names.extend(topics.iter().map(|topic| Arc::from(topic.as_str())));
        for topic in names {
            look.topic(&topic).await?;
        }
        look.claims().await?;
        Ok(look.view)
    }

    async fn members(&mut self) -> Result<()> {
        let parent = paths::group_ids(&self.view.group);
        let ids = self.children(&parent).await?;
        let all_topics = self.session.topics().await?;
        for (id, node) in self.nodes(&parent, ids).await? {
            let member = self.member(id, &node, &all_topics).await?;
            self.view.members.push(member);
        }
        Ok(())
    }

    async fn member(&self, id: String, node: &Node, all_topics: &[String]) -> Result<GroupMember> {
        let is_topic = names_topic(self.session, node).await?;
        let text = String::from_utf8_lossy(&node.data);
        let mut data: String = text.chars().take(SHOWN_DATA).collect();
        let (kind, subscription, readable_by_java) = match Member::parse(&node.data, |_| is_topic) {
            Member::Registered(registration) => {
                let kind = kind_of(&registration);
                match subscription(&registration, all_topics) {
                    Ok(topics) => (kind, topics, registration.readable_by_java),
                    Err(why) => {
                        data = why;
                        (MemberKind::Garbage, Subscription::new(), false)
                    }
                }
            }
            Member::InProgress => (MemberKind::Registering, Subscription::new(), false),
            Member::PyKafka { topic } => {
                let kind = match paths::is_own_pykafka_consumer_id(&id) {
                    true => MemberKind::DivvyAsPyKafka,
                    false => MemberKind::PyKafka,
                };
                (kind, Subscription::from([(topic.into(), 1)]), false)
            }
            Member::Garbage { .. } => (MemberKind::Garbage, Subscription::new(), false),
        };
        Ok(GroupMember {
            host: host(&self.view.group, &id),
            consumer_id: id,
            kind,
            registered_ms: node.stat.ctime,
            subscription,
            readable_by_java,
            data,
        })
    }

    /// The topics that the group subscribes, or has left a trace of.
    async fn own_topics(&mut self) -> Result<BTreeSet<Arc<str>>> {
        let subscriptions = self.view.members.iter().map(|member| &member.subscription);
        let mut topics: BTreeSet<Arc<str>> =
            subscriptions.flat_map(|s| s.keys().cloned()).collect();
        let group = self.view.group.clone();
        for parent in [
            paths::group_owners(&group),
            paths::group_offsets(&group),
            paths::group_epochs(&group),
        ] {
            let names = self.children(&parent).await?;
            topics.extend(names.iter().map(|name| Arc::from(owned_topic(name))));
        }
        Ok(topics)
    }

    /// The partitions of a topic, with their leaders and the offsets in ZooKeeper.
    async fn topic(&mut self, topic: &Arc<str>) -> Result<()> {
        let found = match paths::validate_topic(topic) {
            Ok(()) => self.session.topic(topic).await?,
            Err(_) => None,
        };
        let Some(found) = found else {
            self.view.missing_topics.insert(Arc::clone(topic));
            return Ok(());
        };
        for (partition, replicas) in found.partitions {
            let view = PartitionView {
                replicas,
                ..PartitionView::default()
            };
            let tp = TopicPartition::new(Arc::clone(topic), partition);
            self.view.partitions.insert(tp, view);
        }
        self.leaders(topic).await?;
        self.offsets(topic).await
    }

    async fn leaders(&mut self, topic: &Arc<str>) -> Result<()> {
        let path = |name: &str| paths::partition_state(topic, name.parse().unwrap_or(-1));
        let names = self.partitions_of(topic);
        for (name, node) in self.session.get_each(names, path).await? {
            let state = PartitionState::parse(&node.data).ok();
            if let Some(view) = self.partition(topic, &name) {
                view.leader = state.and_then(|state| state.leader);
            }
        }
        Ok(())
    }

    async fn offsets(&mut self, topic: &Arc<str>) -> Result<()> {
        let parent = paths::topic_offsets(&self.view.group, topic);
        let names = self.children(&parent).await?;
        for (name, node) in self.nodes(&parent, names).await? {
            let path = format!("{parent}/{name}");
            let Some(view) = self.partition(topic, &name) else {
                continue;
            };
            view.offset_version = Some(node.stat.version);
            match parse_offset(&path, &node.data) {
                Some(offset) => {
                    view.in_zookeeper = Some(StoredOffset {
                        offset,
                        stored_ms: node.stat.mtime,
                    });
                }
                None => {
                    let text = String::from_utf8_lossy(&node.data);
                    view.no_offset = Some(text.chars().take(SHOWN_DATA).collect());
                }
            }
        }
        Ok(())
    }

    /// Who owns what, in the nodes of either dialect.
    async fn claims(&mut self) -> Result<()> {
        let owners = paths::group_owners(&self.view.group);
        for directory in self.children(&owners).await? {
            let topic: Arc<str> = owned_topic(&directory).into();
            let parent = format!("{owners}/{directory}");
            let names = self.children(&parent).await?;
            for (name, node) in self.nodes(&parent, names).await? {
                let claim = Claim {
                    node: format!("{parent}/{name}"),
                    owner: String::from_utf8_lossy(&node.data).into_owned(),
                    session: node.stat.ephemeral_owner,
                    since_ms: node.stat.ctime,
                };
                let tp = owned_partition(&name)
                    .map(|partition| TopicPartition::new(Arc::clone(&topic), partition));
                if let Some(view) = tp.and_then(|tp| self.view.partitions.get_mut(&tp)) {
                    view.claims.push(claim);
                }
            }
        }
        Ok(())
    }

    fn partitions_of(&self, topic: &str) -> Vec<String> {
        let tps = self.view.partitions.keys();
        tps.filter(|tp| &*tp.topic == topic)
            .map(|tp| tp.partition.to_string())
            .collect()
    }

    fn partition(&mut self, topic: &Arc<str>, name: &str) -> Option<&mut PartitionView> {
        let tp = TopicPartition::new(Arc::clone(topic), name.parse().ok()?);
        self.view.partitions.get_mut(&tp)
    }

    /// A node's children; none where there is no node, or it may not be read.
    async fn children(&mut self, path: &str) -> Result<Vec<String>> {
        match self.session.children(path).await {
            Ok(children) => Ok(children.map(|children| children.names).unwrap_or_default()),
            Err(ZooKeeperError::NoAuth { path, .. }) => {
                self.forbid(path);
                Ok(Vec::new())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The nodes of these names that are there and may be read.
    async fn nodes(&mut self, parent: &str, names: Vec<String>) -> Result<Vec<(String, Node)>> {
        let path = |name: &str| format!("{parent}/{name}");
        match self.session.get_each(names.clone(), path).await {
            Err(ZooKeeperError::NoAuth { .. }) => {}
            read => return Ok(read?),
        }
        // One by one, because the others may be read.
        let mut nodes = Vec::new();
        for name in names {
            match self.session.get(&path(&name)).await {
                Ok(node) => nodes.extend(node.map(|node| (name, node))),
                Err(ZooKeeperError::NoAuth { path, .. }) => self.forbid(path),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(nodes)
    }

    fn forbid(&mut self, path: String) {
        if !self.view.forbidden.contains(&path) {
            self.view.forbidden.push(path);
        }
    }
}

fn kind_of(registration: &Registration) -> MemberKind {
    match registration.client.as_deref() {
        Some(CLIENT) => MemberKind::Divvy,
        _ => MemberKind::Java,
    }
}
