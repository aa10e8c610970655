//! Statements to the instance through `sqlplus`, as the user that it belongs to. They go through its
//! standard input; the operating system is the password.

use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Command;

use super::Instance;
use crate::child;
use crate::contract::Failure;
use crate::deadline::Deadline;
use crate::syscall;

impl Instance {
    pub(super) fn sqlplus(&self) -> Result<PathBuf, Failure> {
        let path = self.home.join("bin/sqlplus");
        match child::is_executable(&path) {
            true => Ok(path),
            false => Err(Failure::installed(format!(
                "expected the program {}, found none; is ORACLE_HOME right, and mounted?",
                path.display()
            ))),
        }
    }

    /// What the instance says of itself: `STARTED`, `MOUNTED`, `OPEN`, ...
    pub(super) fn probe(&self, deadline: Deadline) -> Result<String, String> {
        let question =
            "set heading off feedback off pagesize 0\nselect 'state='||status from v$instance;";
        let said = self.run(question, deadline).map_err(|failure| failure.reason)?;
        said.lines()
            .find_map(|line| line.trim().strip_prefix("state="))
            .map(str::to_owned)
            .ok_or_else(|| match child::one_line(&said) {
                words if words.is_empty() => "nothing".to_owned(),
                words => words,
            })
    }

    /// The control, data, temporary and redo files and the spfile, as lines that begin with `file=`; what it cannot tell is
    /// not among them.
    pub(super) fn ask_files(&self, deadline: Deadline) -> Result<String, Failure> {
        let names = ["v$controlfile", "v$datafile", "v$tempfile"];
        let mut question = "set heading off feedback off pagesize 0 linesize 1000\n".to_owned();
        for view in names {
            question.push_str(&format!("select 'file='||name from {view};\n"));
        }
        question.push_str("select 'file='||member from v$logfile;\n");
        question.push_str(
            "select 'file='||value from v$parameter where name='spfile' and value is not null;",
        );
        self.run(&question, deadline)
    }

    /// Has a statement carried out; what it said proves nothing.
    pub(super) fn ask(&self, statement: &str, deadline: Deadline) -> Result<String, Failure> {
        self.run(statement, deadline).map(|said| child::one_line(&said))
    }

    fn run(&self, statements: &str, deadline: Deadline) -> Result<String, Failure> {
        let program = self.sqlplus()?;
        let failed = |error: std::io::Error| {
            Failure::system(format!("cannot run {}", program.display()), &error)
        };
        let mut input = child::unnamed_file().map_err(failed)?;
        input
            .write_all(format!("{statements}\nexit\n").as_bytes())
            .and_then(|()| input.seek(SeekFrom::Start(0)).map(|_| ()))
            .map_err(failed)?;
        let mut command = Command::new(&program);
        // HB44: its environment, and nothing of ours.
        command
            .args(["-S", "-L", "/ as sysdba"])
            .env_clear()
            .env("PATH", format!("{}/bin:/usr/bin:/bin", self.home.display()))
            .env("LD_LIBRARY_PATH", self.home.join("lib"))
            .env("HOME", &self.user.home)
            .env("USER", &self.user.name)
            .env("LOGNAME", &self.user.name)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("ORACLE_HOME", &self.home)
            .env("ORACLE_SID", &self.sid)
            .current_dir("/");
        // What it starts outlives it, in a session of its own.
        syscall::set_apart(&mut command, Some(self.user.credentials.clone()));
        let (finished, output) =
            child::run_with_input(&mut command, input, deadline, MOST_OUTPUT).map_err(failed)?;
        if finished.timed_out {
            return Ok(format!("{output}\nsqlplus did not end in time"));
        }
        Ok(output)
    }
}

const MOST_OUTPUT: u64 = 64 * 1024;
