//! `tomcat`: one instance of Tomcat, by its base directory (`CATALINA_BASE`).

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::apache::alive;
use crate::child;
use crate::contract::{Action, Call, Failure, Outcome, Parameters};
use crate::filesystem::mounted_on;
use crate::http::{self, Page};
use crate::metadata::{Kind, MetaData, Parameter};
use crate::running::{Program, environment, output, start, stop, user};

pub(crate) fn meta_data() -> MetaData {
    let mut parameters = vec![
        Parameter::new("base", Kind::Path, "Its base directory, with conf/server.xml")
            .required()
            .unique(),
        Parameter::new("home", Kind::Path, "Where Tomcat is installed; else the distribution's"),
        Parameter::new("java_home", Kind::Path, "The Java to run it with; else what Tomcat finds"),
        Parameter::new("mount", Kind::Path, "The mount point on which the base directory must lie"),
        Parameter::new("user", Kind::String, "USER or USER:GROUP to run as").default("tomcat"),
        Parameter::new("environment", Kind::String, "NAME=VALUE words, quoted as in a shell"),
        Parameter::new(
            "environment_file",
            Kind::String,
            "A file of NAME=VALUE lines; a leading `-` means that it may be missing",
        ),
    ];
    parameters.extend(http::parameters("http://127.0.0.1:8080/"));
    parameters.push(
        Parameter::new("stop_timeout", Kind::Duration, "How long it may take to end")
            .default("30s"),
    );
    MetaData {
        name: "tomcat".to_owned(),
        short_description: "A Tomcat server".to_owned(),
        long_description: "Runs `catalina.sh run` and waits until it answers a request.".to_owned(),
        primary: Some("base".to_owned()),
        parameters,
        ..MetaData::usual()
    }
}

pub(crate) fn run(call: &Call) -> Outcome {
    let parameters = &call.parameters;
    match call.action {
        Action::MetaData => Ok(()),
        Action::Start => {
            let base = Path::new(parameters.required("base")?);
            if let Some(mount) = parameters.text("mount") {
                mounted_on(Path::new(mount), base)?;
            }
            if !base.join("conf/server.xml").is_file() {
                return Err(Failure::installed(format!(
                    "expected {}/conf/server.xml, found none; is its filesystem mounted before this?",
                    base.display()
                )));
            }
            start::start(call, &program(parameters, base)?, &Page::new(parameters)?)
        }
        Action::Status => {
            let page = Page::new(parameters)?;
            alive(call)?;
            output::keep_short(&call.context);
            page.ask(call.context.deadline)
                .map_err(|found| Failure::generic(format!("it runs and does not serve: {found}")))
        }
        Action::Stop => stop::stop(call, Signal::SIGTERM, parameters.duration("stop_timeout")),
        Action::Validate => {
            Page::new(parameters)?;
            user::User::find(parameters.required("user")?)?;
            script(parameters).map(|_| ())
        }
    }
}

fn program(parameters: &Parameters, base: &Path) -> Result<Program, Failure> {
    let (home, script) = script(parameters)?;
    let mut program = Program::new(vec![script.display().to_string(), "run".to_owned()]);
    program.user = Some(user::User::find(parameters.required("user")?)?);
    program.directory = base.to_owned();
    program.environment = environment::from_file(parameters.text("environment_file"))?;
    program.environment.extend(environment::from_words(parameters.text("environment"))?);
    let mut set = |name: &str, value: String| program.environment.push((name.to_owned(), value));
    set("CATALINA_BASE", base.display().to_string());
    set("CATALINA_HOME", home.display().to_string());
    if let Some(java) = parameters.text("java_home") {
        set("JAVA_HOME", java.to_owned());
    }
    Ok(program)
}

/// Where Tomcat is, and its script.
fn script(parameters: &Parameters) -> Result<(PathBuf, PathBuf), Failure> {
    let homes: Vec<PathBuf> = match parameters.text("home") {
        Some(home) => vec![PathBuf::from(home)],
        None => HOMES.iter().map(PathBuf::from).collect(),
    };
    homes
        .iter()
        .map(|home| (home.clone(), home.join("bin/catalina.sh")))
        .find(|(_, script)| child::is_executable(script))
        .ok_or_else(|| {
            let tried: Vec<String> =
                homes.iter().map(|home| format!("{}/bin/catalina.sh", home.display())).collect();
            Failure::installed(format!(
                "expected {}, found none; install Tomcat or set `home`",
                tried.join(" or ")
            ))
        })
}

const HOMES: [&str; 4] =
    ["/usr/share/tomcat10", "/usr/share/tomcat9", "/usr/share/tomcat", "/opt/tomcat"];
