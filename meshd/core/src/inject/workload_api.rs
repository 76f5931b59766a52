//! The workload's identity for the applications of a pod: the socket of the proxy, in their reach.

use serde_json::{Value, json};

use super::PROXY_CONTAINER;

/// The volume, and where everybody has it (Istio's name and place).
pub(super) const VOLUME: &str = "workload-socket";
pub(super) const DIRECTORY: &str = "/var/run/secrets/workload-spiffe-uds";

/// The socket.
pub(super) fn socket() -> String {
    format!("{DIRECTORY}/socket")
}

/// Gives every container but the proxy's the volume, and the name under which SPIFFE's libraries
/// look for the socket. What a container says of either itself stays.
pub(super) fn give(pod: &mut Value) {
    for list in ["/spec/initContainers", "/spec/containers"] {
        let containers = pod.pointer_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            // Init containers without a restart policy run before the proxy or beside it.
            if container.get("name").and_then(Value::as_str) == Some(PROXY_CONTAINER) {
                continue;
            }
            let mount = json!({"name": VOLUME, "mountPath": DIRECTORY, "readOnly": true});
            add(container, "volumeMounts", "mountPath", mount);
            let value = format!("unix://{}", socket());
            let variable = json!({"name": "SPIFFE_ENDPOINT_SOCKET", "value": value});
            add(container, "env", "name", variable);
        }
    }
}

fn add(container: &mut Value, list: &str, key: &str, item: Value) {
    let Value::Object(container) = container else {
        return;
    };
    let items = container
        .entry(list)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(items) = items
        && !items.iter().any(|known| known.get(key) == item.get(key))
    {
        items.push(item);
    }
}
