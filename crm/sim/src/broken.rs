//! Rules of the core broken on purpose, each with the promise that must catch it. A check that
//! cannot fail proves nothing; this is the proof that ours can.

use crate::campaign::Runner;
use crate::directed::Course;
use crate::ghost::Violation;
use crate::layouts;
use crate::plan::{Plan, Profile};
use crate::run::Keep;
use crm_core::rules::Rule;

/// A rule broken on purpose, or a few at once where one stands behind another.
#[derive(Clone, Copy)]
pub struct Broken {
    pub name: &'static str,
    /// Any of these promises may catch it first.
    pub caught_by: &'static [&'static str],
    pub place: Place,
    /// Where to begin looking: a seed that caught it when this was written.
    pub from: u64,
    /// It is caught within this many seeds.
    pub seeds: u64,
    pub rules: &'static [Rule],
}

/// Where a broken rule is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In drawn plans of a layout.
    Drawn(&'static str, Option<Profile>),
    /// In a plan that follows the trace of its hole.
    Directed(Course),
}

/// A seed that a promise caught.
#[derive(Clone, Debug)]
pub struct Caught {
    pub seed: u64,
    /// How many seeds it took.
    pub tried: u64,
    pub violation: Violation,
}

impl Broken {
    #[must_use]
    pub fn runner(&self) -> Runner {
        Runner { broken: Some((self.name, self.rules)) }
    }

    #[must_use]
    pub fn find(name: &str) -> Option<Broken> {
        all().into_iter().find(|broken| broken.name == name)
    }

    /// What breaks at this seed under these rules.
    ///
    /// # Errors
    /// No layout of that name, or one that cannot be parsed.
    pub fn at(&self, runner: &Runner, seed: u64) -> Result<Option<Violation>, String> {
        let verdict = match self.place {
            Place::Drawn(name, profile) => {
                let layout = layouts::find(name).ok_or_else(|| format!("no layout {name}"))?;
                runner.run(&Plan::draw(seed, layout, profile), Keep::Nothing)?
            }
            Place::Directed(course) => runner.direct(course, seed, Keep::Nothing)?.1,
        };
        Ok(verdict.violation)
    }

    /// The first seed that the right promise catches.
    ///
    /// # Errors
    /// As [`Broken::at`].
    pub fn hunt(&self) -> Result<Option<Caught>, String> {
        for seed in self.from..self.from + self.seeds {
            if let Some(violation) = self.at(&self.runner(), seed)?
                && self.caught_by.contains(&violation.invariant)
            {
                return Ok(Some(Caught { seed, tried: seed + 1 - self.from, violation }));
            }
        }
        Ok(None)
    }

    /// Where it is looked for, in words.
    #[must_use]
    pub fn told(&self) -> String {
        match self.place {
            Place::Drawn(layout, _) => layout.to_owned(),
            Place::Directed(course) => format!("directed {}", course.name()),
        }
    }
}

/// Every rule that can be broken.
#[must_use]
pub fn all() -> Vec<Broken> {
    use Profile::{Agents, Elections, Fencing, Operators, Replays};
    use Rule::*;
    let row = |name, rules, layout, profile, from, seeds, caught_by| Broken {
        name,
        caught_by,
        place: Place::Drawn(layout, profile),
        from,
        seeds,
        rules,
    };
    let directed = |name, rules, course, seeds, caught_by| Broken {
        name,
        caught_by,
        place: Place::Directed(course),
        from: 0,
        seeds,
        rules,
    };
    vec![
        row(
            "no-restamp",
            &[Restamp],
            "trio",
            Some(Elections),
            0,
            100,
            &[
                "nothing_starts_without_a_committed_grant_of_this_incarnation",
                "a_committed_change_is_in_every_later_committed_record",
                "a_commit_is_decisive",
            ],
        ),
        row(
            "vote-not-persisted",
            &[VoteIsPersisted],
            "trio",
            Some(Elections),
            0,
            20,
            &["what_is_said_is_on_the_disk"],
        ),
        row(
            "record-not-persisted",
            &[RecordIsPersisted],
            "trio",
            Some(Elections),
            0,
            20,
            &["what_is_said_is_on_the_disk"],
        ),
        row(
            "tie-without-authority",
            &[TieNeedsAuthority],
            "pair",
            Some(Fencing),
            50,
            500,
            &[
                "one_coordinator_per_epoch",
                "a_committed_change_is_in_every_later_committed_record",
                "a_stamp_names_one_record",
            ],
        ),
        row(
            "fence-not-awaited",
            &[FenceIsAwaited],
            "pair",
            Some(Fencing),
            0,
            100,
            &["a_commit_is_decisive", "a_group_runs_on_at_most_one_node"],
        ),
        row(
            "single-voter-set",
            &[JointVoters],
            "pair",
            Some(Fencing),
            0,
            300,
            &["a_commit_is_decisive", "a_committed_change_is_in_every_later_committed_record"],
        ),
        row(
            "owner-forgotten",
            &[OwnerStays],
            "trio",
            Some(Operators),
            130,
            400,
            &["a_group_runs_on_at_most_one_node", "resources_start_in_order_and_stop_in_reverse"],
        ),
        row(
            "commit-names-nobody",
            &[CommitNamesIncarnation],
            "trio",
            Some(Replays),
            0,
            100,
            &[
                "nothing_starts_without_a_committed_grant_of_this_incarnation",
                "no_replayed_packet_changes_state",
            ],
        ),
        row(
            "open-call-counts-as-stopped",
            &[OpenOperationRuns],
            "trio",
            Some(Agents),
            80,
            300,
            &["a_group_runs_on_at_most_one_node"],
        ),
        row(
            "replay-accepted",
            &[ReplayIsRefused],
            "trio",
            Some(Replays),
            0,
            50,
            &["no_replayed_packet_changes_state"],
        ),
        row(
            "obeys-uncommitted",
            &[ObeyCommittedOnly],
            "trio",
            Some(Elections),
            0,
            50,
            &[
                "nothing_starts_without_a_committed_grant_of_this_incarnation",
                "a_commit_is_decisive",
            ],
        ),
        row(
            "start-before-stop",
            &[StopBeforeStart],
            "trio",
            Some(Operators),
            0,
            50,
            &["a_group_runs_on_at_most_one_node"],
        ),
        row(
            "starts-out-of-order",
            &[StartInOrder],
            "trio",
            None,
            0,
            10,
            &["resources_start_in_order_and_stop_in_reverse"],
        ),
        row(
            "lease-never-lapses",
            &[LeaseLapses],
            "trio-watchdog",
            None,
            40,
            600,
            &["a_group_runs_on_at_most_one_node"],
        ),
        row(
            "lease-without-record",
            &[LeaseNeedsRecord],
            "trio-watchdog",
            None,
            40,
            600,
            &["a_group_runs_on_at_most_one_node"],
        ),
        row(
            "ban-ignored",
            &[BanIsHeeded],
            "pair",
            None,
            0,
            50,
            &["a_banned_replica_is_never_started"],
        ),
        row(
            "history-unbounded",
            &[HistoryIsBounded],
            "trio",
            Some(Operators),
            0,
            100,
            &["memory_is_bounded"],
        ),
        row(
            "lease-from-receipt",
            &[LeaseFromSendTime],
            "trio-watchdog",
            None,
            100,
            1500,
            &["a_group_runs_on_at_most_one_node"],
        ),
        row(
            "fences-alone",
            &[FenceNeedsCompany],
            "trio",
            None,
            0,
            2000,
            &["a_minority_fences_nobody"],
        ),
        row(
            "role-not-followed",
            &[RoleIsFollowed],
            "pair-roles",
            None,
            700,
            3000,
            &["an_address_starts_only_where_its_role_is"],
        ),
        directed("stamp-without-epoch", &[StampHasEpoch], Course::SameVersion, 20, HISTORY),
        directed("proof-outlives-epoch", &[ProofDiesWithEpoch], Course::OldProof, 20, ONE_NODE),
        directed("report-not-bound", &[ReportIsBound], Course::LostReports, 20, ONE_NODE),
        directed(
            "tie-keeps-grants",
            &[TieEmptiesGrants, ProofIsSpent, LeaseNeedsRecord],
            Course::TieWinner,
            20,
            ONE_NODE,
        ),
        directed("stall-keeps-lease", &[StallLapsesLease], Course::SlowWake, 20, ONE_NODE),
        directed(
            "silence-decides-tie",
            &[SilenceDecidesNoTie],
            Course::Halves,
            20,
            &["a_commit_is_decisive"],
        ),
        directed(
            "votes-shrink",
            &[VotesStay],
            Course::TwoOfThree,
            20,
            &["a_majority_goes_on_within_bounds"],
        ),
        directed(
            "waits-for-the-disk",
            &[StuckDiskFails],
            Course::HangingDisk,
            20,
            &["a_majority_goes_on_within_bounds"],
        ),
        row(
            "epoch-not-persisted",
            &[EpochIsPersisted],
            "trio",
            Some(Elections),
            0,
            20,
            &["what_is_said_is_on_the_disk"],
        ),
        row(
            "candidacy-resumed",
            &[CandidacyIsNew],
            "trio",
            Some(Elections),
            0,
            100,
            &["one_coordinator_per_epoch", "a_stamp_names_one_record"],
        ),
        directed("fed-on-opening", &[FeedNeedsLease], Course::RestartCutOff, 20, ONE_NODE),
        directed("fed-while-stopping", &[FeedEnds], Course::StopsThatHang, 20, ONE_NODE),
        directed("vote-without-record", &[VoteCarriesRecord], Course::SameVersion, 20, HISTORY),
        directed("proof-never-spent", &[ProofIsSpent], Course::BackTooSoon, 20, ONE_NODE),
        directed(
            "deposed-gives-authority",
            &[AuthorityIsConfirmed],
            Course::BackBesideTheDeposed,
            20,
            ONE_NODE,
        ),
        directed("wait-from-silence", &[WaitFromElection], Course::LongSilence, 20, ONE_NODE),
        directed("told-too-soon", &[AuthorityAwaitsMove], Course::BackTooSoon, 20, ONE_NODE),
        directed("alone-looks-nowhere", &[AloneLooksFirst], Course::BackAlone, 20, ONE_NODE),
        directed("lift-overtaken", &[LiftNamesItsBan], Course::LateLift, 20, FRESH),
        directed("company-not-asked", &[CompanyIsAsked], Course::BesideARestart, 20, ONE_NODE),
        directed(
            "epochs-shared",
            &[AloneHasItsEpochs],
            Course::OneEpochEach,
            20,
            &["one_coordinator_per_epoch", "a_stamp_names_one_record"],
        ),
        directed("histories-merged", &[HistoriesStayApart], Course::Parted, 20, APART),
        directed("lease-not-nested", &[LeaseIsNested], Course::Chain, 20, ONE_NODE),
    ]
}

const HISTORY: &[&str] = &["a_committed_change_is_in_every_later_committed_record"];
const FRESH: &[&str] = &["a_copy_that_lacks_writes_is_never_started"];
const APART: &[&str] = &["parted_histories_are_never_merged"];
const ONE_NODE: &[&str] = &["a_group_runs_on_at_most_one_node"];
