//! A MariaDB whose data are on a volume, and a client that inserts into it and notes what was acknowledged.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crm_tests::machines::{Laboratory, Machine};

use crate::light::LONG;

/// Small servers on small machines.
const OPTIONS: &str = "[mysqld]
bind-address=0.0.0.0
innodb-log-file-size=8M
innodb-buffer-pool-size=24M
performance-schema=off
skip-name-resolve
";

/// Fills a volume with an empty shop, as the layouts say where.
pub(crate) fn fill(lab: &Laboratory, tree: &Path) {
    let from = lab.images().database.join(".");
    let to = tree.join("mysql");
    std::fs::create_dir(&to).unwrap();
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    std::fs::write(tree.join("my.cnf"), OPTIONS).unwrap();
}

/// Inserts one number after the other, each by a new connection, and notes those that were acknowledged and when, and
/// what was said of the others.
const INSERTER: &str = "number=0
while :; do
    number=$((number + 1))
    timeout 5 mariadb --no-defaults -h $1 -P $2 -u client --connect-timeout=1 -e \"insert into shop.orders values ($number)\" 2>>/root/$3.errors && echo $number $(date +%s.%N) >>/root/$3.acknowledged
done
";

/// One database as its client knows it.
pub(crate) struct Shop {
    /// Of its group.
    pub(crate) name: &'static str,
    /// Where its volume is mounted.
    pub(crate) volume: &'static str,
    pub(crate) address: &'static str,
    pub(crate) port: u16,
}

impl Shop {
    /// Begins to insert.
    pub(crate) fn open(&self, client: &mut Machine) {
        client.ok(&format!("cat >/root/inserter <<'END'\n{INSERTER}\nEND")).unwrap();
        let Self { name, address, port, .. } = self;
        client.spawn(&format!("exec sh /root/inserter {address} {port} {name}")).unwrap();
    }

    /// How many rows were acknowledged so far.
    pub(crate) fn rows(&self, client: &mut Machine) -> u64 {
        let count = format!("cat /root/{}.acknowledged 2>/dev/null | wc -l", self.name);
        client.ok(&count).unwrap().trim().parse().unwrap()
    }

    /// Waits until at least so many were, and answers how long that took.
    pub(crate) fn wait_rows(&self, client: &mut Machine, least: u64) -> Duration {
        let started = Instant::now();
        loop {
            let found = self.rows(client);
            if found >= least {
                return started.elapsed();
            }
            let late = started.elapsed() > LONG;
            assert!(!late, "{}: expected {least} acknowledged rows, found {found}", self.name);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The longest time without an acknowledgement since row number `from`, seconds.
    pub(crate) fn outage(&self, client: &mut Machine, from: u64) -> f64 {
        let gap = format!(
            "tail -n +{from} /root/{}.acknowledged | awk 'last && $2 - last > gap {{ gap = $2 - last }} {{ last = $2 }} \
             END {{ print gap + 0 }}'",
            self.name
        );
        client.ok(&gap).unwrap().trim().parse().unwrap()
    }

    /// I8: asserts that every row is there of which the client was told, and answers how many that are.
    pub(crate) fn assert_kept(&self, client: &mut Machine) -> u64 {
        let Self { name, address, port, .. } = self;
        client.ok(&format!("cp /root/{name}.acknowledged /root/{name}.told")).unwrap();
        let select = format!(
            "mariadb --no-defaults -N -h {address} -P {port} -u client -e 'select id from shop.orders'"
        );
        client.ok(&format!("{select} >/root/{name}.there")).unwrap();
        let missing = client
            .ok(&format!(
                "awk 'NR == FNR {{ there[$1]; next }} !($1 in there)' /root/{name}.there /root/{name}.told"
            ))
            .unwrap();
        assert_eq!(missing, "", "{name}: acknowledged, but not there");
        client.ok(&format!("wc -l </root/{name}.told")).unwrap().trim().parse().unwrap()
    }

    /// What the client was told instead of an acknowledgement, each once; forgets it.
    pub(crate) fn errors(&self, client: &mut Machine) -> Vec<String> {
        let file = format!("/root/{}.errors", self.name);
        let said = client.ok(&format!("sort -u {file} && : >{file}")).unwrap();
        said.lines().map(str::to_owned).collect()
    }
}
