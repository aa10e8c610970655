//! What the machines boot from, as `tests/machines/prepare` has left it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine::System;
use super::{LabError, Result};

/// The files of one complete preparation.
#[derive(Debug, Clone)]
pub struct Images {
    /// The kernel, as an ELF file.
    pub kernel: PathBuf,
    /// busybox and drivers.
    pub initramfs: PathBuf,
    /// Root file system of a Debian with systemd. Never booted from itself: each machine has a copy.
    pub debian: PathBuf,
    /// A data directory of MariaDB: the table `shop.orders`, and a user `client` without password.
    pub database: PathBuf,
    /// [`Self::debian`] with our package on it: made by the laboratory when a machine first wants it.
    pub light: PathBuf,
    /// The same with web, NFS and Samba servers, without our package; only there when it was asked for.
    pub servers: PathBuf,
    /// [`Self::servers`] with our package on it, made likewise.
    pub light_servers: PathBuf,
}

/// Directory of prepared images, the package under test, and the laboratory's lock.
pub fn cache() -> PathBuf {
    match std::env::var_os("CRM_MACHINES_CACHE") {
        Some(given) => PathBuf::from(given),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/machines"),
    }
}

impl Images {
    /// Finds the images; `directory` is the laboratory's own.
    ///
    /// # Errors
    /// When they have not been prepared. This fails a test, it does not skip it: a level that did not run must
    /// not look like one that passed.
    pub fn prepared(directory: &Path) -> Result<Self> {
        let current = cache().join("current");
        if !current.join("complete").exists() {
            return Err(LabError::NotPrepared(current));
        }
        Ok(Self {
            kernel: current.join("vmlinux"),
            initramfs: current.join("initramfs.cpio"),
            debian: current.join("debian.img"),
            database: current.join("database"),
            light: directory.join("light.img"),
            servers: current.join("servers.img"),
            light_servers: directory.join("light-servers.img"),
        })
    }

    /// The root file system that such a machine gets a copy of. A bare one has none, and gets nobody's.
    pub(super) fn root(&self, system: System) -> &Path {
        match system {
            System::Bare | System::Debian => &self.debian,
            System::Light => &self.light,
            System::Servers => &self.light_servers,
        }
    }

    /// What [`Self::root`] is made from, for a machine with our package on it.
    pub(super) fn origin(&self, system: System) -> &Path {
        if system == System::Servers { &self.servers } else { &self.debian }
    }
}

/// Copies a disk image without writing its holes.
///
/// # Errors
/// When `cp` fails, most often for want of space.
pub fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    let what = format!("copy {} to {}", from.display(), to.display());
    let status = Command::new("cp")
        .args(["--sparse=always", "--reflink=auto", "--"])
        .args([from, to])
        .status()
        .map_err(LabError::io(what.clone()))?;
    if status.success() {
        return Ok(());
    }
    Err(LabError::Io { what, source: std::io::Error::other(format!("cp ended with {status}")) })
}

/// Makes a disk of `bytes` with an ext4 on it that holds the files of `tree` and leaves the last MiB free, for
/// DRBD's own data.
///
/// # Errors
/// When the file cannot be made, or the files do not fit.
pub fn filled(path: &Path, bytes: u64, tree: &Path) -> Result<()> {
    blank(path, bytes)?;
    let what = format!("make a file system on {}", path.display());
    let output = Command::new("mke2fs")
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .args(["-q", "-t", "ext4", "-F", "-E", "root_owner=0:0", "-d"])
        .args([tree, path])
        .arg(format!("{}k", bytes / 1024 - 1024))
        .output()
        .map_err(LabError::io(what.clone()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(LabError::Io { what, source: std::io::Error::other(text) })
}

/// Makes an empty disk of `bytes`, all holes.
///
/// # Errors
/// When the file cannot be made.
pub fn blank(path: &Path, bytes: u64) -> Result<()> {
    let what = format!("make disk {}", path.display());
    let file = std::fs::File::create(path).map_err(LabError::io(what.clone()))?;
    file.set_len(bytes).map_err(LabError::io(what))
}
