//! The record is the truth, the file is the draft.

use super::support::{WEB, web_group, with_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::time::Duration;

const OTHER: &str = "10.77.0.103";

#[test]
fn an_edited_file_is_reported_and_acted_upon_only_by_apply() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta", "gamma"], 1));
    let old = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&old);
    lab.wait_running("web", "alpha");
    let new = with_device(
        &lab,
        &(web_group("web", "alpha, beta", WEB, 80) + &web_group("mail", "beta", OTHER, 80)),
    );
    std::fs::write(lab.node("beta").etc("cluster.yaml"), &new).expect("edit");
    lab.wait("the draft is reported", Duration::from_secs(20), |lab| {
        lab.node("beta").status().draft_differs.is_some()
    });
    // Not even a restart acts on it.
    lab.node_mut("beta").kill_daemon();
    lab.node_mut("beta").start_daemon(&[]);
    lab.wait("the draft is reported again", Duration::from_secs(20), |lab| {
        lab.node("beta").status().draft_differs.is_some()
    });
    assert!(lab.place("mail").is_none());
    let shown = lab.node("beta").crm(&["apply", "--dry-run"]);
    assert!(shown.contains("mail"), "{shown}");
    lab.node("beta").crm(&["apply", "--yes"]);
    lab.wait_running("mail", "beta");
    lab.wait("every node has the file", Duration::from_secs(20), |lab| {
        lab.nodes.values().all(|node| {
            std::fs::read_to_string(node.etc("cluster.yaml")).is_ok_and(|text| text == new)
        })
    });
    lab.node("beta").crm(&["apply", "--rollback", "--yes"]);
    lab.wait("mail is gone everywhere", Duration::from_secs(20), |lab| {
        lab.place("mail").is_none() && !lab.node("beta").has_address(OTHER)
    });
}

#[test]
fn i5_a_change_holds_on_all_nodes_or_on_none_when_the_coordinator_dies_in_the_middle() {
    let mut lab = Laboratory::new(Options::new(&["alpha", "beta", "gamma"], 1));
    let old = with_device(&lab, &web_group("web", "beta, gamma", WEB, 80));
    lab.found(&old);
    lab.wait_running("web", "beta");
    let coordinator =
        lab.view().and_then(|s| s.coordinator).map(|c| c.to_string()).unwrap_or_default();
    let asker = lab.nodes.keys().find(|name| **name != coordinator).cloned().unwrap_or_default();
    let new = old.replace("cluster: lab\n", "cluster: lab\noperators: [somebody]\n");
    let file = lab.directory.join("new.yaml");
    std::fs::write(&file, &new).expect("the new file");
    let path = file.display().to_string();
    let mut apply =
        lab.node(&asker).command("crm").args(["apply", "--yes", &path]).spawn().expect("crm");
    lab.power_off(&coordinator);
    let committed = apply.wait().expect("crm").success();
    lab.wait("the others go on under one configuration", Duration::from_secs(30), |lab| {
        let left: Vec<_> = lab.nodes.values().filter_map(|node| node.try_status()).collect();
        left.len() == 2 && left.iter().all(|s| s.quorum) && left[0].config == left[1].config
    });
    if committed {
        let text = lab.node(&asker).crm(&["config"]);
        assert_eq!(text, new, "an acknowledged change was lost");
    }
}
