//! Stand-ins for `drbdadm` and `drbdsetup`: shell scripts that replay answers recorded from real
//! DRBD 8.4, and say in their first line that they are stand-ins.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Notes each call in `calls`. `drbdsetup events2` prints the file `says`; for `drbdadm VERB` the
/// fragment `on-VERB` is run, which may print, change `says`, and exit.
const SCRIPT: &str = r#"#!/bin/sh
# A stand-in: it replays recorded answers and is not DRBD.
here=$(cd "$(dirname "$0")/.." && pwd)
tool=$(basename "$0")
echo "$tool $*" >>"$here/calls"
if [ "$tool $1" = "drbdsetup events2" ]; then
    [ ! -e "$here/on-events2" ] || . "$here/on-events2"
    exec cat "$here/says"
fi
if [ -e "$here/on-$1" ]; then
    . "$here/on-$1"
    exit 0
fi
echo "the stand-in has no answer to $tool $*" >&2
exit 99
"#;

pub struct StandIn {
    pub directory: PathBuf,
}

impl StandIn {
    pub fn new(test: &str) -> StandIn {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("crm-drbd-{test}-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let bin = directory.join("bin");
        fs::create_dir_all(&bin).expect("directory");
        for tool in ["drbdadm", "drbdsetup"] {
            let path = bin.join(tool);
            fs::write(&path, SCRIPT).expect("script");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        }
        let stand_in = StandIn { directory };
        stand_in.on("dump", "echo 'resource r0 { }'");
        stand_in
    }

    pub fn search_path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.directory.join("bin").display())
    }

    /// What DRBD says from now on, as it was recorded in this state.
    pub fn found_in(self, state: &str) -> StandIn {
        fs::write(self.directory.join("says"), events(state)).expect("state");
        self
    }

    /// What DRBD says from now on, word by word.
    pub fn says(self, text: &str) -> StandIn {
        fs::write(self.directory.join("says"), text).expect("state");
        self
    }

    /// What `drbdadm VERB` does.
    pub fn on(&self, verb: &str, fragment: &str) {
        fs::write(self.directory.join(format!("on-{verb}")), fragment).expect("fragment");
    }

    /// `drbdadm VERB` succeeds, and then DRBD is in another state.
    pub fn leads_to(self, verb: &str, state: &str) -> StandIn {
        let next = self.directory.join(format!("after-{verb}"));
        fs::write(&next, events(state)).expect("state");
        self.on(verb, &format!("cp '{}' \"$here/says\"", next.display()));
        self
    }

    /// `drbdadm VERB` is refused as it was recorded in a file.
    pub fn refuses(self, verb: &str, recorded: &str) -> StandIn {
        self.on(verb, &refusal(verb, recorded));
        self
    }

    /// `drbdadm VERB` answers as it was recorded in a state.
    pub fn answers(self, verb: &str, state: &str) -> StandIn {
        let (output, code) = answer(state, &format!("drbdadm {verb}"));
        self.on(verb, &format!("cat <<'END'\n{output}END\nexit {code}\n"));
        self
    }

    /// All calls, one a line.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|line| *line == call).count()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let calls = self.calls();
        let _ = fs::remove_dir_all(&self.directory);
        let words = ["--force", "--overwrite", "--do-what-I-say"];
        // The one exception is for a peer that is proved dead.
        let forced = calls
            .iter()
            .filter(|call| *call != "drbdadm disconnect --force r0")
            .find(|call| words.iter().any(|word| call.contains(word)));
        if !std::thread::panicking() {
            assert_eq!(forced, None, "HB21: nothing is ever forced");
        }
    }
}

/// A shell fragment that answers as recorded.
pub fn refusal(verb: &str, recorded: &str) -> String {
    let (output, code) = answer(recorded, &format!("drbdadm {verb}"));
    format!("cat >&2 <<'END'\n{output}END\nexit {code}\n")
}

fn fixture(name: &str) -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().find(|path| path.join("drbd/tests/fixtures").is_dir());
    let path = root.expect("the workspace").join("drbd/tests/fixtures/8.4").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn events(state: &str) -> String {
    answer(state, "drbdsetup events2 --now").0
}

/// The last answer recorded for a command that begins so, and its exit code.
fn answer(file: &str, command: &str) -> (String, i32) {
    let mut found = None;
    let mut inside = false;
    let mut output = String::new();
    for line in fixture(&format!("{file}.txt")).lines() {
        if let Some(recorded) = line.strip_prefix("$ ") {
            inside = recorded.starts_with(command);
            output.clear();
        } else if let Some(code) = line.strip_prefix("[rc=").filter(|_| inside) {
            let code = code.trim_end_matches(']').parse().expect("a number");
            found = Some((std::mem::take(&mut output), code));
            inside = false;
        } else if inside {
            output.push_str(&format!("{line}\n"));
        }
    }
    found.unwrap_or_else(|| panic!("{command} was not recorded in {file}"))
}
