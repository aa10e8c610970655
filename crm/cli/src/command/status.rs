//! `crm status`.

use crate::args::{Place, Status as Args};
use crate::draw;
use crate::output::{Failure, Output};
use crate::session::Session;
use crm_api::{Exit, LinksReport, Reply, Request};
use crm_core::status::Status;
use serde::Serialize;
use std::time::Duration;

/// Between two drawings of `--watch`.
const AGAIN: Duration = Duration::from_secs(1);

/// `--json --links`: the status, and what only the sockets of this node know.
#[derive(Serialize)]
struct WithSockets<'a> {
    #[serde(flatten)]
    status: &'a Status,
    sockets: LinksReport,
}

pub(crate) fn run(place: &Place, args: Args, output: &mut Output) -> Result<Exit, Failure> {
    let mut session = Session::open(place)?;
    loop {
        let status = session.status()?;
        if args.json && args.links {
            let Reply::Links(sockets) = session.ask(Request::Links)? else {
                return Err(Failure::failed("the daemon did not answer what its sockets did"));
            };
            output.json(&WithSockets { status: &status, sockets })?;
        } else if args.json {
            output.json(&status)?;
        } else {
            let mut text = draw::status::draw(&status, output);
            if let Ok(Reply::Devices(report)) = session.ask(Request::Devices) {
                let devices = draw::devices::draw(&report.devices, output);
                if !devices.is_empty() {
                    text.push_str(&format!("\n{devices}"));
                }
            }
            if args.links {
                text.push_str(&draw::links::draw(&status, output));
                if let Reply::Links(report) = session.ask(Request::Links)? {
                    text.push_str(&draw::links::draw_counters(&report, output));
                }
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
