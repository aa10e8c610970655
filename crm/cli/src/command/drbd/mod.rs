//! `crm drbd`: DRBD on this node, without the daemon.

mod check;
mod config;
mod resolve;
mod status;

use crate::args::{Drbd, DrbdCommand, Place};
use crate::output::{Failure, Output};
use crm_api::Exit;

pub(crate) fn run(place: &Place, args: Drbd, output: &mut Output) -> Result<Exit, Failure> {
    match args.command {
        DrbdCommand::Status { resource, other, json } => {
            status::run(resource.as_deref(), other.as_deref(), json, output)
        }
        DrbdCommand::Check { file, json } => check::run(place, &file, json, output),
        DrbdCommand::Resolve { resource, other, keep, keep_nothing: _, i_am_certain } => {
            resolve::run(&resource, &other, keep.as_deref(), i_am_certain.as_deref(), output)
        }
        DrbdCommand::Config { resource, node, minor, port, module } => {
            let era =
                if module == "9" { crm_drbd::conf::Era::Nine } else { crm_drbd::conf::Era::Eight };
            config::run(resource, &node, minor, port, era, output)
        }
    }
}
