//! Each assumption carries something: with it broken, and it alone, a promise falls, and the same
//! plans pass where it holds.

use crm_core::rules::Sound;
use crm_sim::assumptions::Assumption;
use crm_sim::layouts;
use crm_sim::plan::Plan;
use crm_sim::{Keep, run};

fn falls(name: &str, layout: &str, seeds: std::ops::Range<u64>, promises: &[&str]) {
    let layout = layouts::find(layout).unwrap();
    let assumption = Assumption::find(name).unwrap();
    for seed in seeds {
        let plan = Plan::draw(seed, layout, None);
        let without = run::<Sound>(&plan.clone().lacking(assumption), Keep::Nothing).unwrap();
        let Some(violation) = without.violation else { continue };
        if promises.contains(&violation.invariant) {
            let sound = run::<Sound>(&plan, Keep::Nothing).unwrap();
            assert_eq!(sound.violation, None, "seed {seed} breaks where {name} holds too");
            return;
        }
    }
    panic!("{name} can be broken and nothing is noticed");
}

#[test]
fn as1_a_disk_that_forgets_synced_writes_breaks_the_history() {
    falls(
        "as1",
        "trio",
        0..40,
        &["a_committed_change_is_in_every_later_committed_record", "epochs_never_go_back"],
    );
}

#[test]
fn as2_clocks_that_run_apart_make_two_holders() {
    falls("as2", "trio-watchdog", 0..400, &["a_group_runs_on_at_most_one_node"]);
}

#[test]
fn as3_a_device_that_lies_makes_two_holders() {
    falls("as3", "pair", 0..40, &["a_group_runs_on_at_most_one_node"]);
}

#[test]
fn as4_a_watchdog_that_does_not_bite_makes_two_holders() {
    falls("as4", "trio-watchdog", 0..400, &["a_group_runs_on_at_most_one_node"]);
}

#[test]
fn as5_an_attacker_with_the_key_is_believed() {
    falls("as5", "trio", 0..20, &["no_forged_packet_is_opened"]);
}

#[test]
fn as6_a_resource_started_by_somebody_else_runs_twice() {
    falls("as6", "trio", 0..20, &["a_group_runs_on_at_most_one_node"]);
}
