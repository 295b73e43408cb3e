//! What docs/metrics.md says that there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, ensure};
use divvy_tests::paths;

/// What the page says of a metric.
#[derive(Debug)]
pub(crate) struct Documented {
    pub(crate) kind: String,
    pub(crate) labels: BTreeSet<String>,
}

/// Every metric of the page's tables, by name.
pub(crate) fn documented() -> Result<BTreeMap<String, Documented>> {
    let page = read("docs/metrics.md")?;
    let rows = page.lines().filter(|line| line.starts_with("| `divvy_"));
    let mut all = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, unit, labels, meaning] = cells[..] else {
            anyhow::bail!("not five cells: {row}");
        };
        let name = name.trim_matches('`').to_owned();
        ensure!(!meaning.is_empty(), "{name} has no meaning");
        for (suffix, expected) in [
            ("_seconds", "seconds"),
            ("_bytes", "bytes"),
            ("_bytes_total", "bytes"),
        ] {
            ensure!(
                !name.ends_with(suffix) || unit == expected,
                "{name} in {unit}"
            );
        }
        ensure!(
            (kind == "counter") == name.ends_with("_total"),
            "{name} is a {kind}"
        );
        let labels = labels.split(", ").filter(|label| !label.is_empty());
        let documented = Documented {
            kind: kind.to_owned(),
            labels: labels.map(str::to_owned).collect(),
        };
        ensure!(
            all.insert(name.clone(), documented).is_none(),
            "{name} twice"
        );
    }
    ensure!(all.len() > 20, "these cannot be all: {all:?}");
    Ok(all)
}

#[test]
fn the_dashboard_shows_what_is_documented() -> Result<()> {
    let documented = documented()?;
    let text = read("docs/grafana-dashboard.json")?;
    let dashboard: serde_json::Value = serde_json::from_str(&text)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let shown: BTreeSet<&str> = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .filter_map(|target| target["expr"].as_str())
        .flat_map(|expr| expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .filter(|word| word.starts_with("divvy_"))
        .map(|name| name.strip_suffix("_bucket").unwrap_or(name))
        .collect();
    for name in &shown {
        ensure!(
            documented.contains_key(*name),
            "{name} is shown, and not documented"
        );
    }
    for name in documented.keys() {
        ensure!(shown.contains(&name[..]), "{name} is not shown");
    }
    Ok(())
}

fn read(path: &str) -> Result<String> {
    let path = paths::workspace().join(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
