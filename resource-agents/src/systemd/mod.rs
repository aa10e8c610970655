//! `systemd:UNIT`: a unit, started and stopped as jobs whose results count.
//!
//! Not a name for `cluster.yaml`: the daemon calls it for the class `systemd:`. It speaks to systemd
//! itself, since `systemctl` tells neither a job's result nor a unit's state by its exit code alone.

mod bus;
pub mod message;
mod unit;

use crate::contract::{Action, Call, Outcome};
use crate::metadata::{Kind, MetaData, Parameter};

/// The agent's name in the multi-call program.
pub const NAME: &str = "systemd";

/// Where systemd answers, and whether a bus stands between.
pub const SOCKETS: [(&str, bool); 2] =
    [("/run/systemd/private", false), ("/run/dbus/system_bus_socket", true)];

/// The longest line with which systemd may answer the greeting, in bytes.
pub const GREETING_MAX: usize = 4096;

/// A call that opens a connection.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// The object.
    pub path: &'static str,
    /// Its interface.
    pub interface: &'static str,
    /// The method.
    pub member: &'static str,
    /// Who answers.
    pub destination: &'static str,
    /// Strings.
    pub arguments: &'static [&'static str],
}

/// What a client says first; the answer is a line that begins with `OK `, and no call may be sent
/// before it: systemd would let one that arrives together with `BEGIN` lie.
pub fn greeting() -> Vec<u8> {
    let user = nix::unistd::geteuid().as_raw().to_string();
    let hex: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n").into_bytes()
}

/// The calls after the greeting: from then on systemd tells what happens to units and jobs.
pub fn opening(is_bus: bool) -> impl Iterator<Item = Opening> {
    let bus = |member, arguments| Opening {
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member,
        destination: "org.freedesktop.DBus",
        arguments,
    };
    let subscribe = Opening {
        path: unit::MANAGER,
        interface: unit::MANAGER_INTERFACE,
        member: "Subscribe",
        destination: unit::SYSTEMD,
        arguments: &[],
    };
    let first =
        [bus("Hello", &[]), bus("AddMatch", &["type='signal',sender='org.freedesktop.systemd1'"])];
    first.into_iter().filter(move |_| is_bus).chain([subscribe])
}

/// `nginx` as systemd calls it: `nginx.service`.
pub fn full_name(unit: &str) -> String {
    const TYPES: [&str; 11] = [
        ".service",
        ".socket",
        ".device",
        ".mount",
        ".automount",
        ".swap",
        ".target",
        ".path",
        ".timer",
        ".slice",
        ".scope",
    ];
    match TYPES.iter().any(|ending| unit.ends_with(ending)) {
        true => unit.to_owned(),
        false => format!("{unit}.service"),
    }
}

/// The object of a unit: letters and digits stand for themselves, but no digit at the beginning.
pub fn object_path(unit: &str) -> String {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for (at, byte) in full_name(unit).bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && at > 0) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

pub(crate) fn meta_data() -> MetaData {
    MetaData {
        name: NAME.to_owned(),
        short_description: "A systemd unit".to_owned(),
        long_description: "Start and stop are jobs of systemd whose results count; status is the \
            unit's state."
            .to_owned(),
        primary: Some("unit".to_owned()),
        parameters: vec![
            Parameter::new("unit", Kind::String, "The unit; `.service` may be left out").required(),
        ],
        ..MetaData::usual()
    }
}

pub(crate) fn run(call: &Call) -> Outcome {
    if call.action == Action::MetaData {
        return Ok(());
    }
    let name = full_name(call.parameters.required("unit")?);
    let mut unit = unit::Unit::new(&name, call.context.deadline)?;
    match call.action {
        Action::MetaData => Ok(()),
        Action::Start => unit.start(call),
        Action::Status => unit.status(call),
        Action::Stop => unit.stop(call),
        Action::Validate => unit.validate(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_the_names_and_objects_that_systemd_gives_them() {
        let object = |unit| object_path(unit).rsplit('/').next().map(str::to_owned);
        assert_eq!(object("nginx").as_deref(), Some("nginx_2eservice"));
        assert_eq!(object("a-b@c.socket").as_deref(), Some("a_2db_40c_2esocket"));
        assert_eq!(object("2x.mount").as_deref(), Some("_32x_2emount"));
        assert_eq!(full_name("web.v2"), "web.v2.service");
    }
}
