//! `drbd`: the Primary role of one DRBD resource.
//!
//! Start promotes, stop demotes, status runs on every node that may take it and says whether this
//! one could. No promotion is ever forced: what DRBD refuses is told with its reason.

mod alone;
mod dead_peer;
mod direct;
mod files;
mod start;
mod status;
mod stop;
mod tools;
mod users;

use std::time::Duration;

use crm_drbd::{Picture, RecordWord};

pub use files::Files;

use crate::contract::{Action, Call, Failure, Outcome, Parameters};
use crate::deadline::Deadline;
use crate::metadata::{Kind, MetaData, Observe, Parameter};
use tools::{Tools, Trouble};

pub(crate) fn meta_data() -> MetaData {
    MetaData {
        name: "drbd".to_owned(),
        short_description: "The Primary role of a DRBD resource".to_owned(),
        long_description: "Start makes this node Primary, stop makes it Secondary. Status runs on \
            every node that may hold the group and tells whether its copy is the newest; only such a \
            node is chosen. Nothing is ever forced, but the end of the connection to a peer whose \
            death is proved: DRBD itself would wait for it."
            .to_owned(),
        primary: Some(RESOURCE.to_owned()),
        parameters: vec![
            Parameter::new(RESOURCE, Kind::String, "The name of the resource in drbd.conf")
                .required()
                .unique(),
            Parameter::new(
                "up",
                Kind::String,
                "`boot`: bring the resource up once after each boot, if nobody else has; `never`: \
                 leave that to init",
            )
            .values(&["boot", "never"])
            .default("boot"),
        ],
        observe: Observe::Everywhere,
        ..MetaData::usual()
    }
}

pub(crate) fn run(call: &Call) -> Outcome {
    if call.action == Action::MetaData {
        return Ok(());
    }
    let name = name(&call.parameters)?;
    let tools = Tools::new(call.context.deadline);
    match call.action {
        Action::MetaData => Ok(()),
        Action::Start => start::start(call, &tools, name),
        Action::Status => status::status(call, &tools, name),
        Action::Stop => stop::stop(call, &tools, name),
        Action::Validate => tools.validate(name),
    }
}

/// What the cluster's record says of this node's copy.
fn word(call: &Call) -> RecordWord {
    if call.context.freshest { RecordWord::Freshest } else { RecordWord::Silent }
}

/// HB13: exactly one resource, and by its name.
fn name(parameters: &Parameters) -> Result<&str, Failure> {
    let name = parameters.required(RESOURCE)?;
    if name == "all" {
        return Err(Failure::configured(
            "`drbd_resource` must name one resource, found `all`: a group promotes its own only",
        ));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:+".contains(c);
    if name.starts_with('-') || !name.chars().all(fits) {
        return Err(Failure::configured(format!(
            "`drbd_resource` must be the name of a resource in drbd.conf, without volume, found {name:?}"
        )));
    }
    Ok(name)
}

/// What DRBD on this machine says of all its resources; none if the module is not loaded.
///
/// # Errors
/// DRBD's tools are not installed, failed, or did not answer in time.
pub fn picture(timeout: Duration) -> Result<Picture, String> {
    match Tools::new(Deadline::after(timeout)).picture() {
        Ok(picture) => Ok(picture),
        Err(Trouble::NotLoaded) => Ok(Picture::new()),
        Err(Trouble::Failed(failure)) => Err(failure.reason),
    }
}

/// What `drbdadm` answers to one call, such as `["get-gi", "r0/0"]`. For an operator's commands: the
/// agent itself calls it with a verb and a name and nothing else.
///
/// # Errors
/// It is not installed, failed, or did not answer in time.
pub fn ask(arguments: &[&str], timeout: Duration) -> Result<String, String> {
    Tools::new(Deadline::after(timeout)).ask(arguments).map_err(|failure| failure.reason)
}

/// `resource` alone is the contract's word for the resource of the group.
const RESOURCE: &str = "drbd_resource";
