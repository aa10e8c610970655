//! Who is at the other end, and what he may.

use nix::unistd::{Uid, User};
use std::sync::Arc;

/// A user, by the kernel's word.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    uid: Uid,
    name: Option<String>,
}

impl Peer {
    /// Looks the name up; that may ask a directory over the network, so it is done in a thread.
    pub(super) async fn of(stream: &tokio::net::UnixStream) -> std::io::Result<Peer> {
        let uid = Uid::from_raw(stream.peer_cred()?.uid());
        if uid.is_root() {
            return Ok(Peer { uid, name: Some("root".to_owned()) });
        }
        let name = tokio::task::spawn_blocking(move || User::from_uid(uid))
            .await
            .ok()
            .and_then(|user| user.ok().flatten())
            .map(|user| user.name);
        Ok(Peer { uid, name })
    }

    /// Root, the daemon's own user, and operators change things; who else could connect reads.
    pub(super) fn may_change(&self, own_uid: Uid, operators: &Arc<[String]>) -> bool {
        self.uid.is_root()
            || self.uid == own_uid
            || self.name.as_ref().is_some_and(|name| operators.contains(name))
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name.as_deref().unwrap_or("unknown"), self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_daemons_user_and_operators_change_others_read() {
        let operators: Arc<[String]> = Arc::from(["alice".to_owned()]);
        let peer = |uid, name: Option<&str>| Peer {
            uid: Uid::from_raw(uid),
            name: name.map(str::to_owned),
        };
        let own = Uid::from_raw(500);
        for (who, may) in [
            (peer(0, Some("root")), true),
            (peer(500, Some("crm")), true),
            (peer(1000, Some("alice")), true),
            (peer(1001, Some("bob")), false),
            (peer(1002, None), false),
        ] {
            assert_eq!(who.may_change(own, &operators), may, "{who}");
        }
    }
}
