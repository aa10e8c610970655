//! Two Oracle instances on two nodes that back each other up, with a stand-in for `sqlplus`: no Oracle was at hand.

use super::support::{TWO, bring_back, wait_whole, with_device};
use crm_tests::namespaces::{Laboratory, Options};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The same as in the tests of the agent alone.
const SQLPLUS: &str = include_str!("../../../resource-agents/tests/common/sqlplus");

/// Group, instance, home, backup, address.
const INSTANCES: [(&str, &str, &str, &str, &str); 2] = [
    ("one", "TEST01", "alpha", "beta", "10.77.0.101"),
    ("two", "TEST02", "beta", "alpha", "10.77.0.102"),
];

fn group(environment: &Path, name: &str, sid: &str, prefer: &str, address: &str) -> String {
    let mount = format!("/run/lock/{name}");
    format!(
        "  {name}:\n    prefer: [{prefer}]\n    resources:\n\
         \x20     - filesystem: {{device: none, at: {mount}, type: tmpfs}}\n\
         \x20     - oracle: {{sid: {sid}, user: root, mount: {mount}, environment_file: {}}}\n\
         \x20     - vip: {address}/24\n",
        environment.display()
    )
}

/// The instances whose monitor runs on a node.
fn instances(lab: &Laboratory, node: &str) -> Vec<&'static str> {
    let runs =
        |sid: &&str| lab.node(node).run("pgrep", &["-f", &format!("^ora_pmon_{sid}")]).code == 0;
    INSTANCES.map(|(_, sid, ..)| sid).into_iter().filter(runs).collect()
}

/// HB48: each has its own volume, address and instance; the survivor runs both, and what goes home takes nothing of the
/// other along.
#[test]
fn hb48_of_two_instances_the_survivor_runs_both_and_each_goes_alone() {
    let mut lab = Laboratory::new(Options::new(TWO, 1));
    let bin = lab.directory.join("oracle/bin");
    std::fs::create_dir_all(&bin).expect("ORACLE_HOME");
    std::fs::write(bin.join("sqlplus"), SQLPLUS).expect("sqlplus");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("sqlplus"), mode).expect("its mode");
    for node in TWO {
        std::fs::create_dir(lab.directory.join("oracle").join(node)).expect("a node's state");
    }
    let environment = lab.directory.join("oracle/environment");
    let home = lab.directory.join("oracle").display().to_string();
    let text = format!("ORACLE_HOME={home}\nHERE={home}\nPER_NODE=yes\n");
    std::fs::write(&environment, text).expect("environment");
    let groups = INSTANCES.map(|(name, sid, home, backup, address)| {
        group(&environment, name, sid, &format!("{home}, {backup}"), address)
    });
    let config = with_device(&lab, &groups.concat());
    lab.found(&config);
    // It may have started before its home had joined.
    wait_whole(&lab);
    lab.node("alpha").crm(&["migrate", "two", "beta"]);
    lab.wait_running("one", "alpha");
    assert_eq!(
        (instances(&lab, "alpha"), instances(&lab, "beta")),
        (vec!["TEST01"], vec!["TEST02"])
    );
    let before = lab.node("beta").run("pgrep", &["-f", "^ora_pmon_TEST02"]).stdout;

    lab.power_off("alpha");
    for (name, .., address) in INSTANCES {
        lab.wait_running(name, "beta");
        assert!(lab.node("beta").has_address(address), "{name}");
    }
    assert_eq!(instances(&lab, "beta"), ["TEST01", "TEST02"]);

    bring_back(&mut lab, "alpha");
    lab.node("beta").crm(&["migrate", "one", "alpha"]);
    lab.wait_running("one", "alpha");
    assert_eq!(
        (instances(&lab, "alpha"), instances(&lab, "beta")),
        (vec!["TEST01"], vec!["TEST02"])
    );
    let after = lab.node("beta").run("pgrep", &["-f", "^ora_pmon_TEST02"]).stdout;
    assert_eq!(before, after, "the other instance was touched");
}
