//! `drbd` with stand-ins for DRBD's tools that replay what real ones said.

mod common;
#[path = "common/stand_in.rs"]
mod stand_in;

use std::path::Path;
use std::time::Duration;

use common::{Answer, Resource};
use stand_in::{StandIn, refusal};

fn r0(stand_in: &StandIn) -> Resource {
    Resource::new("drbd", &stand_in.directory, &[("drbd_resource", "r0")])
        .search_path(&stand_in.search_path())
}

fn attribute<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let prefix = format!("attribute {name}");
    let line = answer.lines.iter().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {name} in {answer:#?}")).trim()
}

const SECONDARY: &str = "08-a-dead-b-secondary.b";
const PRIMARY: &str = "10-b-primary-alone.b";

#[test]
fn hb13_one_resource_must_be_named() {
    let stand_in = StandIn::new("hb13").found_in(SECONDARY);
    for name in ["", "all", "-a", "r0/0", "r0 r1", "r0;reboot", "$(reboot)"] {
        let resource = Resource::new("drbd", &stand_in.directory, &[("drbd_resource", name)])
            .search_path(&stand_in.search_path());
        for action in ["start", "stop", "status", "validate"] {
            resource.run(action).code(6).because("resource");
        }
    }
    assert!(stand_in.calls().is_empty(), "{:?}", stand_in.calls());
}

#[test]
fn hb20_start_promotes_when_the_peer_is_gone() {
    let stand_in = StandIn::new("hb20").found_in(SECONDARY).leads_to("primary", PRIMARY);
    let resource = r0(&stand_in);
    resource.run("validate").ok();
    let before = resource.run("status").code(7);
    assert_eq!(attribute(&before, "eligible"), "yes");
    assert!(before.has_line("watch drbd r0"), "{before:#?}");
    resource.run("start").ok();
    let after = resource.run("status").ok();
    assert_eq!(attribute(&after, "role"), "Primary");
    assert!(attribute(&after, "degraded").contains("there is no second good one"), "{after:#?}");
    resource.run("start").ok();
    assert_eq!(stand_in.count("drbdadm primary r0"), 1, "a second start promotes nothing");
}

#[test]
fn hb21_a_copy_that_is_not_the_newest_is_not_promoted() {
    for (state, reason) in [
        ("03-connected-both-inconsistent.a", "is Inconsistent"),
        ("05-syncing-b-target.b", "a resync from peer is under way"),
        ("17-b-diskless.b", "is Diskless"),
        ("18-b-disconnected.b", "stands alone"),
        ("19-b-outdated.b", "is Outdated"),
    ] {
        let stand_in = StandIn::new("hb21").found_in(state).leads_to("primary", PRIMARY);
        let status = r0(&stand_in).run("status").code(7);
        assert!(attribute(&status, "eligible").starts_with("no "), "{state}: {status:#?}");
        r0(&stand_in).run("start").code(1).because(reason);
        assert_eq!(stand_in.count("drbdadm primary r0"), 0, "{state}: DRBD is not even asked");
    }
}

#[test]
fn hb24_what_drbd_refuses_fails_with_its_reason() {
    for (recorded, reason) in [
        ("03-primary-refused-inconsistent.a", "this node's copy is not the newest"),
        ("32-promote-fence-peer-1.b", "the peer is not proved to be outdated"),
    ] {
        let stand_in = StandIn::new("hb24").found_in(SECONDARY).refuses("primary", recorded);
        r0(&stand_in).run("start").code(1).because(reason);
        assert_eq!(stand_in.count("drbdadm primary r0"), 1, "{recorded}: it would not help");
    }
    // A tool that says success and did nothing is not believed.
    let liar = StandIn::new("hb24").found_in(SECONDARY);
    liar.on("primary", "");
    r0(&liar).run("start").code(1).because("found Secondary");
}

#[test]
fn start_waits_for_a_dead_primary_to_be_noticed() {
    let stand_in = StandIn::new("noticed").found_in("06-a-primary.b").leads_to("primary", PRIMARY);
    let later = std::fs::read_to_string(stand_in.directory.join("on-primary")).expect("fragment");
    let first = refusal("primary", "06-primary-refused-peer-primary.b");
    let count = "[ $(grep -c 'drbdadm primary' \"$here/calls\") -gt 2 ]";
    stand_in.on("primary", &format!("if {count}; then\n{later}\nexit 0\nfi\n{first}"));
    let answer = r0(&stand_in).run("start").ok();
    assert_eq!(stand_in.count("drbdadm primary r0"), 3);
    assert!(answer.stderr.contains("another node is Primary"), "{answer:#?}");
    // One that lives is never overruled.
    let stand_in = StandIn::new("lives")
        .found_in("06-a-primary.b")
        .refuses("primary", "06-primary-refused-peer-primary.b");
    let short = r0(&stand_in).timeout(Duration::from_secs(2));
    short.run("start").code(1).because("another node is Primary");
}

#[test]
fn i8_the_connection_to_a_peer_is_ended_only_if_its_death_is_proved() {
    let still_connected = |test: &str| {
        let stand_in = StandIn::new(test)
            .found_in("06-a-primary.b")
            .answers("dump", "01-dump.a")
            .leads_to("primary", PRIMARY);
        stand_in.on("disconnect", "");
        stand_in.on("connect", "");
        stand_in
    };
    let started = |stand_in: &StandIn, node: &str, dead: &str| {
        r0(stand_in).with("node", node).with("peers_dead", dead).run("start").ok();
        let calls = stand_in.calls();
        calls
            .into_iter()
            .filter(|call| call.starts_with("drbdadm") && !call.contains("dump"))
            .collect()
    };
    let calls: Vec<String> = started(&still_connected("dead"), "b", "x,a");
    let wanted = ["drbdadm disconnect --force r0", "drbdadm primary r0"];
    assert_eq!(calls, wanted, "ended, promoted, and nothing that the mount would wait for");
    let stand_in = still_connected("listens");
    let _: Vec<String> = started(&stand_in, "b", "a");
    r0(&stand_in).with("node", "b").run("status").ok();
    r0(&stand_in).with("node", "b").run("status").ok();
    assert_eq!(stand_in.count("drbdadm connect r0"), 1, "listened for again by the next status");
    // Nobody is dead, somebody else is, or it is not known who the others are.
    for (node, dead) in [("b", ""), ("b", "b"), ("b", "x"), ("here", "a,b")] {
        let calls: Vec<String> = started(&still_connected("lives"), node, dead);
        assert_eq!(calls, ["drbdadm primary r0"], "{node}, {dead:?} dead");
    }
    // DRBD has noticed by itself.
    let noticed = StandIn::new("noticed").found_in(SECONDARY).leads_to("primary", PRIMARY);
    let calls: Vec<String> = started(&noticed, "b", "a");
    assert_eq!(calls, ["drbdadm primary r0"]);
}

#[test]
fn a_connection_that_was_ended_is_listened_on_again_whatever_happens() {
    let stand_in = StandIn::new("listens")
        .found_in("06-a-primary.b")
        .answers("dump", "01-dump.a")
        .refuses("primary", "32-promote-fence-peer-1.b");
    stand_in.on("disconnect", "");
    stand_in.on("connect", "exit 10");
    let resource = r0(&stand_in).with("node", "b").with("peers_dead", "a");
    resource.run("start").code(1).because("not proved to be outdated");
    assert_eq!(stand_in.count("drbdadm connect r0"), 1);
    stand_in.on("connect", "");
    resource.run("status").code(7);
    assert_eq!(stand_in.count("drbdadm connect r0"), 2, "the next look tries again");
    resource.run("status").code(7);
    assert_eq!(stand_in.count("drbdadm connect r0"), 2, "once it listens, that is enough");
}

/// The former Primary stood still, went on, and was refused: DRBD stands alone from then on.
#[test]
fn a_survivor_that_stands_alone_listens_again_until_its_peer_was_back() {
    let stand_in = StandIn::new("alone").found_in(SECONDARY).leads_to("primary", PRIMARY);
    stand_in.on("connect", "");
    let resource = r0(&stand_in).with("node", "b");
    resource.run("start").ok();
    resource.run("status").ok();
    assert_eq!(stand_in.count("drbdadm connect r0"), 0, "DRBD listens by itself");
    let stand_in = stand_in.found_in("14-split-brain.b");
    let status = resource.run("status").ok();
    assert!(attribute(&status, "degraded").contains("stands alone"), "{status:#?}");
    assert_eq!(stand_in.count("drbdadm connect r0"), 1);
    for _ in 0..11 {
        resource.run("status").ok();
    }
    assert_eq!(stand_in.count("drbdadm connect r0"), 5, "soon, and then once a minute");
    let stand_in = stand_in.found_in("06-a-primary.a");
    resource.run("status").ok();
    // It was back. Who takes the connection down after that has his reasons.
    let stand_in = stand_in.found_in("14-split-brain.b");
    resource.run("status").ok();
    resource.run("status").ok();
    assert_eq!(stand_in.count("drbdadm connect r0"), 5);
}

#[test]
fn hb25_a_lonely_copy_is_taken_if_every_other_one_is_recorded_as_stale() {
    let lonely = StandIn::new("freshest")
        .says("exists -\n")
        .leads_to("up", SECONDARY)
        .leads_to("primary", PRIMARY);
    r0(&lonely).with("data", "freshest").run("start").ok();
    assert_eq!(lonely.count("drbdadm primary r0"), 1);
}

#[test]
fn a_resource_that_was_brought_up_by_start_has_to_meet_its_peer() {
    let nothing = "exists -\n";
    let lonely = StandIn::new("lonely").says(nothing).leads_to("up", SECONDARY);
    let short = r0(&lonely).timeout(Duration::from_secs(2));
    short.run("start").code(1).because("has not met its peer");
    assert_eq!(lonely.count("drbdadm primary r0"), 0);
    let met = StandIn::new("met")
        .says(nothing)
        .leads_to("up", "04-uptodate-both-secondary.a")
        .leads_to("primary", "06-a-primary.a");
    r0(&met).run("start").ok();
}

#[test]
fn hb22_stop_demotes_and_means_it() {
    let stand_in = StandIn::new("hb22").found_in("06-a-primary.a");
    let stand_in = stand_in.leads_to("secondary", "04-uptodate-both-secondary.a");
    let resource = r0(&stand_in);
    resource.run("stop").ok();
    resource.run("stop").ok();
    resource.run("status").code(7);
    assert_eq!(stand_in.count("drbdadm secondary r0"), 1);
    let liar = StandIn::new("hb22").found_in("06-a-primary.a");
    liar.on("secondary", "");
    let short = r0(&liar).timeout(Duration::from_secs(2));
    short.run("stop").code(1).because("is still Primary after `drbdadm secondary`");
}

#[test]
fn hb22_stop_waits_for_the_users_of_the_device_to_go() {
    let stand_in = StandIn::new("users").found_in("06-a-primary.a");
    let stand_in = stand_in.leads_to("secondary", "04-uptodate-both-secondary.a");
    let later = std::fs::read_to_string(stand_in.directory.join("on-secondary")).expect("fragment");
    let first = refusal("secondary", "07-secondary-refused-open.a");
    let count = "[ $(grep -c 'drbdadm secondary' \"$here/calls\") -gt 2 ]";
    stand_in.on("secondary", &format!("if {count}; then\n{later}\nexit 0\nfi\n{first}"));
    r0(&stand_in).run("stop").ok();
    assert_eq!(stand_in.count("drbdadm secondary r0"), 3);
    let held = StandIn::new("held")
        .found_in("06-a-primary.a")
        .refuses("secondary", "07-secondary-refused-open.a");
    let short = r0(&held).timeout(Duration::from_secs(2));
    let answer = short.run("stop").code(1).because("is still in use");
    assert!(answer.took < Duration::from_secs(4), "{answer:#?}");
}

/// Only where this machine really has no DRBD, which is where tests run.
fn no_drbd_here() -> bool {
    !Path::new("/proc/drbd").exists() && !Path::new("/sys/module/drbd").exists()
}

#[test]
fn stop_of_what_is_not_up_is_success_only_if_that_is_so() {
    let down = StandIn::new("down").says("exists -\n");
    r0(&down).run("stop").ok();
    let other = StandIn::new("other").found_in("06-a-primary.a");
    Resource::new("drbd", &other.directory, &[("drbd_resource", "r9")])
        .search_path(&other.search_path())
        .run("stop")
        .ok();
    if no_drbd_here() {
        let unloaded = StandIn::new("unloaded").says("");
        let words = "Could not connect to 'drbd' generic netlink family";
        unloaded.on("events2", &format!("echo \"{words}\" >&2\nexit 20\n"));
        r0(&unloaded).run("stop").ok();
        r0(&unloaded).with("up", "never").run("status").code(7).because("is not up");
    }
    for (says, reason) in [
        ("", "only a part"),
        ("exists resource name:r0 role:Secondary suspended:no\n", "only a part"),
        ("exists resource name:r0 role:Resting\nexists -\n", "found Resting"),
        ("segmentation fault\n", "does not fit"),
    ] {
        let broken = StandIn::new("broken").says(says);
        broken.on("secondary", "");
        r0(&broken).run("stop").code(1).because(reason);
        let status = r0(&broken).run("status").code(1);
        assert!(!attribute(&status, "eligible").starts_with("yes"), "{says:?}");
    }
    let failing = StandIn::new("failing").says("exists -\n");
    failing.on("events2", "echo 'events2: out of memory' >&2\nexit 1\n");
    r0(&failing).run("stop").code(1).because("out of memory");
    let hanging = StandIn::new("hanging").says("exists -\n");
    hanging.on("events2", "sleep 600");
    let answer = r0(&hanging).timeout(Duration::from_secs(1)).run("stop").code(1);
    assert!(answer.because("did not end in time").took < Duration::from_secs(3));
}

#[test]
fn hb23_status_in_every_recorded_state() {
    for (state, code, eligible) in [
        ("02-a-up-alone-wfconnection.a", 7, "no"),
        ("04-uptodate-both-secondary.a", 7, "yes"),
        ("05-syncing-b-target.a", 7, "yes"),
        ("06-a-primary.a", 0, "yes"),
        ("06-a-primary.b", 7, "yes"),
        ("12-link-cut.b", 0, "yes"),
        ("13-split-both-primary.a", 0, "yes"),
        ("14-split-brain.b", 0, "yes"),
        ("17-b-diskless.a", 0, "yes"),
        ("19-b-outdated.a", 7, "yes"),
        ("19-b-outdated.b", 7, "no"),
    ] {
        let stand_in = StandIn::new("hb23").found_in(state);
        let answer = r0(&stand_in).run("status").code(code);
        let told = attribute(&answer, "eligible");
        assert_eq!(told.split(' ').next(), Some(eligible), "{state}: {answer:#?}");
    }
}

#[test]
fn hb27_a_primary_without_disk_serves_and_says_so() {
    let told = "exists resource name:r0 role:Primary suspended:no\n\
        exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary\n\
        exists device name:r0 volume:0 minor:0 disk:Diskless\n\
        exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 \
        replication:Established peer-disk:UpToDate resync-suspended:no\nexists -\n";
    let stand_in = StandIn::new("hb27").says(told);
    let answer = r0(&stand_in).run("status").ok();
    assert_eq!(attribute(&answer, "disk"), "Diskless");
    assert!(attribute(&answer, "degraded").contains("served through the peer"), "{answer:#?}");
    assert!(attribute(&answer, "eligible").starts_with("no "), "{answer:#?}");
    let stuck = StandIn::new("stuck")
        .says(&told.replace("suspended:no\nexists c", "suspended:no-data\nexists c"));
    r0(&stuck).run("status").code(1).because("no-data");
}

/// DRBD answers with errors, and its handler for this halts the machine: here the group goes where it can.
#[test]
fn hb26_a_primary_without_any_good_copy_has_failed() {
    for (disk, other, code) in [
        ("Diskless", "UpToDate", 0),
        ("Inconsistent", "UpToDate", 0),
        ("UpToDate", "DUnknown", 0),
        ("Diskless", "DUnknown", 1),
        ("Inconsistent", "DUnknown", 1),
        ("Failed", "Outdated", 1),
        ("Inconsistent", "Inconsistent", 1),
    ] {
        let told = format!(
            "exists resource name:r0 role:Primary suspended:no\n\
            exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected \
            role:Secondary\nexists device name:r0 volume:0 minor:0 disk:{disk}\n\
            exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 \
            replication:Established peer-disk:{other} resync-suspended:no\nexists -\n"
        );
        let stand_in = StandIn::new("hb26").says(&told);
        let answer = r0(&stand_in).run("status").code(code);
        if code == 1 {
            answer.because("no good copy of it can be reached");
        }
    }
}

#[test]
fn status_brings_the_resource_up_once_after_a_boot() {
    let stand_in = StandIn::new("boot").says("exists -\n");
    let stand_in = stand_in.leads_to("up", "04-uptodate-both-secondary.a");
    let resource = r0(&stand_in);
    assert_eq!(attribute(&resource.run("status").code(7), "eligible"), "yes");
    // An administrator takes it down: it stays down.
    let stand_in = stand_in.says("exists -\n");
    let down = resource.run("status").code(7).because("is not up");
    assert!(attribute(&down, "eligible").starts_with("no "));
    assert_eq!(stand_in.count("drbdadm up r0"), 1);
    let never = StandIn::new("never").says("exists -\n");
    r0(&never).with("up", "never").run("status").code(7).because("drbdadm up r0");
    assert_eq!(never.count("drbdadm up r0"), 0);
    let broken = StandIn::new("nometa").says("exists -\n");
    broken.on("up", "echo 'No valid meta data found' >&2; exit 1");
    r0(&broken).run("status").code(7).because("carries no metadata");
    // Somebody makes it: the next look brings it up.
    let broken = broken.leads_to("up", "04-uptodate-both-secondary.a");
    assert_eq!(attribute(&r0(&broken).run("status").code(7), "eligible"), "yes");
}

#[test]
fn missing_tools_are_said_to_be_missing() {
    let stand_in = StandIn::new("missing").found_in(SECONDARY);
    let resource = r0(&stand_in).search_path("/nowhere");
    if ["/usr/sbin/drbdadm", "/sbin/drbdadm"].iter().any(|path| Path::new(path).exists()) {
        eprintln!("skipped: drbd-utils are installed here");
        return;
    }
    resource.run("validate").code(5).because("drbd-utils");
    if no_drbd_here() {
        resource.run("stop").ok();
        resource.run("status").code(7).because("drbd-utils");
    }
}

#[test]
fn the_stand_in_conforms_as_an_agent() {
    use std::os::unix::fs::PermissionsExt;
    let stand_in = StandIn::new("conform")
        .found_in("04-uptodate-both-secondary.a")
        .leads_to("primary", "06-a-primary.a")
        .leads_to("secondary", "04-uptodate-both-secondary.a");
    let wrapper = stand_in.directory.join("crm-agent");
    let text = format!(
        "#!/bin/sh\nPATH={} exec {} \"$@\"\n",
        stand_in.search_path(),
        env!("CARGO_BIN_EXE_crm-agent")
    );
    std::fs::write(&wrapper, text).expect("wrapper");
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).expect("mode");
    let agent =
        crm_agents::conformance::Agent::Builtin { program: wrapper, name: "drbd".to_owned() };
    let options = crm_agents::conformance::Options {
        parameters: [("drbd_resource".to_owned(), "r0".to_owned())].into(),
        state_dir: stand_in.directory.join("state-of-conformance"),
        timeout: Duration::from_secs(10),
    };
    let report = crm_agents::conformance::run(&agent, &options);
    assert!(report.passed(), "\n{report}");
}
