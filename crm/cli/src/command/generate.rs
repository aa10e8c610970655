//! `crm generate`: man page and completions, made from the definition of the command line.

use crate::args::{Args, Generate};
use crate::output::{Failure, Output};
use clap::CommandFactory;
use clap_complete::Shell;
use crm_api::Exit;

pub(crate) fn run(args: Generate, output: &mut Output) -> Result<Exit, Failure> {
    let mut command = Args::command();
    let mut text = Vec::new();
    match args.what.as_str() {
        "man" => clap_mangen::Man::new(command).render(&mut text)?,
        "man-witness" => {
            let witness = command.find_subcommand("witness").cloned().unwrap_or(command);
            clap_mangen::Man::new(witness.name("crm-witness")).render(&mut text)?;
        }
        "bash" => clap_complete::generate(Shell::Bash, &mut command, "crm", &mut text),
        "zsh" => clap_complete::generate(Shell::Zsh, &mut command, "crm", &mut text),
        _ => clap_complete::generate(Shell::Fish, &mut command, "crm", &mut text),
    }
    output.text(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}
