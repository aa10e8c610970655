//! A third machine that votes and runs nothing: what its vote decides, and what its loss does not.

use super::support::{A_WHILE, HEARTBEAT, WEB, decisions, pids, say, web_group};
use crm_core::status::NodeState;
use crm_tests::namespaces::{FenceMode, Laboratory, Options};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

const WITNESS: &str = "witness";
const MAIL: &str = "10.77.0.101";

/// Times by which an armed node of two is counted out nine seconds after it was last heard.
const ARMED: &str = "heartbeat: {keepalive: 100ms, warntime: 400ms, deadtime: 1s, initdead: 5s, lease: 2s, \
                     stop_margin: 1s, watchdog: 3s, rejoin_after: 500ms}\n";

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

/// Waits until the witness votes in the cluster of these nodes, and each of them says so.
fn wait_vote(lab: &Laboratory, nodes: &[String]) {
    lab.wait("the witness votes", Duration::from_secs(40), |lab| {
        nodes.iter().all(|name| {
            lab.node(name).try_status().is_some_and(|status| {
                status.quorum && status.witness.is_some_and(|witness| witness.voter)
            })
        })
    });
}

/// What an admin does: the cluster's keys to the third machine, the cluster's name into its witness.yaml.
fn set_up(lab: &mut Laboratory, cluster: &str, nodes: &[String], configuration: &str) {
    lab.found_of(nodes, configuration);
    let keys = lab.node(&nodes[0]).etc("authkeys");
    lab.node(WITNESS).serves(cluster, &keys);
}

/// W3. A hung machine is reset by its watchdog; the witness outvotes it, waits until that must have
/// happened, and only then the other node serves.
#[test]
fn h4_of_a_pair_with_watchdogs_and_no_device_the_witness_decides_and_nobody_runs_it_twice() {
    let pair = names(&["alpha", "beta"]);
    let options = Options {
        beside: names(&[WITNESS]),
        watchdogs: true,
        ..Options::new(&["alpha", "beta"], 1)
    };
    let mut lab = Laboratory::new(options);
    let config = format!(
        "cluster: lab\n{}witness: {}\n{ARMED}fencing: none\ngroups:\n{}",
        lab.nodes_yaml(),
        lab.address(WITNESS, 0),
        web_group("web", "alpha, beta", WEB, 80),
    );
    set_up(&mut lab, "lab", &pair, &config);
    lab.node_mut(WITNESS).start_witness();
    wait_vote(&lab, &pair);
    lab.wait_running("web", "alpha");
    lab.wait("both watchdogs are armed and counted on", Duration::from_secs(20), |lab| {
        lab.view().is_some_and(|status| status.protection.starts_with("armed watchdogs"))
    });
    let server = pids(&lab, "alpha", "lab-web");

    // Its disk is lost while the cluster lives: it is another voter then, and nothing moves.
    let before = lab.node(WITNESS).witnessed("lab").store.expect("it votes");
    lab.node_mut(WITNESS).end_witness();
    std::fs::remove_dir_all(lab.node(WITNESS).disk.join("state")).expect("its disk");
    lab.node_mut(WITNESS).start_witness();
    lab.wait("it votes again, as another", Duration::from_secs(40), |lab| {
        let now = lab.node(WITNESS).witnessed("lab");
        now.store.is_some_and(|store| store != before)
            && now.status.is_some_and(|status| status.witness.is_some_and(|own| own.voter))
    });
    assert_eq!(pids(&lab, "alpha", "lab-web"), server, "{}", lab.logs());

    let outside = lab.probe(&format!("{WEB}:80"), Duration::from_millis(5));
    outside.wait_for("alpha", Instant::now(), Duration::from_secs(5));
    lab.freeze("alpha", true);
    let frozen = Instant::now();
    outside.wait_for("beta", frozen, Duration::from_secs(40));
    let served = Instant::now();
    let resets = lab.resets();
    assert!(
        matches!(resets.as_slice(), [(node, _)] if node == "alpha"),
        "{resets:?}\n{}",
        lab.logs()
    );
    let (_, reset) = &resets[0];
    say(format!(
        "a pair with watchdogs and a witness: hung machine reset {:?} after it hung, served by the other \
         after {:?}, {:?} after the reset",
        *reset - frozen,
        served - frozen,
        served.saturating_duration_since(*reset),
    ));
    assert!(lab.node("beta").has_address(WEB));
    let twice = outside
        .answers()
        .into_iter()
        .filter(|answer| answer.from.as_deref() == Some("beta") && answer.done < *reset);
    assert_eq!(twice.count(), 0, "two ran it\n{}", lab.logs());
}

/// One process serves two pairs. Its loss, a link's, or that of an operator's terminal moves nothing, and
/// the status says what is exposed; with it one survivor of a pair goes on.
#[test]
fn w9_one_witness_of_two_clusters_decides_in_each_and_its_loss_moves_nothing() {
    let (lab_pair, shop_pair) = (names(&["alpha", "beta"]), names(&["gamma", "delta"]));
    let options = Options {
        beside: names(&[WITNESS]),
        ..Options::new(&["alpha", "beta", "gamma", "delta"], 2)
    };
    let mut lab = Laboratory::new(options);
    let config = |lab: &Laboratory, cluster: &str, pair: &[String], group: String| {
        format!(
            "cluster: {cluster}\n{}witness: {}\n{HEARTBEAT}{}groups:\n{group}",
            lab.nodes_yaml_of(pair),
            lab.address(WITNESS, 0),
            lab.fencing_yaml_of(pair, "5s", "300ms"),
        )
    };
    let text = config(&lab, "lab", &lab_pair, web_group("web", "alpha, beta", WEB, 80));
    set_up(&mut lab, "lab", &lab_pair, &text);
    let text = config(&lab, "shop", &shop_pair, web_group("mail", "gamma, delta", MAIL, 80));
    set_up(&mut lab, "shop", &shop_pair, &text);
    lab.node_mut(WITNESS).start_witness();
    wait_vote(&lab, &lab_pair);
    wait_vote(&lab, &shop_pair);
    lab.wait_running("web", "alpha");
    let said = lab.node(WITNESS).crm(&["witness", "status"]);
    assert_eq!(said.matches("votes").count(), 2, "{said}");
    let of = |lab: &Laboratory| {
        let one = |node: &str| decisions(&lab.node(node).status());
        (one("alpha"), one("gamma"))
    };
    // No record is on its way any more.
    for (node, pair) in [("alpha", &lab_pair), ("gamma", &shop_pair)] {
        lab.node(node).crm(&["clear"]);
        lab.beats(node, 3);
        lab.wait("both obey the newest record", Duration::from_secs(20), |lab| {
            let status = lab.node(node).status();
            let mut own = status.nodes.iter().filter(|n| pair.iter().any(|p| *p == *n.id.as_str()));
            own.all(|node| node.obeyed == Some(status.stamp))
        });
    }
    let before = of(&lab);

    let exposed = |lab: &Laboratory, node: &str| {
        let said = lab.node(node).crm(&["status"]);
        said.contains(&format!("node {node} has not heard the witness"))
            && said.contains("if one more vote is lost nothing is taken over")
    };
    lab.power_off(WITNESS);
    lab.wait("all tell of the lost witness", Duration::from_secs(20), |lab| {
        ["alpha", "beta", "gamma", "delta"].iter().all(|node| exposed(lab, node))
    });
    lab.beats("alpha", A_WHILE);
    assert_eq!(of(&lab), before, "{}", lab.logs());
    lab.power_on(WITNESS);
    lab.node_mut(WITNESS).start_witness();
    wait_vote(&lab, &lab_pair);
    wait_vote(&lab, &shop_pair);
    lab.wait("the warnings go", Duration::from_secs(20), |lab| {
        ["alpha", "beta", "gamma", "delta"].iter().all(|node| !exposed(lab, node))
    });
    assert_eq!(of(&lab), before, "the same voter came back\n{}", lab.logs());

    // The network of the witness's own address: nodes and witness go on over the other one.
    lab.isolate("alpha", 0, true);
    lab.wait("the silent link is told", Duration::from_secs(20), |lab| {
        lab.node("beta").crm(&["status"]).contains("link 0 to node alpha")
    });
    lab.beats("beta", A_WHILE);
    assert_eq!(of(&lab), before, "{}", lab.logs());
    assert!(!lab.node("alpha").crm(&["status"]).contains("witness at"), "{}", lab.logs());
    let seen = lab.node(WITNESS).witnessed("lab").status.expect("it votes");
    assert!(
        seen.nodes.iter().all(|node| node.state == NodeState::Online),
        "{seen:?}\n{}",
        lab.logs()
    );
    // Cut off from it on both: the pair still sees one another, and that is enough.
    lab.isolate(WITNESS, 1, true);
    lab.wait("what is exposed is told", Duration::from_secs(20), |lab| exposed(lab, "alpha"));
    lab.beats("beta", A_WHILE);
    assert_eq!(of(&lab), before, "{}", lab.logs());
    lab.isolate(WITNESS, 1, false);
    lab.isolate("alpha", 0, false);
    wait_vote(&lab, &lab_pair);

    // Terminals that go away, one that looks and one that is asked whether to apply: nobody said yes.
    let other = lab.node("alpha").disk.join("other.yaml");
    let text = std::fs::read_to_string(lab.node("alpha").etc("cluster.yaml")).expect("in force");
    std::fs::write(&other, text.replace("prefer: [alpha, beta]", "prefer: [beta]"))
        .expect("a draft");
    let path = other.display().to_string();
    for words in [["status", "--watch"], ["apply", path.as_str()]] {
        let mut looking = lab.node("alpha").command("crm");
        let looking = looking.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut looking = looking.spawn().expect("crm");
        let mut first = [0; 64];
        let said = looking.stdout.take().map(|mut out| out.read(&mut first));
        assert!(matches!(said, Some(Ok(1..))), "{words:?} says something first");
        drop(looking.stdin.take());
        let _ = looking.wait();
    }
    lab.beats("beta", A_WHILE);
    assert_eq!(of(&lab), before, "{}", lab.logs());

    // Without the witness this would be a tie that only the device could decide.
    lab.set_fencing(FenceMode::Fails);
    lab.power_off("alpha");
    lab.wait("beta leads by the witness's vote", Duration::from_secs(30), |lab| {
        lab.node("beta").try_status().is_some_and(|status| {
            status.quorum && status.coordinator.is_some_and(|node| node.as_str() == "beta")
        })
    });
    assert!(!lab.node("beta").has_address(WEB), "a vote proves nobody dead\n{}", lab.logs());
    lab.set_fencing(FenceMode::Works);
    lab.wait_running("web", "beta");
    assert_eq!(decisions(&lab.node("gamma").status()), before.1, "{}", lab.logs());
}
