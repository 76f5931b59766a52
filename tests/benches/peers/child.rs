//! Programs that run beside us.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::listens;

/// Longest that one may take to listen.
const START: Duration = Duration::from_secs(20);
/// Longest that one may take to end.
const END: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);
/// What is shown of a log when its program fails, lines.
const LAST_LINES: usize = 20;

/// A program that runs. Dropping it ends it: first politely, then not.
pub(crate) struct Running {
    child: Child,
    name: String,
    log: PathBuf,
}

// === impl Running ===

impl Running {
    /// Starts it; what it prints goes to a file in the directory.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start {}; see --help for what is needed",
                    command.get_program().display()
                )
            })?;
        Ok(Self {
            child,
            name: name.to_owned(),
            log,
        })
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until somebody listens on the port.
    pub(crate) fn serves(&mut self, port: u16) -> anyhow::Result<()> {
        self.until(|_| Ok(listens(port)?.then_some(())))
    }

    /// Waits for a line that begins with `prefix`, and gives the rest of it.
    pub(crate) fn says(&mut self, prefix: &str) -> anyhow::Result<String> {
        self.until(|log| {
            let text = std::fs::read_to_string(log)?;
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let line = whole.lines().find_map(|line| line.strip_prefix(prefix));
            Ok(line.map(str::to_owned))
        })
    }

    fn until<T>(&mut self, look: impl Fn(&Path) -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
        let end = Instant::now() + START;
        loop {
            if let Some(found) = look(&self.log)? {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} has ended: {status}\n{}", self.name, self.last_lines());
            }
            if Instant::now() > end {
                bail!("{} is not ready\n{}", self.name, self.last_lines());
            }
            std::thread::sleep(LOOK);
        }
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(LAST_LINES).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let end = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of the loopback that nobody has now, for programs that cannot say which one they got.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
