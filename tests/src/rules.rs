//! The tables of rules and holes speak of what exists (docs/rules.md).

use crate::acceptance::{names, root};
use std::collections::BTreeSet;
use std::path::Path;

/// The cells of every row of a table.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// What stands between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The whole of this folder's code.
fn code(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            code(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path).expect("code"));
        }
    }
}

#[test]
fn every_rule_and_hole_has_its_row_and_every_test_named_there_exists() {
    let table = std::fs::read_to_string(root().join("docs/rules.md")).expect("the tables");
    let mut known = BTreeSet::new();
    names(&root(), &mut known);
    let mut told = BTreeSet::new();
    for row in rows(&table) {
        let Some(tests) = row.last().filter(|cell| cell.contains('`')) else { continue };
        let mut count = 0;
        for name in quoted(tests) {
            assert!(known.contains(name), "{name} is in the table and nowhere else");
            count += 1;
        }
        assert!(count > 0, "{row:?} is shown by nothing");
        told.insert(row[0].to_owned());
    }
    let rules = (1..=21).map(|number| format!("R{number}"));
    let holes = (1..=36).filter(|number| *number != 34).map(|number| format!("H{number}"));
    for wanted in rules.chain(holes) {
        assert!(told.contains(&wanted), "{wanted} has no row");
    }
}

#[test]
fn every_rule_is_named_in_the_core_and_has_a_test_of_its_own_name() {
    let mut core = String::new();
    code(&root().join("crm/core/src"), &mut core);
    let words: BTreeSet<&str> = core.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let mut known = BTreeSet::new();
    names(&root(), &mut known);
    for number in 1..=21 {
        assert!(words.contains(format!("R{number}").as_str()), "R{number} is named nowhere");
        let own = format!("r{number}_");
        assert!(known.iter().any(|name| name.starts_with(&own)), "no test is called {own}…");
    }
}

#[test]
fn every_switch_is_a_rule_that_the_simulator_breaks_within_as_many_seeds_as_are_told() {
    let table = std::fs::read_to_string(root().join("docs/rules.md")).expect("the tables");
    let mut found = 0;
    for row in rows(&table) {
        let [_, broken, seeds, _] = row[..] else { continue };
        let Ok(seeds) = seeds.parse::<u64>() else { continue };
        found += 1;
        for name in quoted(broken) {
            let rule = crm_sim::broken::Broken::find(name).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(rule.seeds, seeds, "{name}");
        }
    }
    assert_eq!(found, 24, "the least list has 18 switches and six more");
}
