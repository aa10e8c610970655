//! Recorded answers: each file holds `$ command`, what was printed, and `[rc=N]`, one after the other.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::path::PathBuf;

/// One recorded call.
#[derive(Debug)]
pub struct Call {
    pub command: String,
    pub output: String,
    pub code: i32,
}

pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub fn text(name: &str) -> String {
    let path = directory().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file of every version, with its name below the directory.
pub fn all() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for version in fs::read_dir(directory()).expect("fixtures").flatten() {
        for file in fs::read_dir(version.path()).expect("version").flatten() {
            let name = format!(
                "{}/{}",
                version.file_name().to_string_lossy(),
                file.file_name().to_string_lossy()
            );
            let text = text(&name);
            files.push((name, text));
        }
    }
    files.sort();
    assert!(files.len() > 50, "the fixtures are there");
    files
}

pub fn calls(name: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for line in text(name).lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let (command, output) = (command.to_owned(), String::new());
            calls.push(Call { command, output, code: -1 });
        } else if let Some(call) = calls.last_mut() {
            match line.strip_prefix("[rc=").and_then(|rest| rest.strip_suffix(']')) {
                Some(code) => call.code = code.parse().expect("a number"),
                None => call.output.push_str(&format!("{line}\n")),
            }
        }
    }
    calls
}

/// The call whose command begins so, in a recorded state of 8.4.
pub fn answer(state: &str, command: &str) -> Call {
    let calls = calls(&format!("8.4/{state}.txt"));
    let found = calls.into_iter().find(|call| call.command.starts_with(command));
    found.unwrap_or_else(|| panic!("{command} was not recorded in {state}"))
}

/// The first of these commands that was recorded in a state: during the resync only some were.
pub fn first_answer(state: &str, commands: &[&str]) -> Call {
    let mut calls = calls(&format!("8.4/{state}.txt"));
    let find = |command: &&str| calls.iter().position(|call| call.command.starts_with(*command));
    let found = commands.iter().find_map(find);
    calls.swap_remove(found.unwrap_or_else(|| panic!("none of {commands:?} in {state}")))
}

/// All recorded states of 8.4 in which the resource is up.
pub const STATES: &[&str] = &[
    "02-a-up-alone-wfconnection.a",
    "03-connected-both-inconsistent.a",
    "04-uptodate-both-secondary.a",
    "05-syncing-b-target.a",
    "05-syncing-b-target.b",
    "06-a-primary.a",
    "06-a-primary.b",
    "08-a-dead-b-secondary.b",
    "10-b-primary-alone.b",
    "12-link-cut.a",
    "12-link-cut.b",
    "13-split-both-primary.a",
    "13-split-both-primary.b",
    "14-split-brain.a",
    "14-split-brain.b",
    "15-resolved.a",
    "17-b-diskless.a",
    "17-b-diskless.b",
    "18-b-disconnected.a",
    "18-b-disconnected.b",
    "19-b-outdated.a",
    "19-b-outdated.b",
];

/// A small generator with a seed, so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).expect("below a usize")
    }
}
