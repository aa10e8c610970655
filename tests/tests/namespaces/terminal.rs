//! What an operator was told holds, whoever dies meanwhile; and what is lost without being needed moves nothing.

use super::support::{A_WHILE, THREE, decisions, say, wait_whole, with_device};
use crm_tests::namespaces::{FenceMode, Laboratory, Options};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// An agent whose start takes a while, so that an operator has to wait.
const SLOW: &str = r#"#!/bin/sh
state="$CRM_STATE_DIR/slow-$CRM_GROUP"
case "$1" in
meta-data)
    echo '{"name": "slow", "version": "1.0", "short_description": "Takes its time", "stateless": true,
        "parameters": [], "actions": [{"name": "start"}, {"name": "stop"}, {"name": "status"},
        {"name": "validate"}, {"name": "meta-data"}]}' ;;
validate) ;;
start) [ -e "$state" ] || sleep 2; : >"$state" ;;
stop) rm -f "$state" ;;
status) [ -e "$state" ] || exit 7 ;;
*) exit 3 ;;
esac
"#;

fn found() -> Laboratory {
    let mut lab = Laboratory::new(Options::new(THREE, 2));
    for node in lab.nodes.values() {
        let path = node.disk.join("agents/slow");
        std::fs::write(&path, SLOW).expect("the agent");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    let config = with_device(&lab, "  job:\n    resources:\n      - slow\n")
        .replace("deadtime: 1s", "deadtime: 2s");
    lab.found(&config);
    lab.wait("job runs", Duration::from_secs(30), |lab| lab.place("job").is_some_and(|(_, r)| r));
    wait_whole(&lab);
    lab
}

/// The coordinator, the one that has job (another one), and the third, where the operator sits.
fn cast(lab: &Laboratory) -> [String; 3] {
    let coordinator = lab.view().and_then(|status| status.coordinator).expect("a coordinator");
    let others: Vec<&str> =
        THREE.iter().copied().filter(|name| *name != coordinator.as_str()).collect();
    let (from, third) = (others[0], others[1]);
    if lab.place("job").is_none_or(|(on, _)| on != from) {
        lab.node(third).crm(&["migrate", "job", from]);
    }
    lab.wait_running("job", from);
    wait_whole(lab);
    [coordinator.to_string(), from.to_owned(), third.to_owned()]
}

fn migrate(lab: &Laboratory, on: &str, to: &str, more: &[&str]) -> Child {
    let mut command = lab.node(on).command("crm");
    command.args(["migrate", "job", to]).args(more).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("crm")
}

fn owner(lab: &Laboratory, node: &str) -> Option<String> {
    let status = lab.node(node).try_status()?;
    Some(status.groups.first()?.owner.as_ref()?.to_string())
}

fn end(child: Child) -> (Option<i32>, String) {
    let done = child.wait_with_output().expect("crm ends");
    let text = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (done.status.code(), text.concat())
}

/// Once the move is under way, it was committed: it is carried out, and the terminal sees it.
#[test]
fn i5_the_coordinator_dies_while_an_operator_waits_for_a_move_and_the_move_holds() {
    let mut lab = found();
    let [coordinator, _, third] = cast(&lab);
    let waits = migrate(&lab, &third, &third, &[]);
    lab.wait("job is on its way", Duration::from_secs(20), |lab| {
        owner(lab, &third).as_deref() == Some(third.as_str())
    });
    lab.power_off(&coordinator);
    let (code, said) = end(waits);
    say(format!(
        "the coordinator died during a move: the terminal ended with {code:?}: {}",
        said.trim()
    ));
    assert_eq!(code, Some(0), "{said}{}", lab.logs());
    lab.wait_running("job", &third);

    // Acknowledged, and nobody waits for it any more.
    super::support::bring_back(&mut lab, &coordinator);
    let [coordinator, _, third] = cast(&lab);
    let (code, said) = end(migrate(&lab, &third, &third, &["--no-wait"]));
    lab.power_off(&coordinator);
    assert_eq!(code, Some(0), "{said}");
    lab.wait_running("job", &third);

    // Asked for, perhaps not heard: whatever it is, the terminal does not claim more than it knows.
    super::support::bring_back(&mut lab, &coordinator);
    let [coordinator, from, third] = cast(&lab);
    let asked = migrate(&lab, &third, &third, &["--timeout", "20"]);
    lab.power_off(&coordinator);
    let (code, said) = end(asked);
    say(format!(
        "the coordinator died as it was asked: the terminal ended with {code:?}: {}",
        said.trim()
    ));
    lab.wait("job runs", Duration::from_secs(40), |lab| lab.place("job").is_some_and(|(_, r)| r));
    let on = lab.place("job").map(|(on, _)| on).unwrap_or_default();
    match code {
        Some(0) => assert_eq!(on, third, "what was acknowledged is lost\n{}", lab.logs()),
        Some(4 | 5) => assert!(on == third || on == from, "{on}"),
        other => panic!("{other:?}: {said}\n{}", lab.logs()),
    }
}

#[test]
fn the_loss_of_the_device_of_a_link_and_of_the_operators_terminal_moves_nothing() {
    let lab = found();
    let [_, from, third] = cast(&lab);
    super::support::rest(&lab);
    let before = decisions(&lab.node("alpha").status());
    lab.set_fencing(FenceMode::Fails);
    lab.beats("alpha", A_WHILE);
    assert_eq!(decisions(&lab.node("alpha").status()), before, "{}", lab.logs());
    // And a link besides.
    for node in THREE {
        lab.cable(node, 1, false);
    }
    lab.beats("alpha", A_WHILE);
    assert_eq!(decisions(&lab.node("alpha").status()), before, "{}", lab.logs());
    // A terminal that only watches.
    let mut watches = lab.node(&third).command("crm");
    let mut watches =
        watches.arg("status").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("crm");
    let _ = watches.kill();
    let _ = watches.wait();
    lab.beats("alpha", A_WHILE);
    assert_eq!(decisions(&lab.node("alpha").status()), before, "{}", lab.logs());
    // One that waits for a move: what was committed goes on, and nothing else happens.
    let mut waits = migrate(&lab, &from, &third, &[]);
    let asked = Instant::now();
    lab.wait("job is on its way", Duration::from_secs(20), |lab| {
        owner(lab, "alpha").as_deref() == Some(third.as_str())
    });
    waits.kill().expect("its process");
    let _ = waits.wait();
    lab.wait_running("job", &third);
    say(format!("the terminal died; job arrived {:?} after it was asked for", asked.elapsed()));
    lab.beats("alpha", A_WHILE);
    assert_eq!(lab.place("job"), Some((third, true)), "{}", lab.logs());
    assert!(lab.fence_requests().is_empty() && lab.fenced().is_empty(), "{}", lab.logs());
}
