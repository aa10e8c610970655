//! The inside of the demo: two nodes, a service, a death, a return, a planned move.

use super::client::Client;
use super::node::Node;
use crate::args::Demo;
use crate::output::{Failure, Output, read_file};
use crm_api::Exit;
use crm_core::packet::GroupPhase;
use crm_core::status::{NodeState, Status};
use crm_sandbox::{FenceMode, Power, SharedPower, Switchboard, ip, make_bridge, script};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The address that the group brings.
const SERVICE: &str = "10.99.0.100";
const PORT: u16 = 8080;
/// How long each step of the story may take.
const STEP: Duration = Duration::from_secs(30);

struct Story<'a> {
    output: &'a mut Output,
    json: bool,
    began: Instant,
    nodes: [Node; 2],
}

pub(super) fn run(directory: &Path, args: &Demo, output: &mut Output) -> Result<Exit, Failure> {
    // The outer process takes the signals that end the demo; the daemons want theirs.
    super::outer::ending().thread_unblock().map_err(std::io::Error::from)?;
    hide_cgroups()?;
    let power: SharedPower = std::sync::Arc::new(std::sync::Mutex::new(Power {
        keepers: BTreeMap::new(),
        mode: FenceMode::Works,
        requests: Vec::new(),
        killed: Vec::new(),
    }));
    install(directory)?;
    ip(None, "link set lo up")?;
    make_bridge(None, "br0")?;
    ip(None, "addr add 10.99.0.250/24 dev br0")?;
    let _switchboard = Switchboard::start(directory, power.clone())?;
    let nodes = [
        Node::new("alpha", "10.99.0.1", directory, power.clone())?,
        Node::new("beta", "10.99.0.2", directory, power)?,
    ];
    let mut story = Story { output, json: args.json, began: Instant::now(), nodes };
    let told = story.tell(directory);
    if told.is_err() {
        for node in &story.nodes {
            crate::output::say(format!(
                "--- the last lines of {}:\n{}",
                node.name,
                node.log_tail()
            ));
        }
    }
    told?;
    if args.keep {
        story.stay()?;
    }
    Ok(Exit::Done)
}

/// A killed node could not remove the cgroups of its calls, and they would outlive the demo. As
/// root the daemons could make some; here they find none, as they do without root.
fn hide_cgroups() -> Result<(), Failure> {
    let mounts = read_file(Path::new("/proc/mounts"))?;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        if let (Some(at), Some("cgroup2")) = (fields.next(), fields.next()) {
            let (none, empty) = (Some("none"), Some("tmpfs"));
            nix::mount::mount(none, at, empty, nix::mount::MsFlags::MS_RDONLY, None::<&str>)
                .map_err(|error| Failure::failed(format!("hiding {at}: {error}")))?;
        }
    }
    Ok(())
}

/// Links by which this program is called as others.
fn install(directory: &Path) -> Result<(), Failure> {
    let programs = directory.join("bin");
    std::fs::create_dir_all(&programs)?;
    std::fs::create_dir_all(directory.join("pages"))?;
    let own = std::env::current_exe()?;
    for name in ["crm", "crmd", "crm-agent", "crm-demo-web"] {
        std::os::unix::fs::symlink(&own, programs.join(name))?;
    }
    Ok(())
}

fn configuration(directory: &Path) -> String {
    let fence = script(directory);
    let (fence, root) = (fence.display(), directory.display());
    format!(
        "cluster: demo\n\
         nodes:\n\
         \x20 alpha: {{links: [10.99.0.1]}}\n\
         \x20 beta: {{links: [10.99.0.2]}}\n\
         heartbeat: {{keepalive: 200ms, warntime: 500ms, deadtime: 1s, initdead: 5s}}\n\
         # In this demo a command ends every process of a node and answers when none is left.\n\
         fencing_delay: 300ms\n\
         fencing:\n\
         \x20 alpha: {{agent: command, command: {fence}, timeout: 5s}}\n\
         \x20 beta: {{agent: command, command: {fence}, timeout: 5s}}\n\
         groups:\n\
         \x20 web:\n\
         \x20   prefer: [alpha, beta]\n\
         \x20   resources:\n\
         \x20     - filesystem: {{device: none, at: {root}/pages, type: tmpfs}}\n\
         \x20     - vip: {SERVICE}/24\n\
         \x20     - process: {{command: \"{root}/bin/crm-demo-web {SERVICE}:{PORT}\", ready_tcp: \"{SERVICE}:{PORT}\"}}\n"
    )
}

impl Story<'_> {
    fn tell(&mut self, directory: &Path) -> Result<(), Failure> {
        self.say("two nodes, alpha and beta, each with its own network, mounts and processes");
        let [alpha, beta] = &self.nodes;
        std::fs::write(alpha.etc("cluster.yaml"), configuration(directory))?;
        alpha.power_on()?;
        beta.power_on()?;
        alpha.crm(&["init"])?;
        alpha.start_daemon()?;
        self.wait("alpha coordinates", |story| story.view().is_some())?;
        self.say("alpha founded the cluster; beta gets the key file and joins");
        let [alpha, beta] = &self.nodes;
        std::fs::copy(alpha.etc("authkeys"), beta.etc("authkeys"))?;
        beta.crm(&["join", alpha.address])?;
        beta.start_daemon()?;
        self.wait("both nodes vote", |story| {
            story.view().is_some_and(|status| votes(&status) == 2)
        })?;
        self.wait("group web runs on alpha", |story| story.runs_on("alpha"))?;
        self.say(&format!(
            "group web runs on alpha: a mount, the address {SERVICE}, a web server; a client asks it all the time"
        ));
        let address = format!("{SERVICE}:{PORT}")
            .parse()
            .map_err(|error| Failure::failed(format!("the demo's address: {error}")))?;
        let client = Client::start(address);
        let now = Instant::now();
        self.wait("alpha answers the client", |_| client.answered("alpha", now).is_some())?;

        let lost = self.watch_for_loss();
        std::thread::sleep(Duration::from_millis(500));
        let killed = Instant::now();
        let [alpha, _] = &self.nodes;
        alpha.power_off()?;
        self.say("alpha was killed, with everything that ran on it");
        let detected = lost
            .recv_timeout(STEP)
            .map_err(|_| Failure::failed("beta did not notice that alpha is silent"))?;
        let detection = detected.saturating_duration_since(killed);
        self.say(&format!(
            "beta noticed the silence after {} ms; silence proves nothing, so it asks the fencing device",
            detection.as_millis()
        ));
        self.wait("beta answers the client", |_| client.answered("beta", killed).is_some())?;
        let outage = client.longest_gap(killed - Duration::from_millis(50));
        self.say(&format!("beta serves: nobody was answered for {} ms", outage.as_millis()));

        let [alpha, _] = &self.nodes;
        alpha.power_on()?;
        alpha.start_daemon()?;
        self.wait("alpha is a voter again", |story| {
            story.view().is_some_and(|status| {
                votes(&status) == 2 && status.nodes.iter().all(|n| n.state == NodeState::Online)
            })
        })?;
        if !self.runs_on("beta") {
            return Err(Failure::failed("the group did not stay on beta when alpha came back"));
        }
        self.say("alpha came back, joined, and took nothing: an old owner never wins by being old");
        let moved = self.migrate_back()?;
        self.wait("alpha answers the client", |_| client.answered("alpha", moved).is_some())?;
        let gap = client.longest_gap(moved);
        self.say(&format!(
            "`crm migrate web alpha`: a planned move, {} ms without an answer",
            gap.as_millis()
        ));
        let (answered, unanswered) = client.counts();
        let seconds = self.began.elapsed().as_secs_f64();
        if self.json {
            return self.output.json(&serde_json::json!({
                "nodes": ["alpha", "beta"],
                "killed": "alpha",
                "survivor": "beta",
                "deadtime_ms": 1000,
                "fencing_delay_ms": 300,
                "detection_ms": millis(detection),
                "outage_ms": millis(outage),
                "migration_gap_ms": millis(gap),
                "answered": answered,
                "unanswered": unanswered,
                "seconds": seconds,
            }));
        }
        self.output.line(format!(
            "\n  detection  {:>5} ms   (deadtime 1000 ms)\n  outage     {:>5} ms   (detection, 300 ms fencing delay of the side that hosted less, fencing, start)\n  migration  {:>5} ms\n  client     {answered} answers, {unanswered} questions without one",
            millis(detection), millis(outage), millis(gap)
        ))
    }

    /// Says one step of the story, unless only figures are wanted.
    fn say(&mut self, text: &str) {
        let at = self.began.elapsed().as_secs_f64();
        if !self.json {
            // A reader that went away does not end a story half told.
            let _ = self.output.line(format!("{at:6.1} s  {text}"));
        }
    }

    fn view(&self) -> Option<Status> {
        self.nodes.iter().filter_map(Node::status).find(|status| status.quorum)
    }

    fn runs_on(&self, node: &str) -> bool {
        self.view().is_some_and(|status| {
            status.groups.iter().any(|group| {
                group.owner.as_ref().is_some_and(|owner| owner.as_str() == node)
                    && group.phase == GroupPhase::Running
                    && !group.ending
            })
        })
    }

    /// Moves the group home; when that was done. On a machine so busy that the nodes lose sight of one another it is
    /// refused for a moment, and asked again.
    fn migrate_back(&self) -> Result<Instant, Failure> {
        let [alpha, _] = &self.nodes;
        let until = Instant::now() + STEP;
        loop {
            let moved = Instant::now();
            match alpha.crm(&["migrate", "web", "alpha"]) {
                Ok(()) => return Ok(moved),
                Err(refused) if Instant::now() > until => return Err(refused),
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    fn wait(&self, what: &str, met: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let until = Instant::now() + STEP;
        while !met(self) {
            if Instant::now() > until {
                return Err(Failure::failed(format!("{what}: not within {} s", STEP.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Tells when beta calls a peer lost.
    fn watch_for_loss(&self) -> mpsc::Receiver<Instant> {
        let (sender, receiver) = mpsc::channel();
        let [_, beta] = &self.nodes;
        if let Some(client) = beta.connect() {
            std::thread::spawn(move || {
                let Ok(stream) = client.stream(None, true) else { return };
                for event in stream.flatten() {
                    if event.event.kind == "peer-lost" {
                        let _ = sender.send(Instant::now());
                        return;
                    }
                }
            });
        }
        receiver
    }

    /// A shell on a living node.
    fn stay(&mut self) -> Result<(), Failure> {
        let Some(node) = self.nodes.iter().find(|node| node.is_up()) else { return Ok(()) };
        self.output.line(format!(
            "\nyou are on node {}; try `crm status`, `crm why web`, `crm migrate web beta`, `crm events -f`,\n`curl http://{SERVICE}:{PORT}/`, edit {} and `crm apply`; `exit` ends the demo and clears up",
            node.name,
            node.etc("cluster.yaml").display()
        ))?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let bash = std::env::split_paths(&path).any(|place| place.join("bash").exists());
        let mut shell = node.command(if bash { "bash" } else { "sh" })?;
        if bash {
            shell.args(["--norc", "--noprofile"]).env("PS1", "demo:\\h# ");
        }
        // How the last command of the visit ended is nobody's failure.
        shell.status()?;
        Ok(())
    }
}

fn votes(status: &Status) -> usize {
    status.nodes.iter().filter(|node| node.voter).count()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
