//! A command in a few words, for the log: without the text of a configuration.

use crm_core::operator::Command;

pub(crate) fn describe(command: &Command) -> String {
    match command {
        Command::Apply { text, .. } => format!("apply a configuration of {} bytes", text.len()),
        other => {
            let text = format!("{other:?}");
            text.chars().take(200).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_configuration_stays_out_of_the_log() {
        let command = Command::Apply { text: "password: hunter2".to_owned(), base: None };
        assert!(!describe(&command).contains("hunter2"));
    }
}
