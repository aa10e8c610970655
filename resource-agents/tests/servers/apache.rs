//! `apache` with Debian's Apache.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::{Resource, isolated, may_run, tool, wait_for};

#[test]
#[ignore = "needs apache2: tests/run namespaces"]
fn hb40_apache_serves_its_own_site_and_stops_alone() {
    isolated("apache::hb40_apache_serves_its_own_site_and_stops_alone", |directory| {
        assert!(may_run("apache2", Path::new("/usr/sbin/apache2").exists()));
        tool("ip link set lo up");
        let site = |name: &'static str, port: u16| {
            let root = directory.join(name);
            fs::create_dir_all(&root).expect("site");
            fs::write(root.join("index.html"), format!("this is {name}\n")).expect("page");
            let modules = "/usr/lib/apache2/modules";
            let text = format!(
                "ServerRoot {0}\nServerName localhost\nListen 127.0.0.1:{port}\nDocumentRoot {0}\n\
                 LoadModule mpm_event_module {modules}/mod_mpm_event.so\n\
                 LoadModule authz_core_module {modules}/mod_authz_core.so\n\
                 LoadModule dir_module {modules}/mod_dir.so\n\
                 DirectoryIndex index.html\nUser www-data\nGroup www-data\n\
                 ErrorLog {0}/error.log\nPidFile {0}/httpd.pid\n",
                root.display()
            );
            let config = root.join("httpd.conf");
            fs::write(&config, text).expect("config");
            let parameters = [
                ("config", config.display().to_string()),
                ("url", format!("http://127.0.0.1:{port}/")),
                ("expect", format!("this is {name}")),
            ];
            let parameters: Vec<(&str, &str)> =
                parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Resource::new("apache", directory, &parameters).named(name)
        };
        let (one, two) = (site("one", 8101), site("two", 8102));
        one.run("validate").ok();
        one.run("status").code(7);
        // A number that a crash left there may be anybody's by now.
        fs::write(directory.join("one/httpd.pid"), "1\n").expect("old pid file");
        one.run("start").ok();
        one.run("start").ok();
        two.run("start").ok();
        one.run("status").ok();
        let other = site("one", 8101).with("expect", "something else");
        other.run("status").code(1).because("on the page, found it not");
        one.run("stop").ok();
        one.run("status").code(7);
        one.run("stop").ok();
        two.run("status").ok();

        // The port of the other, a mistake in the file, a file that is not there.
        let config = directory.join("one/httpd.conf");
        let text = fs::read_to_string(&config).expect("config");
        fs::write(&config, text.replace("8101", "8102")).expect("config");
        one.run("start").code(1).because("could not bind");
        fs::write(&config, format!("{text}Nonsense yes\n")).expect("config");
        one.run("start").code(6).because("Nonsense");
        one.run("validate").code(6).because("Nonsense");
        fs::remove_file(&config).expect("remove");
        one.run("start").code(5).because("is its filesystem mounted");
        one.run("validate").ok();

        // The main process is killed: its children are told, and cleaned up.
        let line = two.run("status").ok().lines.join(" ");
        let pid = line.rsplit(' ').next().expect("a pid").to_owned();
        tool(&format!("kill -9 {pid}"));
        wait_for("its end", || two.run("status").code != 0);
        two.run("stop").ok();
        two.run("status").code(7);
    });
}

/// A stand-in for Tomcat: it serves a page, and is not Tomcat.
const CATALINA: &str = "#!/bin/sh\n# A stand-in: it is not Tomcat.\n[ \"$1\" = run ] || exit 2\n\
    cd \"$CATALINA_BASE\" && exec python3 -m http.server --bind 127.0.0.1 8103\n";

#[test]
#[ignore = "for the level namespaces"]
fn hb40_tomcat_runs_from_its_base_directory() {
    use std::os::unix::fs::PermissionsExt;
    isolated("apache::hb40_tomcat_runs_from_its_base_directory", |directory| {
        tool("ip link set lo up");
        let script = directory.join("home/bin/catalina.sh");
        fs::create_dir_all(directory.join("home/bin")).expect("home");
        fs::write(&script, CATALINA).expect("script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("mode");
        let base = directory.join("base");
        let path = |name: &str| directory.join(name).display().to_string();
        let tomcat = Resource::new("tomcat", directory, &[("base", &path("base"))])
            .with("home", &path("home"))
            .with("user", "nobody")
            .with("url", "http://127.0.0.1:8103/conf/server.xml")
            .with("expect", "the server")
            .timeout(Duration::from_secs(20));
        tomcat.run("validate").ok();
        tomcat.run("start").code(5).because("conf/server.xml");
        fs::create_dir_all(base.join("conf")).expect("base");
        fs::write(base.join("conf/server.xml"), "the server\n").expect("page");
        tomcat.run("start").ok();
        tomcat.run("status").ok();
        tomcat.run("stop").ok();
        tomcat.run("status").code(7);
        let elsewhere = tomcat.with("mount", "/nowhere");
        elsewhere.run("start").code(5).because("expected a filesystem mounted at /nowhere");
    });
}
