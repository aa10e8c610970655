//! Binds the socket and takes connections, up to a limit.

use super::connection;
use crate::events::EventLog;
use crate::happening::Tell;
use crm_api::{Problem, Refusal, Reply, ReplyLine, encode};
use nix::unistd::{Group, Uid};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

/// Connections at one time.
pub(crate) const CONNECTIONS_MAX: usize = 64;
/// Of these, the last ones that root and the daemon's own user alone may open: DRBD holds back all writes until its
/// handler was answered, and whoever may only read must not be able to keep it out.
const KEPT_FREE: usize = 8;
/// Of these, those that may follow events: they stay for as long as they like, and short requests still find room.
pub(crate) const FOLLOWERS_MAX: usize = 48;
/// The group that may read.
const GROUP: &str = "crm";

/// What all connections share with the event loop.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tell: Tell,
    pub(crate) events: Rc<RefCell<EventLog>>,
    /// Users who may change things besides root, as configured.
    pub(crate) operators: RefCell<Arc<[String]>>,
    /// This daemon's own user may change things too: a sandbox runs without root.
    pub(crate) own_uid: Uid,
    pub(crate) connections: Cell<usize>,
    /// Those of them that follow events.
    pub(crate) followers: Cell<usize>,
}

impl Shared {
    fn has_room(&self, stream: &UnixStream) -> bool {
        let trusted = stream.peer_cred().is_ok_and(|peer| {
            let uid = Uid::from_raw(peer.uid());
            uid.is_root() || uid == self.own_uid
        });
        has_room(self.connections.get(), trusted)
    }
}

fn has_room(open: usize, trusted: bool) -> bool {
    open < if trusted { CONNECTIONS_MAX } else { CONNECTIONS_MAX - KEPT_FREE }
}

/// The socket; removed at the end of the daemon.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
}

impl Control {
    /// Binds it, mode 0660, for the group `crm` where there is one, and serves from now on.
    ///
    /// # Errors
    /// One line with the path.
    pub(crate) fn serve(path: &Path, shared: Rc<Shared>) -> Result<Control, String> {
        let listener = bind(path).map_err(|error| {
            format!("the control socket {} cannot be made: {error}", path.display())
        })?;
        tokio::task::spawn_local(accept(listener, shared));
        Ok(Control { path: path.to_owned() })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // The lock on the state directory has made sure that no daemon of this node uses it.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody may connect before the mode is set: the run directory is made with 0755, so the
    // socket is made closed and opened to its group after.
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    nix::sys::stat::umask(before);
    let listener = listener?;
    if let Ok(Some(group)) = Group::from_name(GROUP) {
        // Not permitted without root; then the socket is the user's own.
        let _ = nix::unistd::chown(path, None, Some(group.gid));
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, shared: Rc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if !shared.has_room(&stream) => {
                refuse(stream, shared.connections.get()).await;
            }
            Ok((stream, _)) => {
                shared.connections.set(shared.connections.get() + 1);
                let shared = shared.clone();
                tokio::task::spawn_local(async move {
                    connection::serve(stream, &shared).await;
                    shared.connections.set(shared.connections.get().saturating_sub(1));
                });
            }
            // Out of descriptors: those that are open will be closed again.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn refuse(mut stream: UnixStream, open: usize) {
    let reply = Reply::Problem(Problem {
        kind: Refusal::Limit,
        reason: format!("{open} connections are open already"),
        hint: "try again when one is closed; `crm events --follow` keeps one open".to_owned(),
    });
    if let Ok(line) = encode(&ReplyLine::new(reply)) {
        // A few bytes into an empty buffer; never waits long.
        let _ = tokio::time::timeout(Duration::from_millis(100), stream.write_all(&line)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_only_read_leaves_room_for_root() {
        let most = |trusted| (0..100).take_while(|open| has_room(*open, trusted)).count();
        assert_eq!((most(false), most(true)), (56, 64));
    }
}
