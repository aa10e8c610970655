//! Is the data directory there, on the filesystem where it belongs, and does it hold a database?

use std::fs;
use std::path::Path;

use super::Instance;
use crate::contract::{Failure, Outcome};
use crate::filesystem::mounted_on;

/// What a server would otherwise create in an empty directory, and lose at the next takeover.
pub(super) fn check(instance: &Instance) -> Outcome {
    let datadir = &instance.datadir;
    if let Some(mount) = &instance.mount {
        mounted_on(mount, datadir)?;
    }
    match fs::metadata(datadir) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            return Err(Failure::installed(format!(
                "expected the data directory {}, found something that is no directory",
                datadir.display()
            )));
        }
        Err(error) => {
            return Err(Failure::installed(format!(
                "expected the data directory {}: {error}; is its filesystem mounted before this?",
                datadir.display()
            )));
        }
    }
    if !holds_a_database(datadir) {
        return Err(Failure::installed(format!(
            "expected a database in {}, found none of {}; mount the right filesystem, or create the \
             database once by hand (mariadb-install-db): this agent never does",
            datadir.display(),
            SIGNS.join(", ")
        )));
    }
    Ok(())
}

fn holds_a_database(datadir: &Path) -> bool {
    SIGNS.iter().any(|sign| datadir.join(sign).exists())
}

/// The system tables (MariaDB, MySQL 5), and those of MySQL 8.
const SIGNS: [&str; 2] = ["mysql", "mysql.ibd"];
