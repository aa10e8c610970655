//! From the command line to the event loop: everything that must be right before the first packet
//! is sent, each with a plain refusal.

use crate::bans::OwnBans;
use crate::control::{Control, Shared};
use crate::draft::Draft;
use crate::event_loop::{Daemon, Parts};
use crate::events::EventLog;
use crate::executor::{
    self, Awaited, CgroupParent, Executor, Held, Journal, Places, Reaper, Surroundings,
};
use crate::fencing::Fencing;
use crate::files::Files;
use crate::founding::{contact_file, make_directory};
use crate::happening::{Happening, Tell};
use crate::keys::{self, KeyFile};
use crate::links::{Links, Unconfigured, parse_address};
use crate::store::{Store, Writer};
use crate::watchdog::Watchdog;
use crate::watches::Watches;
use crate::{Options, clock, lock, random, realtime, systemd};
use crm_core::id::{Incarnation, NodeId, StoreId};
use crm_core::record::Stored;
use crm_core::{Node, Shutdown, Start};
use nix::fcntl::Flock;
use nix::unistd::Uid;
use std::cell::{Cell, RefCell};
use std::fs::{DirBuilder, File};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

/// Stack of the few threads that look up names; memory may be locked.
const BLOCKING_STACK_BYTES: usize = 512 * 1024;
const BLOCKING_THREADS_MAX: usize = 4;

/// What the checks before the start have found.
struct Checked {
    id: NodeId,
    incarnation: Incarnation,
    keys: crm_wire::AuthKeys,
    key_file: KeyFile,
    stored: Stored,
    contact: Option<SocketAddr>,
    first_since_boot: bool,
    /// Real-time priority of the own agents, where it is wanted and permitted.
    priority: Option<i32>,
    /// Until the writer has it.
    lock: Option<Flock<File>>,
}

/// Runs until the core halts, and answers how it was told to.
///
/// # Errors
/// Why the daemon did not start or had to end; with a hint where there is a way out.
pub(crate) fn start(options: &Options) -> Result<Option<Shutdown>, String> {
    realtime::reserve();
    let mut checked = check(options)?;
    if options.realtime {
        checked.priority = realtime::acquire();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_stack_size(BLOCKING_STACK_BYTES)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(|error| format!("the event loop cannot be made: {error}"))?;
    let local = tokio::task::LocalSet::new();
    let ended = local.block_on(&runtime, serve(options, checked));
    // A question that a hanging disk does not answer (who has this user number?) holds nobody up.
    runtime.shutdown_background();
    ended
}

fn check(options: &Options) -> Result<Checked, String> {
    let id = options.node_id()?;
    make_directory(&options.state)?;
    make_run_directory(&options.run)?;
    let lock = lock(&options.state)?;
    // The settling that follows may take minutes.
    let key_file = KeyFile::new(options.authkeys());
    let keys = keys::load(&options.authkeys())?;
    let loaded = Store::new(&options.state).load()?;
    let has_record = loaded.as_ref().is_some_and(|stored| stored.record.is_some());
    let contact = if has_record { None } else { contact(options)? };
    if !has_record && contact.is_none() {
        return Err(format!(
            "this node belongs to no cluster: {} holds no record\nhint: `crm init` founds a \
             cluster from {}, `crm join NODE` enters one",
            options.state.display(),
            options.cluster_file().display()
        ));
    }
    let stored = match loaded {
        Some(stored) => stored,
        None => Stored::new(StoreId(random::bits()?)),
    };
    let incarnation = Incarnation(random::bits()?);
    // The run directory forgets at a boot, and every daemon, of whatever version, makes this one
    // before it starts anything.
    let first_since_boot = is_missing(&options.agent_state_dir());
    make_directory(&options.agent_state_dir())?;
    Ok(Checked {
        id,
        incarnation,
        keys,
        key_file,
        stored,
        contact,
        first_since_boot,
        priority: None,
        lock: Some(lock),
    })
}

/// For certain; what cannot be looked at may be there.
fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn watchdog_marker(options: &Options) -> std::path::PathBuf {
    options.run.join("watchdog-armed")
}

/// Others reach the socket in it; its own mode decides who.
fn make_run_directory(path: &Path) -> Result<(), String> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|error| format!("{} cannot be made: {error}", path.display()))
}

/// Two daemons on one store would vote twice.
fn lock(state: &Path) -> Result<Flock<File>, String> {
    let hint = "one daemon a node; `systemctl status crmd` shows it";
    lock::hold(&state.join("lock"), "another daemon", hint)
}

/// From the command line, else from the note that `crm join` left.
fn contact(options: &Options) -> Result<Option<SocketAddr>, String> {
    let text = match &options.contact {
        Some(text) => text.clone(),
        None => match std::fs::read_to_string(contact_file(&options.state)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(format!("{}: {error}", contact_file(&options.state).display()));
            }
        },
    };
    parse_address(text.trim(), options.port).map(Some)
}

async fn serve(options: &Options, mut checked: Checked) -> Result<Option<Shutdown>, String> {
    let (tell, inbox) = Tell::channel();
    let events = Rc::new(RefCell::new(EventLog::new()));
    let awaited = Awaited::default();
    let reaper = Reaper::adopt_orphans(awaited.clone())
        .map_err(|error| format!("orphans cannot be adopted: {error}"))?;
    let shared = Rc::new(Shared {
        tell: tell.clone(),
        events: events.clone(),
        operators: RefCell::new(Arc::from([])),
        own_uid: Uid::effective(),
        connections: Cell::new(0),
        followers: Cell::new(0),
    });
    let prefix = crm_core::digest::digest(options.run.as_os_str().as_encoded_bytes());
    let surroundings = Rc::new(Surroundings {
        places: Places::new(options, checked.id.as_str()),
        journal: Journal::open(&options.journal_dir())
            .map_err(|error| format!("{}: {error}", options.journal_dir().display()))?,
        cgroups: CgroupParent::find_in_time(&format!("crm-{prefix}")).await,
        awaited,
        held: Held::default(),
        priority: checked.priority,
        run: format!("{:032x}", checked.incarnation.0),
        tell: tell.clone(),
    });
    let control = Control::serve(&options.socket(), shared.clone())?;
    systemd::ready("settling what was open");
    // Nothing is said of a resource before what was open on it is settled (H15, R17).
    for event in systemd::fed_until(executor::settle(&surroundings)).await? {
        events.borrow_mut().record(event);
    }
    let parts = parts(options, &mut checked, tell, &surroundings, reaper, shared, events)?;
    let ended = run(options, checked, parts, inbox).await;
    systemd::stopping("ending");
    if let Some(cgroups) = &surroundings.cgroups {
        cgroups.sweep();
    }
    drop(control);
    ended
}

fn parts(
    options: &Options,
    checked: &mut Checked,
    tell: Tell,
    surroundings: &Rc<Surroundings>,
    reaper: Reaper,
    shared: Rc<Shared>,
    events: Rc<RefCell<EventLog>>,
) -> Result<Parts, String> {
    let no_thread = |error: std::io::Error| format!("no thread can be made: {error}");
    let draft = Draft::new(options.cluster_file(), options.state.clone());
    let keys = checked.key_file.clone();
    let links = Links::new(
        tell.clone(),
        &checked.id,
        checked.incarnation,
        checked.keys.clone(),
        checked.contact,
    )?;
    Ok(Parts {
        links,
        writer: Writer::start(Store::new(&options.state), tell.clone(), checked.lock.take())
            .map_err(no_thread)?,
        files: Files::watch(draft, keys, tell.clone()).map_err(no_thread)?,
        executor: Executor::new(surroundings.clone()),
        fencing: Fencing::new(surroundings.clone()),
        watches: Watches::new(tell.clone()),
        watchdog: Watchdog::new(tell.clone(), watchdog_marker(options)),
        reaper,
        bans: OwnBans::new(clock::now(), options.socket()),
        shared,
        events,
        tell,
        surroundings: surroundings.clone(),
    })
}

async fn run(
    options: &Options,
    checked: Checked,
    mut parts: Parts,
    inbox: UnboundedReceiver<Happening>,
) -> Result<Option<Shutdown>, String> {
    let now = clock::now();
    let unconfigured = Unconfigured { link: options.link.clone(), port: options.port };
    let founded = checked.stored.record.is_some();
    let node = Node::new(
        now,
        Start {
            id: checked.id.clone(),
            incarnation: checked.incarnation,
            seed: random::bits()? as u64,
            joining: !founded,
            first_since_boot: checked.first_since_boot,
            watchdog_left_armed: Watchdog::was_left_armed(&watchdog_marker(options)),
            stored: checked.stored,
            parse: crm_config::parse_for_core,
        },
    );
    if !founded {
        parts.links.bind_unconfigured(now, &unconfigured);
    }
    let mut daemon = Daemon::new(node, checked.id, checked.incarnation, parts, unconfigured);
    let ended = daemon.run(inbox).await;
    ended.map(|()| daemon.asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_that_change_while_the_daemon_starts_are_noticed() {
        let dir = crate::testing::Dir::new();
        let of = |name: &str| dir.path().join(name).display().to_string();
        let arguments = ["crmd", "--node", "alpha", "--contact", "127.0.0.1"];
        let options =
            Options::parse_from(arguments.map(str::to_owned).into_iter().chain(
                ["config-dir", "state", "run"].map(|name| format!("--{name}={}", of(name))),
            ));
        let write = |random: u8| {
            std::fs::write(
                options.authkeys(),
                crm_wire::generate(std::array::from_fn(|at| random + at as u8)).as_bytes(),
            )
            .expect("write");
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(options.authkeys(), mode).expect("mode");
        };
        std::fs::create_dir_all(&options.config_dir).expect("directory");
        write(1);
        let mut checked = check(&options).unwrap_or_else(|error| panic!("refused: {error}"));
        write(2);
        assert!(matches!(checked.key_file.changed(), Some(Ok(_))));
        assert!(checked.key_file.changed().is_none());
    }
}
