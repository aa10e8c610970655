//! Everything of one test, and the end of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{Flock, FlockArg};

use super::images::{self, Images};
use super::package;
use super::power::{PowerController, PowerSwitch};
use super::{LabError, Machine, Result, Specification, Switch};

/// Separate networks that every machine has a card on.
pub const LINKS: usize = 2;

/// A laboratory. Make it first and the machines after it, so that it ends last.
pub struct Laboratory {
    // The order of the fields is the order in which they end.
    power: PowerController,
    switches: BTreeMap<String, Arc<PowerSwitch>>,
    links: Vec<Switch>,
    images: Images,
    directory: PathBuf,
    machines: u8,
    _alone: Flock<File>,
}

impl Laboratory {
    /// Sets up an empty laboratory; waits until no other one is running, for each takes all the processors it
    /// can get.
    ///
    /// # Errors
    /// When the images are not prepared or files cannot be made.
    pub fn new() -> Result<Self> {
        static LABORATORIES: AtomicU32 = AtomicU32::new(0);
        // Short, for the names of unix sockets are.
        let number = LABORATORIES.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("crm-lab-{}-{number}", std::process::id()));
        let images = Images::prepared(&directory)?;
        let lock = images::cache().join("laboratory.lock");
        let file = File::create(&lock).map_err(LabError::io(format!("open {}", lock.display())))?;
        let alone = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| LabError::Io {
            what: format!("lock {}", lock.display()),
            source: e.into(),
        })?;
        remove_abandoned();
        std::fs::create_dir(&directory)
            .map_err(LabError::io(format!("make {}", directory.display())))?;
        let links = (0..LINKS).map(|n| Switch::new(&directory, &format!("link{n}"))).collect();
        Ok(Self {
            power: PowerController::default(),
            switches: BTreeMap::new(),
            links,
            images,
            directory,
            machines: 0,
            _alone: alone,
        })
    }

    /// Builds a machine that is switched off. The first has the addresses 10.9.0.1 and 10.9.1.1 (link 0 and
    /// link 1), the second 10.9.0.2 and 10.9.1.2, and so on.
    ///
    /// # Errors
    /// When its disks or its ports cannot be made.
    pub fn machine(&mut self, specification: &Specification) -> Result<Machine> {
        let root = self.images.root(specification.system);
        if specification.system.is_light() && !root.exists() {
            let origin = self.images.origin(specification.system);
            if !origin.exists() {
                return Err(LabError::NotPrepared(origin.to_owned()));
            }
            images::copy_sparse(origin, root)?;
            package::put_into(root, &self.directory)?;
        }
        self.machines += 1;
        let number = self.machines;
        let mut cards = Vec::new();
        for link in &mut self.links {
            cards.push(link.port(&specification.name)?);
        }
        let machine = Machine::new(specification, number, &cards, &self.images, &self.directory)?;
        let switch = machine.power();
        self.switches.insert(specification.name.clone(), Arc::clone(&switch));
        self.power.attach(&specification.name, switch, machine.fence_socket())?;
        Ok(machine)
    }

    /// Makes an empty disk for a machine, or for several: see [`super::machine::Disk`].
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn blank_disk(&self, name: &str, bytes: u64) -> Result<PathBuf> {
        let path = self.directory.join(format!("{name}.disk"));
        images::blank(&path, bytes)?;
        Ok(path)
    }

    /// The images that the machines boot from.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Makes a disk with a file system on it that holds the files of `tree`: see [`images::filled`].
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn filled_disk(&self, name: &str, bytes: u64, tree: &Path) -> Result<PathBuf> {
        let path = self.directory.join(format!("{name}.disk"));
        images::filled(&path, bytes, tree)?;
        Ok(path)
    }

    /// The network of the machines' cards number `link`.
    pub fn link(&self, link: usize) -> &Switch {
        &self.links[link]
    }

    /// The power controller that guests ask with `lab-fence`.
    pub fn power(&self) -> &PowerController {
        &self.power
    }

    /// Where the files of this laboratory are. They go with it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Address of the machine that was made as number `machine` (from 1), on the network `link`.
pub fn address(link: usize, machine: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, u8::try_from(link).unwrap_or(u8::MAX), machine)
}

/// Removes what tests have left that were killed. Their machines have ended with them.
fn remove_abandoned() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("crm-lab-")?.split('-').next());
        let abandoned = owner.is_some_and(|pid| {
            pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()
        });
        if abandoned {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        for switch in self.switches.values() {
            let _ = switch.off();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
