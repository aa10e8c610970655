//! Requests of clients on their way through the core.

use crate::clock;
use crate::control::Question;
use crate::duties::Flow;
use crate::event_loop::Daemon;
use crate::happening::Happening;
use crm_api::{ConfigReport, Problem, Refusal, Reply, Request, VersionReport};
use crm_core::event::Event;
use crm_core::id::RequestId;
use crm_core::operator::Outcome;
use crm_core::time::{Span, Time};
use crm_core::{Input, Node, Shutdown};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// After this long a status is answered with this node's own view.
const STATUS_PATIENCE: Span = Span::secs(3);
/// After this long nobody knows what became of a command.
const COMMAND_PATIENCE: Span = Span::secs(30);

/// Those the core has not answered yet; bounded by the connections.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: BTreeMap<RequestId, Open>,
    last: u64,
}

#[derive(Debug)]
struct Open {
    answer: oneshot::Sender<Reply>,
    until: Time,
    status: bool,
}

impl Questions {
    fn add(&mut self, answer: oneshot::Sender<Reply>, patience: Span, status: bool) -> RequestId {
        self.last += 1;
        let request = RequestId(self.last);
        self.open.insert(request, Open { answer, until: clock::now() + patience, status });
        request
    }

    /// The client may have gone, and the core may answer late; both are fine.
    pub(crate) fn answer(&mut self, request: RequestId, reply: Reply) {
        if let Some(open) = self.open.remove(&request) {
            let _ = open.answer.send(reply);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.open.values().map(|open| open.until).min()
    }

    /// Answers for a core that did not.
    pub(crate) fn expire(&mut self, now: Time, node: &Node) {
        let late: Vec<RequestId> =
            self.open.iter().filter(|(_, open)| open.until <= now).map(|(id, _)| *id).collect();
        for request in late {
            let status = self.open.get(&request).is_some_and(|open| open.status);
            let reply = if status {
                Reply::Status(Box::new(node.status(now)))
            } else {
                Reply::Outcome(Outcome::Unknown {
                    reason: format!("no answer within {COMMAND_PATIENCE}; look at `crm status`"),
                })
            };
            self.answer(request, reply);
        }
    }
}

impl Daemon {
    pub(crate) fn question(&mut self, question: Question) -> Result<Flow, String> {
        let Question { request, who, answer } = question;
        let reply = match request {
            Request::Status => {
                let request = self.questions.add(answer, STATUS_PATIENCE, true);
                return self.input(Input::StatusWanted { request });
            }
            Request::Command(command) => {
                let text = format!("{who}: {}", crate::control::describe(&command));
                self.record(Event::info("operator", text));
                let request = self.questions.add(answer, COMMAND_PATIENCE, false);
                return self.input(Input::Operator { request, command: *command });
            }
            Request::Keep | Request::Leave => {
                let _ = answer.send(Reply::Ending);
                let keep = request == Request::Keep;
                let how = if keep { Shutdown::Keep } else { Shutdown::Leave };
                return self.end(how, &who);
            }
            Request::Links => Reply::Links(self.parts.links.report(&self.node.refused())),
            Request::Devices => Reply::Devices(self.parts.fencing.report()),
            Request::FenceDrill { node, on } => {
                let power = if on { ", and switches it on" } else { "" };
                let text = format!("{who}: tries the fencing devices of node {node}{power}");
                self.record(Event::info("operator", text));
                let tell = self.parts.tell.clone();
                // The report is made by the loop, which has the devices.
                self.parts.fencing.drill(node, on, move || {
                    let request = Request::Devices;
                    tell.tell(Happening::Question(Question { request, who, answer }));
                });
                return Ok(Flow::Go);
            }
            Request::Config => Reply::Config(ConfigReport {
                digest: self
                    .config
                    .as_ref()
                    .map(|text| format!("{:032x}", crm_core::digest::digest(text.as_bytes()).0)),
                text: self.config.as_ref().map(ToString::to_string),
            }),
            Request::Witness => Reply::Problem(Problem {
                kind: Refusal::BadRequest,
                reason: "this is a node of a cluster, not a witness".to_owned(),
                hint: "`crm status` shows how this node sees its witness".to_owned(),
            }),
            // The connection answers this one itself.
            Request::Events { .. } => Reply::End,
            Request::Version => Reply::Version(VersionReport {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                node: self.id.clone(),
                incarnation: self.incarnation,
                pid: std::process::id(),
                uptime_secs: clock::now().since(self.started).as_micros() / 1_000_000,
                heap_bytes: crate::sys::heap_in_use(),
            }),
        };
        let _ = answer.send(reply);
        Ok(Flow::Go)
    }
}
