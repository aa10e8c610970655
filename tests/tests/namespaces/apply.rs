//! The record is the truth, the file is the draft.

use super::support::{
    A_WHILE, THREE, TWO, WEB, bring_back, decisions, patient, pids, rest, say, wait_whole,
    web_group, with_device,
};
use crm_core::status::{NodeState, Status};
use crm_tests::namespaces::{Laboratory, Options};
use std::process::Stdio;
use std::time::{Duration, Instant};

const OTHER: &str = "10.77.0.103";
/// What `crm status` says of a file that was edited.
const DRAFT: &str = "cluster.yaml on this node differs from the configuration in force; nothing acts on \
                     it until `crm apply`";

fn file(lab: &Laboratory, node: &str) -> String {
    std::fs::read_to_string(lab.node(node).etc("cluster.yaml")).expect("cluster.yaml")
}

fn an_edited_file_is_reported_and_nothing_acts_on_it(names: &[&str]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let prefer = names.join(", ");
    let old = patient(&with_device(&lab, &web_group("web", &prefer, WEB, 80)));
    lab.found(&old);
    lab.wait_running("web", "alpha");
    rest(&lab);
    let server = pids(&lab, "alpha", "lab-web");
    let told = |lab: &Laboratory, node: &str| lab.node(node).crm(&["status"]).contains(DRAFT);
    assert!(!told(&lab, "beta"));
    let before = decisions(&lab.node("alpha").status());
    // One group more, and the running one's address gone.
    let new = with_device(
        &lab,
        &(web_group("web", &prefer, "10.77.0.104", 80) + &web_group("mail", "beta", OTHER, 80)),
    );
    std::fs::write(lab.node("beta").etc("cluster.yaml"), &new).expect("edit");
    lab.wait("the draft is reported", Duration::from_secs(20), |lab| told(lab, "beta"));
    lab.beats("beta", A_WHILE);
    assert_eq!(decisions(&lab.node("alpha").status()), before, "{}", lab.logs());
    // Not even a restart acts on it, of this daemon or of the whole cluster's.
    lab.node_mut("beta").kill_daemon();
    lab.node_mut("beta").start_daemon(&[]);
    wait_whole(&lab);
    for name in names {
        lab.node_mut(name).kill_daemon();
    }
    for name in names {
        lab.node_mut(name).start_daemon(&[]);
    }
    wait_whole(&lab);
    lab.wait_running("web", "alpha");
    lab.wait("the draft is reported again", Duration::from_secs(20), |lab| told(lab, "beta"));
    lab.beats("beta", A_WHILE);
    assert!(lab.place("mail").is_none());
    assert_eq!(pids(&lab, "alpha", "lab-web"), server, "{}", lab.logs());
    for name in names {
        assert_eq!(lab.node(name).crm(&["config"]), old);
        assert_eq!(file(&lab, name), if *name == "beta" { new.as_str() } else { &old });
        assert_eq!(told(&lab, name), *name == "beta", "{name}");
    }
    let shown = lab.node("beta").crm(&["apply", "--dry-run"]);
    assert!(shown.contains("mail") && shown.contains("web"), "{shown}");
    assert_eq!(lab.node("alpha").crm(&["config"]), old, "a dry run is dry");
    lab.node("beta").crm(&["apply", "--yes"]);
    lab.wait_running("mail", "beta");
    lab.wait_running("web", "alpha");
    lab.wait("every node has the file", Duration::from_secs(20), |lab| {
        names.iter().all(|name| file(lab, name) == new && !told(lab, name))
    });
    lab.wait("web serves its new address", Duration::from_secs(20), |lab| {
        lab.node("alpha").has_address("10.77.0.104") && !lab.node("alpha").has_address(WEB)
    });
    lab.node("beta").crm(&["apply", "--rollback", "--yes"]);
    lab.wait("all is as before", Duration::from_secs(20), |lab| {
        lab.place("mail").is_none()
            && !lab.node("beta").has_address(OTHER)
            && lab.node("alpha").has_address(WEB)
            && names.iter().all(|name| file(lab, name) == old)
    });
}

/// HB18, O16.
#[test]
fn of_two_nodes_a_file_edited_on_one_is_reported_and_acted_upon_only_by_apply() {
    an_edited_file_is_reported_and_nothing_acts_on_it(TWO);
}

#[test]
fn of_three_nodes_a_file_edited_on_one_is_reported_and_acted_upon_only_by_apply() {
    an_edited_file_is_reported_and_nothing_acts_on_it(THREE);
}

/// Part of a node while a change is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Coordinator,
    Follower,
}
use Part::{Coordinator, Follower};

/// Who dies in the middle of `crm apply`, and when.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// Where `crm apply` runs.
    asked_on: Part,
    dies: Part,
    /// When the new text is on the disk of this one; `None`: as soon as it was asked for.
    once_written_by: Option<Part>,
}

/// Nodes by their part, the followers last first: with two of them the first one asked is not the one
/// that dies.
fn cast(lab: &Laboratory) -> (String, Vec<String>) {
    let coordinator = lab.view().and_then(|status| status.coordinator).expect("a coordinator");
    let others = lab.nodes.keys().filter(|name| **name != *coordinator.as_str()).cloned().rev();
    (coordinator.to_string(), others.collect())
}

/// A line that stands in the new text only.
fn mark(number: usize) -> String {
    format!("operators: [somebody-{number}]")
}

fn is_written(lab: &Laboratory, node: &str, number: usize) -> bool {
    let state = std::fs::read(lab.node(node).disk.join("state/state")).unwrap_or_default();
    let name = mark(number);
    state.windows(name.len()).any(|window| window == name.as_bytes())
}

/// Nobody fences it any more. Those that are left may have a coordinator a moment before they call it lost
/// and ask its device; a machine that boots in between is shot.
fn is_settled(status: &Status, dead: &str) -> bool {
    let state = status.nodes.iter().find(|node| node.id.as_str() == dead).map(|node| node.state);
    // Two go on by the proof alone; of more, who owned nothing is only silent.
    let gone = state == Some(NodeState::Dead)
        || (state == Some(NodeState::Lost) && status.nodes.len() > 2);
    gone && status.groups.iter().all(|g| g.owner.as_ref().is_none_or(|o| o.as_str() != dead))
}

fn apply_while_one_dies(lab: &mut Laboratory, number: usize, death: Death) {
    let (coordinator, followers) = cast(lab);
    let dies = if death.dies == Coordinator { &coordinator } else { &followers[0] };
    let asked_on = match death.asked_on {
        Coordinator => &coordinator,
        Follower => followers.last().expect("a follower"),
    };
    let old = lab.node(asked_on).crm(&["config"]);
    let lines: Vec<&str> = old.lines().filter(|line| !line.starts_with("operators")).collect();
    let new = format!("{}\n{}\n", lines.join("\n"), mark(number));
    let path = lab.directory.join("new.yaml");
    std::fs::write(&path, &new).expect("the new file");
    let mut apply = lab
        .node(asked_on)
        .command("crm")
        .args(["apply", "--yes", &path.display().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("crm");
    if let Some(writer) = death.once_written_by {
        let writer = if writer == Coordinator { &coordinator } else { &followers[0] };
        let until = Instant::now() + Duration::from_secs(20);
        // As quick as can be: it is to hit the moment between this write and the next.
        while !is_written(lab, writer, number) {
            assert!(Instant::now() < until, "{writer} wrote nothing\n{}", lab.logs());
            std::thread::yield_now();
        }
    }
    lab.power_off(dies);
    let code = apply.wait().expect("crm").code();
    let left: Vec<String> = lab.nodes.keys().filter(|name| *name != dies).cloned().collect();
    lab.wait("those that are left go on under one configuration", Duration::from_secs(60), |lab| {
        let all: Vec<_> = left.iter().filter_map(|name| lab.node(name).try_status()).collect();
        all.len() == left.len()
            && all.iter().all(|s| s.quorum && s.config == all[0].config && s.obeyed == all[0].stamp)
            && all.iter().all(|status| is_settled(status, dies))
    });
    let of_left = lab.node(&left[0]).crm(&["config"]);
    let dies = dies.clone();
    bring_back(lab, &dies);
    let kept = lab.node(&left[0]).crm(&["config"]);
    say(format!(
        "{} nodes, {death:?}: ended with {code:?}, in force: the {} text",
        lab.nodes.len(),
        if kept == new { "new" } else { "old" }
    ));
    assert!(kept == new || kept == old, "{kept}");
    assert_eq!(kept, of_left, "who came back changed it\n{}", lab.logs());
    match code {
        Some(0) => assert_eq!(kept, new, "what was acknowledged is lost\n{}", lab.logs()),
        Some(3) => assert_eq!(kept, old, "what was refused is in force\n{}", lab.logs()),
        // Nobody knows, no quorum, or `crm` died with its node: all or none, whichever.
        Some(4 | 5) | None => {}
        _ => panic!("crm apply ended with {code:?}\n{}", lab.logs()),
    }
    // Of two, the one that is left must first win the tie; by then nobody waits for the old answer.
    if death.dies == Follower && lab.nodes.len() > 2 {
        assert_eq!(code, Some(0), "a majority lives\n{}", lab.logs());
    }
    lab.wait("every node has one configuration and its file", Duration::from_secs(30), |lab| {
        lab.nodes
            .keys()
            .all(|name| lab.node(name).crm(&["config"]) == kept && file(lab, name) == kept)
    });
    lab.wait("web runs", Duration::from_secs(40), |lab| lab.place("web").is_some_and(|(_, r)| r));
    assert!(lab.fenced().is_empty(), "{:?}\n{}", lab.fenced(), lab.logs());
}

fn all_or_none(names: &[&str], deaths: &[Death]) {
    let mut lab = Laboratory::new(Options::new(names, 1));
    let config = with_device(&lab, &web_group("web", &names.join(", "), WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    for (number, death) in deaths.iter().enumerate() {
        apply_while_one_dies(&mut lab, number, *death);
    }
}

#[test]
fn i5_of_two_nodes_one_dies_in_the_middle_and_a_change_holds_on_both_or_on_none() {
    all_or_none(
        TWO,
        &[
            Death { asked_on: Follower, dies: Coordinator, once_written_by: Some(Coordinator) },
            Death { asked_on: Follower, dies: Coordinator, once_written_by: Some(Follower) },
            Death { asked_on: Coordinator, dies: Follower, once_written_by: Some(Coordinator) },
        ],
    );
}

#[test]
fn i5_of_three_nodes_the_coordinator_dies_in_the_middle_and_a_change_holds_on_all_or_on_none() {
    all_or_none(
        THREE,
        &[
            Death { asked_on: Follower, dies: Coordinator, once_written_by: None },
            Death { asked_on: Follower, dies: Coordinator, once_written_by: Some(Coordinator) },
            Death { asked_on: Follower, dies: Coordinator, once_written_by: Some(Follower) },
            Death { asked_on: Coordinator, dies: Coordinator, once_written_by: Some(Coordinator) },
        ],
    );
}

#[test]
fn i5_of_three_nodes_another_dies_in_the_middle_and_the_change_holds_on_all() {
    all_or_none(
        THREE,
        &[
            Death { asked_on: Coordinator, dies: Follower, once_written_by: Some(Coordinator) },
            Death { asked_on: Follower, dies: Follower, once_written_by: Some(Follower) },
        ],
    );
}
