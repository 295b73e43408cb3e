//! What a rebalance listener is told, when, and what it may do then. Two members in this process, on a real 0.8.2.2 and on the
//! embedded cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use divvy::{
    Assigned, Assignment, BalancedConsumer, BalancedConsumerConfig, Client, ClientConfig, Event,
    ListenerError, RebalanceListener, Revoked, TopicPartition, ZooKeeper, ZooKeeperConfig,
};
use divvy_tests::{Cluster, KafkaVersion, ZooKeeperView, tests_on, unique};
use tokio::sync::broadcast;
use tokio::time::{interval, timeout};

tests_on!(
    [embedded = Embedded0_8_2, kafka_0_8_2_2 = V0_8_2_2],
    as_task,
    a_listener_chooses_starts_and_commits_before_the_release,
    what_a_listener_does_wrong_is_told_and_holds_nothing_up,
    a_member_has_its_share_when_the_listener_knows,
    a_listener_is_told_of_what_is_lost
);

const PATIENCE: Duration = Duration::from_secs(30);
const MESSAGES: usize = 20;

/// What a listener was told, and what it does.
#[derive(Debug, Default)]
struct Told {
    calls: Mutex<Vec<String>>,
    /// Where these partitions are to start.
    starts: BTreeMap<i32, i64>,
    commits: bool,
    fails: bool,
    hangs: bool,
}

impl Told {
    fn note(&self, call: &str, partitions: &[Assignment]) {
        let tokens: Vec<_> = partitions.iter().map(|held| held.token > 0).collect();
        let numbers: Vec<_> = partitions.iter().map(|held| held.tp.partition).collect();
        let fenced = tokens.iter().all(|fenced| *fenced);
        let call = format!(
            "{call} {numbers:?}{}",
            if fenced { "" } else { " unfenced" }
        );
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
    }

    fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.clone()
    }

    async fn misbehave(&self) -> Result<(), ListenerError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if self.fails {
            return Err("the disk is full".into());
        }
        Ok(())
    }
}

#[async_trait]
impl RebalanceListener for Told {
    async fn on_partitions_assigned(&self, assigned: &mut Assigned) -> Result<(), ListenerError> {
        self.note("assigned", assigned.partitions());
        for held in assigned.partitions().to_vec() {
            if let Some(start) = self.starts.get(&held.tp.partition) {
                assigned.start_at(&held.tp, *start);
            }
        }
        self.misbehave().await
    }

    async fn on_partitions_revoked(&self, revoked: &Revoked<'_>) -> Result<(), ListenerError> {
        self.note("revoked", revoked.partitions());
        if self.commits {
            revoked.commit().await?;
        }
        self.misbehave().await
    }

    async fn on_partitions_lost(&self, lost: &[Assignment]) -> Result<(), ListenerError> {
        self.note("lost", lost);
        self.misbehave().await
    }
}

/// A group on a topic of its own, with messages in each of its two partitions.
struct Scene {
    cluster: &'static Cluster,
    client: Client,
    group: String,
    topic: String,
}

impl Scene {
    async fn new(version: KafkaVersion) -> Result<Scene> {
        let cluster = Cluster::shared(version)?;
        let topic = unique("listened");
        cluster.create_topic(&topic, 2, 1)?;
        let producer = cluster.produce_numbers(&topic, 0..2, 1000)?;
        divvy_tests::wait_for(PATIENCE, "messages", || {
            let acknowledged = producer.acknowledged();
            (0..2).all(|partition| {
                let of = acknowledged.iter().filter(|m| m.partition == partition);
                of.count() >= MESSAGES
            })
        })?;
        producer.stop()?;
        let zookeeper = ZooKeeperConfig::new(cluster.zookeeper_connect());
        let client = Client::connect(ClientConfig::zookeeper(ZooKeeper::new(zookeeper)?)).await?;
        Ok(Scene {
            cluster,
            client,
            group: unique("group"),
            topic,
        })
    }

    /// A member that commits on request only, with its events.
    async fn member(
        &self,
        told: &Arc<Told>,
    ) -> Result<(BalancedConsumer, broadcast::Receiver<Event>)> {
        let zookeeper = ZooKeeperConfig::new(self.cluster.zookeeper_connect());
        let mut config = BalancedConsumerConfig::new(zookeeper, &self.group, [&self.topic[..]]);
        config.listener = Arc::clone(told) as Arc<dyn RebalanceListener>;
        config.listener_timeout = Duration::from_millis(300);
        config.consumer.auto_commit_interval = None;
        config.consumer.use_rdkafka = divvy_tests::use_rdkafka();
        let mut member = BalancedConsumer::new(&self.client, config)?;
        let events = member.events();
        timeout(PATIENCE, member.start()).await??;
        Ok((member, events))
    }

    /// Looks into ZooKeeper, or does something there.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ZooKeeperView, &str, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (cluster, group, topic) = (self.cluster, self.group.clone(), self.topic.clone());
        tokio::task::spawn_blocking(move || look(&cluster.zookeeper_view()?, &group, &topic))
            .await?
    }
}

async fn told_of(
    events: &mut broadcast::Receiver<Event>,
    wanted: impl Fn(&Event) -> bool,
) -> Result<Event> {
    let event = async {
        loop {
            let event = events.recv().await?;
            if wanted(&event) {
                return Ok(event);
            }
        }
    };
    timeout(PATIENCE, event).await.context("no such event")?
}

/// The partition and offset of the next message, which is given back.
async fn next(member: &mut BalancedConsumer) -> Result<(i32, i64)> {
    let message = timeout(PATIENCE, member.recv())
        .await
        .context("no message")??;
    Ok((message.partition().partition, message.offset()))
}

async fn settled(member: &BalancedConsumer, partitions: usize) -> Result<()> {
    let mut looks = interval(Duration::from_millis(10));
    let settled = async {
        while !(member.is_settled() && member.assignments().len() == partitions) {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, settled)
        .await
        .with_context(|| format!("it has {:?}", member.assignments()))
}

async fn a_listener_chooses_starts_and_commits_before_the_release(
    version: KafkaVersion,
) -> Result<()> {
    let scene = Scene::new(version).await?;
    let told = Arc::new(Told {
        starts: BTreeMap::from([(1, 7)]),
        commits: true,
        ..Told::default()
    });
    let (mut first, mut events) = scene.member(&told).await?;
    settled(&first, 2).await?;
    let mut seen = BTreeMap::new();
    while seen.len() < 2 {
        let (partition, offset) = next(&mut first).await?;
        seen.entry(partition).or_insert(offset);
    }
    ensure!(seen == BTreeMap::from([(0, 0), (1, 7)]), "{seen:?}");

    // The other one gets partition 1 or 0, whichever the rule gives it, from where the listener committed.
    let other = Arc::new(Told::default());
    let (second, _) = scene.member(&other).await?;
    let going = async {
        loop {
            // Asking for more gives back what the revocation waits for.
            next(&mut first).await?;
        }
        #[allow(unreachable_code, reason = "names the type")]
        Ok::<(), anyhow::Error>(())
    };
    let revoked = told_of(&mut events, |event| matches!(event, Event::Revoked { .. }));
    let revoked = tokio::select! {
        gone = timeout(PATIENCE, going) => { gone??; return Ok(()) }
        revoked = revoked => revoked?,
    };
    let Event::Revoked { partitions } = revoked else {
        unreachable!("it was asked for")
    };
    settled(&second, 1).await?;
    let held = &partitions[0];
    let offsets = scene.look(ZooKeeperView::offsets);
    let stored = offsets.await?.get(&held.tp.partition).copied();
    let begins = second.position(&held.tp)?;
    ensure!(
        Some(begins) == stored && begins > 7,
        "it begins at {begins}, and {stored:?} is stored"
    );
    let calls = told.calls();
    ensure!(
        calls
            == [
                "assigned [0, 1]".to_owned(),
                format!("revoked [{}]", held.tp.partition)
            ],
        "{calls:?}"
    );
    second.close().await?;
    first.close().await?;
    let calls = other.calls();
    ensure!(
        calls.len() == 2 && calls[1].starts_with("revoked"),
        "{calls:?}"
    );
    Ok(())
}

async fn what_a_listener_does_wrong_is_told_and_holds_nothing_up(
    version: KafkaVersion,
) -> Result<()> {
    let scene = Scene::new(version).await?;
    for (told, wrong) in [
        (
            Told {
                fails: true,
                ..Told::default()
            },
            "on_partitions_assigned failed: the disk is full",
        ),
        (
            Told {
                hangs: true,
                ..Told::default()
            },
            "on_partitions_assigned did not end within",
        ),
    ] {
        let (mut member, mut events) = scene.member(&Arc::new(told)).await?;
        told_of(
            &mut events,
            |event| matches!(event, Event::Error { message } if message.contains(wrong)),
        )
        .await?;
        next(&mut member).await?;
        timeout(PATIENCE, member.close()).await??;
        told_of(&mut events, |event| {
            matches!(event, Event::Error { message } if message.contains("on_partitions_revoked"))
        })
        .await?;
    }
    Ok(())
}

async fn a_member_has_its_share_when_the_listener_knows(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version).await?;
    let slow = Told {
        hangs: true,
        ..Told::default()
    };
    let (member, _) = scene.member(&Arc::new(slow)).await?;
    let mut looks = interval(Duration::from_millis(1));
    let told = async {
        while member.assignments().is_empty() {
            // In this order: it may have its share a moment later.
            ensure!(
                !member.is_settled() || !member.assignments().is_empty(),
                "it says that it has its share, and has nothing"
            );
            looks.tick().await;
        }
        Ok(())
    };
    timeout(PATIENCE, told).await??;
    settled(&member, 2).await?;
    member.close().await?;
    Ok(())
}

async fn a_listener_is_told_of_what_is_lost(version: KafkaVersion) -> Result<()> {
    let scene = Scene::new(version).await?;
    let told = Arc::new(Told::default());
    let (mut member, mut events) = scene.member(&told).await?;
    settled(&member, 2).await?;
    next(&mut member).await?;
    let tp = TopicPartition::new(scene.topic.as_str(), 0);
    scene
        .look(|view, group, topic| view.delete(&format!("/consumers/{group}/owners/{topic}/0")))
        .await?;
    let lost = told_of(&mut events, |event| matches!(event, Event::Lost { .. })).await?;
    let Event::Lost { partitions, .. } = lost else {
        unreachable!("it was asked for")
    };
    ensure!(
        partitions.len() == 1 && partitions[0].tp == tp,
        "{partitions:?}"
    );
    settled(&member, 2).await?;
    let calls = told.calls();
    ensure!(
        calls == ["assigned [0, 1]", "lost [0]", "assigned [0]"],
        "{calls:?}"
    );
    member.close().await?;
    Ok(())
}
