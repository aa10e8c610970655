//! `crm demo`: a cluster of two nodes on this machine, one of which dies.

use crate::args::Demo;
use crate::output::{Failure, Output};
use crm_api::Exit;

pub(crate) fn run(args: Demo, output: &mut Output) -> Result<Exit, Failure> {
    let _ = (args.json, args.keep, output);
    Err(Failure::failed("this build holds no demo"))
}
