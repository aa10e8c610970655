//! Talking to the daemon of this node.

use crate::args::Place;
use crate::output::Failure;
use crm_api::{Client, Exit, Reply, Request};
use crm_core::operator::{Command, Outcome};
use crm_core::status::Status;

/// A connection for several requests.
pub(crate) struct Session {
    client: Client,
}

impl Session {
    pub(crate) fn open(place: &Place) -> Result<Session, Failure> {
        Ok(Session { client: Client::connect(place.socket())? })
    }

    pub(crate) fn status(&mut self) -> Result<Status, Failure> {
        match self.client.request(Request::Status)? {
            Reply::Status(status) => Ok(*status),
            other => Err(unexpected(&other)),
        }
    }

    /// The text of the configuration in force, if the node knows one.
    pub(crate) fn config(&mut self) -> Result<Option<String>, Failure> {
        match self.client.request(Request::Config)? {
            Reply::Config(report) => Ok(report.text),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn ask(&mut self, request: Request) -> Result<Reply, Failure> {
        Ok(self.client.request(request)?)
    }

    /// Asks for a change and returns the sentence that says it is committed.
    pub(crate) fn change(&mut self, command: Command) -> Result<String, Failure> {
        let reply = self.client.request(Request::Command(Box::new(command)))?;
        let Reply::Outcome(outcome) = reply else { return Err(unexpected(&reply)) };
        let exit = Exit::from(&outcome);
        match outcome {
            Outcome::Done { message, .. } => Ok(message),
            Outcome::Refused { reason, hint } => Err(Failure::new(exit, reason, hint)),
            Outcome::NoQuorum { reason } => {
                Err(Failure::new(exit, reason, "`crm status` shows who is missing"))
            }
            Outcome::Unknown { reason } => Err(Failure::new(
                exit,
                format!("it is not known whether this was committed: {reason}"),
                "`crm status` shows what is in force; asking again does no harm",
            )),
        }
    }
}

fn unexpected(reply: &Reply) -> Failure {
    let text = format!("{reply:?}");
    let start: String = text.chars().take(60).collect();
    Failure::failed(format!("the daemon answered something else than was asked: {start}"))
}
