//! Files of this node.

use crate::args::Place;
use std::path::PathBuf;

impl Place {
    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.run.join("crm.sock"))
    }
    pub(crate) fn cluster_file(&self) -> PathBuf {
        self.config_dir.join("cluster.yaml")
    }
    pub(crate) fn previous_cluster_file(&self) -> PathBuf {
        self.config_dir.join("cluster.yaml.old")
    }
    pub(crate) fn authkeys(&self) -> PathBuf {
        self.config_dir.join("authkeys")
    }
}
