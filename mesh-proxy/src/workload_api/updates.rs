//! What the application is given, whenever it changes.

use std::sync::Arc;

use tokio::sync::watch;

use crate::identity::{AppIdentity, AppSvid, Identity, IdentityHandle};

/// Certificate and roots at one time.
#[derive(Clone)]
pub(super) struct Material {
    pub(super) svid: Arc<AppSvid>,
    pub(super) roots: Arc<Identity>,
}

/// Follows both.
pub(super) struct Updates {
    svid: watch::Receiver<Option<Arc<AppSvid>>>,
    own: IdentityHandle,
    generation: watch::Receiver<u64>,
    last: Option<(String, Vec<Vec<u8>>)>,
}

// === impl Updates ===

impl Updates {
    pub(super) fn new(app: &AppIdentity, own: &IdentityHandle) -> Self {
        Self {
            svid: app.subscribe(),
            own: own.clone(),
            generation: own.generation(),
            last: None,
        }
    }

    /// The first, then each that differs. `None` if the proxy ends.
    pub(super) async fn next(&mut self) -> Option<Material> {
        loop {
            let svid = self.svid.borrow_and_update().clone();
            self.generation.mark_unchanged();
            if let (Some(svid), Some(roots)) = (svid, self.own.current()) {
                let seen = (svid.serial.clone(), roots.roots_der().to_vec());
                if self.last.as_ref() != Some(&seen) {
                    self.last = Some(seen);
                    return Some(Material { svid, roots });
                }
            }
            tokio::select! {
                changed = self.svid.changed() => changed.ok()?,
                changed = self.generation.changed() => changed.ok()?,
            }
        }
    }
}

// === impl Material ===

impl Material {
    /// The SPIFFE ID of the trust domain.
    pub(super) fn domain(&self) -> String {
        format!("spiffe://{}", self.svid.id.trust_domain())
    }
}
