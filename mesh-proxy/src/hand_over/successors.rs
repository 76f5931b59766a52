//! The side of the older process.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use mesh_api::WorkloadName;

use super::message::{Channel, Message, SOCKETS_AT_A_TIME, ShortPath, VERSION, socket};
use super::sockets::{Offered, Sockets};
use crate::drain::DrainSignal;
use crate::net::UnixListener;

/// Awaits a process that replaces this one.
pub struct Successors {
    listener: UnixListener,
    sockets: Sockets,
    workload: WorkloadName,
    _offered: Offered,
}

const ROLE: &str = "hand-over";
const ASK: Duration = Duration::from_secs(5);
// Out of descriptors or memory: the condition needs time to pass.
const PAUSE: Duration = Duration::from_millis(100);
const BACKLOG: i32 = 4;

// === impl Successors ===

impl Successors {
    /// Opens the socket at `path`, or takes over that of the predecessor.
    ///
    /// # Errors
    /// If the socket cannot be opened.
    pub fn listen(path: &Path, sockets: &Sockets, workload: &WorkloadName) -> io::Result<Self> {
        let listener = match sockets.hand_over(ROLE) {
            Some(listener) => listener,
            None => open(path)?,
        };
        let offered = sockets.offer(ROLE, None, &listener);
        let listener = std::os::unix::net::UnixListener::from(listener);
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            sockets: sockets.clone(),
            workload: workload.clone(),
            _offered: offered,
        })
    }

    /// Gives the sockets to whoever asks for them, until one of them says that it serves: then
    /// `drain` learns that this process is replaced.
    pub async fn serve(self, drain: DrainSignal) {
        loop {
            let accepted = self.listener.accept().await;
            let connected = accepted.and_then(|(connected, _)| connected.into_std());
            let channel = match connected.and_then(|one| Channel::new(one.into())) {
                Ok(channel) => channel,
                Err(error) => {
                    tracing::warn!(%error, "a process that would take over is not served");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            match self.hand_over(&channel).await {
                Ok(true) => break,
                Ok(false) => {
                    tracing::warn!("the newer process ended before it served; this one goes on");
                }
                Err(error) => tracing::warn!(%error, "the sockets could not be handed over"),
            }
        }
        tracing::info!("a newer process serves in this one's place");
        drain.replace();
    }

    /// Whether the other process serves now.
    async fn hand_over(&self, channel: &Channel) -> io::Result<bool> {
        let asked = tokio::time::timeout(ASK, channel.receive())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let refused = match asked {
            Some((Message::Take { version, .. }, _)) if version != VERSION => {
                format!("it speaks version {VERSION} of the hand-over, not {version}")
            }
            Some((Message::Take { workload, .. }, _)) if workload != self.workload.to_string() => {
                format!("it serves {}", self.workload)
            }
            Some((Message::Take { build, .. }, _)) => {
                tracing::info!(build, "handing the sockets over to a newer process");
                self.give(channel).await?;
                // It may wait for its certificate as long as it needs.
                let said = channel.receive().await?;
                return Ok(matches!(said, Some((Message::Serving, _))));
            }
            _ => "it was asked for something else than its sockets".to_owned(),
        };
        tracing::warn!(why = refused, "the sockets are not handed over");
        channel
            .send(&Message::Refused { why: refused }, &[])
            .await?;
        Ok(false)
    }

    async fn give(&self, channel: &Channel) -> io::Result<()> {
        let all = self.sockets.offered();
        let mut parts = all.chunks(SOCKETS_AT_A_TIME).peekable();
        while let Some(part) = parts.next() {
            let sockets: Vec<_> = part.iter().map(|(_, socket)| socket.as_fd()).collect();
            let message = Message::Sockets {
                sockets: part.iter().map(|(label, _)| label.clone()).collect(),
                more: parts.peek().is_some(),
            };
            channel.send(&message, &sockets).await?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    // Nobody answered there, or this process would have taken over from him.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = socket()?;
    socket.bind(&ShortPath::of(path)?.address()?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
