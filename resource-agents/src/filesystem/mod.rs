//! `filesystem`: a filesystem that is mounted where its group runs.
//!
//! Start checks and mounts; stop finds the users of exactly this mount, ends them in steps,
//! unmounts and flushes. Whatever may block in the kernel runs in a child with a deadline.

mod check;
mod holds;
mod mount;
mod mountinfo;
mod options;
mod source;
mod steps;
mod stop;
mod users;
mod writable;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::child;
use crate::contract::{Action, Call, Failure, Outcome, Parameters, Watch};
use crate::metadata::{Kind, MetaData, Parameter};
pub(crate) use holds::{mount_kernels_own, mounted_kind, mounted_on};
use mountinfo::{Mount, Table};
use options::Options;
use source::Source;
use steps::Step;
pub(crate) use steps::signal_called;

pub(crate) fn meta_data() -> MetaData {
    MetaData {
        name: "filesystem".to_owned(),
        short_description: "A filesystem that is mounted where its group runs".to_owned(),
        long_description:
            "Mounts a block device (by path, LABEL= or UUID=), a network filesystem, \
            a bind mount or a tmpfs. The mount point is created if only its last directory is \
            missing. Stop ends the processes that use exactly this mount or a mount below it, \
            unmounts and flushes the device; it never unmounts lazily."
                .to_owned(),
        primary: None,
        parameters: vec![
            Parameter::new(
                "device",
                Kind::String,
                "A block device, LABEL=x or -Lx, UUID=x or -Ux, host:/path, a directory (bind), \
                 or `tmpfs`",
            )
            .required(),
            Parameter::new("at", Kind::Path, "The mount point").required().unique(),
            Parameter::new(
                "type",
                Kind::String,
                "The filesystem's type; needed except for bind, tmpfs and host:/path",
            ),
            Parameter::new("options", Kind::String, "Mount options, as in fstab"),
            Parameter::new(
                "fsck",
                Kind::String,
                "Check before the mount: `auto` where it is due (ext without a journal, or with \
                 errors noted), `never`, `force`",
            )
            .default("auto")
            .values(&["auto", "never", "force"]),
            Parameter::new(
                "force_unmount",
                Kind::String,
                "How the users of the mount are ended: SIGNAL=WAIT steps, or `never`",
            )
            .default("term=5s kill=5s"),
        ],
        ..MetaData::usual()
    }
}

/// The resource as configured.
#[derive(Debug)]
struct Wanted {
    source: Source,
    at: PathBuf,
    kind: String,
    options: Options,
    fsck: check::When,
    steps: Vec<Step>,
}

pub(crate) fn run(call: &Call) -> Outcome {
    let wanted = wanted(&call.parameters)?;
    match call.action {
        Action::MetaData => Ok(()),
        Action::Validate => validate(&wanted),
        Action::Start => start(call, &wanted),
        Action::Stop => stop::stop(call, &wanted),
        Action::Status => status(call, &wanted),
    }
}

fn wanted(parameters: &Parameters) -> Result<Wanted, Failure> {
    let options = Options::parse(parameters.text("options").unwrap_or_default());
    let source = Source::parse(parameters.required("device")?, parameters.text("type"), &options);
    let kind = match (parameters.text("type"), &source) {
        (_, Source::Bind(_)) => "none".to_owned(),
        (Some(kind), _) => kind.to_owned(),
        (None, Source::Network(_)) => "nfs".to_owned(),
        (None, Source::Virtual(name)) => name.clone(),
        (None, Source::Device(_) | Source::Label(_) | Source::Uuid(_)) => {
            return Err(Failure::configured(
                "`type` is required for a block device, such as ext4 or xfs",
            ));
        }
    };
    if kind.contains(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)) {
        return Err(Failure::configured(format!("`type` is no filesystem type: {kind:?}")));
    }
    Ok(Wanted {
        source,
        at: mount_point(parameters.required("at")?)?,
        kind,
        options,
        fsck: check::When::parse(parameters.text("fsck").unwrap_or_default()),
        steps: steps::parse(parameters.text("force_unmount").unwrap_or_default())
            .map_err(Failure::configured)?,
    })
}

/// The mount point as the kernel names it: links in its parents resolved. The last part is not
/// looked at, because a dead network filesystem may hang there.
fn mount_point(text: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(text);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Failure::configured(format!("nothing can be mounted at {text:?} by an agent")));
    };
    Ok(match fs::canonicalize(parent) {
        Ok(parent) => parent.join(name),
        // A parent that is missing is an error of `start` only.
        Err(_) => path.to_owned(),
    })
}

fn validate(wanted: &Wanted) -> Outcome {
    wanted.source.resolve()?;
    wanted.check_mount_point()?;
    wanted.check_tools()
}

fn start(call: &Call, wanted: &Wanted) -> Outcome {
    let device = wanted.source.resolve()?;
    let table = Table::read()?;
    match wanted.find(&table) {
        Found::Ours(_) => {
            call.channel.progress(format!("{} is mounted already", wanted.at.display()));
            call.channel.watch(Watch::Mount(wanted.at.clone()));
            return Ok(());
        }
        Found::Foreign(other) => {
            return Err(Failure::generic(format!(
                "{} is in use: {} is mounted there, expected {}; unmount it first",
                wanted.at.display(),
                other.source,
                wanted.source
            )));
        }
        Found::Nothing => {}
    }
    wanted.check_mount_point()?;
    if !wanted.at.exists() {
        fs::create_dir(&wanted.at).map_err(|error| {
            Failure::system(
                format!("cannot create the mount point {}", wanted.at.display()),
                &error,
            )
        })?;
        call.channel.progress(format!("created the mount point {}", wanted.at.display()));
    }
    wanted.check_tools()?;
    mount::load_type(&wanted.kind, call.context.deadline)?;
    if wanted.source.is_block_device() {
        check::run(call, wanted.fsck, &wanted.kind, &device)?;
        mount::flush(&device)?;
    }
    mount::mount(wanted, &device, call.context.deadline)?;
    call.channel.watch(Watch::Mount(wanted.at.clone()));
    Ok(())
}

fn status(call: &Call, wanted: &Wanted) -> Outcome {
    let table = Table::read()?;
    match wanted.find(&table) {
        Found::Ours(mount) => {
            if let Some(cover) = table.covering(mount) {
                return Err(Failure::generic(format!(
                    "{} is mounted over {} at {}; unmount it",
                    cover.source,
                    wanted.source,
                    wanted.at.display()
                )));
            }
            let may_be_read_only = wanted.options.read_only() || !wanted.source.is_block_device();
            if !may_be_read_only {
                let remark = writable::look(mount).map_err(|found| {
                    Failure::generic(format!(
                        "{} {found}; look for errors of {} in the kernel's log",
                        wanted.at.display(),
                        wanted.source
                    ))
                })?;
                if let Some(remark) = remark {
                    call.channel.attribute("degraded", remark);
                }
            }
            call.channel.watch(Watch::Mount(wanted.at.clone()));
            say("mounted (running)");
            Ok(())
        }
        Found::Foreign(other) => {
            say("unmounted (stopped)");
            Err(Failure::not_running(format!(
                "{} is not mounted at {}: {} is there",
                wanted.source,
                wanted.at.display(),
                other.source
            )))
        }
        Found::Nothing => {
            say("unmounted (stopped)");
            Err(Failure::not_running(format!(
                "{} is not mounted at {}",
                wanted.source,
                wanted.at.display()
            )))
        }
    }
}

/// What is mounted at the mount point.
enum Found<'a> {
    Foreign(&'a Mount),
    Nothing,
    Ours(&'a Mount),
}

impl Wanted {
    /// Ours counts even if something else is mounted over it.
    fn find<'a>(&self, table: &'a Table) -> Found<'a> {
        let mut here = table.mounts.iter().rev().filter(|mount| mount.at == self.at).peekable();
        let Some(top) = here.peek().copied() else { return Found::Nothing };
        let device = self.source.resolve().ok();
        here.find(|mount| self.is_ours(table, mount, device.as_deref()))
            .map_or(Found::Foreign(top), Found::Ours)
    }

    fn is_ours(&self, table: &Table, mount: &Mount, device: Option<&Path>) -> bool {
        match &self.source {
            Source::Virtual(_) => mount.kind == self.kind,
            Source::Network(name) => {
                mount.source.trim_end_matches('/') == name.trim_end_matches('/')
            }
            // The same directory of the same filesystem, wherever that is mounted.
            Source::Bind(path) => table
                .origin(path)
                .is_some_and(|(device, root)| device == mount.device && root == mount.root),
            Source::Device(_) | Source::Label(_) | Source::Uuid(_) => {
                let named = device.is_some_and(|device| {
                    source::device_number(device) == Some(mount.device)
                        || source::same_file(device, Path::new(&mount.source))
                });
                // The device may have vanished below the mount; then its name must do, and where
                // only a label is known, the type: stop must not leave it and report success.
                let nameless = !matches!(self.source, Source::Device(_));
                named
                    || device.is_none()
                        && (mount.source == self.source.to_string()
                            || nameless && mount.kind == self.kind)
            }
        }
    }

    fn check_mount_point(&self) -> Outcome {
        if self.at.is_dir() || matches!(self.source, Source::Bind(_)) && self.at.is_file() {
            return Ok(());
        }
        if self.at.exists() {
            return Err(Failure::configured(format!(
                "the mount point {} is no directory",
                self.at.display()
            )));
        }
        match self.at.parent() {
            Some(parent) if parent.is_dir() => Ok(()),
            _ => Err(Failure::configured(format!(
                "the mount point {} cannot be created: its parent directory is missing",
                self.at.display()
            ))),
        }
    }

    /// HB30: the tools that this resource needs are there.
    fn check_tools(&self) -> Outcome {
        let needed: Option<String> = if mount::needs_tool(&self.kind) {
            Some(format!("mount.{}", self.kind))
        } else {
            (self.fsck == check::When::Force && self.source.is_block_device())
                .then(|| format!("fsck.{}", self.kind))
        };
        match needed {
            Some(tool) if child::find_tool(&tool).is_none() => {
                Err(Failure::installed(format!("the program {tool} is needed and not installed")))
            }
            _ => Ok(()),
        }
    }
}

fn say(text: &str) {
    // A reader that closed its end has read enough.
    let _ = writeln!(io::stdout(), "{text}");
}
