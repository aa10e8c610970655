//! `crm drbd config`: a resource file for two nodes, on the standard output.

use crate::output::{Failure, Output};
use crm_api::Exit;
use crm_drbd::conf::{Era, Pair, Side, write};

/// Where the package puts the handlers.
const HANDLERS: &str = "/usr/lib/crm";
/// DRBD's usual first port.
const FIRST_PORT: u16 = 7788;

pub(super) fn run(
    resource: String,
    nodes: &[String],
    minor: u32,
    port: Option<u16>,
    era: Era,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let sides: Vec<Side> = nodes.iter().map(|node| side(node)).collect::<Result<_, _>>()?;
    let found = sides.len();
    let sides: [Side; 2] = sides.try_into().map_err(|_| {
        Failure::usage(format!("expected two nodes, found {found}"), "give --node twice")
    })?;
    let usual = u16::try_from(minor).ok().and_then(|minor| FIRST_PORT.checked_add(minor));
    let port = port.or(usual).ok_or_else(|| {
        Failure::usage("no usual port belongs to a device with this number", "give --port")
    })?;
    let pair = Pair { name: resource, minor, port, sides, era, handlers: HANDLERS.to_owned() };
    let text = write(&pair).map_err(|error| Failure::usage(error.to_string(), ""))?;
    output.text(&text)?;
    Ok(Exit::Done)
}

/// `alpha=10.0.0.1:/dev/sda7`, `beta=[2001:db8::1]:/dev/sda7`
fn side(text: &str) -> Result<Side, Failure> {
    let parts = || {
        let (node, rest) = text.split_once('=')?;
        let (ip, disk) = rest.rsplit_once(":/")?;
        let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
        Some(Side { node: node.to_owned(), ip: ip.parse().ok()?, disk: format!("/{disk}") })
    };
    parts().ok_or_else(|| {
        Failure::usage(
            format!("expected NAME=ADDRESS:DISK, found {text}"),
            "such as alpha=10.0.0.1:/dev/sda7",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read_with_either_kind_of_address() {
        let four = side("alpha=10.0.0.1:/dev/sda7").expect("read");
        assert_eq!((four.node.as_str(), four.disk.as_str()), ("alpha", "/dev/sda7"));
        let six = side("beta=[2001:db8::1]:/dev/vg/data").expect("read");
        assert_eq!(six.ip.to_string(), "2001:db8::1");
        for wrong in ["", "alpha", "alpha=10.0.0.1", "alpha=host:/dev/sda7", "alpha=10.0.0.1:sda7"]
        {
            assert!(side(wrong).is_err(), "{wrong}");
        }
    }
}
