//! Packets in and out: the envelope, the session, and who handles which message.

use crate::event::Event;
use crate::id::{Incarnation, LinkId, NodeId};
use crate::node::Node;
use crate::packet::{MINOR_HIGHEST, MINOR_LOWEST, Message, Packet};
use crate::peer::Peer;
use crate::rules::{Rule, Rules};
use crate::session::Verdict;
use crate::{Destination, Output};

/// Peers that a daemon without a configuration remembers, at most.
const STRANGERS_MAX: usize = 64;

impl<R: Rules> Node<R> {
    /// Sends to a peer on every link, addressed to its live incarnation.
    pub(crate) fn send(&mut self, to: &NodeId, message: Message) {
        let Some(echo) = self.peers.get(to).and_then(|peer| peer.session.live()) else { return };
        self.send_to(Destination::Node(to.clone()), to, Some(echo), message);
    }

    pub(crate) fn send_to(
        &mut self,
        destination: Destination,
        to: &NodeId,
        echo: Option<Incarnation>,
        message: Message,
    ) {
        let Some(peer) = self.peers.get(to) else { return };
        let number = self.next_number;
        self.next_number += 1;
        let seen = echo.map_or(0, |incarnation| peer.session.seen(incarnation));
        self.outputs.push_back(Output::Send {
            to: destination,
            packet: Box::new(Packet {
                to: to.clone(),
                number,
                echo,
                seen,
                minor_lowest: MINOR_LOWEST,
                minor_highest: MINOR_HIGHEST,
                message,
            }),
        });
    }

    /// A daemon without a record says that it is there; members answer it.
    pub(crate) fn send_to_contact(&mut self) {
        let store = self.stored.store;
        self.outputs.push_back(Output::Send {
            to: Destination::Contact,
            packet: Box::new(Packet {
                to: NodeId::new(""),
                number: 0,
                echo: None,
                seen: 0,
                minor_lowest: MINOR_LOWEST,
                minor_highest: MINOR_HIGHEST,
                message: Message::Join { store },
            }),
        });
    }

    pub(crate) fn on_packet(
        &mut self,
        link: LinkId,
        from: &NodeId,
        incarnation: Incarnation,
        packet: Packet,
    ) {
        let to_anybody =
            packet.to.as_str().is_empty() && matches!(packet.message, Message::Join { .. });
        if *from == self.id || (packet.to != self.id && !to_anybody) {
            self.refused.for_another += 1;
            return;
        }
        if !self.peers.contains_key(from) && !self.admit_stranger(from) {
            self.refused.not_a_member += 1;
            self.on_stranger(from, incarnation, &packet);
            return;
        }
        let now = self.now;
        let Some(peer) = self.peers.get_mut(from) else { return };
        if to_anybody {
            // Its number is not taken: it changes nothing, it only asks for an answer.
            self.send_to(Destination::Node(from.clone()), from, Some(incarnation), Message::Hello);
            return;
        }
        if packet.minor_highest < MINOR_LOWEST || packet.minor_lowest > MINOR_HIGHEST {
            self.refused.no_common_version += 1;
            self.refuse_version(from, packet.minor_lowest, packet.minor_highest);
            return;
        }
        let verdict = peer.session.judge(
            self.incarnation,
            self.next_number,
            incarnation,
            packet.number,
            packet.echo,
            packet.seen,
        );
        let copy = !peer.session.repeats(link, incarnation, packet.number);
        match verdict {
            Verdict::Fresh => {}
            Verdict::Switched => {
                peer.forget_run(now);
                peer.version_refused = false;
                self.cancel_fences_of_earlier_run(from);
                self.wants_stale = true;
                self.event(
                    Event::info("peer-joined", format!("node {from} is heard in both directions"))
                        .node(from),
                );
            }
            Verdict::Answer => {
                self.refused.unproven += 1;
                self.send_to(
                    Destination::Node(from.clone()),
                    from,
                    Some(incarnation),
                    Message::Hello,
                );
                return;
            }
            Verdict::Misaddressed if !R::holds(Rule::CommitNamesIncarnation) => {}
            Verdict::Misaddressed => {
                self.refused.misaddressed += 1;
                return;
            }
            Verdict::Replay => {
                let count =
                    if copy { &mut self.refused.copies } else { &mut self.refused.replayed };
                *count += 1;
                return;
            }
        }
        if !self.is_plausible(&packet.message) {
            self.refused.implausible += 1;
            return;
        }
        // All paths to a peer of one link, such as the witness, are that link.
        let one = self.peers.get(from).is_some_and(|peer| peer.links.len() == 1);
        let link = if one { LinkId(0) } else { link };
        self.doubt_proof(from, incarnation, packet.seen);
        if self.peers.get_mut(from).is_some_and(|peer| peer.hear(now, link)) {
            self.on_alive_again(from);
        }
        self.on_message(link, from, packet.message);
    }

    /// Before there is a configuration, whoever has the key may speak.
    fn admit_stranger(&mut self, from: &NodeId) -> bool {
        if self.config.is_some() || self.peers.len() >= STRANGERS_MAX {
            return false;
        }
        self.peers.insert(from.clone(), Peer::new(self.now, 1));
        true
    }

    fn refuse_version(&mut self, from: &NodeId, lowest: u8, highest: u8) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        if std::mem::replace(&mut peer.version_refused, true) {
            return;
        }
        self.event(
            Event::error(
                "version",
                format!(
                    "node {from} speaks protocol {lowest} to {highest}, this one {MINOR_LOWEST} to {MINOR_HIGHEST}; upgrade the older one"
                ),
            )
            .node(from),
        );
    }

    fn on_message(&mut self, link: LinkId, from: &NodeId, message: Message) {
        let peer = self.peers.get(from);
        let rolled_back = peer.is_some_and(|peer| peer.rolled_back);
        let beat = peer.and_then(|peer| peer.heartbeat.as_ref());
        let unknown = beat.is_none_or(|beat| beat.writes == 0);
        match message {
            // H20: the word of a voter that may have forgotten its last one counts no more.
            Message::PreVote { .. }
            | Message::PreVoteReply { .. }
            | Message::VoteRequest { .. }
            | Message::Vote { .. }
            | Message::Accepted { .. }
                if rolled_back => {}
            // Nor one that came before this run has told how far its store is; it is repeated.
            Message::Vote { .. } | Message::Accepted { .. } if unknown => {}
            Message::Hello | Message::Join { .. } => {}
            Message::Heartbeat(heartbeat) => self.on_heartbeat(link, from, heartbeat),
            Message::PreVote { epoch } => self.on_pre_vote(from, epoch),
            Message::PreVoteReply { epoch, granted, stamp: _ } => {
                self.on_pre_vote_reply(from, epoch, granted);
            }
            Message::VoteRequest { epoch } => self.on_vote_request(from, epoch),
            Message::Vote { epoch, store, record } => self.on_vote(from, epoch, store, record),
            Message::Behind { epoch } => self.on_behind(epoch),
            Message::Propose { epoch, record } => self.on_propose(from, epoch, *record),
            Message::Accepted { epoch, stamp, store } => {
                self.on_accepted(from, epoch, stamp, store);
            }
            Message::ConfigWanted { stamp } => self.on_config_wanted(from, stamp),
            Message::Committed { epoch, stamp } => self.on_committed(from, epoch, stamp),
            Message::Report(report) => self.on_report(from, *report),
            Message::Forward { request, command } => self.on_forward(from, request, *command),
            Message::ForwardReply { request, outcome } => {
                self.on_forward_reply(from, request, outcome);
            }
            Message::StatusWanted { request } => self.on_remote_status_wanted(from, request),
            Message::StatusReply { request, status } => self.on_status_reply(request, status),
            Message::Removed { record } => self.on_removed(from, *record),
        }
    }
}
