//! What README.md shows is what there is.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use divvy_tests::{Divvy, paths};

fn read(path: &str) -> Result<String> {
    fs::read_to_string(paths::workspace().join(path)).with_context(|| format!("cannot read {path}"))
}

/// The code blocks of a page that are in this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let code = page.split("```").skip(1).step_by(2);
    code.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

/// Every command of `divvy` in the shell blocks of a page, with the long options that it is given.
fn commands(page: &str) -> Vec<(Vec<&str>, Vec<&str>)> {
    let lines = blocks(page, "sh").into_iter().flat_map(str::lines);
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines
        .flat_map(|line| line.split(['|', ';', '&']))
        .filter_map(|part| part.split_once("divvy "))
        .filter(|(before, _)| before.split_whitespace().all(|word| word == "do"))
        .map(|(_, rest)| {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let names = words.iter().copied();
            let command = names.take_while(|word| !word.starts_with('-')).collect();
            let options = words.into_iter().filter(|word| word.starts_with("--"));
            (command, options.collect())
        })
        .collect()
}

#[test]
fn the_library_example_is_the_program_in_examples() -> Result<()> {
    let (page, program) = (read("README.md")?, read("examples/balanced_consumer.rs")?);
    let (_, code) = program
        .split_once("\nuse ")
        .context("the program uses nothing")?;
    // The one before it is run as it stands by the suite `examples`.
    assert_eq!(blocks(&page, "rust")[1..], [format!("use {code}")]);
    Ok(())
}

#[test]
fn every_command_and_option_exists() -> Result<()> {
    let mut known: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let mut seen = 0;
    for path in ["README.md", "docker/README.md"] {
        let page = read(path)?;
        for (command, options) in commands(&page) {
            let mut arguments: Vec<String> = command.iter().map(ToString::to_string).collect();
            arguments.push("--help".to_owned());
            if !known.contains_key(&arguments) {
                let shown = Command::new(Divvy::program()?).args(&arguments).output()?;
                let help = String::from_utf8(shown.stdout)?;
                known.insert(arguments.clone(), help);
            }
            let help = &known[&arguments];
            for option in options {
                seen += 1;
                let exists = help
                    .split(|c: char| c != '-' && !c.is_alphanumeric())
                    .any(|word| word == option);
                assert!(exists, "{path}: divvy {} {option}", command.join(" "));
            }
        }
    }
    assert!(seen > 30, "these cannot be all options");
    Ok(())
}

#[test]
fn commands_are_found_where_they_are() {
    let page = "```text\ndivvy no --no\n```\n```sh\n# divvy no --no\nseq 9 | divvy produce --topic t --x\n\
                for i in 1; do divvy topic create --y & done\nkill divvy --no\n```\n";
    assert_eq!(
        commands(page),
        [
            (vec!["produce"], vec!["--topic", "--x"]),
            (vec!["topic", "create"], vec!["--y"])
        ]
    );
}
