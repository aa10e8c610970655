//! The product as its users get it: the Debian package, installed in a machine.

use std::fs::File;
use std::path::{Path, PathBuf};

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
        let path = std::env::var_os("CRM_PACKAGE")
            .map_or_else(|| images::cache().join("crm.deb"), PathBuf::from);
        if !path.exists() {
            return Err(LabError::NoPackage(path));
        }
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
