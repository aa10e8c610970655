//! `groups`: what runs together, in which order, and where it likes to be.

use super::Reader;
use super::resource::Names;
use super::section::Section;
use crate::tree::{Entry, Value, shorten};
use crm_core::id::{GroupId, NodeId, ServiceId, is_valid_name};
use crm_core::model::{Failback, Follow, Group, OnDiskError, RestartPolicy};
use crm_core::time::Span;

/// Restarts in place before a group moves, if the configuration does not say.
pub(crate) const RESTARTS: RestartPolicy = RestartPolicy { count: 3, window: Span::secs(600) };
/// A failure is forgotten after this long, if the configuration does not say.
pub(crate) const FAILURE_EXPIRY: Span = Span::secs(3600);

/// Keys of a group.
pub(crate) const KEYS: &[&str] = &[
    "prefer",
    "only_preferred",
    "failback",
    "on_disk_error",
    "resources",
    "runs_with",
    "avoids",
    "starts_after",
    "follow",
    "otherwise",
    "priority",
    "restarts",
    "restart_window",
    "failure_expiry",
    "unsafe_failover",
];

impl Reader<'_> {
    pub(super) fn groups(&mut self, top: &Section<'_>) -> Vec<Group> {
        let Some(entry) = top.entry("groups") else { return Vec::new() };
        let Some(section) = Section::open(&entry.value, "`groups`".to_owned(), self) else {
            return Vec::new();
        };
        section.entries.iter().filter_map(|entry| self.group(entry)).collect()
    }

    fn group(&mut self, entry: &Entry) -> Option<Group> {
        let path = format!("groups/{}", entry.key);
        self.places.note(path.as_str(), &entry.key_at);
        self.valid_name(&entry.key, &entry.key_at, "a group");
        let section =
            Section::open(&entry.value, format!("group `{}`", entry.key), self)?.allow(KEYS, self);
        for key in section.entries {
            self.places.note(format!("{path}/{}", key.key), &key.key_at);
        }
        let failback = section
            .entry("failback")
            .and_then(|entry| self.failback(entry))
            .unwrap_or(Failback::Manual);
        Some(Group {
            id: GroupId::new(&entry.key),
            prefer: self.listed(&section, &path, "prefer", NodeId::new),
            only_preferred: self.flag(&section, "only_preferred"),
            failback,
            on_disk_error: section
                .entry("on_disk_error")
                .and_then(|entry| {
                    self.choice(entry, &[("move", OnDiskError::Move), ("stay", OnDiskError::Stay)])
                })
                .unwrap_or(OnDiskError::Move),
            resources: self.resources(&section, &path),
            runs_with: self.listed(&section, &path, "runs_with", GroupId::new),
            avoids: self.listed(&section, &path, "avoids", GroupId::new),
            starts_after: self.listed(&section, &path, "starts_after", GroupId::new),
            follow: self.follow(&section),
            priority: section
                .entry("priority")
                .and_then(|entry| self.number(entry, "a whole number; higher is placed first"))
                .unwrap_or(0),
            restart: RestartPolicy {
                count: section
                    .entry("restarts")
                    .and_then(|entry| self.number(entry, "a number of restarts before it moves"))
                    .unwrap_or(RESTARTS.count),
                window: self.time(&section, "restart_window").unwrap_or(RESTARTS.window),
            },
            failure_expiry: self.time(&section, "failure_expiry").unwrap_or(FAILURE_EXPIRY),
            unsafe_failover: self.flag(&section, "unsafe_failover"),
        })
    }

    fn failback(&mut self, entry: &Entry) -> Option<Failback> {
        self.choice(entry, &[("manual", Failback::Manual), ("auto", Failback::Auto)])
    }

    fn flag(&mut self, section: &Section<'_>, key: &str) -> bool {
        section.entry(key).and_then(|entry| self.boolean(entry)).unwrap_or(false)
    }

    fn time(&mut self, section: &Section<'_>, key: &str) -> Option<Span> {
        section.entry(key).and_then(|entry| self.positive_duration(entry))
    }

    fn listed<T>(
        &mut self,
        section: &Section<'_>,
        path: &str,
        key: &str,
        name: impl Fn(&str) -> T,
    ) -> Vec<T> {
        let Some(entry) = section.entry(key) else { return Vec::new() };
        self.names(entry, &format!("{path}/{key}")).iter().map(|text| name(text)).collect()
    }

    fn resources(&mut self, section: &Section<'_>, path: &str) -> Vec<crm_core::model::Resource> {
        let example = "resources: [{vip: 192.0.2.7/24}]";
        let Some(entry) = section.required("resources", example, self) else { return Vec::new() };
        let Value::List(items) = &entry.value.value else {
            self.findings
                .error(entry.value.at.clone(), "`resources` must be a list")
                .label(format!("expected a list, found {}", entry.value.found()))
                .help(
                    "put `- ` before each resource: they start in this order and stop in reverse",
                );
            return Vec::new();
        };
        let mut taken = Names::default();
        let mut resources = Vec::new();
        for item in items {
            let path = format!("{path}/resources/{}", resources.len());
            resources.extend(self.resource(item, &path, &mut taken));
        }
        if items.is_empty() {
            self.wrong(&entry.value, "`resources`", "at least one resource");
        }
        resources
    }

    fn follow(&mut self, section: &Section<'_>) -> Option<Follow> {
        let otherwise = section.entry("otherwise");
        let Some(entry) = section.entry("follow") else {
            if let Some(entry) = otherwise {
                self.findings
                    .error(entry.key_at.clone(), "`otherwise` without `follow`")
                    .label("no role is followed")
                    .help("write `follow: SERVICE ROLE` besides, or remove this");
            }
            return None;
        };
        const EXPECTED: &str = "a service and a role, such as `pg primary`";
        let text = self.text(&entry.value, "`follow`", EXPECTED)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let [service, role] = words.as_slice() else {
            self.wrong(&entry.value, "`follow`", EXPECTED);
            return None;
        };
        let otherwise = otherwise.and_then(|entry| {
            let role = self.text(&entry.value, "`otherwise`", "a role, such as `primary`")?;
            self.role(role, entry)
        });
        Some(Follow { service: ServiceId::new(service), role: self.role(role, entry)?, otherwise })
    }

    fn role(&mut self, role: &str, entry: &Entry) -> Option<String> {
        if is_valid_name(role) {
            return Some(role.to_owned());
        }
        self.findings
            .error(entry.value.at.clone(), format!("`{}` cannot be a role", shorten(role)))
            .label("expected a word such as `primary` or `standby`");
        None
    }
}
