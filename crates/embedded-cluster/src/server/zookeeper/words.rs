//! The four-letter words that people and tools ask a server with, instead of opening a session.

use std::fmt::Write as _;

use super::hub::{Hub, Traffic};
use crate::zookeeper::Summary;

/// What a server says that it is. Clients look for the number.
const VERSION: &str = "3.4.6-divvy, built on 02/20/2014 09:09 GMT";

/// The answer to a word; `None` for what is none.
pub(super) fn answer(hub: &Hub, word: &[u8; 4]) -> Option<String> {
    let (summary, traffic) = match word {
        b"ruok" => return Some("imok".to_owned()),
        b"isro" => return Some("rw".to_owned()),
        b"envi" => return Some(environment()),
        b"srvr" | b"stat" | b"cons" | b"mntr" | b"dump" | b"wchs" | b"conf" => hub.summary(),
        _ => return None,
    };
    Some(match word {
        b"srvr" => server(&summary, traffic, false),
        b"stat" => server(&summary, traffic, true),
        b"cons" => connections(&summary) + "\n",
        b"mntr" => monitor(&summary, traffic),
        b"dump" => dump(&summary),
        b"wchs" => watches(&summary),
        _ => format!(
            "tickTime={}\nminSessionTimeout={}\nmaxSessionTimeout={}\nserverId=0\n",
            summary.tick,
            2 * summary.tick,
            20 * summary.tick
        ),
    })
}

fn environment() -> String {
    format!("Environment:\nzookeeper.version={VERSION}\nhost.name=localhost\n")
}

fn server(summary: &Summary, traffic: Traffic, with_clients: bool) -> String {
    let mut text = format!("Zookeeper version: {VERSION}\n");
    if with_clients {
        text += "Clients:\n";
        text += &connections(summary);
        text += "\n";
    }
    text += "Latency min/avg/max: 0/0/0\n";
    put(&mut text, "Received: ", traffic.received);
    put(&mut text, "Sent: ", traffic.sent);
    put(&mut text, "Connections: ", summary.connections.len());
    put(&mut text, "Outstanding: ", 0);
    put(&mut text, "Zxid: ", format_args!("{:#x}", summary.zxid));
    text += "Mode: standalone\n";
    put(&mut text, "Node count: ", summary.nodes);
    text
}

fn connections(summary: &Summary) -> String {
    let mut text = String::new();
    for (session, timeout) in &summary.connections {
        let line = format!(" /127.0.0.1:0[1](queued=0,sid={session:#x},to={timeout})");
        put(&mut text, "", line);
    }
    text
}

fn monitor(summary: &Summary, traffic: Traffic) -> String {
    let mut text = String::new();
    let mut put = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "zk_{name}\t{value}");
    };
    put("version", &VERSION);
    put("avg_latency", &0);
    put("max_latency", &0);
    put("min_latency", &0);
    put("packets_received", &traffic.received);
    put("packets_sent", &traffic.sent);
    put("num_alive_connections", &summary.connections.len());
    put("outstanding_requests", &0);
    put("server_state", &"standalone");
    put("znode_count", &summary.nodes);
    put("watch_count", &summary.watches);
    put("ephemerals_count", &summary.ephemerals());
    put("approximate_data_size", &summary.data_size);
    text
}

fn dump(summary: &Summary) -> String {
    let mut text = String::from("SessionTracker dump:\n");
    put(&mut text, "Sessions: ", summary.sessions.len());
    for session in summary.sessions.keys() {
        put(&mut text, "\t", format_args!("{session:#x}"));
    }
    text += "ephemeral nodes dump:\n";
    let owners = summary.sessions.iter();
    let owners = owners.filter(|(_, paths)| !paths.is_empty());
    put(
        &mut text,
        "Sessions with Ephemerals ",
        format_args!("({}):", owners.clone().count()),
    );
    for (session, paths) in owners {
        put(&mut text, "", format_args!("{session:#x}:"));
        for path in paths {
            put(&mut text, "\t", path);
        }
    }
    text
}

fn watches(summary: &Summary) -> String {
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        summary.watchers, summary.watched, summary.watches
    )
}

fn put(text: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{name}{value}");
}
