//! Lets the API server trust our certificate: our roots as `caBundle` in the webhook
//! configurations of this revision, and again whenever something takes them away. Every replica
//! does it; whoever is first has done it for all.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource};
use mesh_ca::Authority;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::metrics::WebhookMetrics;
use crate::kubernetes::Cluster;
use crate::kubernetes::ca::pem;
use crate::kubernetes::client::words;

/// Until a failed patch is tried again.
const RETRY: Duration = Duration::from_secs(15);
/// Until roots that are not ours any more are taken away. Replicas learn of a change at different
/// moments; until then each only adds.
const SETTLE: Duration = Duration::from_secs(600);
/// More than a few roots is not ours.
const LARGEST: usize = 64 * 1024;

/// The Service that the API server calls.
#[derive(Clone, Debug)]
struct Service {
    name: String,
    namespace: String,
}

struct Keeper {
    client: Client,
    service: Service,
    authority: Arc<Authority>,
    metrics: Arc<WebhookMetrics>,
    known: BTreeMap<String, (ApiResource, DynamicObject)>,
}

/// Runs until it is dropped.
pub(super) async fn keep(
    cluster: Cluster,
    authority: Arc<Authority>,
    metrics: Arc<WebhookMetrics>,
) {
    let labels = format!("app=meshd,istio.io/rev={}", cluster.settings.revision);
    let events = stream::select(
        watch::<MutatingWebhookConfiguration>(&cluster.client, &labels),
        watch::<ValidatingWebhookConfiguration>(&cluster.client, &labels),
    );
    let mut events = pin!(events);
    let mut changes = authority.changes();
    let mut keeper = Keeper {
        client: cluster.client.clone(),
        service: Service {
            name: cluster.settings.object_name("meshd"),
            namespace: cluster.settings.namespace.clone(),
        },
        authority,
        metrics,
        known: BTreeMap::new(),
    };
    let mut retry = None;
    let mut settled = Instant::now() + SETTLE;
    loop {
        let due = retry.unwrap_or(settled);
        let again = || Some(Instant::now() + RETRY);
        tokio::select! {
            Some((resource, object)) = events.next() => {
                if !keeper.see(resource, object).await {
                    retry = again();
                }
            }
            Ok(()) = changes.changed() => {
                retry = if keeper.write_all(false).await { None } else { again() };
            }
            () = sleep_until(due) => {
                let exact = retry.is_none();
                if exact {
                    settled = Instant::now() + SETTLE;
                }
                retry = if keeper.write_all(exact).await { None } else { again() };
            }
        }
    }
}

/// Configurations as they come and change.
fn watch<K>(
    client: &Client,
    labels: &str,
) -> impl futures_util::Stream<Item = (ApiResource, DynamicObject)> + use<K>
where
    K: Resource<DynamicType = ()>,
{
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    watcher(api, watcher::Config::default().labels(labels))
        .default_backoff()
        .applied_objects()
        .filter_map(move |event| {
            let resource = resource.clone();
            async move {
                match event {
                    Ok(object) => Some((resource, object)),
                    Err(error) => {
                        tracing::warn!(%error, kind = resource.kind, "cannot watch webhook configurations; trying again");
                        None
                    }
                }
            }
        })
}

// === impl Keeper ===

impl Keeper {
    /// Takes a new version. Says whether all is well.
    async fn see(&mut self, resource: ApiResource, object: DynamicObject) -> bool {
        let Some(name) = object.metadata.name.clone() else {
            return true;
        };
        let key = format!("{}/{name}", resource.kind);
        let good = self.write(&resource, &object, false).await;
        self.known.insert(key, (resource, object));
        good
    }

    async fn write_all(&mut self, exact: bool) -> bool {
        let mut good = true;
        for (resource, object) in self.known.values() {
            good &= self.write(resource, object, exact).await;
        }
        good
    }

    async fn write(&self, resource: &ApiResource, object: &DynamicObject, exact: bool) -> bool {
        let roots = self.authority.roots_der();
        let Some(webhooks) = patch(&object.data, &self.service, &roots, exact) else {
            return true;
        };
        let (Some(name), version) = (&object.metadata.name, &object.metadata.resource_version)
        else {
            return true;
        };
        // Of another version than this one the watch will tell.
        let body = json!({"metadata": {"resourceVersion": version}, "webhooks": webhooks});
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let params = PatchParams {
            field_manager: Some("meshd".to_owned()),
            ..PatchParams::default()
        };
        let result = api.patch(name, &params, &Patch::Strategic(body)).await;
        let kind = &resource.kind;
        match result {
            Ok(_) => {
                tracing::info!(
                    kind,
                    name,
                    "the API server trusts the roots of this authority"
                );
                self.metrics.count_patch(true);
                true
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => true,
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::error!(
                    kind,
                    name,
                    error = status.message,
                    "cannot write the roots of this authority into a webhook configuration: allow `patch` on {} with the resource name `{name}`",
                    resource.plural
                );
                self.metrics.count_patch(false);
                false
            }
            Err(error) => {
                let error = words(&error);
                tracing::warn!(
                    kind,
                    name,
                    error,
                    "cannot write the roots of this authority into a webhook configuration; trying again"
                );
                self.metrics.count_patch(false);
                false
            }
        }
    }
}

/// The webhooks that call our service and do not trust our roots yet, with what they should
/// trust; with `exact` also those that trust others besides.
fn patch(object: &Value, service: &Service, roots: &[Vec<u8>], exact: bool) -> Option<Vec<Value>> {
    let webhooks = object.get("webhooks")?.as_array()?;
    let changed: Vec<Value> = webhooks
        .iter()
        .filter_map(|webhook| {
            let client = webhook.get("clientConfig")?;
            let called = |key: &str| client.pointer(key).and_then(Value::as_str);
            if called("/service/name") != Some(&service.name)
                || called("/service/namespace") != Some(&service.namespace)
            {
                return None;
            }
            let bundle = client
                .get("caBundle")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let wanted = wanted(bundle, roots, exact)?;
            let name = webhook.get("name")?;
            Some(json!({"name": name, "clientConfig": {"caBundle": STANDARD.encode(wanted)}}))
        })
        .collect();
    (!changed.is_empty()).then_some(changed)
}

/// What a bundle should be, if it should be another.
fn wanted(bundle: &str, roots: &[Vec<u8>], exact: bool) -> Option<String> {
    let ours = pem::certificates(roots);
    let bundle = STANDARD
        .decode(bundle)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| text.contains("-----BEGIN CERTIFICATE-----") && text.len() < LARGEST)
        .unwrap_or_default();
    let missing = roots
        .iter()
        .any(|root| !bundle.contains(&pem::certificates(std::slice::from_ref(root))));
    if exact {
        return (missing || bundle.len() != ours.len()).then_some(ours);
    }
    missing.then(|| {
        // Whatever else is trusted may be another replica's, which knows more or less than we.
        let others = bundle.split_inclusive("-----END CERTIFICATE-----\n");
        let others = others.filter(|other| !ours.contains(other.trim()));
        others.fold(ours.clone(), |all, other| all + other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        Service {
            name: "meshd".to_owned(),
            namespace: "istio-system".to_owned(),
        }
    }

    fn configuration(bundle: &str) -> Value {
        json!({"webhooks": [
            {"name": "a", "clientConfig": {"service": {"name": "meshd", "namespace": "istio-system"}, "caBundle": STANDARD.encode(bundle)}},
            {"name": "b", "clientConfig": {"service": {"name": "istiod", "namespace": "istio-system"}}},
            {"name": "c", "clientConfig": {"url": "https://elsewhere"}},
        ]})
    }

    fn bundle_after(bundle: &str, roots: &[Vec<u8>], exact: bool) -> Option<String> {
        let changed = patch(&configuration(bundle), &service(), roots, exact)?;
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0]["name"], "a");
        let text = changed[0]["clientConfig"]["caBundle"].as_str().unwrap();
        Some(String::from_utf8(STANDARD.decode(text).unwrap()).unwrap())
    }

    #[test]
    fn adds_what_is_missing_and_takes_away_later() {
        let (old, new) = (vec![1_u8; 80], vec![2_u8; 80]);
        let one = |root: &Vec<u8>| pem::certificates(std::slice::from_ref(root));
        let only_new = std::slice::from_ref(&new);
        for nothing in ["", "\n", "not a certificate"] {
            assert_eq!(
                bundle_after(nothing, only_new, false),
                Some(one(&new)),
                "{nothing:?}"
            );
        }
        assert_eq!(bundle_after(&one(&new), only_new, false), None);
        assert_eq!(bundle_after(&one(&new), only_new, true), None);
        // Another replica still has the old root: nobody takes the other's away.
        let both = one(&new) + &one(&old);
        assert_eq!(
            bundle_after(&one(&old), only_new, false),
            Some(both.clone())
        );
        assert_eq!(bundle_after(&both, only_new, false), None);
        assert_eq!(bundle_after(&both, std::slice::from_ref(&old), false), None);
        assert_eq!(bundle_after(&both, only_new, true), Some(one(&new)));
        let all = [old.clone(), new.clone()];
        assert_eq!(bundle_after(&both, &all, false), None);
        assert_eq!(
            bundle_after(&one(&old), &all, false),
            Some(one(&old) + &one(&new))
        );
    }

    #[test]
    fn leaves_others_alone() {
        let root = [vec![1_u8; 8]];
        let foreign = json!({"webhooks": [{"name": "x", "clientConfig": {"service": {"name": "istiod", "namespace": "istio-system"}}}]});
        assert_eq!(patch(&foreign, &service(), &root, true), None);
        assert_eq!(patch(&json!({}), &service(), &root, true), None);
    }
}
