//! The kubelet's probes and HTTP hooks, sent through the proxy: the kubelet has no certificate of
//! the mesh, and a redirected TCP connection always succeeds (Istio: `app_probe.go`).

use serde_json::{Map, Value, json};

use super::{PROXY_CONTAINER, values};

/// What is probed, and the last part of its path on the status port.
const PROBES: [(&str, &str); 3] = [
    ("livenessProbe", "livez"),
    ("readinessProbe", "readyz"),
    ("startupProbe", "startupz"),
];
const HOOKS: [(&str, &str); 2] = [("postStart", "poststartz"), ("preStop", "prestopz")];

/// Rewrites all probes and gives what the proxy is to do for each path, and warnings.
pub(super) fn rewrite(pod: &mut Value, status_port: u16) -> (Map<String, Value>, Vec<String>) {
    let mut rewriting = Rewriting {
        status_port,
        targets: Map::new(),
        warnings: Vec::new(),
    };
    for list in ["/spec/initContainers", "/spec/containers"] {
        let containers = pod.pointer_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            rewriting.container(container);
        }
    }
    (rewriting.targets, rewriting.warnings)
}

struct Rewriting {
    status_port: u16,
    targets: Map<String, Value>,
    warnings: Vec<String>,
}

// === impl Rewriting ===

impl Rewriting {
    fn container(&mut self, container: &mut Value) {
        let name = container
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if name == PROXY_CONTAINER {
            return;
        }
        let ports = named_ports(container);
        for (probe, path) in PROBES {
            if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
                self.handler(probe, &ports, &format!("/app-health/{name}/{path}"), true);
            }
        }
        let Some(lifecycle) = container.get_mut("lifecycle") else {
            return;
        };
        for (hook, path) in HOOKS {
            if let Some(hook) = lifecycle.get_mut(hook).and_then(Value::as_object_mut) {
                self.handler(
                    hook,
                    &ports,
                    &format!("/app-lifecycle/{name}/{path}"),
                    false,
                );
            }
        }
    }

    /// Turns one handler into a GET of `path` on the status port.
    fn handler(
        &mut self,
        handler: &mut Map<String, Value>,
        ports: &Map<String, Value>,
        path: &str,
        is_probe: bool,
    ) {
        let kinds: &[&str] = if is_probe {
            &["httpGet", "tcpSocket", "grpc"]
        } else {
            &["httpGet", "tcpSocket"]
        };
        let Some((kind, action)) = kinds
            .iter()
            .find_map(|kind| Some((*kind, handler.get(*kind)?.as_object()?.clone())))
        else {
            return;
        };
        // Somebody else's address is not behind this proxy.
        let has_host = action
            .get("host")
            .and_then(Value::as_str)
            .is_some_and(|host| !host.is_empty());
        if has_host && kind != "grpc" {
            return;
        }
        let port = match action.get("port") {
            Some(Value::String(text)) => match ports.get(text) {
                Some(port) => port.clone(),
                None => match text.parse::<u16>() {
                    Ok(port) => port.into(),
                    Err(_) => {
                        let warning = format!(
                            "{path}: no port of the container is named `{text}`; the probe stays"
                        );
                        return self.warnings.push(warning);
                    }
                },
            },
            Some(port) if port.as_u64() == Some(self.status_port.into()) => return,
            Some(port) => port.clone(),
            None => return,
        };
        if let Err(what) = check(&action, &port) {
            let warning = format!("{path}: {what} cannot be used; the probe stays");
            return self.warnings.push(warning);
        }
        let target = stored(kind, &action, port);
        let mut entry = Map::new();
        entry.insert(kind.to_owned(), target.into());
        if is_probe {
            let timeout = handler.get("timeoutSeconds").and_then(Value::as_u64);
            entry.insert("timeoutSeconds".to_owned(), timeout.unwrap_or(1).into());
        }
        self.targets.insert(path.to_owned(), entry.into());
        let mut get = match kind {
            // Its headers stay; the proxy speaks TLS with the application if it has to.
            "httpGet" => action,
            _ => Map::new(),
        };
        get.insert("scheme".to_owned(), "HTTP".into());
        get.insert("path".to_owned(), path.into());
        let get = stored("httpGet", &get, self.status_port.into());
        // In place of the old one, so that the order of fields stays.
        let rewritten = std::mem::take(handler);
        handler.extend(rewritten.into_iter().map(|(key, value)| {
            if key == kind {
                ("httpGet".to_owned(), Value::Object(get.clone()))
            } else {
                (key, value)
            }
        }));
    }
}

/// A handler as the API server stores it, which adds defaults before it asks the webhook, and has
/// an order of fields: so offline injection gives the same.
fn stored(kind: &str, action: &Map<String, Value>, port: Value) -> Map<String, Value> {
    let mut action = action.clone();
    action.insert("port".to_owned(), port);
    let (fields, default): (&[&str], _) = match kind {
        "httpGet" => (
            &["path", "port", "host", "scheme", "httpHeaders"],
            Some(("scheme", "HTTP")),
        ),
        "grpc" => (&["port", "service"], Some(("service", ""))),
        _ => (&["port", "host"], None),
    };
    if let Some((field, value)) = default
        && action.get(field).is_none_or(Value::is_null)
    {
        action.insert(field.to_owned(), value.into());
    }
    let ordered = fields.iter().filter_map(|field| {
        let value = action.remove(*field)?;
        Some(((*field).to_owned(), value))
    });
    let mut stored: Map<String, Value> = ordered.collect();
    stored.extend(action);
    stored
}

/// Whether the proxy can do it: it would not start with a probe that it cannot read.
fn check(action: &Map<String, Value>, port: &Value) -> Result<(), &'static str> {
    let text = |key: &str| action.get(key).and_then(Value::as_str).unwrap_or_default();
    if !port
        .as_u64()
        .is_some_and(|port| (1..=65535).contains(&port))
    {
        return Err("its port");
    }
    if !values::is_path(text("path")) {
        return Err("its path");
    }
    if !matches!(text("scheme"), "" | "HTTP" | "HTTPS") {
        return Err("its scheme");
    }
    let headers = action.get("httpHeaders").and_then(Value::as_array);
    let fits = |header: &Value| {
        let part = |key: &str| header.get(key).and_then(Value::as_str);
        let (Some(name), Some(value)) = (part("name"), part("value")) else {
            return false;
        };
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let visible = |b: u8| matches!(b, b'\t' | b' '..=b'~');
        !name.is_empty() && name.bytes().all(token) && value.bytes().all(visible)
    };
    if headers.into_iter().flatten().all(fits) {
        Ok(())
    } else {
        Err("one of its headers")
    }
}

fn named_ports(container: &Value) -> Map<String, Value> {
    let ports = container.get("ports").and_then(Value::as_array);
    ports
        .into_iter()
        .flatten()
        .filter_map(|port| {
            let name = port.get("name")?.as_str()?.to_owned();
            Some((name, json!(port.get("containerPort")?.as_u64()?)))
        })
        .collect()
}
