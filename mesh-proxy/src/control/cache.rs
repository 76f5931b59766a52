//! The last snapshot on disk, so that a restarted proxy serves without the control plane.
//!
//! One file: a line with format and workload, the SHA-256 of the rest, and the resources as one
//! protobuf `DiscoveryResponse`. Credentials of gateways are left out: their keys are on no disk.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_api::{WorkloadName, v1};
use mesh_proxy_core::Snapshot;
use prost::Message;
use tokio::io::AsyncWriteExt;

use super::Store;

/// Reads and writes the file.
pub struct Cache {
    path: PathBuf,
    header: String,
}

/// Why there is no cached snapshot.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The file or directory cannot be used.
    #[error("{path}: {source}")]
    File {
        /// File or directory.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The file is of another workload or format, or damaged.
    #[error("{path} is of no use: {why}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

const FILE: &str = "snapshot.pb";
const DIGEST: usize = 32;
const INTERVAL: Duration = Duration::from_secs(1);

/// Whether a resource may be written: what holds a private key may not.
fn keeps(resource: &v1::Resource) -> bool {
    !matches!(resource.body, Some(v1::resource::Body::Credential(_)))
}

fn sha256(bytes: &[u8]) -> aws_lc_rs::digest::Digest {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
}

// === impl Cache ===

impl Cache {
    /// The cache of this workload in this directory.
    pub fn new(directory: &Path, workload: &WorkloadName) -> Self {
        Self {
            path: directory.join(FILE),
            header: format!("mesh-proxy-snapshot 1 {workload}\n"),
        }
    }

    /// The cached snapshot; `None` if there is no file.
    ///
    /// # Errors
    /// [`CacheError`]. The proxy starts without it then.
    pub async fn load(&self) -> Result<Option<Snapshot>, CacheError> {
        let bytes = match tokio::fs::read(&self.path).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.failed(source)),
        };
        let useless = |why| CacheError::Content {
            path: self.path.clone(),
            why,
        };
        let rest = bytes
            .strip_prefix(self.header.as_bytes())
            .ok_or_else(|| useless("it is of another workload or version"))?;
        let (digest, body) = rest
            .split_at_checked(DIGEST)
            .ok_or_else(|| useless("it is cut short"))?;
        if sha256(body).as_ref() != digest {
            return Err(useless("it is damaged"));
        }
        let response =
            v1::DiscoveryResponse::decode(body).map_err(|_| useless("it is no snapshot"))?;
        Ok(Some(Snapshot::empty().apply(&response).snapshot))
    }

    /// Writes the snapshots of `store` as they come, at most one a second. Runs for ever.
    pub(crate) async fn follow(self, store: Store) {
        let mut epoch = store.epoch();
        while epoch.changed().await.is_ok() {
            if let Err(error) = self.store(&store.load()).await {
                tracing::warn!(%error, "cannot keep the snapshot for a restart");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Writes the snapshot, readable by the owner only; the old file stays until the new one is
    /// whole.
    ///
    /// # Errors
    /// [`CacheError::File`].
    pub async fn store(&self, snapshot: &Snapshot) -> Result<(), CacheError> {
        let response = v1::DiscoveryResponse {
            nonce: String::new(),
            revision: snapshot.revision(),
            digest: snapshot.digest().to_owned(),
            upsert: snapshot.resources().filter(keeps).collect(),
            removed: Vec::new(),
        };
        let body = response.encode_to_vec();
        self.write(&body)
            .await
            .map_err(|source| self.failed(source))
    }

    async fn write(&self, body: &[u8]) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            tokio::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .await?;
        }
        let fresh = self.path.with_extension("new");
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .await?;
        file.write_all(self.header.as_bytes()).await?;
        file.write_all(sha256(body).as_ref()).await?;
        file.write_all(body).await?;
        file.sync_all().await?;
        tokio::fs::rename(&fresh, &self.path).await
    }

    fn failed(&self, source: io::Error) -> CacheError {
        CacheError::File {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mesh() -> v1::DiscoveryResponse {
        let mesh = v1::Mesh {
            trust_domain: "cluster.local".into(),
            outbound_policy: v1::OutboundPolicy::AllowAny.into(),
            ..v1::Mesh::default()
        };
        v1::DiscoveryResponse {
            nonce: "1".into(),
            revision: 7,
            digest: "abc".into(),
            upsert: vec![v1::Resource {
                name: "mesh/default".into(),
                version: "1".into(),
                body: Some(v1::resource::Body::Mesh(mesh)),
            }],
            removed: vec![],
        }
    }

    #[tokio::test]
    async fn round_trips() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(
            &directory.path().join("deep"),
            &"default/a".parse().unwrap(),
        );
        assert!(cache.load().await.unwrap().is_none());
        let applied = Snapshot::empty().apply(&mesh());
        assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
        let mut with_key = mesh();
        let credential = v1::Credential {
            namespace: "default".into(),
            name: "cert".into(),
            certificate_chain: vec![vec![1]],
            private_key: b"private key bytes".to_vec(),
            ..v1::Credential::default()
        };
        with_key.upsert.push(v1::Resource {
            name: "credential/default/cert".into(),
            version: "1".into(),
            body: Some(v1::resource::Body::Credential(credential)),
        });
        let all = applied.snapshot.apply(&with_key).snapshot;
        cache.store(&all).await.unwrap();
        let loaded = cache.load().await.unwrap().unwrap();
        assert_eq!((loaded.revision(), loaded.digest()), (7, "abc"));
        // Keys are on no disk: the control plane gives them again.
        assert_eq!(all.known().len(), 2);
        assert_eq!(loaded.known(), applied.snapshot.known());
        let written = std::fs::read(&cache.path).unwrap();
        let key = b"private key bytes";
        assert!(!written.windows(key.len()).any(|bytes| bytes == key));
        let mode = std::fs::metadata(&cache.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn damage_and_foreign_files_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path(), &"default/a".parse().unwrap());
        cache
            .store(&Snapshot::empty().apply(&mesh()).snapshot)
            .await
            .unwrap();
        let other = Cache::new(directory.path(), &"default/b".parse().unwrap());
        assert!(matches!(
            other.load().await,
            Err(CacheError::Content { .. })
        ));
        let mut bytes = std::fs::read(&cache.path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&cache.path, &bytes).unwrap();
        assert!(matches!(
            cache.load().await,
            Err(CacheError::Content {
                why: "it is damaged",
                ..
            })
        ));
        std::fs::write(&cache.path, &bytes[..bytes.len() / 3]).unwrap();
        assert!(cache.load().await.is_err());
    }
}
