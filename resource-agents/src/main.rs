//! `crm-agent NAME ACTION`, or `vip start` through a link called `vip`.

fn main() {
    std::process::exit(crm_agents::main_from_args(std::env::args_os().collect()));
}
