//! `crm config`: the configuration in force, which may differ from the file.

use crate::args::Place;
use crate::output::{Failure, Output};
use crate::session::Session;
use crm_api::Exit;

pub(crate) fn run(place: &Place, output: &mut Output) -> Result<Exit, Failure> {
    let text = Session::open(place)?.config()?.ok_or_else(|| {
        Failure::new(Exit::NoQuorum, "this node knows no configuration yet", "it has not joined")
    })?;
    output.text(&text)?;
    Ok(Exit::Done)
}
