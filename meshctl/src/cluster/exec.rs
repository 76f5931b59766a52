//! Commands inside of containers.

use std::io::{self, Read as _, Write};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{AttachParams, AttachedProcess, TerminalSize};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Cluster, ClusterError, PodInfo, Refusal};

/// Longest output that is kept.
const LONGEST_OUTPUT: u64 = 16 * 1024 * 1024;
const BUFFER: usize = 64 * 1024;

/// Exit code of a command, as shells count them: 126 and 127 say that it could not be run.
pub type ExitCode = u8;

/// A command that has ended, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Its exit code.
    pub code: ExitCode,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error; also why it could not be run.
    pub stderr: String,
}

/// How a command is bound to the streams of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interactive {
    /// Whether it has a terminal.
    pub terminal: bool,
}

// === impl Cluster ===

impl Cluster {
    /// Runs a command in a pod's application container and takes what it says.
    ///
    /// # Errors
    /// If it cannot be started, or does not end in time.
    pub async fn execute(
        &self,
        pod: &PodInfo,
        command: &[&str],
        timeout: Duration,
    ) -> Result<Executed, ClusterError> {
        let parameters = AttachParams::default()
            .container(&pod.container)
            .max_stdout_buf_size(BUFFER);
        let run = async {
            let mut process = self.attach(pod, command, &parameters).await?;
            let (stdout, stderr, status) =
                (process.stdout(), process.stderr(), process.take_status());
            let (stdout, stderr) = tokio::join!(collect(stdout), collect(stderr));
            let status = match status {
                Some(status) => status.await,
                None => None,
            };
            let (code, message) = outcome(status.as_ref());
            let mut stderr = String::from_utf8_lossy(&stderr).into_owned();
            stderr.push_str(&message);
            Ok(Executed {
                code,
                stdout,
                stderr,
            })
        };
        match tokio::time::timeout(timeout, run).await {
            Ok(executed) => executed,
            Err(_) => Err(ClusterError::Refused(Box::new(Refusal {
                context: self.context().to_owned(),
                verb: "create",
                resource: format!("pods/exec of {}", pod.name),
                place: format!("in namespace {}", pod.namespace),
                code: 0,
                message: format!("the command did not end within {timeout:?}"),
            }))),
        }
    }

    /// Runs a command in a pod's application container, with the streams of this process.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn interact(
        &self,
        pod: &PodInfo,
        command: &[&str],
        how: Interactive,
    ) -> Result<ExitCode, ClusterError> {
        let parameters = AttachParams::default()
            .container(&pod.container)
            .stdin(true)
            .stdout(true)
            .stderr(!how.terminal)
            .tty(how.terminal)
            .max_stdin_buf_size(BUFFER)
            .max_stdout_buf_size(BUFFER);
        let mut process = self.attach(pod, command, &parameters).await?;
        let raw = how.terminal.then(RawTerminal::enter).and_then(Result::ok);
        let sizes = process.terminal_size();
        let resizing = async {
            let (Some(mut sizes), Ok(mut changed)) = (sizes, signal(SignalKind::window_change()))
            else {
                return;
            };
            loop {
                if let Some((width, height)) = terminal_size::terminal_size() {
                    let size = TerminalSize {
                        width: width.0,
                        height: height.0,
                    };
                    if sizes
                        .try_send(size)
                        .is_err_and(|error| error.is_disconnected())
                    {
                        return;
                    }
                }
                changed.recv().await;
            }
        };
        let input = feed(standard_input(), process.stdin());
        let (stdout, stderr) = (process.stdout(), process.stderr());
        let status = process.take_status();
        let told = async {
            tokio::join!(show(stdout, io::stdout()), show(stderr, io::stderr()),);
            match status {
                Some(status) => status.await,
                None => None,
            }
        };
        tokio::pin!(told, input, resizing);
        let mut input_open = true;
        let status = loop {
            tokio::select! {
                status = &mut told => break status,
                () = &mut input, if input_open => input_open = false,
                () = &mut resizing, if raw.is_some() => {}
            }
        };
        drop(raw);
        let (code, message) = outcome(status.as_ref());
        if !message.is_empty() {
            crate::output::complain(format_args!("error: {message}"));
        }
        Ok(code)
    }

    async fn attach(
        &self,
        pod: &PodInfo,
        command: &[&str],
        parameters: &AttachParams,
    ) -> Result<AttachedProcess, ClusterError> {
        let pods = self.pods(&pod.namespace);
        let error = match pods
            .exec(&pod.name, command.iter().copied(), parameters)
            .await
        {
            Ok(process) => return Ok(process),
            Err(error) => error,
        };
        // The upgrade to a stream loses the API server's words; the pod tells more.
        let now = pods.get_opt(&pod.name).await;
        let place = format!("container {} of pod {}", pod.container, pod.uid());
        let why = match now {
            Ok(None) => Some("the pod is not there any more".to_owned()),
            Ok(Some(now)) => not_running(&now, &pod.container),
            Err(_) => None,
        };
        Err(match why {
            Some(why) => ClusterError::NotRunning {
                context: self.context().to_owned(),
                place,
                why,
            },
            None => self.failed("create", "pods/exec", Some(&pod.namespace))(error),
        })
    }
}

/// Why a container cannot run a command now; none if it runs.
fn not_running(pod: &Pod, container: &str) -> Option<String> {
    let status = pod.status.as_ref()?;
    let main = status.container_statuses.iter().flatten();
    let init = status.init_container_statuses.iter().flatten();
    let Some(found) = main.chain(init).find(|one| one.name == container) else {
        return Some(format!(
            "the pod is {}",
            status.phase.as_deref().unwrap_or("not scheduled")
        ));
    };
    let state = found.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("no reason given");
        return Some(format!("it waits: {reason}"));
    }
    let ended = state.terminated.as_ref()?;
    Some(format!(
        "it has ended with code {} ({})",
        ended.exit_code,
        ended.reason.as_deref().unwrap_or("no reason given")
    ))
}

/// Standard input, read by a thread of its own: a terminal's cannot be waited for otherwise. The
/// thread goes with the process.
fn standard_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut buffer = vec![0; BUFFER];
        let mut input = io::stdin().lock();
        while let Ok(length) = input.read(&mut buffer) {
            let read = buffer.get(..length).unwrap_or_default();
            if read.is_empty() || sender.blocking_send(read.to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Hands input on until it ends. That the command reads no more is no error.
async fn feed(mut input: mpsc::Receiver<Vec<u8>>, to: Option<impl AsyncWrite + Unpin>) {
    let Some(mut to) = to else { return };
    while let Some(bytes) = input.recv().await {
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Shows output until it ends. That it breaks off shows in the exit code.
async fn show(from: Option<impl AsyncRead + Unpin>, mut to: impl Write) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; BUFFER];
    while let Ok(length) = from.read(&mut buffer).await {
        let read = buffer.get(..length).unwrap_or_default();
        if read.is_empty() {
            return;
        }
        // Whoever has read our output so far may have gone.
        let _ = to.write_all(read).and_then(|()| to.flush());
    }
}

async fn collect(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What has come until it broke off is what there is to show.
        let _ = stream.take(LONGEST_OUTPUT).read_to_end(&mut bytes).await;
    }
    bytes
}

/// The exit code that the kubelet reports, and its words if the command could not be run.
fn outcome(status: Option<&Status>) -> (ExitCode, String) {
    let Some(status) = status else {
        return (126, "the connection to the container broke off".to_owned());
    };
    if status.status.as_deref() == Some("Success") {
        return (0, String::new());
    }
    let details = status.details.iter();
    let causes = details.flat_map(|details| details.causes.iter().flatten());
    let code = causes
        .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .find_map(|cause| cause.message.as_ref()?.parse::<i64>().ok());
    // Each component on the way has put the same words before it.
    let message = status.message.clone().unwrap_or_default();
    let message = message.replace("Internal error occurred: ", "");
    match code {
        Some(code) => (
            ExitCode::try_from(code).unwrap_or(ExitCode::MAX),
            String::new(),
        ),
        None if message.contains("no such file") || message.contains("not found") => (127, message),
        None => (126, message),
    }
}

/// The terminal hands every key through while this lives.
struct RawTerminal(Termios);

// === impl RawTerminal ===

impl RawTerminal {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: serde_json::Value) -> Status {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn reads_exit_codes() {
        assert_eq!(
            outcome(Some(&status(serde_json::json!({"status": "Success"})))),
            (0, String::new())
        );
        let failed = status(serde_json::json!({
            "status": "Failure", "message": "command terminated with non-zero exit code",
            "reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
        }));
        assert_eq!(outcome(Some(&failed)), (7, String::new()));
        let missing = status(serde_json::json!({
            "status": "Failure", "message": "exec: \"curl\": no such file or directory", "reason": "InternalError",
        }));
        assert_eq!(outcome(Some(&missing)).0, 127);
        assert_eq!(outcome(None).0, 126);
    }
}
