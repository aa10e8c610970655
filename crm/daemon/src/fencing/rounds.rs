//! Asks every device by and by whether it is reachable and knows its machine, so that one that is
//! not is an alarm before it is needed. Nothing is powered off by it.

use super::device;
use crate::executor::Surroundings;
use crm_api::{DeviceCheck, DevicesReport};
use crm_core::event::Event;
use crm_core::id::NodeId;
use crm_core::model::{Cluster, FenceDevice, Fencing};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How often devices are asked. A controller may serve one session only, so it is not often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) first: Duration,
    pub(crate) between: Duration,
    /// After a failure; the second one in a row is the alarm.
    pub(crate) again: Duration,
}

impl Pace {
    pub(crate) const EARNEST: Pace = Pace {
        first: Duration::from_secs(10),
        between: Duration::from_secs(300),
        again: Duration::from_secs(30),
    };
}

/// Longest that an operator waits for one device.
const DRILL_MAX: Duration = Duration::from_secs(30);

/// What is known of all devices but the own.
#[derive(Debug)]
pub(super) struct Rounds {
    surroundings: Rc<Surroundings>,
    pace: Pace,
    known: Rc<RefCell<Vec<Known>>>,
    /// The rounds of the configuration in force end when this is dropped or replaced; a look that is
    /// under way is ended in order first.
    task: Option<oneshot::Sender<()>>,
    /// Ends the look that is under way.
    interrupt: Rc<RefCell<Option<oneshot::Sender<()>>>>,
    /// Real requests that are open: the device is theirs.
    pub(super) busy: Rc<std::cell::Cell<usize>>,
}

#[derive(Clone, Debug)]
struct Known {
    node: NodeId,
    level: u32,
    device: FenceDevice,
    looked: Option<Instant>,
    proved: Option<Instant>,
    on: Option<bool>,
    problem: Option<String>,
    failures: u32,
    due: Instant,
}

impl Rounds {
    pub(super) fn new(surroundings: Rc<Surroundings>, pace: Pace) -> Rounds {
        Rounds {
            surroundings,
            pace,
            known: Rc::default(),
            task: None,
            interrupt: Rc::default(),
            busy: Rc::default(),
        }
    }

    /// These devices count from now on; what is known of those that stay is kept.
    pub(super) fn configure(&mut self, own: &NodeId, cluster: &Cluster) {
        let due = Instant::now() + self.pace.first;
        let mut known = Vec::new();
        if let Fencing::Devices { devices, .. } = &cluster.fencing {
            for (node, levels) in devices.iter().filter(|(node, _)| *node != own) {
                for (level, device) in (1..).zip(levels) {
                    let before = self.known.borrow();
                    let same = before
                        .iter()
                        .find(|k| (&k.node, k.level, &k.device) == (node, level, device));
                    known.push(same.cloned().unwrap_or_else(|| Known {
                        node: node.clone(),
                        level,
                        device: device.clone(),
                        looked: None,
                        proved: None,
                        on: None,
                        problem: None,
                        failures: 0,
                        due,
                    }));
                }
            }
        }
        *self.known.borrow_mut() = known;
        self.stop();
        if !self.known.borrow().is_empty() {
            let (surroundings, known, pace) =
                (self.surroundings.clone(), self.known.clone(), self.pace);
            let (interrupt, busy) = (self.interrupt.clone(), self.busy.clone());
            let (task, mut ended) = oneshot::channel();
            self.task = Some(task);
            tokio::task::spawn_local(async move {
                while let Some(one) = next_due(&known) {
                    tokio::select! {
                        _ = &mut ended => return,
                        () = tokio::time::sleep_until(one.due) => {}
                    }
                    ask(&surroundings, &known, pace, &one, &interrupt, &busy).await;
                }
            });
        }
    }

    fn stop(&mut self) {
        self.interrupted();
        self.task = None;
    }

    /// A real request comes: a look may not stand in its way.
    pub(super) fn interrupted(&self) {
        if let Some(interrupt) = self.interrupt.borrow_mut().take() {
            let _ = interrupt.send(());
        }
    }

    pub(super) fn report(&self) -> DevicesReport {
        let age = |at: Option<Instant>| at.map(|at| at.elapsed().as_secs());
        let check = |known: &Known| DeviceCheck {
            node: known.node.clone(),
            level: known.level,
            agent: known.device.agent.clone(),
            checkable: device::can_be_asked(&known.device),
            looked_secs: age(known.looked),
            proved_secs: age(known.proved),
            on: known.on,
            problem: known.problem.clone(),
        };
        DevicesReport { devices: self.known.borrow().iter().map(check).collect() }
    }

    /// Asks the devices of one node now, in order, and after a power-off switches it on again by
    /// the first one that can.
    pub(super) fn drill(&self, node: NodeId, on: bool, done: impl FnOnce() + 'static) {
        let (surroundings, known, pace) =
            (self.surroundings.clone(), self.known.clone(), self.pace);
        self.interrupted();
        tokio::task::spawn_local(async move {
            let all: Vec<Known> =
                known.borrow().iter().filter(|known| known.node == node).cloned().collect();
            let mut wanted = on;
            for one in all.into_iter().filter(|one| device::can_be_asked(&one.device)) {
                let (_keep, cancelled) = oneshot::channel();
                let limit = duration(&one.device).min(DRILL_MAX);
                let (target, device) = (&one.node, &one.device);
                let answer = if wanted {
                    device::power_on(&surroundings, target, device, limit, cancelled).await
                } else {
                    device::look(&surroundings, target, device, limit, cancelled).await
                };
                wanted &= answer.is_err();
                learn(&surroundings, &known, pace, &one, answer, true);
            }
            done();
        });
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        self.stop();
    }
}

fn duration(device: &FenceDevice) -> Duration {
    Duration::from_micros(device.timeout.as_micros())
}

/// The device that is asked next, of those that can be asked.
fn next_due(known: &RefCell<Vec<Known>>) -> Option<Known> {
    let known = known.borrow();
    let asked = known.iter().filter(|known| device::can_be_asked(&known.device));
    asked.min_by_key(|known| known.due).cloned()
}

async fn ask(
    surroundings: &Surroundings,
    known: &RefCell<Vec<Known>>,
    pace: Pace,
    one: &Known,
    interrupt: &RefCell<Option<oneshot::Sender<()>>>,
    busy: &std::cell::Cell<usize>,
) {
    if busy.get() > 0 {
        postpone(known, one, pace.again);
        return;
    }
    let (stop, cancelled) = oneshot::channel();
    *interrupt.borrow_mut() = Some(stop);
    let limit = duration(&one.device);
    let answer = device::look(surroundings, &one.node, &one.device, limit, cancelled).await;
    if interrupt.borrow_mut().take().is_none() {
        // It was interrupted: that says nothing of the device.
        postpone(known, one, pace.again);
        return;
    }
    learn(surroundings, known, pace, one, answer, false);
}

fn with(known: &RefCell<Vec<Known>>, one: &Known, change: impl FnOnce(&mut Known)) {
    let mut known = known.borrow_mut();
    let found = known
        .iter_mut()
        .find(|k| (&k.node, k.level, &k.device) == (&one.node, one.level, &one.device));
    if let Some(found) = found {
        change(found);
    }
}

fn postpone(known: &RefCell<Vec<Known>>, one: &Known, by: Duration) {
    with(known, one, |known| known.due = Instant::now() + by);
}

/// Keeps the answer, and says what changed: trouble at the second failure in a row, and its end.
fn learn(
    surroundings: &Surroundings,
    known: &RefCell<Vec<Known>>,
    pace: Pace,
    one: &Known,
    answer: Result<bool, String>,
    at_once: bool,
) {
    let now = Instant::now();
    let what = format!("fencing device {} of node {} ({})", one.level, one.node, one.device.agent);
    let mut said = None;
    with(known, one, |known| {
        known.looked = Some(now);
        match answer {
            Ok(on) => {
                if known.problem.take().is_some() {
                    let text = format!("{what} answers again");
                    said = Some(Event::info("fencing-answers", text));
                }
                (known.proved, known.on, known.failures) = (Some(now), Some(on), 0);
                known.due = now + pace.between;
            }
            Err(problem) => {
                known.failures += 1;
                known.due = now + pace.again;
                if (known.failures > 1 || at_once) && known.problem.is_none() {
                    let text = format!(
                        "{what} cannot be used from here: {problem}. While that lasts it proves node {} dead to nobody; after repair: `crm fence-drill {}`",
                        one.node, one.node
                    );
                    said = Some(Event::error("fencing-unreachable", text));
                }
                if known.failures > 1 || at_once {
                    known.problem = Some(problem);
                }
            }
        }
    });
    if let Some(event) = said {
        surroundings.tell.event(event.node(&one.node));
    }
}
