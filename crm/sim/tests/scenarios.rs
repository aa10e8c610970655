//! Stories in `tests/scenarios/*.txt`: what operators should expect to see. `UPDATE=1` rewrites
//! them; the difference is then read and committed.

use std::path::Path;

#[test]
fn every_story_is_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut stories: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    assert!(stories.len() >= 10, "stories are missing from {}", folder.display());
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for story in stories {
        let text = std::fs::read_to_string(&story).unwrap();
        let name = story.file_name().unwrap().to_string_lossy().into_owned();
        let seen = crm_sim::scenario::rewrite(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(crm_sim::scenario::rewrite(&text).unwrap(), seen, "{name} is not deterministic");
        if seen == text {
            continue;
        }
        if update {
            std::fs::write(&story, seen).unwrap();
        } else {
            let pairs = text.lines().zip(seen.lines());
            let first = pairs.enumerate().find(|(_, (a, b))| a != b);
            wrong.push(format!("{name}: {first:?}"));
        }
    }
    assert!(wrong.is_empty(), "UPDATE=1 rewrites them:\n{}", wrong.join("\n"));
}
