//! One file per command, or per family of commands that are alike.

pub(crate) mod agents;
pub(crate) mod apply;
pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod drbd;
pub(crate) mod events;
mod fence_drill;
pub(crate) mod generate;
pub(crate) mod init;
pub(crate) mod join;
pub(crate) mod keygen;
mod promote;
pub(crate) mod rehearse;
pub(crate) mod status;
pub(crate) mod why;
pub(crate) mod witness;
