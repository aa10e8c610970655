//! One program, several names: `crmd` is the daemon, `crm-agent` and the names of the built-in
//! agents are agents, `crm-fence-peer` and `crm-unfence-peer` are DRBD's handlers. Packages install links; the demo makes its own.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Runs the daemon or an agent if this process was called by its name.
pub(crate) fn dispatch() -> Option<ExitCode> {
    let args: Vec<OsString> = std::env::args_os().collect();
    let name = args.first().map(Path::new).and_then(Path::file_name)?.to_str()?;
    if name == "crmd" {
        return Some(crm_daemon::main_from_args(args));
    }
    if name == "crm-demo-web" {
        let address = args.get(1).and_then(|address| address.to_str()).unwrap_or_default();
        let served = crate::command::demo::web::serve(address);
        return Some(if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if let Some(code) = crate::handler::dispatch(name, &args) {
        return Some(code);
    }
    if name == "crm-agent" || crm_agents::is_builtin(name) {
        let code = crm_agents::main_from_args(args);
        return Some(ExitCode::from(u8::try_from(code).unwrap_or(1)));
    }
    None
}

/// A link called `crm-agent` to this program, for tools that call agents by path.
pub(crate) fn agent_link(directory: &Path) -> std::io::Result<std::path::PathBuf> {
    let link = directory.join("crm-agent");
    std::os::unix::fs::symlink(std::env::current_exe()?, &link)?;
    Ok(link)
}
