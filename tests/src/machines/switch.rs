//! An Ethernet hub in this process, on unix datagram sockets: no privilege, and any direction of any path can
//! be cut or made lossy.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{LabError, Result};

/// Largest frame: an Ethernet frame with the offloads that virtio may use.
const FRAME: usize = 70_000;
/// How long a port waits for traffic before it looks whether the switch has ended.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long a full queue of a slow machine may hold up the others before the frame is dropped.
const QUEUE: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Rules {
    cut: BTreeSet<(String, String)>,
    loss: BTreeMap<(String, String), u8>,
}

struct Port {
    machine: String,
    socket: UnixDatagram,
    /// Where the emulator of the machine listens.
    remote: PathBuf,
}

#[derive(Default)]
struct Shared {
    ports: RwLock<Vec<Arc<Port>>>,
    rules: RwLock<Rules>,
    ended: AtomicBool,
    delivered: AtomicU64,
    dice: AtomicU64,
}

/// One broadcast domain. Machines have one network card on each switch of the laboratory.
pub struct Switch {
    directory: PathBuf,
    name: String,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Switch {
    /// A switch without ports, with its sockets in `directory`.
    pub fn new(directory: &Path, name: &str) -> Self {
        let shared =
            Arc::new(Shared { dice: AtomicU64::new(0x9e37_79b9_7f4a_7c15), ..Shared::default() });
        Self { directory: directory.to_owned(), name: name.to_owned(), shared, threads: Vec::new() }
    }

    /// Adds a port for `machine` and answers the emulator's `-netdev` argument for it, without its id.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn port(&mut self, machine: &str) -> Result<String> {
        let local = self.directory.join(format!("{}-{machine}.switch", self.name));
        let remote = self.directory.join(format!("{}-{machine}.card", self.name));
        let what = format!("switch port {}", local.display());
        let socket = UnixDatagram::bind(&local).map_err(LabError::io(what.clone()))?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(LabError::io(what.clone()))?;
        socket.set_write_timeout(Some(QUEUE)).map_err(LabError::io(what.clone()))?;
        let argument = format!(
            "dgram,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            remote.display(),
            local.display()
        );
        let port = Arc::new(Port { machine: machine.to_owned(), socket, remote });
        self.shared.ports.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&port));
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(format!("switch-{machine}"))
            .spawn(move || shared.forward_from(&port))
            .map_err(LabError::io(what))?;
        self.threads.push(thread);
        Ok(argument)
    }

    /// Drops every frame that `from` sends to `to`; the other direction is not touched.
    pub fn cut(&self, from: &str, to: &str) {
        self.rules(|rules| {
            rules.cut.insert((from.to_owned(), to.to_owned()));
        });
    }

    /// Drops every frame between `one` and `other`.
    pub fn cut_both(&self, one: &str, other: &str) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Loses `percent` of the frames that `from` sends to `to`, by lot.
    pub fn lose(&self, from: &str, to: &str, percent: u8) {
        self.rules(|rules| {
            rules.loss.insert((from.to_owned(), to.to_owned()), percent);
        });
    }

    /// Ends all cuts and losses.
    pub fn heal(&self) {
        self.rules(|rules| *rules = Rules::default());
    }

    /// Frames handed to a machine so far.
    pub fn delivered(&self) -> u64 {
        self.shared.delivered.load(Ordering::Relaxed)
    }

    fn rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.shared.rules.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn forward_from(&self, port: &Port) {
        let mut frame = vec![0_u8; FRAME];
        while !self.ended.load(Ordering::Relaxed) {
            // Nothing for a while, or a signal: look at `ended` and listen on.
            let Ok(length) = port.socket.recv(&mut frame) else { continue };
            let ports = self.ports.read().unwrap_or_else(PoisonError::into_inner).clone();
            for to in ports.iter().filter(|to| to.machine != port.machine) {
                // A machine that is off, or whose queue is full, loses the frame, as on a wire.
                if self.passes(&port.machine, &to.machine)
                    && to.socket.send_to(&frame[..length], &to.remote).is_ok()
                {
                    self.delivered.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn passes(&self, from: &str, to: &str) -> bool {
        let path = (from.to_owned(), to.to_owned());
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        if rules.cut.contains(&path) {
            return false;
        }
        rules.loss.get(&path).is_none_or(|&percent| self.roll() >= u64::from(percent))
    }

    /// A number below 100, from a fixed seed (splitmix64).
    fn roll(&self) -> u64 {
        let mut x = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine's end of a cable, as the emulator has it.
    fn card(directory: &Path, switch: &mut Switch, machine: &str) -> (UnixDatagram, PathBuf) {
        switch.port(machine).unwrap();
        let card = UnixDatagram::bind(directory.join(format!("test-{machine}.card"))).unwrap();
        card.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        (card, directory.join(format!("test-{machine}.switch")))
    }

    fn received(card: &UnixDatagram) -> Vec<u8> {
        let mut frame = [0_u8; 100];
        let length = card.recv(&mut frame).unwrap();
        frame[..length].to_vec()
    }

    #[test]
    fn a_cut_stops_one_direction_of_one_path() {
        let directory = std::env::temp_dir().join(format!("crm-switch-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let mut switch = Switch::new(&directory, "test");
        let (alpha, to_alpha) = card(&directory, &mut switch, "alpha");
        let (beta, to_beta) = card(&directory, &mut switch, "beta");
        let (gamma, _) = card(&directory, &mut switch, "gamma");

        switch.cut("alpha", "beta");
        alpha.send_to(b"lost", &to_alpha).unwrap();
        assert_eq!(received(&gamma), b"lost", "only beta is cut off");
        beta.send_to(b"back", &to_beta).unwrap();
        assert_eq!(received(&alpha), b"back");
        switch.heal();
        alpha.send_to(b"healed", &to_alpha).unwrap();
        // The frame of the cut never comes: the first that beta gets is the one after the heal.
        assert_eq!(received(&beta), b"healed");

        drop(switch);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_dice_lose_about_as_much_as_asked() {
        let shared = Shared::default();
        shared.rules.write().unwrap().loss.insert(("a".into(), "b".into()), 30);
        let passed = (0..10_000).filter(|_| shared.passes("a", "b")).count();
        assert!((6_700..7_300).contains(&passed), "{passed} of 10000 passed");
        assert!(shared.passes("b", "a"), "the other direction loses nothing");
    }
}
