//! One unit: its state, and the jobs that change it.

use super::bus::{Bus, Refused};
use super::message::Value;
use crate::contract::{Call, Failure, Outcome, Watch};
use crate::deadline::{Deadline, Pause};

pub(super) struct Unit<'a> {
    bus: Bus,
    name: &'a str,
    path: String,
    deadline: Deadline,
}

impl<'a> Unit<'a> {
    /// Has systemd load it; a unit that does not exist is loaded as one that was not found.
    pub(super) fn new(name: &'a str, deadline: Deadline) -> Result<Unit<'a>, Failure> {
        let mut bus = Bus::connect(deadline)?;
        let loaded = bus.call(MANAGER, MANAGER_INTERFACE, "LoadUnit", SYSTEMD, &[name], deadline);
        let path = match loaded.map_err(|refused| failure("cannot load", name, refused))?.first() {
            Some(Value::Text(path)) => path.clone(),
            _ => return Err(Failure::generic(format!("systemd does not say what {name} is"))),
        };
        Ok(Unit { bus, name, path, deadline })
    }

    pub(super) fn validate(&mut self) -> Outcome {
        match self.property("LoadState")?.as_str() {
            "loaded" => Ok(()),
            other => Err(Failure::installed(format!(
                "expected the unit {} to be loaded, found it {other}; see `systemctl status {}`",
                self.name, self.name
            ))),
        }
    }

    pub(super) fn status(&mut self, call: &Call) -> Outcome {
        call.channel.watch(Watch::Unit(self.name.to_owned()));
        let state = self.property("ActiveState")?;
        match state.as_str() {
            "active" | "reloading" | "refreshing" => Ok(()),
            "inactive" => Err(Failure::not_running(format!("{} is inactive", self.name))),
            "failed" => {
                let why = self.result();
                Err(Failure::not_running(format!(
                    "{0} is in state `failed` ({why}); see `systemctl status {0}`",
                    self.name
                )))
            }
            other => Err(Failure::generic(format!("{} is {other}", self.name))),
        }
    }

    pub(super) fn start(&mut self, call: &Call) -> Outcome {
        self.validate()?;
        let state = self.property("ActiveState")?;
        if state != "active" {
            self.job("StartUnit", call)?;
        }
        // A service that ends at once has a job that is done all the same.
        let state = self.property("ActiveState")?;
        if state != "active" {
            let why = self.result();
            return Err(Failure::generic(format!(
                "expected {0} to be active after its start, found {state} ({why}); see `systemctl \
                 status {0}`",
                self.name
            )));
        }
        call.channel.watch(Watch::Unit(self.name.to_owned()));
        Ok(())
    }

    pub(super) fn stop(&mut self, call: &Call) -> Outcome {
        if !self.is_down()? {
            self.job("StopUnit", call)?;
        }
        // A restart of its own (`Restart=`) may be under way.
        let mut pause = Pause::new();
        while !self.is_down()? {
            if !pause.sleep(self.deadline) {
                let state = self.property("ActiveState")?;
                return Err(Failure::generic(format!(
                    "expected {} to be inactive after its stop, found {state}",
                    self.name
                )));
            }
        }
        Ok(())
    }

    fn is_down(&mut self) -> Result<bool, Failure> {
        Ok(matches!(self.property("ActiveState")?.as_str(), "inactive" | "failed"))
    }

    /// Queues a job and waits for its result.
    fn job(&mut self, verb: &str, call: &Call) -> Outcome {
        let arguments = [self.name, "replace"];
        let answer =
            self.bus.call(MANAGER, MANAGER_INTERFACE, verb, SYSTEMD, &arguments, self.deadline);
        let answer = answer.map_err(|refused| failure("systemd refuses", self.name, refused))?;
        let Some(Value::Text(job)) = answer.first().cloned() else {
            return Err(Failure::generic(format!("systemd gave no job for `{verb}`")));
        };
        call.channel.progress(format!("waiting for systemd's job {job}"));
        loop {
            let signal = self.bus.signal(self.deadline).map_err(|error| {
                Failure::generic(format!(
                    "systemd's job for {} did not end: {error}; see `systemctl list-jobs`",
                    self.name
                ))
            })?;
            // Number, job, unit, result.
            if signal.member != "JobRemoved" {
                continue;
            }
            let [_, Value::Text(ended), _, Value::Text(result)] = signal.arguments.as_slice()
            else {
                continue;
            };
            if *ended != job {
                continue;
            }
            return match result.as_str() {
                "done" | "skipped" => Ok(()),
                other => {
                    let why = self.result();
                    Err(Failure::generic(format!(
                        "expected systemd's job for {} to be done, found `{other}` ({why}); see \
                         `systemctl status {}`",
                        self.name, self.name
                    )))
                }
            };
        }
    }

    /// Why a service ended, in systemd's word; other units have none.
    fn result(&mut self) -> String {
        let asked = self.get("org.freedesktop.systemd1.Service", "Result");
        asked.unwrap_or_else(|_| "no result".to_owned())
    }

    fn property(&mut self, name: &str) -> Result<String, Failure> {
        self.get("org.freedesktop.systemd1.Unit", name)
            .map_err(|refused| failure("cannot ask for the state of", self.name, refused))
    }

    fn get(&mut self, interface: &str, name: &str) -> Result<String, Refused> {
        let arguments = [interface, name];
        let properties = "org.freedesktop.DBus.Properties";
        let path = self.path.clone();
        let answer = self.bus.call(&path, properties, "Get", SYSTEMD, &arguments, self.deadline)?;
        match answer.into_iter().next() {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(Refused::Failed(Failure::generic(format!("systemd does not say `{name}`")))),
        }
    }
}

fn failure(what: &str, unit: &str, refused: Refused) -> Failure {
    match refused {
        Refused::Failed(failure) => failure,
        Refused::Said(name, words) => {
            let reason = format!("{what} {unit}: {words} ({name})");
            match name.ends_with("AccessDenied") {
                true => Failure::new(crate::contract::Exit::Permission, reason),
                false => Failure::generic(reason),
            }
        }
    }
}

pub(super) const SYSTEMD: &str = "org.freedesktop.systemd1";
pub(super) const MANAGER: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER_INTERFACE: &str = "org.freedesktop.systemd1.Manager";
