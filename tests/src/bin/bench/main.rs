//! Measures what a user waits for, on real daemons in namespaces, and prints tables. Needs root and a quiet machine.
//!
//!     cargo run --release -p crm-tests --bin bench [-- [--rounds N] [SECTION...]]
//!
//! Sections: takeover, migration, repair, idle, placement, simulation. Nothing it starts outlives it: every
//! namespace ends with the process that keeps it, and that one ends with this one.

mod echo;
mod idle;
mod machine;
mod migration;
mod placement;
mod repair;
mod scene;
mod simulation;
mod table;
mod takeover;
mod timeline;
mod urgent;
mod watch;

use table::Table;

const ROUNDS: usize = 11;
const SECTIONS: [(&str, fn(usize, &mut Table)); 6] = [
    ("takeover", takeover::measure),
    ("migration", migration::measure),
    ("repair", repair::measure),
    ("idle", idle::measure),
    ("placement", placement::measure),
    ("simulation", simulation::measure),
];

fn main() -> std::process::ExitCode {
    let (mut rounds, mut wanted) = (ROUNDS, Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => match words.next().and_then(|number| number.parse().ok()) {
                Some(number) if number > 0 => rounds = number,
                _ => return usage(),
            },
            name if SECTIONS.iter().any(|(section, _)| *section == name) => wanted.push(word),
            _ => return usage(),
        }
    }
    println!("{}\n", machine::description());
    let mut table = Table::default();
    for (name, measure) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            eprintln!("measuring: {name}");
            measure(rounds, &mut table);
        }
    }
    table.print();
    std::process::ExitCode::SUCCESS
}

fn usage() -> std::process::ExitCode {
    let names: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
    eprintln!("usage: bench [--rounds N] [{}]...", names.join("|"));
    std::process::ExitCode::from(2)
}
