//! The table of acceptance rows speaks of tests that exist (docs/acceptance.md).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of all test functions, those of broken rules among them, and of the recorded cases of placement.
pub(crate) fn names(directory: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                names(&path, into);
            }
        } else if let Some(case) = name.strip_suffix(".txt") {
            into.insert(case.to_owned());
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines = text.lines().map(str::trim_start);
            // `h1_stamp_without_epoch "stamp-without-epoch"`: a macro makes the function.
            let broken = lines.clone().filter_map(|line| line.strip_suffix('"')?.split_once(" \""));
            let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            into.extend(broken.map(|(name, _)| name.to_owned()).filter(|name| is_name(name)));
            let functions = lines
                .filter_map(|line| line.strip_prefix("async fn ").or(line.strip_prefix("fn ")));
            into.extend(
                functions.filter_map(|rest| rest.split_once('(')).map(|(name, _)| name.to_owned()),
            );
        }
    }
}

#[test]
fn every_test_named_in_the_table_of_rows_exists() {
    let root = root();
    let table = std::fs::read_to_string(root.join("docs/acceptance.md")).expect("the table");
    let mut known = BTreeSet::new();
    names(&root, &mut known);
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let Some(shown_by) = line.trim_end_matches(" |").rsplit(" | ").next() else { continue };
        for name in shown_by.split('`').skip(1).step_by(2) {
            rows += 1;
            assert!(known.contains(name), "{name} is in the table and nowhere else");
        }
    }
    assert!(rows > 50, "expected a table of rows, found {rows}");
}
