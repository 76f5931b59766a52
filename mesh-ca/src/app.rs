//! The authority as a server of its own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::SpiffeId;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::authority::{Authority, AuthorityError, AuthorityMaterial, AuthorityOptions, Layout};
use crate::clock;
use crate::counters::IssueCounters;
use crate::issue::Refusal;
use crate::ledger::Ledger;
use crate::listen::{Access, BoundAddress, ListenAddress, ListenError, Listener};
use crate::renewal::{
    RenewError, ServerName, keep_forgetting, keep_reloaded, keep_renewed, keep_synced,
};
use crate::service::CertificateAuthority;
use crate::storage::FileError;
use crate::tls::{Incoming, IncomingOptions, ServerTls, TlsError};
use crate::tokens::JoinTokens;

/// How long open calls may take at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// What a server of certificates needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of the token key and, unless `cacerts` is given, of keys and certificates.
    pub dir: PathBuf,
    /// Directory with keys and certificates in the layout of Istio's `cacerts`. Looked at again
    /// now and then.
    pub cacerts: Option<PathBuf>,
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
    /// How to issue.
    pub authority: AuthorityOptions,
    /// Further DNS names of the server, besides `mesh-ca`, `meshd` and `localhost`.
    pub dns_names: Vec<String>,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The authority cannot be opened.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The token key or the audit record cannot be opened.
    #[error(transparent)]
    Tokens(#[from] FileError),
    /// An address is taken or invalid.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server's own certificate cannot be issued.
    #[error("cannot certify the server itself: {0}")]
    Certificate(#[from] RenewError),
    /// The operating system does not say where we listen.
    #[error("cannot find out where the server listens: {0}")]
    Address(io::Error),
}

/// Why the server stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// gRPC failed.
    #[error("the server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// A task of the server panicked.
    #[error("a task of the server failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// The composition root.
#[derive(Debug)]
pub struct App;

/// A server that is bound to its addresses.
#[derive(Debug)]
pub struct Bound {
    /// Where it listens, in the order of the settings.
    pub addresses: Vec<BoundAddress>,
    listeners: Vec<Listener>,
    service: CertificateAuthority,
    authority: Arc<Authority>,
    tokens: Arc<JoinTokens>,
    ledger: Arc<Ledger>,
    tls: ServerTls,
    name: ServerName,
    renew_at: SystemTime,
    cacerts: Option<PathBuf>,
}

// === impl App ===

impl App {
    /// Opens the authority and listens. Connections wait until [`Bound::run`].
    ///
    /// # Errors
    /// A [`BuildError`] that names the file or the address.
    pub async fn build(settings: Settings) -> Result<Bound, BuildError> {
        let authority = Arc::new(match &settings.cacerts {
            None => Authority::open(&settings.dir, &settings.authority)?,
            Some(dir) => {
                let material =
                    AuthorityMaterial::from_dir(Layout::Cacerts, dir, &settings.authority)?;
                Authority::from_material(material, &settings.authority)?
            }
        });
        let tokens = Arc::new(JoinTokens::open(&settings.dir)?);
        let ledger = Arc::new(Ledger::open(&settings.dir, clock::now())?);
        authority.record_in(&ledger);
        let tls = ServerTls::new(&authority.roots_der())?;
        let mut dns_names: Vec<String> =
            ["mesh-ca", "meshd", "localhost"].map(str::to_owned).into();
        dns_names.extend(settings.dns_names);
        let identity = own_identity(&authority, "mesh-ca")?;
        let name = ServerName {
            identity,
            dns_names,
        };
        let renew_at = name.present(&authority, &tls)?;
        let mut listeners = Vec::new();
        for address in &settings.listen {
            listeners.push(Listener::bind(address, Access::Anybody).await?);
        }
        let addresses = listeners
            .iter()
            .map(Listener::address)
            .collect::<Result<_, _>>()
            .map_err(BuildError::Address)?;
        let control_plane = ServerName {
            identity: own_identity(&authority, "meshd")?,
            dns_names: vec!["meshd".to_owned(), "localhost".to_owned()],
        };
        let service = CertificateAuthority::new(Arc::clone(&authority), Arc::clone(&tokens))
            .with_servers(vec![control_plane])
            .with_ledger(Arc::clone(&ledger));
        Ok(Bound {
            addresses,
            listeners,
            service,
            authority,
            tokens,
            ledger,
            tls,
            name,
            renew_at,
            cacerts: settings.cacerts,
        })
    }
}

// === impl Bound ===

impl Bound {
    /// What it issues and refuses.
    pub fn counters(&self) -> Arc<IssueCounters> {
        self.service.counters()
    }

    /// The authority.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// Its tokens.
    pub fn tokens(&self) -> &Arc<JoinTokens> {
        &self.tokens
    }

    /// Serves until `shutdown`, then answers what it has begun, for 5 s at most.
    ///
    /// # Errors
    /// If serving fails before.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let mut servers = JoinSet::new();
        for listener in self.listeners {
            let incoming = Incoming::new(listener, self.tls.clone(), IncomingOptions::default());
            let stop = shutdown.clone();
            let router = Server::builder()
                .http2_keepalive_interval(Some(Duration::from_secs(30)))
                .max_concurrent_streams(64)
                .add_service(self.service.clone().into_server())
                .add_service(self.service.clone().into_istio_server());
            servers.spawn(router.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()));
        }
        let mut chores = JoinSet::new();
        if let Some(dir) = self.cacerts {
            chores.spawn(keep_reloaded(dir, Arc::clone(&self.authority)));
        }
        chores.spawn(keep_renewed(
            self.name,
            self.authority,
            self.tls,
            self.renew_at,
        ));
        chores.spawn(keep_forgetting(self.tokens));
        chores.spawn(keep_synced(Arc::clone(&self.ledger)));
        let result = wait(servers, &shutdown).await;
        // Refusals of the last moment are not in the record yet.
        tokio::task::spawn_blocking(move || self.ledger.sync()).await?;
        result
    }
}

/// Waits for all servers; after `shutdown`, for a while.
async fn wait(
    mut servers: JoinSet<Result<(), tonic::transport::Error>>,
    shutdown: &CancellationToken,
) -> Result<(), RunError> {
    let overdue = async {
        shutdown.cancelled().await;
        sleep(DRAIN).await;
    };
    tokio::pin!(overdue);
    loop {
        tokio::select! {
            done = servers.join_next() => match done {
                None => return Ok(()),
                Some(result) => result??,
            },
            () = &mut overdue => {
                tracing::warn!("some calls did not end in time");
                return Ok(());
            }
        }
    }
}

/// Servers of the control plane live in Istio's root namespace.
fn own_identity(authority: &Authority, service_account: &str) -> Result<SpiffeId, RenewError> {
    SpiffeId::new(authority.trust_domain(), "istio-system", service_account)
        .map_err(|_| RenewError::Refused(Refusal::Internal))
}
