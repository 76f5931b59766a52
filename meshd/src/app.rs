//! The composition root.

mod error;
mod serving;

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh_ca::listen::{Access, BoundAddress, ListenAddress, ListenError, Listener};
use mesh_ca::tls::{Incoming, IncomingOptions, ServerTls};
use mesh_ca::{Authority, CertificateAuthority, JoinTokens, Ledger};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin};
use crate::bundles::{BundleServer, BundleStore};
use crate::clock;
use crate::discovery::{DiscoveryService, Shared};
use crate::identity::{Identity, server_name};
use crate::keys::{self, KeyKeeper, KeyStore};
use crate::kubernetes::{self, Cluster, webhook};
use crate::last_good::{LastGood, Quarantine};
use crate::logging::LogControl;
use crate::mesh_config_file::MeshConfigFile;
use crate::metrics::{DiscoveryMetrics, Metrics, Sources};
use crate::publish::{ConfigHandle, Message, Published, Publisher};
use crate::registration::{Registrar, Registrations};
use crate::registry::Registry;
use crate::revision::Revisions;
use crate::settings::Settings;
use crate::source::{LookHandle, Scanner, Watcher};
pub use error::{BuildError, RunError};
use serving::{Federation, grpc_server, serve_discovery, serve_http};

/// How long open calls may take at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// How long giving back what others wait for may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A control plane.
#[derive(Debug)]
pub struct App;

/// A control plane that has loaded its configuration and is bound to its addresses.
pub struct Bound {
    /// Where discovery and certificates are served, in the order of the settings.
    pub discovery_addrs: Vec<BoundAddress>,
    /// Where the operator's interface is served, in the order of the settings.
    pub admin_addrs: Vec<BoundAddress>,
    /// Where metrics and probes are served, in the order of the settings.
    pub monitoring_addrs: Vec<BoundAddress>,
    /// Where admission webhooks are served, if they are.
    pub webhook_addr: Option<BoundAddress>,
    /// Where the bundle of this mesh is served to others, if it is.
    pub bundle_addr: Option<BoundAddress>,
    discovery: Vec<Listener>,
    admin: Vec<Listener>,
    monitoring: Vec<Listener>,
    cluster: Option<Cluster>,
    quarantine: watch::Receiver<Quarantine>,
    webhook: Option<webhook::Server>,
    federation: Federation,
    key_store: KeyStore,
    tls: ServerTls,
    identity: Identity,
    config: ConfigHandle,
    messages: mpsc::Receiver<Message>,
    publisher: Publisher,
    published: watch::Receiver<Arc<Published>>,
    watcher: Option<(Watcher, Scanner)>,
    look: Option<LookHandle>,
    registrar: Registrar,
    registrations: Registrations,
    log: Option<LogControl>,
    _lock: File,
}

// === impl App ===

impl App {
    /// Opens the state, loads the configuration and listens. Connections wait until
    /// [`Bound::run`].
    ///
    /// # Errors
    /// A [`BuildError`] that names the file or address, and what to do.
    pub async fn build(mut settings: Settings) -> Result<Bound, BuildError> {
        let mesh_config = match &settings.mesh_config {
            Some(path) => Some(MeshConfigFile::open(path, &mut settings.mesh)?),
            None => None,
        };
        let cluster = match &settings.kubernetes {
            Some(kubernetes) => Some(Cluster::open(kubernetes, &mut settings.mesh).await?),
            None => None,
        };
        let lock = open_state(&settings.state_dir)?;
        let revisions = Revisions::open(&settings.state_dir)?;
        let last_good = LastGood::open(&settings.state_dir)?;
        let quarantine = last_good.quarantine();
        let (registrar, registrations, registered) =
            Registrar::open(&settings.state_dir, settings.registration)?;
        let (identity, tls) = Identity::open(&settings, cluster.as_ref()).await?;
        let scanner = Scanner::new(&settings.config)?;
        // Watch first, look second: so nothing between is lost.
        let watching = (!settings.config.is_empty()).then(|| Watcher::new(&scanner));
        let (watcher, look) = watching.unzip();
        let mut mesh = settings.mesh.clone();
        mesh.roots_der = identity.roots_der();
        mesh.jwks = identity.jwks();
        let bundle_store = BundleStore::new(&settings.state_dir);
        mesh.bundles = bundle_store.load_all(&mesh.bundle_endpoints);
        let (publisher, published, scanner) = tokio::task::spawn_blocking(move || {
            let mut scanner = scanner;
            let mut first = scanner.scan(clock::instant(), &Default::default()).changes;
            first.extend(registered);
            let (publisher, published) = Publisher::new(mesh, revisions, last_good, first);
            (publisher, published, scanner)
        })
        .await?;
        let (config, messages) = ConfigHandle::channel();
        let discovery = bind(&settings.discovery, Access::Anybody).await?;
        let admin = bind(&settings.admin, Access::Owner).await?;
        let monitoring = bind(&settings.monitoring, Access::Anybody).await?;
        let webhook = bind_webhook(&settings, &identity).await?;
        let bundle_server = match &settings.bundle {
            Some(serving) => Some(BundleServer::bind(serving, &tls, &settings.state_dir).await?),
            None => None,
        };
        if let Some(serving) = &settings.bundle {
            identity.publish_ahead(serving.refresh_hint);
        }
        Ok(Bound {
            discovery_addrs: addresses(&discovery)?,
            admin_addrs: addresses(&admin)?,
            monitoring_addrs: addresses(&monitoring)?,
            webhook_addr: webhook.as_ref().map(|webhook| webhook.address().clone()),
            bundle_addr: bundle_server.as_ref().map(BundleServer::address).cloned(),
            discovery,
            admin,
            monitoring,
            cluster,
            quarantine,
            webhook,
            federation: Federation {
                server: bundle_server,
                store: bundle_store,
                mesh_config,
            },
            key_store: KeyStore::new(&settings.state_dir),
            tls,
            identity,
            config,
            messages,
            publisher,
            published,
            watcher: watcher.map(|watcher| (watcher, scanner)),
            look,
            registrar,
            registrations,
            log: None,
            _lock: lock,
        })
    }
}

async fn bind_webhook(
    settings: &Settings,
    identity: &Identity,
) -> Result<Option<webhook::Server>, BuildError> {
    let address = settings
        .kubernetes
        .as_ref()
        .and_then(|kubernetes| kubernetes.webhook.as_ref());
    let Some(address) = address else {
        return Ok(None);
    };
    let authority = match identity {
        Identity::Own { authority, .. } => Some(authority),
        Identity::External(_) => None,
    };
    let name = server_name(settings)?;
    Ok(Some(webhook::Server::bind(address, authority, name).await?))
}

/// Makes the state directory and takes it for us alone.
fn open_state(path: &Path) -> Result<File, BuildError> {
    let failed = |source| BuildError::State {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    let lock = File::options()
        .create(true)
        .append(true)
        .open(path.join("meshd.lock"))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(BuildError::StateTaken {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn bind(addresses: &[ListenAddress], access: Access) -> Result<Vec<Listener>, ListenError> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(Listener::bind(address, access).await?);
    }
    Ok(listeners)
}

fn addresses(listeners: &[Listener]) -> Result<Vec<BoundAddress>, BuildError> {
    listeners
        .iter()
        .map(Listener::address)
        .collect::<Result<_, _>>()
        .map_err(BuildError::Address)
}

// === impl Bound ===

impl Bound {
    /// Lets the operator change what is logged, by `POST /log`.
    #[must_use]
    pub fn with_log_control(mut self, log: LogControl) -> Self {
        self.log = Some(log);
        self
    }

    /// Feeds configuration from this program. Edits wait until [`Bound::run`].
    pub fn config(&self) -> ConfigHandle {
        self.config.clone()
    }

    /// What is in force, now and whenever it changes.
    pub fn published(&self) -> watch::Receiver<Arc<Published>> {
        self.published.clone()
    }

    /// The roots that peers trust, DER.
    pub fn roots_der(&self) -> Vec<Vec<u8>> {
        self.identity.roots_der()
    }

    /// The authority and its tokens, if they are in this process.
    pub fn authority(&self) -> Option<(&Arc<Authority>, &Arc<JoinTokens>)> {
        match &self.identity {
            Identity::Own {
                authority, tokens, ..
            } => Some((authority, tokens)),
            Identity::External(_) => None,
        }
    }

    /// Serves until `shutdown`, then ends the streams, so that proxies connect elsewhere, and
    /// answers what it has begun, for 5 s at most.
    ///
    /// # Errors
    /// If serving fails before.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let (config, published) = (self.config.clone(), self.published.clone());
        let desk = self.identity.desk();
        let ledger = desk.as_ref().map(|desk| Arc::clone(&desk.ledger));
        let registry = Registry::new(ledger.clone());
        let discovery_metrics = Arc::new(DiscoveryMetrics::new());
        let (mut chores, mut last_words) = (JoinSet::new(), JoinSet::new());
        let authority = self.authority().map(|(authority, _)| Arc::clone(authority));
        let council = self.identity.council();
        let certificates = self.identity.serve(&self.tls, &config, &mut chores);
        let cluster = self.cluster.map(|cluster| {
            let links = kubernetes::Links {
                config: config.clone(),
                published: published.clone(),
                authority,
                council,
                quarantine: self.quarantine,
                webhook: self.webhook,
                shutdown: shutdown.clone(),
            };
            kubernetes::start(&cluster, links, &mut chores, &mut last_words)
        });
        let metrics = Metrics::new(Sources {
            published: published.clone(),
            registry: registry.clone(),
            discovery: Arc::clone(&discovery_metrics),
            issue: certificates.as_ref().map(CertificateAuthority::counters),
            cluster: cluster.as_ref().map(|cluster| Arc::clone(&cluster.metrics)),
        });
        let (key_keeper, hints) = KeyKeeper::new(config.clone(), published.clone(), self.key_store);
        chores.spawn(key_keeper.run());
        let service = DiscoveryService::new(Shared {
            published: published.clone(),
            registry: registry.clone(),
            registrations: self.registrations,
            metrics: discovery_metrics,
            keys: hints,
            shutdown: shutdown.clone(),
        });
        let router = grpc_server()
            .add_service(service.into_server())
            .add_optional_service(certificates.clone().map(CertificateAuthority::into_server))
            .add_optional_service(certificates.map(CertificateAuthority::into_istio_server));

        let (publisher, messages) = (self.publisher, self.messages);
        let publishing = tokio::task::spawn_blocking(move || publisher.run(messages));
        if let Some((watcher, scanner)) = self.watcher {
            chores.spawn(watcher.run(scanner, config.clone()));
        }
        chores.spawn(self.registrar.run(config.clone(), shutdown.clone()));
        let mut servers = JoinSet::new();
        let links = (config.clone(), published.clone());
        let (tasks, stop) = ((&mut chores, &mut servers), shutdown.clone());
        self.federation.start(links, cluster.is_some(), tasks, stop);
        for listener in self.discovery {
            let incoming = Incoming::new(listener, self.tls.clone(), IncomingOptions::default());
            let (router, cluster, stop) = (router.clone(), cluster.clone(), shutdown.clone());
            let keys = keys::fetched(published.clone());
            servers.spawn(serve_discovery(incoming, router, (cluster, keys), stop));
        }
        let admin = Arc::new(Admin {
            published,
            registry,
            metrics,
            look: self.look,
            cluster,
            log: self.log,
            authority: desk,
            shutdown: shutdown.clone(),
        });
        serve_http(self.admin, &admin::router(&admin), &shutdown, &mut servers);
        let monitoring = admin::monitoring(&admin);
        serve_http(self.monitoring, &monitoring, &shutdown, &mut servers);
        let result = wait(servers, &shutdown).await;
        // Chores hold nothing that must be finished.
        chores.shutdown().await;
        finish(last_words, ledger).await?;
        if config.send(Message::Stop).await.is_ok() {
            publishing.await?;
        }
        result
    }
}

/// Lets tasks that have noticed the shutdown say what they still have to, for a while, and writes
/// down what the authority has refused in the last moment.
async fn finish(mut last_words: JoinSet<()>, ledger: Option<Arc<Ledger>>) -> Result<(), JoinError> {
    let all = async { while last_words.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
        tracing::warn!("the API server did not take everything in time");
    }
    match ledger {
        Some(ledger) => tokio::task::spawn_blocking(move || ledger.sync()).await,
        None => Ok(()),
    }
}

/// Waits for all servers; after `shutdown`, for a while.
async fn wait(
    mut servers: JoinSet<Result<(), RunError>>,
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
                Some(result) => result??,
                None => {
                    // Without a listener there is nothing to wait for but the end.
                    shutdown.cancelled().await;
                    return Ok(());
                }
            },
            () = &mut overdue => {
                tracing::warn!("some calls did not end in time");
                return Ok(());
            }
        }
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound")
            .field("discovery_addrs", &self.discovery_addrs)
            .field("admin_addrs", &self.admin_addrs)
            .finish_non_exhaustive()
    }
}
