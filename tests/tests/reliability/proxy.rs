//! Proxies that serve from files, each a process.

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use mesh_tests::Running;
use mesh_tests::binary::mesh_proxy;
use mesh_tests::laptop::LIMIT;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::place::Place;

/// How a proxy is started, now and again.
#[derive(Clone)]
pub struct Plan {
    name: &'static str,
    directory: PathBuf,
    arguments: Vec<String>,
}

/// One that runs.
pub struct Proxy {
    running: Running,
    said: Value,
}

// === impl Plan ===

impl Plan {
    /// A proxy called `name`, with its resources in the file of that name.
    pub fn new(place: &Place, name: &'static str, resources: &str, more: &[&str]) -> Self {
        let directory = place.directory().to_owned();
        let path = |file: String| directory.join(file).display().to_string();
        fs::write(path(format!("{name}.yaml")), resources).unwrap();
        let mut arguments: Vec<String> = vec![
            "--resources".into(),
            path(format!("{name}.yaml")),
            "--certificate".into(),
            path(format!("{name}.pem")),
            "--private-key".into(),
            path(format!("{name}.pem")),
            "--roots".into(),
            path("roots.pem".into()),
            "--drain".into(),
            "20s".into(),
            "--replaced-drain".into(),
            "20s".into(),
            "--admin-socket".into(),
            path(format!("{name}.admin")),
        ];
        arguments.extend(more.iter().map(ToString::to_string));
        Self {
            name,
            directory,
            arguments,
        }
    }

    /// The same with this option, in place of the one that it may have.
    pub fn with(&self, option: &str, value: &str) -> Self {
        let mut plan = self.clone();
        match plan
            .arguments
            .iter()
            .position(|argument| argument == option)
        {
            Some(at) => plan.arguments[at + 1] = value.to_owned(),
            None => plan.arguments.extend([option.to_owned(), value.to_owned()]),
        }
        plan
    }

    /// Starts it, and waits until it serves.
    pub fn start(&self) -> Proxy {
        self.launch(&self.arguments)
    }

    /// Starts a process that asks a control plane for its configuration, and gets none.
    pub fn start_in_vain(&self) -> Running {
        let keep = ["--admin-socket", "--explicit", "--inbound"];
        let mut arguments: Vec<String> = vec![
            "--control".into(),
            "unix:///nowhere/meshd.sock".into(),
            "--roots".into(),
            self.directory.join("roots.pem").display().to_string(),
        ];
        for pair in self.arguments.chunks(2) {
            if keep.contains(&pair[0].as_str()) {
                arguments.extend(pair.iter().cloned());
            }
        }
        Running::spawn(&mut self.command(&arguments)).unwrap()
    }

    fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(mesh_proxy());
        command
            .args(["run", "--on-ready", "--log", "info"])
            .args(["--workload", &format!("default/{}", self.name)])
            .args(["--service-account", self.name])
            .arg("--hand-over")
            .arg(self.directory.join(format!("{}.hand-over", self.name)))
            .args(arguments);
        command
    }

    fn launch(&self, arguments: &[String]) -> Proxy {
        let mut running = Running::spawn(&mut self.command(arguments)).unwrap();
        let line = running.wait_for("ready ", LIMIT).unwrap();
        let said = serde_json::from_str(line.trim_start_matches("ready ")).unwrap();
        Proxy { running, said }
    }
}

// === impl Proxy ===

impl Proxy {
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    pub fn explicit(&self) -> SocketAddr {
        self.said["explicit"].as_str().unwrap().parse().unwrap()
    }

    pub fn inbound(&self) -> SocketAddr {
        let address = self.said["inbound"][0]["address"].as_str();
        address.unwrap().parse().unwrap()
    }

    /// What it said of its addresses, but not who it is.
    pub fn addresses(&self) -> Value {
        let mut said = self.said.clone();
        said.as_object_mut().unwrap().remove("pid");
        said
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> (ExitStatus, String) {
        self.running.wait(LIMIT).unwrap()
    }

    pub fn stop(self) -> String {
        let (status, printed) = self.running.stop(LIMIT).unwrap();
        assert!(status.success(), "{printed}");
        printed
    }
}

/// The sockets that a process has, by inode.
fn sockets(process: u32) -> HashSet<PathBuf> {
    let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return HashSet::new();
    };
    open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .collect()
}

/// Waits until two processes have sockets in common.
pub async fn share_sockets(one: u32, other: u32) {
    until("the sockets are handed over", || {
        !sockets(one).is_disjoint(&sockets(other))
    })
    .await;
}

/// Waits for a state.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until somebody accepts connections there: a gateway opens its ports when it serves.
pub async fn listens(at: SocketAddr) {
    until("somebody listens", || {
        std::net::TcpStream::connect(at).is_ok()
    })
    .await;
}

/// Ends a process without a word.
pub fn murder(process: u32) {
    kill(Pid::from_raw(process.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

/// Memory of a process, KiB.
pub fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
    let status = status.unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}
