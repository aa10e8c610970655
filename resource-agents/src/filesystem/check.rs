//! Checking the filesystem before it is mounted, where that is due (HB32).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use crate::child;
use crate::contract::{Call, Failure, Outcome};

/// The `fsck` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Where it is due.
    Auto,
    Force,
    Never,
}

impl When {
    pub(super) fn parse(word: &str) -> When {
        match word {
            "force" => When::Force,
            "never" => When::Never,
            _ => When::Auto,
        }
    }
}

/// Checks and repairs what can be repaired without a question.
pub(super) fn run(call: &Call, when: When, kind: &str, device: &Path) -> Outcome {
    let due = match when {
        When::Never => None,
        When::Force => Some("it is demanded"),
        When::Auto => due(kind, &superblock(device)),
    };
    let Some(why) = due else { return Ok(()) };
    let tool = format!("fsck.{kind}");
    let Some(path) = child::find_tool(&tool) else {
        return Err(Failure::installed(format!(
            "{} must be checked ({why}) and the program {tool} is not installed",
            device.display()
        )));
    };
    call.channel.progress(format!("checking {} ({why})", device.display()));
    let mut command = Command::new(path);
    command.arg("-a");
    if when == When::Force && is_ext(kind) {
        command.arg("-f");
    }
    command.arg(device);
    let finished = child::run(&mut command, call.context.deadline)
        .map_err(|error| Failure::system(format!("cannot run {tool}"), &error))?;
    match finished.code {
        // 1: errors were corrected. 2: a restart would be needed if it were mounted.
        Some(0..4) => Ok(()),
        _ => Err(Failure::generic(format!(
            "{tool} of {}: {}; check it by hand before it is mounted",
            device.display(),
            finished.summary()
        ))),
    }
}

/// Why a filesystem of this type has to be checked: only the ext family can be without a journal
/// or keep a note of errors, and is then repaired before the mount. The kernel replays journals.
fn due(kind: &str, superblock: &[u8]) -> Option<&'static str> {
    if kind == "ext2" {
        return Some("ext2 has no journal");
    }
    let number = |at: usize| {
        superblock.get(at..at + 2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    };
    if !is_ext(kind) || number(MAGIC_AT) != MAGIC {
        return None;
    }
    if number(COMPATIBLE_AT) & HAS_JOURNAL == 0 {
        return Some("it has no journal");
    }
    (number(STATE_AT) & HAS_ERRORS != 0).then_some("errors are noted in it")
}

fn is_ext(kind: &str) -> bool {
    matches!(kind, "ext2" | "ext3" | "ext4")
}

/// The first superblock of the ext family; empty if it cannot be read.
fn superblock(device: &Path) -> Vec<u8> {
    let mut bytes = vec![0; 256];
    let read = File::open(device).and_then(|mut file| {
        file.seek(SeekFrom::Start(1024))?;
        file.read_exact(&mut bytes)
    });
    if read.is_err() {
        bytes.clear();
    }
    bytes
}

const MAGIC_AT: usize = 56;
const STATE_AT: usize = 58;
const COMPATIBLE_AT: usize = 92;
const MAGIC: u16 = 0xef53;
const HAS_JOURNAL: u16 = 4;
const HAS_ERRORS: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn block(compatible: u8, state: u8) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        bytes[MAGIC_AT..MAGIC_AT + 2].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[COMPATIBLE_AT] = compatible;
        bytes[STATE_AT] = state;
        bytes
    }

    #[test]
    fn hb32_ext2_is_always_checked_and_journalled_ones_only_after_errors() {
        assert!(due("ext2", &[]).is_some());
        assert!(due("ext4", &block(0, 1)).is_some(), "no journal");
        assert!(due("ext4", &block(4, 3)).is_some(), "errors noted");
        assert_eq!(due("ext3", &block(4, 1)), None);
        assert_eq!(due("ext4", &block(4, 0)), None, "not cleanly unmounted: the kernel replays");
        for kind in ["xfs", "btrfs", "vfat", "reiserfs", "jfs", "nfs"] {
            assert_eq!(due(kind, &block(0, 2)), None, "{kind}");
        }
        assert_eq!(due("ext4", &[]), None, "unreadable: the mount will say why");
    }
}
