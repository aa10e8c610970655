//! A machine that is the witness of some clusters.

use super::node::Node;
use crm_api::{WitnessCluster, WitnessReport};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long a witness may take to answer, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

impl Node {
    /// Lets this machine vote in a cluster whose keys are in `authkeys`: an entry in witness.yaml, and
    /// a copy of the keys. For a witness that does not run.
    ///
    /// # Panics
    /// If its disk does not take it.
    pub fn serves(&self, cluster: &str, authkeys: &Path) {
        let file = self.etc("witness.yaml");
        let before = std::fs::read_to_string(&file).unwrap_or_else(|_| "clusters:\n".to_owned());
        std::fs::write(&file, format!("{before}  {cluster}: {{}}\n")).expect("witness.yaml");
        std::fs::copy(authkeys, self.etc(&format!("{cluster}.authkeys"))).expect("its keys");
    }

    /// Starts `crm witness serve` and waits until it answers.
    ///
    /// # Panics
    /// With its log, if it does not.
    pub fn start_witness(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.disk.join("log"));
        let log = log.unwrap_or_else(|error| panic!("log of {}: {error}", self.name));
        let again = log.try_clone().unwrap_or_else(|error| panic!("{error}"));
        let child = self
            .command("crm")
            .args(["witness", "serve"])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(again)
            .spawn()
            .unwrap_or_else(|error| panic!("crm witness: {error}"));
        self.daemon = Some(child);
        let until = Instant::now() + PATIENCE;
        while self.try_witness_report().is_none() {
            assert!(Instant::now() < until, "{} does not answer:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it with SIGTERM, as systemd does, and waits until it is gone.
    ///
    /// # Panics
    /// If it does not go.
    pub fn end_witness(&mut self) {
        let pid = self.run("pgrep", &["-o", "-x", "crm"]).stdout;
        self.run("kill", &[pid.trim()]);
        let until = Instant::now() + PATIENCE;
        while self.run("kill", &["-0", pid.trim()]).code == 0 {
            assert!(Instant::now() < until, "the witness does not end:\n{}", self.log());
            if let Some(child) = &mut self.daemon {
                let _ = child.try_wait();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What `crm witness status` says, if anybody answers it.
    pub fn try_witness_report(&self) -> Option<WitnessReport> {
        if !self.is_up() {
            return None;
        }
        serde_json::from_str(&self.run("crm", &["witness", "status", "--json"]).stdout).ok()
    }

    /// One cluster of it.
    ///
    /// # Panics
    /// If the witness does not answer, or does not know the cluster.
    pub fn witnessed(&self, cluster: &str) -> WitnessCluster {
        let report = self.try_witness_report();
        let report = report.unwrap_or_else(|| panic!("no witness answers:\n{}", self.log()));
        let found = report.clusters.into_iter().find(|found| found.cluster == cluster);
        found.unwrap_or_else(|| panic!("{cluster} is not served:\n{}", self.log()))
    }
}
