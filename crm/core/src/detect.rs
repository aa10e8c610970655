//! Heartbeats and failure detection (design 3.1).

use crate::event::Event;
use crate::id::{LinkId, NodeId};
use crate::node::{Leader, Node};
use crate::packet::{Heartbeat, Leading, Message};
use crate::record::GrantState;
use crate::rules::{Rule, Rules};
use crate::{Destination, Output};

impl<R: Rules> Node<R> {
    /// Sends a heartbeat on every link when it is due.
    pub(crate) fn send_heartbeats(&mut self) {
        if self.now < self.next_heartbeat {
            return;
        }
        // From the present, not from the last due time: a late node does not send a burst.
        self.next_heartbeat = self.now + self.timing.keepalive;
        if self.stored.record.is_none() && self.joining {
            self.send_to_contact();
        }
        let names: Vec<NodeId> = self.peers.keys().cloned().collect();
        for name in names {
            self.send_heartbeat(&name);
        }
        self.resend_what_was_lost();
    }

    pub(crate) fn send_heartbeat(&mut self, to: &NodeId) {
        let now = self.now;
        let leading = self.leading_for(to);
        if leading.as_ref().is_some_and(|leading| leading.committed.is_some()) {
            self.spend_proof(to);
        }
        let renews = leading.as_ref().is_some_and(|leading| leading.renews.is_some());
        let coordinator = self.coordinator();
        let taken = self.silence.taken_groups();
        let hears: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.alive)
            .map(|(name, _)| name.clone())
            .collect();
        let Some(peer) = self.peers.get_mut(to) else { return };
        if renews {
            // Its report may have moved this on since: what that heartbeat renews is older.
            peer.renewed = peer.renewed.max(peer.heartbeat_at);
        }
        let echo = peer.session.live();
        let mut beats = Vec::with_capacity(peer.links.len());
        for link in &mut peer.links {
            link.next_beat += 1;
            let heard = link.last_sent.map(|(sent, came)| (sent, now.since(came)));
            beats.push((link.next_beat, heard));
        }
        let report_seen = peer.report.as_ref().map_or(0, |report| report.number);
        for (number, (beat, heard)) in beats.into_iter().enumerate() {
            let heartbeat = Heartbeat {
                beat,
                sent: now,
                heard,
                epoch: self.durable.epoch,
                stamp: self.durable.stamp,
                obeyed: self.obeyed.as_ref().map(|o| o.record.stamp).unwrap_or_default(),
                store: self.stored.store,
                writes: self.durable.writes,
                config: self.durable.config,
                coordinator: coordinator.clone(),
                leading: leading.clone(),
                report: self.report.number,
                report_seen,
                hears: hears.clone(),
                taken: taken.clone(),
            };
            let link = LinkId(u8::try_from(number).unwrap_or(u8::MAX));
            let destination = Destination::Link { node: to.clone(), link };
            self.send_to(destination, to, echo, Message::Heartbeat(heartbeat));
        }
    }

    fn leading_for(&self, to: &NodeId) -> Option<Leading> {
        let coordinator = self.coordinating()?;
        let left = self.coordinator_lease_left();
        let lease_holds = coordinator.committed.is_some() && left > crate::time::Span::ZERO;
        let peer = self.peers.get(to)?;
        // R13 in its strict form: only for a node that has persisted the newest record.
        let newest = peer.heartbeat.as_ref().is_some_and(|heartbeat| {
            heartbeat.epoch == self.durable.epoch && heartbeat.stamp == self.stamp()
        });
        let may = newest || !R::holds(Rule::LeaseNeedsRecord);
        let renews = if lease_holds && may && !self.armed_by_another_run(to) {
            peer.heartbeat.as_ref().map(|heartbeat| (heartbeat.sent, left))
        } else {
            None
        };
        // R12: no authority with a grant in it to a node whose death is proved and not spent.
        let committed = coordinator.committed.filter(|_| !self.withholds_authority(to));
        Some(Leading { lease_holds, committed, renews })
    }

    pub(crate) fn on_heartbeat(&mut self, link: LinkId, from: &NodeId, heartbeat: Heartbeat) {
        let now = self.now;
        let deadtime = self.timing.deadtime;
        self.highest_epoch = self.highest_epoch.max(heartbeat.epoch);
        let Some(peer) = self.peers.get_mut(from) else { return };
        if let Some(seen_on) = peer.links.get_mut(usize::from(link.0)) {
            seen_on.beat(now, heartbeat.beat, heartbeat.sent, deadtime);
            if let Some((sent, held)) = heartbeat.heard {
                seen_on.round_trip(now.since(sent).saturating_sub(held));
            }
        }
        let newer = peer.heartbeat.as_ref().is_none_or(|last| last.sent <= heartbeat.sent);
        let changed = peer.heartbeat.as_ref().is_none_or(|last| {
            last.stamp != heartbeat.stamp
                || last.obeyed != heartbeat.obeyed
                || last.epoch != heartbeat.epoch
                || last.taken != heartbeat.taken
        });
        let mut restored = false;
        if newer {
            restored = peer.note_writes(heartbeat.store, heartbeat.writes);
            peer.heartbeat = Some(heartbeat.clone());
            peer.heartbeat_at = now;
        }
        let trusted = !peer.rolled_back;
        if restored {
            self.event(Event::error("rolled-back", crate::exposure::restored(from)).node(from));
            self.coordinator_dirty();
        }
        if changed {
            self.coordinator_dirty();
        }
        self.remember_company(from);
        self.on_taken(from, &heartbeat);
        if let Some((sent, _)) = heartbeat.heard
            && trusted
        {
            self.on_acknowledged_beat(from, &heartbeat, sent);
        }
        // All that a heartbeat says is durable (H21): it repeats an acknowledgement that was lost.
        if trusted {
            self.on_accepted(from, heartbeat.epoch, heartbeat.stamp, heartbeat.store);
        }
        let Some(leading) = &heartbeat.leading else { return };
        if heartbeat.epoch < self.stored.epoch {
            let epoch = self.durable.epoch;
            self.send(from, Message::Behind { epoch });
            return;
        }
        if leading.lease_holds {
            self.leader = Some(Leader {
                node: from.clone(),
                epoch: heartbeat.epoch,
                heard: now,
                report_seen: heartbeat.report_seen,
            });
            self.stand_at = None;
            self.drop_asking();
        }
        if let Some(committed) = leading.committed {
            self.on_committed(from, heartbeat.epoch, committed);
        }
        if let Some((sent, left)) = leading.renews {
            self.renew_lease(heartbeat.epoch, sent, left);
        }
    }

    /// Turns silence into warnings and verdicts.
    pub(crate) fn detect(&mut self) {
        let now = self.now;
        let timing = self.timing;
        let mut late = Vec::new();
        let mut dead = Vec::new();
        let mut links = Vec::new();
        for (name, peer) in &mut self.peers {
            if peer.dead_at(timing.deadtime).is_some_and(|at| at <= now) {
                peer.alive = false;
                dead.push((name.clone(), peer.silent_for(now).unwrap_or_default()));
            } else if peer.late_at(timing.warntime).is_some_and(|at| at <= now) {
                peer.late = true;
                late.push((name.clone(), peer.silent_for(now).unwrap_or_default()));
            }
            if peer.alive && peer.links.len() > 1 {
                for (number, link) in peer.links.iter_mut().enumerate() {
                    let up = link.is_up(now, timing.deadtime);
                    let settled = now.since(peer.alive_since) > timing.deadtime;
                    if !up && !link.down_reported && settled {
                        link.down_reported = true;
                        links.push((name.clone(), number, false));
                    } else if up && link.down_reported {
                        link.down_reported = false;
                        links.push((name.clone(), number, true));
                    }
                }
            }
        }
        for (name, silent) in late {
            self.event(
                Event::warning("peer-late", format!("node {name} has been silent for {silent}"))
                    .node(&name),
            );
        }
        for (name, number, up) in links {
            let text = if up {
                format!("link {number} to node {name} works again")
            } else {
                format!("link {number} to node {name} is silent; the others still work")
            };
            let severity =
                if up { crate::event::Severity::Info } else { crate::event::Severity::Warning };
            let kind = if up { "link-up" } else { "link-down" };
            self.event(Event::new(severity, kind, text).node(&name));
        }
        for (name, silent) in dead {
            let holds = self.record().is_some_and(|record| {
                record.grants.values().any(|g| g.owner == name && g.state == GrantState::Held)
            });
            let text = format!(
                "node {name} has been silent for {silent} (deadtime {}){}; it is lost, which does not prove it dead",
                timing.deadtime,
                if holds { " and holds groups" } else { "" }
            );
            self.event(Event::warning("peer-lost", text).node(&name));
            self.on_lost(&name);
        }
    }

    fn on_lost(&mut self, name: &NodeId) {
        self.wants_stale = true;
        self.coordinator_dirty();
        if self.leader.as_ref().is_some_and(|leader| leader.node == *name) {
            self.leader = None;
        }
        let none_leads = self.leader.is_none() && self.coordinating().is_none();
        if none_leads && self.stand_at.is_none() {
            self.stand_at = Some(self.now + self.standing_delay());
        }
    }

    /// A peer that counted as silent is heard again.
    pub(crate) fn on_alive_again(&mut self, name: &NodeId) {
        self.wants_stale = true;
        self.commands.forget_word(Some(name));
        self.cancel_fences_of_heard(name);
        self.coordinator_dirty();
        self.send_heartbeat(name);
    }

    /// Repeats whatever a lost packet would leave undone.
    fn resend_what_was_lost(&mut self) {
        self.resend_report();
        self.resend_election();
        self.resend_record();
    }

    /// Whom this node takes for the coordinator.
    pub(crate) fn coordinator(&self) -> Option<NodeId> {
        if self.coordinating().is_some() {
            return Some(self.id.clone());
        }
        self.live_leader().map(|leader| leader.node.clone())
    }

    /// The coordinator last heard with a lease, unless it has been silent for a deadtime.
    pub(crate) fn live_leader(&self) -> Option<&Leader> {
        self.leader.as_ref().filter(|leader| {
            leader.epoch >= self.stored.epoch && self.now.since(leader.heard) < self.timing.deadtime
        })
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}
