//! The power of the machines, outside of all of them: switches, and the controller that guests may ask to
//! switch one another off. It is the laboratory's fencing device.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::lines::Lines;
use super::{LabError, Result};

/// How long the controller waits for a request before it looks whether it has to end.
const PATIENCE: Duration = Duration::from_millis(200);

/// The power of one machine: an emulator that runs or does not.
pub struct PowerSwitch {
    name: String,
    arguments: Vec<String>,
    /// Where the emulator's own messages go.
    messages: PathBuf,
    /// Sockets that a killed emulator leaves behind and a new one makes again.
    sockets: Vec<PathBuf>,
    child: Mutex<Option<Child>>,
}

impl PowerSwitch {
    /// A machine that is off. `arguments` are the emulator's.
    pub fn new(
        name: &str,
        arguments: Vec<String>,
        messages: PathBuf,
        sockets: Vec<PathBuf>,
    ) -> Self {
        Self { name: name.to_owned(), arguments, messages, sockets, child: Mutex::new(None) }
    }

    /// Switches the machine on; does nothing when it is on.
    ///
    /// # Errors
    /// When the emulator cannot be started.
    pub fn on(&self) -> Result<()> {
        let mut child = self.child();
        if running(child.as_mut()) {
            return Ok(());
        }
        for socket in &self.sockets {
            let _ = std::fs::remove_file(socket);
        }
        let what = format!("start the emulator of {}", self.name);
        let messages = File::options()
            .create(true)
            .append(true)
            .open(&self.messages)
            .map_err(LabError::io(what.clone()))?;
        let errors = messages.try_clone().map_err(LabError::io(what.clone()))?;
        // A test that is killed takes its machines with it.
        let started = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(messages)
            .stderr(errors)
            .spawn()
            .map_err(LabError::io(what))?;
        *child = Some(started);
        Ok(())
    }

    /// Takes the power away and returns when the machine has no running processor and no request to a disk
    /// under way: its emulator has ended and has been reaped. Does nothing when it is off.
    ///
    /// # Errors
    /// When the emulator could not be ended.
    pub fn off(&self) -> Result<()> {
        if let Some(mut child) = self.child().take() {
            let what = format!("end the emulator of {}", self.name);
            child.kill().map_err(LabError::io(what.clone()))?;
            child.wait().map_err(LabError::io(what))?;
        }
        Ok(())
    }

    /// Whether the machine has power.
    pub fn is_on(&self) -> bool {
        running(self.child().as_mut())
    }

    /// Sends a signal to the emulator: STOP freezes the machine while time goes on, CONT thaws it.
    ///
    /// # Errors
    /// When the machine is off.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child();
        let running = child.as_ref().ok_or_else(|| LabError::Gone(self.name.clone()))?;
        let pid = i32::try_from(running.id()).map_err(|_| LabError::Gone(self.name.clone()))?;
        kill(Pid::from_raw(pid), signal).map_err(|e| LabError::Io {
            what: format!("{signal} to the emulator of {}", self.name),
            source: e.into(),
        })
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PowerSwitch {
    fn drop(&mut self) {
        let _ = self.off();
    }
}

fn running(child: Option<&mut Child>) -> bool {
    child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
}

/// What a guest asked of the controller, for tests that must know who shot whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The machine that asked.
    pub from: String,
    /// `off`, `on` or `status`.
    pub action: String,
    /// The machine it is about.
    pub target: String,
}

#[derive(Default)]
struct Controlled {
    switches: Mutex<BTreeMap<String, Arc<PowerSwitch>>>,
    requests: Mutex<Vec<Request>>,
    broken: AtomicBool,
    ended: AtomicBool,
}

/// Serves the port `fence` of every machine: a line `NUMBER off|on|status NODE` is answered by
/// `NUMBER ok ...` or `NUMBER error ...`, and only after the fact.
#[derive(Default)]
pub struct PowerController {
    controlled: Arc<Controlled>,
    threads: Vec<JoinHandle<()>>,
}

impl PowerController {
    /// Takes `switch` under control and serves the requests of that machine at `socket`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn attach(&mut self, name: &str, switch: Arc<PowerSwitch>, socket: PathBuf) -> Result<()> {
        lock(&self.controlled.switches).insert(name.to_owned(), switch);
        let (controlled, machine) = (Arc::clone(&self.controlled), name.to_owned());
        let thread = std::thread::Builder::new()
            .name(format!("power-{name}"))
            .spawn(move || controlled.serve(&machine, &socket))
            .map_err(LabError::io("start the power controller"))?;
        self.threads.push(thread);
        Ok(())
    }

    /// What has been asked so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.controlled.requests).clone()
    }

    /// A broken controller answers every request with an error and does nothing.
    pub fn set_broken(&self, broken: bool) {
        self.controlled.broken.store(broken, Ordering::Relaxed);
    }
}

impl Drop for PowerController {
    fn drop(&mut self) {
        self.controlled.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Controlled {
    fn serve(&self, machine: &str, socket: &std::path::Path) {
        while !self.ended.load(Ordering::Relaxed) {
            // A machine that is off has no socket; one that was switched on again has a new one.
            if let Ok(mut lines) =
                Lines::connect("power controller", socket, Instant::now() + PATIENCE)
            {
                self.serve_connection(machine, &mut lines);
            }
        }
    }

    fn serve_connection(&self, machine: &str, lines: &mut Lines) {
        while !self.ended.load(Ordering::Relaxed) {
            let line = match lines.line(Instant::now() + PATIENCE) {
                Ok(line) => line,
                Err(LabError::Silent { .. }) => continue,
                Err(_) => return,
            };
            let mut words = line.split_whitespace();
            if let (Some(number), Some(action), Some(target)) =
                (words.next(), words.next(), words.next())
            {
                let answer = self.answer(machine, action, target);
                if lines.send(format!("{number} {answer}\n").as_bytes()).is_err() {
                    return;
                }
            }
        }
    }

    fn answer(&self, from: &str, action: &str, target: &str) -> String {
        lock(&self.requests).push(Request {
            from: from.to_owned(),
            action: action.to_owned(),
            target: target.to_owned(),
        });
        if self.broken.load(Ordering::Relaxed) {
            return "error the power controller is broken".to_owned();
        }
        let Some(switch) = lock(&self.switches).get(target).cloned() else {
            return format!("error no machine is named {target}");
        };
        let done = match action {
            "off" => switch.off(),
            "on" => switch.on(),
            "status" => Ok(()),
            _ => return format!("error expected off, on or status, found {action}"),
        };
        match done {
            Ok(()) => format!("ok {target} is {}", if switch.is_on() { "on" } else { "off" }),
            Err(e) => format!("error {e}").replace('\n', " "),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
