//! A power switch: a `command:` device that ends every process of a node and answers
//! when none is left. It can be told to be slow, to lose requests, or to fail.

use crate::Keeper;
use nix::fcntl::OFlag;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How the switch behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceMode {
    /// Acts at once and says so.
    Works,
    /// Acts and answers this much later.
    Slow(Duration),
    /// Acts, and the answer is lost.
    Unreported,
    /// Neither acts nor answers.
    Lost,
    /// Says at once that it cannot.
    Fails,
    /// Says at once that it has acted, and has not.
    Lies,
    /// Ends another node than it was asked for, and says that it has acted.
    Misdirected,
}

/// What the switch and the laboratory share.
#[derive(Debug)]
pub struct Power {
    /// Nodes that are up.
    pub keepers: BTreeMap<String, Keeper>,
    /// How it behaves from now on.
    pub mode: FenceMode,
    /// Targets of every request, in order.
    pub requests: Vec<String>,
    /// Targets that were ended by the switch.
    pub killed: Vec<String>,
}

impl Power {
    /// Where a request ends that goes to the wrong place.
    fn another(&self, target: &str) -> Option<String> {
        self.keepers.keys().find(|name| *name != target).cloned()
    }

    fn off(&mut self, target: &str) -> std::io::Result<()> {
        let Some(keeper) = self.keepers.get_mut(target) else { return Ok(()) };
        keeper.kill()?;
        self.keepers.remove(target);
        self.killed.push(target.to_owned());
        Ok(())
    }
}

/// Shared by the switch and whoever owns the nodes.
pub type SharedPower = Arc<Mutex<Power>>;

/// The thread that serves the switch; it ends when it reads `quit`.
#[derive(Debug)]
pub struct Switchboard {
    /// Held open: the directory may be gone when the end is to be said.
    quit: std::fs::File,
    thread: Option<JoinHandle<()>>,
}

/// The script that a node calls as its fencing command.
#[must_use]
pub fn script(directory: &Path) -> PathBuf {
    directory.join("power-off")
}

impl Switchboard {
    /// Serves requests that come through `directory`.
    ///
    /// # Errors
    /// The pipe or the script could not be made.
    pub fn start(directory: &Path, power: SharedPower) -> std::io::Result<Switchboard> {
        let requests = directory.join("requests");
        nix::unistd::mkfifo(&requests, nix::sys::stat::Mode::from_bits_truncate(0o600))?;
        let path = script(directory);
        let text = format!(
            "#!/bin/sh\n# Ends every process of the node $CRM_FENCE_TARGET.\n\
             read -r unique </proc/sys/kernel/random/uuid\n\
             reply={0}/reply.$unique\n\
             mkfifo \"$reply\" || exit 1\n\
             echo \"$CRM_FENCE_TARGET $reply\" >{1}\n\
             read -r word <\"$reply\"\n\
             [ \"$word\" = off ]\n",
            directory.display(),
            requests.display(),
        );
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        // Opened for both directions, so that it neither blocks nor sees an end.
        let pipe = OpenOptions::new().read(true).write(true).open(&requests)?;
        let quit = pipe.try_clone()?;
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let Ok(line) = line else { return };
                if line == "quit" {
                    return;
                }
                if let Some((target, reply)) = line.split_once(' ') {
                    let (power, target) = (power.clone(), target.to_owned());
                    let reply = PathBuf::from(reply);
                    // Two requests at once must not wait for one another.
                    std::thread::spawn(move || serve(&power, &target, &reply));
                }
            }
        });
        Ok(Switchboard { quit, thread: Some(thread) })
    }
}

impl Drop for Switchboard {
    fn drop(&mut self) {
        let _ = self.quit.write_all(b"quit\n");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(power: &SharedPower, target: &str, reply: &Path) {
    let mode = {
        let mut power = power.lock().unwrap_or_else(PoisonError::into_inner);
        power.requests.push(target.to_owned());
        power.mode
    };
    if let FenceMode::Slow(time) = mode {
        std::thread::sleep(time);
    }
    let word = match mode {
        FenceMode::Lost => return,
        FenceMode::Fails => "failed",
        FenceMode::Lies => "off",
        FenceMode::Misdirected => {
            let mut power = power.lock().unwrap_or_else(PoisonError::into_inner);
            let off = power.another(target).map_or(Ok(()), |other| power.off(&other));
            if off.is_ok() { "off" } else { "failed" }
        }
        FenceMode::Works | FenceMode::Slow(_) | FenceMode::Unreported => {
            let mut power = power.lock().unwrap_or_else(PoisonError::into_inner);
            if power.off(target).is_ok() { "off" } else { "failed" }
        }
    };
    if mode == FenceMode::Unreported {
        return;
    }
    // Opened only once the asker reads, who may be dead by now; from then on the name is not needed.
    for _ in 0..ASKER_PATIENCE_MS {
        let pipe =
            OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(reply);
        if let Ok(mut pipe) = pipe {
            let _ = pipe.write_all(format!("{word}\n").as_bytes());
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = std::fs::remove_file(reply);
}

/// How long an asker may take until it reads the answer, in milliseconds.
const ASKER_PATIENCE_MS: u32 = 1000;
