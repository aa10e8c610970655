//! Start: the volume first, then who remembers, who answers, what is exported, and the threads last, so that no client
//! is told that something is not there.

use std::path::Path;

use super::parts::{self, Parts, living};
use super::{Server, exports, kernel, probe};
use crate::contract::{Call, Failure, Outcome, Watch};
use crate::deadline::{Pause, QUESTION};
use crate::filesystem::mounted_on;
use crate::procfs;

pub(super) fn start(call: &Call, server: &Server) -> Outcome {
    let deadline = call.context.deadline;
    check_volume(server)?;
    let pipes = kernel::prepare(deadline)?;
    let before = Parts::load(call)?;
    let strangers = parts::strangers(&before)?;
    if !strangers.is_empty() || (kernel::threads()? > 0 && !before.is_ours()) {
        let who = match strangers.as_slice() {
            [] => "one that somebody else started".to_owned(),
            some => procfs::describe_all(some),
        };
        return Err(Failure::generic(format!(
            "expected no NFS server on this machine but this one, found {who}; only crm may start it: \
             systemctl disable --now nfs-server nfs-mountd nfsdcld"
        )));
    }
    let remembered =
        living(&before.remembers).is_some_and(|pid| kernel::is_tracked_by(pid, &pipes));
    if kernel::threads()? > 0 && !remembered {
        call.channel.progress("the server's memory of its clients is lost; it starts anew");
        kernel::stop_threads(deadline)?;
    }
    if kernel::threads()? == 0 {
        // What a node left here that died while it served.
        exports::remove_below(&server.mount, deadline)?;
    }
    parts::start_remembering(call, server, &pipes)?;
    parts::start_answering(call)?;
    exports::add(server, deadline)?;
    serve(call, server, &pipes)?;
    let mut pause = Pause::new();
    while let Err(missing) = probe::ask(deadline.at_most(QUESTION)) {
        if !pause.sleep(deadline) {
            return Err(Failure::generic(missing));
        }
    }
    for pid in Parts::load(call)?.alive() {
        call.channel.watch(Watch::Process(pid));
    }
    Ok(())
}

fn check_volume(server: &Server) -> Outcome {
    for directory in &server.directories {
        mounted_on(&server.mount, directory)?;
        if !directory.is_dir() {
            return Err(Failure::installed(format!(
                "expected the directory {}, found something else",
                directory.display()
            )));
        }
    }
    let parent = server.state.parent().unwrap_or(Path::new("/"));
    mounted_on(&server.mount, if server.state.is_dir() { &server.state } else { parent })
}

/// The kernel waits one second for `nfsdcld`; on a busy machine that may be too short, so it is asked again.
fn serve(call: &Call, server: &Server, pipes: &Path) -> Outcome {
    let deadline = call.context.deadline;
    let mut pause = Pause::slow();
    loop {
        if kernel::threads()? == 0 {
            kernel::start_threads(server, deadline)?;
        }
        let record = Parts::load(call)?.remembers;
        if living(&record).is_some_and(|pid| kernel::is_tracked_by(pid, pipes)) {
            return Ok(());
        }
        call.channel.progress("the kernel has not met nfsdcld; once more");
        kernel::stop_threads(deadline)?;
        if !pause.sleep(deadline) {
            return Err(Failure::generic(
                "the kernel does not use nfsdcld to remember its clients, so a takeover would lose \
                 their locks; see what nfsdcld and the kernel say in the log",
            ));
        }
    }
}
