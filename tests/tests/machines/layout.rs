//! The layouts of the documentation (docs/layouts), as these machines run them: what differs is named here.

const DATABASE: &str = include_str!("../../../docs/layouts/database.yaml");
const DATABASES: &str = include_str!("../../../docs/layouts/databases.yaml");
const WEB: &str = include_str!("../../../docs/layouts/web.yaml");
const FILES: &str = include_str!("../../../docs/layouts/files.yaml");
const ONE: &str = include_str!("../../../docs/layouts/r0.res");
const TWO: [&str; 2] = [
    include_str!("../../../docs/layouts/drbd0.res"),
    include_str!("../../../docs/layouts/drbd1.res"),
];

/// Addresses and disks, there and here.
const HERE: [(&str, &str); 9] = [
    ("192.168.123.165", "10.9.0.1"),
    ("192.168.123.166", "10.9.0.2"),
    ("192.168.123.170", "10.9.0.100"),
    ("192.168.123.171", "10.9.0.102"),
    ("192.168.123.0/24", "10.9.0.0/24"),
    ("10.0.0.1", "10.9.1.1"),
    ("10.0.0.2", "10.9.1.2"),
    ("/dev/sda7", "/dev/vdb"),
    ("/dev/sda8", "/dev/vdc"),
];

/// One database, with these times and this long for a device.
pub(crate) fn database(heartbeat: &str, device: &str) -> String {
    cluster(DATABASE, heartbeat, device)
}

/// Two databases that back each other up.
pub(crate) fn databases(heartbeat: &str, device: &str) -> String {
    cluster(DATABASES, heartbeat, device)
}

/// NFS, Samba and a web site over one volume.
pub(crate) fn files(heartbeat: &str, device: &str) -> String {
    cluster(FILES, heartbeat, device)
}

/// A database, Apache and Tomcat.
pub(crate) fn web(heartbeat: &str, device: &str) -> String {
    // The image has no user of Tomcat's own, and its Java needs minutes.
    let slow = "- tomcat: {user: www-data, timeouts: {start: 10m, status: 2m, stop: 2m}, stop_timeout: 90s, ";
    replaced(&cluster(WEB, heartbeat, device), "- tomcat: {", slow)
}

/// The file of each volume and its name, for one volume or two.
pub(crate) fn volumes(count: u16) -> Vec<(&'static str, String)> {
    let texts: &[&str] = if count == 1 { &[ONE] } else { &TWO };
    assert_eq!(texts.len(), usize::from(count), "the layouts have one volume or two");
    let file = |text: &&'static str| {
        let name = text.strip_prefix("resource ").and_then(|rest| rest.split(' ').next());
        // Without a limit that is meant for links that others use too, a resync takes a second or two.
        let quick = "  disk {\n    c-plan-ahead 0;\n    resync-rate 100M;\n";
        (name.expect("the name of a resource"), replaced(&here(text), "  disk {\n", quick))
    };
    texts.iter().map(file).collect()
}

/// The machines are slow, have a power switch of their own, and run their database as root.
fn cluster(text: &str, heartbeat: &str, device: &str) -> String {
    let mut text = here(text);
    for (node, ip) in [("alpha", "10.1.0.1"), ("beta", "10.1.0.2")] {
        let there = format!(
            "{{agent: fence_ipmilan, ip: {ip}, username: crm, password_file: /etc/crm/{node}.ipmi}}"
        );
        let here = format!(
            "{{agent: command, command: /usr/local/sbin/lab-fence off {node}, timeout: {device}}}"
        );
        text = replaced(&text, &there, &here);
    }
    if text.contains("mysql") {
        let here = "- mysql: {user: root, timeouts: {status: 60s}, ";
        text = replaced(&text, "- mysql: {", here);
    }
    replaced(&text, "fencing:\n", &format!("heartbeat: {{{heartbeat}}}\nfencing:\n"))
}

fn here(text: &str) -> String {
    HERE.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
}

/// A layout that has moved away from its test is noticed.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "expected {from:?} in the layout, found\n{text}");
    text.replace(from, to)
}
