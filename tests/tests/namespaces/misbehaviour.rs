//! Agents that fail, hang, flood, fork away or are not there: each has a defined end and a reason.

use super::support::{THREE, TWO, patient, say, with_device, without_device};
use crm_core::packet::GroupPhase;
use crm_tests::namespaces::{Laboratory, Options};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// An agent that misbehaves as its parameter `kind` says.
const ODD: &str = r#"#!/bin/sh
state="$CRM_STATE_DIR/odd-$CRM_GROUP"
case "$1" in
meta-data)
    echo '{"name": "odd", "version": "1.0", "short_description": "Misbehaves", "stateless": true,
        "parameters": [{"name": "kind", "type": "string", "required": true, "description": "How"}],
        "actions": [{"name": "start"}, {"name": "stop"}, {"name": "status"}, {"name": "validate"},
        {"name": "meta-data"}]}' ;;
validate) ;;
start)
    case "$CRM_KIND" in
    start-fails) echo "reason expected a tape in the drive, found none; put one in" >&3; exit 1 ;;
    loud) head -c 50000000 /dev/zero | tr '\0' x; head -c 50000000 /dev/zero | tr '\0' '\n' >&2
        yes progress | head -c 20000000 >&3 ;;
    loud-fails) head -c 50000000 /dev/zero | tr '\0' x; echo; head -c 50000000 /dev/zero | tr '\0' y; exit 1 ;;
    # Left running with the agent's own output and descriptor 3: nobody may wait for that.
    forks) setsid sleep 4243 & ;;
    # Twice in a session of its own, and the agent hangs: its end takes them all.
    forks-and-hangs) setsid sh -c 'setsid sleep 4242 & sleep 4242' & sleep 4242 ;;
    esac
    : >"$state" ;;
stop)
    [ "$CRM_KIND" = stop-hangs ] && [ -e "$state" ] && sleep 4244
    rm -f "$state" ;;
status) [ -e "$state" ] || exit 7 ;;
*) exit 3 ;;
esac
"#;

fn install(lab: &Laboratory) {
    for node in lab.nodes.values() {
        let path = node.disk.join("agents/odd");
        std::fs::write(&path, ODD).expect("the agent");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }
}

fn group(kind: &str) -> String {
    // To print so much takes long beside other tests.
    let start = if kind.starts_with("loud") { "30s" } else { "4s" };
    format!(
        "  {kind}:\n    prefer: [alpha, beta]\n    only_preferred: true\n    resources:\n\
         \x20     - odd: {{kind: {kind}, timeouts: {{start: {start}, stop: 2s}}}}\n"
    )
}

fn why(lab: &Laboratory, group: &str) -> String {
    lab.node("alpha").crm(&["why", group])
}

/// Processes of a node whose command line is this.
fn count(lab: &Laboratory, node: &str, command: &str) -> usize {
    lab.node(node).run("pgrep", &["-f", "-x", command]).stdout.lines().count()
}

#[test]
fn of_two_nodes_each_kind_of_failed_start_ends_as_defined_and_says_why() {
    each_kind_of_failed_start(TWO);
}

/// The third only votes: the groups name the other two.
#[test]
fn of_three_nodes_each_kind_of_failed_start_ends_as_defined_and_says_why() {
    each_kind_of_failed_start(THREE);
}

fn each_kind_of_failed_start(nodes: &[&str]) {
    let mut lab = Laboratory::new(Options::new(nodes, 1));
    install(&lab);
    // Beta lacks this one, as after a forgotten installation.
    let agents = lab.node("alpha").disk.join("agents");
    std::fs::copy(agents.join("odd"), agents.join("rare")).expect("the rare agent");
    let rare = group("rare").replace("odd:", "rare:").replace("alpha, beta", "beta, alpha");
    let nowhere = "  nowhere:\n    prefer: [alpha, beta]\n    only_preferred: true\n    resources:\n\
        \x20     - \"ocf:lab:nosuch\": {stateless: true}\n";
    let kinds = group("start-fails")
        + &group("loud")
        + &group("loud-fails")
        + &group("forks")
        + &group("forks-and-hangs");
    let config = patient(&with_device(&lab, &(kinds + &rare + nowhere)));
    lab.found(&config);

    lab.wait_running("forks", "alpha");
    lab.wait("what a start leaves running is its service", Duration::from_secs(20), |lab| {
        count(lab, "alpha", "sleep 4243") == 1
    });
    lab.wait_running("loud", "alpha");
    let log = lab.node("alpha").log().len();
    assert!(log < 1_000_000, "{log} bytes in the log");
    let memory = resident_kib(&lab, "alpha");
    say(format!("an agent printed 120 MB: {log} bytes in the log, {memory} KiB in the daemon"));
    assert!(memory < 48 * 1024, "{memory} KiB");

    // A missing agent rules out the node that lacks it, no more.
    lab.wait_running("rare", "alpha");
    let missing = |agent: &str, name: &str, file: &str, hint: &str| {
        format!(
            "{name}: there is no agent `{agent}` on this node, which {name} needs for start: expected an \
             executable at {file}; {hint}"
        )
    };
    let ocf = "/usr/lib/ocf/resource.d/lab/nosuch";
    let own = lab.node("beta").disk.join("agents/rare").display().to_string();
    for (group, reason) in [
        (
            "start-fails",
            "odd: start of odd (odd) failed with exit code 1: expected a tape in the drive, found none; \
             put one in"
                .to_owned(),
        ),
        ("forks-and-hangs", "odd: start of odd (odd) did not end within 4s and was killed".to_owned()),
        ("nowhere", missing("ocf:lab:nosuch", "nosuch", ocf, "install the agent")),
        ("rare", missing("rare", "rare", &own, "it is not built in either")),
        ("loud-fails", "odd: start of odd (odd) failed with exit code 1: yyyyyyyy".to_owned()),
    ] {
        let on: &[&str] = if group == "rare" { &["beta"] } else { &["alpha", "beta"] };
        lab.wait(&format!("{group} failed on {on:?}"), Duration::from_secs(60), |lab| {
            lab.view().is_some_and(|status| {
                status.groups.iter().any(|g| {
                    g.id.as_str() == group
                        && g.failures.len() == on.len()
                        && (g.owner.is_none() || on.len() == 1)
                })
            })
        });
        let said = why(&lab, group);
        let state = if group == "rare" { "running on alpha" } else { "stopped" };
        assert!(said.starts_with(&format!("{group}: {state}\n")), "{said}");
        assert!(said.len() < 16 * 1024, "{group}: {} bytes", said.len());
        for node in on {
            let verdict = said.lines().find(|line| {
                let words: Vec<&str> = line.split_whitespace().take(2).collect();
                words == [*node, "no"]
            });
            let because = format!("it saw {group} fail: {reason}");
            let failure = format!("  on {node} 1 times, last: {reason}");
            let ends = |line: &str, text: &str| match group {
                "loud-fails" => line.contains(text),
                _ => line.ends_with(text),
            };
            assert!(verdict.is_some_and(|line| ends(line, &because)), "{because}\n{said}");
            assert!(said.lines().any(|line| ends(line, &failure)), "{failure}\n{said}");
        }
    }
    for node in ["alpha", "beta"] {
        assert_eq!(count(&lab, node, "sleep 4242"), 0, "{node}: a hung start left something");
    }
    // None of it disturbed the others or the cluster.
    assert_eq!(lab.place("forks"), Some(("alpha".to_owned(), true)));
    assert_eq!(lab.place("loud"), Some(("alpha".to_owned(), true)));
    assert!(lab.fenced().is_empty(), "{}", lab.logs());
    assert!(!lab.logs().contains("peer-lost"), "{}", lab.logs());
}

fn resident_kib(lab: &Laboratory, node: &str) -> u64 {
    let pid = lab.node(node).daemon_pid().expect("a daemon");
    let text = lab.node(node).run("cat", &[&format!("/proc/{pid}/status")]).stdout;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim_end_matches("kB").trim().parse().expect("VmRSS")
}

fn a_hanging_stop_has_its_node_fenced(nodes: &[&str], owner: &str, other: &str) {
    let mut lab = Laboratory::new(Options::new(nodes, 1));
    install(&lab);
    let hangs = group("stop-hangs").replace("alpha, beta", &format!("{owner}, {other}"));
    // It waits for beta, however long that takes to join.
    let config = with_device(&lab, &hangs).replace("initdead: 5s", "initdead: 60s");
    lab.found(&config);
    lab.wait_running("stop-hangs", owner);
    let asked = Instant::now();
    lab.node(owner).run("crm", &["migrate", "stop-hangs", other, "--no-wait"]);
    lab.wait_running("stop-hangs", other);
    say(format!("a stop hangs on {owner}, which is fenced: moved after {:?}", asked.elapsed()));
    assert_eq!(lab.fenced(), [owner]);
    let said = lab.node(other).crm(&["why", "stop-hangs"]);
    let stop = format!(
        "on {owner} 1 times, last: odd: stop of odd (odd) did not end within 2s and was killed\n"
    );
    let runs = format!("stop-hangs: running on {other}\n");
    assert!(said.starts_with(&runs) && said.contains(&stop), "{said}");
    assert!(!said.contains("not proved stopped elsewhere"), "{owner} is proved dead: {said}");
}

#[test]
fn r21_of_two_nodes_a_hanging_stop_has_its_node_fenced_and_the_group_runs_on_the_other() {
    a_hanging_stop_has_its_node_fenced(TWO, "beta", "alpha");
}

#[test]
fn r21_of_three_nodes_a_hanging_stop_has_its_node_fenced_and_the_group_runs_on_another() {
    a_hanging_stop_has_its_node_fenced(THREE, "beta", "alpha");
}

/// Alpha founded the cluster and coordinates it: nobody shoots himself.
#[test]
fn r21_of_two_nodes_a_hanging_stop_on_the_coordinator_has_it_fenced_by_the_other() {
    a_hanging_stop_has_its_node_fenced(TWO, "alpha", "beta");
}

#[test]
fn r21_of_three_nodes_a_hanging_stop_on_the_coordinator_has_it_fenced_by_another() {
    a_hanging_stop_has_its_node_fenced(THREE, "alpha", "beta");
}

#[test]
fn of_two_nodes_a_hanging_stop_without_a_device_blocks_its_group_and_says_so() {
    a_hanging_stop_without_a_device(TWO);
}

#[test]
fn of_three_nodes_a_hanging_stop_without_a_device_blocks_its_group_and_says_so() {
    a_hanging_stop_without_a_device(THREE);
}

fn a_hanging_stop_without_a_device(nodes: &[&str]) {
    let mut lab = Laboratory::new(Options::new(nodes, 1));
    install(&lab);
    let config =
        without_device(&lab, &group("stop-hangs").replace("{kind", "{stateless: true, kind"));
    lab.found(&config);
    lab.wait_running("stop-hangs", "alpha");
    lab.node("alpha").run("crm", &["migrate", "stop-hangs", "beta", "--no-wait"]);
    lab.wait("its stop has failed", Duration::from_secs(30), |lab| {
        lab.view().is_some_and(|s| s.groups.iter().any(|g| g.phase == GroupPhase::StopFailed))
    });
    assert_eq!(count(&lab, "alpha", "sleep 4244"), 0, "the hung stop was ended");
    let said = why(&lab, "stop-hangs");
    let stop =
        "on alpha 1 times, last: odd: stop of odd (odd) did not end within 2s and was killed\n";
    assert!(said.contains(stop), "{said}");
    assert!(said.contains("repair it, then `crm clear stop-hangs`"), "no way out is named: {said}");
    let status = lab.node("alpha").crm(&["status"]);
    assert!(status.contains("stop failed"), "{status}");
    let started = lab.node("beta").disk.join("run");
    let found = lab.node("beta").run("find", &[&started.display().to_string(), "-name", "odd-*"]);
    assert_eq!(found.stdout, "", "it was started elsewhere though it was not stopped");
}
