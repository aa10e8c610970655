//! `crm drbd resolve`: ends a split brain on the side whose changes are given up.
//!
//! Nothing is decided here. The operator names the side by running it there, proves the split brain by
//! the other side's identifiers, keeps a copy unless he says otherwise, and gives his word.

use crate::output::{Failure, Output, say};
use crm_api::Exit;
use crm_drbd::Resource;
use crm_drbd::generation::{Generation, Relation};
use crm_drbd::state::{Amount, Connection, Role};
use std::fs::File;
use std::io::{BufRead, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest that one of DRBD's tools may take.
const TIME: Duration = Duration::from_secs(20);
/// What is read and written at a time; a block of zeros this long becomes a hole.
const BLOCK: usize = 1 << 20;

pub(super) fn run(
    name: &str,
    other: &str,
    keep: Option<&Path>,
    certain: Option<&str>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let other = Generation::read(other).map_err(|error| {
        Failure::usage(error.to_string(), "give what `drbdadm get-gi RESOURCE` printed there")
    })?;
    let picture = crm_agents::drbd::picture(TIME).map_err(Failure::failed)?;
    let resource = picture.get(name).ok_or_else(|| {
        Failure::refused(format!("{name} is not up on this node"), format!("`drbdadm up {name}`"))
    })?;
    may_give_up(resource, &generations(resource)?, &other)?;
    let changed = resource.out_of_sync_kib().map(|kib| Amount(kib).to_string());
    let changed = changed.unwrap_or_else(|| "an unknown amount".to_owned());
    say(format!(
        "{name}: {changed} changed on this node since the two parted, and will be given up"
    ));
    let kept = match keep {
        Some(file) => copies(name, resource, file)?,
        None => Vec::new(),
    };
    certainty(name, certain, kept.is_empty())?;
    for (device, file) in &kept {
        say(format!("keeping {} in {}", device.display(), file.display()));
        copy(device, file)?;
    }
    // A side that merely waits has to be cut before it can be told to give way.
    if !resource.stands_alone() {
        ask(&["disconnect", name])?;
    }
    ask(&["connect", "--discard-my-data", name])?;
    output.line(format!(
        "{name}: this node takes the other side's data; if that one stands alone, `drbdadm connect \
         {name}` there; `crm drbd status {name}` shows the resync"
    ))?;
    Ok(Exit::Done)
}

fn ask(arguments: &[&str]) -> Result<String, Failure> {
    crm_agents::drbd::ask(arguments, TIME).map_err(Failure::failed)
}

fn generations(resource: &Resource) -> Result<Vec<Generation>, Failure> {
    let one = |volume: &u32| {
        let text = ask(&["get-gi", &format!("{}/{volume}", resource.name)])?;
        Generation::read(&text).map_err(|error| Failure::failed(error.to_string()))
    };
    resource.volumes.keys().map(one).collect()
}

/// Only what is proved to have parted, and only where nobody is using it.
fn may_give_up(resource: &Resource, own: &[Generation], other: &Generation) -> Result<(), Failure> {
    let name = &resource.name;
    if !own.iter().any(|own| own.relation(other) == Relation::Parted) {
        let relation = own.first().map_or(Relation::Unrelated, |own| own.relation(other));
        return Err(Failure::refused(
            format!("{name} has not parted: compared with the other side this is {relation}"),
            "there is nothing to give up; `drbdadm connect` joins the two",
        ));
    }
    if resource.role != Role::Secondary {
        return Err(Failure::refused(
            format!("this node is {} of {name}: its data is in use", resource.role),
            "give up the other side's changes there, or stop the group here first",
        ));
    }
    if resource.peers.values().any(|peer| peer.connection == Connection::Connected) {
        return Err(Failure::refused(
            format!("{name} is connected"),
            "there is no split brain now",
        ));
    }
    Ok(())
}

/// The backing devices, and the file that each goes into.
fn copies(
    name: &str,
    resource: &Resource,
    file: &Path,
) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let text = ask(&["sh-ll-dev", name])?;
    let devices: Vec<PathBuf> = text.lines().map(|line| PathBuf::from(line.trim())).collect();
    if devices.len() != resource.volumes.len() || devices.iter().any(|one| !one.is_absolute()) {
        return Err(Failure::failed(format!(
            "expected {} devices from `drbdadm sh-ll-dev {name}`, found {text:?}",
            resource.volumes.len()
        )));
    }
    let numbered = |volume: &u32| match devices.len() {
        1 => file.to_owned(),
        _ => PathBuf::from(format!("{}.{volume}", file.display())),
    };
    let files: Vec<PathBuf> = resource.volumes.keys().map(numbered).collect();
    if let Some(there) = files.iter().find(|file| file.exists()) {
        return Err(Failure::refused(
            format!("{} is there already", there.display()),
            "name a new file",
        ));
    }
    let directory = file.parent().filter(|one| !one.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let room = nix::sys::statvfs::statvfs(directory)
        .map_err(|error| Failure::failed(format!("{}: {error}", directory.display())))?;
    let room = room.blocks_available() as u64 * room.fragment_size() as u64;
    let mut need = 0_u64;
    for device in &devices {
        need = need.saturating_add(length(device)?);
    }
    if need > room {
        return Err(Failure::refused(
            format!(
                "the copy may need {}, and {} has {}",
                Amount(need / 1024),
                directory.display(),
                Amount(room / 1024)
            ),
            "name a file where there is room, or say --keep-nothing",
        ));
    }
    Ok(devices.into_iter().zip(files).collect())
}

fn length(device: &Path) -> Result<u64, Failure> {
    let broken = |error| Failure::failed(format!("{} cannot be read: {error}", device.display()));
    File::open(device).and_then(|mut file| file.seek(SeekFrom::End(0))).map_err(broken)
}

/// Whole, readable for root only, and on the disk when it returns; else not there at all.
fn copy(device: &Path, file: &Path) -> Result<(), Failure> {
    let to = File::options().write(true).create_new(true).mode(0o600).open(file);
    let copied = to.and_then(|to| {
        let copied = fill(device, to);
        if copied.is_err() {
            let _ = std::fs::remove_file(file);
        }
        copied
    });
    copied.map_err(|error| {
        let (device, file) = (device.display(), file.display());
        Failure::failed(format!("cannot copy {device} to {file}: {error}; nothing was given up"))
    })
}

fn fill(device: &Path, mut to: File) -> std::io::Result<()> {
    let mut from = File::open(device)?;
    // DRBD writes below the kernel's cache of the device: what that holds may be old.
    let forget = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
    nix::fcntl::posix_fadvise(&from, 0, 0, forget)?;
    let mut block = vec![0; BLOCK];
    let mut total = 0_u64;
    loop {
        let part = match from.read(&mut block)? {
            0 => break,
            read => &block[..read],
        };
        total += part.len() as u64;
        if part.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Start(total))?;
        } else {
            to.write_all(part)?;
        }
    }
    to.set_len(total)?;
    to.sync_all()
}

/// The name again: as an argument, or typed.
fn certainty(name: &str, given: Option<&str>, nothing_kept: bool) -> Result<(), Failure> {
    if given == Some(name) {
        return Ok(());
    }
    if let Some(other) = given {
        return Err(Failure::usage(format!("--i-am-certain says {other}, not {name}"), ""));
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "nobody can be asked here",
            format!("say --i-am-certain {name} if you are"),
        ));
    }
    let kept = if nothing_kept { "No copy is kept. " } else { "" };
    say(format!("{kept}Type {name} to give up this node's changes:"));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    match line.trim() == name {
        true => Ok(()),
        false => Err(Failure::refused("nothing was given up", "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_every_byte_and_holes_for_nothing() {
        use std::os::unix::fs::MetadataExt;
        let directory = std::env::temp_dir().join(format!("crm-resolve-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let (from, to) = (directory.join("device"), directory.join("copy"));
        let mut bytes = vec![0; 5 * BLOCK + 4096];
        bytes[2 * BLOCK + 17] = 7;
        std::fs::write(&from, &bytes).expect("device");
        copy(&from, &to).expect("copied");
        let same = std::fs::read(&to).expect("read") == bytes;
        let blocks = std::fs::metadata(&to).expect("meta").blocks();
        let again = copy(&from, &to).expect_err("a file that is there is not touched");
        std::fs::remove_dir_all(&directory).expect("removed");
        assert!(same && blocks * 512 <= 2 * BLOCK as u64, "{blocks}");
        assert!(again.reason.contains("nothing was given up"), "{}", again.reason);
    }
}
