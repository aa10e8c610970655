//! The safety rules that a simulator can break on purpose, one at a time.
//!
//! A rule is a constant of a type, so `crmd`, which knows only [`Sound`], has no switch at run time.
//! Every constant is `true` in the product; the simulator's broken builds set one to `false` and
//! must be caught by the invariant that the rule protects.

/// Which rules hold. See `protocol.md` for the names of the holes.
pub trait Rules: Clone + std::fmt::Debug + Default + 'static {
    /// H1: records are ordered by (epoch, version).
    const STAMP_HAS_EPOCH: bool = true;
    /// H2/R7: a new coordinator re-stamps and commits before it acts.
    const RESTAMP: bool = true;
    /// H3/R5: a vote carries the voter's record and the candidate adopts the newest.
    const VOTE_CARRIES_RECORD: bool = true;
    /// R2: a vote is on disk before it is sent.
    const VOTE_IS_PERSISTED: bool = true;
    /// R9: an accepted record is on disk before it is acknowledged.
    const RECORD_IS_PERSISTED: bool = true;
    /// H5: a fencing proof dies with its epoch.
    const PROOF_DIES_WITH_EPOCH: bool = true;
    /// H6: only a node that has joined in this incarnation may shoot in a tie.
    const TIE_NEEDS_AUTHORITY: bool = true;
    /// R6: a tie is decided only after the fence succeeded.
    const FENCE_IS_AWAITED: bool = true;
    /// H7/R7: a tie winner empties the grants of those it fenced in its first record.
    const TIE_EMPTIES_GRANTS: bool = true;
    /// H7/R12: a proof is spent when authority goes to a newer incarnation.
    const PROOF_IS_SPENT: bool = true;
    /// H10: both voter sets decide.
    const JOINT_VOTERS: bool = true;
    /// H12: the owner stays in the grant until its stop is proved.
    const OWNER_STAYS: bool = true;
    /// H13: a stop report counts only for the record it obeys.
    const REPORT_IS_BOUND: bool = true;
    /// H14: authority is addressed to one incarnation.
    const COMMIT_NAMES_INCARNATION: bool = true;
    /// H15: a group is not stopped while an operation on it is open.
    const OPEN_OPERATION_RUNS: bool = true;
    /// I9: a packet counts once.
    const REPLAY_IS_REFUSED: bool = true;
    /// R10: only committed records are obeyed.
    const OBEY_COMMITTED_ONLY: bool = true;
    /// I2: stop on the old node comes before start on the new.
    const STOP_BEFORE_START: bool = true;
    /// I2: resources start in order.
    const START_IN_ORDER: bool = true;
    /// R13: a lease that ran out has lapsed.
    const LEASE_LAPSES: bool = true;
    /// H8/R13: a lease is renewed only for a node that persisted the newest record.
    const LEASE_NEEDS_RECORD: bool = true;
    /// R13: a node that noticed its own stall takes its lease for lapsed.
    const STALL_LAPSES_LEASE: bool = true;
    /// H9: waiting for a lapsed lease starts at the own election.
    const WAIT_FROM_ELECTION: bool = true;
    /// H24: a banned node is not granted the group.
    const BAN_IS_HEEDED: bool = true;
    /// I10/limits: the record's history is bounded.
    const HISTORY_IS_BOUNDED: bool = true;
}

/// The product: every rule holds.
#[derive(Clone, Debug, Default)]
pub struct Sound;

impl Rules for Sound {}
