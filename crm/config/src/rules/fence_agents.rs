//! Whether the fence agents are there, take the parameters they are given, and can prove a node off: by what they
//! say of themselves (`metadata`), as far as this machine can tell. Nothing here is an error: meta-data are often
//! wrong, and `crm fence-drill` asks the device itself.

use super::Rulebook;
use crate::agents::{AgentCatalog, FenceAgent, FenceParameter};
use crate::nearest::nearest;
use crate::tree::shorten;
use crm_core::model::{FenceDevice, Fencing};
use std::collections::BTreeMap;

/// What `crmd` adds to what is written: the order, and the target.
const GIVEN: [&str; 2] = ["action", "nodename"];
/// What the file named by `password_file` becomes.
const SECRET: [&str; 2] = ["passwd", "password"];
/// What `crmd` tells an agent: without `status`, nothing proves that the power is off (AS3).
const ORDERS: [&str; 2] = ["off", "status"];

impl Rulebook<'_> {
    pub(super) fn fence_agents(&mut self, catalog: &dyn AgentCatalog) {
        let cluster = self.cluster;
        let Fencing::Devices { devices, .. } = &cluster.fencing else { return };
        // Each is asked once: it is a program that takes its time.
        let mut told: BTreeMap<&str, FenceAgent> = BTreeMap::new();
        for (node, levels) in devices {
            for (level, device) in levels.iter().enumerate() {
                self.check_of_a_command(&format!("fencing/{node}/{level}"), device);
            }
            let foreign = |(_, device): &(usize, &FenceDevice)| device.agent.starts_with("fence_");
            for (level, device) in levels.iter().enumerate().filter(foreign) {
                let path = format!("fencing/{node}/{level}");
                let new = !told.contains_key(device.agent.as_str());
                let agent =
                    told.entry(&device.agent).or_insert_with(|| catalog.fence_agent(&device.agent));
                match agent {
                    FenceAgent::Untold => {}
                    // Once for all nodes.
                    FenceAgent::Absent if !new => {}
                    FenceAgent::Absent => {
                        self.device_warning(
                            &path,
                            format!("`{}` is not installed on this machine", device.agent),
                            "not found here",
                            "a node without it fences nobody with this device; Debian has it in `fence-agents`"
                                .to_owned(),
                        );
                    }
                    FenceAgent::Told { parameters, actions } => {
                        self.orders(&path, device, actions);
                        self.parameters(&path, device, parameters);
                    }
                }
            }
        }
    }

    fn device_warning(&mut self, path: &str, message: String, label: &str, help: String) {
        let at = self.places.find(path);
        self.findings.warning(at, message).label(label).help(help);
    }

    /// All its parameters are its own, so a slip in the one that `crmd` reads would pass in silence.
    fn check_of_a_command(&mut self, path: &str, device: &FenceDevice) {
        if device.agent != "command" || device.params.contains_key("check") {
            return;
        }
        if let Some(name) = device.params.keys().find(|name| nearest(name, ["check"]).is_some()) {
            self.device_warning(
                &format!("{path}/{name}"),
                format!("`{}` is only passed on to the command", shorten(name)),
                "did you mean `check`?",
                "without `check` the device is never asked whether it answers, and `crm fence-drill` refuses it"
                    .to_owned(),
            );
        }
    }

    fn orders(&mut self, path: &str, device: &FenceDevice, actions: &[String]) {
        for order in ORDERS.iter().filter(|order| !actions.iter().any(|known| known == *order)) {
            self.device_warning(
                path,
                format!("`{}` does not know `{order}`", device.agent),
                "it would prove nothing",
                format!(
                    "a node counts as dead when a device was told `off` and says by `status` that it is; it knows {}",
                    actions.join(", ")
                ),
            );
        }
    }

    fn parameters(&mut self, path: &str, device: &FenceDevice, known: &[FenceParameter]) {
        let agent = &device.agent;
        let given = |name: &str| {
            device.params.contains_key(name)
                || GIVEN.contains(&name)
                || (SECRET.contains(&name) && device.params.contains_key("password_file"))
        };
        for (name, value) in device.params.iter().filter(|(name, _)| *name != "password_file") {
            let names = known.iter().map(|parameter| parameter.name.as_str());
            let Some(parameter) = known.iter().find(|parameter| parameter.name == *name) else {
                let help = match nearest(name, names) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("`crm agents info {agent}` lists what it takes"),
                };
                let message = format!("`{agent}` has no parameter `{}`", shorten(name));
                self.device_warning(&format!("{path}/{name}"), message, "unknown parameter", help);
                continue;
            };
            if !parameter.values.is_empty() && !parameter.values.contains(value) {
                let message = format!("`{name}` of `{agent}` cannot be `{}`", shorten(value));
                let help = format!("it takes {}", parameter.values.join(", "));
                self.device_warning(
                    &format!("{path}/{name}"),
                    message,
                    "this value is not known",
                    help,
                );
            }
        }
        for parameter in known.iter().filter(|parameter| parameter.required) {
            let older = parameter.replaces.as_deref().is_some_and(given);
            if !given(&parameter.name) && !older {
                let name = &parameter.name;
                let help = format!("`crm agents info {agent}` tells what `{name}` is");
                let message = format!("`{agent}` needs `{name}`");
                self.device_warning(path, message, "missing here", help);
            }
        }
    }
}
