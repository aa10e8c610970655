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
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    /// `DRBD_RESOURCE`
    resource: String,
    /// The one that it is about; or why that cannot be told.
    peer: Result<String, String>,
    /// `DRBD_MINOR`: of one of its volumes.
    minor: Option<String>,
    /// The daemon's control socket.
    socket: PathBuf,
}

impl Call {
    fn read() -> Call {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let socket = variable("CRM_SOCKET").map(PathBuf::from);
        let run = variable("CRM_RUN").map(|run| PathBuf::from(run).join("crm.sock"));
        Call {
            resource: variable("DRBD_RESOURCE").unwrap_or_default(),
            minor: variable("DRBD_MINOR"),
            peer: peer(variable),
            socket: socket.or(run).unwrap_or_else(|| PathBuf::from(crm_api::DEFAULT_SOCKET)),
        }
    }
}

/// 9 says by its number which of several peers it has lost, and names all numbers; 8.4 has one peer, and names it. Whoever
/// named all of them as lost would call good copies stale.
fn peer(variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (names, of) = match variable("DRBD_PEER_NODE_ID") {
        Some(id) => {
            let of = format!("DRBD_NODE_ID_{}", id.trim());
            (variable(&of), of)
        }
        None => match variable("DRBD_PEER") {
            Some(names) => (Some(names), "DRBD_PEER".to_owned()),
            None => (variable("DRBD_PEERS"), "DRBD_PEER or DRBD_PEERS".to_owned()),
        },
    };
    let names = names.unwrap_or_default();
    match names.split_whitespace().collect::<Vec<_>>().as_slice() {
        [name] => Ok((*name).to_owned()),
        [] => Err(format!("expected the name of the peer in {of}, found none: which is it about?")),
        several => Err(format!(
            "expected the name of one peer in {of}, found {}: which of them is it about?",
            several.join(" ")
        )),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)]) -> Result<String, String> {
        peer(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn i8_the_one_peer_is_known_or_nobody_is_meant() {
        let nine = [
            ("DRBD_MY_NODE_ID", "0"),
            ("DRBD_PEER_NODE_ID", "2"),
            ("DRBD_NODE_ID_0", "alpha"),
            ("DRBD_NODE_ID_1", "beta"),
            ("DRBD_NODE_ID_2", "gamma"),
            ("DRBD_PEERS", "beta gamma"),
        ];
        assert_eq!(told(&nine), Ok("gamma".to_owned()));
        let unnamed: Vec<_> = nine.into_iter().filter(|(n, _)| *n != "DRBD_NODE_ID_2").collect();
        assert!(told(&unnamed).is_err_and(|why| why.contains("DRBD_NODE_ID_2")));
        let eight = [("DRBD_PEER", "beta"), ("DRBD_PEERS", "beta")];
        assert_eq!(told(&eight), Ok("beta".to_owned()));
        assert_eq!(told(&[("DRBD_PEERS", "beta")]), Ok("beta".to_owned()));
        assert!(told(&[("DRBD_PEERS", "beta gamma")]).is_err_and(|why| why.contains("beta gamma")));
        assert!(told(&[]).is_err());
    }
}
