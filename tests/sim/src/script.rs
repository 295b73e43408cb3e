//! Runs that somebody has written down: one rule, or one bug of the past, in a few lines.
//!
//! ```text
//! # What it is about.
//! members 2
//! topics 4 4
//! session 6s
//! for 60s
//! at 10s cut 0 20s lossy
//! at 12s inside commit freeze 1 8s
//! expect some "member 0 suspends" from 13s to 15s
//! expect no "member 0 gets" from 15s to 29s
//! ```
//!
//! What is not said is as in [`Script::default`]. A fault has its kind's name, and what it needs in the order of the fields of
//! [`What`]; `cut`, `cut-up` and `cut-down` may be `lossy`. An expectation is about the lines of the timeline.

use std::str::{FromStr, SplitWhitespace};

use anyhow::{Context as _, Result, bail};
use divvy_embedded_cluster::zookeeper::Millis;

use crate::fault::{Fault, Stage, Ways, What};
use crate::options::Options;
use crate::run::Outcome;

/// A run, and what must and must not happen in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The run.
    pub options: Options,
    /// What must be seen besides what holds for every run.
    pub expectations: Vec<Expectation>,
}

/// That something is, or is not, among the lines of a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Whether it must be there.
    pub some: bool,
    /// What a line contains.
    pub text: String,
    /// From when on.
    pub from: Millis,
    /// Until when, not included.
    pub to: Millis,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            options: Options {
                seed: 1,
                members: 2,
                topics: vec![4],
                servers: 1,
                tick: 500,
                sync_limit: 5,
                one_server_each: false,
                session_timeout: 6_000,
                round_robin: false,
                commit_interval: 1_000,
                append_gap: 100,
                window: 60_000,
                faults: Vec::new(),
            },
            expectations: Vec::new(),
        }
    }
}

impl From<Options> for Script {
    fn from(options: Options) -> Self {
        Self {
            options,
            expectations: Vec::new(),
        }
    }
}

impl FromStr for Script {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut script = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                script
                    .take(line)
                    .with_context(|| format!("line {number}: {line}"))?;
            }
        }
        script.options.faults.sort_by_key(|fault| fault.at);
        Ok(script)
    }
}

impl Script {
    fn take(&mut self, line: &str) -> Result<()> {
        let options = &mut self.options;
        let mut words = Words(line.split_whitespace());
        match words.word()? {
            "seed" => options.seed = words.number()?,
            "members" => options.members = words.number()?,
            "topics" => {
                let counts = words.0.by_ref().map(str::parse);
                options.topics = counts.collect::<Result<_, _>>()?;
            }
            "servers" => options.servers = words.number()?,
            "tick" => options.tick = words.time()?,
            "sync-limit" => options.sync_limit = words.number()?,
            "one-server-each" => options.one_server_each = true,
            "session" => options.session_timeout = words.time()?,
            "round-robin" => options.round_robin = true,
            "commit-every" => options.commit_interval = words.time()?,
            "append-every" => options.append_gap = words.time()?,
            "for" => options.window = words.time()?,
            "at" => options.faults.push(words.fault()?),
            "expect" => self.expectations.push(expectation(line)?),
            other => bail!("`{other}` is nothing that a script knows"),
        }
        match words.0.next() {
            Some(rest) if !line.starts_with("expect") => bail!("`{rest}` is too much"),
            _ => Ok(()),
        }
    }

    /// What is wrong with how the script went.
    pub fn complaints(&self, outcome: &Outcome) -> Vec<String> {
        let unmet = self.expectations.iter().filter_map(|expected| {
            let line = outcome
                .timeline
                .iter()
                .find(|line| expected.is_met_by(line));
            match (expected.some, line) {
                (true, None) => Some(format!("there is no `{}`: {expected:?}", expected.text)),
                (false, Some(line)) => Some(format!("there is `{line}`: {expected:?}")),
                _ => None,
            }
        });
        outcome.violations.iter().cloned().chain(unmet).collect()
    }
}

impl Expectation {
    fn is_met_by(&self, line: &str) -> bool {
        let time = line.split_whitespace().next().and_then(|time| {
            let (seconds, millis) = time.split_once('.')?;
            Some(seconds.parse::<Millis>().ok()? * 1000 + millis.parse::<Millis>().ok()?)
        });
        time.is_some_and(|time| (self.from..self.to).contains(&time)) && line.contains(&self.text)
    }
}

fn expectation(line: &str) -> Result<Expectation> {
    let mut parts = line.split('"');
    let (head, text, tail) = (parts.next(), parts.next(), parts.next());
    let some = match head.map(str::trim) {
        Some("expect some") => true,
        Some("expect no") => false,
        _ => bail!("`expect some` or `expect no`, and then what in double quotes"),
    };
    let mut words = Words(tail.context("no end")?.split_whitespace());
    words.keyword("from")?;
    let from = words.time()?;
    words.keyword("to")?;
    let to = words.time()?;
    let text = text.context("nothing expected")?.to_owned();
    Ok(Expectation {
        some,
        text,
        from,
        to,
    })
}

struct Words<'a>(SplitWhitespace<'a>);

impl<'a> Words<'a> {
    fn word(&mut self) -> Result<&'a str> {
        self.0.next().context("something is missing at the end")
    }

    fn keyword(&mut self, keyword: &str) -> Result<()> {
        match self.word()? {
            word if word == keyword => Ok(()),
            word => bail!("`{word}` where `{keyword}` should be"),
        }
    }

    fn number<T: FromStr>(&mut self) -> Result<T> {
        let word = self.word()?;
        word.parse()
            .ok()
            .with_context(|| format!("`{word}` is no number"))
    }

    fn time(&mut self) -> Result<Millis> {
        let word = self.word()?;
        let (number, unit) = match (word.strip_suffix("ms"), word.strip_suffix('s')) {
            (Some(number), _) => (number, 1),
            (None, Some(number)) => (number, 1000),
            (None, None) => bail!("`{word}` is no time such as 500ms or 6s"),
        };
        let number: Millis = number
            .parse()
            .ok()
            .with_context(|| format!("`{word}` is no time"))?;
        Ok(number * unit)
    }

    fn fault(&mut self) -> Result<Fault> {
        let at = self.time()?;
        let mut kind = self.word()?;
        let mut inside = None;
        if kind == "inside" {
            inside = Some(match self.word()? {
                "claim" => Stage::Claim,
                "commit" => Stage::Commit,
                "release" => Stage::Release,
                other => bail!("`{other}` is no claim, commit or release"),
            });
            kind = self.word()?;
        }
        let what = self.what(kind)?;
        Ok(Fault { at, inside, what })
    }

    fn what(&mut self, kind: &str) -> Result<What> {
        Ok(match kind {
            "crash" => What::Crash {
                member: self.number()?,
                down: self.time()?,
            },
            "leave" => What::Leave {
                member: self.number()?,
                away: self.time()?,
            },
            "join" => What::Join,
            "freeze" => What::Freeze {
                member: self.number()?,
                span: self.time()?,
            },
            "stall" => What::Stall {
                member: self.number()?,
                span: self.time()?,
                cut: self.time()?,
            },
            "cut" => self.cut(Ways::Both)?,
            "cut-up" => self.cut(Ways::Up)?,
            "cut-down" => self.cut(Ways::Down)?,
            "delay" => What::Delay {
                member: self.number()?,
                by: self.time()?,
                span: self.time()?,
            },
            "disconnect" => What::Disconnect {
                member: self.number()?,
            },
            "expire" => What::Expire {
                member: self.number()?,
            },
            "slow-work" => What::SlowWork {
                member: self.number()?,
                each: self.time()?,
                span: self.time()?,
            },
            _ => return self.what_of_the_world(kind),
        })
    }

    fn what_of_the_world(&mut self, kind: &str) -> Result<What> {
        Ok(match kind {
            "stop-server" => What::StopServer {
                server: self.number()?,
                down: self.time()?,
            },
            "cut-server" => What::CutServer {
                server: self.number()?,
                span: self.time()?,
            },
            "lag-server" => What::LagServer {
                server: self.number()?,
                by: self.time()?,
                span: self.time()?,
            },
            "server-clock" => What::ServerClock { by: self.time()? },
            "steal" => What::Steal {
                partition: self.number()?,
                span: self.time()?,
            },
            "grow" => What::Grow {
                topic: self.number()?,
                by: self.number()?,
            },
            "look-up-errors" => What::LookUpErrors { span: self.time()? },
            "truncate" => What::Truncate {
                topic: self.number()?,
                partition: self.number()?,
            },
            other => bail!("`{other}` is no fault"),
        })
    }

    fn cut(&mut self, ways: Ways) -> Result<What> {
        let (member, span) = (self.number()?, self.time()?);
        let lossy = match self.0.next() {
            None => false,
            Some("lossy") => true,
            Some(other) => bail!("`{other}` is not `lossy`"),
        };
        Ok(What::Cut {
            member,
            ways,
            span,
            lossy,
        })
    }
}
