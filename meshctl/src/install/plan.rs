//! What to apply, in which order, and what of an earlier version goes.

use serde_json::{Map, Value, json};

use super::chart::{Chart, nothing};
use super::{InstallError, values};
use crate::cluster::ObjectRef;

/// The revision that is installed unless another is named.
pub const DEFAULT_REVISION: &str = "mesh";
/// The tag that stands for what names no revision.
pub const DEFAULT_TAG: &str = "default";

/// What the user wants installed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Namespace of the control plane.
    pub namespace: String,
    /// What was set of the charts' values, those of the gateway under `gateway`.
    pub overrides: Value,
    /// Whether there is to be a gateway.
    pub gateway: bool,
}

/// What installing consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The revision.
    pub revision: String,
    /// Namespace of the control plane.
    pub namespace: String,
    /// Version of the mesh.
    pub version: String,
    /// What was set.
    pub overrides: Value,
    /// CRDs, for where they are missing.
    pub crds: Vec<Value>,
    /// The control plane without its webhooks.
    pub control_plane: Vec<Value>,
    /// The webhooks: they may block pods, and come when the control plane answers.
    pub webhooks: Vec<Value>,
    /// The gateway, whose pods need the webhooks. Empty if there is to be none.
    pub gateway: Vec<Value>,
    /// All of it as text, with comments.
    pub text: String,
}

/// Kinds in the order in which they are applied (Helm's); others follow before the webhooks.
const ORDER: [&str; 15] = [
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "Deployment",
    "HorizontalPodAutoscaler",
    "",
];

// === impl Wanted ===

impl Wanted {
    /// The revision that the values name.
    pub fn revision(&self) -> &str {
        self.overrides
            .get("revision")
            .and_then(Value::as_str)
            .unwrap_or(DEFAULT_REVISION)
    }

    /// `defaultRevision`, if somebody has set it.
    pub fn default_revision(&self) -> Option<bool> {
        self.overrides
            .get("defaultRevision")
            .and_then(Value::as_bool)
    }

    /// Sets a value at the top.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let mut over = Map::new();
        over.insert(name.to_owned(), value.into());
        if !self.overrides.is_object() {
            self.overrides = nothing();
        }
        values::merge(&mut self.overrides, &Value::Object(over));
    }

    /// Renders the charts.
    ///
    /// # Errors
    /// If the values do not fit the charts.
    pub fn plan(&self) -> Result<Plan, InstallError> {
        let (mesh_values, gateway_values) = split(&self.overrides);
        let mesh = Chart::mesh()?;
        let merged = mesh.values(&mesh_values)?;
        let mut rendered = mesh.render(&self.namespace, &merged)?;
        let mut gateway = Vec::new();
        // Wrong values are wrong, also for a gateway that is not installed now.
        let chart = Chart::gateway()?;
        let mut over = json!({ "revision": self.revision() });
        values::merge(&mut over, &gateway_values);
        let merged = chart.values(&over)?;
        if self.gateway {
            let more = chart.render(&self.namespace, &merged)?;
            rendered.text.push_str(&more.text);
            gateway = in_order(more.objects);
        }
        let (webhooks, control_plane) = in_order(rendered.objects)
            .into_iter()
            .partition(|object| kind(object).ends_with("WebhookConfiguration"));
        Ok(Plan {
            revision: self.revision().to_owned(),
            namespace: self.namespace.clone(),
            version: mesh.app_version().to_owned(),
            overrides: self.overrides.clone(),
            crds: mesh.crds().to_vec(),
            control_plane,
            webhooks,
            gateway,
            text: rendered.text,
        })
    }
}

/// The control plane's values and the gateway's.
fn split(overrides: &Value) -> (Value, Value) {
    let mut mesh = overrides.clone();
    let gateway = mesh
        .as_object_mut()
        .and_then(|map| map.shift_remove("gateway"))
        .unwrap_or_else(nothing);
    (if mesh.is_object() { mesh } else { nothing() }, gateway)
}

// === impl Plan ===

impl Plan {
    /// Names of all objects but CRDs and the namespace.
    ///
    /// # Errors
    /// If one has no name.
    pub fn objects(&self) -> Result<Vec<ObjectRef>, InstallError> {
        names(
            self.control_plane
                .iter()
                .chain(&self.webhooks)
                .chain(&self.gateway),
        )
    }
}

/// Names of objects; those outside of namespaces have none.
///
/// # Errors
/// If one has no name.
pub fn names<'a>(
    objects: impl IntoIterator<Item = &'a Value>,
) -> Result<Vec<ObjectRef>, InstallError> {
    objects
        .into_iter()
        .map(|object| Ok(ObjectRef::of(object, "")?))
        .collect()
}

/// What of `old` is not in `new`, in the order in which it may go: webhooks first, so that nothing
/// is sent to a control plane that is being taken away.
pub fn prune(old: &[ObjectRef], new: &[ObjectRef]) -> Vec<ObjectRef> {
    let mut gone: Vec<ObjectRef> = old
        .iter()
        .filter(|one| !new.contains(one))
        .cloned()
        .collect();
    gone.sort_by_key(|one| (std::cmp::Reverse(rank(&one.kind)), one.clone()));
    gone.dedup();
    gone
}

/// `Deployment istio-system/meshd`, `ClusterRole meshd-istio-system`.
pub fn label(object: &ObjectRef) -> String {
    if object.namespace.is_empty() {
        format!("{} {}", object.kind, object.name)
    } else {
        format!("{} {}/{}", object.kind, object.namespace, object.name)
    }
}

fn in_order(mut objects: Vec<Value>) -> Vec<Value> {
    objects.sort_by_key(|object| rank(kind(object)));
    objects
}

fn kind(object: &Value) -> &str {
    object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn rank(kind: &str) -> usize {
    let other = ORDER.len() - 1;
    if kind.ends_with("WebhookConfiguration") {
        return ORDER.len();
    }
    ORDER.iter().position(|one| *one == kind).unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, namespace: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn wanted(overrides: Value) -> Wanted {
        Wanted {
            namespace: "istio-system".to_owned(),
            overrides,
            gateway: true,
        }
    }

    fn labels(objects: &[Value]) -> Vec<String> {
        names(objects).unwrap().iter().map(label).collect()
    }

    #[test]
    fn webhooks_come_last_and_the_gateway_after_them() {
        let plan = wanted(nothing()).plan().unwrap();
        assert_eq!(
            labels(&plan.control_plane),
            [
                "NetworkPolicy istio-system/meshd",
                "PodDisruptionBudget istio-system/meshd",
                "ServiceAccount istio-system/meshd",
                "ConfigMap istio-system/mesh",
                "ConfigMap istio-system/mesh-inject",
                "ClusterRole meshd-istio-system",
                "ClusterRole mesh-revision-tag-default",
                "ClusterRoleBinding meshd-istio-system",
                "ClusterRoleBinding mesh-revision-tag-default",
                "Role istio-system/meshd",
                "RoleBinding istio-system/meshd",
                "Service istio-system/meshd",
                "Deployment istio-system/meshd",
            ]
        );
        assert_eq!(
            labels(&plan.webhooks),
            [
                "MutatingWebhookConfiguration mesh-sidecar-injector",
                "MutatingWebhookConfiguration mesh-revision-tag-default",
                "ValidatingWebhookConfiguration mesh-revision-tag-default",
                "ValidatingWebhookConfiguration mesh-validator",
            ]
        );
        assert_eq!(
            labels(&plan.gateway),
            [
                "NetworkPolicy istio-system/mesh-ingressgateway",
                "ServiceAccount istio-system/mesh-ingressgateway",
                "Service istio-system/mesh-ingressgateway",
                "Deployment istio-system/mesh-ingressgateway",
            ]
        );
    }

    #[test]
    fn another_revision_shares_no_object() {
        let first = wanted(nothing()).plan().unwrap().objects().unwrap();
        let mut second = wanted(json!({"revision": "canary", "defaultRevision": false}));
        second.gateway = false;
        let second = second.plan().unwrap().objects().unwrap();
        assert_eq!(second.iter().find(|one| first.contains(one)), None);
    }

    #[test]
    fn a_gateway_belongs_to_the_revision_unless_it_says_otherwise() {
        for (overrides, want) in [
            (json!({"revision": "canary"}), "canary"),
            (
                json!({"revision": "canary", "gateway": {"revision": "stable"}}),
                "stable",
            ),
        ] {
            let plan = wanted(overrides).plan().unwrap();
            let deployment = plan
                .gateway
                .iter()
                .find(|one| kind(one) == "Deployment")
                .unwrap();
            assert_eq!(
                deployment["spec"]["template"]["metadata"]["labels"]["istio.io/rev"],
                want
            );
        }
    }

    #[test]
    fn values_that_do_not_exist_are_refused() {
        for (overrides, want) in [
            (
                json!({"meshd": {"replica": 1}}),
                "there is no value meshd.replica",
            ),
            (
                json!({"gateway": {"service": {"type": "X"}}}),
                "service.type must be one of",
            ),
        ] {
            let error = wanted(overrides).plan().unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn what_is_no_longer_there_goes_webhooks_first() {
        let old = [
            object("ConfigMap", "n", "a"),
            object("Service", "n", "kept"),
            object("Deployment", "n", "b"),
            object("MutatingWebhookConfiguration", "", "c"),
            object("Deployment", "n", "b"),
        ];
        let new = [
            object("Service", "n", "kept"),
            object("Service", "n", "new"),
        ];
        let gone: Vec<String> = prune(&old, &new).iter().map(label).collect();
        assert_eq!(
            gone,
            [
                "MutatingWebhookConfiguration c",
                "Deployment n/b",
                "ConfigMap n/a"
            ]
        );
        assert_eq!(prune(&old, &old), []);
    }
}
