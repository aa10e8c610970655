//! `crm status`.

use crate::args::{Place, Status as Args};
use crate::draw;
use crate::output::{Failure, Output};
use crate::session::Session;
use crm_api::{DeviceCheck, Exit, LinksReport, Reply, Request};
use crm_core::status::Status;
use serde::Serialize;
use std::time::Duration;

/// Between two drawings of `--watch`.
const AGAIN: Duration = Duration::from_secs(1);

/// `--json`: the status, what the fencing devices answered to this node, and with `--links` what only its sockets know.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    status: &'a Status,
    devices: &'a [DeviceCheck],
    #[serde(skip_serializing_if = "Option::is_none")]
    sockets: Option<LinksReport>,
}

pub(crate) fn run(place: &Place, args: Args, output: &mut Output) -> Result<Exit, Failure> {
    let mut session = Session::open(place)?;
    loop {
        let status = session.status()?;
        let devices = devices(&mut session);
        if args.json {
            let sockets = if args.links { Some(sockets(&mut session)?) } else { None };
            output.json(&Printed { status: &status, devices: &devices, sockets })?;
        } else {
            let mut text = draw::status::draw(&status, output);
            let devices = draw::devices::draw(&devices, output);
            if !devices.is_empty() {
                text.push_str(&format!("\n{devices}"));
            }
            if args.links {
                text.push_str(&draw::links::draw(&status, output));
                let sockets = sockets(&mut session)?;
                text.push_str(&draw::links::draw_counters(&sockets, output));
            }
            if args.watch && output.is_terminal() {
                output.text("\x1b[H\x1b[2J")?;
            }
            output.text(&text)?;
        }
        if !args.watch {
            let exit = if status.quorum { Exit::Done } else { Exit::NoQuorum };
            return Ok(exit);
        }
        std::thread::sleep(AGAIN);
    }
}

/// None where the daemon is too old to be asked.
fn devices(session: &mut Session) -> Vec<DeviceCheck> {
    match session.ask(Request::Devices) {
        Ok(Reply::Devices(report)) => report.devices,
        _ => Vec::new(),
    }
}

fn sockets(session: &mut Session) -> Result<LinksReport, Failure> {
    match session.ask(Request::Links)? {
        Reply::Links(report) => Ok(report),
        _ => Err(Failure::failed("the daemon did not answer what its sockets did")),
    }
}
