//! Whom the command runs as.

use std::ffi::CString;
use std::path::PathBuf;

use nix::unistd::{self, Group};

use crate::contract::Failure;
use crate::syscall::Credentials;

/// A user of this machine, looked up.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    pub(crate) shell: PathBuf,
    pub(crate) credentials: Credentials,
}

impl User {
    /// Looks up `USER` or `USER:GROUP`.
    pub(crate) fn find(text: &str) -> Result<User, Failure> {
        let (name, group) = match text.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (text, None),
        };
        let missing = |what: &str, name: &str| {
            Failure::installed(format!("there is no {what} {name:?} here"))
        };
        let user = unistd::User::from_name(name)
            .map_err(|error| {
                Failure::system(format!("cannot look up user {name:?}"), &error.into())
            })?
            .ok_or_else(|| missing("user", name))?;
        let gid = match group {
            None => user.gid,
            Some(group) => {
                Group::from_name(group)
                    .map_err(|error| {
                        Failure::system(format!("cannot look up group {group:?}"), &error.into())
                    })?
                    .ok_or_else(|| missing("group", group))?
                    .gid
            }
        };
        let login = CString::new(name).map_err(|_| missing("user", name))?;
        let groups = unistd::getgrouplist(&login, gid).map_err(|error| {
            Failure::system(format!("cannot look up the groups of {name:?}"), &error.into())
        })?;
        Ok(User {
            name: user.name,
            home: user.dir,
            shell: user.shell,
            credentials: Credentials { uid: user.uid, gid, groups },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_or_named() {
        let root = User::find("root").expect("every machine has root");
        assert!(root.credentials.uid.is_root());
        assert!(User::find("no-such-user").unwrap_err().reason.contains("no-such-user"));
        assert!(User::find("root:no-such-group").unwrap_err().reason.contains("no-such-group"));
    }
}
