//! What a mesh file means to the control plane: the Kubernetes and Istio objects that describe
//! its workloads, as YAML files in a directory of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::file;
use crate::mesh_file::service_name;
use crate::state::{WorkloadKind, WorkloadRecord};

/// Marks objects that the user's own ones of the same name replace without a word.
const DERIVED: &str = "mesh.dev/derived";
/// Says whether a workload may get requests; healthy without it.
const HEALTH: &str = "mesh.dev/health";
/// Istio's label of a workload whose proxy accepts the mesh's mutual TLS.
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// Whether a workload may get requests now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It may.
    Healthy,
    /// Its application does not run.
    Unhealthy,
}

/// The `WorkloadEntry` of a workload.
pub fn workload_entry(workload: &WorkloadRecord, health: Health) -> String {
    let (namespace, name) = workload
        .name
        .split_once('/')
        .unwrap_or(("default", &workload.name));
    let mut labels = workload.labels.clone();
    let mut spec = serde_json::Map::new();
    spec.insert("address".to_owned(), json!(workload.address.to_string()));
    if workload.kind == WorkloadKind::Sidecar {
        labels.insert(TLS_MODE.to_owned(), "istio".to_owned());
        let ports = workload
            .ports
            .iter()
            .map(|port| (port.name.clone(), json!(port.port)));
        let ports = ports.collect::<serde_json::Map<_, _>>();
        if !ports.is_empty() {
            spec.insert("ports".to_owned(), Value::Object(ports));
        }
    }
    spec.insert("labels".to_owned(), json!(labels));
    spec.insert("serviceAccount".to_owned(), json!(workload.service_account));
    let mut metadata = metadata(namespace, name);
    if health == Health::Unhealthy
        && let Some(annotations) = metadata
            .pointer_mut("/annotations")
            .and_then(Value::as_object_mut)
    {
        annotations.insert(HEALTH.to_owned(), json!("unhealthy"));
    }
    let object = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": metadata,
        "spec": spec,
    });
    yaml(&object)
}

/// The `Service` of each `app` label and the `ServiceAccount`s of all workloads.
pub fn services(workloads: &[WorkloadRecord]) -> String {
    let mut documents = Vec::new();
    let mut services: BTreeMap<(&str, &str), BTreeMap<u16, &str>> = BTreeMap::new();
    let mut accounts: BTreeSet<(&str, &str)> = BTreeSet::new();
    for workload in workloads {
        let Some((namespace, _)) = workload.name.split_once('/') else {
            continue;
        };
        accounts.insert((namespace, &workload.service_account));
        let app = service_name(&workload.labels).filter(|_| !workload.ports.is_empty());
        if let Some(app) = app.filter(|_| workload.kind == WorkloadKind::Sidecar) {
            let ports = workload
                .ports
                .iter()
                .map(|port| (port.port, port.name.as_str()));
            services.entry((namespace, app)).or_default().extend(ports);
        }
    }
    for ((namespace, app), ports) in services {
        let ports = ports
            .iter()
            .map(|(port, name)| json!({"name": name, "port": port, "targetPort": port}));
        documents.push(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(namespace, app),
            "spec": {"selector": {"app": app}, "ports": ports.collect::<Vec<_>>()},
        }));
    }
    for (namespace, account) in accounts {
        documents.push(json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(namespace, account),
        }));
    }
    documents.iter().map(yaml).collect::<Vec<_>>().join("---\n")
}

/// Writes everything, with all workloads healthy, and removes what an earlier mesh left.
///
/// # Errors
/// If the directory or a file cannot be written.
pub fn write_all(dir: &Path, workloads: &[WorkloadRecord]) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        std::fs::remove_file(entry?.path())?;
    }
    for workload in workloads {
        write_workload(dir, workload, Health::Healthy)?;
    }
    file::replace(&dir.join("services.yaml"), services(workloads).as_bytes())
}

/// Writes one workload's file again.
///
/// # Errors
/// If it cannot be written.
pub fn write_workload(dir: &Path, workload: &WorkloadRecord, health: Health) -> io::Result<()> {
    let name = format!("{}.workload.yaml", workload.name.replace('/', "."));
    file::replace(&dir.join(name), workload_entry(workload, health).as_bytes())
}

fn metadata(namespace: &str, name: &str) -> Value {
    json!({"name": name, "namespace": namespace, "annotations": {DERIVED: "true"}})
}

/// Block style for objects and lists; scalars as JSON writes them where YAML needs quotes.
fn yaml(value: &Value) -> String {
    let mut text = String::new();
    write_yaml(value, 0, &mut text);
    text
}

fn write_yaml(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                out.push_str(&indent);
                out.push_str(&scalar(&Value::String(key.clone())));
                write_child(value, depth + 1, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut text = String::new();
                write_yaml(item, depth + 1, &mut text);
                // The dash takes the place of the first two spaces of the item.
                let rest = text.get(indent.len() + 2..).unwrap_or_default();
                out.push_str(&format!("{indent}- {rest}"));
            }
        }
        other => out.push_str(&format!("{indent}{}\n", scalar(other))),
    }
}

fn write_child(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str(": {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(": []\n"),
        Value::Object(_) => {
            out.push_str(":\n");
            write_yaml(value, depth, out);
        }
        Value::Array(_) => {
            out.push_str(":\n");
            write_yaml(value, depth - 1, out);
        }
        other => out.push_str(&format!(": {}\n", scalar(other))),
    }
}

/// Plain where no YAML reader could take the text for anything but a string.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else {
        return value.to_string();
    };
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null"
        );
    if plain {
        text.clone()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::state::PortRecord;

    fn reviews() -> WorkloadRecord {
        WorkloadRecord {
            name: "default/reviews-v1".to_owned(),
            kind: WorkloadKind::Sidecar,
            service_account: "bookinfo-reviews".to_owned(),
            labels: [("app", "reviews"), ("version", "1")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            address: "127.77.3.5".parse().unwrap(),
            ports: vec![PortRecord {
                name: "http".to_owned(),
                port: 9080,
                listen: "127.0.0.1:20000".parse().unwrap(),
            }],
            explicit_proxy: None,
            admin: PathBuf::new(),
            log: None,
            proxy_pid: None,
            app_pid: None,
            netns: None,
            hosts: None,
        }
    }

    #[test]
    fn a_workload_becomes_a_workload_entry() {
        let want = "\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: reviews-v1
  namespace: default
  annotations:
    mesh.dev/derived: \"true\"
spec:
  address: \"127.77.3.5\"
  ports:
    http: 9080
  labels:
    app: reviews
    security.istio.io/tlsMode: istio
    version: \"1\"
  serviceAccount: bookinfo-reviews
";
        assert_eq!(workload_entry(&reviews(), Health::Healthy), want);
        let marked = want.replace(
            "    mesh.dev/derived: \"true\"\n",
            "    mesh.dev/derived: \"true\"\n    mesh.dev/health: unhealthy\n",
        );
        assert_eq!(workload_entry(&reviews(), Health::Unhealthy), marked);
    }

    #[test]
    fn the_control_plane_understands_all_of_it() {
        for health in [Health::Healthy, Health::Unhealthy] {
            let mut store = meshd_core::Store::new();
            store.set_file("workload.yaml", &workload_entry(&reviews(), health));
            store.set_file("services.yaml", &services(&[reviews()]));
            let world = store.world(&meshd_core::MeshSettings::default());
            assert_eq!(world.problems(), []);
            let found = world
                .workload(&"default/reviews-v1".parse().unwrap())
                .unwrap();
            assert_eq!(found.healthy, health == Health::Healthy);
            assert_eq!(found.services, ["reviews.default.svc.cluster.local"]);
        }
    }

    #[test]
    fn workloads_of_one_app_share_a_service() {
        let second = WorkloadRecord {
            name: "default/reviews-v2".to_owned(),
            ..reviews()
        };
        let want = "\
apiVersion: v1
kind: Service
metadata:
  name: reviews
  namespace: default
  annotations:
    mesh.dev/derived: \"true\"
spec:
  selector:
    app: reviews
  ports:
  - name: http
    port: 9080
    targetPort: 9080
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: bookinfo-reviews
  namespace: default
  annotations:
    mesh.dev/derived: \"true\"
";
        assert_eq!(services(&[reviews(), second]), want);
    }

    #[test]
    fn gateways_have_no_service_and_take_no_mutual_tls() {
        let gateway = WorkloadRecord {
            kind: WorkloadKind::Gateway,
            ..reviews()
        };
        assert!(!workload_entry(&gateway, Health::Healthy).contains("tlsMode"));
        assert!(!services(&[gateway]).contains("kind: Service\n"));
    }

    #[test]
    fn what_an_earlier_mesh_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("old.yaml"), "x").unwrap();
        write_all(dir.path(), &[reviews()]).unwrap();
        let mut names = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>();
        names.sort();
        assert_eq!(names, ["default.reviews-v1.workload.yaml", "services.yaml"]);
    }

    #[test]
    fn odd_values_survive_a_yaml_reader() {
        let value = json!({"yes": "no", "a": "", "b": "1.5", "c": "x: y", "d": [{"e": ["f", "true"]}], "g": {}});
        let back: Value = serde_saphyr::from_str(&yaml(&value)).unwrap();
        assert_eq!(back, value);
    }
}
