//! The binaries under test.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A `meshctl` that runs. Dropping it ends it: first politely, then not.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    stderr: Option<JoinHandle<String>>,
}

/// Builds `meshctl` in this profile and gives its path.
///
/// # Panics
/// If it does not build: no whole-mesh test can say anything then.
pub fn meshctl() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| built("meshctl")).clone()
}

/// Builds `meshd` in this profile and gives its path.
///
/// # Panics
/// If it does not build.
pub fn meshd() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| built("meshd")).clone()
}

/// Builds `mesh-proxy` in this profile and gives its path.
///
/// # Panics
/// If it does not build.
pub fn mesh_proxy() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| built("mesh-proxy")).clone()
}

/// The binary of a package that is called like it.
///
/// Where cargo fails, it gets one more chance, with one process at a time: a compiler that crashed
/// for want of memory says nothing about what is tested, and an error in the source fails again.
#[expect(clippy::panic, reason = "a test harness")]
fn built(name: &str) -> PathBuf {
    match build(name, &[]).or_else(|_| build(name, &["--jobs", "1"])) {
        Ok(path) => path,
        Err(status) => panic!("{name} does not build: {status}"),
    }
}

#[expect(clippy::expect_used, clippy::panic, reason = "a test harness")]
fn build(name: &str, more: &[&str]) -> Result<PathBuf, ExitStatus> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--locked", "-p", name, "--bin", name])
        .args(more)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.output().expect("cargo runs");
    if !output.status.success() {
        return Err(output.status);
    }
    let path = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back();
    Ok(path.unwrap_or_else(|| panic!("cargo built no {name}")))
}

// === impl Running ===

impl Running {
    /// Starts `meshctl` with these arguments.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start<S: AsRef<std::ffi::OsStr>>(
        arguments: impl IntoIterator<Item = S>,
    ) -> std::io::Result<Self> {
        Self::spawn(Command::new(meshctl()).args(arguments))
    }

    /// Starts a command that has been prepared.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // Read all the time, or a child that has much to say would wait for us.
        let stderr = child.stderr.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = pipe.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        let (send, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if send.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            child,
            lines,
            seen: Vec::new(),
            stderr,
        })
    }

    /// Waits for a line of the standard output that begins with `prefix`, and gives it.
    ///
    /// # Errors
    /// With all that was printed, if the output ends or `limit` passes first.
    pub fn wait_for(&mut self, prefix: &str, limit: Duration) -> Result<String, String> {
        let deadline = Instant::now() + limit;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.starts_with(prefix) {
                        return Ok(line);
                    }
                }
                Err(end) => {
                    let why = if end == RecvTimeoutError::Timeout {
                        "did not come in time"
                    } else {
                        "never came"
                    };
                    if end == RecvTimeoutError::Timeout {
                        let _ = self.child.kill();
                    }
                    return Err(format!(
                        "`{prefix}` {why}; printed:\n{}\n{}",
                        self.seen.join("\n"),
                        self.errors()
                    ));
                }
            }
        }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM, waits for the end, and gives the exit status with everything printed.
    ///
    /// # Errors
    /// If it does not end within `limit`; it is killed then.
    pub fn stop(mut self, limit: Duration) -> Result<(ExitStatus, String), String> {
        self.signal(Signal::SIGTERM);
        self.wait(limit)
    }

    /// Waits for the end by itself.
    ///
    /// # Errors
    /// If it does not end within `limit`; it is killed then.
    pub fn wait(&mut self, limit: Duration) -> Result<(ExitStatus, String), String> {
        let deadline = Instant::now() + limit;
        // The output closes when the process and its children have ended.
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line);
        }
        if Instant::now() >= deadline {
            let _ = self.child.kill();
            return Err(format!(
                "it did not end in {limit:?}; printed:\n{}\n{}",
                self.seen.join("\n"),
                self.errors()
            ));
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        Ok((
            status,
            format!("{}\n{}", self.seen.join("\n"), self.errors()),
        ))
    }

    fn errors(&mut self) -> String {
        self.stderr
            .take()
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(10);
            while self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                .is_ok()
            {}
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
