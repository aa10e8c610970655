//! Requests and replies.

use crate::report::{ConfigReport, DevicesReport, LinksReport, VersionReport, WitnessReport};
use crate::{ApiError, LINE_BYTES_MAX, PROTOCOL_VERSION};
use crm_core::event::Event;
use crm_core::id::NodeId;
use crm_core::operator::{Command, Outcome};
use crm_core::status::Status;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// The coordinator's view, or this node's own when that is out of reach.
    Status,
    /// A change; for root and `operators:` only.
    Command(Box<Command>),
    /// Events after number `since` (all that are kept if none), then, with `follow`, those to come.
    Events { since: Option<u64>, follow: bool },
    /// Sockets, counters and refused packets of this node.
    Links,
    /// What the fencing devices of the other nodes answered to this node.
    Devices,
    /// Ask the devices of a node now; with `on`, switch it on.
    FenceDrill { node: NodeId, on: bool },
    /// The configuration in force.
    Config,
    /// Which daemon this is.
    Version,
    /// What a witness serves; only a witness answers it.
    Witness,
    /// End the daemon and leave everything running (package upgrade).
    Keep,
    /// End the daemon after its groups have moved or stopped (R14).
    Leave,
}

impl Request {
    /// Whether it changes anything, and so is for root and operators only.
    #[must_use]
    pub fn changes(&self) -> bool {
        matches!(
            self,
            Request::Command(_) | Request::Keep | Request::Leave | Request::FenceDrill { .. }
        )
    }
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    Status(Box<Status>),
    Outcome(Outcome),
    Event(StampedEvent),
    /// So many events could not be kept for this listener.
    Missed(u64),
    /// No more events.
    End,
    Links(LinksReport),
    Devices(DevicesReport),
    Config(ConfigReport),
    Version(VersionReport),
    Witness(WitnessReport),
    /// The daemon has begun to end.
    Ending,
    /// The request was not carried out.
    Problem(Problem),
}

/// An event with its place and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StampedEvent {
    /// Counts from 1 in each run of the daemon.
    pub number: u64,
    /// Wall clock, RFC 3339, UTC.
    pub time: String,
    pub event: Event,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub kind: Refusal,
    /// What was expected, what was found.
    pub reason: String,
    /// What to do next; may be empty.
    pub hint: String,
}

/// Kinds of [`Problem`]; each has an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The line was not understood.
    BadRequest,
    /// This user may only read.
    NotPermitted,
    /// Too many connections, or a line too long.
    Limit,
    /// The daemon did not get an answer in time.
    TimedOut,
    /// The daemon is starting or ending.
    NotReady,
}

/// A request on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLine {
    pub v: u32,
    pub request: Request,
}

/// A reply on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyLine {
    pub v: u32,
    pub reply: Reply,
}

/// One line with its newline.
///
/// # Errors
/// [`ApiError::Protocol`] if it cannot be written as JSON.
pub fn encode<T: Serialize>(line: &T) -> Result<Vec<u8>, ApiError> {
    let mut bytes = serde_json::to_vec(line)
        .map_err(|error| ApiError::Protocol(format!("cannot be written as JSON: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The part of a line that says what version it is.
#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

/// Reads one line; its version is looked at first, so that a newer peer gets a clear answer.
///
/// # Errors
/// [`ApiError::Version`] for another version, [`ApiError::Protocol`] for anything not understood.
pub fn decode<T: DeserializeOwned>(line: &[u8]) -> Result<T, ApiError> {
    let version: VersionOnly = serde_json::from_slice(line).map_err(|error| {
        ApiError::Protocol(format!("expected one JSON object with `v`, found: {error}"))
    })?;
    if version.v != PROTOCOL_VERSION {
        return Err(ApiError::Version { found: version.v, known: PROTOCOL_VERSION });
    }
    serde_json::from_slice(line)
        .map_err(|error| ApiError::Protocol(format!("not understood: {error}")))
}

impl RequestLine {
    /// The request in the present version.
    #[must_use]
    pub fn new(request: Request) -> RequestLine {
        RequestLine { v: PROTOCOL_VERSION, request }
    }

    /// Its line.
    ///
    /// # Errors
    /// [`ApiError::TooLong`] if the daemon would refuse it for its length.
    pub fn to_line(&self) -> Result<Vec<u8>, ApiError> {
        let line = encode(self)?;
        if line.len() > LINE_BYTES_MAX {
            return Err(ApiError::TooLong { bytes: line.len(), most: LINE_BYTES_MAX });
        }
        Ok(line)
    }
}

impl ReplyLine {
    /// The reply in the present version.
    #[must_use]
    pub fn new(reply: Reply) -> ReplyLine {
        ReplyLine { v: PROTOCOL_VERSION, reply }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::id::{Digest, GroupId, Incarnation};

    fn there_and_back(request: Request) {
        let line = RequestLine::new(request);
        let bytes = line.to_line().expect("encodes");
        assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 1, "one line");
        assert_eq!(decode::<RequestLine>(&bytes).expect("decodes"), line);
    }

    #[test]
    fn requests_survive_the_wire() {
        there_and_back(Request::Status);
        there_and_back(Request::Events { since: Some(7), follow: true });
        there_and_back(Request::Command(Box::new(Command::Stop { group: GroupId::new("db") })));
        there_and_back(Request::Command(Box::new(Command::Apply {
            text: "a\nb\u{0}\"".to_owned(),
            base: Some(Digest(u128::MAX)),
        })));
    }

    #[test]
    fn a_status_with_128_bit_numbers_survives_the_wire() {
        let status = Status {
            incarnation: Incarnation(u128::MAX - 1),
            config: Digest(u128::MAX),
            ..Status::default()
        };
        let line = ReplyLine::new(Reply::Status(Box::new(status)));
        let bytes = encode(&line).expect("encodes");
        assert_eq!(decode::<ReplyLine>(&bytes).expect("decodes"), line);
    }

    #[test]
    fn another_version_is_named_before_anything_else_is_judged() {
        let error = decode::<RequestLine>(br#"{"v":2,"request":{"fly":{}}}"#).expect_err("refused");
        assert!(matches!(error, ApiError::Version { found: 2, known: 1 }), "{error:?}");
    }

    #[test]
    fn nonsense_is_a_protocol_error() {
        for line in [&b""[..], b"[]", b"{}", br#"{"v":1}"#, br#"{"v":1,"request":"fly"}"#, b"\xff"]
        {
            assert!(matches!(decode::<RequestLine>(line), Err(ApiError::Protocol(_))), "{line:?}");
        }
    }

    #[test]
    fn a_request_that_is_too_long_is_refused_before_it_is_sent() {
        let command = Command::Apply { text: "x".repeat(LINE_BYTES_MAX), base: None };
        let line = RequestLine::new(Request::Command(Box::new(command)));
        assert!(matches!(line.to_line(), Err(ApiError::TooLong { .. })));
    }
}
