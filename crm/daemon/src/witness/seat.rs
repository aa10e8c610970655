//! One cluster of a witness: a voter that runs, or the reason why none does and when it is tried again.
//! What is wrong with one cluster's files never stops another's vote.

use super::network::Network;
use super::voter::{Files, Place, Voter, Wish, state_file};
use crate::happening::Happening;
use crm_api::WitnessCluster;
use crm_core::event::{Event, Severity};
use crm_core::time::{Span, Time};
use crm_core::{Input, Shutdown};
use crm_wire::{AuthKeys, ClusterId};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Between two tries to start a voter whose files are not right, or whose disk failed.
const RETRY: Span = Span::secs(10);
/// After this long it is told that the files of a cluster are still being read.
const SLOW: Span = Span::secs(5);
/// Enough for two small files.
const STACK_BYTES: usize = 256 * 1024;

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
    /// A thread reads its files: a disk that hangs is none of the other clusters' business.
    Reading {
        files: oneshot::Receiver<Result<Files, String>>,
        slow_at: Time,
        /// The key file changed meanwhile: it is read once more.
        again: bool,
    },
    /// Nobody votes until this moment.
    Nobody(Time),
}

/// What a thread of a seat has to say.
pub(super) enum Said {
    Happening(Happening),
    Files(Box<Result<Files, String>>),
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
            Holds::Reading { slow_at, .. } => self.problem.is_none().then_some(*slow_at),
            Holds::Nobody(until) => Some(*until),
        }
    }

    /// What is due: the core's timers, or another try to start it.
    pub(super) fn wake(&mut self, now: Time, network: &mut Network) -> Vec<Event> {
        match &self.holds {
            Holds::Voter(voter) if voter.deadline().is_some_and(|at| at <= now) => {
                self.input(now, Input::Wake, network)
            }
            Holds::Reading { slow_at, .. } if *slow_at <= now && self.problem.is_none() => {
                let state = self.place.state.display();
                let text = format!("its files cannot be read yet: the disk of {state} hangs");
                self.tell(text)
            }
            Holds::Nobody(at) if *at <= now => self.read(now),
            _ => Vec::new(),
        }
    }

    fn read(&mut self, now: Time) -> Vec<Event> {
        let (sender, files) = oneshot::channel();
        let place = self.place.clone();
        let thread = std::thread::Builder::new().name("crm-files".to_owned());
        let reader = thread.stack_size(STACK_BYTES).spawn(move || {
            // Without a receiver the witness is ending; what was read is given back.
            let _ = sender.send(Files::read(&place));
        });
        match reader {
            Ok(_) => {
                self.holds = Holds::Reading { files, slow_at: now + SLOW, again: false };
                Vec::new()
            }
            Err(error) => self.fail(now, format!("no thread can be made: {error}")),
        }
    }

    fn start(
        &mut self,
        now: Time,
        files: Result<Files, String>,
        network: &mut Network,
    ) -> Vec<Event> {
        if matches!(self.holds, Holds::Reading { again: true, .. }) {
            drop(files);
            return self.read(now);
        }
        match files.and_then(|files| Voter::begin(now, &self.place, files)) {
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
        self.tell(problem)
    }

    fn tell(&mut self, problem: String) -> Vec<Event> {
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

    pub(super) fn poll_inbox(&mut self, context: &mut Context<'_>) -> Poll<Option<Said>> {
        match &mut self.holds {
            Holds::Voter(voter) => {
                voter.poll_inbox(context).map(|happening| happening.map(Said::Happening))
            }
            Holds::Reading { files, .. } => Pin::new(files).poll(context).map(|read| {
                let broken = || Err("its files cannot be read: the reader broke off".to_owned());
                Some(Said::Files(Box::new(read.unwrap_or_else(|_| broken()))))
            }),
            Holds::Nobody(_) => Poll::Pending,
        }
    }

    pub(super) fn happened(&mut self, now: Time, said: Said, network: &mut Network) -> Vec<Event> {
        let happening = match said {
            Said::Happening(happening) => happening,
            Said::Files(files) => return self.start(now, *files, network),
        };
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
            (Holds::Reading { again, .. }, _) => {
                *again = true;
                return Vec::new();
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
            Holds::Reading { .. } | Holds::Nobody(_) => None,
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
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    /// Longer than a busy machine may take for anything here.
    const PATIENCE: Duration = Duration::from_secs(20);
    /// No loop that serves others waits so long.
    const AT_ONCE: Duration = Duration::from_secs(2);

    struct Stage {
        dir: crate::testing::Dir,
        state: PathBuf,
        seat: Seat,
        network: Network,
        now: Time,
    }

    fn stage() -> Stage {
        let dir = crate::testing::Dir::new();
        let authkeys = dir.path().join("authkeys");
        let text = crm_wire::generate(std::array::from_fn(|at| at as u8));
        std::fs::write(&authkeys, text.as_bytes()).expect("written");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&authkeys, mode).expect("mode");
        let state = dir.path().join("state");
        let place = Place { cluster: "shop".to_owned(), authkeys, state: state.clone(), port: 0 };
        let (tell, _inbox) = crate::happening::Tell::channel();
        let now = Time(1_000_000);
        let network = Network::new(now, tell, &["127.0.0.1".parse().expect("address")], 0);
        Stage { dir, state, seat: Seat::new(now, place), network, now }
    }

    impl Stage {
        /// The loop's turn after `later`, and how long it took.
        fn turn(&mut self, later: Span) -> (Vec<Event>, Duration) {
            self.now += later;
            let begun = Instant::now();
            let mut events = self.seat.wake(self.now, &mut self.network);
            // What the writer says is kept from the core: its disk has not answered.
            let mut context = Context::from_waker(std::task::Waker::noop());
            if matches!(self.seat.holds, Holds::Reading { .. })
                && let Poll::Ready(Some(said)) = self.seat.poll_inbox(&mut context)
            {
                events.extend(self.seat.happened(self.now, said, &mut self.network));
            }
            (events, begun.elapsed())
        }

        fn until_it_votes(&mut self) {
            let begun = Instant::now();
            while !matches!(self.seat.holds, Holds::Voter(_)) {
                assert!(begun.elapsed() < PATIENCE, "{:?}", self.seat.problem);
                std::thread::sleep(Duration::from_millis(5));
                self.turn(RETRY);
            }
        }

        /// The writer has its lock to its end, and would make a directory anew that is gone.
        fn end(self) {
            let Stage { dir, state, seat, .. } = self;
            drop(seat);
            wait("the end of the writer", || {
                crate::lock::hold(&state.join("lock"), "", "").is_ok()
            });
            drop(dir);
        }

        fn write(&self, number: u64) {
            let Holds::Voter(voter) = &self.seat.holds else { panic!("{:?}", self.seat.problem) };
            let stored = Stored { writes: number, ..Stored::new(StoreId(number.into())) };
            voter.write(WriteId(number), Box::new(stored));
        }
    }

    fn wait(what: &str, done: impl Fn() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < PATIENCE, "{what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Opening a pipe that nobody reads takes for ever, as on a disk that hangs.
    fn hang(file: &Path) {
        let _ = std::fs::remove_file(file);
        nix::unistd::mkfifo(file, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    }

    /// A disk that hangs under one cluster: all others are served by the same loop.
    #[tokio::test]
    async fn as1_a_voter_whose_disk_hangs_ends_without_holding_up_the_loop() {
        let mut stage = stage();
        stage.until_it_votes();
        let spare = stage.state.join(".state.spare");
        wait("the first write", || stage.state.join("state").exists());
        stage.write(2);
        let store = crate::store::Store::new(&stage.state);
        wait("the second write", || {
            let written = store.load().is_ok_and(|stored| stored.is_some_and(|s| s.writes == 2));
            written && spare.exists()
        });
        hang(&spare);
        stage.write(3);
        let (mut events, mut longest) = (Vec::new(), Duration::ZERO);
        for _ in 0..210 {
            let (said, took) = stage.turn(Span::millis(200));
            events.extend(said);
            longest = longest.max(took);
        }
        let ended = |event: &&Event| event.text.contains("its disk hangs");
        assert_eq!(events.iter().filter(ended).count(), 1, "{events:?}");
        assert!(longest < AT_ONCE, "the loop stood still for {longest:?}");
        // Nobody votes beside the write that may still end.
        let begun = Instant::now();
        while !stage.seat.problem.as_ref().is_some_and(|problem| problem.contains("is held by")) {
            assert!(begun.elapsed() < PATIENCE, "{:?}", stage.seat.problem);
            std::thread::sleep(Duration::from_millis(2));
            stage.turn(RETRY);
        }
        let reader = std::thread::spawn(move || std::fs::read(spare));
        stage.until_it_votes();
        let _ = reader.join();
        stage.end();
    }

    /// It cannot even be looked at: the same.
    #[tokio::test]
    async fn as1_a_store_that_does_not_open_holds_up_no_other_cluster() {
        let mut stage = stage();
        std::fs::create_dir(&stage.state).expect("directory");
        let lock = stage.state.join("lock");
        hang(&lock);
        let reader = std::thread::spawn(move || {
            std::thread::sleep(AT_ONCE * 2);
            std::fs::File::open(lock)
        });
        let (mut events, took) = stage.turn(Span::ZERO);
        assert!(took < AT_ONCE, "the loop stood still for {took:?}");
        events.extend(stage.turn(Span::secs(6)).0);
        events.extend(stage.turn(Span::secs(6)).0);
        let told = |event: &&Event| event.text.contains("cannot be read yet");
        assert_eq!(events.iter().filter(told).count(), 1, "{events:?}");
        assert!(stage.seat.report(stage.now).problem.is_some());
        let opened = reader.join().expect("opened");
        stage.until_it_votes();
        stage.end();
        drop(opened);
    }
}
