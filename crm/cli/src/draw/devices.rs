//! Fencing devices, as the node that was asked can use them.

use super::table::table;
use crate::output::{Output, Tone};
use crm_api::DeviceCheck;

/// Nothing where there are no devices.
pub(crate) fn draw(checks: &[DeviceCheck], output: &Output) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = checks.iter().map(row).collect();
    table(&["FENCES", "BY", "PROVED", "POWER"], &rows, |row, column, cell| {
        let bad = checks.get(row).is_some_and(|check| check.problem.is_some());
        let unsure = checks.get(row).is_some_and(|check| check.proved_secs.is_none());
        match (column, bad, unsure) {
            (2, true, _) => output.tone(Tone::Bad, cell),
            (2, _, true) => output.tone(Tone::Warn, cell),
            _ => cell.to_owned(),
        }
    })
}

fn row(check: &DeviceCheck) -> Vec<String> {
    let proved = match (&check.problem, check.proved_secs) {
        (Some(problem), Some(secs)) => format!("NOT since {}: {problem}", ago(secs)),
        (Some(problem), None) => format!("NEVER: {problem}"),
        (None, Some(secs)) => ago(secs),
        (None, None) if !check.checkable => "cannot be asked (no `check`)".to_owned(),
        (None, None) => "not yet asked".to_owned(),
    };
    let power = match check.on {
        Some(true) => "on",
        Some(false) => "off",
        None => "",
    };
    let by = format!("{} {}", check.level, check.agent);
    vec![check.node.to_string(), by, proved, power.to_owned()]
}

/// Rounded to what a person wants to know.
fn ago(secs: u64) -> String {
    match secs {
        0..=119 => format!("{secs} s ago"),
        120..=7199 => format!("{} min ago", secs / 60),
        _ => format!("{} h ago", secs / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::id::NodeId;

    fn check() -> DeviceCheck {
        DeviceCheck {
            node: NodeId::new("beta"),
            level: 1,
            agent: "fence_redfish".to_owned(),
            checkable: true,
            looked_secs: Some(3),
            proved_secs: Some(200),
            on: Some(true),
            problem: None,
        }
    }

    #[test]
    fn the_age_of_the_last_proof_stands_there_and_a_problem_before_it() {
        assert_eq!(row(&check())[2..], ["3 min ago", "on"]);
        let lost = DeviceCheck { problem: Some("no route".to_owned()), ..check() };
        assert_eq!(row(&lost)[2], "NOT since 3 min ago: no route");
        let never = DeviceCheck { proved_secs: None, ..lost };
        assert_eq!(row(&never)[2], "NEVER: no route");
        let blind = DeviceCheck { checkable: false, proved_secs: None, on: None, ..check() };
        assert_eq!(row(&blind)[2], "cannot be asked (no `check`)");
    }
}
