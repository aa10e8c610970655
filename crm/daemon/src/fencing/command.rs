//! `agent: command`: the administrator's own program. Exit 0 says that the target is proved off.

use super::device::{Program, Request};
use crm_core::model::FenceDevice;
use std::collections::BTreeMap;

/// The target stands in `CRM_FENCE_TARGET`, the order (`off`) in `CRM_FENCE_ACTION`; the other
/// parameters of the device in `CRM_FENCE_<NAME>`.
pub(super) async fn power_off(
    request: &mut Request<'_>,
    device: &FenceDevice,
) -> Result<(), String> {
    let Some(command) = device.params.get("command").filter(|text| !text.trim().is_empty()) else {
        return Err("the device has no `command`".to_owned());
    };
    let answer = request.run(shell(command, variables(request.target(), device, "off"))).await?;
    match answer.code {
        Some(0) => Ok(()),
        _ => Err(answer.words()),
    }
}

/// Runs `check`, the administrator's other program: exit 0 says that the target's power is on and
/// the device is ready, 2 that it is off.
pub(super) async fn check(request: &mut Request<'_>, device: &FenceDevice) -> Result<bool, String> {
    let Some(command) = device.params.get("check") else {
        return Err("the device has no `check`".to_owned());
    };
    let variables = variables(request.target(), device, "status");
    let answer = request.run(shell(command, variables)).await?;
    match answer.code {
        Some(0) => Ok(true),
        Some(2) => Ok(false),
        _ => Err(answer.words()),
    }
}

fn shell(command: &str, variables: BTreeMap<String, String>) -> Program {
    let arguments = vec!["-c".to_owned(), command.to_owned()];
    Program { file: "/bin/sh".into(), arguments, variables, input: None }
}

fn variables(target: &str, device: &FenceDevice, action: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let own = |name: &str| name == "command" || name == "check";
    for (name, value) in device.params.iter().filter(|(name, _)| !own(name)) {
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        if !value.contains('\0') {
            all.insert(format!("CRM_FENCE_{name}"), value.clone());
        }
    }
    all.insert("CRM_FENCE_TARGET".to_owned(), target.to_owned());
    all.insert("CRM_FENCE_ACTION".to_owned(), action.to_owned());
    all
}
