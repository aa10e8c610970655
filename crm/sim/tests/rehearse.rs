//! Rehearsals of small configurations in `tests/rehearsals/*.yaml`: what each fault does to each
//! group. `UPDATE=1` rewrites what is expected; the difference is then read and committed. Figures
//! are left out, so that only a change of behaviour is a difference.

use crm_sim::rehearse::{self, End, Order, Report, Subject, Token};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const ORDER: Order = Order { tries: 2, from: 1, pairs: Some(12), time: None, workers: 2 };

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsals")
}

fn subject(name: &str) -> Subject {
    let path = folder().join(format!("{name}.yaml"));
    Subject::new(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn verify(name: &str, order: &Order) -> (Subject, Report) {
    let subject = subject(name);
    let report = rehearse::verify(&subject, order, &|_| {}).unwrap();
    (subject, report)
}

/// What is expected to stay the same as long as the cluster behaves the same.
fn essence(report: &Report) -> String {
    let mut text = String::new();
    for row in &report.rows {
        let mut ends: Vec<&str> = row.ends.iter().map(|(end, _)| end.as_str()).collect();
        ends.sort_unstable();
        let twice = if row.both_s > 0.0 { "TWO HOLDERS" } else { "one holder" };
        let broken = row.breaks.map(|name| format!(" (breaks {name})")).unwrap_or_default();
        let (fault, group, operator) = (&row.fault, &row.group, row.operator);
        let ends = ends.join(" or ");
        let _ = writeln!(text, "{fault}{broken}: {group}: {ends}; {twice}; operator {operator:?}");
    }
    let _ = writeln!(text, "nothing: {}", report.harmless.join("; "));
    let _ = writeln!(text, "{}", if report.kept { "kept" } else { "not kept" });
    text
}

fn is_as_written(name: &str) -> Report {
    let (_, report) = verify(name, &ORDER);
    let (path, seen) = (folder().join(format!("{name}.txt")), essence(&report));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &seen).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let first = expected.lines().zip(seen.lines()).find(|(a, b)| a != b);
    assert!(expected == seen, "UPDATE=1 rewrites {}: {first:?}", path.display());
    assert_eq!((report.singles.covered, report.pairs.covered), (report.singles.all, 12));
    report
}

#[test]
fn a_pair_with_devices_keeps_its_promises() {
    let report = is_as_written("pair-device");
    assert!(report.kept, "{}", rehearse::draw(&report));
    let death = report.rows.iter().find(|row| row.id == "dies:alpha").unwrap();
    assert!(death.down_s[2].is_some_and(|down| down > 1.0), "{death:?}");
}

#[test]
fn a_pair_without_fencing_waits_with_its_data() {
    let report = is_as_written("pair-none");
    assert!(report.kept, "{}", rehearse::draw(&report));
    // Only what holds no data may be held twice (H36).
    assert!(report.rows.iter().any(|row| row.group == "web" && row.both_s > 0.0));
    let judged = report.rows.iter().filter(|row| row.breaks.is_none());
    assert!(judged.filter(|row| row.group == "db").all(|row| row.both_s == 0.0));
}

#[test]
fn three_nodes_with_watchdogs_keep_their_promises() {
    assert!(is_as_written("trio-watchdog").kept);
}

#[test]
fn h36_a_pair_that_moves_data_on_silence_fails_and_shows_both_holders() {
    let (subject, report) = verify("pair-unsafe", &Order { pairs: Some(0), ..ORDER });
    assert!(!report.kept);
    let row = report.rows.iter().find(|row| row.id == "cut:alpha:beta").unwrap();
    assert!(row.both_s > 1.0, "{row:?}");
    let worst = report.worst.iter().find(|worst| worst.failed).unwrap();
    assert!(worst.why.contains("two nodes hold db, with its data"), "{worst:?}");
    // The token leads to the very run.
    let case = Token::parse(&worst.token).unwrap().case(&subject).unwrap();
    let (story, trial) = rehearse::replay(&subject, &case, false).unwrap();
    assert!(trial.groups[0].both > 0, "{:?}", trial.groups);
    let both = |moment: &&rehearse::Moment| moment.text.contains("db IS HELD BY");
    assert!(story.iter().any(|moment| both(&moment)), "{story:#?}");
    let told = worst.why.rsplit(' ').next().unwrap();
    assert_eq!(told, format!("{:.1}s", trial.groups[0].both as f64 / 1e6));
    let (again, second) = rehearse::replay(&subject, &case, false).unwrap();
    assert_eq!((story, trial.digest), (again, second.digest));
}

#[test]
fn the_same_order_gives_the_same_report() {
    let order = Order { tries: 1, pairs: Some(4), ..ORDER };
    let (_, first) = verify("pair-none", &order);
    let (_, second) = verify("pair-none", &Order { workers: 1, ..order });
    assert_eq!(rehearse::draw(&first), rehearse::draw(&second));
    let (_, other) = verify("pair-none", &Order { from: 77, ..order });
    assert_ne!(rehearse::draw(&first), rehearse::draw(&other));
}

#[test]
fn as3_a_device_that_lies_is_shown_and_not_judged() {
    let subject = subject("pair-device");
    let token = |names: &str| Token::parse(&format!("{names}@3.0")).unwrap();
    let both = token("freezes:alpha+device-lies:alpha").case(&subject).unwrap();
    let tries = (1..=12).map(|seed| {
        let case = rehearse::Case { seed, ..both.clone() };
        rehearse::try_once(&subject, &case, false).unwrap()
    });
    let held = tries.filter(|trial| trial.groups[0].both > 0).count();
    assert!(held > 0, "a machine that freezes, is called off and is not: two holders");
    let honest = token("freezes:alpha+device-unreported:alpha").case(&subject).unwrap();
    let trial = rehearse::try_once(&subject, &honest, false).unwrap();
    assert_eq!((trial.groups[0].both, trial.broken.len()), (0, 0));
    assert_ne!(trial.groups[0].end, End::Lost);
}
