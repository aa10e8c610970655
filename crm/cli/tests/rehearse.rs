//! `crm verify`, `replay` and `simulate` as an operator and a build of a configuration meet them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn crm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crm")).args(args).output().expect("runs")
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/tests/rehearsals");
    folder.join(name).display().to_string()
}

#[test]
fn h36_verify_fails_for_data_that_moves_on_silence_and_its_token_replays() {
    let unsafe_pair = file("pair-unsafe.yaml");
    let output = crm(&["verify", &unsafe_pair, "--seeds", "1", "--pairs", "0", "--json"]);
    let (json, errors) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(report["kept"], false);
    let failed = report["worst"].as_array().expect("a list").iter().find(|w| w["failed"] == true);
    let token = failed.expect("a failed run")["token"].as_str().expect("a token").to_owned();
    let replay = crm(&["replay", &token, &unsafe_pair]);
    let (story, errors) = said(&replay);
    assert_eq!(replay.status.code(), Some(0), "{errors}");
    assert!(story.contains("db IS HELD BY alpha AND beta"), "{story}");
    // Another file is another story, and that is said.
    let (_, errors) = said(&crm(&["replay", &token, &file("pair-none.yaml")]));
    assert!(errors.contains("not the very file"), "{errors}");
}

#[test]
fn simulate_tells_a_story_and_says_where_events_are_wrong() {
    let pair = file("pair-device.yaml");
    let output = crm(&["simulate", &pair, "--events", "1s crash alpha"]);
    let (story, errors) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(story.contains("db runs on beta"), "{story}");
    let output = crm(&["simulate", &pair, "--events", "1s crash alpha; 2s boot gamma"]);
    let (_, errors) = said(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors.contains("line 1, column 25: there is no node `gamma`"), "{errors}");
    assert!(errors.contains("hint: nodes: alpha, beta"), "{errors}");
}

#[test]
fn what_is_no_token_and_no_configuration_is_refused() {
    let output = crm(&["replay", "nonsense", &file("pair-device.yaml")]);
    assert_eq!(output.status.code(), Some(2), "{:?}", said(&output));
    let output = crm(&["verify", &file("pair-device.txt")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).1.contains("crm check"), "{:?}", said(&output));
}

/// Broken rules are the simulator's own: nothing of the product may ask for them.
#[test]
fn the_product_knows_only_the_sound_rules() {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder").to_owned();
    let mut files = Vec::new();
    for folder in ["cli/src", "daemon/src", "sim/src/rehearse"] {
        walk(&crates.join(folder), &mut files);
    }
    assert!(files.len() > 50);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("text");
        for word in ["mutant", "Mutant", "broken::", "campaign::"] {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
    let daemon = std::fs::read_to_string(crates.join("daemon/Cargo.toml")).expect("text");
    let product = daemon.split("[dev-dependencies]").next().unwrap_or_default();
    assert!(!product.contains("crm-sim"), "crmd must not depend on the simulator");
}
