//! When the command counts as started.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::child;
use crate::contract::{Failure, Parameters};
use crate::deadline::Deadline;

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

    pub(super) fn has_signs(&self) -> bool {
        self.command.is_some() || self.tcp.is_some()
    }

    /// Looks once; the error says what is missing yet.
    pub(super) fn look(&self, deadline: Deadline) -> Result<(), String> {
        if let Some(address) = &self.tcp {
            connect(address, deadline)?;
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

fn connect(text: &str, deadline: Deadline) -> Result<(), String> {
    let explain = |error: std::io::Error| format!("nothing accepts at {text}: {error}");
    let addresses: Vec<SocketAddr> = text.to_socket_addrs().map_err(explain)?.collect();
    let mut last = format!("nothing is known of {text}");
    for address in addresses {
        let limit = deadline.remaining().clamp(SHORTEST, LONGEST);
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) if is_own_echo(&stream) => last = format!("nothing accepts at {text} yet"),
            Ok(_) => return Ok(()),
            Err(error) => last = explain(error),
        }
    }
    Err(last)
}

/// A connect to a free port of this machine can meet itself (simultaneous open).
fn is_own_echo(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(here), Ok(there)) if here == there)
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1);
