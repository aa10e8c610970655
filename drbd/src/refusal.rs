//! What `drbdadm` and `drbdsetup` refuse, in words an operator can act on (HB20 to HB27).
//!
//! The exit code says little: 10 is any complaint about the configuration, 11 any state change that
//! was refused, 17 the want of good data, 20 a wrong call. The number that the kernel adds in
//! parentheses says what it was. What is not known is passed on in the tool's own words.

use std::fmt;

use crate::clip;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The resource is not up here, or is not in the configuration.
    NotConfigured,
    /// A peer is Primary, and two are not allowed.
    OtherPrimary,
    /// No copy that may be promoted.
    NoGoodData,
    /// The peer is not proved to be outdated: the fence-peer handler refused.
    PeerNotOutdated,
    /// Something on this node holds the device open.
    InUse,
    /// The peer refused.
    RefusedByPeer,
    /// No disk is attached.
    Diskless,
    /// DRBD is in the middle of something else.
    Busy,
    /// There is no connection, or it is cut already.
    NoConnection,
    /// DRBD's own quorum is missing.
    NoQuorum,
    /// The backing device has no metadata of DRBD.
    NoMetaData,
    /// The backing device cannot be opened.
    NoBackingDevice,
    /// The kernel module is not loaded.
    NoModule,
    /// The caller may not.
    NotPermitted,
    /// The tool did not understand the call: another version.
    Usage,
    /// Something else; the tool's words are all there is.
    Other,
}

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused.
    pub kind: Kind,
    /// The exit code.
    pub code: i32,
    /// The kernel's number, if it gave one: negative for state changes.
    pub number: Option<i32>,
    /// The tool's own words, on one line.
    pub words: String,
}

impl Refusal {
    /// Understands an exit code other than 0 and what was printed.
    #[must_use]
    pub fn read(code: i32, output: &str) -> Refusal {
        let number = kernel_number(output);
        let kind = number
            .and_then(by_number)
            .or_else(|| by_words(output))
            .unwrap_or_else(|| by_code(code));
        Refusal { kind, code, number, words: one_line(output) }
    }

    /// Trying again after a moment may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::Busy | Kind::InUse | Kind::RefusedByPeer)
    }

    /// What it means.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.kind {
            Kind::NotConfigured => "the resource is not up on this node",
            Kind::OtherPrimary => "another node is Primary, and only one may be",
            Kind::NoGoodData => {
                "this node's copy is not the newest, and no better one is connected"
            }
            Kind::PeerNotOutdated => {
                "the peer is not proved to be outdated, so it may have newer data or be serving"
            }
            Kind::InUse => "something on this node still uses the device",
            Kind::RefusedByPeer => "the peer refused the change",
            Kind::Diskless => "no disk is attached here",
            Kind::Busy => "DRBD is in the middle of another change",
            Kind::NoConnection => "there is no such connection",
            Kind::NoQuorum => "DRBD's own quorum is missing",
            Kind::NoMetaData => "the backing device carries no metadata of DRBD",
            Kind::NoBackingDevice => "the backing device cannot be opened",
            Kind::NoModule => "the kernel module drbd is not loaded",
            Kind::NotPermitted => "only root may do that",
            Kind::Usage => "the tool did not understand the call",
            Kind::Other => "DRBD refused",
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.kind {
            Kind::NotConfigured => "`drbdadm up RESOURCE` on this node; see `drbdadm dump`",
            Kind::OtherPrimary => "stop the group there first; `crm drbd status` shows the roles",
            Kind::NoGoodData => {
                "bring back the node with the newest data and let it resync; never force this copy \
                 unless the other is lost for good"
            }
            Kind::PeerNotOutdated => {
                "`crm status` tells why the cluster did not vouch for it; restore the connection, \
                 or prove that the peer is dead"
            }
            Kind::InUse => "unmount it and end what has it open; `fuser -vm DEVICE` names them",
            Kind::RefusedByPeer => "look at DRBD's messages in the peer's kernel log",
            Kind::Diskless => "look at the disk, then `drbdadm attach RESOURCE`",
            Kind::Busy => "it is tried again",
            Kind::NoConnection => "`drbdadm connect RESOURCE`, if there should be one",
            Kind::NoQuorum => "bring back enough of the peers",
            Kind::NoMetaData => "`drbdadm create-md RESOURCE`, if this device is new",
            Kind::NoBackingDevice => "check `disk` in the resource's configuration, and the device",
            Kind::NoModule => "`modprobe drbd`",
            Kind::NotPermitted => "run it as root",
            Kind::Usage => "check the versions of drbd-utils and of the kernel module",
            Kind::Other => "look at DRBD's messages in the kernel log",
        }
    }
}

/// Reason, the tool's words, hint: one line.
impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (exit code {}", self.reason(), self.code)?;
        if !self.words.is_empty() {
            write!(out, ": {}", self.words)?;
        }
        write!(out, "); {}", self.hint())
    }
}

/// The number in `State change failed: (-12) Device is held open by someone`.
fn kernel_number(output: &str) -> Option<i32> {
    let marks = ["State change failed: (", "Failure: ("];
    let rest = marks.iter().find_map(|mark| Some(output.split_once(mark)?.1))?;
    rest.split_once(')')?.0.parse().ok()
}

fn by_number(number: i32) -> Option<Kind> {
    Some(match number {
        -1 | -20 => Kind::OtherPrimary,
        -2 => Kind::NoGoodData,
        -4 | -11 => Kind::Diskless,
        -7 => Kind::PeerNotOutdated,
        -8 | -18 | -19 => Kind::Busy,
        -9 | -13 | -15 => Kind::NoConnection,
        -10 => Kind::RefusedByPeer,
        -12 => Kind::InUse,
        104 | 105 => Kind::NoBackingDevice,
        119 => Kind::NoMetaData,
        127 | 158 => Kind::NotConfigured,
        152 => Kind::NotPermitted,
        _ => return None,
    })
}

/// Messages without a number, and those whose number has another meaning elsewhere.
fn by_words(output: &str) -> Option<Kind> {
    let table = [
        ("unknown connection", Kind::NoConnection),
        ("No such resource", Kind::NotConfigured),
        ("unknown resource", Kind::NotConfigured),
        ("not defined in your config", Kind::NotConfigured),
        ("no resources defined", Kind::NotConfigured),
        ("Device minor not allocated", Kind::NotConfigured),
        ("Device is not configured", Kind::NotConfigured),
        ("Local replica is inconsistent", Kind::NoGoodData),
        ("Need access to UpToDate data", Kind::NoGoodData),
        ("Multiple primaries not allowed", Kind::OtherPrimary),
        ("peer may not become primary", Kind::OtherPrimary),
        ("held open by someone", Kind::InUse),
        ("No quorum", Kind::NoQuorum),
        ("No valid meta data found", Kind::NoMetaData),
        ("No valid meta-data signature", Kind::NoMetaData),
        ("Can not open backing device", Kind::NoBackingDevice),
        ("Could not connect to 'drbd' generic netlink family", Kind::NoModule),
        ("Is the module loaded", Kind::NoModule),
        ("Module drbd not found", Kind::NoModule),
        ("Operation not permitted", Kind::NotPermitted),
        ("Permission denied", Kind::NotPermitted),
        ("unrecognized option", Kind::Usage),
    ];
    let said = |words: &str| output.to_ascii_lowercase().contains(&words.to_ascii_lowercase());
    table.into_iter().find(|(words, _)| said(words)).map(|(_, kind)| kind)
}

fn by_code(code: i32) -> Kind {
    match code {
        17 => Kind::NoGoodData,
        20 => Kind::Usage,
        _ => Kind::Other,
    }
}

/// Without `Command '...' terminated with exit code N`, which says nothing new.
fn one_line(output: &str) -> String {
    let says_nothing = |line: &&str| {
        line.is_empty()
            || *line == "additional info from kernel:"
            || (line.starts_with("Command '") && line.contains("terminated with exit code"))
    };
    let lines = output.lines().map(str::trim).filter(|line| !says_nothing(line));
    lines.take(MOST_LINES).map(clip).collect::<Vec<_>>().join(" | ")
}

const MOST_LINES: usize = 4;
