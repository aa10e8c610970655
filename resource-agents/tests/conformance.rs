//! The conformance suite must pass good agents, ours and OCF's, and catch bad ones.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{isolated, may_run, tool};
use crm_agents::conformance::{Agent, Options, Report, Verdict, run};

fn options(directory: &Path, parameters: &[(&str, &str)]) -> Options {
    let state_dir = directory.join("conformance");
    Options {
        parameters: parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        state_dir,
        timeout: Duration::from_secs(10),
    }
}

fn builtin(name: &str) -> Agent {
    Agent::Builtin { program: env!("CARGO_BIN_EXE_crm-agent").into(), name: name.to_owned() }
}

#[track_caller]
fn passes(report: &Report) {
    assert!(report.passed(), "\n{report}");
    assert!(report.checks.len() > 12, "\n{report}");
}

#[test]
fn our_agents_conform() {
    isolated("our_agents_conform", |directory| {
        let at = directory.join("data").display().to_string();
        let tmpfs = options(directory, &[("device", "tmpfs"), ("at", &at), ("type", "tmpfs")]);
        passes(&run(&builtin("filesystem"), &tmpfs));
        passes(&run(&builtin("process"), &options(directory, &[("command", "sleep 6100")])));
        tool("ip link set lo up");
        let vip = options(directory, &[("address", "192.0.2.7/32"), ("interface", "lo")]);
        passes(&run(&builtin("vip"), &vip));
    });
}

#[test]
fn debians_dummy_conforms_unmodified() {
    let path = Path::new("/usr/lib/ocf/resource.d/heartbeat/Dummy");
    if !may_run("Debian's package resource-agents", path.exists()) {
        return;
    }
    isolated("debians_dummy_conforms_unmodified", |directory| {
        let agent = Agent::Ocf {
            root: "/usr/lib/ocf".into(),
            provider: "heartbeat".to_owned(),
            name: "Dummy".to_owned(),
        };
        let state = directory.join("dummy").display().to_string();
        let report = run(&agent, &options(directory, &[("state", &state)]));
        passes(&report);
        let meta = report.meta_data.expect("meta-data");
        assert_eq!(meta.name, "Dummy");
        assert!(meta.parameter("state").is_some() && meta.action("status").is_some());
    });
}

#[test]
fn meta_data_of_every_installed_ocf_agent_is_read() {
    let directory = Path::new("/usr/lib/ocf/resource.d/heartbeat");
    if !may_run("Debian's package resource-agents", directory.join("Dummy").exists()) {
        return;
    }
    let mut read = 0;
    let mut silent = Vec::new();
    for entry in fs::read_dir(directory).expect("agents").flatten() {
        let path = entry.path();
        if !path.is_file() {
            continue;
        }
        let output = std::process::Command::new(&path)
            .arg("meta-data")
            .env("OCF_ROOT", "/usr/lib/ocf")
            .output();
        // Some need programs that are not here even to describe themselves.
        let text = match output {
            Ok(output) if output.status.success() && !output.stdout.is_empty() => output.stdout,
            _ => {
                silent.push(path);
                continue;
            }
        };
        let text = String::from_utf8_lossy(&text);
        let meta = crm_agents::ocf::parse_meta_data(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(meta.action("start").is_some(), "{}", path.display());
        assert_eq!(
            meta.parameters.len(),
            text.matches("<parameter ").count(),
            "{}: every parameter is read",
            path.display()
        );
        read += 1;
    }
    eprintln!("read {read} agents; {} could not describe themselves: {silent:?}", silent.len());
    assert!(read >= 50, "only {read} agents were read");
}

/// A shell agent that conforms, but for one `flaw` at the top.
fn script(directory: &Path, flaw: &str) -> PathBuf {
    let state = directory.join("runs");
    let text = format!(
        r#"#!/bin/sh
state={state}
{flaw}
case "$1" in
meta-data) echo '{{"name":"t","parameters":[{{"name":"what","required":true}}],
  "actions":[{{"name":"start"}},{{"name":"stop"}},{{"name":"status"}},{{"name":"validate"}},
  {{"name":"meta-data"}}]}}' ;;
start) [ -n "$CRM_WHAT" ] || exit 6; touch $state ;;
stop) rm -f $state ;;
status) [ -e $state ] || exit 7; [ -e /dev/fd/3 ] && echo "watch process $$" >&3 ;;
validate) [ -n "$CRM_WHAT" ] || exit 6 ;;
*) exit 3 ;;
esac
exit 0
"#,
        state = state.display()
    );
    let path = directory.join("agent");
    let _ = fs::remove_file(&path);
    fs::write(&path, text).expect("script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

#[test]
fn each_flaw_is_caught_by_name() {
    isolated("each_flaw_is_caught_by_name", |directory| {
        let mut options = options(directory, &[("what", "x")]);
        passes(&run(&Agent::Executable(script(directory, "")), &options));
        options.timeout = Duration::from_secs(2);
        for (flaw, check, why) in [
            ("[ $1 = meta-data ] && echo hello && exit 0", "meta-data can be read", "hello"),
            ("[ $1 = no-such-action ] && exit 0", "an unknown action is refused", "code 3"),
            ("[ $1 = start ] && touch $state && exit 0", "start without a required", "code 2 or 6"),
            ("[ $1 = stop ] && ! [ -e $state ] && exit 1", "stop brings it to rest", "code 0"),
            ("[ $1 = status ] && ! [ -e $state ] && exit 1", "status of what is stopped", "code 7"),
            ("[ $1 = status ] && exit 7", "status of what runs is 0", "code 0"),
            (
                "[ $1 = start ] && [ -e $state ] && echo it runs >&2 && exit 1",
                "start of what runs succeeds",
                "it runs",
            ),
            ("[ $1 = start ] && [ -n \"$CRM_WHAT\" ] && sleep 600", "start succeeds", "hung"),
            ("[ $1 = stop ] && exit 0", "status afterwards is 7", "code 7"),
            ("[ $1 = status ] && [ -e $state ] && echo hi >&3", "status of what runs", "\"hi\""),
            ("[ $1 = validate ] && exit 1", "the parameters of this test", "code 0"),
        ] {
            let _ = fs::remove_file(directory.join("runs"));
            let report = run(&Agent::Executable(script(directory, flaw)), &options);
            let found = report.failures().any(|failed| {
                failed.name.starts_with(check)
                    && matches!(&failed.verdict, Verdict::Failed(text) if text.contains(why))
            });
            assert!(found, "{flaw}: expected {check:?} to fail with {why:?}:\n{report}");
        }
    });
}

#[test]
fn an_agent_that_is_not_there_fails_once() {
    let state_dir = std::env::temp_dir();
    let options =
        Options { parameters: BTreeMap::new(), state_dir, timeout: Duration::from_secs(1) };
    let report = run(&Agent::Executable("/no/such/agent".into()), &options);
    assert!(!report.passed() && report.checks.len() == 2, "{report}");
    let name = "../../../bin/true".to_owned();
    let agent = Agent::Ocf { root: "/usr/lib/ocf".into(), provider: "x".to_owned(), name };
    assert!(run(&agent, &options).to_string().contains("is no agent's name"));
}
