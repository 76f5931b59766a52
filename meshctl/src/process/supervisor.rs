//! Starts processes, starts them again when they end, and stops them stage by stage.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{DIES_WITH, Program, Role};

/// This program, even if its file was replaced since this process began (proc(5)).
const SELF: &str = "/proc/self/exe";
/// First pause before a process is started again; doubles with each early end.
pub const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that lived so long starts again after the first pause.
const HEALTHY_LIFE: Duration = Duration::from_secs(10);
/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(8);
/// Time that a proxy may drain while the whole mesh ends: the second signal ends it at once.
const DRAIN_AT_END: Duration = Duration::from_secs(1);

/// Something that happened to a process.
#[derive(Debug)]
pub struct Event {
    /// [`Program::name`].
    pub name: String,
    /// [`Program::role`].
    pub role: Role,
    /// What happened.
    pub what: What,
}

/// What happened to a process.
#[derive(Debug)]
pub enum What {
    /// It runs.
    Started {
        /// Process id.
        pid: u32,
    },
    /// It said that it serves.
    Ready {
        /// The rest of its line.
        line: String,
    },
    /// It ended and will be started again.
    Exited {
        /// How.
        status: ExitStatus,
        /// Pause before the next start.
        pause: Duration,
    },
    /// It could not be started; will be tried again.
    Failed {
        /// Why.
        error: io::Error,
        /// Pause before the next try.
        pause: Duration,
    },
}

/// Processes that end together.
#[derive(Debug)]
pub struct Stage {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// Owns all processes of a mesh.
///
/// Use it on a current-thread runtime only: the kernel's "parent" of a process is the thread
/// that started it.
#[derive(Debug)]
pub struct Supervisor {
    events: mpsc::UnboundedSender<Event>,
    stages: BTreeMap<Role, Stage>,
    kill: CancellationToken,
}

// === impl Supervisor ===

impl Supervisor {
    /// An empty supervisor, and what it will report.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, receiver) = mpsc::unbounded_channel();
        (
            Self {
                events,
                stages: BTreeMap::new(),
                kill: CancellationToken::new(),
            },
            receiver,
        )
    }

    /// Starts a process and keeps it running.
    pub fn start(&mut self, program: Program) {
        let stage = self.stages.entry(program.role).or_insert_with(|| Stage {
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        });
        let keeper = Keeper {
            program,
            events: self.events.clone(),
            stop: stage.stop.clone(),
            kill: self.kill.clone(),
        };
        stage.tasks.spawn(keeper.run());
    }

    /// From now on processes are stopped with SIGKILL instead of SIGTERM.
    pub fn kill_token(&self) -> CancellationToken {
        self.kill.clone()
    }

    /// Stops everything in the order of [`Role`].
    pub async fn stop(mut self) {
        while let Some((_, mut stage)) = self.stages.pop_first() {
            stage.stop.cancel();
            while stage.tasks.join_next().await.is_some() {}
        }
    }
}

struct Keeper {
    program: Program,
    events: mpsc::UnboundedSender<Event>,
    stop: CancellationToken,
    kill: CancellationToken,
}

// === impl Keeper ===

impl Keeper {
    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            let what = match self.spawn() {
                Err(error) => What::Failed { error, pause },
                Ok(child) => match self.watch(child).await {
                    None => return,
                    Some(Ok(status)) => {
                        if started.elapsed() >= HEALTHY_LIFE {
                            pause = FIRST_PAUSE;
                        }
                        What::Exited { status, pause }
                    }
                    Some(Err(error)) => What::Failed { error, pause },
                },
            };
            self.report(what);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn report(&self, what: What) {
        // Nobody listens any more while everything stops.
        let _ = self.events.send(Event {
            name: self.program.name.clone(),
            role: self.program.role,
            what,
        });
    }

    fn spawn(&self) -> io::Result<Child> {
        let program = &self.program;
        let log = append(&program.log)?;
        let mut command = match &program.namespace {
            Some((namespace, privilege)) => namespace.command(SELF, *privilege),
            None => {
                let mut command = std::process::Command::new(SELF);
                command.arg0("meshctl");
                command
            }
        };
        command
            .args(&program.args)
            .stdin(Stdio::null())
            .stderr(log.try_clone()?);
        command.stdout(if program.says_ready {
            Stdio::piped()
        } else {
            log.into()
        });
        for (key, value) in &program.env {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        // A Ctrl-C at the terminal is for the one who started all this; it stops the others.
        command
            .env(DIES_WITH, std::process::id().to_string())
            .process_group(0);
        if let Some(dir) = &program.dir {
            if !dir.is_dir() {
                let text = format!("its directory {} is not there", dir.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
            command.current_dir(dir);
        }
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        let child = command.spawn()?;
        if let Some(pid) = child.id() {
            self.report(What::Started { pid });
        }
        Ok(child)
    }

    /// How the process ended; `None` if it was stopped.
    async fn watch(&self, mut child: Child) -> Option<io::Result<ExitStatus>> {
        let output = child.stdout.take();
        let copy = async {
            if let Some(output) = output {
                self.copy_output(output).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            status = child.wait() => return Some(status),
            () = copy => {}
            () = self.stop.cancelled() => {}
        }
        self.terminate(child).await;
        None
    }

    async fn terminate(&self, mut child: Child) {
        // It was not waited for yet, so the id is still its own.
        let tell = |child: &Child| {
            if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
        };
        tell(&child);
        if matches!(self.program.role, Role::Gateway | Role::Sidecar) {
            tokio::select! {
                _ = child.wait() => return,
                () = tokio::time::sleep(DRAIN_AT_END) => tell(&child),
                () = self.kill.cancelled() => {}
            }
        }
        // The guard of an application needs the whole grace for the application itself.
        let patience = if self.program.role == Role::App {
            GRACE + Duration::from_secs(2)
        } else {
            GRACE
        };
        tokio::select! {
            _ = child.wait() => return,
            () = tokio::time::sleep(patience) => {}
            () = self.kill.cancelled() => {}
        }
        // Fails only when it ended by itself.
        let _ = child.kill().await;
    }

    /// Writes the output to the log and reports the line `ready`.
    async fn copy_output(&self, output: impl AsyncRead + Unpin) {
        let Ok(log) = append(&self.program.log) else {
            return;
        };
        let mut log = tokio::fs::File::from_std(log);
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(rest) = line.strip_prefix("ready") {
                self.report(What::Ready {
                    line: rest.trim().to_owned(),
                });
            }
            // A full disk must not stop the mesh.
            let _ = log.write_all(format!("{line}\n").as_bytes()).await;
            let _ = log.flush().await;
        }
    }
}

fn append(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}
