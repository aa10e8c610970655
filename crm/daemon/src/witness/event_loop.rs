//! One thread for all clusters. Whatever may wait for a disk has threads of its own.

use super::keys::Changed;
use super::network::Network;
use super::seat::{Said, Seat};
use crate::clock;
use crate::control::Question;
use crate::events::EventLog;
use crate::happening::{Happening, Tell};
use crate::systemd::{self, ServiceWatchdog};
use crate::timer::Timer;
use crm_api::{Problem, Refusal, Reply, Request, VersionReport, WitnessReport};
use crm_core::event::Event;
use crm_core::id::{Incarnation, NodeId};
use crm_core::model::WITNESS;
use crm_core::time::{Span, Time};
use std::cell::RefCell;
use std::rc::Rc;
use std::task::Poll;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

/// Longest sleep.
const IDLE: Span = Span::secs(60);

/// The witness.
pub(super) struct Witness {
    pub(super) seats: Vec<Seat>,
    pub(super) network: Network,
    pub(super) events: Rc<RefCell<EventLog>>,
    pub(super) run: Incarnation,
    pub(super) started: Time,
}

/// What the loop listens to beside the network.
pub(super) struct Ears {
    pub(super) tell: Tell,
    pub(super) inbox: UnboundedReceiver<Happening>,
    pub(super) keys: UnboundedReceiver<Changed>,
}

impl Witness {
    /// Until a signal or an operator ends it.
    ///
    /// # Errors
    /// The kernel refuses a timer or a signal.
    pub(super) async fn run(&mut self, mut ears: Ears) -> Result<(), String> {
        let caught =
            |kind| signal(kind).map_err(|error| format!("signals cannot be caught: {error}"));
        let (mut term, mut int) =
            (caught(SignalKind::terminate())?, caught(SignalKind::interrupt())?);
        let mut timer = Timer::new().map_err(|error| format!("no timer: {error}"))?;
        let mut service_watchdog = ServiceWatchdog::new();
        systemd::ready(&format!("{} clusters", self.seats.len()));
        loop {
            let now = clock::now();
            service_watchdog.feed(now);
            self.wake(now);
            let due = self.next_due(now, service_watchdog.deadline());
            timer.arm(due).map_err(|error| format!("the timer failed: {error}"))?;
            tokio::select! {
                () = timer.due() => {}
                () = self.network.readable() => self.take_packets(),
                (seat, said) = next(&mut self.seats) => self.take(seat, said),
                Some((seat, keys)) = ears.keys.recv() => {
                    if let Some(seat) = self.seats.get_mut(seat) {
                        let events = seat.keys_changed(clock::now(), keys);
                        self.record(events);
                    }
                }
                Some(happening) = ears.inbox.recv() => {
                    if self.heard(happening) {
                        break;
                    }
                }
                _ = term.recv() => break,
                _ = int.recv() => break,
            }
        }
        systemd::stopping("ending");
        let now = clock::now();
        for seat in &mut self.seats {
            seat.end(now, &mut self.network);
        }
        drop(ears.tell);
        Ok(())
    }

    fn wake(&mut self, now: Time) {
        if self.network.deadline().is_some_and(|at| at <= now) {
            self.network.bind_missing(now);
        }
        let mut events = Vec::new();
        for seat in self.seats.iter_mut().filter(|seat| seat.deadline().is_some_and(|at| at <= now))
        {
            events.extend(seat.wake(now, &mut self.network));
        }
        self.record(events);
    }

    fn next_due(&self, now: Time, watchdog: Option<Time>) -> Time {
        let seats = self.seats.iter().filter_map(Seat::deadline);
        let all = seats.chain(self.network.deadline()).chain(watchdog);
        all.fold(now + IDLE, Time::min)
    }

    fn take_packets(&mut self) {
        for received in self.network.receive() {
            let now = clock::now();
            match self.seats.iter_mut().find(|seat| seat.id == received.cluster) {
                Some(seat) => {
                    let (from, bytes) = (received.from, &received.bytes);
                    let events = seat.received(now, from, bytes, &mut self.network);
                    self.record(events);
                }
                None => self.network.count_strange(),
            }
        }
    }

    fn take(&mut self, seat: usize, said: Said) {
        if let Some(seat) = self.seats.get_mut(seat) {
            let events = seat.happened(clock::now(), said, &mut self.network);
            self.record(events);
        }
    }

    /// Whether an operator ends it.
    fn heard(&mut self, happening: Happening) -> bool {
        match happening {
            Happening::Event(event) => self.record(vec![event]),
            Happening::Question(question) => return self.question(question),
            _ => {}
        }
        false
    }

    fn question(&mut self, question: Question) -> bool {
        let now = clock::now();
        let (reply, end) = match question.request {
            Request::Witness => (Reply::Witness(self.report(now)), false),
            Request::Keep | Request::Leave => {
                let text = format!("asked by {}: this witness ends", question.who);
                self.record(vec![Event::info("ending", text)]);
                (Reply::Ending, true)
            }
            // The connection answers this one itself.
            Request::Events { .. } => (Reply::End, false),
            Request::Version => (
                Reply::Version(VersionReport {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    node: NodeId::new(WITNESS),
                    incarnation: self.run,
                    pid: std::process::id(),
                    uptime_secs: now.since(self.started).as_micros() / 1_000_000,
                    heap_bytes: crate::sys::heap_in_use(),
                }),
                false,
            ),
            _ => (
                Reply::Problem(Problem {
                    kind: Refusal::BadRequest,
                    reason:
                        "this is the socket of a witness, which has a vote and nothing to operate"
                            .to_owned(),
                    hint: "ask a node of the cluster, or `crm witness status` here".to_owned(),
                }),
                false,
            ),
        };
        let _ = question.answer.send(reply);
        end
    }

    fn report(&self, now: Time) -> WitnessReport {
        WitnessReport {
            sockets: self.network.report(),
            strange: self.network.strange(),
            clusters: self.seats.iter().map(|seat| seat.report(now)).collect(),
        }
    }

    fn record(&self, events: Vec<Event>) {
        for event in events {
            self.events.borrow_mut().record(event);
        }
    }
}

/// The next thing that a voter's own threads have to say.
async fn next(seats: &mut [Seat]) -> (usize, Said) {
    std::future::poll_fn(|context| {
        for (number, seat) in seats.iter_mut().enumerate() {
            if let Poll::Ready(Some(said)) = seat.poll_inbox(context) {
                return Poll::Ready((number, said));
            }
        }
        Poll::Pending
    })
    .await
}
