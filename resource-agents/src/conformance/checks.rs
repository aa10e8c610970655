//! The rules of the contract, one after the other.

use std::collections::BTreeMap;

use super::call::{Caller, Reply};
use super::{Check, Report, Verdict};
use crate::contract::Exit;
use crate::metadata::MetaData;

pub(super) fn run(caller: &Caller) -> Report {
    let mut bench = Bench { caller, checks: Vec::new() };
    let meta_data = bench.meta_data();
    if !bench.expect("an unknown action is refused", "no-such-action", &[Exit::Unimplemented]) {
        // An agent that cannot be run at all fails everything; once is enough.
        if bench.checks.iter().all(|check| matches!(check.verdict, Verdict::Failed(_))) {
            return Report { meta_data, checks: bench.checks };
        }
    }
    bench.missing_parameters(meta_data.as_ref());
    bench.validate(meta_data.as_ref());
    if bench.expect("stop brings it to rest", "stop", &[Exit::Ok]) {
        bench.expect("stop of what is stopped succeeds", "stop", &[Exit::Ok]);
        bench.expect("status of what is stopped is 7", "status", &[Exit::NotRunning]);
        if bench.expect("start succeeds", "start", &[Exit::Ok]) {
            bench.expect("status of what runs is 0", "status", &[Exit::Ok]);
            bench.expect("start of what runs succeeds", "start", &[Exit::Ok]);
            bench.expect("it still runs", "status", &[Exit::Ok]);
        }
        bench.expect("stop succeeds", "stop", &[Exit::Ok]);
        bench.expect("status afterwards is 7", "status", &[Exit::NotRunning]);
        bench.expect("a second stop succeeds", "stop", &[Exit::Ok]);
    }
    Report { meta_data, checks: bench.checks }
}

struct Bench<'a> {
    caller: &'a Caller<'a>,
    checks: Vec<Check>,
}

impl<'a> Bench<'a> {
    /// Calls with the parameters of the test and judges the exit code.
    fn expect(&mut self, name: &str, action: &'a str, allowed: &[Exit]) -> bool {
        self.expect_with(name, action, &self.caller.parameters().clone(), allowed)
    }

    fn expect_with(
        &mut self,
        name: &str,
        action: &'a str,
        parameters: &BTreeMap<String, String>,
        allowed: &[Exit],
    ) -> bool {
        let word = self.caller.word(action);
        let (verdict, took_ms) = match self.caller.call(word, parameters) {
            Err(error) => (Verdict::Failed(format!("`{word}` cannot be run: {error}")), 0),
            Ok(reply) => (judge(word, &reply, allowed), milliseconds(&reply)),
        };
        let passed = !matches!(verdict, Verdict::Failed(_));
        self.add(name, verdict, took_ms);
        passed
    }

    fn add(&mut self, name: &str, verdict: Verdict, took_ms: u64) {
        self.checks.push(Check { name: name.to_owned(), verdict, took_ms });
    }

    fn meta_data(&mut self) -> Option<MetaData> {
        let name = "meta-data can be read";
        match self.caller.call("meta-data", &BTreeMap::new()) {
            Err(error) => {
                self.add(name, Verdict::Failed(format!("cannot be run: {error}")), 0);
                None
            }
            Ok(reply) if !reply.finished.succeeded() => {
                let verdict = judge("meta-data", &reply, &[Exit::Ok]);
                self.add(name, verdict, milliseconds(&reply));
                None
            }
            Ok(reply) => match MetaData::parse(&reply.stdout) {
                Err(why) => {
                    self.add(name, Verdict::Failed(why), milliseconds(&reply));
                    None
                }
                Ok(meta) => {
                    self.add(name, Verdict::Passed, milliseconds(&reply));
                    let missing: Vec<&str> = ["start", "stop", "status", "meta-data"]
                        .into_iter()
                        .filter(|action| meta.action(action).is_none())
                        .collect();
                    let verdict = match missing.as_slice() {
                        [] => Verdict::Passed,
                        _ => Verdict::Failed(format!("missing: {}", missing.join(", "))),
                    };
                    self.add("meta-data lists the actions that every agent has", verdict, 0);
                    Some(meta)
                }
            },
        }
    }

    /// Without a required parameter, `start` must refuse as wrongly called or configured.
    fn missing_parameters(&mut self, meta: Option<&MetaData>) {
        let name = "start without a required parameter is refused";
        // One with a default is not missed by agents, whatever they call it.
        let required = meta.and_then(|meta| {
            meta.parameters.iter().find(|one| one.required && one.default.is_none())
        });
        match required {
            None => {
                self.add(name, Verdict::Skipped("it has no such parameter".to_owned()), 0);
            }
            Some(parameter) => {
                let mut parameters = self.caller.parameters().clone();
                parameters.remove(&parameter.name);
                let allowed = [Exit::Arguments, Exit::Configured];
                self.expect_with(name, "start", &parameters, &allowed);
            }
        }
    }

    fn validate(&mut self, meta: Option<&MetaData>) {
        let name = "the parameters of this test are valid";
        if meta.is_some_and(|meta| meta.action("validate").is_none()) {
            let why = "it has no such action".to_owned();
            return self.add(name, Verdict::Skipped(why), 0);
        }
        self.expect(name, "validate", &[Exit::Ok]);
    }
}

fn judge(word: &str, reply: &Reply, allowed: &[Exit]) -> Verdict {
    let finished = &reply.finished;
    if finished.timed_out {
        return Verdict::Failed(format!("`{word}` hung and was killed"));
    }
    if !reply.exit().is_some_and(|exit| allowed.contains(&exit)) {
        let codes: Vec<String> = allowed.iter().map(|exit| exit.code().to_string()).collect();
        return Verdict::Failed(format!(
            "`{word}`: expected exit code {}, found {}",
            codes.join(" or "),
            finished.summary()
        ));
    }
    match reply.bad_lines.first() {
        Some(line) => Verdict::Failed(format!("`{word}` wrote to descriptor 3: {line:?}")),
        None => Verdict::Passed,
    }
}

fn milliseconds(reply: &Reply) -> u64 {
    u64::try_from(reply.took.as_millis()).unwrap_or(u64::MAX)
}
