//! Definitions of Istio's kinds for clusters without Istio: those that this mesh reads, under the
//! names, versions and columns that Istio's tools and manifests expect; and of the mesh's own.

mod places;
mod resilience;
mod schema;
mod security;
mod telemetry;
mod traffic;

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

use self::schema::{Schema, integer_or_text, list, list_by, object, one_of, text};
use super::{ClusterError, MANAGER};

/// How long an API server may take until it serves a new kind.
const ESTABLISH: Duration = Duration::from_secs(30);

/// What is to be said of a kind besides its fields.
struct Definition {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    /// Name and path of what `kubectl get` shows.
    columns: &'static [(&'static str, &'static str, &'static str)],
    about: &'static str,
    spec: fn() -> Schema,
}

const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const TELEMETRY: &str = "telemetry.istio.io";
const MESH: &str = "mesh.dev";
/// Of Istio's kinds the one that has one version only.
const PROXY_CONFIG: &str = "ProxyConfig";
/// How `kubectl get` shows lists.
const TEXT: &str = "string";

static DEFINITIONS: &[Definition] = &[
    Definition {
        group: NETWORKING,
        kind: "VirtualService",
        plural: "virtualservices",
        short: "vs",
        columns: &[
            ("Gateways", TEXT, ".spec.gateways"),
            ("Hosts", TEXT, ".spec.hosts"),
        ],
        about: "Routes of requests and connections to hosts",
        spec: traffic::virtual_service,
    },
    Definition {
        group: NETWORKING,
        kind: "DestinationRule",
        plural: "destinationrules",
        short: "dr",
        columns: &[("Host", TEXT, ".spec.host")],
        about: "How clients treat a service: balancing, connections, outliers, TLS, and subsets",
        spec: traffic::destination_rule,
    },
    Definition {
        group: NETWORKING,
        kind: "Gateway",
        plural: "gateways",
        short: "gw",
        columns: &[],
        about: "What gateway pods serve at the edge: ports, hosts and certificates",
        spec: places::gateway,
    },
    Definition {
        group: NETWORKING,
        kind: "ServiceEntry",
        plural: "serviceentries",
        short: "se",
        columns: &[
            ("Hosts", TEXT, ".spec.hosts"),
            ("Location", TEXT, ".spec.location"),
            ("Resolution", TEXT, ".spec.resolution"),
        ],
        about: "A service that is no Service of Kubernetes",
        spec: places::service_entry,
    },
    Definition {
        group: NETWORKING,
        kind: "WorkloadEntry",
        plural: "workloadentries",
        short: "we",
        columns: &[("Address", TEXT, ".spec.address")],
        about: "A workload that is no pod",
        spec: places::workload_entry,
    },
    Definition {
        group: NETWORKING,
        kind: "Sidecar",
        plural: "sidecars",
        short: "",
        columns: &[],
        about: "What the proxies of some workloads may ask for",
        spec: places::sidecar,
    },
    Definition {
        group: NETWORKING,
        kind: PROXY_CONFIG,
        plural: "proxyconfigs",
        short: "",
        columns: &[],
        about: "How the proxies of some workloads are started; read when pods are injected",
        spec: places::proxy_config,
    },
    Definition {
        group: SECURITY,
        kind: "PeerAuthentication",
        plural: "peerauthentications",
        short: "pa",
        columns: &[("Mode", TEXT, ".spec.mtls.mode")],
        about: "Whether workloads take plain connections or mutual TLS only",
        spec: security::peer_authentication,
    },
    Definition {
        group: SECURITY,
        kind: "RequestAuthentication",
        plural: "requestauthentications",
        short: "ra",
        columns: &[],
        about: "Tokens that requests may carry: who issues them, and the keys that prove it",
        spec: security::request_authentication,
    },
    Definition {
        group: SECURITY,
        kind: "AuthorizationPolicy",
        plural: "authorizationpolicies",
        short: "ap",
        columns: &[("Action", TEXT, ".spec.action")],
        about: "Who may do what with workloads",
        spec: security::authorization_policy,
    },
    Definition {
        group: TELEMETRY,
        kind: "Telemetry",
        plural: "telemetries",
        short: "telemetry",
        columns: &[],
        about: "What proxies report: metrics, access logs and traces",
        spec: telemetry::telemetry,
    },
    Definition {
        group: MESH,
        kind: "ResiliencePolicy",
        plural: "resiliencepolicies",
        short: "rp",
        columns: &[("Targets", TEXT, ".spec.targetRefs[*].name")],
        about: "What proxies let in: rates and protection against overload; and how they look after endpoints",
        spec: resilience::resilience_policy,
    },
];

/// The definitions of all kinds of Istio that this mesh reads, and of its own.
///
/// # Errors
/// If a schema here is no schema of Kubernetes.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    DEFINITIONS
        .iter()
        .map(|definition| serde_json::from_value(definition.manifest()))
        .collect()
}

/// [`crds`] as one text of YAML.
///
/// # Errors
/// If a schema here is no schema of Kubernetes.
pub fn crds_yaml() -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for definition in DEFINITIONS {
        let manifest = definition.manifest();
        let yaml = serde_saphyr::to_string(&manifest).map_err(serde::ser::Error::custom)?;
        text.push_str("---\n");
        text.push_str(yaml.trim_end());
        text.push('\n');
    }
    Ok(text)
}

/// Creates the definitions that a cluster does not have, and waits until it serves them. Those
/// that are there stay as they are: they may be Istio's. Returns the names of the new ones.
///
/// # Errors
/// If the API server does not do it.
pub async fn install_missing_crds(client: &Client) -> Result<Vec<String>, ClusterError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    let refused = |what: String, reason: String| ClusterError::Refused { what, reason };
    let all = crds().map_err(|e| refused("read the definitions".to_owned(), e.to_string()))?;
    let mut created = Vec::new();
    for definition in all {
        let name = definition.metadata.name.clone().unwrap_or_default();
        let what = format!("create the definition {name}");
        match api.create(&params, &definition).await {
            Ok(_) => created.push(name),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => return Err(ClusterError::from_call(what, &error)),
        }
    }
    for name in &created {
        let established = await_condition(api.clone(), name, is_crd_established());
        let what = || format!("wait for the definition {name}");
        match timeout(ESTABLISH, established).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(refused(what(), error.to_string())),
            Err(_) => {
                let reason = "the API server does not serve it after 30 s".to_owned();
                return Err(refused(what(), reason));
            }
        }
    }
    Ok(created)
}

// === impl Definition ===

impl Definition {
    fn manifest(&self) -> Value {
        let versions: Vec<Value> = self
            .versions()
            .iter()
            .map(|name| self.version(name))
            .collect();
        let short: Vec<&str> = [self.short]
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect();
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{}.{}", self.plural, self.group),
                "labels": self.labels(),
            },
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {
                    "kind": self.kind,
                    "listKind": format!("{}List", self.kind),
                    "plural": self.plural,
                    "singular": self.kind.to_lowercase(),
                    "shortNames": short,
                    "categories": self.categories(),
                },
                "versions": versions,
            },
        })
    }

    /// Names of its versions; the first one is stored.
    fn versions(&self) -> &'static [&'static str] {
        match self.group {
            NETWORKING if self.kind == PROXY_CONFIG => &["v1beta1"],
            NETWORKING => &["v1", "v1beta1", "v1alpha3"],
            MESH => &["v1alpha1"],
            TELEMETRY => &["v1", "v1alpha1"],
            _ => &["v1", "v1beta1"],
        }
    }

    /// Labels of the definition. Policies that attach to objects say so (Gateway API: GEP-713).
    fn labels(&self) -> Value {
        let mut labels = json!({ "app.kubernetes.io/part-of": "mesh" });
        if self.group == MESH
            && let Some(labels) = labels.as_object_mut()
        {
            let name = "gateway.networking.k8s.io/policy".to_owned();
            labels.insert(name, "Inherited".into());
        }
        labels
    }

    fn categories(&self) -> Vec<String> {
        let own = self.group.replace('.', "-");
        match self.group {
            MESH => vec![own],
            _ => vec!["istio-io".to_owned(), own],
        }
    }

    fn version(&self, name: &str) -> Value {
        let mut columns: Vec<Value> = self
            .columns
            .iter()
            .map(|(name, of_type, path)| json!({"name": name, "type": of_type, "jsonPath": path}))
            .collect();
        columns.push(json!({
            "name": "Age",
            "type": "date",
            "jsonPath": ".metadata.creationTimestamp",
        }));
        let schema = json!({
            "type": "object",
            "description": self.about,
            "properties": {
                "spec": Value::from((self.spec)()),
                "status": Value::from(status()),
            },
        });
        json!({
            "name": name,
            "served": true,
            "storage": self.versions().first() == Some(&name),
            "additionalPrinterColumns": columns,
            "schema": { "openAPIV3Schema": schema },
            "subresources": { "status": {} },
        })
    }
}

fn status() -> Schema {
    let condition = object([
        ("type", text()),
        ("status", text()),
        ("reason", text()),
        ("message", text()),
        ("lastProbeTime", text()),
        ("lastTransitionTime", text()),
        ("observedGeneration", integer_or_text()),
    ]);
    let message = object([
        ("type", object([("code", text()), ("name", text())])),
        ("level", one_of(&["UNKNOWN", "ERROR", "WARNING", "INFO"])),
        ("documentationUrl", text()),
    ]);
    object([
        ("conditions", list_by(&["type"], condition)),
        ("validationMessages", list(message)),
        (
            "observedGeneration",
            integer_or_text().about("The version of the spec that the rest is about"),
        ),
    ])
    .about("What controllers say of it")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a schema is structural, as the API server wants it: a type everywhere, and never
    /// named fields and free ones together.
    fn check(path: &str, schema: &Value) {
        let map = schema.as_object().unwrap();
        let int_or_text = map.contains_key("x-kubernetes-int-or-string");
        assert!(map.contains_key("type") || int_or_text, "{path}: no type");
        let free = map.get("additionalProperties");
        let named = map.get("properties");
        assert!(free.is_none() || named.is_none(), "{path}");
        if let Some(free) = free {
            check(&format!("{path}.*"), free);
        }
        for (name, field) in named.and_then(Value::as_object).into_iter().flatten() {
            check(&format!("{path}.{name}"), field);
        }
        if let Some(items) = map.get("items") {
            check(&format!("{path}[]"), items);
        }
        for name in map
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let fields = named.and_then(Value::as_object).unwrap();
            assert!(
                fields.contains_key(name.as_str().unwrap()),
                "{path}: {name}"
            );
        }
    }

    #[test]
    fn definitions_are_complete_and_structural() {
        let all = crds().unwrap();
        assert_eq!(all.len(), DEFINITIONS.len());
        for (definition, crd) in DEFINITIONS.iter().zip(all) {
            let stored: Vec<_> = crd.spec.versions.iter().filter(|v| v.storage).collect();
            assert_eq!(stored.len(), 1);
            assert_eq!(stored[0].name, definition.versions()[0]);
            check(
                definition.kind,
                &definition.version(&stored[0].name)["schema"]["openAPIV3Schema"],
            );
        }
    }

    #[test]
    fn yaml_says_the_same() {
        let yaml = crds_yaml().unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        assert_eq!(documents.len(), DEFINITIONS.len());
        assert_eq!(documents[0], DEFINITIONS[0].manifest());
    }

    #[test]
    fn every_field_is_known_to_the_compiler() {
        for definition in DEFINITIONS {
            let Value::Object(spec) = Value::from((definition.spec)()) else {
                panic!("no schema");
            };
            for name in spec["properties"].as_object().unwrap().keys() {
                let mut store = meshd_core::Store::new();
                store.set_object(&json!({
                    "apiVersion": format!("{}/{}", definition.group, definition.versions()[0]),
                    "kind": definition.kind,
                    "metadata": { "namespace": "shop", "name": "a" },
                    "spec": { name: {} },
                }));
                let world = store.world(&meshd_core::MeshSettings::default());
                for problem in world.problems() {
                    let unknown = problem.message.contains("unknown field");
                    assert!(!unknown, "{}.{name}: {}", definition.kind, problem.message);
                }
            }
        }
    }
}
