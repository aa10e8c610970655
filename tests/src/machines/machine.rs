//! One virtual machine: its parts, its power, its cables, and a root shell in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use super::images::{self, Images};
use super::laboratory::address;
use super::power::PowerSwitch;
use super::qmp::Qmp;
use super::shell::{Output, Shell, quoted};
use super::{LabError, Result};

/// A boot may take this long: some ten seconds on an idle host, several times that on a busy one.
pub const BOOT: Duration = Duration::from_secs(240);
/// An ordinary command may take this long.
pub const COMMAND: Duration = Duration::from_secs(60);
/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(200);
/// So much of a console is shown when a test fails.
const CONSOLE_LINES: usize = 60;

/// What a machine boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// busybox alone, in two or three seconds: a client, or a test of the laboratory itself.
    Bare,
    /// Debian 12 with systemd, on its own disk `/dev/vda`.
    Debian,
    /// The same disk with our package on it, without systemd: a shell instead, in three or four seconds.
    Light,
    /// As [`System::Light`], from the image with servers and their clients: `tests/machines/prepare servers`.
    Servers,
}

impl System {
    /// Whether it runs a shell instead of systemd, from an image with our package on it.
    pub(super) fn is_light(self) -> bool {
        matches!(self, Self::Light | Self::Servers)
    }
}

/// A further disk, `/dev/vdb` and so on (`/dev/vda` and so on in a bare machine).
#[derive(Debug, Clone)]
pub struct Disk {
    /// The file behind it.
    pub path: PathBuf,
    /// Whether other machines have it too. Nothing but fencing then keeps two from writing.
    pub shared: bool,
}

/// The parts of a machine.
#[derive(Debug, Clone)]
pub struct Specification {
    /// Its host name.
    pub name: String,
    /// What it boots.
    pub system: System,
    /// Memory, in MiB.
    pub memory: u32,
    /// Processors.
    pub processors: u8,
    /// Its disks besides the one with the system.
    pub disks: Vec<Disk>,
}

impl Specification {
    /// A Debian with systemd.
    pub fn debian(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            system: System::Debian,
            memory: 384,
            processors: 1,
            disks: Vec::new(),
        }
    }

    /// A Debian with our package and without systemd: see `lab-init`.
    pub fn light(name: &str) -> Self {
        Self { system: System::Light, memory: 256, ..Self::debian(name) }
    }

    /// [`Self::light`], with Apache, PHP, NFS and Samba.
    pub fn servers(name: &str) -> Self {
        Self { system: System::Servers, ..Self::light(name) }
    }

    /// With this much memory, in MiB.
    #[must_use]
    pub fn with_memory(mut self, memory: u32) -> Self {
        self.memory = memory;
        self
    }

    /// busybox alone.
    pub fn bare(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            system: System::Bare,
            memory: 128,
            processors: 1,
            disks: Vec::new(),
        }
    }

    /// With one more disk, of this machine alone.
    #[must_use]
    pub fn with_disk(mut self, path: &Path) -> Self {
        self.disks.push(Disk { path: path.to_owned(), shared: false });
        self
    }

    /// With one more disk that other machines have too.
    #[must_use]
    pub fn with_shared_disk(mut self, path: &Path) -> Self {
        self.disks.push(Disk { path: path.to_owned(), shared: true });
        self
    }
}

/// A machine. It loses its power when it is dropped.
pub struct Machine {
    name: String,
    number: u8,
    directory: PathBuf,
    power: Arc<PowerSwitch>,
    shell: Option<Shell>,
    qmp: Option<Qmp>,
}

/// The driver of the guests' watchdog, as `CRM_WATCHDOG_DRIVER` says: `softdog`, or `i6300esb` or `iTCO_wdt`, boards' own
/// watchdogs, which the emulator has too and which do not need a kernel that runs.
pub fn watchdog_driver() -> String {
    std::env::var("CRM_WATCHDOG_DRIVER").unwrap_or_else(|_| "softdog".to_owned())
}

impl Machine {
    pub(super) fn new(
        specification: &Specification,
        number: u8,
        cards: &[String],
        images: &Images,
        directory: &Path,
    ) -> Result<Self> {
        let name = &specification.name;
        let file = |kind: &str| directory.join(format!("{name}.{kind}"));
        // On a busy host the kernel's check of its timer may find that none ticks, and stand still. Of a machine that is
        // stopped for longer than 4.7 s the default clock loses time (its counter wraps), and its watchdog with it.
        let mut words = format!(
            "console=ttyS0 panic=1 loglevel=4 no_timer_check clocksource=tsc tsc=reliable net.ifnames=0 systemd.hostname={name}"
        );
        if let Some(rate) = super::ticks::rate_khz() {
            words.push_str(&format!(" tsc_early_khz={rate}"));
        }
        words.push_str(&format!(" systemd.machine_id={:032x}", 0x1ab_0000 + u128::from(number)));
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |given: &[&str]| arguments.extend(given.iter().map(|&s| s.to_owned()));
        // A bound on translated code keeps the emulator's memory in bounds.
        add(&["-accel", "tcg,thread=multi,tb-size=128", "-nodefaults", "-display", "none"]);
        add(&[
            "-m",
            &specification.memory.to_string(),
            "-smp",
            &specification.processors.to_string(),
        ]);
        add(&[
            "-kernel",
            &images.kernel.to_string_lossy(),
            "-initrd",
            &images.initramfs.to_string_lossy(),
        ]);
        add(&[
            "-chardev",
            &format!("file,id=console,path={},append=on", file("console").display()),
        ]);
        add(&[
            "-serial",
            "chardev:console",
            "-qmp",
            &format!("unix:{},server=on,wait=off", file("qmp").display()),
        ]);
        add(&["-device", "virtio-serial-pci"]);
        for port in ["shell", "fence"] {
            let socket = file(port);
            add(&[
                "-chardev",
                &format!("socket,id={port},path={},server=on,wait=off", socket.display()),
            ]);
            add(&["-device", &format!("virtserialport,chardev={port},name={port}")]);
        }
        for (link, card) in cards.iter().enumerate() {
            words.push_str(&format!(" lab.net=eth{link}:{}/24", address(link, number)));
            add(&["-netdev", &format!("{card},id=net{link}")]);
            let mac = format!("52:54:00:09:{link:02x}:{number:02x}");
            add(&[
                "-device",
                &format!("virtio-net-pci,netdev=net{link},id=card{link},romfile=,mac={mac}"),
            ]);
        }
        let mut disks = specification.disks.clone();
        if specification.system != System::Bare {
            let root = file("root");
            let light = specification.system.is_light();
            images::copy_sparse(images.root(specification.system), &root)?;
            disks.insert(0, Disk { path: root, shared: false });
            words.push_str(" root=/dev/vda");
            if light {
                words.push_str(" lab.init=/usr/local/sbin/lab-init");
            }
        }
        for (n, disk) in disks.iter().enumerate() {
            // The host's cache outlives the emulator, so flushing to the host's disk would cost time and
            // change nothing: a loss of power here loses what the guest had not yet written.
            let locking = if disk.shared { "off" } else { "on" };
            let drive = format!(
                "file={},file.locking={locking},if=none,id=disk{n},format=raw,cache=unsafe",
                disk.path.display()
            );
            let device = format!("virtio-blk-pci,drive=disk{n},id=drive{n}");
            add(&["-drive", &drive, "-device", &device]);
        }
        match watchdog_driver().as_str() {
            "i6300esb" => add(&["-device", "i6300esb", "-action", "watchdog=reset"]),
            // It is part of this board's chip.
            "iTCO_wdt" => add(&["-machine", "q35", "-global", "ICH9-LPC.noreboot=false"]),
            _ => {}
        }
        add(&["-append", &words]);
        let sockets = vec![
            file("shell"),
            file("fence"),
            file("qmp"),
            directory.join(format!("link0-{name}.card")),
            directory.join(format!("link1-{name}.card")),
        ];
        let power = Arc::new(PowerSwitch::new(name, arguments, file("emulator"), sockets));
        Ok(Self {
            name: name.clone(),
            number,
            directory: directory.to_owned(),
            power,
            shell: None,
            qmp: None,
        })
    }

    /// Its host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the network `link`.
    pub fn address(&self, link: usize) -> String {
        address(link, self.number).to_string()
    }

    /// Its power switch.
    pub fn power(&self) -> Arc<PowerSwitch> {
        Arc::clone(&self.power)
    }

    pub(super) fn fence_socket(&self) -> PathBuf {
        self.file("fence")
    }

    /// Switches it on and returns at once, so that several machines boot at the same time.
    ///
    /// # Errors
    /// When the emulator does not start.
    pub fn power_on(&mut self) -> Result<()> {
        self.forget();
        self.power.on()
    }

    /// Takes its power away, in the middle of whatever it does.
    ///
    /// # Errors
    /// When the emulator could not be ended.
    pub fn power_cut(&mut self) -> Result<()> {
        self.forget();
        self.power.off()
    }

    /// Whether it has power: false after `poweroff`, or after another machine had it switched off.
    pub fn is_on(&self) -> bool {
        self.power.is_on()
    }

    /// Stops its processors while the time of the world goes on, as a machine that hangs and comes back.
    ///
    /// # Errors
    /// When it is off.
    pub fn freeze(&self) -> Result<()> {
        self.power.signal(Signal::SIGSTOP)
    }

    /// Ends a [`Self::freeze`].
    ///
    /// # Errors
    /// When it is off.
    pub fn thaw(&self) -> Result<()> {
        self.power.signal(Signal::SIGCONT)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// When the emulator does not answer.
    pub fn reset(&mut self) -> Result<()> {
        self.qmp()?.execute("system_reset", &json!({}))?;
        self.shell = None;
        Ok(())
    }

    /// Waits until the machine has been reset, by a watchdog for example. Call [`Qmp::forget_events`] before.
    ///
    /// # Errors
    /// When it is not reset in time.
    pub fn wait_reset(&mut self, within: Duration) -> Result<()> {
        self.qmp()?.wait_event("RESET", within)?;
        self.shell = None;
        Ok(())
    }

    /// Pulls the cable of network `link`, or plugs it in: the guest sees its carrier go.
    ///
    /// # Errors
    /// When the emulator does not answer.
    pub fn set_cable(&mut self, link: usize, plugged: bool) -> Result<()> {
        self.qmp()?.execute("set_link", &json!({"name": format!("card{link}"), "up": plugged}))?;
        Ok(())
    }

    /// Pulls disk `number` out (0 is the first, `/dev/vda`) while the machine runs: what uses it gets errors. It is in
    /// again after the next [`Self::power_on`].
    ///
    /// # Errors
    /// When the emulator does not answer, or the guest does not let it go.
    pub fn unplug_disk(&mut self, number: usize) -> Result<()> {
        self.qmp()?.forget_events()?;
        self.qmp()?.execute("device_del", &json!({"id": format!("drive{number}")}))?;
        self.qmp()?.wait_event("DEVICE_DELETED", COMMAND)?;
        Ok(())
    }

    /// The emulator's control socket.
    ///
    /// # Errors
    /// When the machine is off.
    pub fn qmp(&mut self) -> Result<&mut Qmp> {
        let connected = match self.qmp.take() {
            Some(qmp) => qmp,
            None if self.is_on() => Qmp::connect(&self.name, &self.file("qmp"))?,
            None => return Err(LabError::Gone(self.name.clone())),
        };
        Ok(self.qmp.insert(connected))
    }

    /// Waits until its shell answers and answers how long that took. In a Debian, services may still be starting.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn wait_booted(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.run_within("true", BOOT)?;
        Ok(started.elapsed())
    }

    /// Waits until systemd has started everything.
    ///
    /// # Errors
    /// When it does not end, or when a unit has failed.
    pub fn wait_running(&mut self) -> Result<()> {
        self.wait_booted()?;
        // A boot that is over with failed units says "degraded": not worth waiting for.
        self.until("systemctl is-system-running | grep -qxE 'running|degraded'", BOOT)?;
        self.ok("systemctl --no-pager --plain --failed; systemctl is-system-running").map(drop)
    }

    /// Runs a command and answers how it ended.
    ///
    /// # Errors
    /// When the machine does not answer.
    pub fn run(&mut self, command: &str) -> Result<Output> {
        self.run_within(command, COMMAND)
    }

    /// Runs a command that must succeed, and answers what it printed.
    ///
    /// # Errors
    /// When it fails, or the machine does not answer.
    pub fn ok(&mut self, command: &str) -> Result<String> {
        let output = self.run(command)?;
        if output.code == 0 {
            return Ok(output.text);
        }
        let (machine, command) = (self.name.clone(), command.to_owned());
        Err(LabError::Failed { machine, command, code: output.code, text: output.text })
    }

    /// Repeats a command until it succeeds, and answers what it printed then.
    ///
    /// # Errors
    /// When it never succeeds, or the machine does not answer.
    pub fn until(&mut self, command: &str, within: Duration) -> Result<String> {
        let started = Instant::now();
        loop {
            let output = self.run(command)?;
            if output.code == 0 {
                return Ok(output.text);
            }
            let waited = started.elapsed();
            if waited > within {
                let (machine, command) = (self.name.clone(), command.to_owned());
                return Err(LabError::Unmet {
                    machine,
                    command,
                    waited,
                    code: output.code,
                    text: output.text,
                });
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Starts a command that goes on by itself.
    ///
    /// # Errors
    /// When the machine does not answer.
    pub fn spawn(&mut self, command: &str) -> Result<()> {
        self.ok(&format!("setsid sh -c {} >/dev/null 2>&1 </dev/null &", quoted(command))).map(drop)
    }

    /// Runs a command that may take `within`.
    ///
    /// # Errors
    /// When the machine does not answer.
    pub fn run_within(&mut self, command: &str, within: Duration) -> Result<Output> {
        let mut shell = match self.shell.take() {
            Some(shell) => shell,
            None if self.is_on() => Shell::connect(&self.name, &self.file("shell"), BOOT)?,
            None => return Err(LabError::Gone(self.name.clone())),
        };
        // After an error the connection is not used again: a late answer would be taken for another's.
        let output = shell.run(command, within)?;
        self.shell = Some(shell);
        Ok(output)
    }

    fn forget(&mut self) {
        self.shell = None;
        self.qmp = None;
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.directory.join(format!("{}.{kind}", self.name))
    }

    /// What to look at first when a test has failed.
    fn show(&mut self) {
        for kind in ["emulator", "console"] {
            let Ok(bytes) = std::fs::read(self.file(kind)) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(CONSOLE_LINES)..];
            eprintln!("---- {}: {kind}\n{}", self.name, last.join("\n"));
        }
        if self.shell.is_some()
            && let Ok(journal) =
                self.run("if [ -e /var/log/crmd.log ]; then tail -n 150 /var/log/crmd.log; else journalctl -b --no-pager -o short-monotonic -n 150 -u crmd; fi; crm status")
        {
            eprintln!("---- {}: journal\n{}", self.name, journal.text);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
        let _ = self.power_cut();
    }
}
