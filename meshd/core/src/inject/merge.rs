//! Strategic merge of parts of pods: lists of named things merge by name
//! (Kubernetes: strategic merge patch).

use serde_json::{Map, Value};

/// Handlers of probes and lifecycle hooks, of which there is one.
const HANDLERS: [&str; 5] = ["exec", "grpc", "httpGet", "sleep", "tcpSocket"];

/// Puts `overlay` over `base`: objects merge, lists of named things merge by name, null deletes,
/// everything else replaces. Where a field excludes others (an environment variable's `value` and
/// `valueFrom`, the handlers of a probe, the sources of a volume), the overlay's choice stays.
pub(super) fn merge(base: &mut Value, overlay: Value) {
    merge_field(base, overlay, "");
}

fn merge_field(base: &mut Value, overlay: Value, field: &str) {
    match (base, overlay) {
        (Value::Object(base), Value::Object(overlay)) => merge_objects(base, overlay, field),
        (Value::Array(base), Value::Array(overlay)) => match merge_key(field) {
            Some(key) => merge_lists(base, overlay, key, field),
            None => *base = overlay,
        },
        (base, overlay) => *base = without_directives(overlay),
    }
}

fn merge_objects(base: &mut Map<String, Value>, overlay: Map<String, Value>, field: &str) {
    if overlay.get("$patch").and_then(Value::as_str) == Some("replace") {
        base.clear();
    }
    exclude(base, &overlay, field);
    for (key, value) in overlay {
        match base.get_mut(&key) {
            _ if key == "$patch" => {}
            _ if value.is_null() => {
                // Keeps the order of what stays.
                base.shift_remove(&key);
            }
            Some(known) => merge_field(known, value, &key),
            None => {
                base.insert(key, without_directives(value));
            }
        }
    }
}

fn merge_lists(base: &mut Vec<Value>, overlay: Vec<Value>, key: &str, field: &str) {
    let mut added = Vec::new();
    for item in overlay {
        let id = item.get(key).cloned();
        let at = base.iter().position(|known| {
            id.is_some() && known.get(key) == id.as_ref() && same_protocol(known, &item, field)
        });
        let deletes = item.get("$patch").and_then(Value::as_str) == Some("delete");
        match at.and_then(|at| base.get_mut(at).map(|known| (at, known))) {
            Some((at, _)) if deletes => {
                base.remove(at);
            }
            Some((_, known)) => merge_field(known, item, field),
            None if deletes => {}
            None => added.push(without_directives(item)),
        }
    }
    if field == "env" {
        // A variable can only use those before it.
        added.append(base);
        *base = added;
    } else {
        base.extend(added);
    }
}

/// Deletes from `base` what the overlay's choice excludes.
fn exclude(base: &mut Map<String, Value>, overlay: &Map<String, Value>, field: &str) {
    let chosen = |key: &str| overlay.get(key).is_some_and(|value| !value.is_null());
    match field {
        "livenessProbe" | "readinessProbe" | "startupProbe" | "postStart" | "preStop"
            if HANDLERS.iter().any(|handler| chosen(handler)) =>
        {
            base.retain(|key, _| !HANDLERS.contains(&key.as_str()) || chosen(key));
        }
        "env" if chosen("value") || chosen("valueFrom") => {
            base.retain(|key, _| !matches!(key.as_str(), "value" | "valueFrom") || chosen(key));
        }
        "volumes" if overlay.keys().any(|key| key != "name") => {
            base.retain(|key, _| key == "name" || chosen(key));
        }
        _ => {}
    }
}

fn merge_key(field: &str) -> Option<&'static str> {
    Some(match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "sysctls"
        | "resourceClaims" => "name",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "ports" => "containerPort",
        "hostAliases" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        _ => return None,
    })
}

/// One port number may be there for TCP and for UDP.
fn same_protocol(a: &Value, b: &Value, field: &str) -> bool {
    let protocol = |port: &Value| -> String {
        port.get("protocol")
            .and_then(Value::as_str)
            .unwrap_or("TCP")
            .to_owned()
    };
    field != "ports" || protocol(a) == protocol(b)
}

fn without_directives(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            object.retain(|key, value| key != "$patch" && !value.is_null());
            for value in object.values_mut() {
                *value = without_directives(value.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_directives(item.take());
            }
        }
        _ => {}
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merges_by_name() {
        let cases = [
            (
                json!({"a": 1, "b": {"c": 2}}),
                json!({"b": {"d": 3}, "a": null}),
                json!({"b": {"c": 2, "d": 3}}),
            ),
            (
                json!({"containers": [{"name": "x", "image": "i"}, {"name": "y"}]}),
                json!({"containers": [{"name": "y", "tty": true}, {"name": "z"}]}),
                json!({"containers": [{"name": "x", "image": "i"}, {"name": "y", "tty": true}, {"name": "z"}]}),
            ),
            (
                json!({"args": ["a"]}),
                json!({"args": ["b", "c"]}),
                json!({"args": ["b", "c"]}),
            ),
            (
                json!({"env": [{"name": "A", "value": "$(B)"}]}),
                json!({"env": [{"name": "B", "value": "1"}, {"name": "A", "valueFrom": {"x": 1}}]}),
                json!({"env": [{"name": "B", "value": "1"}, {"name": "A", "valueFrom": {"x": 1}}]}),
            ),
            (
                json!({"readinessProbe": {"httpGet": {"port": 1}, "periodSeconds": 5}}),
                json!({"readinessProbe": {"exec": {"command": ["x"]}}}),
                json!({"readinessProbe": {"periodSeconds": 5, "exec": {"command": ["x"]}}}),
            ),
            (
                json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
                json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}),
                json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}),
            ),
            (
                json!({"ports": [{"containerPort": 53, "protocol": "UDP"}]}),
                json!({"ports": [{"containerPort": 53, "name": "dns"}]}),
                json!({"ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "name": "dns"}]}),
            ),
            (
                json!({"containers": [{"name": "x"}, {"name": "y"}]}),
                json!({"containers": [{"name": "x", "$patch": "delete"}, {"name": "q", "$patch": "delete"}]}),
                json!({"containers": [{"name": "y"}]}),
            ),
            (
                json!({"securityContext": {"a": 1}}),
                json!({"securityContext": {"b": 1, "$patch": "replace"}}),
                json!({"securityContext": {"b": 1}}),
            ),
            (
                json!({"labels": null}),
                json!({"labels": {"a": "b", "c": null}}),
                json!({"labels": {"a": "b"}}),
            ),
        ];
        for (mut base, overlay, want) in cases {
            merge(&mut base, overlay);
            assert_eq!(base, want);
        }
    }
}
