//! Objects of the API server without what means nothing to a mesh, so that little is kept, and
//! a heartbeat is no change.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// What kubectl notes down on objects: as long as the object itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Keys of certificates, keys and roots in Secrets: Kubernetes' and Istio's generic names.
const CREDENTIAL_KEYS: [&str; 9] = [
    "tls.crt",
    "tls.key",
    "ca.crt",
    "ca.crl",
    "cert",
    "key",
    "cacert",
    "crl",
    "tls.ocsp-staple",
];

/// An object as it comes, without `metadata.managedFields`, which are skipped unread.
#[derive(Debug, Clone)]
pub(crate) struct Received(pub(crate) Value);

// === impl Received ===

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Received;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Received, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = match name.as_str() {
                "metadata" => Value::Object(map.next_value::<Metadata>()?.0),
                _ => map.next_value()?,
            };
            object.insert(name, value);
        }
        Ok(Received(Value::Object(object)))
    }
}

struct Metadata(Map<String, Value>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the metadata of a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut metadata = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "managedFields" => drop(map.next_value::<IgnoredAny>()?),
                _ => {
                    metadata.insert(name, map.next_value()?);
                }
            }
        }
        Ok(Metadata(metadata))
    }
}

/// What is kept of an object, or nothing if it means nothing to the mesh. Two versions that
/// differ only in what is not kept give the same.
pub(crate) fn prune(kind: &str, object: Value) -> Option<Value> {
    let Value::Object(mut object) = object else {
        return None;
    };
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        prune_metadata(kind, metadata);
    }
    match kind {
        "Pod" => prune_pod(&mut object),
        "Node" | "Namespace" => keep(&mut object, &["apiVersion", "kind", "metadata"]),
        "Secret" => {
            keep(
                &mut object,
                &["apiVersion", "kind", "metadata", "type", "data"],
            );
            let data = object.get_mut("data").and_then(Value::as_object_mut)?;
            keep(data, &CREDENTIAL_KEYS);
            if data.is_empty() {
                return None;
            }
        }
        // A Service's status holds the addresses of its load balancer, which Ingresses show.
        "Service" => {}
        _ => {
            object.remove("status");
        }
    }
    Some(Value::Object(object))
}

fn prune_metadata(kind: &str, metadata: &mut Map<String, Value>) {
    for name in ["resourceVersion", "selfLink", "managedFields", "uid"] {
        metadata.remove(name);
    }
    if kind != "Pod" {
        metadata.remove("ownerReferences");
    }
    let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else {
        return;
    };
    annotations.remove(LAST_APPLIED);
    if kind == "Node" {
        // Heartbeats of all kinds of agents; what places a node are labels.
        annotations.clear();
    }
}

fn prune_pod(pod: &mut Map<String, Value>) {
    keep(pod, &["apiVersion", "kind", "metadata", "spec", "status"]);
    if let Some(Value::Object(spec)) = pod.get_mut("spec") {
        keep(
            spec,
            &[
                "containers",
                "hostNetwork",
                "hostname",
                "initContainers",
                "nodeName",
                "restartPolicy",
                "serviceAccountName",
                "subdomain",
            ],
        );
        for list in ["containers", "initContainers"] {
            each(spec.get_mut(list), |container| {
                keep(container, &["name", "ports", "restartPolicy"]);
            });
        }
    }
    if let Some(Value::Object(status)) = pod.get_mut("status") {
        keep(status, &["conditions", "phase", "podIP", "podIPs"]);
        each(status.get_mut("conditions"), |condition| {
            keep(condition, &["type", "status"]);
        });
    }
}

fn keep(map: &mut Map<String, Value>, names: &[&str]) {
    map.retain(|name, _| names.contains(&name.as_str()));
}

fn each(list: Option<&mut Value>, change: impl Fn(&mut Map<String, Value>)) {
    for item in list.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(item) = item {
            change(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn skips_who_wrote_which_field() {
        let text = r#"{"kind":"Pod","metadata":{"name":"a","managedFields":[{"x":[1,{}]}],"labels":{"a":"b"}},"spec":{}}"#;
        let Received(object) = serde_json::from_str(text).unwrap();
        assert_eq!(
            object,
            json!({"kind": "Pod", "metadata": {"name": "a", "labels": {"a": "b"}}, "spec": {}})
        );
    }

    #[test]
    fn keeps_of_each_kind_what_means_something() {
        let cases = [
            (
                json!({"kind": "Pod", "metadata": {"name": "a", "resourceVersion": "1", "annotations": {"b": "c"}},
                    "spec": {"nodeName": "n", "volumes": [1], "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1}]}]},
                    "status": {"podIP": "10.0.0.1", "containerStatuses": [1], "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": "x"}]}}),
                Some(
                    json!({"kind": "Pod", "metadata": {"name": "a", "annotations": {"b": "c"}},
                    "spec": {"nodeName": "n", "containers": [{"name": "c", "ports": [{"containerPort": 1}]}]},
                    "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}}),
                ),
            ),
            (
                json!({"kind": "Node", "metadata": {"name": "n", "labels": {"z": "1"}, "annotations": {"beat": "2"}}, "spec": {}, "status": {}}),
                Some(
                    json!({"kind": "Node", "metadata": {"name": "n", "labels": {"z": "1"}, "annotations": {}}}),
                ),
            ),
            (
                json!({"kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque", "data": {"cert": "YQ==", "other": "Yg=="}}),
                Some(
                    json!({"kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque", "data": {"cert": "YQ=="}}),
                ),
            ),
            (
                json!({"kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque", "data": {"password": "YQ=="}}),
                None,
            ),
            (
                json!({"kind": "VirtualService", "metadata": {"name": "v", "annotations": {LAST_APPLIED: "{}"}}, "spec": {"hosts": []}, "status": {"x": 1}}),
                Some(
                    json!({"kind": "VirtualService", "metadata": {"name": "v", "annotations": {}}, "spec": {"hosts": []}}),
                ),
            ),
        ];
        for (object, want) in cases {
            let kind = object["kind"].as_str().unwrap().to_owned();
            assert_eq!(prune(&kind, object), want, "{kind}");
        }
    }
}
