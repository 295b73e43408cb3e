//! The page for those who come from PyKafka.

use std::fs;

use divvy::ProducerConfig;
use divvy_tests::{paths, pykafka_producer_options};

use super::*;

/// Every keyword of PyKafka's producer has its row with its default, and what a row names as ours is there.
#[test]
fn every_option_of_pykafkas_producer_has_its_row() -> Result<()> {
    let page = fs::read_to_string(paths::workspace().join("docs/pykafka.md"))?;
    let (_, rest) = page
        .split_once("## The producer's options")
        .context("no table")?;
    let (table, _) = rest.split_once("\n## ").context("no end")?;
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();

    let options: Vec<(String, String)> = rows
        .iter()
        .map(|row| (in_code(row[1]).join(""), in_code(row[2]).swap_remove(0)))
        .collect();
    assert_eq!(options, pykafka_producer_options()?);

    // `ProducerConfig { acks: All, compression: …`
    let ours = format!("{:?}", ProducerConfig::default());
    let mut fields = 0;
    for name in rows.iter().flat_map(|row| in_code(row[3])) {
        // Others are methods and types.
        if name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '_')
        {
            assert!(
                ours.contains(&format!(" {name}: ")),
                "no field {name}: {ours}"
            );
            fields += 1;
        }
    }
    assert!(fields > 8, "{fields} fields");
    Ok(())
}

/// What stands between back quotes.
fn in_code(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
