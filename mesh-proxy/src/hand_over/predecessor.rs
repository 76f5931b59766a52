//! The side of the newer process.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::message::{Channel, Message, ShortPath, VERSION, socket};
use super::sockets::{Inherited, Sockets};
use crate::settings::Settings;

/// A process whose sockets were taken over, and which serves until it is told otherwise.
#[derive(Debug)]
pub struct Predecessor {
    channel: Channel,
}

/// Why a process that runs cannot be replaced.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// It did not answer as it should.
    #[error("cannot take over from the process behind {path}: {source}")]
    Io {
        /// The Unix socket.
        path: String,
        /// What happened.
        source: io::Error,
    },
    /// It refuses.
    #[error("the process behind {path} does not hand over: {why}")]
    Refused {
        /// The Unix socket.
        path: String,
        /// What it says.
        why: String,
    },
}

const ANSWER: Duration = Duration::from_secs(10);

/// Takes over the sockets of a process that awaits a successor there. Without such a process
/// nothing is taken over.
///
/// # Errors
/// [`HandOverError`] if there is a process, and it does not hand over.
pub async fn take_over(
    settings: &Settings,
    into: &Sockets,
) -> Result<Option<Predecessor>, HandOverError> {
    let Some(path) = &settings.hand_over else {
        return Ok(None);
    };
    let shown = || path.display().to_string();
    let failed = |source| HandOverError::Io {
        path: shown(),
        source,
    };
    let Some(channel) = connect(path).map_err(failed)? else {
        return Ok(None);
    };
    let taken = tokio::time::timeout(ANSWER, ask(&channel, settings)).await;
    match taken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(Ok(sockets)) => {
            tracing::info!(
                sockets = sockets.len(),
                "taking over from a running process"
            );
            into.inherit(sockets);
            Ok(Some(Predecessor { channel }))
        }
        Ok(Err(why)) => Err(HandOverError::Refused { path: shown(), why }),
        Err(source) => Err(failed(source)),
    }
}

// Nobody is there, or a process that was killed left its file behind: nothing to take over.
fn connect(path: &Path) -> io::Result<Option<Channel>> {
    let nobody = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
        )
    };
    let connected = ShortPath::of(path).and_then(|short| {
        let socket = socket()?;
        socket.connect(&short.address()?)?;
        Ok(socket)
    });
    match connected {
        Ok(socket) => Channel::new(socket.into()).map(Some),
        Err(error) if nobody(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn ask(channel: &Channel, settings: &Settings) -> io::Result<Result<Vec<Inherited>, String>> {
    let take = Message::Take {
        version: VERSION,
        workload: settings.workload.to_string(),
        build: env!("CARGO_PKG_VERSION").to_owned(),
    };
    channel.send(&take, &[]).await?;
    let mut all = Vec::new();
    loop {
        let Some((message, sockets)) = channel.receive().await? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match message {
            Message::Refused { why } => return Ok(Err(why)),
            Message::Sockets {
                sockets: labels,
                more,
            } => {
                if labels.len() != sockets.len() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let pairs = labels.into_iter().zip(sockets);
                all.extend(pairs.filter_map(|(label, socket)| Inherited::new(label, socket)));
                if !more {
                    return Ok(Ok(all));
                }
            }
            Message::Take { .. } | Message::Serving => {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }
}

// === impl Predecessor ===

impl Predecessor {
    /// Tells it that this process accepts connections now. It closes its copies of the sockets,
    /// and ends when what it has accepted is served.
    pub async fn release(self) {
        match self.channel.send(&Message::Serving, &[]).await {
            Ok(()) => tracing::info!("took over; the older process drains"),
            // It has ended, and its sockets are here.
            Err(error) => tracing::warn!(%error, "the older process is gone already"),
        }
    }
}
