//! Command line and environment of `crmd`, and the files that follow from them.

use clap::{Parser, ValueEnum};
use crm_core::id::{NodeId, is_valid_name};
use std::path::PathBuf;

/// The cluster daemon. Several nodes can run on one machine with their own directories.
#[derive(Clone, Debug, Parser)]
#[command(name = "crmd", version, about = "The daemon of the crm cluster manager")]
pub struct Options {
    /// Holds cluster.yaml and authkeys
    #[arg(long, env = "CRM_CONFIG_DIR", default_value = "/etc/crm", value_name = "DIR")]
    pub config_dir: PathBuf,
    /// Holds what must survive a power cut
    #[arg(long, env = "CRM_STATE", default_value = "/var/lib/crm", value_name = "DIR")]
    pub state: PathBuf,
    /// Holds the control socket and what a reboot may forget
    #[arg(long, env = "CRM_RUN", default_value = "/run/crm", value_name = "DIR")]
    pub run: PathBuf,
    /// The control socket [default: crm.sock in the run directory]
    #[arg(long, env = "CRM_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Name of this node in cluster.yaml [default: the host name up to its first dot]
    #[arg(long, env = "CRM_NODE", value_name = "NAME")]
    pub node: Option<String>,
    /// UDP port until the configuration names one
    #[arg(long, env = "CRM_PORT", default_value_t = crm_core::model::Timing::default().port)]
    pub port: u16,
    /// Address to bind while no configuration names this node; repeat it for several links
    #[arg(long, value_name = "ADDRESS")]
    pub link: Vec<std::net::IpAddr>,
    /// Executables here come before the agents built in
    #[arg(long, env = "CRM_AGENTS_DIR", default_value = "/usr/lib/crm/agents", value_name = "DIR")]
    pub agents_dir: PathBuf,
    /// Root of the OCF agents
    #[arg(long, env = "OCF_ROOT", default_value = "/usr/lib/ocf", value_name = "DIR")]
    pub ocf_root: PathBuf,
    /// A member of the cluster to join; it is used until this node knows the record
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub contact: Option<String>,
    /// Where the log goes [default: journal under systemd, else text]
    #[arg(long, env = "CRM_LOG", value_name = "KIND")]
    pub log: Option<LogKind>,
    /// Lock memory and run with real-time priority where that is permitted
    #[arg(long, env = "CRM_REALTIME", default_value_t = true, action = clap::ArgAction::Set)]
    pub realtime: bool,
}

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogKind {
    /// Lines for people on the standard error.
    Text,
    /// One JSON object a line on the standard error.
    Json,
    /// journald, with fields.
    Journal,
}

impl Options {
    /// The name of this node.
    ///
    /// # Errors
    /// One line if there is none, or if it cannot name a node.
    pub fn node_id(&self) -> Result<NodeId, String> {
        let name = match &self.node {
            Some(name) => name.clone(),
            None => {
                let host = nix::unistd::gethostname()
                    .map_err(|error| format!("the host name cannot be read: {error}"))?;
                let host = host.to_string_lossy().into_owned();
                host.split('.').next().unwrap_or_default().to_owned()
            }
        };
        if !is_valid_name(&name) {
            return Err(format!(
                "{name:?} cannot name a node: expected 1 to 63 of A-Z a-z 0-9 . _ - with a letter \
                 or digit first; name it with --node"
            ));
        }
        Ok(NodeId::new(&name))
    }

    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.run.join("crm.sock"))
    }
    #[must_use]
    pub fn cluster_file(&self) -> PathBuf {
        self.config_dir.join("cluster.yaml")
    }
    #[must_use]
    pub fn authkeys(&self) -> PathBuf {
        self.config_dir.join("authkeys")
    }
    /// Written before each agent call and removed after it (H15).
    #[must_use]
    pub fn journal_dir(&self) -> PathBuf {
        self.run.join("ops")
    }
    /// Where agents may keep small files until the next boot.
    #[must_use]
    pub fn agent_state_dir(&self) -> PathBuf {
        self.run.join("agents")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_a_node_is_refused_with_the_way_out() {
        let options = Options::parse_from(["crmd", "--node", "a b"]);
        let error = options.node_id().expect_err("refused");
        assert!(error.contains("--node"), "{error}");
    }

    #[test]
    fn the_socket_lies_in_the_run_directory_unless_named() {
        let options = Options::parse_from(["crmd", "--run", "/run/x"]);
        assert_eq!(options.socket(), PathBuf::from("/run/x/crm.sock"));
        let options = Options::parse_from(["crmd", "--run", "/run/x", "--socket", "/s"]);
        assert_eq!(options.socket(), PathBuf::from("/s"));
    }
}
