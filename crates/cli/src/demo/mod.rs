//! A group at work, with members that are killed, in front of your eyes.

mod account;
mod frame;
mod heard;
mod names;
mod report;
mod schedule;
mod show;
mod stage;
mod view;

use std::future::pending;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use divvy_embedded_cluster::server::EmbeddedCluster;
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};

use self::schedule::Step;
use self::show::{Show, Weight};
use self::stage::{Actor, Stage, TOPIC, Told, feed};
use self::view::View;
use crate::signals::Asked;

const BROKERS: u16 = 3;
/// How much of a partition is kept: minutes of the fastest production, so that a long demo has its end too.
const RETENTION: usize = 32 << 20;
/// How often the screen is drawn.
const TICK: Duration = Duration::from_millis(200);
/// How long members may take until they own everything.
const GATHERING: Duration = Duration::from_secs(30);
/// How long what was written may take to be printed.
const DRAINING: Duration = Duration::from_secs(20);
/// How long members may take to leave.
const LEAVING: Duration = Duration::from_secs(5);

/// Show a group at work, with nothing but this program: members are killed and others join, and nothing is lost.
///
/// It runs a ZooKeeper and three brokers in this process, and a producer and members as processes. Members are killed (SIGKILL)
/// and new ones join, in turns. On a terminal the state of the group is shown in place, elsewhere as lines. In the end it counts
/// what was acknowledged by the brokers and what was printed by the members: what a member has printed and not committed when it
/// is killed is printed again by another, and counts as a duplicate; a takeover is over when that one prints. Ctrl-C ends it early, with the account so far; a
/// second one at once. It exits with 0 if nothing was lost, and everything else was as it should be.
#[derive(Args)]
pub(crate) struct Demo {
    /// How long messages are produced.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
    /// How many members there are at first.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=16))]
    members: u16,
    /// How many partitions the topic has.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    partitions: u16,
    /// How many members are killed; as many join later.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=30))]
    kills: u16,
    /// How many messages are produced a second.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Print the account on stdout as one object of JSON, and everything else on stderr.
    #[arg(long)]
    json: bool,
}

/// Plays the demo and tells of it.
pub(crate) async fn run(args: Demo) -> Result<()> {
    let cluster = EmbeddedCluster::builder()
        .brokers(BROKERS)
        .retention_bytes(RETENTION)
        .start()
        .await?;
    cluster
        .create_topic(TOPIC, args.partitions.into(), 2)
        .await?;
    let (stage, told) = Stage::new(cluster.zookeeper_connect())?;
    let length = Duration::from_secs(args.seconds.into());
    let most = args.rate as usize * usize::from(args.seconds);
    let mut director = Director {
        show: Show::new(args.partitions.into(), most),
        view: View::open(args.json, length)?,
        began: Instant::now(),
        actors: Vec::new(),
        asked: Asked::listen()?,
        tick: interval(TICK),
        cluster,
        stage,
        told,
        args,
    };
    director
        .tick
        .set_missed_tick_behavior(MissedTickBehavior::Delay);
    let played = director.play(length).await;
    director.end(played).await
}

struct Director {
    args: Demo,
    cluster: EmbeddedCluster,
    stage: Stage,
    told: mpsc::Receiver<Told>,
    show: Show,
    view: View,
    /// When the time that is shown begins: as soon as the group is complete.
    began: Instant,
    /// The members, in the order of their ids.
    actors: Vec<Actor>,
    asked: Asked,
    tick: Interval,
}

/// Why waiting has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Done,
    TooLong,
    /// The user asked to end.
    Asked,
}

impl Director {
    async fn play(&mut self, length: Duration) -> Result<()> {
        let (producer, stdin) = self.stage.producer().await?;
        for _ in 0..self.args.members {
            self.join().await?;
        }
        match self.wait(GATHERING, Show::is_shared_out).await? {
            Waited::Done => {}
            Waited::TooLong => return Err(anyhow!("the members did not share the partitions out")),
            Waited::Asked => return Err(anyhow!("ended before it had begun")),
        }
        self.restart_clock();
        let most = self.args.rate as usize * usize::from(self.args.seconds);
        let (enough, ended) = oneshot::channel();
        tokio::spawn(feed(stdin, self.args.rate, most, ended));
        let acted = self.act(length).await?;
        drop(enough);
        let drained = match self.wait(DRAINING, Show::is_drained).await? {
            Waited::Asked if acted != Waited::Asked => {
                self.wait(DRAINING, Show::is_drained).await?
            }
            drained => drained,
        };
        self.leave(&producer).await?;
        match drained {
            Waited::Asked => Err(anyhow!("ended before everything was read")),
            _ => Ok(()),
        }
    }

    /// Lets time pass, and kills members and lets others join.
    async fn act(&mut self, length: Duration) -> Result<Waited> {
        for (at, step) in schedule::steps(length, self.args.kills.into()) {
            if self.wait_until(at).await? == Waited::Asked {
                return Ok(Waited::Asked);
            }
            match step {
                Step::Kill => self.kill().await,
                Step::Join => self.join().await?,
            }
        }
        self.wait_until(length).await
    }

    async fn join(&mut self) -> Result<()> {
        let actor = self.stage.member(self.actors.len()).await?;
        self.show.join(actor.pid, self.began.elapsed());
        self.actors.push(actor);
        Ok(())
    }

    async fn kill(&mut self) {
        let Some((id, actor)) = self
            .show
            .victim()
            .and_then(|id| Some((id, self.actors.get(id)?)))
        else {
            let text = "there is nobody to be killed".to_owned();
            self.show.note(self.began.elapsed(), Weight::Alarm, text);
            return;
        };
        if let Some(at) = actor.signal(Signal::KILL).await {
            self.show.kill(id, at.saturating_duration_since(self.began));
        }
    }

    /// Ends every process that is left.
    async fn leave(&mut self, producer: &Actor) -> Result<()> {
        // By now it has ended, unless something is wrong.
        producer.signal(Signal::TERM).await;
        self.show.leave(self.began.elapsed());
        for actor in &self.actors {
            actor.signal(Signal::TERM).await;
        }
        if self.wait(LEAVING, Show::is_over).await? != Waited::Done {
            for actor in self.actors.iter().chain([producer]) {
                actor.signal(Signal::KILL).await;
            }
            self.wait(LEAVING, Show::is_over).await?;
        }
        Ok(())
    }

    /// The time that is shown begins anew, when everybody is there.
    fn restart_clock(&mut self) {
        let took = names::time(self.began.elapsed());
        self.began = Instant::now();
        self.show.restart();
        let text = format!("every partition has an owner, {took} after the start");
        self.show.note(Duration::ZERO, Weight::Step, text);
    }

    async fn wait_until(&mut self, at: Duration) -> Result<Waited> {
        let left = at.saturating_sub(self.began.elapsed());
        self.wait(left, |_| false).await
    }

    /// Lets things happen until `done`, for so long at most.
    async fn wait(&mut self, most: Duration, done: impl Fn(&Show) -> bool) -> Result<Waited> {
        let mut end = std::pin::pin!(sleep_until((Instant::now() + most).into()));
        loop {
            tokio::select! {
                () = &mut end => return Ok(Waited::TooLong),
                () = self.asked.again() => return Ok(Waited::Asked),
                _ = self.tick.tick() => {
                    self.draw()?;
                    if done(&self.show) {
                        return Ok(Waited::Done);
                    }
                }
                told = self.told.recv() => match told {
                    Some((at, who, heard)) => {
                        self.show.hear(who, heard, at.saturating_duration_since(self.began));
                    }
                    // The stage keeps its end open.
                    None => pending().await,
                },
            }
        }
    }

    fn draw(&mut self) -> Result<()> {
        for (id, partition) in (0..).zip(&mut self.show.partitions) {
            if let Some((_, end)) = self.cluster.offsets(TOPIC, id) {
                partition.end = end;
            }
        }
        let now = self.began.elapsed();
        self.show.tick(now);
        self.view
            .draw(&self.show, now)
            .context("cannot write to stdout")
    }

    /// Tells the account, and gives an error where there is something to complain about.
    async fn end(self, played: Result<()>) -> Result<()> {
        let complaint = match played {
            Ok(()) => self.show.complaint().map(anyhow::Error::msg),
            Err(error) => Some(error),
        };
        let told = self.view.end(&self.show, self.began.elapsed());
        let ended = match complaint {
            None => told.context("cannot write to stdout"),
            Some(error) => {
                let logs = self.stage.keep_logs();
                let logs = logs.display();
                Err(anyhow!(
                    "{error:#}; the logs of the processes are in {logs}"
                ))
            }
        };
        self.cluster.shutdown().await;
        ended
    }
}
