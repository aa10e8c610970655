//! The web layout of the documentation (docs/layouts/web.yaml): MariaDB, Apache with PHP and a real Tomcat over one
//! volume, and a client of each that goes on while the group is moved by hand and while its machine loses its power.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crm_tests::machines::{Laboratory, Machine, Specification};

use crate::files;
use crate::layout;
use crate::light::{Light, Parts, SERVICE};
use crate::shop::{self, Shop};

const HEARTBEAT: &str = "keepalive: 500ms, warntime: 2s, deadtime: 5s, initdead: 30s";
const DEVICE: &str = "10s";
/// A Java on an emulated processor begins in half a minute to a few, and compiles its first page as slowly.
const JAVA: Duration = Duration::from_secs(600);

/// Tomcat with one application, whose page is compiled by Tomcat itself, onto the volume.
const TOMCAT: [(&str, &str); 5] = [
    (
        "bin/setenv.sh",
        "JAVA_OPTS='-Xms24m -Xmx64m -Xss512k -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto'\n",
    ),
    (
        "conf/server.xml",
        "<Server port='-1'><Service name='Catalina'>
<Connector port='8080' protocol='HTTP/1.1' maxThreads='4' minSpareThreads='1'/>
<Engine name='Catalina' defaultHost='localhost'><Host name='localhost' appBase='webapps' autoDeploy='false'/></Engine>
</Service></Server>
",
    ),
    ("conf/context.xml", "<Context><JarScanner scanClassPath='false' scanManifest='false'/></Context>\n"),
    (
        "webapps/ROOT/WEB-INF/web.xml",
        "<web-app xmlns='https://jakarta.ee/xml/ns/jakartaee' version='5.0' metadata-complete='true'>
<servlet><servlet-name>jsp</servlet-name><servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class></servlet>
<servlet-mapping><servlet-name>jsp</servlet-name><url-pattern>*.jsp</url-pattern></servlet-mapping>
</web-app>
",
    ),
    // Says that a row is kept when it is on the disk, and not before.
    (
        "webapps/ROOT/row.jsp",
        "<%@ page import='java.io.FileOutputStream' session='false' %><%
long row = Long.parseLong(request.getParameter(\"n\"));
try (FileOutputStream file = new FileOutputStream(\"/data1/tomcat/data/rows\", true)) {
    file.write((row + \"\\n\").getBytes());
    file.getFD().sync();
}
out.print(\"kept \" + row);
%>",
    ),
];

/// Asks for one page after the other, and notes what was acknowledged and when.
const ASKER: &str = r#"
import sys, time, urllib.request

kind, page = sys.argv[1:]
acknowledged = open('/root/%s.acknowledged' % kind, 'a', buffering=1)
number = 0
while True:
    number += 1
    try:
        said = urllib.request.urlopen(page % number, timeout=20).read()
        if said.strip() == b'kept %d' % number:
            acknowledged.write('%d %.3f\n' % (number, time.time()))
    except OSError:
        time.sleep(0.2)
"#;

const PAGES: [(&str, &str); 2] =
    [("php", "http://10.9.0.100/row.php?n=%d"), ("tomcat", "http://10.9.0.100:8080/row.jsp?n=%d")];

/// HB40 (Apache with PHP, and Tomcat), HB15, HB50, I8: every row that a page or the database has acknowledged is on the
/// disk of the node that serves: after a move by hand, the end of the Java, and a loss of power.
#[test]
#[ignore = "long: five to fifteen minutes; tests/run machines-long"]
fn hb40_hb15_hb50_i8_the_web_layout_with_tomcat_goes_on_after_a_move_and_a_power_cut() {
    let client = &Specification::servers("client").with_memory(256);
    let configuration = &layout::web(HEARTBEAT, DEVICE);
    let parts = Parts { nodes: 2, memory: 896, volumes: 1, disk: 160, client, configuration };
    let mut light = Light::of(Specification::servers, &parts, fill);
    let db = Shop { name: "db", volume: "/data1", address: SERVICE, port: 3306 };
    // It started where there was a quorum first.
    light
        .node("alpha")
        .run_within("crm migrate --yes --timeout 600 web alpha || crm status", JAVA)
        .unwrap();
    light.node("alpha").until(RUNS, JAVA).unwrap();
    db.open(&mut light.client);
    ask(&mut light.client);
    let goes_on = |light: &mut Light, what: &str, act: &mut dyn FnMut(&mut Light)| {
        disturb(light, &db, what, act);
    };
    goes_on(&mut light, "from nothing", &mut |_| {});

    // HB50.
    goes_on(&mut light, "moved by hand", &mut |light| {
        let migrate = "crm migrate --yes --timeout 600 web beta";
        let moved =
            light.node("alpha").run_within(migrate, JAVA + Duration::from_secs(60)).unwrap();
        assert_eq!(moved.code, 0, "{moved:?}");
    });
    light.node("beta").ok(RUNS).unwrap();
    let left = "ps -eo args= | grep -E '[m]ariadbd|[a]pache2|[j]ava '";
    assert_eq!(light.node("alpha").run(left).unwrap().text, "", "left behind on alpha");
    assert_kept(&mut light, "beta");

    // The Java ends: it is seen, and started anew where it is; the others go on.
    let pid = |light: &mut Light, of: &str| {
        light.node("beta").ok(&format!("busybox pidof {of}")).unwrap()
    };
    let before = (pid(&mut light, "mariadbd"), pid(&mut light, "java"));
    goes_on(&mut light, "the Java was killed", &mut |light| {
        light.node("beta").ok("kill -9 $(busybox pidof java)").unwrap();
    });
    let after = (pid(&mut light, "mariadbd"), pid(&mut light, "java"));
    assert!(after.0 == before.0 && after.1 != before.1, "{before:?} {after:?}");

    // HB15.
    goes_on(&mut light, "power cut", &mut |light| light.node("beta").power_cut().unwrap());
    assert_kept(&mut light, "alpha");
    println!(
        "{} rows of the database were acknowledged, all are there",
        db.assert_kept(&mut light.client)
    );
}

/// All of the group.
const RUNS: &str = "mountpoint -q /data1 && ss -Htln | grep -q ':3306 ' && ss -Htln | grep -q '10.9.0.100:80 ' && ss -Htln | grep -q ':8080 ' \
    && crm status --json | python3 -c \"import json, sys; sys.exit(not all(g['phase'] == 'running' for g in json.load(sys.stdin)['groups']))\"";

fn fill(lab: &Laboratory, tree: &Path) {
    shop::fill(lab, tree);
    let put = |name: &str, text: &str| {
        let path = tree.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("apache/httpd.conf", files::HTTPD);
    put("apache/site/row.php", files::ROW);
    for (name, text) in TOMCAT {
        put(&format!("tomcat/{name}"), text);
    }
    // Written by the servers' own user.
    for directory in ["apache/data", "tomcat/data", "tomcat/logs", "tomcat/temp", "tomcat/work"] {
        let path = tree.join(directory);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
}

fn ask(client: &mut Machine) {
    client.ok(&format!("cat >/root/asker <<'END'\n{ASKER}\nEND")).unwrap();
    for (kind, page) in PAGES {
        client.spawn(&format!("exec python3 /root/asker {kind} '{page}'")).unwrap();
    }
}

/// How many rows of a kind were acknowledged so far.
fn rows(client: &mut Machine, kind: &str) -> u64 {
    let count = format!("cat /root/{kind}.acknowledged 2>/dev/null | wc -l");
    client.ok(&count).unwrap().trim().parse().unwrap()
}

/// Does something to the cluster, waits until every client goes on, and prints how long each stood still.
fn disturb(light: &mut Light, db: &Shop, what: &str, act: &mut dyn FnMut(&mut Light)) {
    let kinds = ["db", "php", "tomcat"];
    let before = kinds.map(|kind| rows(&mut light.client, kind));
    let began = Instant::now();
    act(light);
    for kind in kinds {
        // One may have been under way, and acknowledged before.
        let enough = rows(&mut light.client, kind) + 3;
        while rows(&mut light.client, kind) < enough {
            assert!(began.elapsed() < JAVA, "{what}: {kind} does not go on after {JAVA:?}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    println!("{what}: all go on after {:.1} s", began.elapsed().as_secs_f32());
    for (kind, from) in kinds.iter().zip(before) {
        let client = Shop { name: kind, ..*db };
        println!("  {kind} stood still for {} s", client.outage(&mut light.client, from.max(1)));
    }
}

/// I8: asserts that every row that a page has acknowledged is on the disk of `node`.
fn assert_kept(light: &mut Light, node: &str) {
    for (kind, file) in [("php", "/data1/apache/data/rows"), ("tomcat", "/data1/tomcat/data/rows")]
    {
        let told = light.client.ok(&format!("cut -d' ' -f1 /root/{kind}.acknowledged")).unwrap();
        let there = light.node(node).ok(&format!("cat {file}")).unwrap();
        let there: std::collections::BTreeSet<&str> = there.lines().collect();
        let missing: Vec<&str> = told.lines().filter(|number| !there.contains(number)).collect();
        assert!(missing.is_empty(), "{kind}: acknowledged, and not on {node}: {missing:?}");
        println!("{} rows of {kind} were acknowledged, all are on {node}", told.lines().count());
    }
}
