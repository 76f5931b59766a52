//! Who certifies, and the certificate of this server.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::SpiffeId;
use mesh_ca::rotation::{Generations, Rotator};
use mesh_ca::tls::ServerTls;
use mesh_ca::{
    Authority, AuthorityOptions, BearerAuthenticator, CertificateAuthority, JoinTokens, Ledger,
    ServerName, keep_forgetting, keep_renewed, keep_synced,
};
use tokio::task::JoinSet;

use crate::app::BuildError;
use crate::authority::{ExternalIdentity, keep_roots_published};
use crate::clock;
use crate::kubernetes::Cluster;
use crate::kubernetes::ca::{self, AuthorityInCluster, Council, Keeper};
use crate::publish::ConfigHandle;
use crate::settings::{AuthoritySettings, Settings};

/// An authority in this process, or a certificate of another.
pub(crate) enum Identity {
    Own {
        authority: Arc<Authority>,
        tokens: Arc<JoinTokens>,
        name: ServerName,
        renew_at: SystemTime,
        ledger: Arc<Ledger>,
        rotator: Option<Arc<Rotator>>,
        cluster: Option<Box<InCluster>>,
    },
    External(Box<ExternalIdentity>),
}

/// What the operator and the proxies have to do with the authority.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) authority: Arc<Authority>,
    pub(crate) ledger: Arc<Ledger>,
    // None: its keys are not in a directory.
    pub(crate) rotator: Option<Arc<Rotator>>,
}

/// What an authority has in a cluster.
pub(crate) struct InCluster {
    authenticator: Arc<dyn BearerAuthenticator>,
    // None: its keys are in a directory.
    keeper: Option<Keeper>,
    council: Option<Arc<Council>>,
}

// === impl Identity ===

impl Identity {
    /// Opens the authority or asks the other one, and certifies this server. In a cluster the
    /// authority is in Secrets, unless a directory is named.
    pub(crate) async fn open(
        settings: &Settings,
        cluster: Option<&Cluster>,
    ) -> Result<(Self, ServerTls), BuildError> {
        match &settings.authority {
            AuthoritySettings::Own {
                dir,
                key_type,
                default_ttl,
                max_ttl,
            } => {
                let options = AuthorityOptions {
                    trust_domain: settings.trust_domain().clone(),
                    key_type: *key_type,
                    default_ttl: *default_ttl,
                    max_ttl: *max_ttl,
                    ..AuthorityOptions::default()
                };
                let place = dir.clone().unwrap_or_else(|| settings.state_dir.join("ca"));
                let ledger = Arc::new(Ledger::open(&place, clock::now())?);
                let mut rotator = None;
                let (authority, tokens, cluster) = match (cluster, dir) {
                    (Some(cluster), None) => {
                        let (opened, its) = in_cluster(cluster, options, &ledger).await?;
                        rotator = Some(its);
                        opened
                    }
                    (cluster, _) => {
                        let dir = place;
                        let authority = Arc::new(Authority::open(&dir, &options)?);
                        let tokens = Arc::new(JoinTokens::open(&dir)?);
                        // In a cluster other replicas have proxies that this one knows nothing of.
                        if cluster.is_none() {
                            let opened = open_rotator(&dir, &authority, &ledger).await?;
                            rotator = Some(Arc::new(opened));
                        }
                        let cluster = cluster.map(|cluster| {
                            let audiences = cluster.settings.token_audiences.clone();
                            Box::new(InCluster {
                                authenticator: ca::authenticator(&cluster.client, audiences),
                                keeper: None,
                                council: None,
                            })
                        });
                        (authority, tokens, cluster)
                    }
                };
                authority.record_in(&ledger);
                let tls = ServerTls::new(&authority.roots_der())?;
                let name = server_name(settings)?;
                let renew_at = name.present(&authority, &tls)?;
                Ok((
                    Self::Own {
                        authority,
                        tokens,
                        name,
                        renew_at,
                        ledger,
                        rotator,
                        cluster,
                    },
                    tls,
                ))
            }
            AuthoritySettings::External(external) => {
                let identity = ExternalIdentity::join(external.clone()).await?;
                let tls = ServerTls::new(identity.roots_der())?;
                identity.present(&tls)?;
                Ok((Self::External(Box::new(identity)), tls))
            }
        }
    }

    /// The roots that peers trust, DER.
    pub(crate) fn roots_der(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Own { authority, .. } => authority.roots_der().to_vec(),
            Self::External(identity) => identity.roots_der().to_vec(),
        }
    }

    /// Keys that verify JWT-SVIDs of the trust domain, a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> String {
        match self {
            Self::Own { authority, .. } => authority.jwks(clock::now()),
            Self::External(identity) => identity.jwks().to_owned(),
        }
    }

    /// Gives other trust domains, which look this often, time to learn of a new root.
    pub(crate) fn publish_ahead(&self, hint: Duration) {
        if let Self::Own {
            rotator: Some(rotator),
            ..
        } = self
        {
            // The standard recommends three to five times (SPIFFE Federation, section 4.1).
            rotator.publish_ahead(hint * 3);
        }
    }

    /// What replicas in a cluster confer by.
    pub(crate) fn council(&self) -> Option<Arc<Council>> {
        match self {
            Self::Own { cluster, .. } => cluster.as_ref()?.council.clone(),
            Self::External(_) => None,
        }
    }

    /// The authority, if it is in this process.
    pub(crate) fn desk(&self) -> Option<Desk> {
        match self {
            Self::Own {
                authority,
                ledger,
                rotator,
                ..
            } => Some(Desk {
                authority: Arc::clone(authority),
                ledger: Arc::clone(ledger),
                rotator: rotator.clone(),
            }),
            Self::External(_) => None,
        }
    }

    /// Begins to renew the certificate, and gives the service if certificates are served here.
    pub(crate) fn serve(
        self,
        tls: &ServerTls,
        config: &ConfigHandle,
        chores: &mut JoinSet<()>,
    ) -> Option<CertificateAuthority> {
        match self {
            Self::Own {
                authority,
                tokens,
                name,
                renew_at,
                ledger,
                rotator,
                cluster,
            } => {
                chores.spawn(keep_renewed(
                    name,
                    Arc::clone(&authority),
                    tls.clone(),
                    renew_at,
                ));
                chores.spawn(keep_forgetting(Arc::clone(&tokens)));
                chores.spawn(keep_roots_published(Arc::clone(&authority), config.clone()));
                if let Some(rotator) = rotator {
                    chores.spawn(rotator.run());
                }
                chores.spawn(keep_synced(Arc::clone(&ledger)));
                let service = CertificateAuthority::new(authority, tokens).with_ledger(ledger);
                let Some(cluster) = cluster else {
                    return Some(service);
                };
                if let Some(keeper) = cluster.keeper {
                    chores.spawn(keeper.run());
                }
                Some(service.with_authenticator(cluster.authenticator))
            }
            Self::External(identity) => {
                chores.spawn(identity.keep_renewed(tls.clone(), config.clone()));
                None
            }
        }
    }
}

async fn open_rotator(
    dir: &Path,
    authority: &Arc<Authority>,
    ledger: &Arc<Ledger>,
) -> Result<Rotator, BuildError> {
    let store = Arc::new(Generations::new(dir));
    Rotator::open(Arc::clone(authority), Arc::clone(ledger), store)
        .await
        .map_err(|error| BuildError::Setting(error.to_string()))
}

type Opened = (Arc<Authority>, Arc<JoinTokens>, Option<Box<InCluster>>);

async fn in_cluster(
    cluster: &Cluster,
    options: AuthorityOptions,
    ledger: &Arc<Ledger>,
) -> Result<(Opened, Arc<Rotator>), BuildError> {
    let settings = AuthorityInCluster {
        namespace: cluster.settings.namespace.clone(),
        options,
        audiences: cluster.settings.token_audiences.clone(),
        settle: AuthorityInCluster::SETTLE,
        instance: cluster.settings.instance.clone(),
        signs_alone: AuthorityInCluster::SIGNS_ALONE,
    };
    let opened = ca::open(&cluster.client, &settings, ledger).await?;
    let in_cluster = InCluster {
        authenticator: opened.authenticator,
        keeper: Some(opened.keeper),
        council: Some(opened.council),
    };
    let in_cluster = Some(Box::new(in_cluster));
    let parts = (opened.authority, opened.tokens, in_cluster);
    Ok((parts, opened.rotator))
}

/// What servers of this process are called, discovery and webhooks alike: by their identity, and
/// by every DNS name under which they are reached.
pub(crate) fn server_name(settings: &Settings) -> Result<ServerName, BuildError> {
    let mesh = &settings.mesh;
    let namespace = settings
        .kubernetes
        .as_ref()
        .map_or(&mesh.root_namespace, |kubernetes| &kubernetes.namespace);
    let identity = SpiffeId::new(settings.trust_domain(), namespace, "meshd")
        .map_err(|error| BuildError::Setting(error.to_string()))?;
    let mut dns_names = vec!["meshd".to_owned(), "localhost".to_owned()];
    if let Some(kubernetes) = &settings.kubernetes {
        let revision = &kubernetes.revision;
        dns_names.extend(ca::dns_names(namespace, revision, &mesh.cluster_domain));
    }
    dns_names.extend(settings.dns_names.iter().cloned());
    Ok(ServerName {
        identity,
        dns_names,
    })
}
