//! Where a witness keeps its things.

use crate::LogKind;
use clap::Args;
use std::path::{Path, PathBuf};

/// The directories of a witness; a node of another cluster may run on the same machine beside it.
#[derive(Clone, Debug, Args)]
pub struct WitnessOptions {
    /// Holds witness.yaml and, for each cluster, NAME.authkeys
    #[arg(
        id = "witness-config-dir",
        long = "witness-config-dir",
        env = "CRM_WITNESS_CONFIG_DIR",
        default_value = "/etc/crm/witness",
        value_name = "DIR",
        hide_env = true
    )]
    pub config_dir: PathBuf,
    /// Holds one directory for each cluster: how this witness voted, never to be restored from a backup
    #[arg(
        id = "witness-state",
        long = "witness-state",
        env = "CRM_WITNESS_STATE",
        default_value = "/var/lib/crm-witness",
        value_name = "DIR",
        hide_env = true
    )]
    pub state: PathBuf,
    /// Holds the witness's control socket
    #[arg(
        id = "witness-run",
        long = "witness-run",
        env = "CRM_WITNESS_RUN",
        default_value = "/run/crm-witness",
        value_name = "DIR",
        hide_env = true
    )]
    pub run: PathBuf,
    /// Where the log goes [default: journal under systemd, else text]
    #[arg(id = "witness-log", long = "log", env = "CRM_LOG", value_name = "KIND", hide_env = true)]
    pub log: Option<LogKind>,
}

impl WitnessOptions {
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config_dir.join("witness.yaml")
    }

    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run.join("witness.sock")
    }

    /// The key file of a cluster: the one that the configuration names, else NAME.authkeys.
    #[must_use]
    pub fn authkeys(&self, cluster: &str, named: Option<&Path>) -> PathBuf {
        match named {
            Some(path) => path.to_owned(),
            None => self.config_dir.join(format!("{cluster}.authkeys")),
        }
    }

    /// What this witness must not forget of a cluster.
    #[must_use]
    pub fn state_of(&self, cluster: &str) -> PathBuf {
        self.state.join(cluster)
    }
}
