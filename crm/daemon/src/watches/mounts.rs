//! `watch mount PATH`, by polling `/proc/self/mountinfo` for its priority event, which the kernel
//! raises at every change of the mount table. Only a change at a watched path counts.

use super::{Owner, changed};
use crate::happening::Tell;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::task::AbortHandle;

const TABLE: &str = "/proc/self/mountinfo";
/// A storm of mounts elsewhere makes the table be read this often at most.
const PAUSE: Duration = Duration::from_millis(5);
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Mounts {
    tell: Tell,
    watched: Rc<RefCell<Watched>>,
    /// As long as anything is watched: an idle daemon holds no file open.
    listening: Option<AbortHandle>,
}

/// Who watches a path, and what was mounted there when last looked at.
type Watched = BTreeMap<String, (BTreeSet<Owner>, Option<String>)>;

impl Mounts {
    pub(super) fn new(tell: Tell) -> Mounts {
        Mounts { tell, watched: Rc::default(), listening: None }
    }

    pub(super) fn add(&mut self, owner: &Owner, path: &str) {
        let now = File::open(TABLE).and_then(read).ok().and_then(|table| mounted(&table, path));
        let mut watched = self.watched.borrow_mut();
        let entry = watched.entry(path.to_owned()).or_insert_with(|| (BTreeSet::new(), now));
        entry.0.insert(owner.clone());
        drop(watched);
        self.listening.get_or_insert_with(|| {
            let (tell, watched) = (self.tell.clone(), self.watched.clone());
            let task = tokio::task::spawn_local(async move {
                loop {
                    let _ = listen(&tell, &watched).await;
                    tokio::time::sleep(RETRY).await;
                }
            });
            task.abort_handle()
        });
    }

    pub(super) fn remove(&mut self, owner: &Owner, path: &str) {
        let mut watched = self.watched.borrow_mut();
        if let Some((owners, _)) = watched.get_mut(path) {
            owners.remove(owner);
            if owners.is_empty() {
                watched.remove(path);
            }
        }
        if watched.is_empty()
            && let Some(task) = self.listening.take()
        {
            task.abort();
        }
    }
}

async fn listen(tell: &Tell, watched: &RefCell<Watched>) -> io::Result<()> {
    let table = crate::sys::register(File::open(TABLE)?, Interest::PRIORITY)?;
    loop {
        // First look, then wait: what changed before the file was open counts too.
        let mut file = table.get_ref();
        file.rewind()?;
        compare(tell, &mut watched.borrow_mut(), &read(file)?);
        let mut ready = table.ready(Interest::PRIORITY).await?;
        ready.clear_ready();
        tokio::time::sleep(PAUSE).await;
    }
}

/// The whole table. A path in it, of whomever, need not be text.
fn read(mut table: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    table.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn compare(tell: &Tell, watched: &mut Watched, table: &str) {
    for (path, (owners, before)) in watched {
        let now = mounted(table, path);
        if now != *before {
            let what = match &now {
                None => format!("{path} is not mounted any more"),
                Some(_) => format!("the mount at {path} changed"),
            };
            owners.iter().for_each(|owner| changed(tell, owner, what.clone()));
            *before = now;
        }
    }
}

/// What is mounted at `path`, as the lines of the table say it (the topmost is the last).
fn mounted(table: &str, path: &str) -> Option<String> {
    let escaped = escape(path);
    let lines: Vec<&str> =
        table.lines().filter(|line| line.split(' ').nth(4) == Some(escaped.as_str())).collect();
    if lines.is_empty() { None } else { Some(lines.join("\n")) }
}

/// As the kernel writes paths: blank, tab, newline and backslash in octal.
fn escape(path: &str) -> String {
    let trimmed = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let mut out = String::new();
    for c in trimmed.chars() {
        match c {
            ' ' | '\t' | '\n' | '\\' => out.push_str(&format!("\\{:03o}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::happening::Happening;
    use crate::testing::until;
    use crm_core::id::{GroupId, ResourceId};

    const TABLE: &str = "30 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                         41 30 8:2 / /data1 rw,noatime - ext4 /dev/drbd0 rw\n\
                         42 30 8:3 / /a\\040b rw - ext4 /dev/drbd1 rw\n";

    #[test]
    fn paths_are_compared_whole_and_unescaped() {
        assert!(mounted(TABLE, "/data1").is_some());
        assert!(mounted(TABLE, "/data1/").is_some());
        assert!(mounted(TABLE, "/a b").is_some());
        assert!(mounted(TABLE, "/data").is_none());
        assert!(mounted(TABLE, "/").is_some());
    }

    #[test]
    fn a_path_that_is_no_text_hides_no_other() {
        let mut table = b"40 30 8:9 / /mnt/b\xfccher rw - ext4 /dev/sdb1 rw\n".to_vec();
        table.extend_from_slice(TABLE.as_bytes());
        let table = read(table.as_slice()).expect("a table");
        assert!(mounted(&table, "/data1").is_some());
    }

    #[test]
    fn only_a_change_at_the_watched_path_is_told() {
        let (tell, mut inbox) = Tell::channel();
        let owner = (GroupId::new("g"), ResourceId::new("r"));
        let before = mounted(TABLE, "/data1");
        let mut watched = Watched::new();
        watched.insert("/data1".to_owned(), ([owner].into(), before));
        compare(&tell, &mut watched, &format!("{TABLE}43 30 8:4 / /other rw - ext4 /dev/x rw\n"));
        assert!(inbox.try_recv().is_err());
        // The kernel remounts a filesystem read-only when its disk fails.
        let read_only = TABLE.replace("drbd0 rw", "drbd0 ro");
        compare(&tell, &mut watched, &read_only);
        assert!(matches!(inbox.try_recv(), Ok(Happening::Changed { .. })));
        compare(&tell, &mut watched, "");
        let Ok(Happening::Changed { what, .. }) = inbox.try_recv() else { panic!("no event") };
        assert!(what.contains("not mounted"), "{what}");
        compare(&tell, &mut watched, "");
        assert!(inbox.try_recv().is_err(), "told once");
    }

    #[test]
    fn i10_nothing_stays_open_for_what_is_watched_no_more() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let tasks = |watched: &Rc<_>| Rc::strong_count(watched) - 1;
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (tell, _inbox) = Tell::channel();
            let owner = (GroupId::new("g"), ResourceId::new("r"));
            let mut watches = Mounts::new(tell);
            for _ in 0..3 {
                watches.add(&owner, "/");
                watches.add(&owner, "/proc");
                until("one task listens", || tasks(&watches.watched) == 1).await;
                watches.remove(&owner, "/");
                until("another one is left", || tasks(&watches.watched) == 1).await;
                watches.remove(&owner, "/proc");
                until("its task is gone", || tasks(&watches.watched) == 0).await;
            }
        });
    }
}
