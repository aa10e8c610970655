//! The command line.

mod rehearse;

use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand};
pub(crate) use rehearse::{Replay, Simulate, Verify};
use std::path::PathBuf;

/// Apart from a command's own options, which are what one looks for in its help.
const PLACES: &str = "Where this node keeps its things";

/// After the help of `crm witness`.
const WITNESS_EXAMPLE: &str = "\
A witness.yaml to start from:
  clusters:
    shop: {}        # as `cluster:` of its cluster.yaml says; keys in shop.authkeys, mode 600
  # port: 694       # the `heartbeat: {port: N}` of its clusters
  # listen: [192.0.2.9]   # one address of this machine, instead of all

Then name this machine in the cluster.yaml of the cluster, `witness: 192.0.2.9`, and apply it there.";

/// Keeps services running on a few machines.
#[derive(Debug, Parser)]
#[command(name = "crm", version, about)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where this node keeps its things; the defaults are those of the package.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Place {
    /// Directory of cluster.yaml and authkeys
    #[arg(
        long,
        global = true,
        env = "CRM_CONFIG_DIR",
        default_value = "/etc/crm",
        value_name = "DIR",
        hide_env = true,
        help_heading = PLACES
    )]
    pub(crate) config_dir: PathBuf,
    /// Directory of the store
    #[arg(
        long,
        global = true,
        env = "CRM_STATE",
        default_value = "/var/lib/crm",
        value_name = "DIR",
        hide_env = true,
        help_heading = PLACES
    )]
    pub(crate) state: PathBuf,
    /// Directory of the control socket
    #[arg(
        long,
        global = true,
        env = "CRM_RUN",
        default_value = "/run/crm",
        value_name = "DIR",
        hide_env = true,
        help_heading = PLACES
    )]
    pub(crate) run: PathBuf,
    /// The control socket [default: crm.sock in the run directory]
    #[arg(
        long,
        global = true,
        env = "CRM_SOCKET",
        value_name = "PATH",
        hide_env = true,
        help_heading = PLACES
    )]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Found a cluster on this machine
    Init(Init),
    /// Let this machine join the cluster that NODE belongs to
    Join(Join),
    /// Check a configuration and print the failover budget of each group
    Check(Check),
    /// Rehearse a configuration: what each fault, and pairs of faults, do to its groups
    Verify(Verify),
    /// Step through a run that verify found
    Replay(Replay),
    /// Play one story of faults and commands against a configuration
    Simulate(Simulate),
    /// Commit a configuration to all nodes or to none, after showing what it changes
    Apply(Apply),
    /// Make a key file, or rotate its keys
    Keygen(Keygen),
    /// Print the configuration in force
    Config,
    /// Show the cluster
    Status(Status),
    /// Explain why a group is where it is, or why it is nowhere
    Why(Why),
    /// Show what happened on this node
    Events(Events),
    #[command(flatten)]
    Change(Change),
    /// List, describe and test agents
    Agents(Agents),
    /// Look at DRBD on this node, check its configuration, write one
    Drbd(Drbd),
    /// The third vote of many clusters, on a machine that runs nothing of them
    Witness(Witness),
    /// Show a cluster failing over, here, without root
    Demo(Demo),
    /// Print man page, completions
    #[command(hide = true)]
    Generate(Generate),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Init {
    /// Name of the cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Name of this node [default: the host name up to its first dot]
    #[arg(long, env = "CRM_NODE", value_name = "NAME", hide_env = true)]
    pub(crate) node: Option<String>,
    /// Address of this node on one link; repeat it for several links
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) link: Vec<String>,
    /// How a silent node is proved dead: `none`, or the path of a command
    #[arg(long, value_name = "none|COMMAND")]
    pub(crate) fencing: Option<String>,
    /// Address of the witness: with watchdogs and without devices, its vote says who goes on
    #[arg(long, value_name = "ADDRESS", conflicts_with = "fencing", requires = "watchdog")]
    pub(crate) witness: Option<String>,
    /// Watchdog device of this node, such as /dev/watchdog
    #[arg(long, value_name = "DEVICE", requires = "witness")]
    pub(crate) watchdog: Option<String>,
    /// UDP port of the heartbeats
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Join {
    /// Address or host name of a node of the cluster, with its port if that is not the default
    #[arg(value_name = "NODE")]
    pub(crate) contact: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Check {
    /// The file [default: cluster.yaml in the configuration directory]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Apply {
    /// The file [default: cluster.yaml in the configuration directory]
    #[arg(value_name = "FILE", conflicts_with = "rollback")]
    pub(crate) file: Option<PathBuf>,
    /// Go back to the configuration before the last one
    #[arg(long)]
    pub(crate) rollback: bool,
    /// Only show what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Keygen {
    /// The file [default: authkeys in the configuration directory]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Add a new key that is accepted but not yet used for sending
    #[arg(long, group = "step")]
    pub(crate) add: bool,
    /// Send with this key from now on
    #[arg(long, group = "step", value_name = "KEY")]
    pub(crate) send_with: Option<u8>,
    /// Forget this key
    #[arg(long, group = "step", value_name = "KEY")]
    pub(crate) drop: Option<u8>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Status {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw it again each second until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
    /// Show the links: loss, round trip, longest gap, and the deadtime these support
    #[arg(long)]
    pub(crate) links: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Why {
    pub(crate) group: String,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Events {
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Go on with those to come
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only the last N
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) last: Option<usize>,
}

/// Whether to wait for the outcome.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct Waiting {
    /// Return as soon as the change is committed, without waiting until it is carried out
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait, in seconds; afterwards the change goes on all the same
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) timeout: u64,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Shows in the usage, too, that the one stands for the other.
fn group_or_all() -> ArgGroup {
    ArgGroup::new("what").args(["group", "all"]).required(true)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    /// Let a group run, or with --all the whole cluster; survives boots
    #[command(group = group_or_all())]
    Start {
        group: Option<String>,
        /// The whole cluster
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Stop a group and keep it down, or with --all the whole cluster; survives boots
    #[command(group = group_or_all())]
    Stop {
        group: Option<String>,
        /// The whole cluster
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Stop a group and start it where it is
    Restart {
        group: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Move a group now, to NODE or to the best other one
    Migrate {
        group: String,
        node: Option<String>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Move everything away from a node and keep it empty
    Standby {
        node: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// End a standby, so that groups may run on that node again
    Online {
        node: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Hands off while `on`: nothing is started, stopped, moved or fenced
    Maintenance {
        // Not `state`: that is the name of the option for the store.
        #[arg(value_parser = ["on", "off"])]
        switch: String,
        /// End by itself after this long, such as 30m or 1h
        #[arg(long = "for", value_name = "TIME")]
        lasts: Option<String>,
    },
    /// Forget failures, so that a group is tried again; a migrate of the group named no longer holds
    Clear {
        /// Only of this group [default: of all]
        group: Option<String>,
        /// Only those on this node
        #[arg(long, value_name = "NODE")]
        node: Option<String>,
    },
    /// Power a node off by its fencing device
    Fence {
        node: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Prove that a node can be fenced, without harm: ask its fencing devices for the power
    FenceDrill {
        node: String,
        /// Power the node off and on again; it must be in standby and run nothing
        #[arg(long)]
        cycle: bool,
        /// Do not ask before the cycle
        #[arg(long, short)]
        yes: bool,
    },
    /// Give your word that a silent node is off; the cluster then takes over what it ran
    ConfirmDead {
        node: String,
        /// The name again, instead of being asked for it
        #[arg(long, value_name = "NODE")]
        i_am_certain: Option<String>,
    },
    /// Serve the older copy of a group's data that this node has: the newer one will not come back
    Promote(Promote),
    /// End the daemon of this node after its groups have moved
    Leave,
    /// End the daemon of this node and leave everything running, for an upgrade
    Keep,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Promote {
    /// Give up what other copies have beyond this one
    #[arg(long, required = true)]
    pub(crate) stale: bool,
    /// This node
    pub(crate) node: String,
    pub(crate) group: String,
    /// The name of the group again, instead of being asked for it
    #[arg(long, value_name = "GROUP")]
    pub(crate) i_am_certain: Option<String>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Agents {
    #[command(subcommand)]
    pub(crate) command: AgentsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentsCommand {
    /// Agents on this machine
    List {
        #[arg(long)]
        json: bool,
    },
    /// Parameters and actions of one agent
    Info {
        agent: String,
        #[arg(long)]
        json: bool,
    },
    /// Run the conformance tests against an agent, for real: start and stop what the parameters say
    Test {
        agent: String,
        /// NAME=VALUE of a resource that this machine can start and stop, such as address=192.0.2.7/24
        params: Vec<String>,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Drbd {
    #[command(subcommand)]
    pub(crate) command: DrbdCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DrbdCommand {
    /// Roles, copies, resyncs, and whether this node could serve
    Status {
        resource: Option<String>,
        /// What `drbdadm get-gi RESOURCE` printed on the other node: proves or rules out a split brain
        #[arg(long, value_name = "IDENTIFIERS", requires = "resource")]
        other: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Find what breaks promises in drbd.conf and the files that it includes
    Check {
        #[arg(value_name = "FILE", default_value = "/etc/drbd.conf")]
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// After a split brain: give up what this node wrote, keep a copy of it, and take the other side's data
    Resolve {
        /// Name of the resource
        resource: String,
        /// What `drbdadm get-gi RESOURCE` printed on the other node, the one whose data is to stay
        #[arg(long, value_name = "IDENTIFIERS")]
        other: String,
        /// New file for a copy of this node's device; with several volumes their numbers are added
        #[arg(long, value_name = "FILE", required_unless_present = "keep_nothing")]
        keep: Option<PathBuf>,
        /// Do not keep a copy
        #[arg(long, conflicts_with = "keep")]
        keep_nothing: bool,
        /// The resource's name again, instead of being asked for it
        #[arg(long, value_name = "RESOURCE")]
        i_am_certain: Option<String>,
    },
    /// Print a resource file for two nodes; for both-HA, one for each resource
    Config {
        /// Name of the resource
        resource: String,
        /// NAME=ADDRESS:DISK, such as alpha=10.0.0.1:/dev/sda7, once for each of the two nodes
        #[arg(long, required = true, value_name = "NODE")]
        node: Vec<String>,
        /// Number of the device: /dev/drbdN
        #[arg(long, default_value_t = 0, value_name = "N")]
        minor: u32,
        /// TCP port; each resource needs its own [default: 7788 and the number of the device]
        #[arg(long, value_name = "PORT")]
        port: Option<u16>,
        /// Version of the kernel module
        #[arg(long, default_value = "8", value_parser = ["8", "9"])]
        module: String,
    },
}

#[derive(Debug, ClapArgs)]
#[command(after_help = WITNESS_EXAMPLE)]
pub(crate) struct Witness {
    #[command(flatten)]
    pub(crate) options: crm_daemon::WitnessOptions,
    #[command(subcommand)]
    pub(crate) command: WitnessCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WitnessCommand {
    /// Vote in every cluster of witness.yaml until told to end
    Serve,
    /// Check witness.yaml and the key files that it names
    Check,
    /// Show in which clusters the witness of this machine votes, and whom it hears
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Print one JSON object with the figures
    #[arg(long)]
    pub(crate) json: bool,
    /// Stay inside with a shell afterwards
    #[arg(long)]
    pub(crate) keep: bool,
    /// How the demo calls itself inside its namespaces
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) inside: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Generate {
    #[arg(value_parser = ["man", "man-witness", "bash", "zsh", "fish"])]
    pub(crate) what: String,
}
