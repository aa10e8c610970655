//! `crm`, and by its other names `crmd` and the built-in agents: one program, told apart by the
//! name it is called by.

use std::process::ExitCode;

fn main() -> ExitCode {
    crm_cli::main()
}
