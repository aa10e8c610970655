//! Sections and statements to resources. Old grammar is taken over: `syncer`, `protocol` outside of
//! `net`, volumes that are not called so.

use std::collections::BTreeMap;

use super::model::{Address, Configuration, Host, Resource, Setting, Settings, Volume};
use super::tree::{Item, Place, Section, Source, Statement, SyntaxError, parse};
use crate::clip;

/// Reads a file and all that it includes.
///
/// # Errors
/// Where the text stops making sense, a resource has no name, or two have the same.
pub fn read(file: &str, text: &str, source: &mut dyn Source) -> Result<Configuration, SyntaxError> {
    let items = parse(file, text, source)?;
    let mut configuration = Configuration::default();
    let mut common = Settings::default();
    for section in sections(&items).filter(|section| section.keyword == "common") {
        let mut ignored = Vec::new();
        settings(&section.items, &mut common, &mut ignored);
    }
    for item in &items {
        match item {
            Item::Section(section) => match section.keyword.as_str() {
                "common" | "global" => {}
                "resource" => {
                    let resource = resource(section, &common, &mut configuration.unknown)?;
                    let twin = configuration.resources.iter().find(|one| one.name == resource.name);
                    if let Some(twin) = twin {
                        let what =
                            format!("{} is defined at {} already", resource.name, twin.place);
                        return Err(SyntaxError { place: resource.place, what });
                    }
                    configuration.resources.push(resource);
                }
                other => note(&mut configuration.unknown, other, &section.place),
            },
            Item::Statement(statement) => {
                note(&mut configuration.unknown, &statement.keyword, &statement.place);
            }
        }
    }
    Ok(configuration)
}

fn sections(items: &[Item]) -> impl Iterator<Item = &Section> {
    items.iter().filter_map(|item| match item {
        Item::Section(section) => Some(section),
        Item::Statement(_) => None,
    })
}

fn note(unknown: &mut Vec<(String, Place)>, what: &str, place: &Place) {
    if unknown.len() < MOST_UNKNOWN {
        unknown.push((clip(what), place.clone()));
    }
}

fn resource(
    section: &Section,
    common: &Settings,
    unknown: &mut Vec<(String, Place)>,
) -> Result<Resource, SyntaxError> {
    let [name] = section.names.as_slice() else {
        let what = "expected one name after `resource`".to_owned();
        return Err(SyntaxError { place: section.place.clone(), what });
    };
    let mut resource = Resource {
        name: name.clone(),
        place: section.place.clone(),
        settings: Settings::default(),
        hosts: Vec::new(),
    };
    settings(&section.items, &mut resource.settings, unknown);
    resource.settings.inherit(common);
    // What stands outside of the hosts holds for all of them.
    let mut shared = BTreeMap::new();
    volumes(&section.items, &mut shared);
    let mut addresses = BTreeMap::new();
    for section in sections(&section.items) {
        match section.keyword.as_str() {
            "on" | "floating" => resource.hosts.push(host(section, &shared)),
            "connection" => host_addresses(section, &mut addresses),
            _ => {}
        }
    }
    for host in resource.hosts.iter_mut().filter(|host| host.address.is_none()) {
        host.address = host.names.iter().find_map(|name| addresses.get(name)).copied();
    }
    Ok(resource)
}

/// `connection { host alpha address 10.0.0.1:7788; ... }` of 9.
fn host_addresses(section: &Section, addresses: &mut BTreeMap<String, Address>) {
    for item in &section.items {
        if let Item::Statement(Statement { keyword, values, .. }) = item
            && keyword == "host"
            && let [name, word, address @ ..] = values.as_slice()
            && word == "address"
            && let Some(address) = Address::read(address)
        {
            addresses.insert(name.clone(), address);
        }
    }
}

fn host(section: &Section, shared: &BTreeMap<u32, Volume>) -> Host {
    let floating = section.keyword == "floating";
    let mut host = Host {
        names: if floating { Vec::new() } else { section.names.clone() },
        place: section.place.clone(),
        address: floating.then(|| Address::read(&section.names)).flatten(),
        volumes: shared.clone(),
    };
    volumes(&section.items, &mut host.volumes);
    for item in &section.items {
        if let Item::Statement(statement) = item
            && statement.keyword == "address"
        {
            host.address = Address::read(&statement.values);
        }
    }
    host
}

/// `volume N { ... }`, or the same statements without it for volume 0.
fn volumes(items: &[Item], volumes: &mut BTreeMap<u32, Volume>) {
    for item in items {
        match item {
            Item::Statement(statement) => volume(statement, 0, volumes),
            Item::Section(section) if section.keyword == "volume" => {
                let number = section.names.first().and_then(|name| crate::fields::number(name));
                let (Some(number), 1) = (number, section.names.len()) else { continue };
                for item in &section.items {
                    if let Item::Statement(statement) = item {
                        volume(statement, number, volumes);
                    }
                }
            }
            Item::Section(_) => {}
        }
    }
}

fn volume(statement: &Statement, number: u32, volumes: &mut BTreeMap<u32, Volume>) {
    let values = &statement.values;
    let joined = || Some(values.join(" ")).filter(|text| !text.is_empty());
    match statement.keyword.as_str() {
        "device" => {
            let volume = volumes.entry(number).or_default();
            (volume.device, volume.minor) = device(values);
        }
        "disk" => volumes.entry(number).or_default().disk = joined(),
        "meta-disk" | "flexible-meta-disk" => {
            volumes.entry(number).or_default().meta_disk = joined();
        }
        _ => {}
    }
}

/// `/dev/drbd0`, `minor 0`, `/dev/drbd_r0 minor 0`
fn device(values: &[String]) -> (Option<String>, Option<u32>) {
    match values {
        [path] => {
            let minor = path.strip_prefix("/dev/drbd").and_then(crate::fields::number);
            (Some(path.clone()), minor)
        }
        [word, minor] if word == "minor" => {
            let minor: Option<u32> = crate::fields::number(minor);
            (minor.map(|minor| format!("/dev/drbd{minor}")), minor)
        }
        [path, word, minor] if word == "minor" => {
            (Some(path.clone()), crate::fields::number(minor))
        }
        _ => (None, None),
    }
}

fn settings(items: &[Item], settings: &mut Settings, unknown: &mut Vec<(String, Place)>) {
    for item in items {
        match item {
            Item::Statement(statement) => match statement.keyword.as_str() {
                "protocol" => set(settings, "net", "protocol", statement),
                // 0.7 has its handler outside of any section.
                "incon-degr-cmd" => set(settings, "handlers", "pri-on-incon-degr", statement),
                "address" | "device" | "disk" | "flexible-meta-disk" | "meta-disk" | "node-id" => {}
                other => note(unknown, other, &statement.place),
            },
            Item::Section(section) => match section.keyword.as_str() {
                "disk" | "handlers" | "net" | "options" | "startup" => {
                    for item in &section.items {
                        if let Item::Statement(statement) = item {
                            set(settings, &section.keyword, &statement.keyword, statement);
                        }
                    }
                }
                "syncer" => syncer(section, settings),
                // 9 may say it for each connection.
                "connection" | "connection-mesh" => {
                    let inner: Vec<Item> =
                        sections(&section.items).cloned().map(Item::Section).collect();
                    self::settings(&inner, settings, unknown);
                }
                "_this_host" | "_peer_node_id" | "floating" | "host" | "on" | "path" | "proxy"
                | "stacked-on-top-of" | "volume" => {}
                other => note(unknown, other, &section.place),
            },
        }
    }
}

/// Where 8.4 and later have put what stood in `syncer`.
fn syncer(section: &Section, settings: &mut Settings) {
    for item in &section.items {
        let Item::Statement(statement) = item else { continue };
        let (section, name) = match statement.keyword.as_str() {
            "rate" => ("disk", "resync-rate"),
            "after" => ("disk", "resync-after"),
            name @ ("al-extents" | "c-plan-ahead" | "c-delay-target" | "c-fill-target"
            | "c-max-rate" | "c-min-rate") => ("disk", name),
            name @ ("verify-alg" | "csums-alg" | "use-rle" | "data-integrity-alg") => ("net", name),
            name @ ("cpu-mask" | "on-no-data-accessible") => ("options", name),
            // 0.7's `group` has no successor: resyncs run side by side.
            name => ("syncer", name),
        };
        set(settings, section, name, statement);
    }
}

fn set(settings: &mut Settings, section: &str, name: &str, statement: &Statement) {
    let value = match statement.values.as_slice() {
        [] => "yes".to_owned(),
        values => values.join(" "),
    };
    settings.set(section, name, Setting { value, place: statement.place.clone() });
}

const MOST_UNKNOWN: usize = 100;
