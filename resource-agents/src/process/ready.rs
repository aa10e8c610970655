//! When the command counts as started.

use std::time::Duration;

use crate::child;
use crate::contract::{Failure, Parameters};
use crate::deadline::Deadline;
use crate::running::Readiness;
use crate::tcp;

/// The signs of readiness; all that are given must show.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) command: Option<Vec<String>>,
    pub(super) tcp: Option<String>,
    /// Counts only if nothing else does.
    pub(super) settle: Duration,
}

impl Ready {
    pub(super) fn new(parameters: &Parameters) -> Result<Ready, Failure> {
        let shell = parameters.boolean("shell");
        let tcp = parameters.text("ready_tcp");
        if let Some(text) = tcp
            && !text.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            })
        {
            return Err(Failure::configured(format!(
                "`ready_tcp` must be ADDRESS:PORT, found {text:?}"
            )));
        }
        Ok(Ready {
            command: parameters
                .text("ready")
                .map(|text| super::command(text, shell, "ready"))
                .transpose()?,
            tcp: tcp.map(str::to_owned),
            settle: parameters.duration("settle"),
        })
    }
}

impl Readiness for Ready {
    fn settle(&self) -> Option<Duration> {
        (self.command.is_none() && self.tcp.is_none()).then_some(self.settle)
    }

    fn look(&self, _: i32, deadline: Deadline) -> Result<(), String> {
        if let Some(address) = &self.tcp {
            tcp::connect(address, deadline)?;
        }
        if let Some(words) = &self.command {
            let finished = child::run(&mut super::plain(words), deadline)
                .map_err(|error| format!("cannot run {}: {error}", words[0]))?;
            if !finished.succeeded() {
                return Err(format!("its `ready` command says no: {}", finished.summary()));
            }
        }
        Ok(())
    }
}
