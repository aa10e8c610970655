//! `crm why GROUP`: where it is and why, what every node could do, and what led here.

use crate::args::{Place, Why};
use crate::draw;
use crate::output::{Failure, Output};
use crate::session::Session;
use crm_api::Exit;

pub(crate) fn run(place: &Place, args: &Why, output: &mut Output) -> Result<Exit, Failure> {
    let mut session = Session::open(place)?;
    let status = session.status()?;
    let Some(group) = status.groups.iter().find(|group| group.id.as_str() == args.group) else {
        let names: Vec<&str> = status.groups.iter().map(|group| group.id.as_str()).collect();
        return Err(Failure::refused(
            format!("there is no group {}", args.group),
            format!("groups: {}", names.join(", ")),
        ));
    };
    if args.json {
        output.json(group)?;
    } else {
        output.text(&draw::why::draw(group, &status, output))?;
    }
    Ok(Exit::Done)
}
