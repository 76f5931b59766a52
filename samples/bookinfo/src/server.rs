//! Listening, serving connections, and stopping without cutting a request off.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::{
    app::App,
    settings::{Settings, SettingsError},
};

/// How long requests in flight may take to finish after the shutdown began.
const GRACE: Duration = Duration::from_secs(5);
/// How long a client may take to send a request's head, and how long an idle connection is
/// kept. Longer than proxies usually keep theirs, so that it is they who close.
const IDLE: Duration = Duration::from_secs(75);
/// The pause after `accept` failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a service could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag or an environment variable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The listening socket.
    #[error("cannot listen on {host}:{port}: {source}")]
    Bind {
        /// The address or name asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The handlers for SIGTERM and SIGINT.
    #[error("cannot wait for signals: {0}")]
    Signal(std::io::Error),
}

/// A service that listens but does not accept yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
}

/// Runs one service until `shutdown` is cancelled and the requests in flight are answered
/// (for at most 5 s).
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(settings: Settings, shutdown: CancellationToken) -> Result<(), Error> {
    bind(settings).await?.run(shutdown).await;
    Ok(())
}

/// Opens the listening socket of a service.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(settings: Settings) -> Result<Bound, Error> {
    let failed = |source| Error::Bind {
        host: settings.host.clone(),
        port: settings.port,
        source,
    };
    let listener = TcpListener::bind((settings.host.as_str(), settings.port))
        .await
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound {
        listener,
        address,
        app: Arc::new(App::new(settings)),
    })
}

// === impl Bound ===

impl Bound {
    /// Where the service listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts and serves until `shutdown` is cancelled, then stops accepting and lets the
    /// requests in flight finish, for at most 5 s. Dropping the future cuts them off.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            listener,
            address,
            app,
        } = self;
        let Settings {
            service, version, ..
        } = &app.settings;
        info!("{service} {version} listens on http://{address}");

        let connections = TaskTracker::new();
        let abort = CancellationToken::new();
        let abort_on_drop = abort.clone().drop_guard();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (app, shutdown) = (app.clone(), shutdown.clone());
                    let connection = connection(app, stream, shutdown);
                    let abort = abort.clone();
                    connections.spawn(async move { abort.run_until_cancelled(connection).await });
                }
                Err(error) => {
                    warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        connections.close();
        if tokio::time::timeout(GRACE, connections.wait())
            .await
            .is_err()
        {
            warn!(
                "cutting off {} connections after {GRACE:?}",
                connections.len()
            );
        }
        drop(abort_on_drop);
        connections.wait().await;
    }
}

async fn connection(app: Arc<App>, stream: TcpStream, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!("cannot set TCP_NODELAY: {error}");
    }
    let service = service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(app.handle(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!("a connection failed: {error}");
    }
}
