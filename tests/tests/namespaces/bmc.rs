//! Debian's fence agent for Redfish, unmodified, against controllers that are stand-ins: what they
//! power off is real to the laboratory, what they are is not (`redfish.py`).

use super::support::{A_WHILE, HEARTBEAT, TWO, WEB, bring_back, say, stateless_group};
use crm_tests::namespaces::{Laboratory, Options, RedfishStandIn};
use std::time::Instant;

const PASSWORD: &str = "open-sesame-7519";

fn configuration(lab: &Laboratory, bmc: &RedfishStandIn, levels: bool) -> String {
    let mut fencing = String::from("fencing_delay: 300ms\nfencing:\n");
    for name in TWO {
        let device = format!(
            "{{agent: fence_redfish, ip: {}, ipport: {}, username: crm, password_file: {}, ssl_insecure: 1, timeout: 30s}}",
            bmc.address,
            bmc.port(name),
            bmc.password_file.display()
        );
        // A first level that is there and never answers in its time, where one is wanted.
        let first = "{agent: command, command: 'sleep 60', timeout: 1s}";
        let all = if levels { format!("[{first}, {device}]") } else { device };
        fencing.push_str(&format!("  {name}: {all}\n"));
    }
    let group = stateless_group("web", "beta, alpha", WEB).replace(", stateless: true", "");
    // The group waits for beta, however long that takes to join.
    let heartbeat = HEARTBEAT.replace("initdead: 5s", "initdead: 60s");
    format!("cluster: lab\n{}{heartbeat}{fencing}groups:\n{group}", lab.nodes_yaml())
}

/// P44: told, and a second level. P48.
#[test]
fn as3_debians_redfish_agent_fences_through_levels_and_a_drill_proves_it_without_harm() {
    let mut lab = Laboratory::new(Options::new(TWO, 1));
    let mut bmc = RedfishStandIn::start(&lab, TWO, PASSWORD);
    lab.found(&configuration(&lab, &bmc, true));
    lab.wait_running("web", "beta");

    // By what the agent says of itself, nothing is wrong with its parameters.
    let check = lab.node("alpha").run("crm", &["check"]);
    assert!(check.code == 0 && !check.stdout.contains("`fence_redfish`"), "{}", check.stdout);
    let told = lab.node("alpha").crm(&["agents", "info", "fence_redfish"]);
    assert!(told.contains("ipport") && told.contains("status"), "{told}");

    // Without harm: the device is asked, the level that cannot be asked is not run.
    let drill = lab.node("alpha").crm(&["fence-drill", "beta"]);
    assert!(drill.contains("2 fence_redfish") && drill.contains("on"), "{drill}");
    let status = lab.node("alpha").crm(&["status"]);
    assert!(status.contains("2 fence_redfish") && status.contains("s ago"), "{status}");
    assert!(bmc.orders().is_empty(), "{:?}", bmc.orders());

    // A controller that is gone is an alarm before it is needed, and its end is told too.
    bmc.stop(&lab);
    let lost = lab.node("alpha").run("crm", &["fence-drill", "beta"]);
    assert_eq!(lost.code, 1, "{}{}", lost.stdout, lost.stderr);
    assert!(lab.node("alpha").crm(&["status"]).contains("NOT since"));
    assert!(lab.node("alpha").crm(&["events"]).contains("cannot be used from here"));
    bmc.serve(&lab, TWO);
    lab.node("alpha").crm(&["fence-drill", "beta"]);
    assert!(lab.node("alpha").crm(&["events"]).contains("answers again"));

    // A cycle is refused where groups may run.
    let refused = lab.node("alpha").run("crm", &["fence-drill", "beta", "--cycle", "--yes"]);
    assert_eq!(refused.code, 3, "{}{}", refused.stdout, refused.stderr);
    assert!(bmc.orders().is_empty(), "{:?}", bmc.orders());

    // In earnest: beta hangs, the first level fails in its time, the second one proves it off.
    lab.freeze("beta", true);
    let begun = Instant::now();
    lab.wait_running("web", "alpha");
    say(format!(
        "fence_redfish, second of two levels, a stand-in BMC: taken over after {:?}",
        begun.elapsed()
    ));
    assert_eq!(bmc.orders(), ["beta ForceOff"]);
    assert_eq!(lab.fenced(), ["beta"]);

    // Back, emptied, and cycled: off and on by the same agent.
    bmc.power(&lab, "beta", "On");
    bring_back(&mut lab, "beta");
    lab.node("alpha").crm(&["standby", "beta"]);
    assert!(cycle(&lab).contains("is switched on"));
    let orders = bmc.orders();
    assert_eq!(orders[orders.len() - 2..], ["beta ForceOff", "beta On"], "{orders:?}");
    assert!(!lab.node("beta").is_up());
    lab.wait_running("web", "alpha");

    let log = lab.node("alpha").log();
    assert!(!log.contains(PASSWORD), "{log}");
    assert!(!bmc.password_was_seen(), "the password stood in somebody's arguments or environment");
    lab.beats("alpha", A_WHILE);
}

/// A controller that takes longer than the lease leaves alpha alone without a proof: then it says that it does not know,
/// and that asking again does no harm.
fn cycle(lab: &Laboratory) -> String {
    for _ in 0..3 {
        let cycled = lab.node("alpha").run("crm", &["fence-drill", "beta", "--cycle", "--yes"]);
        match cycled.code {
            0 => return cycled.stdout,
            4 => assert!(cycled.stderr.contains("asking again does no harm"), "{}", cycled.stderr),
            code => panic!("{code}: {}{}\n{}", cycled.stdout, cycled.stderr, lab.logs()),
        }
        lab.wait_running("web", "alpha");
    }
    panic!("it is never known: {}", lab.logs())
}
