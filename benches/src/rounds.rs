//! Letting contenders take turns.

use anyhow::{Context as _, Result, ensure};

use crate::contender::Contender;
use crate::report::Report;
use crate::site::Site;
use crate::workload::Workload;

/// How many messages each producer writes in a round.
const WRITTEN: u64 = 2_000_000;

/// Fills the topic and lets everybody read it, or those who are named.
pub(crate) fn of_consumers(
    site: &Site,
    workload: &Workload,
    rounds: usize,
    only: &[String],
    with_python: bool,
) -> Result<Report> {
    let mut contenders = Contender::consumers(site, with_python && workload.codec == "none");
    if only.iter().any(|name| name == "members") {
        contenders.push(Contender::members());
    }
    let contenders = named(contenders, only)?;
    workload.fill(site)?;
    // Reads everything once, so that all of it comes from memory.
    Contender::warm_up().run(site, workload, 0)?;
    take_turns(workload, &contenders, rounds, |contender, run| {
        contender.run(site, workload, run)
    })
}

/// Lets everybody write, or those who are named. Whether it has arrived is asked of the broker.
pub(crate) fn of_producers(
    site: &Site,
    workload: &Workload,
    rounds: usize,
    only: &[String],
    with_python: bool,
) -> Result<Report> {
    let with_python = with_python && workload.codec == "none";
    let contenders = named(Contender::producers(site, with_python), only)?;
    let workload = workload.written(WRITTEN);
    if workload.count(site)?.is_none() {
        workload.create(site)?;
    }
    take_turns(&workload, &contenders, rounds, |contender, run| {
        let before = workload.count(site)?.context("there is no topic")?;
        let measured = contender.run(site, &workload, run)?;
        let after = workload.count(site)?.context("there is no topic")?;
        ensure!(
            after - before == measured.messages,
            "{} messages have arrived of {}",
            after - before,
            measured.messages
        );
        Ok(measured)
    })
}

fn named(mut contenders: Vec<Contender>, only: &[String]) -> Result<Vec<Contender>> {
    for name in only {
        let known = contenders.iter().any(|contender| contender.name == *name);
        ensure!(known, "there is no contender `{name}` here");
    }
    let is_wanted = |contender: &Contender| only.iter().any(|name| *name == contender.name);
    contenders.retain(|contender| only.is_empty() || is_wanted(contender));
    Ok(contenders)
}

fn take_turns(
    workload: &Workload,
    contenders: &[Contender],
    rounds: usize,
    run: impl Fn(&Contender, usize) -> Result<crate::measured::Measured>,
) -> Result<Report> {
    let mut report = Report::new(workload, contenders);
    for round in 0..rounds {
        for place in 0..contenders.len() {
            // Nobody always comes after the same other one.
            let index = (place + round) % contenders.len();
            let contender = contenders.get(index).context("no such contender")?;
            let measured = run(contender, round)
                .with_context(|| format!("{} on {}", contender.name, workload.name))?;
            report.add(contender, measured)?;
        }
    }
    Ok(report)
}
