//! Controllers that speak Redfish, on the client's machine: stand-ins, said so wherever they are used.

use super::laboratory::Laboratory;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const SERVER: &str = include_str!("redfish.py");
/// Of the client, on the first link.
const ADDRESS: &str = "10.77.0.250";
const FIRST_PORT: u16 = 8443;
const PATIENCE: Duration = Duration::from_secs(30);

/// One controller for each node.
#[derive(Debug)]
pub struct RedfishStandIn {
    pub address: &'static str,
    /// Mode 0600.
    pub password_file: PathBuf,
    nodes: Vec<String>,
    password: String,
    directory: PathBuf,
    child: Option<Child>,
    /// Its number in the client's namespace.
    process: String,
    orders: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    seen: Arc<AtomicBool>,
    watch: Option<std::thread::JoinHandle<()>>,
}

impl RedfishStandIn {
    /// # Panics
    /// If it does not answer in time: nothing would be proved.
    #[must_use]
    pub fn start(lab: &Laboratory, nodes: &[&str], password: &str) -> RedfishStandIn {
        let directory = lab.directory.clone();
        std::fs::write(directory.join("redfish.py"), SERVER).expect("the stand-in's program");
        let pem = directory.join("bmc.pem");
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bmc",
            ])
            .arg("-keyout")
            .arg(&pem)
            .arg("-out")
            .arg(directory.join("bmc.crt"))
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let both = [std::fs::read(&pem), std::fs::read(directory.join("bmc.crt"))];
        let both: Vec<u8> =
            both.into_iter().flat_map(|part| part.expect("a certificate")).collect();
        std::fs::write(&pem, both).expect("a certificate");
        let password_file = directory.join("bmc.password");
        std::fs::write(&password_file, format!("{password}\n")).expect("the password");
        std::fs::set_permissions(&password_file, std::fs::Permissions::from_mode(0o600))
            .expect("its mode");
        let mut standin = RedfishStandIn {
            address: ADDRESS,
            password_file,
            nodes: nodes.iter().map(ToString::to_string).collect(),
            password: password.to_owned(),
            directory,
            child: None,
            process: String::new(),
            orders: Arc::default(),
            ended: Arc::default(),
            seen: Arc::default(),
            watch: None,
        };
        standin.serve(lab, nodes);
        standin.watch = Some(standin.watch_arguments());
        standin
    }

    #[must_use]
    pub fn port(&self, node: &str) -> u16 {
        let at = self.nodes.iter().position(|name| name == node).unwrap_or_default();
        FIRST_PORT + u16::try_from(at).unwrap_or_default()
    }

    /// Starts the controllers, all powers on.
    ///
    /// # Panics
    /// If they do not answer in time.
    pub fn serve(&mut self, lab: &Laboratory, nodes: &[&str]) {
        // Its own password comes by argument: this program's are not looked at.
        let mut child = lab
            .client("python3")
            .arg(self.directory.join("redfish.py"))
            .arg(self.directory.join("bmc.pem"))
            .arg(crm_sandbox::script(&self.directory))
            .arg(&self.password)
            .arg(ADDRESS)
            .args(nodes.iter().map(|name| format!("{name}={}", self.port(name))))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        let out = child.stdout.take().expect("its output");
        let (ready, is_ready) = std::sync::mpsc::channel();
        let orders = self.orders.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(pid) = line.strip_prefix("ready ") {
                    let _ = ready.send(pid.to_owned());
                } else {
                    orders.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            }
        });
        self.child = Some(child);
        self.process = is_ready.recv_timeout(PATIENCE).expect("the stand-in answers");
    }

    /// They are gone, as if nobody had plugged them in.
    ///
    /// # Panics
    /// If they do not go.
    pub fn stop(&mut self, lab: &Laboratory) {
        let Some(mut child) = self.child.take() else { return };
        let killed = lab.client("kill").args(["-9", &self.process]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        let _ = child.wait();
    }

    /// What the controllers were told to do, oldest first.
    #[must_use]
    pub fn orders(&self) -> Vec<String> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Somebody presses the button of a machine: `On`.
    ///
    /// # Panics
    /// If the controller does not take it.
    pub fn power(&self, lab: &Laboratory, node: &str, kind: &str) {
        let url = format!(
            "https://{ADDRESS}:{}/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            self.port(node)
        );
        let done = lab
            .client("curl")
            .args(["-ksf", "-u"])
            .arg(format!("crm:{}", self.password))
            .args(["-d", &format!("{{\"ResetType\": \"{kind}\"}}"), &url])
            .output()
            .expect("curl");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Whether the password was ever found in the arguments or the environment of a fence agent.
    #[must_use]
    pub fn password_was_seen(&self) -> bool {
        self.seen.load(Ordering::Relaxed)
    }

    fn watch_arguments(&self) -> std::thread::JoinHandle<()> {
        let (ended, seen, password) =
            (self.ended.clone(), self.seen.clone(), self.password.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let Ok(processes) = std::fs::read_dir("/proc") else { return };
                for process in processes.flatten() {
                    let read = |name| std::fs::read(process.path().join(name)).unwrap_or_default();
                    let arguments = read("cmdline");
                    let arguments = String::from_utf8_lossy(&arguments).into_owned();
                    if arguments.contains("fence_redfish") {
                        let environment = read("environ");
                        let environment = String::from_utf8_lossy(&environment);
                        let shows =
                            arguments.contains(&password) || environment.contains(&password);
                        seen.fetch_or(shows, Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_millis(20).saturating_sub(begun.elapsed()));
            }
        })
    }
}

impl Drop for RedfishStandIn {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}
