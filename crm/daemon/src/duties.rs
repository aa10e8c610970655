//! Outputs of the core, carried out in order.

use crate::clock;
use crate::event_loop::Daemon;
use crate::ping;
use crate::systemd;
use crate::timing::mark;
use crm_api::Reply;
use crm_core::event::Event;
use crm_core::model::Cluster;
use crm_core::{Input, Output};
use std::sync::Arc;

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Go,
    End,
}

impl Daemon {
    /// Everything the core wants done now.
    ///
    /// # Errors
    /// The core's reason, if it halts because something failed.
    pub(crate) fn carry_out(&mut self) -> Result<Flow, String> {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Send { to, packet } => self.parts.links.send(&to, &packet),
                Output::Write { write, stored } => {
                    mark(format_args!("write {write} begins"));
                    self.parts.writer.write(write, stored);
                }
                Output::Run(operation) => self.parts.executor.run(*operation),
                Output::Cancel { op } => self.parts.executor.cancel(op),
                Output::Unwatch { group, resource } => {
                    self.parts.watches.forget(&group, &resource);
                }
                Output::Fence { request, target, device } => {
                    self.parts.fencing.fence(request, target, device);
                }
                Output::CancelFence { request } => self.parts.fencing.cancel(request),
                Output::Ping { address } => self.ping(address),
                Output::Reply { request, outcome } => {
                    self.questions.answer(request, Reply::Outcome(outcome));
                }
                Output::Status { request, status } => {
                    self.questions.answer(request, Reply::Status(status));
                }
                Output::Event(event) => self.record(event),
                Output::Configured { cluster, text } => self.configured(&cluster, text)?,
                Output::Watchdog(duty) => self.parts.watchdog.carry_out(duty),
                Output::Halt { reason, failed } => return self.halted(reason, failed),
            }
        }
        Ok(Flow::Go)
    }

    fn ping(&self, address: String) {
        let tell = self.parts.tell.clone();
        let last_problem = self.ping_problem.clone();
        tokio::task::spawn_local(async move {
            let answer = ping::answers(&address).await;
            // Asked again and again while it matters; told once.
            let problem = answer.as_ref().err().cloned();
            if let Some(text) = &problem
                && *last_problem.borrow() != problem
            {
                tell.event(Event::warning("ping-failed", text.clone()));
            }
            *last_problem.borrow_mut() = problem;
            tell.input(Input::Pinged { answered: answer.unwrap_or(false) });
        });
    }

    fn configured(&mut self, cluster: &Arc<Cluster>, text: Arc<str>) -> Result<(), String> {
        let now = clock::now();
        self.parts.links.configure(now, cluster)?;
        // A configuration that does not name this node (it is to join, or was removed).
        self.parts.links.bind_unconfigured(now, &self.unconfigured);
        let own = cluster.node(&self.id);
        let device = own.and_then(|node| node.watchdog.as_deref());
        self.parts.watchdog.configure(device);
        self.parts.fencing.configure(&self.id, cluster);
        *self.parts.shared.operators.borrow_mut() = Arc::from(cluster.operators.clone());
        self.parts.files.in_force(&text);
        self.config = Some(text);
        systemd::status(&format!("node {} of cluster {}", self.id, cluster.name));
        Ok(())
    }

    fn halted(&mut self, reason: String, failed: bool) -> Result<Flow, String> {
        if failed {
            self.parts.writer.abandon();
            return Err(reason);
        }
        self.record(Event::info("ended", reason));
        Ok(Flow::End)
    }
}
