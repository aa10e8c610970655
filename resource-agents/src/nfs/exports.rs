//! The table of exports: what is in it, what must be, what may not be.
//!
//! `exportfs` keeps it in a file that survives boots, so a node that died while it exported finds old lines there; what
//! lies below the mount point of a group that does not run here has to go before a server starts.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Server, tool};
use crate::child;
use crate::contract::{Failure, Outcome};
use crate::deadline::Deadline;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) directory: PathBuf,
    pub(super) client: String,
    options: String,
}

/// What is exported below `mount`.
pub(super) fn below(mount: &Path) -> Result<Vec<Export>, Failure> {
    let text = match fs::read_to_string(TABLE) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::system(format!("cannot read {TABLE}"), &error)),
    };
    let mut all = parse(&text);
    all.retain(|export| export.directory.starts_with(mount));
    Ok(all)
}

/// `/data/share<TAB>10.0.0.0/24(rw,sync,...)`; what is no such line is nobody's export.
fn parse(text: &str) -> Vec<Export> {
    let line = |line: &str| {
        let (directory, rest) = line.split_once('\t')?;
        let (client, options) = rest.trim_end().strip_suffix(')')?.split_once('(')?;
        Some(Export {
            directory: PathBuf::from(plain(directory)),
            client: client.to_owned(),
            options: options.to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

/// `\040` is a space.
fn plain(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.split_at_checked(3).map(|(digits, rest)| (u8::from_str_radix(digits, 8), rest)) {
            Some((Ok(byte), rest)) => {
                out.push(byte);
                out.extend(rest.bytes());
            }
            _ => {
                out.push(b'\\');
                out.extend(part.bytes());
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What of the configured exports is not in the table.
pub(super) fn missing(server: &Server, found: &[Export]) -> Vec<String> {
    let mut missing = Vec::new();
    for directory in &server.directories {
        let fsid = fsid(directory);
        let theirs: Vec<&Export> = found
            .iter()
            .filter(|export| {
                export.directory == *directory
                    && export.options.split(',').any(|option| option == fsid)
            })
            .collect();
        for client in &server.clients {
            // A name is entered as the resolver calls it.
            let there = match is_literal(client) {
                true => theirs.iter().any(|export| export.client == *client),
                false => !theirs.is_empty(),
            };
            if !there {
                missing.push(format!("{}:{}", client, directory.display()));
            }
        }
    }
    missing
}

fn is_literal(client: &str) -> bool {
    let address = client.split('/').next().unwrap_or_default();
    client.contains(['*', '?', '@']) || address.parse::<IpAddr>().is_ok()
}

/// Enters every configured export.
pub(super) fn add(server: &Server, deadline: Deadline) -> Outcome {
    for directory in &server.directories {
        let options = format!("{},{}", server.options, fsid(directory));
        for client in &server.clients {
            exportfs(&["-o", &options, &name(client, directory)], deadline)?;
        }
    }
    let missing = missing(server, &below(&server.mount)?);
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Failure::generic(format!(
            "exportfs succeeded, and {TABLE} does not hold {}",
            missing.join(", ")
        ))),
    }
}

/// Takes out whatever lies below the mount point, and has the kernel forget it.
pub(super) fn remove_below(mount: &Path, deadline: Deadline) -> Outcome {
    let found = below(mount)?;
    for export in &found {
        exportfs(&["-u", &name(&export.client, &export.directory)], deadline)?;
    }
    if !found.is_empty() {
        exportfs(&["-f"], deadline)?;
    }
    let left: Vec<String> =
        below(mount)?.iter().map(|export| name(&export.client, &export.directory)).collect();
    match left.is_empty() {
        true => Ok(()),
        false => Err(Failure::generic(format!("still exported: {}", left.join(", ")))),
    }
}

/// The form of exportfs; an IPv6 address has colons of its own.
fn name(client: &str, directory: &Path) -> String {
    match client.split_once('/') {
        None if client.contains(':') => format!("[{client}]:{}", directory.display()),
        Some((address, prefix)) if address.contains(':') => {
            format!("[{address}]/{prefix}:{}", directory.display())
        }
        _ => format!("{client}:{}", directory.display()),
    }
}

fn exportfs(arguments: &[&str], deadline: Deadline) -> Outcome {
    let mut command = Command::new(tool("exportfs")?);
    command.args(arguments);
    let finished = child::run(&mut command, deadline)
        .map_err(|error| Failure::system("cannot run exportfs", &error))?;
    match finished.succeeded() {
        true => Ok(()),
        false => Err(Failure::generic(format!(
            "exportfs {}: {}",
            arguments.join(" "),
            finished.summary()
        ))),
    }
}

/// `async` would acknowledge what a loss of power takes; `fsid` must be the same on every node and differ from one
/// directory to the next, which is ours to see to.
pub(super) fn check_options(options: &str) -> Outcome {
    if !options.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '(' | ')' | '"')) {
        return Err(Failure::configured(format!(
            "`options` must be words with commas between them, found {options:?}"
        )));
    }
    for option in options.split(',') {
        match option.split('=').next() {
            Some("async") => {
                return Err(Failure::configured(
                    "`options` may not hold async: it acknowledges what is not on the disk, and a \
                     takeover would lose it",
                ));
            }
            Some("fsid") => {
                return Err(Failure::configured(
                    "`options` may not hold fsid: it follows from the path, the same on every node",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The number by which file handles name the directory: from its path alone (FNV-1a, twice), so that it is the same
/// on every node and after every boot.
pub(super) fn fsid(directory: &Path) -> String {
    let hash =
        |start: u64| {
            directory.as_os_str().as_encoded_bytes().iter().fold(start, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            })
        };
    let (one, two) = (hash(0xcbf2_9ce4_8422_2325), hash(0x6c62_272e_07bb_0142));
    let text = format!("{one:016x}{two:016x}");
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    format!(
        "fsid={}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    )
}

const TABLE: &str = "/var/lib/nfs/etab";

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            mount: "/data".into(),
            directories: vec!["/data/a".into(), "/data/b".into()],
            clients: vec!["10.0.0.0/24".to_owned(), "shop.example".to_owned()],
            options: "rw,sync".to_owned(),
            state: "/data/.crm-nfs".into(),
            threads: 8,
            grace: std::time::Duration::from_secs(15),
        }
    }

    #[test]
    fn the_table_is_read_and_what_is_no_line_is_not() {
        let text = "/data/a\t10.0.0.0/24(rw,sync,fsid=1)\n/data/with\\040space\t*(ro)\n\nnonsense\n/x y(\n\
                    /data/c\\9\thost(\n";
        let found = parse(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].client, "10.0.0.0/24");
        assert_eq!(found[1].directory, PathBuf::from("/data/with space"));
        assert_eq!(
            (plain("a\\"), plain("a\\04"), plain("a\\999b")),
            ("a\\".into(), "a\\04".into(), "a\\999b".into())
        );
    }

    #[test]
    fn an_export_counts_by_directory_client_and_number() {
        let line = |directory: &str, client: &str| {
            format!("{directory}\t{client}(rw,{})\n", fsid(Path::new(directory)))
        };
        let all = line("/data/a", "10.0.0.0/24")
            + &line("/data/b", "10.0.0.0/24")
            + &line("/data/a", "shop.inside.example")
            + &line("/data/b", "shop.inside.example");
        assert_eq!(missing(&server(), &parse(&all)), Vec::<String>::new());
        let fewer = all.replace("/data/b\t10.0.0.0/24", "/data/b\t10.0.1.0/24");
        assert_eq!(missing(&server(), &parse(&fewer)), ["10.0.0.0/24:/data/b"]);
        let other = all.replace("fsid=", "fsid=1");
        assert_eq!(missing(&server(), &parse(&other)).len(), 4);
    }

    #[test]
    fn file_handles_are_the_same_on_every_node_and_differ_between_directories() {
        // Written down: a change would make every client's handles stale.
        assert_eq!(fsid(Path::new("/data/share")), "fsid=e76c4923-d138-e25a-b932-ca93408e355b");
        assert_ne!(fsid(Path::new("/data/a")), fsid(Path::new("/data/b")));
    }

    #[test]
    fn what_would_lose_acknowledged_data_is_refused() {
        assert!(check_options("rw,sync,no_root_squash,anonuid=5").is_ok());
        for bad in ["async", "rw,async", "fsid=0", "rw,fsid=5", "rw sync", "rw)", ""] {
            assert_eq!(check_options(bad).is_err(), !bad.is_empty(), "{bad}");
        }
    }

    #[test]
    fn ipv6_clients_stand_in_brackets() {
        let name = |client| name(client, Path::new("/d"));
        assert_eq!(name("10.0.0.1"), "10.0.0.1:/d");
        assert_eq!(name("2001:db8::1"), "[2001:db8::1]:/d");
        assert_eq!(name("2001:db8::/32"), "[2001:db8::]/32:/d");
    }
}
