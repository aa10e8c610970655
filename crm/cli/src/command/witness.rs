//! `crm witness`: the third vote, on a machine that runs nothing of the clusters that it serves.

use crate::args::{Witness as Args, WitnessCommand};
use crate::draw;
use crate::output::{Failure, Output, counted, read_file, say};
use crm_api::{Client, Exit, Reply, Request, WitnessReport};
use crm_config::Severity;
use crm_daemon::{WitnessOptions, check_witness_files, serve_witness};

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let options = &args.options;
    match &args.command {
        WitnessCommand::Serve => match serve_witness(options) {
            Ok(()) => Ok(Exit::Done),
            Err(problem) => {
                let (reason, hint) = problem.split_once("\nhint: ").unwrap_or((&problem, ""));
                Err(Failure::new(Exit::Failed, reason, hint))
            }
        },
        WitnessCommand::Check => check(options, output),
        WitnessCommand::Status { json } => status(options, *json, output),
    }
}

fn check(options: &WitnessOptions, output: &mut Output) -> Result<Exit, Failure> {
    let path = options.config_file();
    let checked = crm_config::check_witness(&path.display().to_string(), &read_file(&path)?);
    for diagnostic in &checked.diagnostics {
        output.line(diagnostic.render(output.is_terminal()))?;
    }
    let errors = checked.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let Some(config) = checked.config else {
        output.line(format!("{}: {}", path.display(), counted(errors, "error")))?;
        return Ok(Exit::Failed);
    };
    let problems = check_witness_files(options, &config);
    for problem in &problems {
        output.line(format!("error: {problem}"))?;
    }
    let (clusters, wrong) = (counted(config.clusters.len(), "cluster"), problems.len());
    output.line(format!("{}: {clusters}, {wrong} with wrong files", path.display()))?;
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}

fn status(options: &WitnessOptions, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let socket = options.socket();
    let mut client = Client::connect(&socket).map_err(|error| {
        let hint = "is it running? `systemctl status crm-witness`; on a node ask `crm status`";
        Failure::new(error.exit(), format!("no witness answers at {}", socket.display()), hint)
    })?;
    let Reply::Witness(report) = client.request(Request::Witness)? else {
        return Err(Failure::failed("the witness answered something else than was asked"));
    };
    if json {
        output.json(&report)?;
    } else {
        output.text(&draw::witness::draw(&report, output))?;
    }
    Ok(if healthy(&report) { Exit::Done } else { Exit::NoQuorum })
}

/// Whether it votes in every cluster, and each has a quorum.
fn healthy(report: &WitnessReport) -> bool {
    let votes = report.clusters.iter().all(|cluster| {
        cluster.problem.is_none()
            && cluster.status.as_ref().is_some_and(|status| {
                status.quorum && status.witness.as_ref().is_some_and(|witness| witness.voter)
            })
    });
    if !votes {
        say("it does not vote everywhere, or a cluster has no quorum");
    }
    votes
}
