//! A disk that neither writes nor fails, under a daemon whose heartbeats go on.

use super::support::{TWO, WEB, say, wait_whole, web_group, with_device};
use crm_core::packet::GroupPhase;
use crm_tests::namespaces::{Laboratory, Options};
use std::time::{Duration, Instant};

/// Opening a pipe that nobody reads takes for ever: the next write of the store does not end.
const HANG: &str = "cd $CRM_STATE && rm .state.spare && mkfifo .state.spare";

#[test]
fn as1_a_coordinator_whose_disk_hangs_says_so_and_loses_its_group_to_the_other() {
    let mut lab = Laboratory::new(Options::new(TWO, 1));
    let config = with_device(&lab, &web_group("web", "alpha, beta", WEB, 80));
    lab.found(&config);
    lab.wait_running("web", "alpha");
    wait_whole(&lab);
    let leader = lab.view().and_then(|status| status.coordinator).expect("a coordinator");
    let other = if leader.as_str() == "alpha" { "beta" } else { "alpha" };
    lab.node(leader.as_str()).crm(&["migrate", "web", leader.as_str()]);
    lab.wait_running("web", leader.as_str());
    wait_whole(&lab);
    let hung = lab.node(leader.as_str()).run("sh", &["-c", HANG]);
    assert_eq!(hung.code, 0, "{hung:?}");
    let began = Instant::now();
    lab.node(other).run("crm", &["migrate", "web", other, "--no-wait"]);
    lab.wait("the coordinator says that its store hangs", Duration::from_secs(30), |lab| {
        let status = lab.node(leader.as_str()).try_status();
        status.is_some_and(|status| {
            status.warnings.iter().any(|line| line.contains("the store has not answered for"))
        })
    });
    lab.wait("the other one serves", Duration::from_secs(120), |lab| {
        lab.node(other).try_status().is_some_and(|status| {
            status.groups.iter().any(|group| {
                group.owner.as_ref().is_some_and(|owner| owner.as_str() == other)
                    && group.phase == GroupPhase::Running
            })
        })
    });
    say(format_args!("a disk hangs: the other one serves after {} s", began.elapsed().as_secs()));
    assert_eq!(lab.fence_requests().len(), 1, "{:?}", lab.fence_requests());
    let log = lab.logs();
    assert!(log.contains("its disk hangs"), "{log}");
}
