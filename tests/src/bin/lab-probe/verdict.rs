//! What must never be seen: a service on two nodes (I1), an address where its role is not (I7).

use crate::look::{self, Holding, Node, Part};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::{SystemTime, UNIX_EPOCH};

/// What only one node may hold.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    /// The service's role is where this is mounted.
    pub(crate) mount: Option<String>,
    /// Address and port by which its server is known among the processes.
    pub(crate) server: Option<String>,
    /// A service whose role this address follows, instead of the own one.
    pub(crate) follows: Option<String>,
}

type Held = BTreeMap<String, Holding>;

/// Changes told with a violation.
const REMEMBERED: usize = 60;

#[derive(Default)]
pub(crate) struct Verdict {
    last: Held,
    changes: u64,
    suspicions: u64,
    story: VecDeque<String>,
}

impl Verdict {
    pub(crate) fn take_changes(&mut self) -> u64 {
        std::mem::take(&mut self.changes)
    }

    /// Looks that had to be repeated.
    pub(crate) fn take_suspicions(&mut self) -> u64 {
        std::mem::take(&mut self.suspicions)
    }

    /// Looks once, and again if what it sees is forbidden. No look is at one instant: only what is seen twice, with the
    /// other's holding in between, was there at the same time for sure.
    pub(crate) fn look(&mut self, nodes: &[Node], services: &[Service]) -> Vec<Value> {
        let first = look::all(nodes, services);
        self.remember(&first);
        let suspected = forbidden(&first, services);
        if suspected.is_empty() {
            return Vec::new();
        }
        self.suspicions += 1;
        let second = look::all(nodes, services);
        self.remember(&second);
        let seen = forbidden(&second, services);
        let sure = suspected.into_iter().filter(|suspect| seen.contains(suspect));
        sure.map(|(rule, service, on)| {
            json!({"violation": rule, "service": service, "on": on, "held": second, "at": now(),
                "story": self.story})
        })
        .collect()
    }

    fn remember(&mut self, held: &Held) {
        let none = Holding::default();
        let names: BTreeSet<&String> = held.keys().chain(self.last.keys()).collect();
        for name in names {
            let (before, after) =
                (self.last.get(name).unwrap_or(&none), held.get(name).unwrap_or(&none));
            let (before, after) = (&before.parts, &after.parts);
            for (sign, gone) in [("-", before.difference(after)), ("+", after.difference(before))] {
                for (service, part) in gone {
                    self.changes += 1;
                    self.story.push_back(format!("{:.3} {name} {sign} {service} {part:?}", now()));
                    eprintln!("{:.3} {name} {sign} {service} {part:?}", now());
                }
            }
        }
        while self.story.len() > REMEMBERED {
            self.story.pop_front();
        }
        self.last.clone_from(held);
    }
}

type Suspicion = (&'static str, String, Vec<String>);

fn forbidden(held: &Held, services: &[Service]) -> BTreeSet<Suspicion> {
    let mut found = BTreeSet::new();
    for service in services {
        // Any part of it counts: a mount here and an address there are two holders too.
        let holders: Vec<String> = held
            .iter()
            .filter(|(_, held)| held.parts.iter().any(|(name, _)| *name == service.name))
            .map(|(node, _)| node.clone())
            .collect();
        if holders.len() > 1 {
            found.insert(("I1", service.name.clone(), holders));
        }
        if service.mount.is_none() && service.follows.is_none() {
            continue;
        }
        // A base that is restarted in place is nowhere for a moment, and what follows it stays (`starts_after` is
        // about starting): such an address is wrong only where the role is held elsewhere. An own one always is.
        let elsewhere = |node: &str, role: &(String, Part)| {
            held.iter().any(|(other, held)| other != node && held.parts.contains(role))
        };
        let role = (service.follows.as_ref().unwrap_or(&service.name).clone(), Part::Mount);
        for (node, Holding { parts, ending }) in held {
            let address = !ending && parts.contains(&(service.name.clone(), Part::Address));
            let wrong = service.follows.is_none() || elsewhere(node, &role);
            if address && !parts.contains(&role) && wrong {
                found.insert(("I7", service.name.clone(), vec![node.clone()]));
            }
        }
    }
    found
}

/// Seconds since 1970, to compare with the daemons' logs.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, follows: Option<&str>) -> Service {
        Service {
            name: name.to_owned(),
            address: Ipv4Addr::LOCALHOST,
            mount: None,
            server: None,
            follows: follows.map(ToOwned::to_owned),
        }
    }

    fn held(all: &[(&str, &[(&str, Part)])]) -> Held {
        let of = |parts: &[(&str, Part)]| {
            let parts = parts.iter().map(|(name, part)| ((*name).to_owned(), *part)).collect();
            Holding { parts, ending: false }
        };
        all.iter().map(|(node, parts)| ((*node).to_owned(), of(parts))).collect()
    }

    #[test]
    fn i1_any_part_on_a_second_node_is_forbidden_and_one_holder_is_not() {
        let services = [service("web", None)];
        let whole: &[_] = &[("web", Part::Address), ("web", Part::Mount), ("web", Part::Process)];
        assert_eq!(
            forbidden(&held(&[("alpha", whole), ("beta", &[])]), &services),
            BTreeSet::new()
        );
        for part in [Part::Mount, Part::Process] {
            let two = held(&[("alpha", whole), ("beta", &[("web", part)])]);
            let on = vec!["alpha".to_owned(), "beta".to_owned()];
            assert_eq!(forbidden(&two, &services), BTreeSet::from([("I1", "web".to_owned(), on)]));
        }
    }

    #[test]
    fn i7_an_address_without_its_role_is_forbidden_also_where_it_follows_another() {
        let services = [service("web", None), service("front", Some("web"))];
        let well = held(&[("alpha", &[("web", Part::Mount), ("front", Part::Address)])]);
        assert_eq!(forbidden(&well, &services), BTreeSet::new());
        let apart =
            held(&[("alpha", &[("web", Part::Mount)]), ("beta", &[("front", Part::Address)])]);
        let on = vec!["beta".to_owned()];
        assert_eq!(forbidden(&apart, &services), BTreeSet::from([("I7", "front".to_owned(), on)]));
        let restarting = held(&[("alpha", &[("front", Part::Address)]), ("beta", &[])]);
        assert_eq!(forbidden(&restarting, &services), BTreeSet::new());
        let mut own = service("web", None);
        own.mount = Some("/srv/web".to_owned());
        let bare = held(&[("alpha", &[("web", Part::Address)])]);
        let on = vec!["alpha".to_owned()];
        assert_eq!(forbidden(&bare, &[own]), BTreeSet::from([("I7", "web".to_owned(), on)]));
    }
}
