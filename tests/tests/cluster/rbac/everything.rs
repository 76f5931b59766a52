//! Lets meshd do everything that it does, once.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams,
};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::conditions::is_crd_established;
use kube::{Api, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::place::{Place, REVISION, details_image};

/// Kinds that are only there beside Istio, or where the Gateway API is installed: group, version,
/// kind, plural.
const OPTIONAL: [(&str, &str, &str, &str); 13] = [
    ("networking.istio.io", "v1", "Sidecar", "sidecars"),
    (
        "networking.istio.io",
        "v1",
        "WorkloadGroup",
        "workloadgroups",
    ),
    (
        "networking.istio.io",
        "v1alpha3",
        "EnvoyFilter",
        "envoyfilters",
    ),
    (
        "networking.istio.io",
        "v1beta1",
        "ProxyConfig",
        "proxyconfigs",
    ),
    (
        "security.istio.io",
        "v1",
        "RequestAuthentication",
        "requestauthentications",
    ),
    ("telemetry.istio.io", "v1", "Telemetry", "telemetries"),
    (
        "extensions.istio.io",
        "v1alpha1",
        "WasmPlugin",
        "wasmplugins",
    ),
    (
        "extensions.istio.io",
        "v1alpha1",
        "TrafficExtension",
        "trafficextensions",
    ),
    (GATEWAY_API, "v1", "HTTPRoute", "httproutes"),
    (GATEWAY_API, "v1", "GRPCRoute", "grpcroutes"),
    (GATEWAY_API, "v1", "Gateway", "gateways"),
    (GATEWAY_API, "v1", "GatewayClass", "gatewayclasses"),
    (GATEWAY_API, "v1", "ReferenceGrant", "referencegrants"),
];
const GATEWAY_API: &str = "gateway.networking.k8s.io";
/// An object of each kind that is installed with the mesh.
const OF_THE_MESH: &str = r#"
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: one}, spec: {hosts: [one.example], http: [{route: [{destination: {host: one.example}}]}]}}
---
{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: one}, spec: {host: one.example}}
---
{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: one}, spec: {selector: {istio: nobody}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}}
---
{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: one}, spec: {address: 192.0.2.1}}
---
{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: one}, spec: {mtls: {mode: PERMISSIVE}}}
---
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: one}, spec: {action: DENY, selector: {matchLabels: {app: nobody}}}}
---
{apiVersion: mesh.dev/v1alpha1, kind: ResiliencePolicy, metadata: {name: one}, spec: {selector: {matchLabels: {app: nobody}}, rateLimits: [{requests: 1}]}}
"#;
/// An address of nobody (RFC 5737).
const ADDRESS: &str = "192.0.2.80";
const GATEWAY: &str = "mesh-ingressgateway";
/// How long the root of trust may take to be replaced.
const ROTATED: Duration = Duration::from_secs(120);
/// How long kube-apiserver may take to serve a kind.
const SERVED: Duration = Duration::from_secs(30);
/// A revision that nobody has: no webhook looks at such objects, as if they had been there before
/// the mesh.
const UNSEEN: &str = "nobody";

/// Runs `test` while all kinds that meshd can read are served.
pub(super) async fn with_all_kinds<T>(
    place: &Place,
    test: impl AsyncFnOnce(&[ApiResource]) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let definitions: Api<CustomResourceDefinition> = Api::all(place.cluster.client().clone());
    let mut made = Vec::new();
    let mut kinds = Vec::new();
    let mut outcome = Ok(());
    for (group, version, kind, plural) in OPTIONAL {
        let name = format!("{plural}.{group}");
        let kind = GroupVersionKind::gvk(group, version, kind);
        kinds.push(ApiResource::from_gvk_with_plural(&kind, plural));
        if definitions.get_opt(&name).await?.is_none() {
            made.push(name);
            outcome = define(place, &definitions, &kind, plural).await;
            if outcome.is_err() {
                break;
            }
        }
    }
    let outcome = match outcome {
        Ok(()) => test(&kinds).await,
        Err(error) => Err(error),
    };
    for name in made {
        let gone = definitions.delete(&name, &DeleteParams::default()).await;
        if let Err(error) = gone {
            eprintln!("cannot delete the definition {name}: {error}");
        }
    }
    outcome
}

async fn define(
    place: &Place,
    definitions: &Api<CustomResourceDefinition>,
    kind: &GroupVersionKind,
    plural: &str,
) -> anyhow::Result<()> {
    let name = format!("{plural}.{}", kind.group);
    let definition = serde_json::from_value(json!({
        "metadata": {
            "name": name,
            // Groups of Kubernetes ask for a word about it.
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": kind.group,
            "names": {"kind": kind.kind, "plural": plural},
            "scope": if is_of_cluster(&kind.kind) { "Cluster" } else { "Namespaced" },
            "versions": [{
                "name": kind.version, "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    }))?;
    definitions
        .create(&PostParams::default(), &definition)
        .await?;
    let established = place.until(definitions.clone(), &name, "served", is_crd_established());
    timeout(SERVED, established).await?
}

fn is_of_cluster(kind: &str) -> bool {
    kind == "GatewayClass"
}

/// What an object of a kind that may be missing says; of most kinds nothing.
fn spec(kind: &ApiResource) -> Value {
    let route = json!({"parentRefs": [{"group": "", "kind": "Service", "name": "one"}]});
    match (kind.group.as_str(), kind.kind.as_str()) {
        (GATEWAY_API, "HTTPRoute" | "GRPCRoute") => route,
        (GATEWAY_API, "Gateway") => json!({
            "gatewayClassName": "istio",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        }),
        (GATEWAY_API, "GatewayClass") => json!({"controllerName": "istio.io/gateway-controller"}),
        (GATEWAY_API, _) => json!({
            "from": [{"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": "nowhere"}],
            "to": [{"group": "", "kind": "Service"}],
        }),
        _ => json!({}),
    }
}

/// All of it, in this order: the leader changes last.
pub(super) async fn happens(place: &Place, optional: &[ApiResource]) -> anyhow::Result<()> {
    status_of_all_kinds(place, optional)
        .await
        .context("status")?;
    quarantine(place).await.context("quarantine")?;
    ingress(place).await.context("status of an Ingress")?;
    a_pod(place).await.context("a pod with a sidecar")?;
    webhooks::<MutatingWebhookConfiguration>(place)
        .await
        .context("injection")?;
    webhooks::<ValidatingWebhookConfiguration>(place)
        .await
        .context("validation")?;
    keys(place).await.context("the Secret of the authority")?;
    rotation(place).await.context("a new root of trust")?;
    another_leader(place).await.context("another leader")
}

/// One object of each kind. Its status is written.
async fn status_of_all_kinds(place: &Place, optional: &[ApiResource]) -> anyhow::Result<()> {
    place.apply(OF_THE_MESH).await?;
    for kind in optional {
        let client = place.cluster.client().clone();
        let api: Api<DynamicObject> = match is_of_cluster(&kind.kind) {
            true => Api::all_with(client, kind),
            false => Api::namespaced_with(client, &place.namespace, kind),
        };
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": kind.api_version, "kind": kind.kind,
            "metadata": {"name": "one", "labels": {"istio.io/rev": UNSEEN}},
            "spec": spec(kind),
        }))?;
        // A definition that was just made may not be served by every part of the server yet.
        place
            .poll(&format!("a {}", kind.kind), async || {
                Ok(api.create(&PostParams::default(), &object).await.ok())
            })
            .await?;
        // Nobody waits for what a grant says of itself.
        if kind.kind != "ReferenceGrant" {
            place
                .poll(&format!("the status of a {}", kind.kind), async || {
                    let object = api.get("one").await?;
                    Ok(object.data.get("status").map(drop))
                })
                .await?;
        }
        if is_of_cluster(&kind.kind) {
            api.delete("one", &DeleteParams::default()).await?;
        }
    }
    Ok(())
}

/// An object gets worse twice: it is told of, and its last good version is kept for all replicas.
async fn quarantine(place: &Place) -> anyhow::Result<()> {
    for (host, reason) in [
        ("one.example", "Accepted"),
        ("a b", "Quarantined"),
        ("one.example", "Accepted"),
        ("a b", "Quarantined"),
    ] {
        let entry = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {
                "name": "worse", "namespace": place.namespace,
                "labels": {"istio.io/rev": UNSEEN},
            },
            "spec": {"hosts": [host], "resolution": "NONE", "ports": [{"number": 80, "name": "http"}]},
        });
        place.cluster.apply(&entry, false).await?;
        let kind = GroupVersionKind::gvk("networking.istio.io", "v1", "ServiceEntry");
        let kind = ApiResource::from_gvk_with_plural(&kind, "serviceentries");
        let client = place.cluster.client().clone();
        let api: Api<DynamicObject> = Api::namespaced_with(client, &place.namespace, &kind);
        place
            .poll(&format!("status {reason}"), async || {
                let object = api.get("worse").await?;
                let generation = object.metadata.generation;
                let said = |path: &str| object.data.pointer(path);
                let observed = said("/status/observedGeneration").and_then(Value::as_i64);
                let current = observed == generation;
                let said = said("/status/conditions/0/reason").and_then(Value::as_str);
                let said = said.is_some_and(|said| said.starts_with(reason));
                Ok((said && current).then_some(()))
            })
            .await?;
    }
    let maps: Api<ConfigMap> = place.mesh_api();
    place
        .poll("a note of the last good version", async || {
            let note = maps.get_opt("mesh-last-good").await?;
            let data = note.and_then(|note| note.data).unwrap_or_default();
            Ok(data.keys().any(|key| key.contains("worse")).then_some(()))
        })
        .await
}

/// An Ingress shows where the gateway is reached, as long as its class is ours.
async fn ingress(place: &Place) -> anyhow::Result<()> {
    let ingresses: Api<Ingress> = place.api();
    let of_class = |class: &str| {
        json!({
            "metadata": {"name": "one", "annotations": {"kubernetes.io/ingress.class": class}},
            "spec": {"defaultBackend": {"service": {"name": "one", "port": {"number": 80}}}},
        })
    };
    let created = serde_json::from_value(of_class("istio"))?;
    ingresses.create(&PostParams::default(), &created).await?;
    let services: Api<Service> = place.mesh_api();
    let before = services
        .get(GATEWAY)
        .await?
        .spec
        .and_then(|spec| spec.external_ips);
    merge(
        &services,
        GATEWAY,
        &json!({"spec": {"externalIPs": [ADDRESS]}}),
    )
    .await?;
    let shown = shows(place, &ingresses, true).await;
    if shown.is_ok() {
        merge(&ingresses, "one", &of_class("nobody")).await?;
    }
    let hidden = shows(place, &ingresses, false).await;
    merge(
        &services,
        GATEWAY,
        &json!({"spec": {"externalIPs": before}}),
    )
    .await?;
    shown.and(hidden)
}

async fn shows(place: &Place, ingresses: &Api<Ingress>, wanted: bool) -> anyhow::Result<()> {
    let what = match wanted {
        true => "the address in the status",
        false => "the end of the address in the status",
    };
    place
        .poll(what, async || {
            let status = ingresses.get("one").await?.status;
            let entries = status.and_then(|status| status.load_balancer?.ingress);
            let mut entries = entries.into_iter().flatten();
            let found = entries.any(|entry| entry.ip.as_deref() == Some(ADDRESS));
            Ok((found == wanted).then_some(()))
        })
        .await
}

/// A pod: it gets a sidecar, and that a certificate.
async fn a_pod(place: &Place) -> anyhow::Result<()> {
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "one"},
        "spec": {
            "selector": {"matchLabels": {"app": "one"}},
            "template": {
                "metadata": {"labels": {"app": "one"}},
                "spec": {"containers": [{"name": "app", "image": details_image()}]},
            },
        },
    }))?;
    let api: Api<Deployment> = place.api();
    api.create(&PostParams::default(), &deployment).await?;
    place.deployments_ready().await
}

/// Somebody takes the roots away by which the API server trusts the webhooks: meshd puts them back.
async fn webhooks<K>(place: &Place) -> anyhow::Result<()>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let api: Api<K> = Api::all(place.cluster.client().clone());
    let ours = ListParams::default().labels(&format!("app=meshd,istio.io/rev={REVISION}"));
    for configuration in api.list(&ours).await? {
        let name = configuration.name_any();
        let path = "/webhooks/0/clientConfig/caBundle";
        let patch = serde_json::from_value(json!([{"op": "remove", "path": path}]))?;
        let patch = Patch::<()>::Json(patch);
        api.patch(&name, &PatchParams::default(), &patch).await?;
        place
            .poll(&format!("the roots in {name}"), async || {
                let value = serde_json::to_value(api.get(&name).await?)?;
                let bundle = value.pointer(path).and_then(Value::as_str);
                Ok(bundle.filter(|bundle| !bundle.is_empty()).map(drop))
            })
            .await?;
    }
    Ok(())
}

/// The root of trust is replaced: every replica says what it knows, and the leader takes the steps.
async fn rotation(place: &Place) -> anyhow::Result<()> {
    let mut command = place.meshctl();
    command.args(["ca", "rotate"]);
    let (succeeded, printed) = place.run(command, ROTATED).await?;
    anyhow::ensure!(succeeded, "{printed}");
    Ok(())
}

/// The Secret of the authority loses something that meshd can find out again, and then is deleted:
/// meshd completes it, and restores it.
async fn keys(place: &Place) -> anyhow::Result<()> {
    const NAME: &str = "mesh-ca";
    const PART: &str = "active-roots.pem";
    let secrets: Api<Secret> = place.mesh_api();
    let mut before = secrets.get(NAME).await?;
    merge(&secrets, NAME, &json!({"data": {PART: null}})).await?;
    place
        .poll("the roots in the Secret", async || {
            let data = secrets.get(NAME).await?.data.unwrap_or_default();
            Ok(data.get(PART).map(drop))
        })
        .await?;
    secrets.delete(NAME, &DeleteParams::default()).await?;
    let restored = place
        .poll("the Secret", async || {
            Ok(secrets.get_opt(NAME).await?.map(drop))
        })
        .await;
    if restored.is_err() {
        before.metadata = ObjectMeta {
            name: before.metadata.name,
            labels: before.metadata.labels,
            ..ObjectMeta::default()
        };
        secrets.create(&PostParams::default(), &before).await?;
    }
    restored
}

/// The office is taken away, and taken again.
async fn another_leader(place: &Place) -> anyhow::Result<()> {
    const NAME: &str = "mesh-leader";
    let leases: Api<Lease> = place.mesh_api();
    leases.delete(NAME, &DeleteParams::default()).await?;
    place
        .poll("a leader", async || {
            let lease = leases.get_opt(NAME).await?;
            let holder = lease.and_then(|lease| lease.spec?.holder_identity);
            Ok(holder.filter(|holder| !holder.is_empty()).map(drop))
        })
        .await
}

async fn merge<K>(api: &Api<K>, name: &str, change: &Value) -> anyhow::Result<()>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(change))
        .await?;
    Ok(())
}
