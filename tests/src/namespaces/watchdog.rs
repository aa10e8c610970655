//! Watchdogs for nodes that have no machine of their own: a pipe that the daemon feeds as it would the
//! kernel's device, and a thread that ends every process of the node when it was not fed in time.

use crm_sandbox::SharedPower;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the pipe is looked at.
const TICK: Duration = Duration::from_millis(5);

/// The watchdogs of a laboratory.
#[derive(Debug)]
pub(super) struct Watchdogs {
    /// Holds the pipes. Below /dev, as a configuration wants it.
    directory: PathBuf,
    library: PathBuf,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Nodes that were reset, and when their last process had ended.
    resets: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Watchdogs {
    /// One for each node.
    ///
    /// # Panics
    /// If a pipe cannot be made, or the compiler that Rust itself links with is missing.
    pub(super) fn start(laboratory: &Path, nodes: &[String], power: &SharedPower) -> Watchdogs {
        let name = laboratory.file_name().unwrap_or_default();
        let directory = Path::new("/dev/shm").join(name);
        std::fs::create_dir_all(&directory).expect("a directory below /dev/shm");
        let library = laboratory.join("watchdog.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/namespaces/watchdog.c");
        let done = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .output()
            .expect("cc, with which Rust links");
        assert!(done.status.success(), "cc: {}", String::from_utf8_lossy(&done.stderr));
        let ended = Arc::new(AtomicBool::new(false));
        let resets = Arc::<Mutex<Vec<(String, Instant)>>>::default();
        let mut dogs =
            Watchdogs { directory, library, ended: ended.clone(), threads: vec![], resets };
        for node in nodes {
            let path = dogs.device(node);
            nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).expect("a pipe");
            // Opened for both directions, so that it neither blocks nor sees an end.
            let pipe = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(OFlag::O_NONBLOCK.bits())
                .open(&path)
                .expect("the pipe");
            let dog =
                Dog { node: node.clone(), pipe, power: power.clone(), resets: dogs.resets.clone() };
            let ended = ended.clone();
            dogs.threads.push(std::thread::spawn(move || dog.watch(&ended)));
        }
        dogs
    }

    pub(super) fn device(&self, node: &str) -> PathBuf {
        self.directory.join(node)
    }

    pub(super) fn library(&self) -> &Path {
        &self.library
    }

    pub(super) fn resets(&self) -> Vec<(String, Instant)> {
        self.resets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watchdogs {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

struct Dog {
    node: String,
    pipe: File,
    power: SharedPower,
    resets: Arc<Mutex<Vec<(String, Instant)>>>,
}

/// Armed: by which boot of the node, with which margin, fed when.
struct Armed {
    boot: i32,
    margin: Duration,
    fed: Instant,
}

impl Dog {
    fn watch(mut self, ended: &AtomicBool) {
        let mut armed: Option<Armed> = None;
        let mut bytes = [0; 256];
        while !ended.load(Ordering::Relaxed) {
            let read = self.pipe.read(&mut bytes).unwrap_or(0);
            self.take(bytes.get(..read).unwrap_or_default(), &mut armed);
            if armed.as_ref().is_some_and(|armed| armed.fed.elapsed() >= armed.margin)
                && let Some(armed) = armed.take()
            {
                self.reset(armed.boot);
            }
            std::thread::sleep(TICK);
        }
    }

    /// `T` and a number: armed with that margin; `V`: disarmed; anything else feeds.
    fn take(&self, bytes: &[u8], armed: &mut Option<Armed>) {
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match first {
                b'T' => {
                    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
                    let seconds = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok());
                    rest = rest.get(line.len() + 1..).unwrap_or_default();
                    let power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
                    *armed = seconds.zip(power.keepers.get(&self.node)).map(|(seconds, keeper)| {
                        let margin = Duration::from_secs(seconds);
                        Armed { boot: keeper.pid, margin, fed: Instant::now() }
                    });
                }
                b'V' => *armed = None,
                _ => {
                    if let Some(armed) = armed {
                        armed.fed = Instant::now();
                    }
                }
            }
        }
    }

    /// Ends the boot that armed it; a later one is not its affair.
    fn reset(&self, boot: i32) {
        let mut power = self.power.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(keeper) = power.keepers.get_mut(&self.node).filter(|keeper| keeper.pid == boot)
        else {
            return;
        };
        keeper.kill().expect("every process of the node ends");
        power.keepers.remove(&self.node);
        let mut resets = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
        resets.push((self.node.clone(), Instant::now()));
    }
}
