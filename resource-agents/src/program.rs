//! The multi-call program: which agent, which action, and how failures are told.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use crate::channel::Channel;
use crate::contract::{Action, Call, Context, Exit, Failure, Outcome, Parameters};
use crate::metadata::MetaData;
use crate::{
    apache, drbd, filesystem, mysql, nfs, oracle, process, samba, syscall, systemd, tomcat, vip,
};

/// The names of the built-in agents. The one for the class `systemd:` is not among them: it is no
/// name for `cluster.yaml`.
pub const BUILTIN: &[&str] = &[
    "apache",
    "drbd",
    "filesystem",
    "mysql",
    "nfs",
    "oracle",
    "process",
    "samba",
    "tomcat",
    "vip",
];

/// Is there a built-in agent of this name?
pub fn is_builtin(name: &str) -> bool {
    BUILTIN.contains(&name)
}

/// What a built-in agent says about itself.
pub fn meta_data(name: &str) -> Option<MetaData> {
    match name {
        "apache" => Some(apache::meta_data()),
        "drbd" => Some(drbd::meta_data()),
        "filesystem" => Some(filesystem::meta_data()),
        "mysql" => Some(mysql::meta_data()),
        "nfs" => Some(nfs::meta_data()),
        "oracle" => Some(oracle::meta_data()),
        "process" => Some(process::meta_data()),
        "samba" => Some(samba::meta_data()),
        systemd::NAME => Some(systemd::meta_data()),
        "tomcat" => Some(tomcat::meta_data()),
        "vip" => Some(vip::meta_data()),
        _ => None,
    }
}

fn run(name: &str, call: &Call) -> Outcome {
    match name {
        "apache" => apache::run(call),
        "drbd" => drbd::run(call),
        "filesystem" => filesystem::run(call),
        "mysql" => mysql::run(call),
        "nfs" => nfs::run(call),
        "oracle" => oracle::run(call),
        "process" => process::run(call),
        "samba" => samba::run(call),
        systemd::NAME => systemd::run(call),
        "tomcat" => tomcat::run(call),
        "vip" => vip::run(call),
        _ => Err(Failure::new(Exit::Arguments, format!("there is no agent `{name}`"))),
    }
}

/// The whole program. Call it first thing in `main`, with all arguments, while the process has
/// one thread: descriptor 3 is taken over, and children are forked.
///
/// Returns the exit code.
pub fn main_from_args(args: Vec<OsString>) -> i32 {
    let channel = Channel::new(syscall::inherited_channel());
    let args: Vec<String> =
        args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match answer(&args, channel) {
        Ok(()) => Exit::Ok.code(),
        Err((failure, channel)) => {
            channel.reason(&failure.reason);
            let _ = writeln!(std::io::stderr(), "{}", failure.reason);
            failure.exit.code()
        }
    }
}

fn answer(args: &[String], channel: Channel) -> Result<(), (Failure, Channel)> {
    match prepare(args) {
        Err(failure) => Err((failure, channel)),
        Ok(Prepared::Print(text)) => {
            // A reader that closed its end has read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(())
        }
        Ok(Prepared::Run { name, action, parameters, context }) => {
            let call = Call { action, parameters, context, channel };
            run(&name, &call).map_err(|failure| (failure, call.channel))
        }
    }
}

enum Prepared {
    Print(String),
    Run { name: String, action: Action, parameters: Parameters, context: Context },
}

fn prepare(args: &[String]) -> Result<Prepared, Failure> {
    let (name, rest) = split(args)?;
    let meta = meta_data(&name).ok_or_else(|| {
        Failure::new(
            Exit::Arguments,
            format!("there is no agent `{name}`; there are {}", BUILTIN.join(", ")),
        )
    })?;
    let (word, options) = rest.split_first().ok_or_else(|| {
        Failure::new(Exit::Arguments, format!("usage: crm-agent {name} ({ACTIONS})"))
    })?;
    let action = Action::parse(word).ok_or_else(|| {
        Failure::new(
            Exit::Unimplemented,
            format!("`{name}` has no action `{word}`; it has {ACTIONS}"),
        )
    })?;
    if action == Action::MetaData {
        return match options {
            [] => Ok(Prepared::Print(meta.to_json() + "\n")),
            [option] if option == "--xml" => Ok(Prepared::Print(meta.to_xml())),
            _ => Err(Failure::new(Exit::Arguments, "`meta-data` takes nothing but `--xml`")),
        };
    }
    if let Some(option) = options.first() {
        return Err(Failure::new(
            Exit::Arguments,
            format!("`{word}` takes no arguments, found {option:?}; parameters are CRM_ variables"),
        ));
    }
    let variable = |name: &str| std::env::var_os(name)?.into_string().ok();
    let given = Parameters::read(&meta, variable);
    let context = Context::read(&name, variable, &given)?;
    let parameters = Parameters::checked(&meta, given)?;
    Ok(Prepared::Run { name, action, parameters, context })
}

/// The agent's name and what follows it: the program's own name may be the agent's.
fn split(args: &[String]) -> Result<(String, &[String]), Failure> {
    let own = args
        .first()
        .and_then(|path| Path::new(path).file_name())
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let rest = args.get(1..).unwrap_or_default();
    if is_builtin(own) {
        return Ok((own.to_owned(), rest));
    }
    match rest.split_first() {
        Some((name, rest)) => Ok((name.clone(), rest)),
        None => Err(Failure::new(
            Exit::Arguments,
            format!("usage: crm-agent ({}) ({ACTIONS})", BUILTIN.join("|")),
        )),
    }
}

const ACTIONS: &str = "start|stop|status|validate|meta-data";

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_name_comes_from_the_link_or_from_the_first_argument() {
        for words in [&["/usr/lib/crm/vip", "start"][..], &["crm-agent", "vip", "start"]] {
            let words = args(words);
            let (name, rest) = split(&words).expect("split");
            assert_eq!((name.as_str(), rest), ("vip", &args(&["start"])[..]));
        }
    }

    #[test]
    fn every_wrong_call_has_its_code() {
        for (words, exit) in [
            (&["crm-agent"][..], Exit::Arguments),
            (&[], Exit::Arguments),
            (&["crm-agent", "vip"], Exit::Arguments),
            (&["crm-agent", "nothing", "start"], Exit::Arguments),
            (&["crm-agent", "vip", "dance"], Exit::Unimplemented),
            (&["crm-agent", "vip", "start", "now"], Exit::Arguments),
            (&["crm-agent", "vip", "meta-data", "--yaml"], Exit::Arguments),
            (&["crm-agent", "vip", "start"], Exit::Configured),
        ] {
            let failure = prepare(&args(words)).err().expect("refused");
            assert_eq!(failure.exit, exit, "{words:?}: {failure}");
        }
    }

    #[test]
    fn each_builtin_name_has_meta_data() {
        for name in BUILTIN {
            assert_eq!(meta_data(name).map(|meta| meta.name).as_deref(), Some(*name));
        }
        assert!(meta_data("nothing").is_none());
        assert!(!is_builtin("nothing"));
    }
}
