//! The product as its users get it: the Debian package, installed in a machine.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{LabError, Laboratory, Machine, Result, images};

/// Disks are read in blocks of this many bytes.
const BLOCK: u64 = 512;

/// The package under test, on a disk of its own.
#[derive(Debug, Clone)]
pub struct Package {
    disk: PathBuf,
    bytes: u64,
}

impl Package {
    /// Takes the package that `CRM_PACKAGE` names, else the one that `tests/run machines` has built.
    ///
    /// # Errors
    /// When there is none.
    pub fn built(laboratory: &Laboratory) -> Result<Self> {
        let path = file()?;
        let disk = laboratory.directory().join("package.disk");
        let what = || format!("copy {}", path.display());
        let bytes = std::fs::copy(&path, &disk).map_err(LabError::io(what()))?;
        let file = File::options().write(true).open(&disk).map_err(LabError::io(what()))?;
        file.set_len(bytes.next_multiple_of(BLOCK)).map_err(LabError::io(what()))?;
        Ok(Self { disk, bytes })
    }

    /// The disk to give to each machine, as one that is shared: it is only read.
    pub fn disk(&self) -> &Path {
        &self.disk
    }

    /// Installs the package from `device` in a machine.
    ///
    /// # Errors
    /// When `dpkg` refuses it.
    pub fn install(&self, machine: &mut Machine, device: &str) -> Result<()> {
        let copy = format!("head -c {} {device} >/tmp/crm.deb", self.bytes);
        machine.ok(&format!("{copy} && dpkg --install /tmp/crm.deb && rm /tmp/crm.deb")).map(drop)
    }
}

fn file() -> Result<PathBuf> {
    let path = std::env::var_os("CRM_PACKAGE")
        .map_or_else(|| images::cache().join("crm.deb"), PathBuf::from);
    if path.exists() { Ok(path) } else { Err(LabError::NoPackage(path)) }
}

/// Puts the package's files into a disk image that no machine has booted, without installing it: its scripts
/// are not run. `directory` is for files in between.
///
/// # Errors
/// When the package cannot be unpacked, or the image cannot be written.
pub(super) fn put_into(image: &Path, directory: &Path) -> Result<()> {
    let tree = directory.join("package");
    run(Command::new("dpkg-deb").arg("--extract").arg(file()?).arg(&tree))?;
    let mut commands = String::new();
    list(&tree, &tree, &mut commands).map_err(LabError::io(format!("read {}", tree.display())))?;
    let script = directory.join("package.debugfs");
    std::fs::write(&script, commands)
        .map_err(LabError::io(format!("write {}", script.display())))?;
    run(Command::new("debugfs").env("PATH", TOOLS).arg("-w").arg("-f").arg(&script).arg(image))
}

/// What `debugfs` is told to make the tree below `at`. A directory that is there already stays.
fn list(root: &Path, at: &Path, commands: &mut String) -> std::io::Result<()> {
    for entry in std::fs::read_dir(at)? {
        let path = entry?.path();
        let meta = path.symlink_metadata()?;
        // Debian's /lib is a link, which debugfs follows in what exists already.
        let inside = format!("/{}", path.strip_prefix(root).unwrap_or(&path).display());
        if meta.is_symlink() {
            let to = std::fs::read_link(&path)?;
            commands.push_str(&format!("symlink {inside} {}\n", to.display()));
        } else if meta.is_dir() {
            commands.push_str(&format!("mkdir {inside}\n"));
            list(root, &path, commands)?;
        } else {
            let mode = meta.permissions().mode();
            commands.push_str(&format!("write {} {inside}\n", path.display()));
            commands.push_str(&format!("set_inode_field {inside} mode 0{mode:o}\n"));
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let what = format!("{command:?}");
    let output = command.output().map_err(LabError::io(what.clone()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(LabError::Io { what, source: std::io::Error::other(text) })
}

/// debugfs is where an ordinary user's PATH does not lead.
const TOOLS: &str = "/usr/sbin:/sbin:/usr/bin:/bin";
