//! The first store of a new cluster (`crm init`), and the note of whom to join (`crm join`).

use crate::random;
use crate::store::{Disk, Spare, Store, SystemDisk, make_directories, replace, replace_file};
use crm_core::id::{NodeId, StoreId};
use crm_core::record::{Record, Stored};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Largest configuration that is read, in bytes.
pub(crate) const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Makes the store of the first node from `cluster.yaml` in `config_dir`: a record with this node
/// as its only voter (H22).
///
/// # Errors
/// One text with the way out: there is a store already, the configuration is bad, or it does not
/// name this node.
pub fn found(config_dir: &Path, state: &Path, node: &NodeId) -> Result<(), String> {
    let file = config_dir.join("cluster.yaml");
    let text = read_limited(&file)?;
    let cluster = crm_config::parse_for_core(&text)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    if cluster.node(node).is_none() {
        let names: Vec<&str> = cluster.nodes.iter().map(|node| node.id.as_str()).collect();
        return Err(format!(
            "{} does not name this node: expected one of {}, found {node}\nhint: name it with \
             --node, or add it to `nodes`",
            file.display(),
            names.join(", ")
        ));
    }
    found_on(SystemDisk, state, node, &text, StoreId(random::bits()?))
}

/// The same, on any disk, with a configuration that is good.
pub(crate) fn found_on<D: Disk>(
    disk: D,
    state: &Path,
    node: &NodeId,
    text: &str,
    id: StoreId,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}", state.display());
    make_directories(&disk, state).map_err(failed)?;
    let store = Store::on(disk, state);
    if store.load()?.is_some() {
        return Err(format!(
            "{} is there already: this node belongs to a cluster\nhint: a new cluster begins with \
             an empty {}",
            store.file().display(),
            state.display()
        ));
    }
    let stored = Stored { record: Some(Record::founding(text, node, id)), ..Stored::new(id) };
    remember_applied_on(store.disk(), state, text).map_err(failed)?;
    store.save(&stored, &mut Spare::default()).map_err(failed)
}

/// Notes a member to ask for the record; the daemon uses it until it has one.
///
/// # Errors
/// There is a store already, or the note cannot be written.
pub fn note_contact(state: &Path, contact: &str) -> Result<(), String> {
    make_directory(state)?;
    if Store::new(state).load()?.is_some_and(|stored| stored.record.is_some()) {
        return Err(format!(
            "{} is there already: this node belongs to a cluster\nhint: to join another one, drop it from \
             cluster.yaml on a node that stays and `crm apply` there; then stop crmd here and move that file away",
            Store::new(state).file().display()
        ));
    }
    replace_file(&contact_file(state), format!("{contact}\n").as_bytes(), 0o600)
        .map_err(|error| format!("{}: {error}", contact_file(state).display()))
}

pub(crate) fn contact_file(state: &Path) -> PathBuf {
    state.join("contact")
}

/// Digest of the configuration text that was last written to, or taken from, `cluster.yaml`: a
/// file with another digest was edited by somebody.
pub(crate) fn remember_applied(state: &Path, text: &str) -> io::Result<()> {
    remember_applied_on(&SystemDisk, state, text)
}

fn remember_applied_on<D: Disk>(disk: &D, state: &Path, text: &str) -> io::Result<()> {
    let digest = crm_core::digest::digest(text.as_bytes());
    replace(disk, &state.join("applied"), format!("{:032x}\n", digest.0).as_bytes(), 0o600)
}

pub(crate) fn read_limited(file: &Path) -> Result<String, String> {
    use io::Read;
    let mut text = String::new();
    fs::File::open(file)
        .and_then(|opened| opened.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(format!("{} is larger than {CONFIG_BYTES_MAX} bytes", file.display()));
    }
    Ok(text)
}

/// A directory for the daemon's eyes only.
pub(crate) fn make_directory(path: &Path) -> Result<(), String> {
    make_directories(&SystemDisk, path)
        .map_err(|error| format!("{} cannot be made: {error}", path.display()))
}
