//! `crmd`.

fn main() -> std::process::ExitCode {
    crm_daemon::main_from_args(std::env::args_os().collect())
}
