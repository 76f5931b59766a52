//! The proxy's container.

use serde_json::{Map, Value, json};

use super::environment::{Kind, ROOTS_DIR, STATE_DIR, TOKEN_DIR};
use super::options::Options;
use super::settings::InjectSettings;
use super::{PROXY_CONTAINER, workload_api};

/// User and group of the proxy (Istio's). Capture recognises the proxy's own traffic by them.
pub(super) const USER: u64 = 1337;
/// The proxy in its image.
const PROGRAM: &str = "/usr/local/bin/mesh-proxy";

pub(super) const TOKEN_VOLUME: &str = "istio-token";
pub(super) const ROOTS_VOLUME: &str = "mesh-ca-root-cert";
pub(super) const STATE_VOLUME: &str = "mesh-state";

/// The container of a sidecar or a gateway, with this environment.
pub(super) fn proxy(
    kind: Kind,
    environment: &[Value],
    options: &Options,
    settings: &InjectSettings,
) -> Value {
    let resources = options
        .resources
        .clone()
        .unwrap_or_else(|| settings.resources.clone());
    let mut mounts = vec![
        json!({"name": ROOTS_VOLUME, "mountPath": ROOTS_DIR, "readOnly": true}),
        json!({"name": TOKEN_VOLUME, "mountPath": TOKEN_DIR, "readOnly": true}),
        json!({"name": STATE_VOLUME, "mountPath": STATE_DIR}),
    ];
    if options.workload_api && kind == Kind::Sidecar {
        mounts.push(json!({"name": workload_api::VOLUME, "mountPath": workload_api::DIRECTORY}));
    }
    mounts.extend(options.mounts.iter().cloned());
    let mut container = json!({
        "name": PROXY_CONTAINER,
        "image": options.proxy_image,
        "args": ["run"],
        // The name is Istio's: scrape configurations look for it.
        "ports": [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
        "env": environment,
        "readinessProbe": readiness_probe(options),
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "runAsGroup": USER,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    });
    set_pull_policy(&mut container, settings);
    if let Value::Object(container) = &mut container {
        add_lifecycle(container, kind, options, settings);
    }
    container
}

/// Starting and stopping.
fn add_lifecycle(
    container: &mut Map<String, Value>,
    kind: Kind,
    options: &Options,
    settings: &InjectSettings,
) {
    let mut set = |key: &str, value: Value| {
        container.insert(key.to_owned(), value);
    };
    let native = kind == Kind::Sidecar && options.native;
    if settings.startup_probe.enabled && kind == Kind::Sidecar {
        // Also what a native sidecar's successors wait for.
        set(
            "startupProbe",
            json!({
                "httpGet": {"path": "/healthz/ready", "port": 15021},
                "periodSeconds": 1,
                "timeoutSeconds": 3,
                "failureThreshold": settings.startup_probe.failure_threshold,
            }),
        );
    }
    if native {
        set("restartPolicy", "Always".into());
        // Runs when the pod begins to end; the signal comes after the applications have ended.
        set(
            "lifecycle",
            json!({"preStop": {"exec": {"command": [PROGRAM, "drain"]}}}),
        );
    } else if kind == Kind::Sidecar && options.config.hold_application {
        // The kubelet starts the next container after this one's hook.
        set(
            "lifecycle",
            json!({"postStart": {"exec": {"command": [PROGRAM, "wait"]}}}),
        );
    }
}

fn readiness_probe(options: &Options) -> Value {
    let [initial_delay, period, failures] = options.readiness;
    json!({
        "httpGet": {"path": "/healthz/ready", "port": 15021},
        "initialDelaySeconds": initial_delay,
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    })
}

/// What the mounts of the proxy stand for.
pub(super) fn volumes(options: &Options) -> Vec<Value> {
    let mut volumes = vec![
        json!({"name": ROOTS_VOLUME, "configMap": {"name": "mesh-ca-root-cert"}}),
        json!({"name": TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": {
            "audience": "istio-ca",
            "expirationSeconds": 43200,
            "path": "istio-token",
        }}]}}),
        json!({"name": STATE_VOLUME, "emptyDir": {}}),
    ];
    if options.workload_api {
        volumes.push(json!({"name": workload_api::VOLUME, "emptyDir": {}}));
    }
    volumes.extend(options.volumes.iter().cloned());
    volumes
}

pub(super) fn set_pull_policy(container: &mut Value, settings: &InjectSettings) {
    if !settings.image_pull_policy.is_empty()
        && let Value::Object(container) = container
    {
        let policy = settings.image_pull_policy.clone();
        container.insert("imagePullPolicy".to_owned(), policy.into());
    }
}
