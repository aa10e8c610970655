//! The short form of the soak: a storm of faults and operators, healing, quiet; looked at from outside.

use super::support::say;
use crm_tests::namespaces::crm_program;
use std::process::{Command, Stdio};

/// Ends by itself: its time, and at most one healing.
#[test]
fn i1_i7_i10_a_minute_of_faults_and_operators_breaks_nothing_and_quiet_is_silent() {
    assert!(crm_program().exists());
    let out = std::env::temp_dir().join(format!("crm-soak-test-{}", std::process::id()));
    let done = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["--short", "--minutes", "0.4", "--seed", "11", "--out"])
        .arg(&out)
        .stdin(Stdio::null())
        .output()
        .expect("the soak");
    let story = String::from_utf8_lossy(&done.stderr).into_owned();
    let summary = std::fs::read(out.join("summary.json")).unwrap_or_default();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap_or_default();
    let nodes = std::fs::read_to_string(out.join("nodes.log")).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&out);
    assert!(done.status.success(), "{story}\n{nodes}");
    let number = |at: &str| summary.pointer(at).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    say(format!(
        "{} storms, {} boots, {} looks, {} HTTP and {} ARP answers; quiet {:.0} s, {} lines",
        number("/cycles"),
        number("/boots"),
        number("/probe/looks"),
        number("/probe/http_answers"),
        number("/probe/arp_answers"),
        number("/quiet_seconds"),
        number("/quiet_log_lines"),
    ));
    assert!(number("/cycles") >= 1.0 && number("/probe/looks") >= 500.0, "{story}");
    let faults =
        summary.pointer("/faults").and_then(|all| all.as_object()).map_or(0, |all| all.len());
    assert!(faults >= 3, "{story}");
}
