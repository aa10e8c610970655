//! Rules of the core broken on purpose, one at a time, each with the promise that must catch it.
//! A check that cannot fail proves nothing; this is the proof that ours can.

use crate::campaign::Runner;
use crate::plan::Profile;
use crm_core::rules::Rules;

/// One rule broken on purpose.
#[derive(Clone, Copy)]
pub struct Broken {
    pub name: &'static str,
    /// Any of these promises may catch it first.
    pub caught_by: &'static [&'static str],
    pub layout: &'static str,
    pub profile: Option<Profile>,
    /// It is caught within this many seeds, from 0.
    pub seeds: u64,
    pub runner: Runner,
}

impl Broken {
    #[must_use]
    pub fn find(name: &str) -> Option<Broken> {
        all().into_iter().find(|broken| broken.name == name)
    }
}

macro_rules! broken {
    ($($type:ident $name:literal breaks $rule:ident on $layout:literal $profile:expr, within $seeds:literal, by $($invariant:literal)+;)*) => {
        $(
            #[derive(Clone, Debug, Default)]
            struct $type;
            impl Rules for $type {
                const $rule: bool = false;
            }
        )*
        /// Every rule that can be broken.
        #[must_use]
        pub fn all() -> Vec<Broken> {
            vec![$(Broken {
                name: $name,
                caught_by: &[$($invariant),+],
                layout: $layout,
                profile: $profile,
                seeds: $seeds,
                runner: Runner::of::<$type>(Some($name)),
            }),*]
        }
    };
}

use Profile::{Agents, Elections, Fencing, Operators, Replays};

broken! {
    StampEpoch "stamp-without-epoch" breaks STAMP_HAS_EPOCH on "trio" Some(Elections), within 2000, by "a_committed_change_is_in_every_later_committed_record" "a_commit_is_decisive" "an_acknowledged_change_stays";
    Restamp "no-restamp" breaks RESTAMP on "trio" Some(Elections), within 2000, by "a_committed_change_is_in_every_later_committed_record" "a_commit_is_decisive" "nothing_starts_without_a_committed_grant_of_this_incarnation";
    VoteRecord "vote-without-record" breaks VOTE_CARRIES_RECORD on "trio" Some(Elections), within 500, by "a_committed_change_is_in_every_later_committed_record" "an_acknowledged_change_stays" "a_stamp_names_one_record";
    VotePersisted "vote-not-persisted" breaks VOTE_IS_PERSISTED on "trio" Some(Elections), within 20, by "what_is_said_is_on_the_disk";
    RecordPersisted "record-not-persisted" breaks RECORD_IS_PERSISTED on "trio" Some(Elections), within 20, by "what_is_said_is_on_the_disk";
    ProofEpoch "proof-outlives-epoch" breaks PROOF_DIES_WITH_EPOCH on "pair" Some(Fencing), within 5000, by "a_commit_is_decisive" "a_committed_change_is_in_every_later_committed_record" "a_group_runs_on_at_most_one_node";
    TieAuthority "tie-without-authority" breaks TIE_NEEDS_AUTHORITY on "pair" Some(Fencing), within 500, by "one_coordinator_per_epoch" "a_committed_change_is_in_every_later_committed_record" "a_commit_is_decisive";
    FenceAwaited "fence-not-awaited" breaks FENCE_IS_AWAITED on "pair" Some(Fencing), within 100, by "a_commit_is_decisive" "a_group_runs_on_at_most_one_node";
    TieEmpties "tie-keeps-grants" breaks TIE_EMPTIES_GRANTS on "pair" Some(Fencing), within 2000, by "a_group_runs_on_at_most_one_node";
    ProofSpent "proof-never-spent" breaks PROOF_IS_SPENT on "pair" Some(Fencing), within 2000, by "a_group_runs_on_at_most_one_node";
    JointVoters "single-voter-set" breaks JOINT_VOTERS on "pair" Some(Fencing), within 1000, by "a_commit_is_decisive";
    OwnerStays "owner-forgotten" breaks OWNER_STAYS on "trio" Some(Operators), within 100, by "a_group_runs_on_at_most_one_node";
    ReportBound "report-not-bound" breaks REPORT_IS_BOUND on "trio" Some(Operators), within 1000, by "a_group_runs_on_at_most_one_node";
    CommitIncarnation "commit-names-nobody" breaks COMMIT_NAMES_INCARNATION on "trio" Some(Replays), within 1000, by "nothing_starts_without_a_committed_grant_of_this_incarnation" "no_replayed_packet_changes_state";
    OpenOperation "open-call-counts-as-stopped" breaks OPEN_OPERATION_RUNS on "trio" Some(Agents), within 500, by "a_group_runs_on_at_most_one_node" "one_call_of_a_resource_at_a_time";
    Replay "replay-accepted" breaks REPLAY_IS_REFUSED on "trio" Some(Replays), within 100, by "no_replayed_packet_changes_state";
    ObeyCommitted "obeys-uncommitted" breaks OBEY_COMMITTED_ONLY on "trio" Some(Elections), within 500, by "nothing_starts_without_a_committed_grant_of_this_incarnation";
    StopBeforeStart "start-before-stop" breaks STOP_BEFORE_START on "trio" Some(Operators), within 100, by "a_group_runs_on_at_most_one_node";
    StartInOrder "starts-out-of-order" breaks START_IN_ORDER on "trio" None, within 10, by "resources_start_in_order_and_stop_in_reverse";
    LeaseLapses "lease-never-lapses" breaks LEASE_LAPSES on "trio-watchdog" None, within 500, by "a_group_runs_on_at_most_one_node";
    LeaseRecord "lease-without-record" breaks LEASE_NEEDS_RECORD on "trio-watchdog" None, within 2000, by "a_group_runs_on_at_most_one_node";
    StallLapses "stall-keeps-lease" breaks STALL_LAPSES_LEASE on "trio-watchdog" None, within 2000, by "a_group_runs_on_at_most_one_node";
    WaitFromElection "wait-from-silence" breaks WAIT_FROM_ELECTION on "trio-watchdog" None, within 2000, by "a_group_runs_on_at_most_one_node";
    BanHeeded "ban-ignored" breaks BAN_IS_HEEDED on "pair" None, within 200, by "a_banned_replica_is_never_started";
    HistoryBounded "history-unbounded" breaks HISTORY_IS_BOUNDED on "trio" Some(Operators), within 50, by "memory_is_bounded";
}
