//! Bundles that were fetched, in the state directory: a control plane that starts again knows
//! them before it can fetch, and by whom to fetch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mesh_ca::{LONGEST_BUNDLE, SpiffeBundle};
use meshd_core::{BundleEndpoint, TrustBundle};
use sha2::{Digest as _, Sha256};

use super::trusted;

/// A directory with a file for each. What stands there is public.
#[derive(Debug, Clone)]
pub(crate) struct BundleStore {
    directory: PathBuf,
}

// === impl BundleStore ===

impl BundleStore {
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self {
            directory: state_dir.join("bundles"),
        }
    }

    /// Everything that is kept for these.
    pub(crate) fn load_all(&self, endpoints: &[BundleEndpoint]) -> BTreeMap<String, TrustBundle> {
        let kept = endpoints.iter().filter_map(|endpoint| {
            let bundle = trusted(endpoint, &self.load(endpoint)?);
            Some((endpoint.trust_domain.as_str().to_owned(), bundle))
        });
        kept.collect()
    }

    /// What is kept of this one.
    pub(super) fn load(&self, endpoint: &BundleEndpoint) -> Option<SpiffeBundle> {
        let path = self.path(endpoint);
        let length = fs::metadata(&path).ok()?.len();
        let most = u64::try_from(LONGEST_BUNDLE).unwrap_or(u64::MAX);
        let text = (length <= most).then(|| fs::read(&path).ok()).flatten()?;
        let parsed = SpiffeBundle::parse(&text);
        let path = path.display();
        parsed
            .inspect_err(|error| tracing::warn!(%path, %error, "a kept bundle cannot be read"))
            .ok()
    }

    /// Keeps it.
    pub(super) fn save(&self, endpoint: &BundleEndpoint, bundle: &SpiffeBundle) -> io::Result<()> {
        let text = bundle.to_json().map_err(io::Error::other)?;
        fs::create_dir_all(&self.directory)?;
        let path = self.path(endpoint);
        let neighbour = path.with_extension("new");
        fs::write(&neighbour, text)?;
        fs::rename(&neighbour, &path)
    }

    /// Removes what is kept of others.
    pub(super) fn retain(&self, endpoints: &[BundleEndpoint]) {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return;
        };
        let wanted: BTreeSet<PathBuf> = endpoints.iter().map(|one| self.path(one)).collect();
        for entry in entries.flatten() {
            let path = entry.path();
            if !wanted.contains(&path)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "an old bundle cannot be removed");
            }
        }
    }

    /// Of the trust domain as it is configured: another URL or another first bundle begins anew.
    fn path(&self, endpoint: &BundleEndpoint) -> PathBuf {
        let digest = Sha256::digest(format!("{endpoint:?}"));
        let digest: String = digest
            .iter()
            .take(8)
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let domain = &endpoint.trust_domain;
        self.directory.join(format!("{domain}.{digest}.json"))
    }
}
