//! Each rule of the core that is broken on purpose must be caught by the promise that it protects,
//! and the same plan must pass with the sound rules. One test for each, so that they run side by
//! side and a failure names its rule.

use crm_core::rules::Rule;
use crm_sim::broken::{self, Broken, Place};
use crm_sim::campaign::Runner;

fn must_be_caught(name: &str) {
    let broken = Broken::find(name).unwrap_or_else(|| panic!("no rule is called {name}"));
    let Some(caught) = broken.hunt().unwrap() else {
        panic!("{name}: none of {:?} noticed within {} seeds", broken.caught_by, broken.seeds);
    };
    println!("{name}: {} seeds, {}", caught.tried, caught.violation.invariant);
    // Where a directed plan is the place, all that were tried pass.
    let first = if matches!(broken.place, Place::Directed(_)) { broken.from } else { caught.seed };
    for seed in first..=caught.seed {
        assert_eq!(
            broken.at(&Runner::sound(), seed).unwrap(),
            None,
            "{name} is caught by {} at seed {}, but the sound rules fail at seed {seed}",
            caught.violation.invariant,
            caught.seed
        );
    }
}

/// A rule behind which others stand: broken together they are caught, and whichever of them holds
/// keeps the promise on the same plan.
#[test]
fn h7_tie_keeps_grants_is_a_second_line() {
    let broken = Broken::find("tie-keeps-grants").unwrap();
    let Some(caught) = broken.hunt().unwrap() else { panic!("all together are not caught") };
    println!("tie-keeps-grants: {} seeds, {}", caught.tried, caught.violation.invariant);
    for rules in TIE_KEEPS_GRANTS_BUT_ONE {
        let runner = Runner { broken: Some(("but one", rules)) };
        let violation = broken.at(&runner, caught.seed).unwrap();
        let invariant = violation.map(|violation| violation.invariant);
        assert!(!broken.caught_by.contains(&invariant.unwrap_or_default()), "{rules:?}");
    }
    assert_eq!(broken.at(&Runner::sound(), caught.seed).unwrap(), None);
    let alone = Runner { broken: Some(("alone", &[Rule::TieEmptiesGrants])) };
    assert_eq!(broken.at(&alone, caught.seed).unwrap(), None);
}

const TIE_KEEPS_GRANTS_BUT_ONE: [&[Rule]; 3] = [
    &[Rule::ProofIsSpent, Rule::LeaseNeedsRecord],
    &[Rule::TieEmptiesGrants, Rule::LeaseNeedsRecord],
    &[Rule::TieEmptiesGrants, Rule::ProofIsSpent],
];

macro_rules! caught {
    ($($test:ident $name:literal)*) => {
        $(#[test]
        fn $test() {
            must_be_caught($name);
        })*

        #[test]
        fn every_broken_rule_has_its_test() {
            let tested = [$($name),*];
            for broken in broken::all().iter().filter(|broken| broken.rules.len() == 1) {
                assert!(tested.contains(&broken.name), "{}", broken.name);
            }
        }
    };
}

caught! {
    h1_stamp_without_epoch "stamp-without-epoch"
    h2_no_restamp "no-restamp"
    h3_vote_without_record "vote-without-record"
    r2_vote_not_persisted "vote-not-persisted"
    r9_record_not_persisted "record-not-persisted"
    h6_tie_without_authority "tie-without-authority"
    r6_fence_not_awaited "fence-not-awaited"
    h7_proof_never_spent "proof-never-spent"
    h10_single_voter_set "single-voter-set"
    h12_owner_forgotten "owner-forgotten"
    h14_commit_names_nobody "commit-names-nobody"
    h15_open_call_counts_as_stopped "open-call-counts-as-stopped"
    i9_replay_accepted "replay-accepted"
    r10_obeys_uncommitted "obeys-uncommitted"
    i2_start_before_stop "start-before-stop"
    i2_starts_out_of_order "starts-out-of-order"
    h24_ban_ignored "ban-ignored"
    h24_lift_overtaken "lift-overtaken"
    i10_history_unbounded "history-unbounded"
    r13_lease_never_lapses "lease-never-lapses"
    r13_lease_from_receipt "lease-from-receipt"
    h8_lease_without_record "lease-without-record"
    h9_wait_from_silence "wait-from-silence"
    i7_role_not_followed "role-not-followed"
    r12_deposed_gives_authority "deposed-gives-authority"
    r12_told_too_soon "told-too-soon"
    h4_silence_decides_tie "silence-decides-tie"
    h11_votes_shrink "votes-shrink"
    as1_waits_for_the_disk "waits-for-the-disk"
    h16_fed_on_opening "fed-on-opening"
    h17_fed_while_stopping "fed-while-stopping"
    h21_epoch_not_persisted "epoch-not-persisted"
    r4_candidacy_resumed "candidacy-resumed"
    r13_stall_keeps_lease "stall-keeps-lease"
    h5_proof_outlives_epoch "proof-outlives-epoch"
    r16_alone_looks_nowhere "alone-looks-nowhere"
    r16_company_not_asked "company-not-asked"
    i6_epochs_shared "epochs-shared"
    h35_histories_merged "histories-merged"
    h9_lease_not_nested "lease-not-nested"
    h13_report_not_bound "report-not-bound"
    h30_fences_alone "fences-alone"
}
