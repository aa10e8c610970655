//! Small agents and operations for the tests of this module.

use super::{Awaited, Held, Journal, Places, Surroundings};
use crate::happening::{Happening, Tell};
use crm_core::id::{GroupId, OpId, ResourceId};
use crm_core::model::{AgentClass, AgentRef, OnFail, Resource, Timeouts};
use crm_core::operation::{Action, Operation};
use crm_core::time::Span;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) fn places(dir: &Path) -> Places {
    Places {
        node: "alpha".to_owned(),
        agents_dir: dir.to_owned(),
        ocf_root: dir.to_owned(),
        agent_state_dir: dir.to_owned(),
        this_program: "/proc/self/exe".into(),
        lsb_dir: dir.to_owned(),
        heartbeat_dir: dir.to_owned(),
        fence_dirs: vec![dir.to_owned()],
    }
}

pub(crate) fn surroundings(dir: &Path) -> (Rc<Surroundings>, UnboundedReceiver<Happening>) {
    let (tell, inbox) = Tell::channel();
    // Tests run side by side in one process: each has its own tokens.
    let run = format!("test{:032x}", crate::random::bits().expect("random"));
    let surroundings = Surroundings {
        places: places(dir),
        journal: Journal::open(&dir.join("ops")).expect("journal"),
        cgroups: None,
        awaited: Awaited::default(),
        held: Held::default(),
        priority: None,
        run,
        tell,
    };
    (Rc::new(surroundings), inbox)
}

pub(crate) fn script(dir: &Path, name: &str, body: &str) {
    let file = dir.join(name);
    // A file that is still open for writing in a child forked meanwhile cannot be executed, so it
    // is written under another name by a process that has no other threads' forks.
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", r#"printf '%s' "$2" > "$1" && chmod 755 "$1""#, "sh"])
        .arg(&file)
        .arg(format!("#!/bin/sh\n{body}\n"))
        .status();
    assert!(status.is_ok_and(|status| status.success()));
    assert!(file.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0));
}

/// An operation of group `g`, resource `r`, with a timeout of 5 s.
pub(crate) fn operation(agent: &str, action: Action) -> Operation {
    let parts: Vec<&str> = agent.splitn(3, ':').collect();
    let (class, name) = match parts.as_slice() {
        ["ocf", provider, name] => (AgentClass::Ocf { provider: (*provider).to_owned() }, *name),
        ["lsb", name] => (AgentClass::Lsb, *name),
        ["heartbeat", name] => (AgentClass::Heartbeat, *name),
        ["systemd", name] => (AgentClass::Systemd, *name),
        _ => (AgentClass::Own, agent),
    };
    Operation {
        op: OpId(1),
        group: GroupId::new("g"),
        resource: ResourceId::new("r"),
        action,
        timeout: Span::secs(5),
        spec: Arc::new(Resource {
            id: ResourceId::new("r"),
            agent: AgentRef { class, name: name.to_owned() },
            params: Default::default(),
            args: Vec::new(),
            timeouts: Timeouts::default(),
            interval: Span::secs(10),
            on_fail: OnFail::Restart,
            stateless: false,
            observe_everywhere: false,
        }),
        word: Default::default(),
    }
}
