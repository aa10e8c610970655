//! A disk that every node of the laboratory can reach: a file behind a loop device.

use super::guard::Guard;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A loop device. It is given back when it goes, also when a test fails or is killed.
#[derive(Debug)]
pub struct Disk {
    /// The block device, as `/dev/loop3`.
    pub device: PathBuf,
    /// Gives it back. While a namespace still has it mounted the kernel does that later, at the unmount.
    _guard: Guard,
}

impl Disk {
    /// Makes a file of `mebibytes` in `directory`, a loop device of it, and ext4 on that.
    ///
    /// # Panics
    /// If any of this fails, with what the tools said.
    #[must_use]
    pub fn ext4(directory: &Path, mebibytes: u64) -> Disk {
        let path = directory.join("disk");
        let file = std::fs::File::create(&path).expect("the disk's file");
        file.set_len(mebibytes * 1024 * 1024).expect("room for the disk");
        let said = said(tool("losetup").args(["--find", "--show"]).arg(&path));
        let device = PathBuf::from(said.trim());
        let guard = Guard::start("exec losetup --detach \"$0\"", std::slice::from_ref(&device));
        let disk = Disk { device, _guard: guard };
        self::said(tool("mkfs.ext4").args(["-q", "-F"]).arg(&disk.device));
        disk
    }
}

fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

fn said(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}
