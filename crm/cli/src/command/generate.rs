//! `crm generate`: man page and completions, made from the definition of the command line.

use crate::args::{Args, Generate};
use crate::output::{Failure, Output};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use crm_api::Exit;
use std::io::Write;

pub(crate) fn run(args: Generate, output: &mut Output) -> Result<Exit, Failure> {
    let mut command = Args::command();
    let mut text = Vec::new();
    match args.what.as_str() {
        "man" => man(command, "crm", &mut text)?,
        "man-witness" => {
            let witness = command.find_subcommand("witness").cloned().unwrap_or(command);
            man(witness.name("crm-witness"), "crm witness", &mut text)?;
        }
        "bash" => clap_complete::generate(Shell::Bash, &mut command, "crm", &mut text),
        "zsh" => clap_complete::generate(Shell::Zsh, &mut command, "crm", &mut text),
        _ => clap_complete::generate(Shell::Fish, &mut command, "crm", &mut text),
    }
    output.text(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}

/// One page with every subcommand in it: there is only one to look for.
fn man(command: Command, typed: &str, page: &mut Vec<u8>) -> std::io::Result<()> {
    let man = Man::new(command.clone().bin_name(typed));
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    writeln!(page, ".SH COMMANDS")?;
    subcommands(&command, typed, page)?;
    if command.get_after_help().is_some() {
        man.render_extra_section(page)?;
    }
    if command.get_version().is_some() {
        man.render_version_section(page)?;
    }
    Ok(())
}

fn subcommands(command: &Command, typed: &str, page: &mut Vec<u8>) -> std::io::Result<()> {
    for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        let typed = format!("{typed} {}", subcommand.get_name());
        writeln!(page, ".SS {typed}")?;
        let man = Man::new(subcommand.clone().bin_name(&typed));
        let mut section = Vec::new();
        man.render_synopsis_section(&mut section)?;
        writeln!(section, ".PP")?;
        man.render_description_section(&mut section)?;
        if subcommand.get_arguments().any(|argument| !argument.is_hide_set()) {
            man.render_options_section(&mut section)?;
        }
        without_headings(&section, page);
        subcommands(subcommand, &typed, page)?;
    }
    Ok(())
}

/// Without the headings of its sections: it stands below one of its own.
fn without_headings(section: &[u8], page: &mut Vec<u8>) {
    for line in
        section.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b".SH "))
    {
        page.extend(line);
    }
}
