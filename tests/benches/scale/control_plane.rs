//! The meshd that is measured.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use mesh_ca::listen::{ListenAddress, Socket};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::process::Process;
use crate::source::Arguments;

/// Between two questions whether it is ready.
const ASK: Duration = Duration::from_millis(5);
/// Lines of the log that are shown when it fails.
const LAST_LINES: usize = 20;
/// Longest answer of the operator's interface.
const ANSWER: Duration = Duration::from_secs(30);

/// How to start it.
pub(crate) struct Recipe {
    pub(crate) binary: PathBuf,
    /// For state, certificates and log.
    pub(crate) root: PathBuf,
    pub(crate) source: Arguments,
    pub(crate) log: String,
    pub(crate) limit: Duration,
}

/// A meshd that runs. It is killed when this is dropped.
pub(crate) struct ControlPlane {
    child: Child,
    process: Process,
    /// Where discovery is served.
    pub(crate) discovery: ListenAddress,
    admin: ListenAddress,
    /// From its start until it served proxies.
    pub(crate) ready_after: Duration,
    /// Kept, so that it can print.
    _stdout: Lines<BufReader<ChildStdout>>,
}

// === impl Recipe ===

impl Recipe {
    /// Directory of the authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.root.join("ca")
    }

    fn log_file(&self) -> PathBuf {
        self.root.join("meshd.log")
    }

    /// Starts it and waits until it serves proxies.
    pub(crate) async fn start(&self, listen: &ListenAddress) -> anyhow::Result<ControlPlane> {
        let started = self.try_start(listen).await;
        started.with_context(|| {
            let file = self.log_file();
            let log = std::fs::read_to_string(&file).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(LAST_LINES).collect();
            let lines: Vec<&str> = lines.into_iter().rev().collect();
            format!(
                "meshd does not serve; the end of its log:\n{}\n",
                lines.join("\n")
            )
        })
    }

    async fn try_start(&self, listen: &ListenAddress) -> anyhow::Result<ControlPlane> {
        let begun = Instant::now();
        let mut child = self
            .command(listen)?
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let process = Process::new(child.id().context("meshd has ended")?);
        let stdout = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(self.limit, lines.next_line()).await;
        let line = line
            .with_context(|| format!("meshd has not bound its addresses after {:?}", self.limit))??
            .context("meshd has ended")?;
        let said = line.strip_prefix("ready ").context("no `ready` line")?;
        let said: Value = serde_json::from_str(said)?;
        let address = |name: &str| -> anyhow::Result<ListenAddress> {
            let text = said.get(name).and_then(|all| all.get(0)?.as_str());
            Ok(text
                .with_context(|| format!("no {name} in {said}"))?
                .parse()?)
        };
        let mut plane = ControlPlane {
            discovery: address("discovery")?,
            admin: address("admin")?,
            process,
            child,
            ready_after: Duration::ZERO,
            _stdout: lines,
        };
        while !plane.is_ready().await? {
            if let Some(status) = plane.child.try_wait()? {
                bail!("meshd has ended: {status}");
            }
            ensure!(
                begun.elapsed() < self.limit,
                "it is not ready after {:?}",
                self.limit
            );
            sleep(ASK).await;
        }
        plane.ready_after = begun.elapsed();
        Ok(plane)
    }

    fn command(&self, listen: &ListenAddress) -> anyhow::Result<Command> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut command = Command::new(&self.binary);
        command
            .args(["--log", &self.log, "run", "--print-ready", "--listen"])
            .arg(listen.to_string())
            .arg("--state-dir")
            .arg(self.root.join("state"))
            .arg("--ca-dir")
            .arg(self.authority())
            .arg("--admin")
            .arg(format!("unix://{}", self.root.join("admin.sock").display()))
            .args(&self.source)
            .env_remove("MESHD_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true);
        Ok(command)
    }
}

// === impl ControlPlane ===

impl ControlPlane {
    /// What the kernel says of it.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    async fn is_ready(&self) -> anyhow::Result<bool> {
        match self.get("/readyz").await {
            Ok((200, _)) => Ok(true),
            Ok((503, _)) => Ok(false),
            Ok((code, text)) => bail!("/readyz answers {code}: {text}"),
            // The socket is bound, and nobody answers yet.
            Err(_) => Ok(false),
        }
    }

    /// The revision in force.
    pub(crate) async fn revision(&self) -> anyhow::Result<u64> {
        let (code, text) = self.get("/v1/status").await?;
        ensure!(code == 200, "/v1/status answers {code}: {text}");
        let status: Value = serde_json::from_str(&text)?;
        let revision = status.get("revision").and_then(Value::as_str);
        Ok(revision
            .with_context(|| format!("no revision in {text}"))?
            .parse()?)
    }

    async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let request = format!("GET {path} HTTP/1.0\r\nHost: meshd\r\n\r\n");
        let mut answer = Vec::new();
        timeout(ANSWER, async {
            let mut socket = Socket::connect(&self.admin).await?;
            socket.write_all(request.as_bytes()).await?;
            socket.read_to_end(&mut answer).await
        })
        .await
        .with_context(|| format!("meshd does not answer {path} within {ANSWER:?}"))??;
        let answer = String::from_utf8(answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let code = head.split(' ').nth(1).context("no HTTP status")?.parse()?;
        Ok((code, body.to_owned()))
    }

    /// Ends it as an operator does.
    pub(crate) async fn stop(mut self, limit: Duration) -> anyhow::Result<()> {
        if let Some(id) = self.child.id() {
            kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGTERM)?;
        }
        let status = timeout(limit, self.child.wait()).await;
        let status = status.with_context(|| format!("meshd does not end within {limit:?}"))??;
        ensure!(status.success(), "meshd ended with {status}");
        Ok(())
    }
}

/// The binary that is measured.
pub(crate) fn binary(given: Option<&Path>) -> PathBuf {
    given.map_or_else(mesh_tests::binary::meshd, Path::to_owned)
}
