//! Operators: give commands to any daemon, remember what they were promised (I5).

use crate::faults::Wish;
use crate::ghost::Lost;
use crate::queue::Seat;
use crate::world::World;
use crm_core::Input;
use crm_core::id::{Epoch, GroupId, NodeId, RequestId};
use crm_core::operator::{Command, Outcome};
use crm_core::rules::Rules;
use std::collections::BTreeMap;

/// What operators wait for.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    next: u64,
    /// The last request before the healing.
    earlier: u64,
    open: BTreeMap<RequestId, Open>,
    /// The last answers, newest last, for people.
    pub answers: Vec<(RequestId, Outcome)>,
}

#[derive(Clone, Debug)]
struct Open {
    seat: Seat,
    run: u32,
    promise: Option<(String, bool)>,
}

impl Operator {
    /// The answer to a request, if there is one.
    #[must_use]
    pub fn answer(&self, request: RequestId) -> Option<&Outcome> {
        self.answers.iter().rev().find(|(id, _)| *id == request).map(|(_, outcome)| outcome)
    }
}

impl<R: Rules> World<R> {
    pub(crate) fn operator_heals(&mut self) {
        self.operator.earlier = self.operator.next;
    }

    /// Whether a daemon still holds a command from before the healing: it may come true after those that tidy up.
    pub(crate) fn an_earlier_command_waits(&self) -> bool {
        let mut open = self.operator.open.iter();
        open.any(|(request, open)| {
            request.0 <= self.operator.earlier && self.machines[open.seat].runs(open.run)
        })
    }

    pub(crate) fn operator_acts(&mut self, act: usize) {
        if self.healed {
            return;
        }
        if let Some(act) = self.plan.acts.get(act).cloned()
            && !self.gives_up_what_the_other_decides(act.seat, &act.wish)
        {
            self.wish(act.seat, act.wish);
        }
    }

    /// H23: a word given where nobody votes. Whoever votes goes on alone when it is back behind a cut link: histories part,
    /// which is what it costs. These operators accept no loss; directed plans show what comes of it.
    fn gives_up_what_the_other_decides(&self, seat: Seat, wish: &Wish) -> bool {
        let machine = &self.machines[seat];
        let record = &machine.disk.durable().record;
        matches!(wish, Wish::ConfirmDead { .. })
            && record.as_ref().is_some_and(|record| !record.voters.contains_key(&machine.id))
    }

    /// Gives a command to the daemon of a machine; `None` where there is no daemon to talk to.
    pub(crate) fn wish(&mut self, seat: Seat, wish: Wish) -> Option<RequestId> {
        self.machines[seat].daemon.as_ref()?;
        if let Wish::ConfirmDead { node } = wish {
            // H23: the word may cost what only the dead one knew; this operator accepts no loss.
            let stamp = |seat: Seat| self.machines[seat].disk.durable().stamp();
            if self.machines[node].powered || stamp(node) > stamp(seat) {
                return None;
            }
            self.ghost.confirmed.insert(node);
        }
        if let Wish::AcceptLoss { node } = wish {
            if self.machines[node].powered {
                return None;
            }
            let stored = self.machines[seat].disk.durable();
            // The word lets its side go on in an epoch far from all others.
            let until = Epoch(stored.epoch.0 + FAR_EPOCHS);
            self.ghost.lost =
                Some(Lost { node, met: false, apart: false, after: stored.stamp(), until });
            self.ghost.confirmed.insert(node);
            // What only the other one knew is promised no more.
            self.ghost.promises.clear();
        }
        self.operator.next += 1;
        let request = RequestId(self.operator.next);
        let Some(command) = self.command(wish) else {
            self.give(seat, Input::StatusWanted { request });
            return Some(request);
        };
        let promise = promise(&command);
        if let Some((key, value)) = &promise {
            let entry = self.ghost.promises.entry(key.clone()).or_default();
            entry.open.insert(request, *value);
        }
        let run = self.machines[seat].run;
        self.operator.open.insert(request, Open { seat, run, promise });
        self.trace.note(&[13, seat as u64, self.now]);
        let id = self.machines[seat].id.clone();
        self.trace.line(self.now, id.as_str(), "operator", format_args!("{request}: {wish:?}"));
        self.give(seat, Input::Operator { request, command });
        Some(request)
    }

    /// What the handler of a resource tells the daemon, rather than an operator (H24): nobody is promised anything.
    pub(crate) fn handler_says(&mut self, seat: Seat, command: Command) -> Option<RequestId> {
        self.machines[seat].daemon.as_ref()?;
        self.operator.next += 1;
        let request = RequestId(self.operator.next);
        let run = self.machines[seat].run;
        self.operator.open.insert(request, Open { seat, run, promise: None });
        self.trace.note(&[14, seat as u64, self.now]);
        let id = self.machines[seat].id.clone();
        self.trace.line(self.now, id.as_str(), "handler", format_args!("{request}: {command:?}"));
        self.give(seat, Input::Operator { request, command });
        Some(request)
    }

    fn command(&self, wish: Wish) -> Option<Command> {
        let group = |number: usize| GroupId::new(self.plan.layout.groups[number].name);
        let node = |seat: Seat| NodeId::new(self.plan.layout.nodes[seat]);
        Some(match wish {
            Wish::Start { group: g } => Command::Start { group: group(g) },
            Wish::Stop { group: g } => Command::Stop { group: group(g) },
            Wish::Restart { group: g } => Command::Restart { group: group(g) },
            Wish::Migrate { group: g, to } => {
                Command::Migrate { group: group(g), to: to.map(node) }
            }
            Wish::Standby { node: n } => Command::Standby { node: node(n) },
            Wish::Online { node: n } => Command::Online { node: node(n) },
            Wish::Maintenance { on } => Command::Maintenance { on, lasts: None },
            Wish::Clear => Command::Clear { group: None, node: None },
            Wish::Fence { node: n } => Command::Fence { node: node(n) },
            Wish::Apply { revision } => {
                Command::Apply { text: self.plan.layout.text_of_revision(revision), base: None }
            }
            Wish::ConfirmDead { node: n } | Wish::AcceptLoss { node: n } => {
                Command::ConfirmDead { node: node(n) }
            }
            Wish::StopCluster => Command::StopCluster,
            Wish::StartCluster => Command::StartCluster,
            Wish::Status => return None,
        })
    }

    pub(crate) fn answered(&mut self, seat: Seat, request: RequestId, outcome: Outcome) {
        let Some(open) = self.operator.open.get(&request).cloned() else { return };
        if open.seat != seat || open.run != self.machines[seat].run {
            return;
        }
        self.operator.open.remove(&request);
        let id = self.machines[seat].id.clone();
        self.trace.line(self.now, id.as_str(), "answers", format_args!("{request}: {outcome:?}"));
        if let Outcome::Done { stamp, .. } = &outcome {
            self.figures.acknowledged += 1;
            let claimed = *stamp;
            crate::observe::commit(self, seat, claimed, "an answer to an operator");
        }
        if let Some((key, value)) = open.promise
            && let Some(promise) = self.ghost.promises.get_mut(&key)
        {
            match &outcome {
                Outcome::Done { stamp, .. } => {
                    promise.open.remove(&request);
                    match &mut promise.acknowledged {
                        Some((values, since)) if since == stamp => {
                            values.insert(value);
                        }
                        Some((_, since)) if *since > *stamp => {}
                        other => *other = Some(([value].into(), *stamp)),
                    }
                }
                Outcome::Refused { .. } | Outcome::NoQuorum { .. } => {
                    promise.open.remove(&request);
                }
                // It may come true at any time.
                Outcome::Unknown { .. } => {}
            }
        }
        if self.operator.answers.len() == ANSWERS_MAX {
            self.operator.answers.remove(0);
        }
        self.operator.answers.push((request, outcome));
    }
}

/// Which lasting intent a command sets, and to what.
fn promise(command: &Command) -> Option<(String, bool)> {
    Some(match command {
        Command::Stop { group } => (format!("stopped {group}"), true),
        Command::Start { group } => (format!("stopped {group}"), false),
        Command::Standby { node } => (format!("standby {node}"), true),
        Command::Online { node } => (format!("standby {node}"), false),
        Command::StopCluster => ("cluster stopped".to_owned(), true),
        Command::StartCluster => ("cluster stopped".to_owned(), false),
        Command::Maintenance { on, lasts: None } => ("maintenance".to_owned(), *on),
        _ => return None,
    })
}

/// Answers that operators remember.
const ANSWERS_MAX: usize = 64;
/// Further than elections come, nearer than where an operator's word leads.
const FAR_EPOCHS: u64 = 5_000;
