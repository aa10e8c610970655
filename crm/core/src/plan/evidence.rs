//! What a decision rested on, for `crm why`: what the coordinator had heard of each node by then, what
//! proves a death and under which rule, and what each side reported.

use crate::id::{GroupId, NodeId};
use crate::node::Node;
use crate::packet::{GroupPhase, Report};
use crate::peer::ProofBy;
use crate::rules::Rules;
use crate::time::Span;

/// More nodes than this are not named: those that are silent come first.
const NAMED_MAX: usize = 6;

impl<R: Rules> Node<R> {
    /// `alpha: silent for 2.8s, proved dead by its device (R12); beta: this node, has it stopped`.
    pub(super) fn evidence(&self, group: &GroupId) -> String {
        let mut clauses: Vec<(bool, String)> = self
            .peers
            .iter()
            .map(|(name, peer)| (peer.alive, self.evidence_of(name, group)))
            .collect();
        let own = format!("{}: this node, {}", self.id, reported(&self.report, group));
        clauses.push((false, own));
        clauses.sort_by_key(|(alive, _)| *alive);
        let more = clauses.len().saturating_sub(NAMED_MAX);
        let named: Vec<String> =
            clauses.into_iter().take(NAMED_MAX).map(|(_, text)| text).collect();
        let rest =
            if more > 0 { format!("; and {more} more that are heard") } else { String::new() };
        format!("{}{rest}", named.join("; "))
    }

    fn evidence_of(&self, name: &NodeId, group: &GroupId) -> String {
        let Some(peer) = self.peers.get(name) else { return format!("{name}: not known") };
        let mut text = match peer.silent_for(self.now) {
            None => format!("{name}: never heard by this run of the daemon"),
            Some(silent) if peer.alive => format!("{name}: heard {} ago", rounded(silent)),
            Some(silent) => format!("{name}: silent for {}", rounded(silent)),
        };
        match peer.proof.as_ref().map(|proof| &proof.by) {
            Some(ProofBy::Device) => text.push_str(", proved dead by its device (R12)"),
            Some(ProofBy::Operator) => text.push_str(", dead by the word of an operator (R20)"),
            None if self.is_proved_reset(name) => {
                text.push_str(", reset by its watchdog: T_out is over (R13)");
            }
            None if !peer.alive => text.push_str(", not proved dead"),
            None => {}
        }
        if let Some(report) = &peer.report {
            text.push_str(", ");
            text.push_str(if peer.alive { "" } else { "last " });
            text.push_str(&reported(report, group));
        }
        text
    }
}

/// `reported it stopped under record 1.3 (R11)`.
fn reported(report: &Report, group: &GroupId) -> String {
    let phase = match report.groups.get(group).map(|state| state.phase) {
        None | Some(GroupPhase::Unknown) => "reported nothing certain of it",
        Some(GroupPhase::Stopped) => "reported it stopped",
        Some(GroupPhase::Starting) => "reported it starting",
        Some(GroupPhase::Running) => "reported it running",
        Some(GroupPhase::Stopping) => "reported it stopping",
        Some(GroupPhase::Failed) => "reported its start failed, and it stopped",
        Some(GroupPhase::StopFailed) => "reported its stop failed",
    };
    format!("{phase} under record {}", report.obeyed)
}

/// Milliseconds are enough for people.
fn rounded(span: Span) -> Span {
    Span::millis(span.as_micros() / 1_000)
}
