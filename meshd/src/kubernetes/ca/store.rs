//! The Secrets of the authority in the API server.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use mesh_ca::rotation::{RotationRecord, RotationRefusal, RotationStore, StoreError};
use mesh_ca::{AuthorityMaterial, AuthorityOptions, Charge};
use tokio::time::timeout;

use super::secret::{
    AuthoritySecretError, CACERTS, Found, Loaded, OWN, Plan, RotationWriteError, plan, steps,
    with_generation, with_record,
};
use crate::clock;
use crate::kubernetes::ClusterError;

/// A step is written down in this time, or fails.
const SAVED: Duration = Duration::from_secs(5);
/// How often others may be faster before we give up for now.
const ATTEMPTS: usize = 20;

/// Reads the Secrets, and writes our own where something is missing.
pub(super) struct SecretStore {
    api: Api<Secret>,
    namespace: String,
    options: AuthorityOptions,
    // What our Secret held when it was read last.
    memory: Mutex<Option<Secret>>,
}

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityStoreError {
    /// The API server does not do what is asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The Secrets do not hold what they should.
    #[error(transparent)]
    Secret(#[from] AuthoritySecretError),
    /// Somebody else changes the Secret all the time.
    #[error("the Secret {namespace}/mesh-ca changes all the time: does somebody else write it?")]
    Contended {
        /// Its namespace.
        namespace: String,
    },
}

// === impl SecretStore ===

impl SecretStore {
    pub(super) fn new(client: Client, namespace: &str, options: &AuthorityOptions) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            options: options.clone(),
            memory: Mutex::default(),
        }
    }

    pub(super) fn api(&self) -> Api<Secret> {
        self.api.clone()
    }

    /// How many steps of rotations are written down; `None` if that cannot be understood, so that
    /// nobody takes one.
    pub(super) async fn steps(&self) -> Result<Option<u64>, StoreError> {
        let own = self
            .read(OWN)
            .await?
            .ok_or("the Secret mesh-ca is not there")?;
        Ok(steps(&self.namespace, &own))
    }

    /// What to serve by. Creates or completes our Secret; of several replicas that do so at the
    /// same time one is first, and the others take what it wrote.
    pub(super) async fn load(&self) -> Result<Loaded, AuthorityStoreError> {
        for _ in 0..ATTEMPTS {
            let found = self.found().await?;
            let memory = self.remembered();
            let plan = plan(
                &self.namespace,
                &found,
                memory.as_ref(),
                &self.options,
                clock::now(),
            )?;
            match plan {
                Plan::Use(loaded) => {
                    self.remember(found.own);
                    return Ok(*loaded);
                }
                Plan::Create(secret) => {
                    let made = self.api.create(&PostParams::default(), &secret).await;
                    if self.written("create", made)? {
                        tracing::info!(namespace = self.namespace, "created the Secret mesh-ca");
                    }
                }
                Plan::Replace(secret, why) => {
                    if self.replace(&secret).await? {
                        tracing::info!(
                            namespace = self.namespace,
                            why,
                            "changed the Secret mesh-ca"
                        );
                    }
                }
            }
        }
        Err(self.contended())
    }

    /// Changes our Secret by what `change` makes of it, however often others are faster. Nothing
    /// is written if that is `None`.
    async fn change(
        &self,
        change: impl Fn(&Secret) -> Result<Option<Secret>, RotationWriteError> + Send + Sync,
    ) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let Found { own, cacerts } = self.found().await?;
            if cacerts.is_some() {
                return Err(RotationRefusal::PluggedIn.into());
            }
            let Some(own) = own else {
                // It is made anew, or restored.
                self.load().await?;
                continue;
            };
            let changed = change(&own).map_err(|error| -> StoreError {
                match error {
                    RotationWriteError::Refused(refusal) => refusal.into(),
                    RotationWriteError::Secret(error) => error.into(),
                }
            })?;
            match changed {
                None => return Ok(()),
                Some(secret) if self.replace(&secret).await? => return Ok(()),
                Some(_) => {}
            }
        }
        Err(self.contended().into())
    }

    /// Whether it was us who wrote.
    async fn replace(&self, secret: &Secret) -> Result<bool, AuthorityStoreError> {
        let made = self.api.replace(OWN, &PostParams::default(), secret).await;
        self.written("change", made)
    }

    async fn found(&self) -> Result<Found, AuthorityStoreError> {
        Ok(Found {
            own: self.read(OWN).await?,
            cacerts: self.read(CACERTS).await?,
        })
    }

    fn contended(&self) -> AuthorityStoreError {
        AuthorityStoreError::Contended {
            namespace: self.namespace.clone(),
        }
    }

    async fn read(&self, name: &str) -> Result<Option<Secret>, AuthorityStoreError> {
        self.api.get_opt(name).await.map_err(|error| {
            let what = format!("read the Secret {}/{name}", self.namespace);
            ClusterError::from_call(what, &error).into()
        })
    }

    /// Whether it was us who wrote: not if somebody else was faster, or has deleted it.
    fn written(&self, verb: &str, made: kube::Result<Secret>) -> Result<bool, AuthorityStoreError> {
        match made {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status))
                if status.is_already_exists() || status.is_conflict() || status.is_not_found() =>
            {
                // A missing namespace is nobody's being faster.
                match status.is_not_found() && verb == "create" {
                    true => Err(self.failed(verb, &kube::Error::Api(status))),
                    false => Ok(false),
                }
            }
            Err(error) => Err(self.failed(verb, &error)),
        }
    }

    fn failed(&self, verb: &str, error: &kube::Error) -> AuthorityStoreError {
        let what = format!("{verb} the Secret {}/{OWN}", self.namespace);
        ClusterError::from_call(what, error).into()
    }

    fn remembered(&self) -> Option<Secret> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.clone()
    }

    fn remember(&self, secret: Option<Secret>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        *memory = secret;
    }
}

#[tonic::async_trait]
impl RotationStore for SecretStore {
    async fn record(&self) -> Result<RotationRecord, StoreError> {
        Ok(self.load().await?.record)
    }

    async fn make(
        &self,
        next: u64,
        options: &AuthorityOptions,
    ) -> Result<AuthorityMaterial, StoreError> {
        let material = AuthorityMaterial::generate(options, clock::now())?;
        self.change(|own| with_generation(&self.namespace, own, next, &material).map(Some))
            .await?;
        Ok(material)
    }

    async fn save(
        &self,
        before: &RotationRecord,
        record: &RotationRecord,
        options: &AuthorityOptions,
    ) -> Result<Charge, StoreError> {
        let written =
            self.change(|own| with_record(&self.namespace, own, (before, record), options));
        // Who appears in the middle of a rotation signs after a while: by then this is over.
        timeout(SAVED, written).await??;
        Ok(self.load().await?.charge())
    }

    async fn tidy(&self, _: &RotationRecord, _: &Charge) -> Result<(), StoreError> {
        // The write that makes a step leaves nothing behind.
        Ok(())
    }
}

impl std::fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretStore")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

// === impl AuthorityStoreError ===

impl AuthorityStoreError {
    /// Whether trying again later may help without anybody doing something.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Cluster(error) => error.is_transient(),
            Self::Secret(_) => false,
            Self::Contended { .. } => true,
        }
    }
}
