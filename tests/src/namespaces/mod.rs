//! A laboratory of nodes that are namespaces of this machine: network, mount, UTS and PID.
//!
//! Real daemons, real UDP, real addresses, mounts and processes. A killed node keeps the host's
//! kernel: this level shows takeover, not durability. Needs root. Nothing is left behind: every
//! namespace is anonymous and ends with the process that keeps it.

mod disk;
mod freezer;
mod guard;
mod holding;
mod laboratory;
mod node;
mod probe;
mod radio;
mod redfish;
mod watchdog;
mod wires;
mod witness;

pub use crm_sandbox::{FenceMode, Keeper};
pub use disk::Disk;
pub use holding::Holding;
pub use laboratory::{Laboratory, Options, crm_program};
pub use node::{Finished, Node};
pub use probe::{Answer, Probe};
pub use radio::Radio;
pub use redfish::RedfishStandIn;
pub use wires::Rule;
