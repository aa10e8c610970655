//! `drbd.conf` and `.res` files: read, checked, written.
//!
//! The grammar is that of all versions at once: sections in braces, statements that end in `;`,
//! `include`, `skip`, comments. Nothing is opened here: what `include` names is asked of the caller.

mod check;
mod model;
mod read;
mod tree;
mod write;

pub use check::{Context, Finding, Severity, check};
pub use model::{Address, Configuration, Host, Resource, Setting, Settings, Volume};
pub use read::read;
pub use tree::{Item, Place, Section, Source, Statement, SyntaxError, parse};
pub use write::{Era, Pair, Side, WriteError, write};
