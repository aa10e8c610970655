//! A laboratory of virtual machines: a real kernel, real DRBD, real systemd, real loss of power.
//!
//! [`Laboratory`] owns everything of one test: a directory for its files, the Ethernet [`Switch`]es, the
//! [`PowerController`](power::PowerController) that guests can ask to switch one another off, and the
//! [`Machine`]s. All of it ends with the laboratory, also when the test fails, and a failing test shows what
//! the machines said.
//!
//! The machines are emulated without the host's virtualisation, so they are slow and share the host's
//! processors: deadlines are generous, and a test waits for events, never for a time.

pub mod error;
pub mod images;
pub mod laboratory;
pub mod lines;
pub mod machine;
pub mod package;
pub mod power;
pub mod qmp;
pub mod shell;
pub mod switch;
pub mod ticks;

pub use error::{LabError, Result};
pub use laboratory::Laboratory;
pub use machine::{Machine, Specification};
pub use shell::Output;
pub use switch::Switch;
