//! The name by which clients know the server (RFC 8881, 2.10.4: its scope): the same wherever the volume is, and nobody
//! else's. It is drawn once and lies on the volume.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::contract::Failure;

/// The name in the state directory, drawn if there is none.
pub(super) fn of(state: &Path) -> Result<String, Failure> {
    let path = state.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => judge(&text).ok_or_else(|| {
            Failure::generic(format!(
                "{} is damaged; remove it, and clients will open their files anew",
                path.display()
            ))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => draw(state)
            .map_err(|error| Failure::system(format!("cannot write {}", path.display()), &error)),
        Err(error) => Err(Failure::system(format!("cannot read {}", path.display()), &error)),
    }
}

/// What fits into a host name.
fn judge(text: &str) -> Option<String> {
    let name = text.trim_end();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    ((1..=LONGEST).contains(&name.len()) && name.chars().all(fits)).then(|| name.to_owned())
}

/// It is on the disk before any client has heard it.
fn draw(state: &Path) -> io::Result<String> {
    let random = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    let name = format!("crm-{}", random.trim_end());
    let fresh = state.join(format!("{FILE}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(format!("{name}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, state.join(FILE))?;
    File::open(state)?.sync_all()?;
    Ok(name)
}

const FILE: &str = "scope";
/// Of the kernel's host name.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_drawn_once_and_a_damaged_one_is_not_believed() {
        let state = std::env::temp_dir().join(format!("crm-scope-{}", std::process::id()));
        fs::create_dir_all(&state).expect("directory");
        let first = of(&state).expect("drawn");
        assert!(first.len() > 20 && first.len() <= LONGEST, "{first}");
        assert_eq!(of(&state), Ok(first));
        for damaged in ["", "\n", "a b\n", "../x\n", &"x".repeat(65)] {
            fs::write(state.join(FILE), damaged).expect("write");
            assert!(of(&state).expect_err("damaged").reason.contains("damaged"), "{damaged:?}");
        }
        fs::remove_dir_all(&state).expect("remove");
    }
}
