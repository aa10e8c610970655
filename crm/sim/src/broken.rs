//! Rules of the core broken on purpose, one at a time, each with the promise that must catch it.
//! A check that cannot fail proves nothing; this is the proof that ours can.

use crate::campaign::Runner;
use crate::ghost::Violation;
use crate::layouts;
use crate::plan::{Plan, Profile};
use crate::run::Keep;
use crm_core::rules::Rules;

/// One rule broken on purpose.
#[derive(Clone, Copy)]
pub struct Broken {
    pub name: &'static str,
    /// Any of these promises may catch it first.
    pub caught_by: &'static [&'static str],
    pub layout: &'static str,
    pub profile: Option<Profile>,
    /// Where to begin looking: a seed that caught it when this was written.
    pub from: u64,
    /// It is caught within this many seeds.
    pub seeds: u64,
    pub runner: Runner,
}

impl Broken {
    #[must_use]
    pub fn find(name: &str) -> Option<Broken> {
        all().into_iter().find(|broken| broken.name == name)
    }

    /// The first plan that the right promise catches, and how many were tried.
    ///
    /// # Errors
    /// No layout of that name, or one that cannot be parsed.
    pub fn hunt(&self) -> Result<Option<(Plan, Violation)>, String> {
        let layout =
            layouts::find(self.layout).ok_or_else(|| format!("no layout {}", self.layout))?;
        for seed in self.from..self.from + self.seeds {
            let plan = Plan::draw(seed, layout, self.profile);
            let violation = (self.runner.run)(&plan, Keep::Nothing)?.violation;
            if let Some(violation) = violation
                && self.caught_by.contains(&violation.invariant)
            {
                return Ok(Some((plan, violation)));
            }
        }
        Ok(None)
    }
}

macro_rules! broken {
    ($($type:ident $name:literal breaks $rule:ident on $layout:literal $profile:expr, from $from:literal within $seeds:literal, by $($invariant:literal)+;)*) => {
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
                from: $from,
                seeds: $seeds,
                runner: Runner::of::<$type>(Some($name)),
            }),*]
        }
    };
}

use Profile::{Agents, Elections, Fencing, Operators, Replays};

broken! {
    StampEpoch "stamp-without-epoch" breaks STAMP_HAS_EPOCH on "trio" Some(Elections), from 70 within 1500, by "a_committed_change_is_in_every_later_committed_record" "a_commit_is_decisive" "an_acknowledged_change_stays";
    Restamp "no-restamp" breaks RESTAMP on "trio" Some(Elections), from 0 within 100, by "nothing_starts_without_a_committed_grant_of_this_incarnation" "every_node_votes_again_within_bounds" "a_committed_change_is_in_every_later_committed_record" "a_commit_is_decisive";
    VoteRecord "vote-without-record" breaks VOTE_CARRIES_RECORD on "trio" Some(Elections), from 70 within 200, by "a_committed_change_is_in_every_later_committed_record" "an_acknowledged_change_stays" "a_stamp_names_one_record" "every_group_that_can_run_runs_within_bounds" "an_operator_is_answered_within_bounds";
    VotePersisted "vote-not-persisted" breaks VOTE_IS_PERSISTED on "trio" Some(Elections), from 0 within 20, by "what_is_said_is_on_the_disk";
    RecordPersisted "record-not-persisted" breaks RECORD_IS_PERSISTED on "trio" Some(Elections), from 0 within 20, by "what_is_said_is_on_the_disk";
    ProofEpoch "proof-outlives-epoch" breaks PROOF_DIES_WITH_EPOCH on "pair" Some(Fencing), from 0 within 5000, by "a_commit_is_decisive" "a_committed_change_is_in_every_later_committed_record" "a_group_runs_on_at_most_one_node";
    TieAuthority "tie-without-authority" breaks TIE_NEEDS_AUTHORITY on "pair" Some(Fencing), from 50 within 500, by "one_coordinator_per_epoch" "a_committed_change_is_in_every_later_committed_record" "a_stamp_names_one_record";
    FenceAwaited "fence-not-awaited" breaks FENCE_IS_AWAITED on "pair" Some(Fencing), from 0 within 100, by "a_commit_is_decisive" "a_group_runs_on_at_most_one_node";
    TieEmpties "tie-keeps-grants" breaks TIE_EMPTIES_GRANTS on "pair" Some(Fencing), from 0 within 2000, by "a_group_runs_on_at_most_one_node";
    ProofSpent "proof-never-spent" breaks PROOF_IS_SPENT on "pair" Some(Fencing), from 0 within 100, by "a_group_runs_on_at_most_one_node" "every_node_votes_again_within_bounds";
    JointVoters "single-voter-set" breaks JOINT_VOTERS on "pair" Some(Fencing), from 0 within 300, by "a_commit_is_decisive" "a_committed_change_is_in_every_later_committed_record";
    OwnerStays "owner-forgotten" breaks OWNER_STAYS on "trio" Some(Operators), from 130 within 400, by "a_group_runs_on_at_most_one_node" "resources_start_in_order_and_stop_in_reverse";
    ReportBound "report-not-bound" breaks REPORT_IS_BOUND on "trio" Some(Operators), from 0 within 2000, by "a_group_runs_on_at_most_one_node";
    CommitIncarnation "commit-names-nobody" breaks COMMIT_NAMES_INCARNATION on "trio" Some(Replays), from 0 within 100, by "nothing_starts_without_a_committed_grant_of_this_incarnation" "no_replayed_packet_changes_state";
    OpenOperation "open-call-counts-as-stopped" breaks OPEN_OPERATION_RUNS on "trio" Some(Agents), from 80 within 300, by "a_group_runs_on_at_most_one_node";
    Replay "replay-accepted" breaks REPLAY_IS_REFUSED on "trio" Some(Replays), from 0 within 50, by "no_replayed_packet_changes_state";
    ObeyCommitted "obeys-uncommitted" breaks OBEY_COMMITTED_ONLY on "trio" Some(Elections), from 0 within 50, by "nothing_starts_without_a_committed_grant_of_this_incarnation" "a_commit_is_decisive";
    StopBeforeStart "start-before-stop" breaks STOP_BEFORE_START on "trio" Some(Operators), from 0 within 50, by "a_group_runs_on_at_most_one_node";
    StartInOrder "starts-out-of-order" breaks START_IN_ORDER on "trio" None, from 0 within 10, by "resources_start_in_order_and_stop_in_reverse";
    LeaseLapses "lease-never-lapses" breaks LEASE_LAPSES on "trio-watchdog" None, from 0 within 500, by "a_group_runs_on_at_most_one_node";
    LeaseRecord "lease-without-record" breaks LEASE_NEEDS_RECORD on "trio-watchdog" None, from 0 within 2000, by "a_group_runs_on_at_most_one_node";
    StallLapses "stall-keeps-lease" breaks STALL_LAPSES_LEASE on "trio-watchdog" None, from 0 within 2000, by "a_group_runs_on_at_most_one_node";
    WaitFromElection "wait-from-silence" breaks WAIT_FROM_ELECTION on "trio-watchdog" None, from 0 within 2000, by "a_group_runs_on_at_most_one_node";
    BanHeeded "ban-ignored" breaks BAN_IS_HEEDED on "pair" None, from 0 within 50, by "a_banned_replica_is_never_started";
    HistoryBounded "history-unbounded" breaks HISTORY_IS_BOUNDED on "trio" Some(Operators), from 0 within 100, by "memory_is_bounded";
}
