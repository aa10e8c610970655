//! Authentic packets that nothing was done for, by reason (HB4, I9). The wire counts the others.

/// How many, since this daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Seen before on the same link, or too old to tell.
    pub replayed: u64,
    /// Seen before on another link: what is sent on every link comes once from each.
    pub copies: u64,
    /// To an earlier run of this node's daemon (H14).
    pub misaddressed: u64,
    /// Of a run that has not shown yet that it is live (H29): answered, not believed. A few for each
    /// start of a peer are in order.
    pub unproven: u64,
    /// To another node.
    pub for_another: u64,
    /// From a node that the configuration does not name.
    pub not_a_member: u64,
    /// From a node that speaks no version of this protocol in common with this one.
    pub no_common_version: u64,
    /// With an epoch or a version that cannot be: its sender is broken.
    pub implausible: u64,
}

impl Refused {
    /// Every reason, as `crm status --links` names it, with its count.
    #[must_use]
    pub fn reasons(&self) -> [(&'static str, u64); 8] {
        [
            ("replayed", self.replayed),
            ("copies", self.copies),
            ("misaddressed", self.misaddressed),
            ("unproven", self.unproven),
            ("for_another", self.for_another),
            ("not_a_member", self.not_a_member),
            ("no_common_version", self.no_common_version),
            ("implausible", self.implausible),
        ]
    }
}
