//! What the application is given, whenever it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_api::ResourceName;
use mesh_proxy_core::ir::Mesh;
use tokio::sync::watch;

use crate::control::Store;
use crate::identity::{AppIdentity, AppSvid, Identity, IdentityHandle};

/// Certificate, roots, and what is known of other trust domains, at one time.
#[derive(Clone)]
pub(super) struct Material {
    pub(super) svid: Arc<AppSvid>,
    pub(super) roots: Arc<Identity>,
    /// Revocation lists, DER.
    pub(super) crls: Vec<Vec<u8>>,
    /// Roots of other trust domains by their SPIFFE ID, DER one after the other.
    pub(super) federated: BTreeMap<String, Vec<u8>>,
}

/// Follows all of it.
pub(super) struct Updates {
    svid: watch::Receiver<Option<Arc<AppSvid>>>,
    own: IdentityHandle,
    generation: watch::Receiver<u64>,
    store: Store,
    epoch: watch::Receiver<u64>,
    last: Option<Seen>,
}

// By what one differs from the next: serial number, roots, lists, other domains.
type Seen = (
    String,
    Vec<Vec<u8>>,
    Vec<Vec<u8>>,
    BTreeMap<String, Vec<u8>>,
);

/// Follows the keys of tokens.
pub(super) struct KeyUpdates {
    store: Store,
    epoch: watch::Receiver<u64>,
    last: Option<BTreeMap<String, Vec<u8>>>,
}

// === impl Updates ===

impl Updates {
    pub(super) fn new(app: &AppIdentity, own: &IdentityHandle) -> Self {
        Self {
            svid: app.subscribe(),
            own: own.clone(),
            generation: own.generation(),
            store: app.store().clone(),
            epoch: app.store().epoch(),
            last: None,
        }
    }

    /// The first, then each that differs. `None` if the proxy ends.
    pub(super) async fn next(&mut self) -> Option<Material> {
        loop {
            let svid = self.svid.borrow_and_update().clone();
            self.generation.mark_unchanged();
            self.epoch.mark_unchanged();
            if let (Some(svid), Some(roots)) = (svid, self.own.current())
                && let Some(material) = self.differing(svid, roots)
            {
                return Some(material);
            }
            tokio::select! {
                changed = self.svid.changed() => changed.ok()?,
                changed = self.generation.changed() => changed.ok()?,
                changed = self.epoch.changed() => changed.ok()?,
            }
        }
    }

    fn differing(&mut self, svid: Arc<AppSvid>, roots: Arc<Identity>) -> Option<Material> {
        let snapshot = self.store.load();
        let mesh = snapshot.mesh();
        let federated = mesh.federated.iter().map(|bundle| {
            let roots = bundle.roots_der.concat();
            (spiffe_id(bundle.trust_domain.as_str()), roots)
        });
        let federated: BTreeMap<_, _> = federated.collect();
        let crls = mesh.crls_der.clone();
        let own = roots.roots_der().to_vec();
        let seen = (svid.serial.clone(), own, crls.clone(), federated.clone());
        if self.last.as_ref() == Some(&seen) {
            return None;
        }
        self.last = Some(seen);
        Some(Material {
            svid,
            roots,
            crls,
            federated,
        })
    }
}

// === impl KeyUpdates ===

impl KeyUpdates {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            epoch: store.epoch(),
            last: None,
        }
    }

    /// Key sets by the SPIFFE ID of their trust domain: the first, then each that differs. `None`
    /// if the proxy ends.
    pub(super) async fn next(&mut self) -> Option<BTreeMap<String, Vec<u8>>> {
        loop {
            self.epoch.mark_unchanged();
            let snapshot = self.store.load();
            if snapshot.holds(&ResourceName::Mesh) {
                let keys = key_sets(snapshot.mesh());
                if self.last.as_ref() != Some(&keys) {
                    self.last = Some(keys.clone());
                    return Some(keys);
                }
            }
            self.epoch.changed().await.ok()?;
        }
    }
}

fn key_sets(mesh: &Mesh) -> BTreeMap<String, Vec<u8>> {
    // Of a control plane that has none to give.
    const NONE: &str = r#"{"keys":[]}"#;
    let own = match mesh.jwks.is_empty() {
        true => NONE,
        false => &mesh.jwks,
    };
    let others = mesh
        .federated
        .iter()
        .filter(|bundle| !bundle.jwks.is_empty());
    let others = others.map(|bundle| (bundle.trust_domain.as_str(), bundle.jwks.as_str()));
    std::iter::once((mesh.trust_domain.as_str(), own))
        .chain(others)
        .map(|(domain, keys)| (spiffe_id(domain), keys.as_bytes().to_vec()))
        .collect()
}

/// The SPIFFE ID of a trust domain.
fn spiffe_id(domain: &str) -> String {
    format!("spiffe://{domain}")
}

// === impl Material ===

impl Material {
    /// The SPIFFE ID of the own trust domain.
    pub(super) fn domain(&self) -> String {
        spiffe_id(self.svid.id.trust_domain())
    }
}
