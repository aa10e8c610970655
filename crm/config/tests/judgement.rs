//! Error and warning texts, as people see them: `tests/errors/NAME.yaml` gives `NAME.txt`.
//! `UPDATE=1` rewrites the expectations; read the difference before you commit it.

use crm_config::{NoCatalog, check};
use std::fs;
use std::path::Path;

#[test]
fn every_text_says_where_and_what_to_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        count += 1;
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let checked = check(&name, &text, &NoCatalog);
        let mut said = String::new();
        for diagnostic in &checked.diagnostics {
            said.push_str(&diagnostic.to_string());
            said.push_str("\n\n");
        }
        said.push_str(if checked.cluster.is_some() { "accepted\n" } else { "refused\n" });
        let expected_path = path.with_extension("txt");
        if update {
            fs::write(&expected_path, &said).unwrap();
        } else if fs::read_to_string(&expected_path).unwrap_or_default() != said {
            wrong.push(format!("--- {name}\n{said}"));
        }
    }
    assert!(count >= 10, "only {count} texts found");
    assert!(wrong.is_empty(), "these differ (UPDATE=1 rewrites):\n{}", wrong.join("\n"));
}
