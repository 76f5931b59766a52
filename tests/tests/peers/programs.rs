//! Programs of others: where they are, how they run, how they end.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at something that is awaited.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// A server that runs until it is dropped.
pub(crate) struct Daemon {
    child: Child,
    name: String,
    directory: tempfile::TempDir,
    last: Signal,
}

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A program of Debian.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.extend(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    // Debian keeps the servers of PostgreSQL apart by version.
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|entry| entry.path().join("bin")));
    }
    let found = places.iter().map(|place| place.join(name));
    found
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run .ci/peers"))
}

/// A program of the Python environment.
pub(crate) fn python(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    let path = cache.join("mesh-peers/venv/bin").join(name);
    assert!(
        path.is_file(),
        "{} is not there: run .ci/peers",
        path.display()
    );
    path
}

/// A command that runs one of the scripts beside this file.
pub(crate) fn script(name: &str) -> Command {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/python");
    let mut command = Command::new(python("python"));
    command.arg(directory.join(name));
    command
}

/// A free port of 127.0.0.1 and ::1. It lies outside of the range that the kernel takes ports
/// for outgoing connections from, so that it is still free a moment later.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 10_000 + rand::random::<u16>() % 20_000;
        let free = |ip: &str| TcpListener::bind((ip, port)).is_ok();
        if free("127.0.0.1") && free("::1") {
            return port;
        }
    }
}

/// Runs a program to its end.
pub(crate) async fn run(command: Command) -> Said {
    let name = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .unwrap_or_else(|_| panic!("{name} does not end"))
        .unwrap();
    Said {
        ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a program that has to succeed, and gives what it printed.
pub(crate) async fn must(command: Command) -> String {
    let name = format!("{command:?}");
    let said = run(command).await;
    assert!(said.ok, "{name}:\n{}\n{}", said.out, said.err);
    said.out
}

/// Runs a client written in Python and reads the JSON that it prints.
pub(crate) async fn ask(command: Command) -> serde_json::Value {
    let text = must(command).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

// === impl Daemon ===

impl Daemon {
    /// A directory for a server, and the command that runs it. Servers that refuse to run as
    /// root run as nobody.
    pub(crate) fn directory() -> tempfile::TempDir {
        tempfile::Builder::new().prefix("peer").tempdir().unwrap()
    }

    /// Starts a server and waits until it accepts connections on `address`.
    pub(crate) async fn start(
        mut command: Command,
        directory: tempfile::TempDir,
        address: SocketAddr,
    ) -> Self {
        let log = directory.path().join("log");
        let file = File::create(&log).unwrap();
        let name = format!("{command:?}");
        let child = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            // Signals for the tests' terminal are not for servers.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut daemon = Self {
            child,
            name,
            directory,
            last: Signal::SIGKILL,
        };
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect(address).is_err() {
            let ended = daemon.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{} does not serve {address}: {ended:?}\n{}",
                daemon.name,
                fs::read_to_string(&log).unwrap()
            );
            tokio::time::sleep(PAUSE).await;
        }
        daemon
    }

    /// Ends it by this signal, for servers with processes of their own.
    pub(crate) fn ended_by(mut self, signal: Signal) -> Self {
        self.last = signal;
        self
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What it has printed.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(id), self.last);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
