//! `crm agents`: which there are, what they take, and whether they keep the contract.

use crate::args::{Agents, AgentsCommand};
use crate::catalog;
use crate::output::{Failure, Output, Tone};
use crm_agents::MetaData;
use crm_agents::conformance::{Agent, Options, run as conform};
use crm_api::Exit;
use crm_core::model::AgentClass;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest that one action of an agent under test may take.
const ACTION_TIME: Duration = Duration::from_secs(60);

pub(crate) fn run(args: Agents, output: &mut Output) -> Result<Exit, Failure> {
    match args.command {
        AgentsCommand::List { json } => {
            let names = catalog::all();
            if json {
                output.json(&names)?;
            } else {
                for name in names {
                    output.line(name)?;
                }
            }
            Ok(Exit::Done)
        }
        AgentsCommand::Info { agent, json } => info(&agent, json, output),
        AgentsCommand::Test { agent, params, json } => test(&agent, &params, json, output),
    }
}

fn info(name: &str, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    if name.starts_with("fence_") {
        return fence_info(name, json, output);
    }
    let agent = catalog::parse_name(name).map_err(|reason| Failure::usage(reason, ""))?;
    let Some(description) = catalog::describe(&agent) else {
        return Err(Failure::refused(
            format!("there is no agent {name} on this machine, or it does not describe itself"),
            "`crm agents list` shows what there is",
        ));
    };
    if json {
        output.json(&description)?;
    } else {
        output.text(&draw(name, &description, output))?;
    }
    Ok(Exit::Done)
}

/// A fence agent: what may stand beside `agent:` in a device.
fn fence_info(name: &str, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let Some(description) = catalog::describe_fence(name) else {
        return Err(Failure::refused(
            format!(
                "there is no fence agent {name} on this machine, or it does not describe itself"
            ),
            "Debian has them in the package fence-agents",
        ));
    };
    if json {
        output.json(&description)?;
    } else {
        let mut text = introduction(name, &description, output);
        let actions: Vec<&str> = description.actions.iter().map(|a| a.name.as_str()).collect();
        text.push_str(&format!("\nactions: {}\n", actions.join(", ")));
        output.text(&text)?;
    }
    Ok(Exit::Done)
}

fn draw(name: &str, agent: &MetaData, output: &Output) -> String {
    let mut text = introduction(name, agent, output);
    text.push_str(if agent.stateless {
        "\nit holds no data: two copies lose nothing\n"
    } else {
        "\nit is taken to hold data\n"
    });
    text
}

/// What it is, and its parameters.
fn introduction(name: &str, agent: &MetaData, output: &Output) -> String {
    let mut text = format!("{}: {}\n", output.tone(Tone::Strong, name), agent.short_description);
    let about = agent.long_description.trim();
    if !about.is_empty() {
        text.push_str(&format!("\n{about}\n"));
    }
    text.push_str("\nparameters:\n");
    for parameter in &agent.parameters {
        let mut marks = Vec::new();
        if parameter.required {
            marks.push("required".to_owned());
        }
        if agent.primary.as_ref() == Some(&parameter.name) {
            marks.push("primary".to_owned());
        }
        if let Some(default) = &parameter.default {
            marks.push(format!("default {default}"));
        }
        if parameter.deprecated {
            marks.push("an older name".to_owned());
        }
        let marks =
            if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
        let about = parameter.description.split_whitespace().collect::<Vec<_>>().join(" ");
        text.push_str(&format!("  {}{marks}\n      {about}\n", parameter.name));
    }
    text
}

fn test(name: &str, params: &[String], json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let agent = catalog::parse_name(name).map_err(|reason| Failure::usage(reason, ""))?;
    let mut parameters = BTreeMap::new();
    for param in params {
        let Some((key, value)) = param.split_once('=') else {
            return Err(Failure::usage(
                format!("expected NAME=VALUE, found {param}"),
                format!("`crm agents info {name}` shows the parameters"),
            ));
        };
        parameters.insert(key.to_owned(), value.to_owned());
    }
    let state_dir = std::env::temp_dir().join(format!("crm-agents-test-{}", std::process::id()));
    std::fs::create_dir_all(&state_dir)?;
    let agent = match agent.class {
        AgentClass::Ocf { provider } => {
            Agent::Ocf { root: catalog::ocf_root().into(), provider, name: agent.name }
        }
        _ => {
            let program = crate::multicall::agent_link(&state_dir)?;
            Agent::Builtin { program, name: agent.name }
        }
    };
    let report = conform(
        &agent,
        &Options { parameters, state_dir: state_dir.clone(), timeout: ACTION_TIME },
    );
    std::fs::remove_dir_all(&state_dir)?;
    if json {
        output.json(&report)?;
    } else {
        output.text(&report.to_string())?;
    }
    Ok(if report.passed() { Exit::Done } else { Exit::Failed })
}
