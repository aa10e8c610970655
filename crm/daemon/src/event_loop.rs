//! The event loop: one thread, one core, and nothing in it that waits.
//!
//! Each turn takes a bounded number of things of each kind, so that no flood (packets, clients,
//! chatty agents) keeps the others or the timers waiting. Real-time priority would make a loop that
//! spins a danger; it sleeps whenever nothing is due.

use crate::bans::OwnBans;
use crate::clock;
use crate::control::Shared;
use crate::duties::Flow;
use crate::events::EventLog;
use crate::executor::{Executor, Reaper, Surroundings};
use crate::fencing::Fencing;
use crate::files::Files;
use crate::happening::{Happening, Tell};
use crate::links::{Links, Unconfigured};
use crate::questions::Questions;
use crate::store::Writer;
use crate::systemd::{self, ServiceWatchdog};
use crate::timer::Timer;
use crate::timing::mark;
use crate::watchdog::Watchdog;
use crate::watches::Watches;
use crm_core::event::Event;
use crm_core::id::{Incarnation, NodeId};
use crm_core::operation::{Action, OpOutcome};
use crm_core::time::{Span, Time};
use crm_core::{Input, Node, Shutdown};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

/// Happenings taken in one turn.
const BATCH: usize = 64;
/// Between two sweeps of cgroups whose services ended.
const SWEEP: Span = Span::secs(60);
/// A core that was told to keep everything halts at once; if not, the shell ends anyway.
const KEEP_PATIENCE: Span = Span::secs(5);
/// A core that leaves has its own limit (the longest stop and some); this is above every one.
const LEAVE_PATIENCE: Span = Span::secs(900);

/// The outside of the daemon.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) links: Links,
    pub(crate) writer: Writer,
    pub(crate) files: Files,
    pub(crate) executor: Executor,
    pub(crate) fencing: Fencing,
    pub(crate) watches: Watches,
    pub(crate) watchdog: Watchdog,
    pub(crate) reaper: Reaper,
    pub(crate) bans: OwnBans,
    pub(crate) shared: Rc<Shared>,
    pub(crate) events: Rc<RefCell<EventLog>>,
    pub(crate) tell: Tell,
    pub(crate) surroundings: Rc<Surroundings>,
}

/// The core and everything around it.
pub(crate) struct Daemon {
    pub(crate) node: Node,
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) parts: Parts,
    pub(crate) unconfigured: Unconfigured,
    pub(crate) started: Time,
    pub(crate) questions: Questions,
    /// In force.
    pub(crate) config: Option<Arc<str>>,
    pub(crate) ends_by: Option<Time>,
    /// How it was last told to end.
    pub(crate) asked: Option<Shutdown>,
    /// Why the last question to the tie-break address could not be asked.
    pub(crate) ping_problem: Rc<RefCell<Option<String>>>,
    service_watchdog: ServiceWatchdog,
    next_sweep: Time,
}

/// Signals and what they mean.
struct Signals {
    child: Signal,
    leave: [Signal; 2],
    keep: [Signal; 2],
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            child: signal(SignalKind::child())?,
            leave: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            keep: [signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?],
        })
    }
}

async fn either([first, second]: &mut [Signal; 2]) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}

impl Daemon {
    pub(crate) fn new(
        node: Node,
        id: NodeId,
        incarnation: Incarnation,
        parts: Parts,
        unconfigured: Unconfigured,
    ) -> Daemon {
        let started = clock::now();
        Daemon {
            node,
            id,
            incarnation,
            parts,
            unconfigured,
            started,
            questions: Questions::default(),
            config: None,
            ends_by: None,
            asked: None,
            ping_problem: Rc::default(),
            service_watchdog: ServiceWatchdog::new(),
            next_sweep: started + SWEEP,
        }
    }

    /// Until the core halts.
    ///
    /// # Errors
    /// The core's reason, if it halts because something failed.
    pub(crate) async fn run(
        &mut self,
        mut inbox: UnboundedReceiver<Happening>,
    ) -> Result<(), String> {
        let mut signals =
            Signals::new().map_err(|error| format!("signals cannot be caught: {error}"))?;
        let mut timer = Timer::new().map_err(|error| format!("no timer: {error}"))?;
        let text = format!("node {} starts, incarnation {}", self.id, self.incarnation);
        self.record(Event::info("started", text));
        systemd::ready("running");
        // What the core has to say before anything happened.
        if self.input(Input::Wake)? == Flow::End {
            return Ok(());
        }
        loop {
            if self.do_what_is_due()? == Flow::End {
                return Ok(());
            }
            timer.arm(self.next_due()).map_err(|error| format!("the timer failed: {error}"))?;
            let flow = tokio::select! {
                () = timer.due() => Flow::Go,
                Some(happening) = inbox.recv() => self.take_batch(happening, &mut inbox)?,
                () = self.parts.links.readable() => self.take_packets()?,
                _ = signals.child.recv() => {
                    self.parts.reaper.reap();
                    Flow::Go
                }
                () = either(&mut signals.leave) => self.end(Shutdown::Leave, "a signal")?,
                () = either(&mut signals.keep) => self.end(Shutdown::Keep, "a signal")?,
            };
            if flow == Flow::End {
                return Ok(());
            }
        }
    }

    /// Timers: the core's and the shell's.
    fn do_what_is_due(&mut self) -> Result<Flow, String> {
        let now = clock::now();
        self.service_watchdog.feed(now);
        if self.parts.links.deadline().is_some_and(|due| due <= now) {
            self.parts.links.bind_missing(now);
        }
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            if let Some(cgroups) = &self.parts.surroundings.cgroups {
                cgroups.sweep();
            }
        }
        let (node, id) = (&self.node, &self.id);
        self.parts.bans.look(now, || {
            let groups = node.status(now).groups.into_iter();
            groups.filter(|group| group.bans.contains_key(id)).map(|group| group.id).collect()
        });
        self.questions.expire(now, &self.node);
        if self.ends_by.is_some_and(|limit| now >= limit) {
            return Err("the core did not end in time; ended without it".to_owned());
        }
        if self.node.deadline().is_some_and(|due| due <= now) {
            return self.input(Input::Wake);
        }
        Ok(Flow::Go)
    }

    fn next_due(&self) -> Time {
        let deadlines = [
            self.node.deadline(),
            self.service_watchdog.deadline(),
            self.parts.links.deadline(),
            self.questions.deadline(),
            self.ends_by,
        ];
        let own = self.next_sweep.min(self.parts.bans.deadline());
        deadlines.into_iter().flatten().fold(own, Time::min)
    }

    fn take_batch(
        &mut self,
        first: Happening,
        inbox: &mut UnboundedReceiver<Happening>,
    ) -> Result<Flow, String> {
        let mut next = Some(first);
        for _ in 0..BATCH {
            let Some(happening) = next else { break };
            if self.take(happening)? == Flow::End {
                return Ok(Flow::End);
            }
            next = inbox.try_recv().ok();
        }
        // The last one was taken from the queue already.
        match next {
            Some(happening) => self.take(happening),
            None => Ok(Flow::Go),
        }
    }

    fn take(&mut self, happening: Happening) -> Result<Flow, String> {
        match happening {
            Happening::Input(input) => {
                if let Input::Written { write } = &input {
                    mark(format_args!("write {write} is on the disk"));
                }
                return self.input(input);
            }
            Happening::Finished { operation, result, watches } => {
                // What does not run may be watched too: a candidate's copy of the data. The core
                // has the watches taken away where that is of no use.
                let seen = matches!(
                    result.outcome,
                    OpOutcome::Done | OpOutcome::RunningPromoted | OpOutcome::NotRunning
                );
                if seen && operation.action != Action::Stop && !watches.is_empty() {
                    let (group, resource) = (&operation.group, &operation.resource);
                    self.parts.watches.replace(group, resource, watches);
                }
                let (action, resource) = (operation.action.as_str(), &operation.resource);
                mark(format_args!("{action} of {resource} is reported"));
                return self.input(Input::Finished { op: operation.op, result });
            }
            Happening::Changed { group, resource, what } => {
                return self.input(Input::Changed { group, resource, what });
            }
            Happening::Event(event) => self.record(event),
            Happening::Keys(keys) => {
                let event = match self.parts.links.replace_keys(*keys) {
                    Ok(()) => Event::info("keys-changed", "the key file was read again"),
                    Err(problem) => Event::error("keys-refused", problem),
                };
                self.record(event);
            }
            Happening::Question(question) => return self.question(question),
        }
        Ok(Flow::Go)
    }

    fn take_packets(&mut self) -> Result<Flow, String> {
        let now = clock::now();
        for input in self.parts.links.receive(now) {
            if self.input(input)? == Flow::End {
                return Ok(Flow::End);
            }
        }
        Ok(Flow::Go)
    }

    /// Tells the core to end.
    pub(crate) fn end(&mut self, how: Shutdown, by: &str) -> Result<Flow, String> {
        let (text, patience) = match how {
            Shutdown::Leave => ("leaves: its groups move or stop", LEAVE_PATIENCE),
            Shutdown::Keep => ("ends and keeps everything running", KEEP_PATIENCE),
        };
        self.record(Event::info("ending", format!("asked by {by}: this node {text}")));
        systemd::stopping(text);
        self.asked = Some(how);
        let limit = clock::now() + patience;
        self.ends_by = Some(self.ends_by.map_or(limit, |earlier| earlier.min(limit)));
        self.input(Input::Shutdown { how })
    }

    /// One input, and everything that follows from it.
    pub(crate) fn input(&mut self, input: Input) -> Result<Flow, String> {
        self.node.handle(clock::now(), input);
        self.carry_out()
    }

    pub(crate) fn record(&self, event: Event) {
        self.parts.events.borrow_mut().record(event);
    }
}
