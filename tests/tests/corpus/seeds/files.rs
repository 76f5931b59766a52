//! What users and operators write.

use std::fs;
use std::path::Path;

use mesh_api::v1;
use prost::Message;

use super::{LARGEST, Seeds};

/// Files of resources: what a control plane would send, as the admin endpoint gives it, and one
/// as it is written by hand.
pub(super) fn resources(responses: &Seeds) -> Seeds {
    let mut seeds = Seeds::new();
    for (name, bytes) in responses {
        let response = v1::DiscoveryResponse::decode(bytes.as_slice()).unwrap();
        let mut all = response.upsert;
        // What every proxy needs first, then as much as there is room for.
        all.sort_by_key(|one| !one.name.ends_with("/self") && one.name != "mesh/default");
        let mut text = String::new();
        for count in 1..=all.len() {
            let dump = serde_json::json!({
                "revision": response.revision,
                "digest": response.digest,
                "resources": all[..count],
            })
            .to_string();
            if dump.len() >= LARGEST / 2 {
                break;
            }
            text = dump;
        }
        if !text.is_empty() {
            seeds.insert(name.clone(), text.into());
        }
    }
    seeds.insert("by_hand".to_owned(), BY_HAND.into());
    seeds
}

const BY_HAND: &str = "\
# Comments, anchors, both spellings of fields.
resources:
- name: mesh/default
  mesh: {trust_domain: cluster.local, outboundPolicy: OUTBOUND_POLICY_ALLOW_ANY}
- name: inbound/self
  inbound:
    workload: default/web
    default_mtls: &strict MTLS_MODE_STRICT
    ports:
    - {port: 9080, protocol: PROTOCOL_HTTP, mtls: *strict}
- name: routes/app:80
  routes:
    host: app.default.svc.cluster.local
    port: 80
    protocol: PROTOCOL_HTTP
    http:
    - direct: {status: 418, body: dGVh}
      timeout: 1.5s
";

pub(super) fn yaml(root: &Path) -> Seeds {
    let mut seeds = Seeds::new();
    for folder in [
        "samples/bookinfo/config/base",
        "samples/bookinfo/config/tour",
    ] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            seeds.insert(name, fs::read(&path).unwrap());
        }
    }
    for entry in fs::read_dir(root.join("meshd/core/testdata")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path.join("input.yaml")).unwrap();
        match text.len() < LARGEST {
            true => drop(seeds.insert(name, text.into())),
            false => seeds.extend(parts(&name, &text)),
        }
    }
    seeds
}

/// A long file as several, each of whole objects.
fn parts(name: &str, text: &str) -> Seeds {
    const MARK: &str = "\n---\n";
    let mut parts = vec![String::new()];
    for document in text.split(MARK) {
        let last = parts.last_mut().unwrap();
        if last.is_empty() {
            last.push_str(document);
        } else if last.len() + MARK.len() + document.len() < LARGEST / 2 {
            last.push_str(MARK);
            last.push_str(document);
        } else {
            parts.push(document.to_owned());
        }
    }
    let numbered = parts.into_iter().enumerate();
    numbered
        .map(|(number, part)| (format!("{name}-{number}"), part.into_bytes()))
        .collect()
}

pub(super) fn mesh_files(root: &Path) -> Seeds {
    let mut seeds = Seeds::new();
    seeds.insert(
        "bookinfo".to_owned(),
        fs::read(root.join("samples/bookinfo/mesh.yaml")).unwrap(),
    );
    let own: &[u8] = b"apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: own}\nspec:\n  trustDomain: example.org\n  outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n  workloads:\n  - name: db\n    namespace: data\n    labels: {app: db, version: \"1\"}\n    ports: [{name: tcp-pg, port: 5432, appPort: 15432}]\n  - name: web\n    dir: web\n    env: {A: b}\n    command: [./web, --verbose]\n    ports: [{port: 80}, {name: grpc, port: 81}]\n  gateways:\n  - name: edge\n    ports: [{port: 80, listen: 0.0.0.0:8080}, {port: 443, listen: \"0.0.0.0:8443\"}]\n";
    seeds.insert("own".to_owned(), own.to_vec());
    seeds
}
