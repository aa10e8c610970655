//! One cluster of a witness: a voter that runs, or the reason why none does and when it is tried again.
//! What is wrong with one cluster's files never stops another's vote.

use super::network::Network;
use super::voter::{Place, Voter, Wish, state_file};
use crate::happening::Happening;
use crm_api::WitnessCluster;
use crm_core::event::{Event, Severity};
use crm_core::time::{Span, Time};
use crm_core::{Input, Shutdown};
use crm_wire::{AuthKeys, ClusterId};
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// Between two tries to start a voter whose files are not right, or whose disk failed.
const RETRY: Span = Span::secs(10);

pub(super) struct Seat {
    pub(super) id: ClusterId,
    place: Place,
    holds: Holds,
    /// Told once, not at every try.
    problem: Option<String>,
    /// Of a file that is wrong while the voter goes on with what it has.
    key_problem: Option<String>,
}

enum Holds {
    Voter(Box<Voter>),
    /// Nobody votes until this moment.
    Nobody(Time),
}

impl Seat {
    pub(super) fn new(now: Time, place: Place) -> Seat {
        Seat {
            id: ClusterId::of(&place.cluster),
            place,
            holds: Holds::Nobody(now),
            problem: None,
            key_problem: None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match &self.holds {
            Holds::Voter(voter) => voter.deadline(),
            Holds::Nobody(until) => Some(*until),
        }
    }

    /// What is due: the core's timers, or another try to start it.
    pub(super) fn wake(&mut self, now: Time, network: &mut Network) -> Vec<Event> {
        match &self.holds {
            Holds::Voter(voter) if voter.deadline().is_some_and(|at| at <= now) => {
                self.input(now, Input::Wake, network)
            }
            Holds::Nobody(at) if *at <= now => self.start(now, network),
            _ => Vec::new(),
        }
    }

    fn start(&mut self, now: Time, network: &mut Network) -> Vec<Event> {
        match Voter::start(now, &self.place) {
            Ok((voter, events)) => {
                self.holds = Holds::Voter(Box::new(voter));
                let mut events: Vec<Event> =
                    events.into_iter().map(|event| self.of_cluster(event)).collect();
                events.extend(self.input(now, Input::Wake, network));
                events
            }
            Err(problem) => self.fail(now, problem),
        }
    }

    fn fail(&mut self, now: Time, problem: String) -> Vec<Event> {
        self.holds = Holds::Nobody(now + RETRY);
        if self.problem.as_ref() == Some(&problem) {
            return Vec::new();
        }
        let event = Event::error("not-voting", problem.replace("\nhint: ", "; "));
        self.problem = Some(problem);
        vec![self.of_cluster(event)]
    }

    pub(super) fn received(
        &mut self,
        now: Time,
        from: SocketAddr,
        bytes: &[u8],
        network: &mut Network,
    ) -> Vec<Event> {
        let Holds::Voter(voter) = &mut self.holds else { return Vec::new() };
        match voter.open(now, from, bytes) {
            Some(input) => self.input(now, input, network),
            None => Vec::new(),
        }
    }

    fn input(&mut self, now: Time, input: Input, network: &mut Network) -> Vec<Event> {
        let Holds::Voter(voter) = &mut self.holds else { return Vec::new() };
        let wishes = voter.input(now, input, network);
        let mut events = Vec::new();
        for wish in wishes {
            match wish {
                Wish::Event(event) => events.push(self.of_cluster(event)),
                // Another run reads the store when the writer of this one has done with it, by its lock (AS1).
                Wish::Ended { reason } => events.extend(self.fail(now, reason)),
            }
        }
        events
    }

    pub(super) fn poll_inbox(&mut self, context: &mut Context<'_>) -> Poll<Option<Happening>> {
        match &mut self.holds {
            Holds::Voter(voter) => voter.poll_inbox(context),
            Holds::Nobody(_) => Poll::Pending,
        }
    }

    pub(super) fn happened(
        &mut self,
        now: Time,
        happening: Happening,
        network: &mut Network,
    ) -> Vec<Event> {
        match happening {
            Happening::Input(input) => {
                let mut events = Vec::new();
                // Only a write that succeeded shows that nothing is wrong any more.
                if matches!(input, Input::Written { .. }) && self.problem.take().is_some() {
                    events
                        .push(self.of_cluster(Event::info("recovered", "it has its voter again")));
                }
                events.extend(self.input(now, input, network));
                events
            }
            Happening::Event(event) => vec![self.of_cluster(event)],
            // Nobody else speaks to a voter.
            _ => Vec::new(),
        }
    }

    pub(super) fn keys_changed(
        &mut self,
        now: Time,
        keys: Result<Box<AuthKeys>, String>,
    ) -> Vec<Event> {
        let event = match (&mut self.holds, keys) {
            (Holds::Voter(voter), Ok(keys)) => match voter.replace_keys(*keys) {
                Ok(()) => {
                    self.key_problem = None;
                    Event::info("keys-changed", "the key file was read again")
                }
                Err(problem) => Event::error("keys-refused", problem),
            },
            (Holds::Voter(_), Err(problem)) => {
                let text =
                    format!("{}; the keys read before stay in use", problem.replace('\n', " "));
                self.key_problem = Some(text.clone());
                Event::error("keys-refused", text)
            }
            (Holds::Nobody(at), _) => {
                *at = now;
                return Vec::new();
            }
        };
        vec![self.of_cluster(event)]
    }

    /// The voter ends; nothing is told to the cluster, which loses a vote and nothing else.
    pub(super) fn end(&mut self, now: Time, network: &mut Network) {
        if let Holds::Voter(voter) = &mut self.holds {
            let _ = voter.input(now, Input::Shutdown { how: Shutdown::Keep }, network);
        }
        self.holds = Holds::Nobody(now + RETRY);
    }

    pub(super) fn report(&self, now: Time) -> WitnessCluster {
        let voter = match &self.holds {
            Holds::Voter(voter) => Some(voter),
            Holds::Nobody(_) => None,
        };
        WitnessCluster {
            cluster: self.place.cluster.clone(),
            problem: self.problem.clone().or_else(|| self.key_problem.clone()),
            state_file: state_file(&self.place.state).display().to_string(),
            store: voter.map(|voter| voter.store()),
            status: voter.map(|voter| Box::new(voter.status(now))),
            rejected: voter.map(|voter| voter.rejected()).unwrap_or_default(),
        }
    }

    /// Every line says of which cluster it speaks.
    fn of_cluster(&self, event: Event) -> Event {
        let text = format!("cluster {}: {}", self.place.cluster, event.text);
        // What a node must be told twice is not worth a warning on a machine that runs nothing.
        let severity = match event.kind.as_str() {
            "lease-lapsed" | "peer-late" => Severity::Info,
            _ => event.severity,
        };
        Event { text, severity, ..event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::id::{StoreId, WriteId};
    use crm_core::record::Stored;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, Instant};

    /// A disk that hangs under one cluster: all others are served by the same loop.
    #[tokio::test]
    async fn as1_a_voter_whose_disk_hangs_ends_without_holding_up_the_loop() {
        let dir = crate::testing::Dir::new();
        let authkeys = dir.path().join("authkeys");
        std::fs::write(
            &authkeys,
            crm_wire::generate(std::array::from_fn(|at| at as u8)).as_bytes(),
        )
        .expect("written");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&authkeys, mode).expect("mode");
        let state = dir.path().join("state");
        let place = Place { cluster: "shop".to_owned(), authkeys, state: state.clone(), port: 0 };
        let (tell, _inbox) = crate::happening::Tell::channel();
        let mut now = Time(1_000_000);
        let mut network = Network::new(now, tell, &["127.0.0.1".parse().expect("address")], 0);
        let mut seat = Seat::new(now, place);
        seat.wake(now, &mut network);
        assert!(matches!(seat.holds, Holds::Voter(_)), "{:?}", seat.problem);
        let wait = |what: &str, done: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !done() {
                assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        let write = |seat: &Seat, number: u64| {
            let Holds::Voter(voter) = &seat.holds else { panic!("{:?}", seat.problem) };
            let stored = Stored { writes: number, ..Stored::new(StoreId(number.into())) };
            voter.write(WriteId(number), Box::new(stored));
        };
        let spare = state.join(".state.spare");
        wait("the first write", &|| state.join("state").exists());
        write(&seat, 2);
        wait("the second write", &|| spare.exists());
        let store = crate::store::Store::new(&state);
        wait("the second write", &|| {
            store.load().is_ok_and(|stored| stored.is_some_and(|stored| stored.writes == 2))
        });
        // A pipe that nobody reads takes for ever to be opened, as a disk that hangs would.
        std::fs::remove_file(&spare).expect("a spare file");
        nix::unistd::mkfifo(&spare, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        write(&seat, 3);
        let (mut events, mut longest) = (Vec::new(), Duration::ZERO);
        for _ in 0..210 {
            now = now + Span::millis(200);
            let begun = Instant::now();
            events.extend(seat.wake(now, &mut network));
            longest = longest.max(begun.elapsed());
        }
        let ended = |event: &&Event| event.text.contains("its disk hangs");
        assert_eq!(events.iter().filter(ended).count(), 1, "{events:?}");
        assert!(longest < Duration::from_secs(2), "the loop stood still for {longest:?}");
        // Nobody votes beside the write that may still end.
        now = now + RETRY;
        let events = seat.wake(now, &mut network);
        assert!(events.iter().any(|event| event.text.contains("is held by")), "{events:?}");
        let reader = std::thread::spawn(move || std::fs::read(spare));
        let begun = Instant::now();
        while !matches!(seat.holds, Holds::Voter(_)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", seat.problem);
            std::thread::sleep(Duration::from_millis(5));
            now = now + RETRY;
            seat.wake(now, &mut network);
        }
        let _ = reader.join();
    }
}
