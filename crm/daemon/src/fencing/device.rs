//! One request to one device: its programs, one after the other, within one deadline.

use super::{command, fence_agent};
use crate::executor::room::{self, Refused};
use crate::executor::{
    CgroupParent, End, Entry, Launch, Surroundings, What, clean_environment, last_line, wish,
};
use crate::random;
use crm_core::id::{FenceId, NodeId};
use crm_core::model::FenceDevice;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A program of a device.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) file: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) input: Option<Vec<u8>>,
}

/// How a program ended by itself.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: Option<i32>,
    pub(super) output: String,
}

impl Answer {
    /// For people: the last line, or the number.
    pub(super) fn words(&self) -> String {
        let said = last_line(&self.output).map(|line| format!(": {line}")).unwrap_or_default();
        match self.code {
            Some(code) => format!("exit {code}{said}"),
            None => format!("ended by a signal{said}"),
        }
    }
}

/// Runs the programs of one request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    surroundings: &'a Surroundings,
    target: &'a NodeId,
    token: String,
    deadline: Instant,
    cancelled: oneshot::Receiver<()>,
    programs: u32,
}

/// Turns `target` off and proves it.
pub(super) async fn power_off(
    surroundings: &Surroundings,
    request: FenceId,
    target: &NodeId,
    device: &FenceDevice,
    cancelled: oneshot::Receiver<()>,
) -> Result<(), String> {
    let timeout = Duration::from_micros(device.timeout.as_micros());
    let name = format!("fence{request}");
    let mut request = Request::new(surroundings, target, &name, timeout, cancelled);
    match device.agent.as_str() {
        "command" => command::power_off(&mut request, device).await,
        _ => fence_agent::power_off(&mut request, device).await,
    }
}

/// Whether the device can be asked for the power without being told to change it. A `command` that
/// was written for `off` may do that whatever it is asked, so only its `check` is.
pub(super) fn can_be_asked(device: &FenceDevice) -> bool {
    device.agent != "command" || device.params.contains_key("check")
}

/// Asks whether the power of `target` is on. Changes nothing.
///
/// # Errors
/// Why the device could not be asked, or did not know.
pub(super) async fn look(
    surroundings: &Surroundings,
    target: &NodeId,
    device: &FenceDevice,
    limit: Duration,
    cancelled: oneshot::Receiver<()>,
) -> Result<bool, String> {
    let name = format!("look{:x}", random::bits()?);
    let mut request = Request::new(surroundings, target, &name, limit, cancelled);
    match device.agent.as_str() {
        "command" => command::check(&mut request, device).await,
        _ => fence_agent::check(&mut request, device).await,
    }
}

/// Switches `target` on, and waits until the device says so.
///
/// # Errors
/// It is not on in time, or the device is a `command`, which only powers off.
pub(super) async fn power_on(
    surroundings: &Surroundings,
    target: &NodeId,
    device: &FenceDevice,
    limit: Duration,
    cancelled: oneshot::Receiver<()>,
) -> Result<bool, String> {
    let name = format!("on{:x}", random::bits()?);
    let mut request = Request::new(surroundings, target, &name, limit, cancelled);
    match device.agent.as_str() {
        "command" => Err("a `command` only powers off; switch the node on by hand".to_owned()),
        _ => fence_agent::power_on(&mut request, device).await.map(|()| true),
    }
}

impl<'a> Request<'a> {
    fn new(
        surroundings: &'a Surroundings,
        target: &'a NodeId,
        name: &str,
        limit: Duration,
        cancelled: oneshot::Receiver<()>,
    ) -> Request<'a> {
        Request {
            surroundings,
            target,
            token: format!("{}.{name}", surroundings.run),
            deadline: Instant::now() + limit,
            cancelled,
            programs: 0,
        }
    }
}

impl Request<'_> {
    pub(super) fn target(&self) -> &str {
        self.target.as_str()
    }

    /// Where `fence_…` programs are.
    pub(super) fn fence_dirs(&self) -> &[PathBuf] {
        &self.surroundings.places.fence_dirs
    }

    /// Time that is left.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Runs one program to its end.
    ///
    /// # Errors
    /// It cannot be run, its time is over, or the request was cancelled; nothing of it is left.
    pub(super) async fn run(&mut self, program: Program) -> Result<Answer, String> {
        self.programs += 1;
        let token = format!("{}.{}", self.token, self.programs);
        let name = program.file.display().to_string();
        let cgroup =
            self.surroundings.cgroups.as_ref().and_then(|p: &CgroupParent| p.make(&token).ok());
        let entry = Entry {
            token: token.clone(),
            cgroup: cgroup.as_ref().map(|cgroup| cgroup.path().to_owned()),
            leader: None,
            what: What::Fence { target: self.target.to_string() },
        };
        // Where there is no room for it, a daemon that is killed now may leave a late shot behind (H27); not to shoot
        // would leave everything down.
        let _ = self.surroundings.journal.begin(&entry);
        let mut environment = clean_environment(&token);
        environment.extend(program.variables);
        let launch = Launch {
            program: program.file,
            own_name: None,
            arguments: program.arguments,
            environment,
            input: program.input,
            token: token.clone(),
            cgroup,
            priority: None,
        };
        let limit = self.left();
        let (awaited, cancelled) = (&self.surroundings.awaited, &mut self.cancelled);
        let start = || launch.clone().start(awaited);
        let (mut running, left) = match room::wait_for(limit, wish(cancelled), start).await {
            Ok(made) => made,
            Err(refused) => {
                self.surroundings.journal.end(&token);
                return Err(match refused {
                    Refused::Cancelled => "cancelled".to_owned(),
                    Refused::Error(error) => format!("no process can be made for {name}: {error}"),
                });
            }
        };
        let ended = running.wait(left, wish(cancelled));
        let ended = ended.await.map_err(|error| format!("{name}: {error}"));
        let leftover = running.tree.end(Duration::from_secs(10)).await;
        running.tree.tidy();
        if leftover.is_ok() {
            self.surroundings.journal.end(&token);
        }
        match ended?.end {
            End::NotExecuted(number) => {
                let error = std::io::Error::from_raw_os_error(number);
                Err(format!("{name} cannot be executed: {error}"))
            }
            End::TimedOut => Err(format!("{name} did not end in time and was killed")),
            End::Cancelled => Err("cancelled".to_owned()),
            End::Exited(status) => {
                Ok(Answer { code: status.code(), output: running.heard.tail.text() })
            }
        }
    }
}
