//! How long agents take when nothing is wrong: assumed by their kind, and said in every report.

use crate::clock::{MILLI, Micros, SECOND};
use crm_core::model::{AgentClass, Resource};
use crm_core::operation::{Action, Operation};

/// A kind of agent, and the shortest and longest time of its start and stop.
struct Kind {
    names: &'static [&'static str],
    words: &'static str,
    start: (Micros, Micros),
    stop: (Micros, Micros),
}

/// First that fits. Generous: a journal is replayed, a database recovers from a crash.
const KINDS: &[Kind] = &[
    Kind {
        names: &["vip", "ipaddr", "ipaddr2", "ipsrcaddr", "sendarp"],
        words: "addresses",
        start: (20 * MILLI, 300 * MILLI),
        stop: (10 * MILLI, 200 * MILLI),
    },
    Kind {
        names: &["filesystem", "nfsserver", "exportfs"],
        words: "filesystems",
        start: (50 * MILLI, 3 * SECOND),
        stop: (50 * MILLI, 5 * SECOND),
    },
    Kind {
        names: &["drbd", "drbddisk", "lvm", "lvm-activate"],
        words: "block devices",
        start: (50 * MILLI, 3 * SECOND),
        stop: (20 * MILLI, SECOND),
    },
    Kind {
        names: &[
            "mysql",
            "mariadb",
            "galera",
            "pgsql",
            "postgresql",
            "oracle",
            "oralsnr",
            "oractl",
            "db2",
        ],
        words: "databases",
        start: (2 * SECOND, 30 * SECOND),
        stop: (SECOND, 20 * SECOND),
    },
];
const OTHER: Kind = Kind {
    names: &[],
    words: "others",
    start: (50 * MILLI, 5 * SECOND),
    stop: (50 * MILLI, 5 * SECOND),
};
const STATUS: (Micros, Micros) = (5 * MILLI, 200 * MILLI);

/// Shortest and longest time of a call that goes well; never beyond four fifths of its timeout.
#[must_use]
pub(super) fn of(resource: &Resource, action: Action) -> (Micros, Micros) {
    let kind = kind(resource);
    let ((low, high), timeout) = match action {
        Action::Status => (STATUS, resource.timeouts.status),
        Action::Start | Action::Promote => (kind.start, resource.timeouts.start),
        Action::Stop | Action::Demote => (kind.stop, resource.timeouts.stop),
    };
    let most = timeout.as_micros() / 5 * 4;
    (low.min(most), high.min(most))
}

/// [`of`] in the form that model agents ask for.
#[must_use]
pub(super) fn pace(operation: &Operation) -> (Micros, Micros) {
    of(&operation.spec, operation.action)
}

/// What was assumed, for people.
#[must_use]
pub fn assumed() -> String {
    let kinds: Vec<String> = KINDS
        .iter()
        .chain([&OTHER])
        .map(|kind| {
            let second = SECOND as f64;
            format!(
                "{} {:.2}-{}s",
                kind.words,
                kind.start.0 as f64 / second,
                kind.start.1 as f64 / second
            )
        })
        .collect();
    format!("starts take {}, never more than 4/5 of their timeout", kinds.join(", "))
}

/// Whether the kernel tells at once when this resource dies; else the next `status` finds it.
#[must_use]
pub(super) fn is_told(resource: &Resource) -> bool {
    resource.agent.class == AgentClass::Own
}

fn kind(resource: &Resource) -> &'static Kind {
    let name = resource.agent.name.to_lowercase();
    let name = name.strip_suffix(".service").unwrap_or(&name);
    KINDS.iter().find(|kind| kind.names.contains(&name)).unwrap_or(&OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::time::Span;

    #[test]
    fn a_call_that_goes_well_ends_before_its_timeout() {
        let mut resource = crate::layouts::sample_resource();
        resource.agent.name = "mysql".to_owned();
        resource.timeouts.start = Span::secs(10);
        assert_eq!(of(&resource, Action::Start), (2 * SECOND, 8 * SECOND));
        resource.timeouts.start = Span::secs(120);
        assert_eq!(of(&resource, Action::Start), (2 * SECOND, 30 * SECOND));
    }
}
