//! How long an action may take: the agent must answer before the daemon ends it.

use std::time::{Duration, Instant};

/// The moment by which the agent has to have answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// `CRM_TIMEOUT_MS` from now, less what it takes to say why nothing came of it.
    pub(crate) fn from_timeout(timeout: Duration) -> Deadline {
        let reserve = (timeout / 10).min(MOST_RESERVE);
        Deadline::after(timeout.saturating_sub(reserve))
    }

    pub(crate) fn after(span: Duration) -> Deadline {
        let now = Instant::now();
        // A duration that no clock can hold is as good as a day.
        Deadline(now.checked_add(span).unwrap_or(now + Duration::from_secs(86_400)))
    }

    pub(crate) fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub(crate) fn passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// The earlier of this deadline and `span` from now.
    pub(crate) fn at_most(self, span: Duration) -> Deadline {
        Deadline(self.0.min(Deadline::after(span).0))
    }

    /// For one question to a server: a quarter of what is left, but [`QUESTION`] at least. Who gives `status` more time so
    /// gives a busy server more time to answer.
    pub(crate) fn for_a_question(self) -> Deadline {
        self.at_most(QUESTION.max(self.remaining() / 4))
    }

    /// The later of this deadline and `span` from now.
    pub(crate) fn at_least(self, span: Duration) -> Deadline {
        Deadline(self.0.max(Deadline::after(span).0))
    }
}

/// A wait that begins short, so that the usual case costs nothing, and grows.
#[derive(Debug)]
pub(crate) struct Pause {
    next: Duration,
    longest: Duration,
}

impl Pause {
    pub(crate) fn new() -> Pause {
        Pause { next: Duration::from_millis(1), longest: LONGEST_PAUSE }
    }

    /// For tries that leave a line in the kernel's log each time.
    pub(crate) fn slow() -> Pause {
        Pause { next: Duration::from_millis(10), longest: LONGEST_SLOW_PAUSE }
    }

    /// Sleeps a little, never past the deadline; false if the deadline has passed.
    pub(crate) fn sleep(&mut self, deadline: Deadline) -> bool {
        let remaining = deadline.remaining();
        if remaining.is_zero() {
            return false;
        }
        std::thread::sleep(self.next.min(remaining));
        self.next = (self.next * 3 / 2).min(self.longest);
        true
    }
}

/// Time enough for a question that is asked again at once if nobody answers.
pub(crate) const QUESTION: Duration = Duration::from_secs(5);
const MOST_RESERVE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_SLOW_PAUSE: Duration = Duration::from_millis(500);
