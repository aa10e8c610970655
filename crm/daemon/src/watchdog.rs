//! The kernel's watchdog: fed when the core says so, never on opening alone (H16).
//!
//! A file in the run directory says that it is armed, and names the device, so that the next daemon knows. A daemon that ends without [`WatchdogDuty::Disarm`] leaves it running: the kernel resets the
//! machine unless a new daemon earns the right to feed it (AS4).

use crate::happening::Tell;
use crm_core::event::Event;
use crm_core::time::Span;
use crm_core::{Input, WatchdogDuty};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The device of this node, if the configuration names one.
#[derive(Debug)]
pub(crate) struct Watchdog {
    tell: Tell,
    device: Option<PathBuf>,
    /// The one that an earlier daemon left ticking: it is fed or closed before any other, and also where the
    /// configuration names another one by now, or none.
    left: Option<PathBuf>,
    open: Option<File>,
    /// Exists while the watchdog may be armed, until the machine boots.
    marker: PathBuf,
    /// A failure is told once, not at every feeding.
    complained: bool,
}

impl Watchdog {
    pub(crate) fn new(tell: Tell, marker: PathBuf) -> Watchdog {
        let left = left_by(&marker);
        Watchdog { tell, device: None, left, open: None, marker, complained: false }
    }

    /// An earlier daemon, since this machine booted, armed it and did not disarm it.
    pub(crate) fn was_left_armed(marker: &Path) -> bool {
        marker.exists()
    }

    /// The configuration says which device. One that is armed already stays armed until it is
    /// disarmed in order.
    pub(crate) fn configure(&mut self, device: Option<&str>) {
        let device = device.map(PathBuf::from);
        if device != self.device {
            self.complained = false;
        }
        if self.open.is_none() || device.is_some() {
            self.device = device;
        }
    }

    pub(crate) fn carry_out(&mut self, duty: WatchdogDuty) {
        match duty {
            WatchdogDuty::Feed { margin } => self.feed(margin),
            WatchdogDuty::Disarm => self.disarm(),
        }
    }

    fn feed(&mut self, margin: Span) {
        let Some(path) = self.left.as_ref().or(self.device.as_ref()).cloned() else { return };
        let result = match &mut self.open {
            Some(device) => device.write_all(b"\0"),
            None => arm(&path, margin, &self.marker).map(|device| {
                self.open = Some(device);
                self.tell.input(Input::WatchdogArmed { armed: true });
                let text = format!(
                    "{} is armed: {} after the last feed the kernel resets this machine",
                    path.display(),
                    margin
                );
                self.tell.event(Event::info("watchdog-armed", text));
            }),
        };
        match result {
            Ok(()) => self.complained = false,
            Err(error) => {
                if !self.complained {
                    self.complained = true;
                    if self.open.is_none() {
                        self.tell.input(Input::WatchdogArmed { armed: false });
                    }
                    let text = format!("{} cannot be fed: {error}", path.display());
                    self.tell.event(Event::error("watchdog-failed", text));
                }
            }
        }
    }

    fn disarm(&mut self) {
        let open = self.open.take();
        if open.is_none() && !Watchdog::was_left_armed(&self.marker) {
            return;
        }
        let device = match (open, self.left.as_ref().or(self.device.as_ref())) {
            (Some(device), _) => Ok(device),
            // Left armed by an earlier daemon: opened only to be closed in order.
            (None, Some(path)) => OpenOptions::new().write(true).open(path),
            (None, None) => return,
        };
        self.left = None;
        // The magic character, without which closing leaves it armed.
        let result = device.and_then(|mut device| device.write_all(b"V"));
        let result = result.and_then(|()| std::fs::remove_file(&self.marker));
        self.tell.input(Input::WatchdogArmed { armed: false });
        if let Err(error) = result {
            let text = format!("the watchdog cannot be disarmed: {error}");
            self.tell.event(Event::error("watchdog-failed", text));
        }
    }
}

/// A device that is not there any more does not tick either.
fn left_by(marker: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(marker).ok()?;
    let device = PathBuf::from(text.trim_end_matches('\n'));
    device.exists().then_some(device)
}

/// The marker comes first: from the opening on, the kernel counts.
fn arm(path: &Path, margin: Span, marker: &Path) -> io::Result<File> {
    let existed = marker.exists();
    std::fs::write(marker, format!("{}\n", path.display()))?;
    open(path, margin).inspect_err(|_| {
        if !existed {
            let _ = std::fs::remove_file(marker);
        }
    })
}

fn open(path: &Path, margin: Span) -> io::Result<File> {
    let device = OpenOptions::new().write(true).open(path)?;
    let seconds = i32::try_from(margin.as_micros().div_ceil(1_000_000)).unwrap_or(i32::MAX);
    match crate::sys::watchdog_margin(&device, seconds) {
        // A longer margin than the others count on would let two nodes run one group (H17).
        Ok(chosen) if chosen > seconds => {
            let mut device = device;
            let _ = device.write_all(b"V");
            return Err(io::Error::other(format!(
                "expected a margin of {seconds} s, the driver takes no less than {chosen} s"
            )));
        }
        Ok(_) => {}
        Err(error) => {
            let mut device = device;
            let _ = device.write_all(b"V");
            return Err(io::Error::other(format!("its margin cannot be set: {error}")));
        }
    }
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::happening::Happening;

    #[test]
    fn h16_configuring_a_watchdog_does_not_touch_it() {
        let dir = crate::testing::Dir::new();
        let device = dir.path().join("watchdog");
        let (tell, mut inbox) = Tell::channel();
        let mut watchdog = Watchdog::new(tell, dir.path().join("armed"));
        watchdog.configure(device.to_str());
        watchdog.carry_out(WatchdogDuty::Disarm);
        assert!(inbox.try_recv().is_err() && !device.exists());
    }

    /// The daemon was away when the configuration dropped the device, or took another one: the old one ticks.
    #[test]
    fn h16_what_an_earlier_daemon_left_ticking_is_fed_and_closed_whatever_is_configured() {
        let dir = crate::testing::Dir::new();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        let marker = dir.path().join("armed");
        for configured in [None, new.to_str()] {
            for file in [&old, &new] {
                std::fs::write(file, "").expect("write");
            }
            std::fs::write(&marker, format!("{}\n", old.display())).expect("write");
            let (tell, mut inbox) = Tell::channel();
            let mut watchdog = Watchdog::new(tell, marker.clone());
            watchdog.configure(configured);
            // An ordinary file takes no margin; which one was tried is told.
            watchdog.carry_out(WatchdogDuty::Feed { margin: Span::secs(10) });
            let mut told = String::new();
            while let Ok(happening) = inbox.try_recv() {
                told.push_str(&format!("{happening:?}"));
            }
            assert!(told.contains(&format!("{} cannot be fed", old.display())), "{told}");
            std::fs::write(&old, "").expect("write");
            watchdog.carry_out(WatchdogDuty::Disarm);
            let written = |file: &Path| std::fs::read_to_string(file).expect("read");
            assert_eq!((written(&old).as_str(), written(&new).as_str()), ("V", ""));
            assert!(!marker.exists());
            assert!(matches!(
                inbox.try_recv(),
                Ok(Happening::Input(Input::WatchdogArmed { armed: false }))
            ));
        }
    }

    #[test]
    fn a_device_that_cannot_be_armed_is_reported_once_and_never_counts_as_armed() {
        let dir = crate::testing::Dir::new();
        // An ordinary file takes writes, and no margin: it would never reset anything.
        let device = dir.path().join("watchdog");
        std::fs::write(&device, "").expect("write");
        let (tell, mut inbox) = Tell::channel();
        let mut watchdog = Watchdog::new(tell, dir.path().join("armed"));
        watchdog.configure(device.to_str());
        for _ in 0..100 {
            watchdog.carry_out(WatchdogDuty::Feed { margin: Span::secs(10) });
        }
        let mut told = Vec::new();
        while let Ok(happening) = inbox.try_recv() {
            told.push(happening);
        }
        assert!(
            matches!(
                told.as_slice(),
                [
                    Happening::Input(Input::WatchdogArmed { armed: false }),
                    Happening::Event(Event { .. })
                ]
            ),
            "{told:?}"
        );
    }
}
