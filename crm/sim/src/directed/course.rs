//! The directed plans by name.

use super::driver::Driver;
use super::{alone, authority, bans, chain, feeding, forks, proofs, reports, stall};
use crm_core::rules::Rules;

/// A directed plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// H1: two records of one version, one of them written by a coordinator that was cut off.
    SameVersion,
    /// H5: who proved a node dead leads again after others have given that node a group.
    OldProof,
    /// H7: the loser of a tie is back before the winner's first record is written.
    TieWinner,
    /// H11: one of three is lost for good, another was away.
    TwoOfThree,
    /// H4: four machines, two and two of which hear one another.
    Halves,
    /// R13: a machine stands still while it is given a group, and so does its clock (AS2).
    SlowWake,
    /// AS1: the coordinator's disk hangs, and a group is to leave it.
    HangingDisk,
    /// H16: an owner is cut off, and its daemon restarts.
    RestartCutOff,
    /// H17: an owner is cut off, and its stops hang.
    StopsThatHang,
    /// H13: a group is handed on while the reports of its owner are lost.
    LostReports,
    /// H9: who has not heard an owner for long is elected.
    LongSilence,
    /// H9: a coordinator that is deposed, and does not know it, renews a lease.
    Chain,
    /// H7, R12: a node that was proved dead is back while its group is being given away.
    BackTooSoon,
    /// R12: a node that was proved dead is back beside a coordinator that does not know of it.
    BackBesideTheDeposed,
    /// R16: the only voter is back behind a cut link, after an operator let the other go on.
    BackAlone,
    /// H35: who was given up is back with changes that the others do not have.
    Parted,
    /// H24: the word that a copy is whole again is overtaken by a new ban.
    LateLift,
    /// R16, H35: both have gone on, and the daemon of the one that runs everything restarts as the other is back.
    BesideARestart,
    /// I6: both have gone on, and both are elected above the same epoch.
    OneEpochEach,
}

/// Every directed plan: name, plan, layout.
pub const COURSES: &[(&str, Course, &str)] = &[
    ("same-version", Course::SameVersion, "trio"),
    ("old-proof", Course::OldProof, "trio"),
    ("tie-winner", Course::TieWinner, "pair"),
    ("two-of-three", Course::TwoOfThree, "trio"),
    ("halves", Course::Halves, "four-watchdog"),
    ("slow-wake", Course::SlowWake, "trio-watchdog"),
    ("hanging-disk", Course::HangingDisk, "trio"),
    ("restart-cut-off", Course::RestartCutOff, "trio-watchdog"),
    ("stops-that-hang", Course::StopsThatHang, "trio-watchdog"),
    ("lost-reports", Course::LostReports, "trio"),
    ("long-silence", Course::LongSilence, "trio-watchdog"),
    ("chain", Course::Chain, "five-long-leases"),
    ("back-too-soon", Course::BackTooSoon, "five"),
    ("back-beside-the-deposed", Course::BackBesideTheDeposed, "five-devices"),
    ("back-alone", Course::BackAlone, "pair"),
    ("parted", Course::Parted, "pair"),
    ("late-lift", Course::LateLift, "pair"),
    ("beside-a-restart", Course::BesideARestart, "pair"),
    ("one-epoch-each", Course::OneEpochEach, "pair"),
];

impl Course {
    #[must_use]
    pub fn find(name: &str) -> Option<Course> {
        COURSES.iter().find(|(known, _, _)| *known == name).map(|(_, course, _)| *course)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        COURSES.iter().find(|(_, known, _)| *known == self).map_or("", |(name, _, _)| name)
    }

    pub(super) fn layout_name(self) -> &'static str {
        COURSES.iter().find(|(_, known, _)| *known == self).map_or("", |(_, _, layout)| layout)
    }

    /// `None` where something that it waits for does not come.
    pub(super) fn drive<R: Rules>(self, driver: &mut Driver<R>) -> Option<()> {
        match self {
            Course::SameVersion => forks::same_version(driver),
            Course::OldProof => proofs::old_proof(driver),
            Course::TieWinner => proofs::tie_winner(driver),
            Course::TwoOfThree => proofs::two_of_three(driver),
            Course::Halves => forks::halves(driver),
            Course::SlowWake => stall::slow_wake(driver),
            Course::HangingDisk => stall::hanging_disk(driver),
            Course::RestartCutOff => feeding::restart_cut_off(driver),
            Course::StopsThatHang => feeding::stops_that_hang(driver),
            Course::LostReports => reports::lost_reports(driver),
            Course::LongSilence => chain::long_silence(driver),
            Course::Chain => chain::chain(driver),
            Course::BackBesideTheDeposed => authority::back_beside_the_deposed(driver),
            Course::BackAlone => alone::back_alone(driver),
            Course::Parted => alone::parted(driver),
            Course::LateLift => bans::late_lift(driver),
            Course::BesideARestart => alone::beside_a_restart(driver),
            Course::OneEpochEach => alone::one_epoch_each(driver),
            Course::BackTooSoon => authority::back_too_soon(driver),
        }
    }
}
