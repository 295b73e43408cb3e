//! Looking at a group before joining it.

use divvy_zookeeper::documents::Registration;
use divvy_zookeeper::{Node, Result, Session, paths};

use crate::driver::report::why_blocked;
use crate::view::PoisonKind;

/// Why no member in dialect Java can own anything in this group, if that is because of a PyKafka member.
pub(crate) async fn blocking_pykafka_member(
    session: &Session,
    group: &str,
) -> Result<Option<String>> {
    for (id, node) in registrations(session, group).await? {
        if names_topic(session, &node).await? {
            let node = paths::group_id(group, &id);
            let why = why_blocked(PoisonKind::PyKafka);
            return Ok(Some(format!("{node}: {why}")));
        }
    }
    Ok(None)
}

/// Why a member in dialect PyKafka had better not join this group, if that is because it is one of Kafka's own consumers: they all
/// would stand still from then on.
pub(crate) async fn java_member_alone(
    session: &Session,
    group: &str,
    topic: &str,
) -> Result<Option<String>> {
    let registrations = registrations(session, group).await?;
    let is_pykafka = |node: &Node| node.data == topic.as_bytes();
    if registrations.iter().any(|(_, node)| is_pykafka(node)) {
        return Ok(None);
    }
    let is_java = |node: &Node| Registration::parse(&node.data).is_ok();
    let found = registrations.iter().find(|(_, node)| is_java(node));
    Ok(found.map(|(id, _)| {
        let node = paths::group_id(group, id);
        format!("{node}: the group is one of Kafka's own consumers, all of which a member in PyKafka's dialect would stop")
    }))
}

async fn registrations(session: &Session, group: &str) -> Result<Vec<(String, Node)>> {
    let ids = session.children(&paths::group_ids(group)).await?;
    let ids = ids.map(|ids| ids.names).unwrap_or_default();
    session.get_each(ids, |id| paths::group_id(group, id)).await
}

/// Whether a registration is the bare name of a topic, as PyKafka's are. A name that could be a topic's is one only if there is
/// such a topic.
pub(crate) async fn names_topic(session: &Session, node: &Node) -> Result<bool> {
    let text = String::from_utf8_lossy(&node.data);
    Ok(paths::validate_topic(&text).is_ok()
        && session.exists(&paths::topic(&text)).await?.is_some())
}
