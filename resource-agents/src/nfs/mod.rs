//! `nfs`: directories of the group's volume, exported by the kernel's NFS server (version 4).
//!
//! The kernel has one NFS server, so a node has at most one of these, and it is this agent that starts and ends it.
//! What clients had open and locked is remembered by `nfsdcld` in a database on the volume: after a takeover the kernel
//! of the other node lets exactly those clients claim it again. They do because it gives itself the same name (`scope`), and
//! file handles survive because each directory has a fixed `fsid`, which follows from its path.

mod exports;
mod kernel;
mod parts;
mod probe;
mod scope;
mod start;
mod status;
mod stop;

use std::path::PathBuf;
use std::time::Duration;

use crate::child;
use crate::contract::{Action, Call, Failure, Outcome, Parameters};
use crate::metadata::{Kind, MetaData, Parameter};
use crate::running::words;

pub(crate) fn meta_data() -> MetaData {
    MetaData {
        name: "nfs".to_owned(),
        short_description: "Directories exported by NFS version 4".to_owned(),
        long_description: "Runs the kernel's NFS server, of which a node has one, with `rpc.mountd` and \
            `nfsdcld`, and exports the directories. What clients had open and locked is remembered on \
            the volume; after a takeover they have `grace` to claim it again, and nobody else gets it \
            before. The address that clients use comes after this in the group."
            .to_owned(),
        primary: Some("directories".to_owned()),
        parameters: vec![
            Parameter::new(
                "directories",
                Kind::String,
                "The directories to export, with spaces between them; each on the filesystem at `mount`",
            )
            .required(),
            Parameter::new(
                "clients",
                Kind::String,
                "Who may mount them, with spaces: addresses, networks (10.0.0.0/24), names or `*`",
            )
            .required(),
            Parameter::new("mount", Kind::Path, "The mount point of the volume").required().unique(),
            Parameter::new(
                "options",
                Kind::String,
                "Options of the exports, as in exports(5); neither `async` nor `fsid`",
            )
            .default("rw,sync,no_subtree_check"),
            Parameter::new(
                "state",
                Kind::Path,
                "The directory on the volume in which clients are remembered; else `.crm-nfs` at the \
                 mount point. Made if it is missing",
            ),
            Parameter::new("threads", Kind::Integer, "How many threads serve").default("8"),
            Parameter::new(
                "grace",
                Kind::Duration,
                "How long clients have after a start to claim what they had, 10 s to an hour; also \
                 how long a silent client keeps it",
            )
            .default("15s"),
        ],
        ..MetaData::usual()
    }
}

/// The server as configured.
#[derive(Debug)]
struct Server {
    mount: PathBuf,
    directories: Vec<PathBuf>,
    clients: Vec<String>,
    options: String,
    state: PathBuf,
    threads: u32,
    grace: Duration,
}

pub(crate) fn run(call: &Call) -> Outcome {
    if call.action == Action::MetaData {
        return Ok(());
    }
    let server = Server::new(&call.parameters)?;
    match call.action {
        Action::MetaData => Ok(()),
        Action::Start => start::start(call, &server),
        Action::Status => status::status(call, &server),
        Action::Stop => stop::stop(call, &server),
        Action::Validate => TOOLS.iter().try_for_each(|name| tool(name).map(|_| ())),
    }
}

impl Server {
    fn new(parameters: &Parameters) -> Result<Server, Failure> {
        let mount = PathBuf::from(parameters.required("mount")?);
        let list = |name: &str| {
            let words = words::split(parameters.required(name)?)
                .map_err(|error| Failure::configured(format!("`{name}`: {error}")))?;
            match words.is_empty() {
                true => Err(Failure::configured(format!("`{name}` is empty"))),
                false => Ok(words),
            }
        };
        let directories: Vec<PathBuf> =
            list("directories")?.into_iter().map(PathBuf::from).collect();
        for directory in &directories {
            let plain = directory.to_str().is_some_and(|text| {
                text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))
            });
            if !plain || !directory.starts_with(&mount) || has_dots(directory) {
                return Err(Failure::configured(format!(
                    "`directories` must be paths below `mount` ({}) without spaces, found {:?}",
                    mount.display(),
                    directory.display().to_string()
                )));
            }
        }
        let clients = list("clients")?;
        let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '(' | ')' | '"' | ',' | '\\');
        if let Some(bad) =
            clients.iter().find(|client| client.starts_with('-') || !client.chars().all(fits))
        {
            return Err(Failure::configured(format!(
                "`clients` must be addresses, networks, names or `*`, found {bad:?}"
            )));
        }
        let options = parameters.required("options")?;
        exports::check_options(options)?;
        let grace = parameters.duration("grace");
        if !GRACE.contains(&grace.as_secs()) || grace.subsec_nanos() != 0 {
            return Err(Failure::configured(format!(
                "`grace` must be whole seconds, {} to {}, found {grace:?}",
                GRACE.start(),
                GRACE.end()
            )));
        }
        let threads = parameters.integer("threads").unwrap_or(0);
        let threads = u32::try_from(threads)
            .ok()
            .filter(|threads| THREADS.contains(threads))
            .ok_or_else(|| {
                Failure::configured(format!(
                    "`threads` must be {} to {}, found {threads}",
                    THREADS.start(),
                    THREADS.end()
                ))
            })?;
        let state = parameters.text("state").map(PathBuf::from);
        Ok(Server {
            state: state.unwrap_or_else(|| mount.join(".crm-nfs")),
            options: options.to_owned(),
            mount,
            directories,
            clients,
            threads,
            grace,
        })
    }
}

fn has_dots(path: &std::path::Path) -> bool {
    path.components().any(|part| part == std::path::Component::ParentDir)
}

/// A program of the distribution's NFS server.
fn tool(name: &str) -> Result<PathBuf, Failure> {
    child::find_tool(name).ok_or_else(|| {
        Failure::installed(format!(
            "expected the program {name}, found none; install nfs-kernel-server or nfs-utils"
        ))
    })
}

const TOOLS: [&str; 4] = ["rpc.nfsd", "rpc.mountd", "nfsdcld", "exportfs"];
/// The kernel's bounds, in seconds.
const GRACE: std::ops::RangeInclusive<u64> = 10..=3600;
const THREADS: std::ops::RangeInclusive<u32> = 1..=1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn server(given: &[(&str, &str)]) -> Result<Server, Failure> {
        let usual =
            [("directories", "/data/a /data/b"), ("clients", "10.0.0.0/24"), ("mount", "/data")];
        let given: BTreeMap<String, String> = usual
            .iter()
            .chain(given)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Server::new(&Parameters::checked(&meta_data(), given)?)
    }

    #[test]
    fn state_lies_on_the_volume_and_the_grace_is_short() {
        let server = server(&[]).expect("fits");
        assert_eq!(server.state, PathBuf::from("/data/.crm-nfs"));
        assert_eq!((server.grace, server.threads), (Duration::from_secs(15), 8));
        assert_eq!(server.directories.len(), 2);
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for (name, value, said) in [
            ("directories", "/other", "below `mount`"),
            ("directories", "/data/../etc", "below `mount`"),
            ("directories", "/database", "below `mount`"),
            ("directories", "'/data/a b'", "without spaces"),
            ("directories", "' '", "below `mount`"),
            ("clients", "10.0.0.1(rw)", "`clients`"),
            ("clients", "-a", "`clients`"),
            ("clients", "'", "`clients`"),
            ("options", "rw,async", "async"),
            ("options", "rw,fsid=7", "fsid"),
            ("grace", "5s", "`grace`"),
            ("grace", "10500ms", "`grace`"),
            ("grace", "2h", "`grace`"),
            ("threads", "0", "`threads`"),
            ("threads", "-8", "`threads`"),
        ] {
            let failure = server(&[(name, value)]).expect_err(value);
            assert!(failure.reason.contains(said), "{name} {value}: {failure}");
        }
    }
}
