//! Configuration files: read in the words of every version, checked, written.

mod common;

use common::{Random, text};
use crm_drbd::conf::{
    Configuration, Context, Era, Pair, Severity, Side, Source, WriteError, check, parse, read,
    write,
};

fn configuration(text: &str) -> Configuration {
    read("test.conf", text, &mut ()).unwrap_or_else(|error| panic!("{error}"))
}

fn context(nodes: &[&str], databases: &[&str]) -> Context {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Context { nodes: owned(nodes), databases: owned(databases) }
}

#[test]
fn hb14_the_pair_of_2004_is_read() {
    let pair = configuration(&text("conf/pair-0.7.conf"));
    let names: Vec<&str> = pair.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(names, ["drbd0", "drbd1"]);
    for (resource, minor, port, disk) in
        [(&pair.resources[0], 0, 7788, "/dev/sda7"), (&pair.resources[1], 1, 7799, "/dev/sda8")]
    {
        assert_eq!(resource.protocol().map(|one| one.value.as_str()), Some("C"));
        let value = |section, name| {
            resource.settings.find(section, name).map(|setting| setting.value.as_str())
        };
        assert_eq!(value("disk", "resync-rate"), Some("10M"));
        assert_eq!(value("disk", "al-extents"), Some("257"));
        assert_eq!(value("disk", "on-io-error"), Some("detach"));
        assert_eq!(value("startup", "degr-wfc-timeout"), Some("120"));
        let handler = value("handlers", "pri-on-incon-degr").expect("HB26");
        assert_eq!(handler, "echo '!DRBD! pri on incon-degr' | wall ; sleep 60 ; halt -f");
        for (host, ip) in resource.hosts.iter().zip(["192.168.123.165", "192.168.123.166"]) {
            let address = host.address.expect("an address");
            assert_eq!((address.ip.to_string().as_str(), address.port), (ip, port));
            assert_eq!(host.volumes[&0].minor, Some(minor));
            assert_eq!(host.volumes[&0].disk.as_deref(), Some(disk));
            assert_eq!(host.volumes[&0].meta_disk.as_deref(), Some("internal"));
        }
        assert_eq!(resource.minors("test02").get(&0), Some(&minor));
        assert!(resource.minors("test03").is_empty());
    }
    assert!(pair.unknown.is_empty(), "{:?}", pair.unknown);
}

#[test]
fn the_words_of_9_are_read() {
    let three = configuration(&text("conf/three-9.res"));
    let data = &three.resources[0];
    let hosts: Vec<String> = data
        .hosts
        .iter()
        .map(|host| format!("{} {}", host.names.join(" "), host.address.expect("an address")))
        .collect();
    assert_eq!(
        hosts,
        ["alpha ipv4 10.0.0.1:7789", "beta ipv6 [2001:db8::2]:7789", "gamma ipv4 10.0.0.3:7789"]
    );
    assert_eq!(data.minors("beta"), [(0, 10), (1, 11)].into());
    assert_eq!(data.hosts[2].volumes[&1].disk.as_deref(), Some("none"));
    // The last word on the protocol is the connection's.
    assert_eq!(data.protocol().map(|one| one.value.as_str()), Some("A"));
}

#[test]
fn what_drbdadm_dumps_is_read() {
    let dump = common::calls("8.4/01-dump.a.txt").remove(0).output;
    let dumped = configuration(&dump);
    let r0 = &dumped.resources[0];
    assert_eq!(r0.name, "r0");
    assert_eq!(r0.minors("b"), [(0, 0)].into());
    assert_eq!(r0.settings.find("net", "ping-int").map(|one| one.value.as_str()), Some("2"));
}

struct Files<'a>(&'a [(&'a str, &'a str)]);

impl Source for Files<'_> {
    fn include(&mut self, pattern: &str, from: &str) -> Result<Vec<(String, String)>, String> {
        let stem = pattern.split('*').next().unwrap_or_default();
        let fits = self.0.iter().filter(|(name, _)| name.starts_with(stem) && *name != from);
        Ok(fits.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }
}

#[test]
fn included_files_are_read_with_their_own_places() {
    let mut files = Files(&[
        ("drbd.d/global_common.conf", "common { net { protocol B; } }"),
        ("drbd.d/r0.res", "resource r0 {\n  net { allow-two-primaries; }\n}"),
    ]);
    let text = "include \"drbd.d/global_common.conf\";\ninclude \"drbd.d/*.res\";\n";
    let whole = read("drbd.conf", text, &mut files).expect("read");
    let r0 = &whole.resources[0];
    assert_eq!(r0.protocol().map(|one| one.value.as_str()), Some("B"), "from common");
    let allowed = r0.settings.find("net", "allow-two-primaries").expect("said");
    assert_eq!(allowed.place.to_string(), "drbd.d/r0.res:2");
    // A file that includes itself ends in an error.
    struct Ever;
    impl Source for Ever {
        fn include(&mut self, _: &str, _: &str) -> Result<Vec<(String, String)>, String> {
            Ok(vec![("again".to_owned(), "include again; include again;".to_owned())])
        }
    }
    let error = read("drbd.conf", "include again;", &mut Ever).expect_err("refused");
    assert!(error.what.contains("too deep"), "{error}");
}

#[test]
fn errors_say_where_and_what() {
    for (text, expected) in [
        ("resource r0 {\n net {\n", "t:3: expected `}`, found the end of the file"),
        ("}", "t:1: this `}` closes nothing"),
        ("\n\n{", "t:3: expected a word before `{`"),
        ("resource r0 {\n a b\n}", "t:2: expected `;` or `{` after `a`"),
        ("net {\n a \"b\n c\";\n}", "t:2: expected a closing `\"` on the same line"),
        ("skip all of {\n { } \n", "t:1: this `skip` does not end"),
        ("include a;", "t:1: cannot include a: no other file can be read here"),
        ("include a b;", "t:1: expected one file after `include`"),
        ("resource { }", "t:1: expected one name after `resource`"),
        ("resource a {}\nresource a {}", "t:2: a is defined at t:1 already"),
    ] {
        let error = read("t", text, &mut ()).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text:?}");
    }
    let deep = "a {".repeat(100_000);
    assert!(parse("t", &deep, &mut ()).expect_err("refused").what.contains("too deep"));
    let long = "a ".repeat(100_000);
    assert!(parse("t", &long, &mut ()).is_err());
}

/// What the check says of a good pair in which one line was changed.
fn findings(change: impl Fn(String) -> String, context: &Context) -> Vec<String> {
    let good = write(&pair("data", 0, 7788)).expect("written");
    let changed = change(good.clone());
    assert_ne!(changed, good, "the change did something");
    let found = check(&configuration(&changed), context);
    found
        .into_iter()
        .map(|finding| {
            let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
            format!("{severity} {}", finding.what)
        })
        .collect()
}

#[test]
fn each_broken_promise_is_found_alone() {
    let nodes = context(&["test01", "test02"], &["data"]);
    for (from, to, expected) in [
        ("fencing resource-and-stonith;", "", "error there is no fencing policy"),
        ("fencing resource-and-stonith;", "fencing dont-care;", "error there is no fencing policy"),
        ("fence-peer \"", "outdated \"", "error the fencing policy has no handler"),
        ("/usr/lib/crm/crm-fence-peer", "/usr/lib/drbd/crm.sh", "warning the handler `fence-peer`"),
        ("after-resync-target", "split-brain", "warning nothing tells the cluster when"),
        ("protocol C;", "protocol A;", "error protocol A under a database"),
        ("protocol C;", "protocol B;", "warning protocol B"),
        ("protocol C;", "protocol D;", "error the protocol is none of"),
        ("protocol C;", "protocol C; allow-two-primaries;", "error two nodes may be Primary"),
        ("protocol C;", "protocol C; allow-two-primaries yes;", "error two nodes may be Primary"),
        (
            "after-sb-0pri disconnect",
            "after-sb-0pri discard-younger-primary",
            "warning `after-sb-0",
        ),
        ("after-sb-1pri disconnect", "after-sb-1pri discard-secondary", "warning `after-sb-1pri"),
        ("after-sb-2pri disconnect", "after-sb-2pri call-pri-lost-after-sb", "warning `after-sb-2"),
        ("on-io-error detach", "on-io-error pass_on", "warning a disk error is passed on"),
        ("wfc-timeout 30;\n", "become-primary-on both;\n", "error init makes a node Primary"),
        ("    wfc-timeout 30;", "    wfc-timeout 0;", "warning a node that boots alone waits"),
        ("on test01 {", "on test01.example.org {", "error `on test01.example.org` names no node"),
        ("meta-disk internal;", "", "error test01 does not say `meta-disk` for volume 0"),
        ("disk /dev/sda7;", "", "error test01 does not say `disk` for volume 0"),
        ("192.168.123.165:7788", "192.168.123.165", "error test01 has no address"),
        ("  handlers {", "  handlerz {", "error the fencing policy has no handler"),
    ] {
        let found = findings(|good| good.replacen(from, to, 1), &nodes);
        let first = found.first().unwrap_or_else(|| panic!("{from} -> {to}: nothing was found"));
        assert!(first.starts_with(expected), "{from} -> {to}: {found:#?}");
        let usual = ["meta-disk internal;", "  handlers {", "fence-peer \""];
        assert!(found.len() == 1 || usual.contains(&from), "{from} -> {to}: {found:#?}");
    }
    let elsewhere = findings(|good| good.replace("protocol C", "protocol A"), &context(&[], &[]));
    assert!(elsewhere[0].starts_with("warning protocol A"), "{elsewhere:?}");
}

#[test]
fn what_two_resources_share_is_found() {
    let mut twice = write(&pair("data", 0, 7788)).expect("written");
    twice.push_str(&write(&pair("other", 0, 7788)).expect("written"));
    let found = check(&configuration(&twice), &Context::default());
    let whats: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(whats.len(), 6, "device, disk, address on both: {whats:#?}");
    assert!(whats[0].contains("is taken by data already"), "{whats:#?}");
}

#[test]
fn the_pair_of_2004_is_found_wanting() {
    let old = configuration(&text("conf/pair-0.7.conf"));
    let found = check(&old, &context(&["test01", "test02"], &[]));
    let errors: Vec<&str> = found
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.resource.as_str())
        .collect();
    assert_eq!(errors, ["drbd0", "drbd1"], "each lacks fencing: {found:#?}");
}

fn pair(name: &str, minor: u32, port: u16) -> Pair {
    let side = |node: &str, ip: &str, disk: u32| Side {
        node: node.to_owned(),
        ip: ip.parse().expect("an address"),
        disk: format!("/dev/sda{disk}"),
    };
    Pair {
        name: name.to_owned(),
        minor,
        port,
        sides: [
            side("test01", "192.168.123.165", 7 + minor),
            side("test02", "192.168.123.166", 7 + minor),
        ],
        era: Era::Eight,
        handlers: "/usr/lib/crm".to_owned(),
    }
}

#[test]
fn hb14_both_ha_is_written_read_and_found_good() {
    for era in [Era::Eight, Era::Nine] {
        let pairs = [("drbd0", 0, 7788), ("drbd1", 1, 7799)]
            .map(|(name, minor, port)| Pair { era, ..pair(name, minor, port) });
        let text: String = pairs.iter().map(|pair| write(pair).expect("written")).collect();
        let written = configuration(&text);
        let found = check(&written, &context(&["test01", "test02"], &["drbd0", "drbd1"]));
        assert!(found.is_empty(), "{found:#?}");
        for (pair, resource) in pairs.iter().zip(&written.resources) {
            assert_eq!(resource.name, pair.name);
            assert_eq!(resource.minors("test01"), [(0, pair.minor)].into());
            assert!(
                resource.hosts.iter().all(|host| host.address.map(|a| a.port) == Some(pair.port))
            );
        }
    }
}

#[test]
fn words_that_would_not_be_read_back_are_not_written() {
    let good = pair("data", 0, 7788);
    for name in ["", "a b", "a;b", "a{", "\"a\"", "a\nb", "-a", "../a", "é"] {
        let bad = Pair { name: name.to_owned(), ..good.clone() };
        assert!(matches!(write(&bad), Err(WriteError::Word { .. })), "{name:?}");
    }
    let mut twins = good.clone();
    twins.sides[1].ip = twins.sides[0].ip;
    assert_eq!(write(&twins), Err(WriteError::Same("address")));
    twins = good.clone();
    twins.sides[1].node = twins.sides[0].node.clone();
    assert_eq!(write(&twins), Err(WriteError::Same("name")));
    assert_eq!(write(&Pair { port: 0, ..good }), Err(WriteError::Port));
}

#[test]
fn damaged_configurations_do_no_harm() {
    let texts = [
        text("conf/pair-0.7.conf"),
        text("conf/three-9.res"),
        write(&pair("d", 0, 1)).expect("ok"),
    ];
    let pieces =
        ["{", "}", ";", "\"", "\\", "#", "skip", "include", " ", "\n", "resource", "é", "\0"];
    for (number, text) in texts.iter().enumerate() {
        for round in 0..2000_u64 {
            let mut random = Random(round * 3 + number as u64 + 1);
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..=random.below(5) {
                let at = random.below(chars.len());
                match random.below(3) {
                    0 => drop(
                        chars.drain(
                            at..(at + random.below(60))
                                .min(text.chars().count())
                                .min(chars.len())
                                .max(at),
                        ),
                    ),
                    1 => drop(chars.splice(at..at, pieces[random.below(pieces.len())].chars())),
                    _ => chars.truncate(at.max(1)),
                }
            }
            let damaged: String = chars.into_iter().collect();
            if let Ok(configuration) = read("t", &damaged, &mut ()) {
                for finding in check(&configuration, &context(&["test01"], &["data"])) {
                    assert!(!finding.to_string().is_empty());
                }
            }
        }
    }
}
