//! Drawing for people. The text says everything; colours only help.

pub(crate) mod devices;
pub(crate) mod links;
pub(crate) mod status;
mod table;
pub(crate) mod why;
pub(crate) mod witness;
