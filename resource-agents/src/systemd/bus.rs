//! A connection to systemd: its own socket, which works without a bus, else the system's bus.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::message::{self, Message, Value};
use crate::contract::Failure;
use crate::deadline::Deadline;

pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    bytes: Vec<u8>,
    signals: Vec<Message>,
}

/// Why a call brought no answer.
#[derive(Debug)]
pub(super) enum Refused {
    /// systemd's own error: its name, and its words.
    Said(String, String),
    Failed(Failure),
}

impl Bus {
    pub(super) fn connect(deadline: Deadline) -> Result<Bus, Failure> {
        let mut tried = Vec::new();
        for (socket, is_bus) in super::SOCKETS {
            match Bus::connect_to(socket, is_bus, deadline) {
                Ok(bus) => return Ok(bus),
                Err(error) => tried.push(format!("{socket}: {error}")),
            }
        }
        Err(Failure::installed(format!(
            "expected systemd to answer, found {}; does systemd run this machine, and is this root?",
            tried.join("; ")
        )))
    }

    fn connect_to(socket: &str, is_bus: bool, deadline: Deadline) -> Result<Bus, String> {
        let explain = |error: io::Error| error.to_string();
        let stream = UnixStream::connect(socket).map_err(explain)?;
        // What is written is short; who does not even take that is not alive.
        let patience = deadline.remaining().clamp(SHORTEST_WRITE, LONGEST_WRITE);
        stream.set_write_timeout(Some(patience)).map_err(explain)?;
        let mut bus = Bus { stream, serial: 0, bytes: Vec::new(), signals: Vec::new() };
        bus.stream.write_all(&super::greeting()).map_err(explain)?;
        while !bus.bytes.contains(&b'\n') {
            if bus.bytes.len() > super::GREETING_MAX {
                return Err("it greets without an end".to_owned());
            }
            bus.receive(deadline).map_err(explain)?;
        }
        if !bus.bytes.starts_with(b"OK ") {
            return Err("it does not let this user in".to_owned());
        }
        bus.bytes.clear();
        for words in super::opening(is_bus) {
            bus.call(
                words.path,
                words.interface,
                words.member,
                words.destination,
                words.arguments,
                deadline,
            )
            .map_err(|refused| match refused {
                Refused::Said(name, text) => format!("{name}: {text}"),
                Refused::Failed(failure) => failure.reason,
            })?;
        }
        Ok(bus)
    }

    /// Calls and waits for the answer; signals that come meanwhile are kept.
    pub(super) fn call(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        destination: &str,
        arguments: &[&str],
        deadline: Deadline,
    ) -> Result<Vec<Value>, Refused> {
        let failed = |error: io::Error| {
            Refused::Failed(Failure::generic(format!("systemd did not answer `{member}`: {error}")))
        };
        self.serial += 1;
        let serial = self.serial;
        let bytes = message::call(serial, path, interface, member, destination, arguments);
        self.stream.write_all(&bytes).map_err(failed)?;
        loop {
            let message = self.next(deadline).map_err(failed)?;
            match message.kind {
                2 if message.reply_to == serial => return Ok(message.arguments),
                3 if message.reply_to == serial => {
                    let words = match message.arguments.into_iter().next() {
                        Some(Value::Text(text)) => text,
                        _ => String::new(),
                    };
                    return Err(Refused::Said(message.error, words));
                }
                4 if self.signals.len() < MOST_SIGNALS => self.signals.push(message),
                _ => {}
            }
        }
    }

    /// The next signal, of those that were kept first.
    pub(super) fn signal(&mut self, deadline: Deadline) -> io::Result<Message> {
        if !self.signals.is_empty() {
            return Ok(self.signals.remove(0));
        }
        loop {
            let message = self.next(deadline)?;
            if message.kind == 4 {
                return Ok(message);
            }
        }
    }

    fn next(&mut self, deadline: Deadline) -> io::Result<Message> {
        loop {
            let size = message::size(&self.bytes).map_err(io::Error::other)?;
            if let Some(size) = size.filter(|size| self.bytes.len() >= *size) {
                let whole: Vec<u8> = self.bytes.drain(..size).collect();
                match message::parse(&whole) {
                    Some(message) => return Ok(message),
                    None => return Err(io::Error::other("systemd sent a damaged message")),
                }
            }
            self.receive(deadline)?;
        }
    }

    fn receive(&mut self, deadline: Deadline) -> io::Result<()> {
        let left = deadline.remaining();
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the time is over"));
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(io::Error::other("systemd closed the connection")),
            Ok(count) => {
                self.bytes.extend(&buffer[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the time is over"))
            }
            Err(error) => Err(error),
        }
    }
}

const SHORTEST_WRITE: Duration = Duration::from_millis(1);
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// While one call is open.
const MOST_SIGNALS: usize = 10_000;
