//! Does a mounted filesystem still take writes? A kernel that has given one up does not always mark it
//! read-only: ext4 since Linux 6.12, and the stable kernels that took over that change, fail the writes and
//! look like any other mount.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use super::mountinfo::Mount;

/// What an operator should know while it is still well.
pub(super) type Remark = Option<String>;

/// `Err` tells why nothing can be written any more.
pub(super) fn look(mount: &Mount) -> Result<Remark, String> {
    if mount.superblock_read_only {
        return Err("has become read-only".to_owned());
    }
    // XFS answers so after it has shut down, for every file.
    if let Err(error) = File::open(&mount.at)
        && given_up(&error)
    {
        return Err(format!("cannot be opened ({error})"));
    }
    let Some(errors) = ext4_errors(mount.device, Path::new("/sys")) else { return Ok(None) };
    match nameless_file(&mount.at) {
        Err(error) if given_up(&error) => Err(format!("takes no writes any more ({error})")),
        _ => Ok(Some(format!(
            "ext4 has found {errors} errors in {} since its last check: stop the group and run `e2fsck`",
            mount.source
        ))),
    }
}

fn given_up(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EROFS | libc::ENODEV))
}

/// How often ext4 has found something wrong, if it has.
fn ext4_errors((major, minor): (u32, u32), sys: &Path) -> Option<u64> {
    let device = fs::read_link(sys.join(format!("dev/block/{major}:{minor}"))).ok()?;
    let file = sys.join("fs/ext4").join(device.file_name()?).join("errors_count");
    let errors = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (errors > 0).then_some(errors)
}

/// The least change of a filesystem: it is gone when it is closed. Only made where errors are known, for it
/// makes the disk write.
fn nameless_file(at: &Path) -> io::Result<()> {
    File::options().write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(at).map(drop)
}
