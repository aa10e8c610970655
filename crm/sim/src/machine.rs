//! One machine: power, clock, disk, resources, and a daemon that may or may not live on it.

use crate::agents::Agents;
use crate::clock::{Clock, Micros};
use crate::disk::Disk;
use crate::envelope::Envelope;
use crate::pause::Pause;
use crate::queue::Datagram;
use crm_core::id::{Incarnation, NodeId};
use crm_core::rules::Rules;
use crm_core::{Input, Node};
use std::collections::VecDeque;

/// What stands between a machine's plug and its daemon.
#[derive(Clone)]
pub struct Machine<R: Rules> {
    pub id: NodeId,
    pub powered: bool,
    /// Counts boots: what belongs to an earlier one is void.
    pub boot: u32,
    pub clock: Clock,
    pub disk: Disk,
    pub agents: Agents,
    pub daemon: Option<Daemon<R>>,
    /// Counts daemons: what belongs to an earlier one is void.
    pub run: u32,
    /// While set, the daemon gets nothing; its clock goes on.
    pub frozen_until: Option<Micros>,
    /// It has just thawed, and what it says now was decided before it froze.
    pub says_the_rest: bool,
    pub backlog: VecDeque<Mail>,
    /// The whole machine stands still.
    pub pause: Option<Pause>,
    /// When the kernel resets the machine unless it is fed before.
    pub watchdog: Option<Micros>,
    /// Comes back at once after a power cut (fault).
    pub boots_fast: bool,
    /// Never comes back (the plan's last blow).
    pub lost: bool,
    /// A daemon ran since it booted.
    pub daemon_ran: bool,
    /// The daemon ended on purpose and is not restarted before things heal.
    pub daemon_ended: bool,
}

/// One run of `crmd`.
#[derive(Clone)]
pub struct Daemon<R: Rules> {
    pub node: Node<R>,
    pub incarnation: Incarnation,
    pub envelope: Envelope,
    /// When the next wake is already in the queue.
    pub wakes_at: Option<Micros>,
    /// A write failed: it must answer nothing more (AS1).
    pub write_failed: bool,
    /// Told to end.
    pub ending: bool,
    /// It opened the watchdog.
    pub watchdog_open: bool,
    /// Inputs that its own duties caused, given after them.
    pub later: VecDeque<Input>,
}

/// What waits for a daemon that is frozen.
#[derive(Clone, Debug)]
pub enum Mail {
    Input(Input),
    Datagram(Datagram),
}

impl<R: Rules> Machine<R> {
    #[must_use]
    pub fn new(id: NodeId, disk: Disk) -> Machine<R> {
        Machine {
            id,
            powered: false,
            boot: 0,
            clock: Clock::new(0, 0, 0),
            disk,
            agents: Agents::default(),
            daemon: None,
            run: 0,
            frozen_until: None,
            says_the_rest: false,
            backlog: VecDeque::new(),
            pause: None,
            watchdog: None,
            boots_fast: false,
            lost: false,
            daemon_ran: false,
            daemon_ended: false,
        }
    }

    /// Whether this machine has a daemon of this run that can be given something.
    #[must_use]
    pub fn runs(&self, run: u32) -> bool {
        self.run == run && self.daemon.is_some()
    }

    /// Keeps something for a frozen daemon. A socket buffer is finite.
    pub fn keep(&mut self, mail: Mail) {
        let datagrams = self.backlog.len();
        if matches!(mail, Mail::Input(_)) || datagrams < BACKLOG_MAX {
            self.backlog.push_back(mail);
        }
    }
}

/// Datagrams that a socket holds for a daemon that does not read.
const BACKLOG_MAX: usize = 400;
