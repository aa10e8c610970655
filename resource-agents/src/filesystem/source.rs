//! What is mounted: a device by path, label or UUID, a network path, a directory, or nothing.

use std::fmt;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::options::Options;
use crate::child;
use crate::contract::Failure;
use crate::deadline::Deadline;

/// The `device` parameter, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Bind(PathBuf),
    Device(PathBuf),
    Label(String),
    /// `host:/path`, `//host/share`, or whatever a mount helper understands.
    Network(String),
    Uuid(String),
    /// No device behind it: tmpfs and its kin.
    Virtual(String),
}

impl Source {
    pub(super) fn parse(device: &str, kind: Option<&str>, options: &Options) -> Source {
        if options.bind() {
            return Source::Bind(PathBuf::from(device));
        }
        for prefix in ["LABEL=", "-L"] {
            if let Some(label) = device.strip_prefix(prefix) {
                return Source::Label(label.trim_matches('"').to_owned());
            }
        }
        for prefix in ["UUID=", "-U"] {
            if let Some(uuid) = device.strip_prefix(prefix) {
                return Source::Uuid(uuid.trim_matches('"').to_owned());
            }
        }
        let network = kind.is_some_and(super::mount::needs_tool);
        if network || device.starts_with("//") || device.contains(":/") {
            return Source::Network(device.to_owned());
        }
        if device.starts_with('/') {
            return Source::Device(PathBuf::from(device));
        }
        Source::Virtual(device.to_owned())
    }

    pub(super) fn is_block_device(&self) -> bool {
        matches!(self, Source::Device(_) | Source::Label(_) | Source::Uuid(_))
    }

    /// What the kernel is told. HB30: a path must be a block device, a label or a UUID must be
    /// found, a network path is taken as it is.
    pub(super) fn resolve(&self) -> Result<PathBuf, Failure> {
        match self {
            Source::Network(text) | Source::Virtual(text) => Ok(PathBuf::from(text)),
            Source::Bind(path) if path.exists() => Ok(path.clone()),
            Source::Bind(path) => {
                Err(Failure::installed(format!("there is no {} to bind", path.display())))
            }
            Source::Device(path) => match fs::metadata(path) {
                Ok(meta) if meta.file_type().is_block_device() => Ok(path.clone()),
                Ok(_) => Err(Failure::configured(format!(
                    "{} is no block device; for a directory say `options: bind`",
                    path.display()
                ))),
                Err(error) => Err(Failure::installed(format!(
                    "expected the block device {}: {error}",
                    path.display()
                ))),
            },
            Source::Label(label) => find("by-label", "-L", label),
            Source::Uuid(uuid) => find("by-uuid", "-U", uuid),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Bind(path) | Source::Device(path) => write!(out, "{}", path.display()),
            Source::Label(label) => write!(out, "LABEL={label}"),
            Source::Network(text) | Source::Virtual(text) => out.write_str(text),
            Source::Uuid(uuid) => write!(out, "UUID={uuid}"),
        }
    }
}

/// By udev's links, or by `blkid` where there is no udev.
fn find(directory: &str, option: &str, value: &str) -> Result<PathBuf, Failure> {
    let link = Path::new("/dev/disk").join(directory).join(encode(value));
    if let Ok(device) = fs::canonicalize(&link) {
        return Ok(device);
    }
    if let Some(tool) = child::find_tool("blkid") {
        let mut command = Command::new(tool);
        // What it has noted of a device it believes for two seconds; with `-L` it heeds no `--cache-file`.
        command.arg(option).arg(value).env("BLKID_FILE", "/dev/null");
        if let Ok(finished) = child::run(&mut command, Deadline::after(BLKID_LIMIT))
            && finished.succeeded()
            && let Some(device) = finished.output.lines().next().filter(|l| l.starts_with('/'))
        {
            return Ok(PathBuf::from(device));
        }
    }
    Err(Failure::installed(format!(
        "no block device has the {} {value:?}; `blkid` lists those that are there",
        if option == "-L" { "label" } else { "UUID" }
    )))
}

/// As udev writes what may not stand in a file name.
fn encode(value: &str) -> String {
    let mut out = String::new();
    for symbol in value.chars() {
        if symbol.is_ascii_alphanumeric() || "#+-.:=@_".contains(symbol) || !symbol.is_ascii() {
            out.push(symbol);
        } else {
            out.push_str(&format!("\\x{:02x}", symbol as u32));
        }
    }
    out
}

/// Major and minor number of a block device.
pub(super) fn device_number(path: &Path) -> Option<(u32, u32)> {
    let meta = fs::metadata(path).ok().filter(|meta| meta.file_type().is_block_device())?;
    let number = meta.rdev();
    let major = nix::sys::stat::major(number);
    let minor = nix::sys::stat::minor(number);
    Some((u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
}

/// Do both paths lead to the same block device?
pub(super) fn same_file(one: &Path, other: &Path) -> bool {
    device_number(one).is_some_and(|number| device_number(other) == Some(number))
}

const BLKID_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(device: &str, kind: Option<&str>, options: &str) -> Source {
        Source::parse(device, kind, &Options::parse(options))
    }

    #[test]
    fn hb30_every_form_of_device_is_told_apart() {
        let text = |s: &str| s.to_owned();
        assert_eq!(parse("/dev/drbd0", Some("ext4"), ""), Source::Device("/dev/drbd0".into()));
        assert_eq!(parse("-Ldata", None, ""), Source::Label(text("data")));
        assert_eq!(parse("LABEL=\"my data\"", None, ""), Source::Label(text("my data")));
        assert_eq!(parse("-U1-2", None, ""), Source::Uuid(text("1-2")));
        assert_eq!(parse("UUID=1-2", None, ""), Source::Uuid(text("1-2")));
        assert_eq!(parse("nas:/data", None, ""), Source::Network(text("nas:/data")));
        assert_eq!(parse("//nas/data", Some("cifs"), ""), Source::Network(text("//nas/data")));
        assert_eq!(parse("/srv/a", None, "bind,ro"), Source::Bind("/srv/a".into()));
        assert_eq!(parse("tmpfs", None, ""), Source::Virtual(text("tmpfs")));
    }

    #[test]
    fn hb30_a_path_that_is_no_block_device_is_named() {
        let failure = parse("/dev/null", Some("ext4"), "").resolve().expect_err("refused");
        assert!(failure.reason.contains("/dev/null is no block device"), "{failure}");
        let failure = parse("/dev/no-such", Some("ext4"), "").resolve().expect_err("refused");
        assert!(failure.reason.contains("/dev/no-such"), "{failure}");
        let failure = parse("-Lno-such-label", None, "").resolve().expect_err("refused");
        assert!(failure.reason.contains("no-such-label"), "{failure}");
        assert!(parse("nas:/data", None, "").resolve().is_ok(), "a network path is not tested");
    }

    #[test]
    fn labels_are_written_as_udev_does() {
        assert_eq!(encode("my data/1"), "my\\x20data\\x2f1");
    }
}
