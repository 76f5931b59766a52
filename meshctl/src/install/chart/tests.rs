use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::cluster::ObjectRef;
use crate::install::plan::Wanted;

/// Values that reach every branch of the templates.
const CASES: [(&str, &str, &str); 6] = [
    ("mesh-defaults", MESH, "{}"),
    (
        "mesh-everything",
        MESH,
        r#"{"revision": "canary", "revisionTags": ["prod", "default"], "imagePullSecrets": ["pull"],
            "tag": "1.2.3", "imagePullPolicy": "Always",
            "meshd": {"autoscaling": {"enabled": true}, "env": {"B": "2", "A": 1}, "extraArgs": ["--x"],
                "podLabels": {"team": "mesh"}, "podAnnotations": {"a": "b"},
                "serviceAnnotations": {"c": "d"}, "serviceAccountAnnotations": {"e": "f"},
                "tolerations": [{"key": "k", "operator": "Exists"}], "affinity": {"nodeAffinity": {}},
                "topologySpreadConstraints": [{"maxSkew": 2}], "priorityClassName": "high"},
            "webhooks": {"excludedNamespaces": ["none"], "enableNamespacesByDefault": true,
                "caBundle": "QQ==", "failurePolicy": "Ignore", "timeoutSeconds": 5},
            "rbac": {"secretNamespaces": ["one", "two"]},
            "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]}}"#,
    ),
    (
        "mesh-least",
        MESH,
        r#"{"defaultRevision": false, "meshd": {"replicas": 1}, "webhooks": {"validation": false},
            "rbac": {"create": false}, "networkPolicy": {"enabled": false}}"#,
    ),
    ("gateway-defaults", GATEWAY, "{}"),
    (
        "gateway-everything",
        GATEWAY,
        r#"{"name": "edge", "labels": {"istio": "edge", "x": "1"}, "revision": "canary",
            "autoscaling": {"enabled": true}, "imagePullSecrets": ["pull"], "env": {"A": "1"},
            "service": {"type": "NodePort", "annotations": {"a": "b"}, "loadBalancerIP": "10.0.0.1",
                "loadBalancerSourceRanges": ["10.0.0.0/8"], "externalTrafficPolicy": "Local",
                "ports": [{"name": "tls", "port": 15443, "targetPort": 15443, "protocol": "TCP"}]},
            "podLabels": {"p": "q"}, "podAnnotations": {"r": "s"}, "serviceAccountAnnotations": {"t": "u"},
            "tolerations": [{"operator": "Exists"}], "affinity": {"podAffinity": {}},
            "topologySpreadConstraints": [{"maxSkew": 1}], "priorityClassName": "high"}"#,
    ),
    (
        "gateway-least",
        GATEWAY,
        r#"{"replicas": 2, "networkPolicy": {"enabled": false}, "labels": {}}"#,
    ),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn chart(name: &str) -> Chart {
    if name == MESH {
        Chart::mesh()
    } else {
        Chart::gateway()
    }
    .unwrap()
}

/// By name, with the one field that tells the programs apart made equal, and the YAML inside of
/// ConfigMaps read: there are several ways to write the same.
fn by_name(objects: &[Value]) -> BTreeMap<ObjectRef, Value> {
    let text = serde_json::to_string(objects).unwrap();
    let text = text.replace(r#"managed-by":"Helm""#, r#"managed-by":"meshctl""#);
    let mut objects: Vec<Value> = serde_json::from_str(&text).unwrap();
    for object in objects
        .iter_mut()
        .filter(|object| object["kind"] == "ConfigMap")
    {
        for (_, text) in object["data"].as_object_mut().unwrap() {
            *text = serde_saphyr::from_str(text.as_str().unwrap()).unwrap();
        }
    }
    let count = objects.len();
    let named: BTreeMap<ObjectRef, Value> = objects
        .into_iter()
        .map(|object| (ObjectRef::of(&object, "").unwrap(), object))
        .collect();
    assert_eq!(named.len(), count, "two objects have one name");
    named
}

fn ours(name: &str, values: &str) -> Vec<Value> {
    let chart = chart(name);
    let merged = chart
        .values(&serde_json::from_str(values).unwrap())
        .unwrap();
    chart.render("istio-system", &merged).unwrap().objects
}

fn golden(case: &str) -> PathBuf {
    repository()
        .join("meshctl/src/install/chart/helm")
        .join(format!("{case}.yaml"))
}

fn helm(name: &str, values: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("values.yaml");
    std::fs::write(&file, values).unwrap();
    let output = Command::new("helm")
        .args(["template", "release"])
        .arg(repository().join("deploy/charts").join(name))
        .args([
            "--namespace",
            "istio-system",
            "--kube-version",
            "1.36.0",
            "--values",
        ])
        .arg(&file)
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

/// With helm in the PATH its own output; otherwise what it printed when the files beside this one
/// were written (`MESH_GENERATE=1`, with helm).
#[test]
fn renders_what_helm_renders() {
    for (case, name, values) in CASES {
        let text = match helm(name, values) {
            Some(text) => {
                if std::env::var_os("MESH_GENERATE").is_some() {
                    std::fs::write(golden(case), &text).unwrap();
                }
                let saved = std::fs::read_to_string(golden(case)).unwrap_or_default();
                assert_eq!(
                    by_name(&documents(&saved).unwrap()),
                    by_name(&documents(&text).unwrap()),
                    "{case}: write the file anew with MESH_GENERATE=1"
                );
                text
            }
            None => std::fs::read_to_string(golden(case)).unwrap(),
        };
        let theirs = by_name(&documents(&text).unwrap());
        let ours = by_name(&ours(name, values));
        let names = |all: &BTreeMap<ObjectRef, Value>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "{case}");
        for (name, object) in ours {
            assert_eq!(Some(&object), theirs.get(&name), "{case}: {name}");
        }
    }
}

#[test]
fn every_file_of_the_charts_is_compiled_in() {
    for (name, files) in [(MESH, MESH_FILES), (GATEWAY, GATEWAY_FILES)] {
        let root = repository().join("deploy/charts").join(name);
        let mut open = vec![root.clone()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let relative = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                assert!(
                    relative == "templates/NOTES.txt"
                        || files.iter().any(|file| file.path == relative),
                    "{name}/{relative} is not in the list"
                );
            }
        }
    }
}

#[test]
fn the_charts_and_the_program_have_one_version() {
    for name in [MESH, GATEWAY] {
        let chart = chart(name);
        assert_eq!(chart.version, env!("CARGO_PKG_VERSION"), "{name}");
        assert_eq!(chart.app_version(), env!("CARGO_PKG_VERSION"), "{name}");
    }
}

/// `MESH_GENERATE=1 cargo test -p meshctl current` writes them.
#[test]
fn the_crds_are_current() {
    let head = "# Istio's kinds, as far as the mesh reads them, and its own: what `meshd crds` prints. Do not edit.\n";
    let text = format!("{head}{}", meshd::crds_yaml().unwrap());
    for file in [
        "deploy/charts/mesh/crds/istio.yaml",
        "deploy/manifests/crds.yaml",
    ] {
        compare(file, &text);
    }
}

fn compare(file: &str, text: &str) {
    let path = repository().join(file);
    if std::env::var_os("MESH_GENERATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(
        found == text,
        "{file} is out of date: MESH_GENERATE=1 cargo test -p meshctl current"
    );
}

/// As above.
#[test]
fn the_plain_manifests_are_current() {
    let mut wanted = Wanted {
        namespace: "istio-system".to_owned(),
        overrides: nothing(),
        gateway: false,
    };
    let without = wanted.plan().unwrap().text;
    wanted.gateway = true;
    let with = wanted.plan().unwrap().text;
    let gateway = with.strip_prefix(without.as_str()).unwrap();
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: istio-system\n";
    let head = |chart: &str, how: &str| {
        format!(
            "# What deploy/charts/{chart} renders to with its default values. Do not edit.\n# {how}\n"
        )
    };
    for (file, text) in [
        (
            "mesh.yaml",
            format!(
                "{}{namespace}{without}",
                head(
                    "mesh",
                    "kubectl apply --server-side -f crds.yaml -f mesh.yaml"
                )
            ),
        ),
        (
            "gateway.yaml",
            format!(
                "{}{gateway}",
                head(
                    "gateway",
                    "Once meshd is ready: kubectl apply --server-side -f gateway.yaml"
                )
            ),
        ),
    ] {
        compare(&format!("deploy/manifests/{file}"), &text);
    }
}

#[test]
fn wrong_values_are_named_with_their_path() {
    for (values, want) in [
        (
            json!({"meshd": {"replicas": "two"}}),
            "meshd.replicas must be a whole number",
        ),
        (json!({"revision": "Not_a_name"}), "revision must be a name"),
        (
            json!({"webhooks": {"failurePolicy": "Maybe"}}),
            "webhooks.failurePolicy must be one of",
        ),
    ] {
        let error = chart(MESH).values(&values).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}
