//! Stop: end the users, unmount, flush; or say who is in the way.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use sys_mount::UnmountFlags;

use super::mountinfo::{Mount, Table};
use super::{Found, Wanted, mount, steps, users};
use crate::child;
use crate::contract::{Call, Failure, Outcome};
use crate::deadline::{Deadline, Pause};
use crate::procfs;

pub(super) fn stop(call: &Call, wanted: &Wanted) -> Outcome {
    // The directory of the caller may be the very one.
    let _ = std::env::set_current_dir("/");
    let table = Table::read()?;
    let ours = match wanted.find(&table) {
        Found::Ours(mount) => mount.clone(),
        // HB36: nothing of ours is mounted, which is what stop is for.
        Found::Nothing => {
            call.channel.progress(format!("{} is not mounted", wanted.at.display()));
            return Ok(());
        }
        Found::Foreign(other) => {
            call.channel.progress(format!(
                "{} is not mounted; {} at {} is left alone",
                wanted.source,
                other.source,
                wanted.at.display()
            ));
            return Ok(());
        }
    };
    let device = wanted.source.is_block_device().then(|| block_device(wanted, &ours)).flatten();
    release(call, wanted, &ours)?;
    if let Some(device) = device {
        finish(call, &device, &ours)?;
    }
    Ok(())
}

fn block_device(wanted: &Wanted, ours: &Mount) -> Option<PathBuf> {
    wanted
        .source
        .resolve()
        .ok()
        .or_else(|| Some(PathBuf::from(&ours.source)).filter(|p| p.exists()))
}

/// Unmounts; ends the users in steps as long as it is busy (HB35, HB37).
fn release(call: &Call, wanted: &Wanted, ours: &Mount) -> Outcome {
    let deadline = call.context.deadline;
    if unmount_tree(ours, deadline)? {
        return Ok(());
    }
    let all = steps::fit(&wanted.steps, deadline.remaining().mul_f64(SHARE_OF_STEPS));
    for step in &all {
        end_users(call, ours, *step)?;
        if unmount_until(ours, deadline.at_most(step.wait))? {
            return Ok(());
        }
    }
    // The last step again and again: a user may have come in between.
    if let Some(last) = all.last() {
        while !deadline.passed() {
            end_users(call, ours, *last)?;
            if unmount_until(ours, deadline.at_most(AGAIN))? {
                return Ok(());
            }
        }
    }
    Err(busy(ours, wanted.steps.is_empty()))
}

fn end_users(call: &Call, ours: &Mount, step: steps::Step) -> Outcome {
    let table = Table::read()?;
    let pids = users::find(&table.tree(ours))?;
    if !pids.is_empty() {
        call.channel.progress(format!(
            "sending {} to the users of {}: {}",
            step.signal,
            ours.at.display(),
            procfs::describe_all(&pids)
        ));
    }
    // The daemon that called, or the shell, must live to hear of it; they are named in the reason.
    let callers = procfs::ancestors();
    for pid in pids.into_iter().filter(|pid| *pid > 1 && !callers.contains(pid)) {
        // It may have gone meanwhile.
        let _ = kill(Pid::from_raw(pid), step.signal);
    }
    Ok(())
}

fn unmount_until(ours: &Mount, deadline: Deadline) -> Result<bool, Failure> {
    let mut pause = Pause::new();
    loop {
        if unmount_tree(ours, deadline)? {
            return Ok(true);
        }
        if !pause.sleep(deadline) {
            return Ok(false);
        }
    }
}

/// Unmounts what is mounted below, then the mount itself; false if something is busy.
fn unmount_tree(ours: &Mount, deadline: Deadline) -> Result<bool, Failure> {
    // Stacks may be deep; each round takes at least one off or ends.
    for _ in 0..MOST_MOUNTS {
        let table = Table::read()?;
        let tree = table.tree(ours);
        // The deepest has nothing on it: it is what its path leads to.
        let Some(last) = tree.last() else { return Ok(true) };
        match child::call(deadline.at_least(SHORTEST), || unmount(&last.at)) {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) if error.raw_os_error() == Some(libc::EBUSY) => return Ok(false),
            // Somebody else was faster; the table will tell.
            Ok(Some(Err(error))) if error.raw_os_error() == Some(libc::EINVAL) => {
                if Table::read()?.mounts.iter().any(|mount| mount.id == last.id) {
                    return Err(cannot(&last.at, &error));
                }
            }
            Ok(Some(Err(error))) | Err(error) => return Err(cannot(&last.at, &error)),
            Ok(None) => {
                return Err(Failure::generic(format!(
                    "cannot unmount {}: the kernel did not answer in time; its device or server \
                     does not respond",
                    last.at.display()
                )));
            }
        }
    }
    Ok(false)
}

fn unmount(at: &Path) -> io::Result<()> {
    // Most is written while everybody can still work; the unmount then has little left.
    if let Ok(root) = File::open(at) {
        let _ = nix::unistd::syncfs(root);
    }
    // Not `UnmountFlags::NOFOLLOW`: that is the number of open(2), which umount2(2) refuses.
    sys_mount::unmount(at, UnmountFlags::from_bits_retain(libc::UMOUNT_NOFOLLOW))
}

fn cannot(at: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("cannot unmount {}", at.display()), error)
}

/// Names everybody who is in the way.
fn busy(ours: &Mount, never: bool) -> Failure {
    let at = ours.at.display();
    let Ok(table) = Table::read() else { return Failure::generic(format!("{at} is busy")) };
    let tree = table.tree(ours);
    let mut names = Vec::new();
    let pids = match users::find(&tree) {
        Ok(pids) => pids,
        Err(failure) => return Failure::generic(format!("{at} is still in use; {failure}")),
    };
    if !pids.is_empty() {
        let state = |pid: &i32| procfs::Stat::of(*pid).is_some_and(|stat| stat.state == 'D');
        let stuck = if pids.iter().any(state) { ", waiting in the kernel" } else { "" };
        names.push(format!("processes {}{stuck}", procfs::describe_all(&pids)));
    }
    names.extend(users::kernel_users(&tree));
    if names.is_empty() {
        names.push("no process of this machine; is it exported by NFS?".to_owned());
    }
    let advice = if never { " (`force_unmount: never`)" } else { "" };
    Failure::generic(format!("{at} is still in use{advice}: {}", names.join("; ")))
}

/// After the unmount: nobody else may have it, and nothing may be left in memory.
fn finish(call: &Call, device: &Path, ours: &Mount) -> Outcome {
    if let Some(other) = Table::read()?.mounts.iter().find(|m| m.device == ours.device) {
        call.channel.progress(format!(
            "{} is still mounted at {}",
            device.display(),
            other.at.display()
        ));
        return mount::flush(device);
    }
    let deadline = call.context.deadline.at_most(RELEASE);
    let mut pause = Pause::new();
    while mount::is_held(device) {
        if pause.sleep(deadline) {
            continue;
        }
        let holders = users::foreign_holders(ours.device)?;
        if holders.is_empty() {
            break;
        }
        return Err(Failure::generic(format!(
            "{} is unmounted here and still mounted in another mount namespace, of {}; stop \
             those services",
            device.display(),
            procfs::describe_all(&holders)
        )));
    }
    mount::flush(device)
}

/// What is left of the time belongs to the last step and to the flush.
const SHARE_OF_STEPS: f64 = 0.7;
const MOST_MOUNTS: usize = 1000;
const AGAIN: std::time::Duration = std::time::Duration::from_millis(500);
/// An unmount that is asked for at the very end still gets this long.
const SHORTEST: std::time::Duration = std::time::Duration::from_millis(200);
/// The kernel lets go of a device a little after the unmount.
const RELEASE: std::time::Duration = std::time::Duration::from_millis(500);
