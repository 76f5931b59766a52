//! The certificate authority in a cluster.
//!
//! - `secret`: keys and certificates stand in the Secret `mesh-ca`, or in Istio's `cacerts`, which
//!   goes first. What to do about them is decided there; `store` does it, `keeper` follows them.
//! - `token_review`: pods prove who they are by their service-account token.
//! - `council`: replicas tell each other what holds a rotation of the root up.
//! - `signers`: replicas tell by which step of a rotation they sign, and stop when they cannot.
//! - `roots`: the ConfigMap `mesh-ca-root-cert` in every namespace.

mod council;
mod jwt;
mod keeper;
pub(crate) mod pem;
mod review_cache;
mod roots;
mod secret;
mod signers;
mod store;
mod token_review;

#[cfg(test)]
#[cfg(feature = "cluster")]
mod cluster_tests;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use mesh_ca::rotation::Rotator;
use mesh_ca::{Authority, AuthorityOptions, BearerAuthenticator, Fence, JoinTokens, Ledger};

pub(crate) use council::Council;
pub(crate) use keeper::Keeper;
pub(crate) use roots::keep_root_config_maps;
pub use secret::AuthoritySecretError;
pub use store::AuthorityStoreError;

use crate::clock;
use secret::Loaded;
use signers::Signers;
use store::SecretStore;
use token_review::TokenReviews;
pub use token_review::service_account_of;

/// How an authority in a cluster works.
#[derive(Debug, Clone)]
pub(crate) struct AuthorityInCluster {
    /// Namespace in which the mesh is installed.
    pub(crate) namespace: String,
    /// How to issue.
    pub(crate) options: AuthorityOptions,
    /// Audiences of the tokens that pods prove themselves with: one of them is enough.
    pub(crate) audiences: Vec<String>,
    /// How long new roots are only trusted before they are signed by.
    pub(crate) settle: Duration,
    /// Name of this replica: that of its pod.
    pub(crate) instance: String,
    /// How long it signs without knowing whether its keys are still in force.
    pub(crate) signs_alone: Duration,
}

/// An authority whose material is in the cluster, and what goes with it.
pub(crate) struct OpenAuthority {
    pub(crate) authority: Arc<Authority>,
    pub(crate) tokens: Arc<JoinTokens>,
    /// Knows the tokens of service accounts.
    pub(crate) authenticator: Arc<dyn BearerAuthenticator>,
    /// To be run.
    pub(crate) keeper: Keeper,
    /// To be run.
    pub(crate) rotator: Arc<Rotator>,
    /// To be told who leads.
    pub(crate) council: Arc<Council>,
}

// === impl AuthorityInCluster ===

impl AuthorityInCluster {
    /// The audience that Istio's injection gives tokens.
    pub(crate) const AUDIENCE: &'static str = "istio-ca";
    /// Enough for every connected proxy to hear of new roots.
    pub(crate) const SETTLE: Duration = Duration::from_secs(10);
    /// How long an API server may be away until no certificates are signed, and how long a replica
    /// that is cut off can hold a rotation up. Certificates that are in use live for many hours
    /// after that.
    pub(crate) const SIGNS_ALONE: Duration = Duration::from_secs(60 * 60);
}

/// Opens the authority of a cluster: of the Secret `cacerts` if there is one, else of `mesh-ca`,
/// which is created where it is missing. Join tokens are those of all replicas, and so never for
/// single use.
///
/// # Errors
/// If the API server does not do what is asked, or a Secret does not hold what it should; the
/// error names the Secret and its key.
pub(crate) async fn open(
    client: &Client,
    settings: &AuthorityInCluster,
    ledger: &Arc<Ledger>,
) -> Result<OpenAuthority, AuthorityStoreError> {
    let store = SecretStore::new(client.clone(), &settings.namespace, &settings.options);
    let store = Arc::new(store);
    let loaded = store.load().await?;
    let Loaded {
        material,
        token_key,
        ..
    } = &loaded;
    let authority = Authority::from_material_at(material.clone(), &settings.options, clock::now())
        .map_err(AuthoritySecretError::from)?;
    authority
        .take_charge(loaded.charge(), clock::now())
        .map_err(AuthoritySecretError::from)?;
    let tokens =
        JoinTokens::from_key(&token_key.0).map_err(|source| AuthoritySecretError::TokenKey {
            place: format!("{}/{}", settings.namespace, secret::OWN),
            source,
        })?;
    let (authority, tokens) = (Arc::new(authority), Arc::new(tokens));
    tracing::info!(%material, trust_domain = %authority.trust_domain(), "opened the authority");
    let fence = Arc::new(Fence::new(settings.signs_alone));
    authority.fenced_by(Arc::clone(&fence));
    let (namespace, instance) = (&settings.namespace, &settings.instance);
    let signers = Signers::new(client, namespace, instance, (Arc::clone(&store), fence));
    // So that the first who asks for a certificate gets one.
    let under_way = loaded.record.rotation.is_some();
    signers.renew(loaded.record.steps, under_way).await;
    let council = Arc::new(Council::new(client, namespace, instance, signers));
    let rotator = Rotator::new(
        Arc::clone(&authority),
        Arc::clone(ledger),
        Arc::clone(&store) as _,
        loaded.record.clone(),
    );
    let rotator = Arc::new(rotator.with_peers(Arc::clone(&council) as _));
    let keeper = Keeper::new(
        store,
        Arc::clone(&authority),
        Arc::clone(&tokens),
        Arc::clone(&rotator),
        &loaded,
        settings.settle,
    );
    Ok(OpenAuthority {
        authority,
        tokens,
        authenticator: authenticator(client, settings.audiences.clone()),
        keeper,
        rotator,
        council,
    })
}

/// Knows the tokens of service accounts that are for one of these audiences.
pub(crate) fn authenticator(
    client: &Client,
    audiences: Vec<String>,
) -> Arc<dyn BearerAuthenticator> {
    Arc::new(TokenReviews::new(client.clone(), audiences))
}

/// The DNS names by which servers of the control plane are called in a cluster.
pub(crate) fn dns_names(namespace: &str, revision: &str, cluster_domain: &str) -> Vec<String> {
    ["meshd".to_owned(), format!("meshd-{revision}")]
        .iter()
        .flat_map(|service| {
            [
                format!("{service}.{namespace}.svc"),
                format!("{service}.{namespace}.svc.{cluster_domain}"),
                format!("{service}.{namespace}"),
            ]
        })
        .collect()
}
