//! The lines on descriptor 3: written by agents, read by the daemon.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// One line from an agent to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A fact about the resource: lag, score, role.
    Attribute {
        /// One word.
        name: String,
        /// The rest of the line.
        value: String,
    },
    /// What the agent is doing right now.
    Progress(String),
    /// Why it failed, or why things are as they are; shown to the operator.
    Reason(String),
    /// Call `status` at once when this changes.
    Watch(Watch),
}

/// Something whose changes the kernel or systemd can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// The address is removed from, or added to, an interface of this node.
    Address(IpAddr),
    /// The interface loses or gains its carrier, or is taken down.
    Carrier(String),
    /// The DRBD resource changes its state.
    Drbd(String),
    /// Something is mounted at, or unmounted from, this path.
    Mount(PathBuf),
    /// The process ends.
    Process(i32),
    /// The systemd unit changes its state.
    Unit(String),
}

impl Line {
    /// Reads a line without its end; `None` if it is none of these.
    pub fn parse(line: &str) -> Option<Line> {
        let (word, rest) = line.trim().split_once(' ')?;
        let rest = rest.trim();
        Some(match word {
            "attribute" => {
                let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                Line::Attribute { name: name.to_owned(), value: value.trim().to_owned() }
            }
            "progress" => Line::Progress(rest.to_owned()),
            "reason" => Line::Reason(rest.to_owned()),
            "watch" => {
                let (kind, what) = rest.split_once(' ')?;
                Line::Watch(Watch::parse(kind, what.trim())?)
            }
            _ => return None,
        })
    }
}

impl Watch {
    fn parse(kind: &str, what: &str) -> Option<Watch> {
        if what.is_empty() {
            return None;
        }
        Some(match kind {
            "address" => Watch::Address(what.parse().ok()?),
            "carrier" => Watch::Carrier(what.to_owned()),
            "drbd" => Watch::Drbd(what.to_owned()),
            "mount" => Watch::Mount(Some(what).filter(|path| path.starts_with('/'))?.into()),
            "process" => Watch::Process(what.parse().ok().filter(|pid| *pid > 0)?),
            "unit" => Watch::Unit(what.to_owned()),
            _ => return None,
        })
    }
}

/// Without the end of the line; control characters become spaces, so that it stays one line.
impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Line::Attribute { name, value } => format!("attribute {name} {value}"),
            Line::Progress(text) => format!("progress {text}"),
            Line::Reason(text) => format!("reason {text}"),
            Line::Watch(watch) => match watch {
                Watch::Address(address) => format!("watch address {address}"),
                Watch::Carrier(interface) => format!("watch carrier {interface}"),
                Watch::Drbd(resource) => format!("watch drbd {resource}"),
                Watch::Mount(path) => format!("watch mount {}", path.display()),
                Watch::Process(pid) => format!("watch process {pid}"),
                Watch::Unit(unit) => format!("watch unit {unit}"),
            },
        };
        let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        out.write_str(plain.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_reads_back() {
        for text in [
            "attribute lag 17 bytes",
            "progress checking /dev/sda1",
            "reason it is on fire",
            "watch address 2001:db8::1",
            "watch carrier eth0",
            "watch drbd r0",
            "watch mount /data 1",
            "watch process 42",
            "watch unit a.service",
        ] {
            assert_eq!(Line::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_line_is_told() {
        for text in [
            "",
            "reason",
            "hello world",
            "watch",
            "watch process",
            "watch process x",
            "watch process -1",
            "watch address eth0",
            "watch mount data",
            "watch weather now",
        ] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_reason_of_several_lines_stays_one_line() {
        assert_eq!(Line::Reason("a\nreason b\r\n".into()).to_string(), "reason a reason b");
    }
}
