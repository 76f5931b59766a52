//! `/inject`: pods get their proxies.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshd_core::inject::{Decision, InjectContext, inject};
use serde_json::Value;
use tokio::sync::watch;

use super::inject_file::Current;
use super::metrics::Injections;
use super::review::{Request, Verdict};
use crate::publish::Published;

/// Those of a namespace that nobody knows.
static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// What injection depends on.
#[derive(Clone)]
pub(super) struct Injector {
    pub(super) settings: watch::Receiver<Current>,
    pub(super) published: watch::Receiver<Arc<Published>>,
    /// Whether all nodes can run native sidecars.
    pub(super) native: watch::Receiver<bool>,
}

/// What the path of the webhook says (Istio: `/inject/cluster/<name>/net/<name>`).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PathSettings<'a> {
    cluster: Option<&'a str>,
    network: Option<&'a str>,
}

// === impl Injector ===

impl Injector {
    /// Decides about a pod and makes the patch.
    pub(super) fn review(&self, request: &Request, path: &str) -> (Verdict, Injections) {
        let settings = match &*self.settings.borrow() {
            Ok(settings) => Arc::clone(settings),
            Err(error) => {
                let text = format!("the settings of injection cannot be used: {error}");
                return (Verdict::refuse(text), Injections::Failed);
            }
        };
        let path = PathSettings::parse(path);
        let published = self.published();
        let world = &published.world;
        let labels = world.namespace(&request.namespace).unwrap_or(&NO_LABELS);
        let context = InjectContext {
            namespace: &request.namespace,
            namespace_labels: labels,
            native_sidecars: *self.native.borrow(),
            cluster: path.cluster,
            network: path.network,
            proxy_configs: world.proxy_configs(),
            workload: None,
        };
        let mut pod = request.object.clone();
        let Value::Object(fields) = &mut pod else {
            return (Verdict::refuse("this is no pod"), Injections::Failed);
        };
        // Old API servers send it without its type.
        for (key, value) in [("apiVersion", "v1"), ("kind", "Pod")] {
            fields.entry(key).or_insert_with(|| value.into());
        }
        let before = pod.clone();
        let outcome = match inject(&mut pod, &settings, &context) {
            Ok(outcomes) => outcomes.into_iter().next(),
            Err(error) => {
                tracing::warn!(%error, "a pod cannot be injected");
                return (Verdict::refuse(error.to_string()), Injections::Failed);
            }
        };
        let Some(outcome) = outcome else {
            return (Verdict::refuse("this is no pod"), Injections::Failed);
        };
        let counted = match outcome.decision {
            Decision::Inject(_) => Injections::Injected,
            Decision::Skip(_) => Injections::Skipped,
        };
        tracing::info!(%outcome, "reviewed a pod");
        for warning in &outcome.warnings {
            tracing::warn!(pod = outcome.object, "{warning}");
        }
        let verdict = Verdict {
            refusal: None,
            warnings: outcome.warnings,
            patch: Some(json_patch::diff(&before, &pod)),
        };
        (verdict, counted)
    }

    /// What is in force.
    pub(super) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.borrow())
    }
}

// === impl PathSettings ===

impl<'a> PathSettings<'a> {
    fn parse(path: &'a str) -> Self {
        let mut settings = Self::default();
        let mut parts = path.trim_start_matches("/inject").split('/').skip(1);
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            match key {
                "cluster" => settings.cluster = Some(value),
                "net" => settings.network = Some(value),
                _ => {}
            }
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_istio_s_paths() {
        let of = |cluster, network| PathSettings { cluster, network };
        for (path, want) in [
            ("/inject", of(None, None)),
            ("/inject/", of(None, None)),
            (
                "/inject/cluster/east/net/one",
                of(Some("east"), Some("one")),
            ),
            ("/inject/net/one", of(None, Some("one"))),
            ("/inject/other/x/cluster/east", of(Some("east"), None)),
            ("/inject/cluster", of(None, None)),
        ] {
            assert_eq!(PathSettings::parse(path), want, "{path}");
        }
    }
}
