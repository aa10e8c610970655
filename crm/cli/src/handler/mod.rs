//! DRBD's handlers, called by the kernel under the names `crm-fence-peer` and `crm-unfence-peer`.
//!
//! DRBD holds back I/O, or a promotion, until `crm-fence-peer` has answered. It answers only what
//! the cluster has committed: that the peer's copy is stale. Without that it refuses.

mod cluster;
pub(crate) use cluster::copies_of;
mod fence_peer;
mod unfence_peer;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs a handler if this is the name of one.
pub(crate) fn dispatch(name: &str, args: &[OsString]) -> Option<ExitCode> {
    let code = match name {
        "crm-fence-peer" => fence_peer::run(&Call::read()),
        "crm-unfence-peer" => unfence_peer::run(&Call::read(), args),
        _ => return None,
    };
    Some(ExitCode::from(code))
}

/// What DRBD says in the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Call {
    /// `DRBD_RESOURCE`
    resource: String,
    /// `DRBD_PEER`, else `DRBD_PEERS`: host names.
    peers: Vec<String>,
    /// `DRBD_MINOR`: of one of its volumes.
    minor: Option<String>,
    /// The daemon's control socket.
    socket: PathBuf,
}

impl Call {
    fn read() -> Call {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let peers = variable("DRBD_PEER").or_else(|| variable("DRBD_PEERS")).unwrap_or_default();
        let socket = variable("CRM_SOCKET").map(PathBuf::from);
        let run = variable("CRM_RUN").map(|run| PathBuf::from(run).join("crm.sock"));
        Call {
            resource: variable("DRBD_RESOURCE").unwrap_or_default(),
            minor: variable("DRBD_MINOR"),
            peers: peers.split_whitespace().map(str::to_owned).collect(),
            socket: socket.or(run).unwrap_or_else(|| PathBuf::from(crm_api::DEFAULT_SOCKET)),
        }
    }
}

/// Nobody reads a handler's output but the kernel's log, where DRBD's own words are.
fn tell(name: &str, text: &str) {
    let line = format!("{name}: {}", text.replace('\n', "; "));
    let _ = writeln!(std::io::stderr(), "{line}");
    // Where there is no DRBD, the kernel did not call.
    if std::path::Path::new("/proc/drbd").exists()
        && let Ok(mut log) = std::fs::File::options().write(true).open("/dev/kmsg")
    {
        let _ = writeln!(log, "<4>{line}");
    }
}
