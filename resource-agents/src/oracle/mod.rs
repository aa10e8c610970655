//! `oracle`: one instance of an Oracle database, by its SID.
//!
//! Whatever `sqlplus` returns, only a probe counts: the instance's background processes, and what
//! the instance says of itself (HB46).

mod processes;
mod sqlplus;
mod volume;

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use self::processes::Processes;
use crate::contract::{Action, Call, Failure, Outcome, Parameters, Watch};
use crate::deadline::{Deadline, Pause};
use crate::filesystem::mounted_on;
use crate::metadata::{Kind, MetaData, Parameter};
use crate::procfs;
use crate::running::environment;
use crate::running::stop::signal;
use crate::running::user::User;

pub(crate) fn meta_data() -> MetaData {
    MetaData {
        name: "oracle".to_owned(),
        short_description: "An Oracle database instance".to_owned(),
        long_description: "Start opens the instance, stop shuts it down; both are believed only when \
            the instance's processes and its own word show it."
            .to_owned(),
        primary: Some("sid".to_owned()),
        parameters: vec![
            Parameter::new("sid", Kind::String, "The instance").required().unique(),
            Parameter::new(
                "environment_file",
                Kind::String,
                "NAME=VALUE lines for each action, ORACLE_HOME among them; it must be there, unless \
                 its path begins with `-`",
            )
            .default("/etc/sysconfig/oracle"),
            Parameter::new("home", Kind::Path, "ORACLE_HOME; else the environment file's"),
            Parameter::new("user", Kind::String, "Whom the instance belongs to").default("oracle"),
            Parameter::new("mount", Kind::Path, "The mount point that must be there for a start"),
        ],
        ..MetaData::usual()
    }
}

/// The instance as configured.
struct Instance {
    sid: String,
    user: User,
    home: PathBuf,
    environment: Vec<(String, String)>,
}

pub(crate) fn run(call: &Call) -> Outcome {
    if call.action == Action::MetaData {
        return Ok(());
    }
    let sid = sid(&call.parameters)?;
    let user = User::find(call.parameters.required("user")?)?;
    // Neither needs the environment where nothing runs, and it may be gone then.
    let mut processes = Processes::of(&sid, &user);
    let idle = processes.look()?.is_empty();
    match call.action {
        Action::Status if idle => Err(Failure::not_running(format!("no process of {sid} is here"))),
        Action::Stop if idle => Ok(()),
        // Without its environment it cannot be asked to end; that is no reason to leave it there.
        Action::Stop => match Instance::new(&call.parameters, sid.clone(), user) {
            Ok(instance) => instance.end(call, &mut processes, true),
            Err(failure) => kill(call, &sid, &mut processes, &failure.reason),
        },
        _ => {
            let instance = Instance::new(&call.parameters, sid, user)?;
            match call.action {
                Action::Status => instance.status(call, &processes),
                Action::Start => instance.start(call, &mut processes),
                _ => instance.sqlplus().map(|_| ()),
            }
        }
    }
}

fn sid(parameters: &Parameters) -> Result<String, Failure> {
    let sid = parameters.required("sid")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_$#".contains(c);
    if sid.len() > LONGEST_SID || !sid.chars().all(fits) {
        return Err(Failure::configured(format!(
            "`sid` must be 1 to {LONGEST_SID} letters and digits, found {sid:?}"
        )));
    }
    Ok(sid.to_owned())
}

impl Instance {
    /// HB44, HB45: the environment is read for this action only, and must be there.
    fn new(parameters: &Parameters, sid: String, user: User) -> Result<Instance, Failure> {
        let environment = environment::from_file(parameters.text("environment_file"))?;
        let from_file = environment.iter().rev().find(|(name, _)| name == "ORACLE_HOME");
        let home = parameters.text("home").or(from_file.map(|(_, home)| home.as_str()));
        let home = home.map(PathBuf::from).ok_or_else(|| {
            Failure::configured(
                "expected ORACLE_HOME in the environment file, or `home`, found neither",
            )
        })?;
        Ok(Instance { sid, user, home, environment })
    }

    fn status(&self, call: &Call, processes: &Processes) -> Outcome {
        watch(call, processes);
        match self.probe(call.context.deadline) {
            Ok(state) if state == OPEN => {
                call.channel.attribute("state", "open");
                if let Some(mount) = call.parameters.text("mount")
                    && let Some(found) = self.elsewhere(Path::new(mount), call.context.deadline)
                {
                    call.channel.attribute("degraded", found);
                }
                Ok(())
            }
            Ok(state) => {
                call.channel.attribute("state", state.to_lowercase());
                Err(Failure::generic(format!("expected {} to be {OPEN}, found {state}", self.sid)))
            }
            Err(found) => Err(Failure::generic(format!(
                "processes of {} are here and it does not answer: {found}",
                self.sid
            ))),
        }
    }

    fn start(&self, call: &Call, processes: &mut Processes) -> Outcome {
        if let Some(mount) = call.parameters.text("mount") {
            mounted_on(Path::new(mount), Path::new(mount))?;
        }
        let deadline = call.context.deadline;
        if !processes.look()?.is_empty() {
            if self.probe(deadline).is_ok_and(|state| state == OPEN) {
                watch(call, processes);
                return Ok(());
            }
            call.channel.progress(format!("{} is half started; it is ended first", self.sid));
            self.end(call, processes, false)?;
        }
        let said = self.ask("startup", deadline)?;
        let mut found = "nothing".to_owned();
        let mut pause = Pause::slow();
        loop {
            match self.probe(deadline) {
                Ok(state) if state == OPEN => {
                    watch(call, processes);
                    return Ok(());
                }
                Ok(state) => found = state,
                // A question that the deadline cut short says less than the answer before.
                Err(words) if !deadline.passed() => found = words,
                Err(_) => {}
            }
            // Nothing is under way any more where nothing runs.
            if processes.look()?.is_empty() || !pause.sleep(deadline) {
                return Err(Failure::generic(format!(
                    "expected {} to be {OPEN} after `startup`, found {found}; sqlplus said: {said}",
                    self.sid
                )));
            }
        }
    }

    /// `immediate` if that is wanted, then `abort`, then a kill; each is over when no process is left.
    fn end(&self, call: &Call, processes: &mut Processes, politely: bool) -> Outcome {
        let deadline = call.context.deadline;
        let share = |part: f64| deadline.at_most(deadline.remaining().mul_f64(part));
        if politely {
            let until = share(0.6);
            let said = self.told("shutdown immediate", until);
            if is_gone(processes, until.at_most(AFTER_ANSWER))? {
                return Ok(());
            }
            call.channel.progress(format!("`shutdown immediate` did not end it: {said}"));
        }
        let until = share(0.5);
        let said = self.told("shutdown abort", until);
        if is_gone(processes, until.at_most(AFTER_ANSWER))? {
            return Ok(());
        }
        kill(call, &self.sid, processes, &format!("`shutdown abort` did not end it: {said}"))
    }

    /// What came of a shutdown, or why it could not be asked for: then there is still the kill.
    fn told(&self, statement: &str, until: Deadline) -> String {
        self.ask(statement, until).unwrap_or_else(|failure| failure.reason)
    }
}

fn watch(call: &Call, processes: &Processes) {
    if let Some(monitor) = processes.monitor() {
        call.channel.watch(Watch::Process(monitor));
    }
}

/// The last way to stop it: a crash, from which Oracle recovers at the next start.
fn kill(call: &Call, sid: &str, processes: &mut Processes, why: &str) -> Outcome {
    let left = processes.look()?;
    call.channel.progress(format!("killing {}; {why}", procfs::describe_all(&left)));
    signal(&left, Signal::SIGKILL);
    if is_gone(processes, call.context.deadline)? {
        return Ok(());
    }
    Err(Failure::generic(format!(
        "expected no process of {sid} after its shutdown, found {}",
        procfs::describe_all(&processes.look()?)
    )))
}

fn is_gone(processes: &mut Processes, deadline: Deadline) -> Result<bool, Failure> {
    let mut pause = Pause::new();
    loop {
        if processes.look()?.is_empty() {
            return Ok(true);
        }
        if !pause.sleep(deadline) {
            return Ok(false);
        }
    }
}

const OPEN: &str = "OPEN";
const LONGEST_SID: usize = 30;
/// After `sqlplus` has answered, the processes end at once, or do not.
const AFTER_ANSWER: std::time::Duration = std::time::Duration::from_secs(5);
