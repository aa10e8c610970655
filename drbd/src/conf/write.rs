//! Writes the `.res` file of a pair. What it writes passes the check.

use std::fmt::Write;
use std::net::IpAddr;

use super::model::Address;

/// Which kernel module it is for: some options have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 8.4, the module in mainline kernels.
    Eight,
    /// 9.
    Nine,
}

/// A resource on two nodes, with one volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its name.
    pub name: String,
    /// `/dev/drbdN`.
    pub minor: u32,
    /// The TCP port of this resource on both nodes: each resource needs its own.
    pub port: u16,
    /// The nodes.
    pub sides: [Side; 2],
    /// Which module.
    pub era: Era,
    /// Where crm's handlers are.
    pub handlers: String,
}

/// One node of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The node's name in the cluster, which must be its host name.
    pub node: String,
    /// Its address on the replication link.
    pub ip: IpAddr,
    /// The backing device.
    pub disk: String,
}

/// A pair that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A word would not be read back as it is.
    #[error("{what} must be made of letters, digits, `-`, `_`, `.` and `/`, found {found:?}")]
    Word {
        /// What it is.
        what: &'static str,
        /// What it would be.
        found: String,
    },
    /// Both sides are one.
    #[error("the two nodes must differ in {0}")]
    Same(&'static str),
    /// A port that cannot be listened on.
    #[error("the port must not be 0")]
    Port,
}

/// The text of the file.
///
/// # Errors
/// A name or path that the grammar does not take, or two sides that are one.
pub fn write(pair: &Pair) -> Result<String, WriteError> {
    let [first, second] = &pair.sides;
    word("the resource", &pair.name, "")?;
    word("the directory of the handlers", &pair.handlers, "/")?;
    for side in &pair.sides {
        word("the node", &side.node, "")?;
        word("the disk", &side.disk, "/:+@")?;
    }
    if first.node == second.node {
        return Err(WriteError::Same("name"));
    }
    if first.ip == second.ip {
        return Err(WriteError::Same("address"));
    }
    if pair.port == 0 {
        return Err(WriteError::Port);
    }
    Ok(text(pair))
}

fn text(pair: &Pair) -> String {
    let handlers = pair.handlers.trim_end_matches('/');
    let (in_net, in_disk, lifted) = match pair.era {
        Era::Eight => ("", "    fencing resource-and-stonith;\n", "after-resync-target"),
        Era::Nine => ("    fencing resource-and-stonith;\n", "", "unfence-peer"),
    };
    let mut text = format!(
        "resource {name} {{\n\
         \x20 device /dev/drbd{minor} minor {minor};\n\
         \x20 meta-disk internal;\n\
         \x20 net {{\n\
         \x20   protocol C;\n\
         \x20   # Notice a dead peer in about three seconds instead of six.\n\
         \x20   timeout 20;\n\
         \x20   ping-int 1;\n\
         \x20   ping-timeout 10;\n\
         \x20   connect-int 2;\n\
         {in_net}\
         \x20   after-sb-0pri disconnect;\n\
         \x20   after-sb-1pri disconnect;\n\
         \x20   after-sb-2pri disconnect;\n\
         \x20 }}\n\
         \x20 disk {{\n\
         {in_disk}\
         \x20   on-io-error detach;\n\
         \x20   # By default a busy disk slows a resync down to 250 KiB a second.\n\
         \x20   c-min-rate 10M;\n\
         \x20   c-max-rate 100M;\n\
         \x20 }}\n\
         \x20 startup {{\n\
         \x20   wfc-timeout 30;\n\
         \x20   degr-wfc-timeout 30;\n\
         \x20 }}\n\
         \x20 handlers {{\n\
         \x20   fence-peer \"{handlers}/crm-fence-peer\";\n\
         \x20   {lifted} \"{handlers}/crm-unfence-peer\";\n\
         \x20 }}\n",
        name = pair.name,
        minor = pair.minor,
    );
    for side in &pair.sides {
        let address = Address { ip: side.ip, port: pair.port };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "  on {} {{\n    disk {};\n    address {address};\n  }}\n",
            side.node, side.disk
        );
    }
    text.push_str("}\n");
    text
}

fn word(what: &'static str, text: &str, also: &str) -> Result<(), WriteError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c) || also.contains(c);
    let plain = !text.is_empty() && !text.starts_with('-') && text.chars().all(fits);
    match plain {
        true => Ok(()),
        false => Err(WriteError::Word { what, found: crate::clip(text) }),
    }
}
