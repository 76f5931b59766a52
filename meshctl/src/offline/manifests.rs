//! Workloads of Kubernetes manifests: what Deployments and the like would run.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use crate::cluster::documents;

/// Controllers whose pods are workloads.
const CONTROLLERS: [&str; 5] = [
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Pod",
];
/// Istio's label of a workload whose proxy accepts the mesh's mutual TLS.
const TLS_MODE: &str = "security.istio.io/tlsMode";
/// Istio's label of pods that are to have no sidecar.
const INJECT: &str = "sidecar.istio.io/inject";
/// Documentation addresses (RFC 2544), which no real object has.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// A pod template.
struct Template<'a> {
    namespace: &'a str,
    name: &'a str,
    labels: Map<String, Value>,
    spec: &'a Value,
}

/// One `WorkloadEntry` for each controller in the texts, with an address of no process; empty if
/// there is none. What is no YAML is left to whoever compiles the texts.
pub(super) fn workload_entries(texts: &[(String, String)]) -> String {
    let objects = texts
        .iter()
        .flat_map(|(_, text)| documents(text).unwrap_or_default())
        .flat_map(items)
        .collect::<Vec<_>>();
    let templates = objects.iter().filter_map(template);
    let first = u32::from(FIRST_ADDRESS);
    let entries = templates.zip(first..).map(|(template, bits)| {
        let entry = entry(&template, &objects, Ipv4Addr::from(bits));
        // JSON is YAML.
        format!("---\n{entry}\n")
    });
    entries.collect()
}

/// The objects of a `List`, or the object itself.
fn items(object: Value) -> Vec<Value> {
    match object.get("items").and_then(Value::as_array) {
        Some(items) if object.get("kind").and_then(Value::as_str) == Some("List") => items.clone(),
        _ => vec![object],
    }
}

fn template(object: &Value) -> Option<Template<'_>> {
    let kind = object.get("kind")?.as_str()?;
    if !CONTROLLERS.contains(&kind) {
        return None;
    }
    let (labels, spec) = if kind == "Pod" {
        ("/metadata/labels", "/spec")
    } else {
        ("/spec/template/metadata/labels", "/spec/template/spec")
    };
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let labels = object.pointer(labels).and_then(Value::as_object);
    Some(Template {
        namespace: text("/metadata/namespace").unwrap_or("default"),
        name: text("/metadata/name")?,
        labels: labels.cloned().unwrap_or_default(),
        spec: object.pointer(spec)?,
    })
}

fn entry(template: &Template<'_>, objects: &[Value], address: Ipv4Addr) -> Value {
    let mut labels = template.labels.clone();
    if labels.get(INJECT).and_then(Value::as_str) != Some("false") {
        labels.insert(TLS_MODE.to_owned(), json!("istio"));
    }
    let account = ["serviceAccountName", "serviceAccount"]
        .iter()
        .find_map(|field| template.spec.get(field)?.as_str())
        .unwrap_or("default");
    let mut spec = json!({
        "address": address.to_string(),
        "labels": labels,
        "serviceAccount": account,
    });
    let ports = named_ports(template, objects);
    if !ports.is_empty()
        && let Some(spec) = spec.as_object_mut()
    {
        spec.insert("ports".to_owned(), Value::Object(ports));
    }
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {
            "name": template.name,
            "namespace": template.namespace,
            "annotations": {"mesh.dev/derived": "true"},
        },
        "spec": spec,
    })
}

/// Ports of Services that name a container's port, which only the pod can tell the number of.
fn named_ports(template: &Template<'_>, objects: &[Value]) -> Map<String, Value> {
    let services = objects.iter().filter(|object| {
        object.get("kind").and_then(Value::as_str) == Some("Service")
            && object
                .pointer("/metadata/namespace")
                .map_or(Some("default"), Value::as_str)
                == Some(template.namespace)
            && object
                .pointer("/spec/selector")
                .and_then(Value::as_object)
                .is_some_and(|selector| {
                    selector
                        .iter()
                        .all(|(key, value)| template.labels.get(key) == Some(value))
                })
    });
    let ports = services.flat_map(|service| list(service, "/spec/ports"));
    ports
        .filter_map(|port| {
            let name = port.get("name")?.as_str()?;
            let target = port.get("targetPort")?.as_str()?;
            Some((name.to_owned(), container_port(template.spec, target)?))
        })
        .collect()
}

fn container_port(spec: &Value, name: &str) -> Option<Value> {
    list(spec, "/containers")
        .flat_map(|container| list(container, "/ports"))
        .find(|port| port.get("name").and_then(Value::as_str) == Some(name))?
        .get("containerPort")
        .cloned()
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1}
spec:
  template:
    metadata: {labels: {app: reviews, version: v1}}
    spec:
      serviceAccountName: bookinfo-reviews
      containers: [{name: reviews, ports: [{name: web, containerPort: 9080}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: other, labels: {sidecar.istio.io/inject: 'false'}}
spec: {containers: []}
";

    #[test]
    fn each_controller_is_a_workload() {
        let text = workload_entries(&[("a.yaml".to_owned(), MANIFEST.to_owned())]);
        let entries = documents(&text).unwrap();
        assert_eq!(entries.len(), 2);
        let spec = &entries[0]["spec"];
        assert_eq!(entries[0]["metadata"]["name"], "reviews-v1");
        assert_eq!(spec["serviceAccount"], "bookinfo-reviews");
        assert_eq!(spec["ports"], json!({"http": 9080}));
        assert_eq!(spec["labels"][TLS_MODE], "istio");
        assert_eq!(entries[1]["spec"]["serviceAccount"], "default");
        assert_eq!(entries[1]["spec"]["labels"].get(TLS_MODE), None);
        assert_ne!(spec["address"], entries[1]["spec"]["address"]);
    }

    #[test]
    fn other_texts_have_none() {
        let texts = [
            ("a".to_owned(), "kind: [".to_owned()),
            ("b".to_owned(), "kind: Service\n".to_owned()),
        ];
        assert_eq!(workload_entries(&texts), "");
    }
}
