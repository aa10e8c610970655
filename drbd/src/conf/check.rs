//! What in a configuration breaks the promises of a cluster that lets one node at a time serve.

use std::collections::BTreeMap;
use std::fmt;

use super::model::{Configuration, Host, Resource, Setting};
use super::tree::Place;

/// What the check knows beside the files.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The nodes of the cluster; empty if they are not known.
    pub nodes: Vec<String>,
    /// Resources with a database on them.
    pub databases: Vec<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, and could be safer.
    Warning,
    /// Data can be lost, or two nodes may serve.
    Error,
}

/// One thing that should be otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The resource.
    pub resource: String,
    /// Where.
    pub place: Place,
    /// What is so, and what may come of it.
    pub what: String,
    /// What to write instead.
    pub hint: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Finding { place, resource, what, hint, .. } = self;
        write!(out, "{place}: {severity}: {resource}: {what}; {hint}")
    }
}

/// Looks at every resource, and at what they share.
#[must_use]
pub fn check(configuration: &Configuration, context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    for resource in &configuration.resources {
        let mut check = Check { resource, context, findings: &mut findings };
        check.fencing();
        check.protocol();
        check.two_primaries();
        check.lost_writes();
        check.startup();
        check.hosts();
    }
    shared(configuration, &mut findings);
    for (keyword, place) in &configuration.unknown {
        findings.push(Finding {
            severity: Severity::Warning,
            resource: "-".to_owned(),
            place: place.clone(),
            what: format!("`{keyword}` is not understood here"),
            hint: "check its spelling and its place; `drbdadm dump` has the last word".to_owned(),
        });
    }
    findings
}

struct Check<'a> {
    resource: &'a Resource,
    context: &'a Context,
    findings: &'a mut Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, severity: Severity, place: Option<&Place>, what: &str, hint: &str) {
        self.findings.push(Finding {
            severity,
            resource: self.resource.name.clone(),
            place: place.unwrap_or(&self.resource.place).clone(),
            what: what.to_owned(),
            hint: hint.to_owned(),
        });
    }

    fn error(&mut self, place: Option<&Place>, what: &str, hint: &str) {
        self.add(Severity::Error, place, what, hint);
    }

    fn warning(&mut self, place: Option<&Place>, what: &str, hint: &str) {
        self.add(Severity::Warning, place, what, hint);
    }

    fn find(&self, section: &str, name: &str) -> Option<Setting> {
        self.resource.settings.find(section, name).cloned()
    }

    fn fencing(&mut self) {
        let policy = self.resource.settings.find_in(&["net", "disk"], "fencing").cloned();
        let value = policy.as_ref().map_or("dont-care", |policy| policy.value.as_str());
        if !matches!(value, "resource-only" | "resource-and-stonith") {
            return self.error(
                policy.as_ref().map(|policy| &policy.place),
                "there is no fencing policy, so a node that is cut off may be made Primary with \
                 old data",
                "say `fencing resource-and-stonith;`, with the handler `fence-peer`",
            );
        }
        let handlers = ["fence-peer", "outdate-peer"];
        let handler = handlers.iter().find_map(|name| self.find("handlers", name));
        match handler {
            None => self.error(
                policy.as_ref().map(|policy| &policy.place),
                "the fencing policy has no handler, so every promotion without the peer is refused",
                "say `fence-peer \"/usr/lib/crm/crm-fence-peer\";` in `handlers`",
            ),
            Some(handler) if !handler.value.contains("crm-fence-peer") => self.warning(
                Some(&handler.place),
                "the handler `fence-peer` is not crm's, so the cluster does not learn whose copy \
                 is old",
                "say `fence-peer \"/usr/lib/crm/crm-fence-peer\";`",
            ),
            Some(_) => {}
        }
        let lifted = ["unfence-peer", "after-resync-target"];
        if lifted.iter().all(|name| self.find("handlers", name).is_none()) {
            self.warning(
                policy.as_ref().map(|policy| &policy.place),
                "nothing tells the cluster when the peer's copy is good again",
                "say `after-resync-target \"/usr/lib/crm/crm-unfence-peer\";` in `handlers` \
                 (`unfence-peer` with 9)",
            );
        }
    }

    fn protocol(&mut self) {
        let protocol = self.resource.protocol().cloned();
        let place = protocol.as_ref().map(|protocol| protocol.place.clone());
        // DRBD's own default.
        let value = protocol.map_or_else(|| "C".to_owned(), |protocol| protocol.value);
        let database = self.context.databases.contains(&self.resource.name);
        match value.as_str() {
            "C" => {}
            "A" if database => self.error(
                place.as_ref(),
                "protocol A under a database: writes that were acknowledged are lost in a takeover",
                "say `protocol C;`",
            ),
            "A" | "B" => self.warning(
                place.as_ref(),
                &format!("protocol {value}: the last writes may be lost in a takeover"),
                "say `protocol C;`, unless that is meant",
            ),
            _ => self.error(place.as_ref(), "the protocol is none of A, B, C", "say `protocol C;`"),
        }
    }

    fn two_primaries(&mut self) {
        if let Some(allowed) = self.find("net", "allow-two-primaries").filter(Setting::is_yes) {
            self.error(
                Some(&allowed.place),
                "two nodes may be Primary at once, which destroys any filesystem that is not made \
                 for it",
                "remove `allow-two-primaries`",
            );
        }
        if let Some(promotes) = self.find("options", "auto-promote").filter(Setting::is_yes) {
            self.warning(
                Some(&promotes.place),
                "opening the device makes this node Primary, whoever opens it",
                "say `auto-promote no;`: promotion is the cluster's",
            );
        }
    }

    fn lost_writes(&mut self) {
        for (name, harmless) in [
            ("after-sb-0pri", &["disconnect", "discard-zero-changes"][..]),
            ("after-sb-1pri", &["disconnect", "consensus"]),
            ("after-sb-2pri", &["disconnect"]),
        ] {
            let policy = self.find("net", name);
            if let Some(policy) = policy.filter(|one| !harmless.contains(&one.value.as_str())) {
                let what = format!(
                    "`{name} {}` throws one side's writes away after a split brain, unasked",
                    policy.value
                );
                let hint = format!("say `{name} disconnect;`");
                self.warning(Some(&policy.place), &what, &hint);
            }
        }
        let on_error = self.find("disk", "on-io-error");
        // The default of 8.4 and 9 is `detach` already.
        if let Some(policy) = on_error.filter(|policy| policy.value == "pass_on") {
            self.warning(
                Some(&policy.place),
                "a disk error is passed on to the filesystem instead of being served by the peer",
                "say `on-io-error detach;`",
            );
        }
        for (section, name) in [("disk", "no-disk-flushes"), ("disk", "no-md-flushes")] {
            if let Some(off) = self.find(section, name).filter(Setting::is_yes) {
                let what = format!("`{name}`: a power cut loses what the disk's cache held");
                let hint = "remove it, unless the cache is backed by a battery";
                self.warning(Some(&off.place), &what, hint);
            }
        }
    }

    fn startup(&mut self) {
        if let Some(promotes) = self.find("startup", "become-primary-on") {
            self.error(
                Some(&promotes.place),
                "init makes a node Primary at boot, before the cluster has decided anything",
                "remove `become-primary-on`",
            );
        }
        if let Some(wait) = self.find("startup", "wfc-timeout").filter(|wait| wait.value == "0") {
            self.warning(
                Some(&wait.place),
                "a node that boots alone waits for its peer for ever, and everything after it too",
                "say how many seconds, such as `wfc-timeout 30;`",
            );
        }
    }

    fn hosts(&mut self) {
        let resource = self.resource;
        if resource.hosts.len() < 2 {
            self.error(None, "it is on fewer than two nodes", "add an `on NAME { ... }` for each");
        }
        for host in &resource.hosts {
            for name in &host.names {
                if !self.context.nodes.is_empty() && !self.context.nodes.contains(name) {
                    let what = format!("`on {name}` names no node of the cluster");
                    let hint = format!(
                        "DRBD goes by the host name (`uname -n`), the cluster has {}; the two must \
                         be the same",
                        self.context.nodes.join(", ")
                    );
                    self.error(Some(&host.place), &what, &hint);
                }
            }
            self.host(host);
        }
    }

    fn host(&mut self, host: &Host) {
        let name = host.names.join(" ");
        if host.address.is_none() {
            let what = format!("{name} has no address that can be read");
            self.error(Some(&host.place), &what, "say `address IP:PORT;`");
        }
        if host.volumes.is_empty() {
            let what = format!("{name} has no volume");
            self.error(Some(&host.place), &what, "say `device`, `disk` and `meta-disk`");
        }
        for (number, volume) in &host.volumes {
            let missing = [
                ("device", volume.device.is_none()),
                ("disk", volume.disk.is_none()),
                ("meta-disk", volume.meta_disk.is_none() && volume.disk.as_deref() != Some("none")),
            ];
            for (word, _) in missing.into_iter().filter(|(_, missing)| *missing) {
                let what = format!("{name} does not say `{word}` for volume {number}");
                self.error(Some(&host.place), &what, "each volume needs device, disk, meta-disk");
            }
        }
    }
}

/// What no two resources may have both on one host.
fn shared(configuration: &Configuration, findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<(String, String), &str> = BTreeMap::new();
    for resource in &configuration.resources {
        for host in &resource.hosts {
            let name = host.names.join(" ");
            let mut things: Vec<String> = host
                .volumes
                .values()
                .flat_map(|volume| {
                    let device = volume.device.as_ref().map(|device| format!("device {device}"));
                    let disk = volume.disk.as_ref().filter(|disk| *disk != "none");
                    device.into_iter().chain(disk.map(|disk| format!("disk {disk}")))
                })
                .collect();
            things.extend(host.address.map(|address| format!("address {address}")));
            for thing in things {
                let other = seen.insert((name.clone(), thing.clone()), &resource.name);
                if let Some(other) = other {
                    findings.push(Finding {
                        severity: Severity::Error,
                        resource: resource.name.clone(),
                        place: host.place.clone(),
                        what: format!("{thing} on {name} is taken by {other} already"),
                        hint: "each volume needs its own".to_owned(),
                    });
                }
            }
        }
    }
}
