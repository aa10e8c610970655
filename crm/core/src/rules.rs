//! The safety rules that a simulator can break on purpose, one at a time.
//!
//! Which rules hold is a matter of a type: `crmd` knows only [`Sound`], for which the answer is a
//! constant, so the product has no switch at run time. The simulator's broken builds say no to one
//! rule and must be caught by the promise that the rule protects.

/// A rule that can be broken. docs/rules.md says what each hole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// H1: records are ordered by (epoch, version).
    StampHasEpoch,
    /// H2/R7: a new coordinator re-stamps and commits before it acts.
    Restamp,
    /// H3/R5: a vote carries the voter's record and the candidate adopts the newest.
    VoteCarriesRecord,
    /// R2: a vote is on disk before it is sent.
    VoteIsPersisted,
    /// R3, H21: a higher epoch that a node follows is on disk before it answers in it.
    EpochIsPersisted,
    /// R4: a restarted node resumes no candidacy of an earlier run.
    CandidacyIsNew,
    /// R9: an accepted record is on disk before it is acknowledged.
    RecordIsPersisted,
    /// H5: a fencing proof dies with its epoch.
    ProofDiesWithEpoch,
    /// H4: silence decides no tie, however long.
    SilenceDecidesNoTie,
    /// H11: a vote is taken in a tie only.
    VotesStay,
    /// H6: only a node that has joined in this incarnation may shoot in a tie.
    TieNeedsAuthority,
    /// R16, H23: the only voter of its record, when it boots, hears out or fences who may have gone on by a word.
    AloneLooksFirst,
    /// R16, H35: and leads only with the votes of those who are heard, which are not given while anything may run there.
    CompanyIsAsked,
    /// I6, H35: who alone votes, or is about to by a word, leads in epochs that no other node of its configuration can lead
    /// in so: neither knows of the other's.
    AloneHasItsEpochs,
    /// R6: a tie is decided only after the fence succeeded.
    FenceIsAwaited,
    /// H30: a coordinator fences for a loss only while a deciding set of voters is heard.
    FenceNeedsCompany,
    /// H7/R7: a tie winner empties the grants of those it fenced in its first record.
    TieEmptiesGrants,
    /// H7/R12: a proof is spent when authority goes to a newer incarnation.
    ProofIsSpent,
    /// R12: what is committed is not told to a node whose death is proved while a record that acts on
    /// the proof is under way.
    AuthorityAwaitsMove,
    /// R12: a run that came after this coordinator's election is given authority once a deciding set
    /// has answered since.
    AuthorityIsConfirmed,
    /// H10: both voter sets decide.
    JointVoters,
    /// H12: the owner stays in the grant until its stop is proved.
    OwnerStays,
    /// H13: a stop report counts only for the record it obeys.
    ReportIsBound,
    /// H14: authority is addressed to one incarnation.
    CommitNamesIncarnation,
    /// H15: a group is not stopped while an operation on it is open.
    OpenOperationRuns,
    /// I9: a packet counts once.
    ReplayIsRefused,
    /// R10: only committed records are obeyed.
    ObeyCommittedOnly,
    /// I2: stop on the old node comes before start on the new.
    StopBeforeStart,
    /// I2: resources start in order.
    StartInOrder,
    /// R13: a lease that ran out has lapsed.
    LeaseLapses,
    /// H8/R13: a lease is renewed only for a node that persisted the newest record.
    LeaseNeedsRecord,
    /// R13: a node that noticed its own stall takes its lease for lapsed.
    StallLapsesLease,
    /// H9: waiting for a lapsed lease starts at the own election.
    WaitFromElection,
    /// H9: a lease is not longer than what the coordinator's own has left.
    LeaseIsNested,
    /// R13: a lease counts from the holder's own send time.
    LeaseFromSendTime,
    /// H16: a run without a lease does not feed the watchdog.
    FeedNeedsLease,
    /// H17: the watchdog is fed until S after the lease, not until everything has stopped.
    FeedEnds,
    /// I7: a group that follows a role starts only on a node that knows that it holds the role.
    RoleIsFollowed,
    /// H24: a banned node is not granted the group.
    BanIsHeeded,
    /// H24: who lifts a ban names the one that it saw, and no later one is lifted.
    LiftNamesItsBan,
    /// AS1: a disk that does not answer has failed.
    StuckDiskFails,
    /// H35: a record that has not in its past what is committed here is not taken.
    HistoriesStayApart,
    /// I10/limits: the record's history is bounded.
    HistoryIsBounded,
}

/// Which rules hold for a node.
pub trait Rules: Clone + std::fmt::Debug + Default + 'static {
    fn holds(rule: Rule) -> bool;
}

/// The product: every rule holds.
#[derive(Clone, Debug, Default)]
pub struct Sound;

impl Rules for Sound {
    #[inline(always)]
    fn holds(_: Rule) -> bool {
        true
    }
}
