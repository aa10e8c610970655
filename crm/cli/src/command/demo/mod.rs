//! `crm demo`: a cluster of two nodes on this machine, one of which dies. Without root.
//!
//! The outer process only makes a directory and namespaces, and clears up; the inner one, root in a
//! user namespace of its own, plays the story. Whatever ends the outer one ends everything.

mod client;
mod directory;
mod node;
mod outer;
mod permission;
mod story;
pub(crate) mod web;

use crate::args::Demo;
use crate::output::{Failure, Output};
use crm_api::Exit;

pub(crate) fn run(args: Demo, output: &mut Output) -> Result<Exit, Failure> {
    match &args.inside {
        None => outer::run(&args),
        Some(directory) => story::run(directory, &args, output),
    }
}
