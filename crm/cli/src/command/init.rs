//! `crm init`: founds a cluster on this machine: keys, a first configuration, a first record.

use super::join::split;
use crate::args::{Init, Place};
use crate::output::{Failure, Output, say};
use crm_api::Exit;
use crm_config::DraftProtection;
use crm_core::id::{NodeId, is_valid_name};
use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(crate) fn run(place: &Place, args: Init, output: &mut Output) -> Result<Exit, Failure> {
    let node = node_name(args.node.as_deref())?;
    std::fs::create_dir_all(&place.config_dir)
        .map_err(|error| Failure::failed(format!("{}: {error}", place.config_dir.display())))?;
    let file = place.cluster_file();
    if !file.exists() {
        let text = first_configuration(&args, &node)?;
        crm_daemon::replace_file(&file, text.as_bytes(), 0o644)
            .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
        output.line(format!("wrote {}", file.display()))?;
    }
    let text = crate::output::read_file(&file)?;
    let checked = super::check::check(&file, &text);
    for diagnostic in &checked.diagnostics {
        say(diagnostic.render(false));
    }
    let Some(cluster) = checked.cluster else {
        return Err(Failure::refused(
            format!("{} is not a configuration", file.display()),
            "mend it and run `crm init` again",
        ));
    };
    let keys = place.authkeys();
    if !keys.exists() {
        super::keygen::create(&keys)?;
        output.line(format!("wrote {} (mode 0600): every node needs this file", keys.display()))?;
    }
    crm_daemon::found(&place.config_dir, &place.state, &NodeId::new(&node)).map_err(split)?;
    output
        .line(format!("cluster {} is founded with node {node} as its first voter", cluster.name))?;
    for budget in crm_config::budget(&cluster) {
        output.line(format!("  {budget}"))?;
    }
    output.line("next: `systemctl enable --now crmd` here; name the other nodes in the configuration and `crm apply`; on each of them copy the key file, run `crm join` with this node's address and start crmd")?;
    Ok(Exit::Done)
}

fn node_name(given: Option<&str>) -> Result<String, Failure> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => {
            let host = nix::unistd::gethostname().map_err(|error| {
                Failure::failed(format!("the host name cannot be read: {error}"))
            })?;
            let host = host.to_string_lossy().into_owned();
            host.split('.').next().unwrap_or_default().to_owned()
        }
    };
    if !is_valid_name(&name) {
        return Err(Failure::usage(
            format!("{name:?} cannot name a node"),
            "1 to 63 of A-Z a-z 0-9 . _ -, a letter or digit first; name it with --node",
        ));
    }
    Ok(name)
}

fn first_configuration(args: &Init, node: &str) -> Result<String, Failure> {
    let cluster = match &args.cluster {
        Some(name) => name.clone(),
        None => ask("name of the cluster", "--cluster NAME")?,
    };
    let links = if args.link.is_empty() {
        let line =
            ask("addresses of this node, one a link, separated by blanks", "--link ADDRESS")?;
        line.split_whitespace().map(str::to_owned).collect()
    } else {
        args.link.clone()
    };
    let protection = protection(args)?;
    let text = crm_config::draft(&cluster, node, &links, &protection)
        .map_err(|reason| Failure::usage(reason.to_string(), "nothing was written"))?;
    Ok(match args.port {
        Some(port) => text.replacen("heartbeat: {", &format!("heartbeat: {{port: {port}, "), 1),
        None => text,
    })
}

/// What proves that a silent node is dead.
fn protection(args: &Init) -> Result<DraftProtection, Failure> {
    if let (Some(address), Some(watchdog)) = (&args.witness, &args.watchdog) {
        let (address, watchdog) = (address.clone(), watchdog.clone());
        return Ok(DraftProtection::Witness { address, watchdog });
    }
    let fencing = match &args.fencing {
        Some(fencing) => fencing.clone(),
        None => {
            say(
                "How is a node that falls silent proved dead, before its groups start elsewhere?\n\
                 \x20 a command   powers it off and says so: groups move after deadtime plus its time\n\
                 \x20 none        nothing does: groups with data wait for an operator\n\
                 With a watchdog in each node and a witness instead: `crm init --witness ADDRESS --watchdog DEVICE`",
            );
            ask("path of the command, or the word none", "--fencing none|COMMAND")?
        }
    };
    Ok(match fencing.as_str() {
        "none" => DraftProtection::None,
        command => {
            runnable(command)?;
            // Quoted, so that blanks and colons in it stay what they are.
            let quoted = command.replace('\'', "''");
            DraftProtection::Device(format!("{{agent: command, command: '{quoted}'}}"))
        }
    })
}

/// Whether the program that the shell will be given is there: a device that cannot even be called proves nobody dead.
fn runnable(command: &str) -> Result<(), Failure> {
    let program = command.split_whitespace().next().unwrap_or_default();
    // What the shell would make of such a word is not known here.
    if program.contains(|letter| "=$(){}<>|&;`'\"\\*?~#![".contains(letter)) {
        return Ok(());
    }
    let wanted = "name an executable file with --fencing, or `none`; nothing was written";
    if program.is_empty() || program.contains('/') && !program.starts_with('/') {
        let found = format!("--fencing: expected a path from `/`, found {command:?}");
        return Err(Failure::usage(found, wanted));
    }
    let executable = |path: &Path| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let path = Path::new(program);
    let reason = if !program.starts_with('/') {
        let places = std::env::var_os("PATH").unwrap_or_default();
        if std::env::split_paths(&places).any(|place| executable(&place.join(program))) {
            return Ok(());
        }
        "there is no such program in PATH"
    } else if !path.exists() {
        "there is no such file"
    } else if !executable(path) {
        "it is not an executable file"
    } else {
        return Ok(());
    };
    Err(Failure::usage(format!("--fencing {program}: {reason}"), wanted))
}

/// Asks on the terminal; without one the option must be given.
fn ask(what: &str, option: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{what}: not given"), format!("say it with {option}")));
    }
    let mut err = std::io::stderr().lock();
    write!(err, "{what}: ").and_then(|()| err.flush())?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let line = line.trim().to_owned();
    if line.is_empty() {
        return Err(Failure::usage(
            format!("{what}: nothing given"),
            format!("or say it with {option}"),
        ));
    }
    Ok(line)
}
