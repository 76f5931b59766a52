//! The way to the API server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::requests::{ApiRequests, Counted};

/// How long connecting to the API server may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Why there is no way to a cluster, or why it does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A kubeconfig cannot be used.
    #[error("cannot use the kubeconfig {place}: {source}; name another one with --kubeconfig")]
    Kubeconfig {
        /// Its path, or where it was looked for.
        place: String,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// Nothing says where the cluster is.
    #[error(
        "no cluster is known: this process is in no pod, and there is no kubeconfig ({source}); name one with --kubeconfig, or set KUBECONFIG"
    )]
    Unknown {
        /// Why there is no kubeconfig.
        source: Box<KubeconfigError>,
    },
    /// The kubeconfig has no such context.
    #[error("the kubeconfig has no context `{context}`; {available}")]
    Context {
        /// The context that was asked for.
        context: String,
        /// Those that there are, in words.
        available: String,
    },
    /// Credentials or TLS cannot be set up.
    #[error(
        "cannot set up the connection to the API server {server}: {reason}; check the kubeconfig or the pod's service account"
    )]
    Setup {
        /// The server's address.
        server: String,
        /// What failed.
        reason: String,
    },
    /// The API server does not answer.
    #[error("cannot {what}: {reason}; check that the API server runs and can be reached from here")]
    Unreachable {
        /// What was tried.
        what: String,
        /// What failed.
        reason: String,
    },
    /// The API server refuses.
    #[error("may not {what}: {reason}; grant it to this account by a Role or ClusterRole")]
    Forbidden {
        /// What was tried.
        what: String,
        /// What the server says.
        reason: String,
    },
    /// The API server answers something else than was expected.
    #[error("cannot {what}: {reason}")]
    Refused {
        /// What was tried.
        what: String,
        /// What the server says.
        reason: String,
    },
}

/// Which cluster, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterAccess {
    /// The kubeconfig to read. Without it: the one that KUBECONFIG names, then the pod's service
    /// account, then `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; its current one if it is not given.
    pub context: Option<String>,
}

// === impl ClusterAccess ===

impl ClusterAccess {
    /// A client of the cluster's API server. Asks nothing of it yet.
    ///
    /// # Errors
    /// If no cluster is known, or its credentials cannot be used.
    pub async fn connect(&self) -> Result<Client, ClusterError> {
        self.connect_counted(&Arc::default()).await
    }

    /// As [`Self::connect`]; what is asked of the server is counted in `requests`.
    pub(crate) async fn connect_counted(
        &self,
        requests: &Arc<ApiRequests>,
    ) -> Result<Client, ClusterError> {
        let mut config = self.config().await?;
        config.connect_timeout = Some(CONNECT);
        let server = config.cluster_url.to_string();
        let builder = ClientBuilder::try_from(config).map_err(|error| ClusterError::Setup {
            server,
            reason: words(&error),
        })?;
        // The outermost layer: it sees paths as they are below the server's address.
        let counted = tower::layer::layer_fn(|service| Counted::new(service, Arc::clone(requests)));
        Ok(builder.with_layer(&counted).build())
    }

    async fn config(&self) -> Result<Config, ClusterError> {
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path)
                .map_err(|error| unusable(&path.display().to_string(), error))?,
            None => match Kubeconfig::from_env() {
                Ok(Some(kubeconfig)) => kubeconfig,
                Err(error) => return Err(unusable("of KUBECONFIG", error)),
                Ok(None) => {
                    if self.context.is_none()
                        && let Ok(config) = Config::incluster()
                    {
                        return Ok(config);
                    }
                    Kubeconfig::read().map_err(|source| ClusterError::Unknown {
                        source: Box::new(source),
                    })?
                }
            },
        };
        self.of(kubeconfig).await
    }

    async fn of(&self, kubeconfig: Kubeconfig) -> Result<Config, ClusterError> {
        let names: Vec<String> = kubeconfig
            .contexts
            .iter()
            .map(|context| context.name.clone())
            .collect();
        if let Some(context) = &self.context
            && !names.contains(context)
        {
            return Err(ClusterError::Context {
                context: context.clone(),
                available: match names.is_empty() {
                    true => "it has none".to_owned(),
                    false => format!("it has: {}", names.join(", ")),
                },
            });
        }
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let place = self.place();
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| unusable(&place, error))
    }

    fn place(&self) -> String {
        self.kubeconfig
            .as_deref()
            .map_or("of KUBECONFIG or ~/.kube/config".into(), |path: &Path| {
                path.display().to_string()
            })
    }
}

fn unusable(place: &str, source: KubeconfigError) -> ClusterError {
    ClusterError::Kubeconfig {
        place: place.to_owned(),
        source: Box::new(source),
    }
}

// === impl ClusterError ===

impl ClusterError {
    /// What a failed call means. `what` completes "cannot …", for example "read the ConfigMap
    /// istio-system/mesh".
    pub fn from_call(what: impl Into<String>, error: &kube::Error) -> Self {
        let (what, reason) = (what.into(), words(error));
        match error {
            kube::Error::Api(status) if status.is_forbidden() || status.code == 401 => {
                Self::Forbidden { what, reason }
            }
            kube::Error::Api(status) if status.code < 500 && status.code != 429 => {
                Self::Refused { what, reason }
            }
            _ => Self::Unreachable { what, reason },
        }
    }

    /// Whether trying again later may help without anybody doing something.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// The cause of a failed call in one line, without the names of Rust types.
pub(crate) fn words(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return match status.message.is_empty() {
            true => format!("HTTP status {}", status.code),
            false => status.message.clone(),
        };
    }
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // Most errors repeat their cause.
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = r"
apiVersion: v1
kind: Config
clusters: [{ name: here, cluster: { server: 'https://127.0.0.1:1' } }]
users: [{ name: me, user: { token: t } }]
contexts:
- { name: one, context: { cluster: here, user: me, namespace: shop } }
- { name: two, context: { cluster: here, user: me } }
current-context: one
";

    fn written() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::write(&path, KUBECONFIG).unwrap();
        (dir, path)
    }

    #[tokio::test]
    async fn reads_the_current_or_the_named_context() {
        let (_dir, path) = written();
        for (context, namespace) in [(None, "shop"), (Some("two"), "default")] {
            let access = ClusterAccess {
                kubeconfig: Some(path.clone()),
                context: context.map(str::to_owned),
            };
            assert_eq!(
                access.connect().await.unwrap().default_namespace(),
                namespace
            );
        }
    }

    #[tokio::test]
    async fn says_what_is_missing() {
        let (_dir, path) = written();
        let error = |kubeconfig: PathBuf, context: &'static str| async move {
            let access = ClusterAccess {
                kubeconfig: Some(kubeconfig),
                context: Some(context.to_owned()),
            };
            access.connect().await.map(|_| ()).unwrap_err().to_string()
        };
        let text = error(path.clone(), "three").await;
        assert_eq!(
            text,
            "the kubeconfig has no context `three`; it has: one, two"
        );
        let text = error(path.with_extension("none"), "one").await;
        assert!(
            text.contains("config.none") && text.contains("--kubeconfig"),
            "{text}"
        );
    }
}
