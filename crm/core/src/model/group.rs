//! A group: resources in order, on one node at a time.

use super::Resource;
use crate::id::{GroupId, NodeId, ServiceId};
use crate::same::hash_by;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// An ordered list of resources that run on exactly one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    /// Nodes in order of preference. Nodes not named may still run it, after these, in file
    /// order, unless `only_preferred`.
    pub prefer: Vec<NodeId>,
    /// Never run it on a node that `prefer` does not name.
    pub only_preferred: bool,
    pub failback: Failback,
    pub on_disk_error: OnDiskError,
    /// Started in this order, stopped in reverse (I2).
    pub resources: Vec<Resource>,
    /// Must be on the same node as these groups, and down while one of them is stopped.
    pub runs_with: Vec<GroupId>,
    /// Must not be on the same node as these groups, while another node can be had.
    pub avoids: Vec<GroupId>,
    /// Starts only when these groups run (anywhere); where several stop, it stops before them.
    pub starts_after: Vec<GroupId>,
    /// Must be where a service holds a role.
    pub follow: Option<Follow>,
    /// Higher is placed first.
    pub priority: i32,
    pub restart: RestartPolicy,
    /// A failure is forgotten after this long.
    pub failure_expiry: Span,
    /// The admin accepts in so many words that silence alone may move data.
    pub unsafe_failover: bool,
}

/// Whether a group goes back to a node it likes better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failback {
    Manual,
    Auto,
}

/// What a group does that runs where the data are no longer good, while another node has them (HB27).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDiskError {
    /// It goes to a node that says that it is eligible.
    Move,
    /// What runs is served, through the peer if need be, until somebody moves it.
    Stay,
}

/// How often a resource is restarted where it is before the group moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RestartPolicy {
    pub count: u32,
    pub window: Span,
}

/// `follow: pg standby`, `otherwise: primary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    pub service: ServiceId,
    pub role: String,
    /// Role to follow while nobody holds `role`.
    pub otherwise: Option<String>,
}

impl Group {
    /// Whether every resource is stateless: only then silence may move it without a proof (H36).
    #[must_use]
    pub fn is_stateless(&self) -> bool {
        self.resources.iter().all(|resource| resource.stateless)
    }
    /// Whether silence alone may move it in a cluster with `fencing: none`.
    #[must_use]
    pub fn moves_on_silence(&self) -> bool {
        self.is_stateless() || self.unsafe_failover
    }
    /// The same of a group whose owner may still run `left`, of earlier definitions: what was no such group is none by a word
    /// that came after it.
    #[must_use]
    pub fn moves_on_silence_with(&self, left: Option<&Group>) -> bool {
        self.moves_on_silence() && left.is_none_or(Group::moves_on_silence)
    }

    /// This group with all that it has under either definition, in an order that suits both as far as there is one:
    /// what only `next` has comes before the resource that it comes before there.
    #[must_use]
    pub fn followed_by(&self, next: &Group) -> Group {
        let has =
            |list: &[Resource], wanted: &Resource| list.iter().any(|r| r.is_same_thing(wanted));
        let mut resources: Vec<Resource> = Vec::new();
        let mut waiting = next.resources.as_slice();
        for old in &self.resources {
            if let Some(place) = waiting.iter().position(|new| new.is_same_thing(old)) {
                let new = waiting[..place].iter().filter(|new| !has(&self.resources, new));
                resources.extend(new.cloned());
                resources.push(waiting[place].clone());
                waiting = &waiting[place + 1..];
            } else {
                resources.push(old.clone());
            }
        }
        resources.extend(waiting.iter().filter(|new| !has(&self.resources, new)).cloned());
        // What its owner was given without that word is not moved by it.
        let unsafe_failover = self.unsafe_failover && next.unsafe_failover;
        Group { resources, unsafe_failover, ..next.clone() }
    }

    /// Whether one of its resources would lay hands on the same thing as this one.
    #[must_use]
    pub fn has_by_any_name(&self, resource: &Resource) -> bool {
        self.resources.iter().any(|own| own.clashes_with(resource))
    }
}

hash_by!(Group: id);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AgentClass, AgentRef, OnFail, Timeouts};

    /// A resource a letter; a digit is what it acts on.
    fn group(words: &str) -> Group {
        let resource = |word: &str| Resource {
            id: word[..1].into(),
            agent: AgentRef { class: AgentClass::Own, name: "vip".into() },
            params: [("address".to_owned(), word.to_owned())].into(),
            args: vec![],
            timeouts: Timeouts::default(),
            interval: Span::secs(10),
            on_fail: OnFail::Restart,
            stateless: false,
            observe_everywhere: false,
        };
        Group {
            id: "g".into(),
            prefer: vec![],
            only_preferred: false,
            failback: Failback::Manual,
            on_disk_error: OnDiskError::Move,
            resources: words.split_whitespace().map(resource).collect(),
            runs_with: vec![],
            avoids: vec![],
            starts_after: vec![],
            follow: None,
            priority: 0,
            restart: RestartPolicy { count: 3, window: Span::secs(600) },
            failure_expiry: Span::secs(3600),
            unsafe_failover: false,
        }
    }

    #[test]
    fn two_definitions_become_one_in_an_order_that_suits_both() {
        for (old, new, both) in [
            ("a b", "a b", "a b"),
            ("a b", "a", "a b"),
            ("a", "a b", "a b"),
            ("d a1 m", "d a2 m", "d a1 a2 m"),
            ("a b", "c d", "a b c d"),
            ("a b", "b a", "a b"),
            ("a b c", "c x a", "x a b c"),
            ("", "a", "a"),
            ("a", "", "a"),
        ] {
            assert_eq!(group(old).followed_by(&group(new)).resources, group(both).resources);
        }
    }
}
