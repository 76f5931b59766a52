//! The ConfigMap `mesh-ca-root-cert` in every namespace, from which pods take the roots to trust
//! the control plane by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Patch, PatchParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use mesh_ca::Authority;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::pem;
use crate::clock;
use crate::kubernetes::client::words;

/// Name of the ConfigMap.
pub(crate) const NAME: &str = "mesh-ca-root-cert";
/// Its key.
pub(crate) const KEY: &str = "root-cert.pem";
const MANAGER: &str = "meshd";
/// Writes at the same time.
const AT_ONCE: usize = 16;
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// What is known of the cluster. Pure.
#[derive(Default)]
struct Known {
    namespaces: Listed<bool>,
    maps: Listed<Option<String>>,
}

/// Objects by namespace, as a watch tells of them.
struct Listed<T> {
    current: BTreeMap<String, T>,
    // While a watch begins anew.
    coming: BTreeMap<String, T>,
    complete: bool,
}

/// Where to write, and under which name.
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) name: &'static str,
}

enum Change {
    // Whether it may be written to.
    Namespace(Event<(String, bool)>),
    // What stands under the key.
    Map(Event<(String, Option<String>)>),
    Roots,
}

/// Writes the roots into every namespace while we lead, and restores what others change. Runs
/// until dropped, or until nobody can say any more whether we lead.
pub(crate) async fn keep_root_config_maps(
    client: Client,
    authority: Arc<Authority>,
    leader: watch::Receiver<bool>,
) {
    keep(&Target { client, name: NAME }, &authority, leader).await;
}

pub(super) async fn keep(
    target: &Target,
    authority: &Authority,
    mut leader: watch::Receiver<bool>,
) {
    loop {
        if leader.wait_for(|leads| *leads).await.is_err() {
            return;
        }
        tokio::select! {
            () = distribute(target, authority) => {}
            lost = leader.wait_for(|leads| !*leads) => if lost.is_err() {
                return;
            }
        }
    }
}

async fn distribute(target: &Target, authority: &Authority) {
    let Target { client, name } = target;
    // Whole objects, not metadata alone: an error in the answer to that comes on several lines, of
    // which kube takes each for an error of its own, with a longer pause after each.
    let namespaces = watcher(Api::<Namespace>::all(client.clone()), Config::default())
        .default_backoff()
        .filter_map(|event| {
            let change = event.map(|event| {
                Change::Namespace(map(event, |namespace| {
                    let usable = namespace.metadata.deletion_timestamp.is_none();
                    (namespace.name_any(), usable)
                }))
            });
            std::future::ready(told("namespaces", change))
        });
    let only_ours = Config::default().fields(&format!("metadata.name={name}"));
    let maps = watcher(Api::<ConfigMap>::all(client.clone()), only_ours)
        .default_backoff()
        .filter_map(|event| {
            let change = event.map(|event| {
                Change::Map(map(event, |map| {
                    let text = map.data.as_ref().and_then(|data| data.get(KEY).cloned());
                    (map.namespace().unwrap_or_default(), text)
                }))
            });
            std::future::ready(told("configmaps", change))
        });
    let roots = stream::unfold(authority.changes(), |mut changes| async move {
        changes
            .changed()
            .await
            .ok()
            .map(|()| (Change::Roots, changes))
    });
    let mut changes = Box::pin(stream::select(stream::select(namespaces, maps), roots));
    let mut known = Known::default();
    let (mut retry, mut pause): (Option<Instant>, _) = (None, FIRST_RETRY);
    loop {
        tokio::select! {
            change = changes.next() => match change {
                Some(change) => known.take(change),
                None => return,
            },
            () = at(retry) => {}
        }
        // What came with it.
        while let Some(Some(change)) = changes.next().now_or_never() {
            known.take(change);
        }
        let pem = pem::certificates(&authority.roots_der());
        let failed = write(target, &mut known, &pem).await;
        (retry, pause) = match failed {
            false => (None, FIRST_RETRY),
            true => (
                Some(clock::instant() + pause),
                (pause * 2).min(LONGEST_RETRY),
            ),
        };
    }
}

/// Writes where something else stands. Returns whether some could not be written.
async fn write(target: &Target, known: &mut Known, pem: &str) -> bool {
    let writes = known.missing(pem).into_iter().map(|namespace| async {
        let written = apply(target, &namespace, pem).await;
        (namespace, written)
    });
    let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
    let (mut written, mut failed) = (BTreeSet::new(), false);
    while let Some((namespace, result)) = writes.next().await {
        match result {
            Ok(()) => {
                written.insert(namespace);
            }
            // Its end will be told by the watch.
            Err(error) if is_ending(&error) => {
                tracing::debug!(namespace, "the namespace ends: it needs no roots");
            }
            Err(error) => {
                failed = true;
                tracing::warn!(
                    namespace,
                    error = words(&error),
                    "cannot write the ConfigMap mesh-ca-root-cert; trying again"
                );
            }
        }
    }
    drop(writes);
    if !written.is_empty() {
        tracing::info!(
            namespaces = written.len(),
            "wrote the ConfigMap mesh-ca-root-cert"
        );
    }
    for namespace in written {
        // The watch will say the same soon.
        known.maps.current.insert(namespace, Some(pem.to_owned()));
    }
    failed
}

async fn apply(target: &Target, namespace: &str, pem: &str) -> kube::Result<()> {
    let object = serde_json::json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": target.name,
            "namespace": namespace,
            "labels": { "app.kubernetes.io/managed-by": "meshd" },
        },
        "data": { (KEY): pem },
    });
    let api = Api::<ConfigMap>::namespaced(target.client.clone(), namespace);
    api.patch(
        target.name,
        &PatchParams::apply(MANAGER).force(),
        &Patch::Apply(&object),
    )
    .await
    .map(|_| ())
}

/// Whether a write failed because the namespace is about to go, or has gone.
fn is_ending(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.is_not_found()
        || (status.is_forbidden()
            && (status.message.contains("being terminated")
                || causes
                    .into_iter()
                    .any(|cause| cause.reason == "NamespaceTerminating")))
}

fn told(what: &str, change: Result<Change, kube::runtime::watcher::Error>) -> Option<Change> {
    change
        .inspect_err(|error| tracing::debug!(what, %error, "watching failed; trying again"))
        .ok()
}

fn map<T, U>(event: Event<T>, convert: impl Fn(T) -> U) -> Event<U> {
    match event {
        Event::Apply(object) => Event::Apply(convert(object)),
        Event::Delete(object) => Event::Delete(convert(object)),
        Event::InitApply(object) => Event::InitApply(convert(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

// === impl Known ===

impl Known {
    fn take(&mut self, change: Change) {
        match change {
            Change::Namespace(event) => self.namespaces.take(event),
            Change::Map(event) => self.maps.take(event),
            Change::Roots => {}
        }
    }

    /// The namespaces in which something else than `pem` stands. None before both lists are
    /// complete: it would be written everywhere anew.
    fn missing(&self, pem: &str) -> Vec<String> {
        if !self.namespaces.complete || !self.maps.complete {
            return Vec::new();
        }
        let stands = |name: &str| {
            let map = self.maps.current.get(name);
            map.is_some_and(|text| text.as_deref() == Some(pem))
        };
        let usable = self
            .namespaces
            .current
            .iter()
            .filter(|(_, usable)| **usable);
        usable
            .map(|(name, _)| name)
            .filter(|name| !stands(name))
            .cloned()
            .collect()
    }
}

// === impl Listed ===

impl<T> Listed<T> {
    fn take(&mut self, event: Event<(String, T)>) {
        match event {
            Event::Init => self.coming.clear(),
            Event::InitApply((name, value)) => {
                self.coming.insert(name, value);
            }
            Event::InitDone => {
                self.current = std::mem::take(&mut self.coming);
                self.complete = true;
            }
            Event::Apply((name, value)) => {
                self.current.insert(name, value);
            }
            Event::Delete((name, _)) => {
                self.current.remove(&name);
            }
        }
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            current: BTreeMap::new(),
            coming: BTreeMap::new(),
            complete: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(name: &str, usable: bool) -> (String, bool) {
        (name.to_owned(), usable)
    }

    fn held(name: &str, text: Option<&str>) -> (String, Option<String>) {
        (name.to_owned(), text.map(str::to_owned))
    }

    #[test]
    fn writes_what_is_missing_where_it_can() {
        let mut known = Known::default();
        known.take(Change::Namespace(Event::Init));
        for (name, usable) in [("a", true), ("b", true), ("c", true), ("gone", false)] {
            known.take(Change::Namespace(Event::InitApply(namespace(name, usable))));
        }
        known.take(Change::Namespace(Event::InitDone));
        assert!(
            known.missing("R").is_empty(),
            "what stands there is not known yet"
        );
        known.take(Change::Map(Event::Init));
        known.take(Change::Map(Event::InitApply(held("a", Some("R")))));
        known.take(Change::Map(Event::InitApply(held("b", Some("old")))));
        known.take(Change::Map(Event::InitDone));
        assert_eq!(known.missing("R"), ["b", "c"]);
        assert_eq!(known.missing("S"), ["a", "b", "c"], "other roots");

        known.take(Change::Map(Event::Apply(held("b", Some("R")))));
        known.take(Change::Map(Event::Apply(held("c", None))));
        known.take(Change::Map(Event::Delete(held("a", None))));
        assert_eq!(known.missing("R"), ["a", "c"]);
        known.take(Change::Namespace(Event::Apply(namespace("a", false))));
        known.take(Change::Namespace(Event::Apply(namespace("new", true))));
        assert_eq!(known.missing("R"), ["c", "new"]);
        known.take(Change::Namespace(Event::Init));
        known.take(Change::Namespace(Event::InitApply(namespace("c", true))));
        assert_eq!(
            known.missing("R"),
            ["c", "new"],
            "the old list holds until the new one is whole"
        );
        known.take(Change::Namespace(Event::InitDone));
        assert_eq!(known.missing("R"), ["c"]);
    }

    #[test]
    fn the_end_of_a_namespace_is_no_failure() {
        let error = |code: u16, reason: &str, message: &str| {
            let status = serde_json::json!({
                "status": "Failure", "code": code, "reason": reason, "message": message,
            });
            kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
        };
        let text = "configmaps \"a\" is forbidden: unable to create new content in namespace b because it is being terminated";
        assert!(is_ending(&error(403, "Forbidden", text)));
        assert!(is_ending(&error(
            404,
            "NotFound",
            "namespaces \"b\" not found"
        )));
        assert!(!is_ending(&error(403, "Forbidden", "no permission")));
        assert!(!is_ending(&error(500, "InternalError", "")));
    }
}
