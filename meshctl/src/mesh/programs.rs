//! The processes of a mesh: arguments and environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mesh_api::v1::OutboundPolicy;

use super::MeshPlan;
use crate::mesh_file::Workload;
use crate::netns::{Privilege, WorkloadNs};
use crate::process::{Program, Role};
use crate::state::{Capture, StateDir, WorkloadKind, WorkloadRecord};

/// The packet mark by which capture rules know the proxy's own connections.
pub(super) const OWN_MARK: &str = "0x539";
/// Istio's ports of a transparent proxy.
const OUTBOUND: &str = "0.0.0.0:15001";
const INBOUND: &str = "0.0.0.0:15006";
/// How long a proxy that is told to stop lets requests finish. Longer than callers may send on
/// connections that were idle. When the whole mesh ends, it is told twice.
const DRAIN: &str = "3s";

struct Args(Vec<OsString>);

// === impl Args ===

impl Args {
    fn new(words: &[&str]) -> Self {
        Self(words.iter().map(OsString::from).collect())
    }

    fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.push(name.into());
        self.0.push(value.into());
        self
    }

    fn flag(mut self, name: &str) -> Self {
        self.0.push(name.into());
        self
    }
}

/// `unix://<path>`.
fn unix(path: &Path) -> OsString {
    let mut text = OsString::from("unix://");
    text.push(path);
    text
}

pub(super) fn control_plane(plan: &MeshPlan) -> Program {
    let state = &plan.state;
    let policy = match plan.mesh.outbound_policy {
        OutboundPolicy::RegistryOnly => "REGISTRY_ONLY",
        OutboundPolicy::AllowAny | OutboundPolicy::Unspecified => "ALLOW_ANY",
    };
    let mut args = Args::new(&["control-plane", "run"])
        .with("--state-dir", state.root())
        .with("--trust-domain", plan.mesh.trust_domain.as_str())
        .with("--outbound-policy", policy)
        .with("--config", state.world())
        .flag("--print-ready");
    if !plan.mesh.mesh_config.is_empty() {
        args = args.with("--mesh-config", state.mesh_config());
    }
    for path in &plan.config {
        args = args.with("--config", path);
    }
    Program {
        name: "control plane".to_owned(),
        role: Role::ControlPlane,
        args: args.0,
        env: Vec::new(),
        namespace: None,
        dir: None,
        log: state.logs().join("meshd.log"),
        says_ready: true,
    }
}

/// Files that a proxy needs at its start.
pub(super) struct ProxyFiles {
    pub(super) dir: PathBuf,
    pub(super) roots: PathBuf,
}

// === impl ProxyFiles ===

impl ProxyFiles {
    pub(super) fn new(state: &StateDir, record: &WorkloadRecord) -> Self {
        let dir = record
            .admin
            .parent()
            .map_or_else(|| state.proxies(), Path::to_owned);
        Self {
            dir,
            roots: state.ca().join("root.pem"),
        }
    }

    pub(super) fn token(&self) -> PathBuf {
        self.dir.join("token")
    }
}

pub(super) fn proxy(
    state: &StateDir,
    record: &WorkloadRecord,
    namespace: Option<WorkloadNs>,
) -> Program {
    let files = ProxyFiles::new(state, record);
    let kind = match record.kind {
        WorkloadKind::Sidecar => "sidecar",
        WorkloadKind::Gateway => "gateway",
    };
    let labels = record
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>();
    let mut args = Args::new(&["proxy", "run"])
        .with("--workload", &record.name)
        .with("--kind", kind)
        .with("--service-account", &record.service_account)
        .with("--addresses", record.address.to_string())
        .with("--control", unix(&state.control_plane_socket()))
        .with("--roots", &files.roots)
        .with("--token", files.token())
        .with("--state", files.dir.join("cache"))
        .with("--admin-socket", &record.admin)
        .with("--metrics", format!("{}:15090", record.address))
        .with("--access-log", files.dir.join("access.log"))
        .with("--drain", DRAIN)
        .with("--concurrency", "1")
        .flag("--on-ready");
    if !labels.is_empty() {
        args = args.with("--labels", labels.join(","));
    }
    args = match (record.kind, namespace.is_some()) {
        (WorkloadKind::Gateway, true) => args.with("--gateway-listen", "0.0.0.0"),
        (WorkloadKind::Gateway, false) => explicit_gateway(args, record),
        (WorkloadKind::Sidecar, true) => args
            .with("--outbound", OUTBOUND)
            .with("--inbound-transparent", INBOUND)
            .with("--own-mark", OWN_MARK),
        (WorkloadKind::Sidecar, false) => explicit_sidecar(args, record),
    };
    if record.kind == WorkloadKind::Sidecar {
        args = args.with("--workload-api", files.dir.join(WORKLOAD_API));
    }
    Program {
        name: record.name.clone(),
        role: match record.kind {
            WorkloadKind::Sidecar => Role::Sidecar,
            WorkloadKind::Gateway => Role::Gateway,
        },
        args: args.0,
        env: Vec::new(),
        namespace: namespace.map(|namespace| (namespace, Privilege::Network)),
        dir: None,
        log: files.dir.join("log"),
        says_ready: true,
    }
}

fn explicit_sidecar(mut args: Args, record: &WorkloadRecord) -> Args {
    if let Some(explicit) = record.explicit_proxy {
        args = args.with("--explicit", explicit.to_string());
    }
    let binding = |port: &crate::state::PortRecord| {
        format!("{0}={1}:{0}={2}", port.port, record.address, port.listen)
    };
    let bindings = record.ports.iter().map(binding).collect::<Vec<_>>();
    if bindings.is_empty() {
        args
    } else {
        args.with("--inbound", bindings.join(","))
    }
}

/// The socket in a proxy's directory where its workload gets its identity for itself. Not longer
/// than the admin endpoint's: that one is checked.
const WORKLOAD_API: &str = "svid.sock";

/// All ports of a gateway move by the same distance, which the mesh file's check ensures.
fn explicit_gateway(args: Args, record: &WorkloadRecord) -> Args {
    let Some(port) = record.ports.first() else {
        return args.with("--gateway-listen", record.address.to_string());
    };
    let offset = i32::from(port.listen.port()) - i32::from(port.port);
    args.with("--gateway-listen", port.listen.ip().to_string())
        .with("--gateway-port-offset", offset.to_string())
}

pub(super) fn app(
    state: &StateDir,
    workload: &Workload,
    record: &WorkloadRecord,
    namespace: Option<WorkloadNs>,
) -> Program {
    let mut args = Args::new(&["internal", "guard", "--"]);
    args.0.extend(workload.command.iter().map(OsString::from));
    let capture = if namespace.is_some() {
        Capture::Transparent
    } else {
        Capture::Explicit
    };
    let mut env = workload_env(state, record, capture);
    env.extend(
        workload
            .env
            .iter()
            .map(|(key, value)| (key.into(), Some(value.into()))),
    );
    Program {
        name: record.name.clone(),
        role: Role::App,
        args: args.0,
        env,
        namespace: namespace.map(|namespace| (namespace, Privilege::User)),
        dir: Some(workload.dir.clone()),
        log: state.app_log(&workload.name),
        says_ready: false,
    }
}

/// What an application of a workload finds in its environment, on top of the user's own.
pub fn workload_env(
    state: &StateDir,
    record: &WorkloadRecord,
    capture: Capture,
) -> Vec<(OsString, Option<OsString>)> {
    let (namespace, name) = record
        .name
        .split_once('/')
        .unwrap_or(("default", &record.name));
    let mut env: BTreeMap<String, Option<OsString>> = BTreeMap::new();
    let mut set = |key: &str, value: &str| {
        env.insert(key.to_owned(), Some(value.into()));
    };
    set("POD_NAME", name);
    set("POD_NAMESPACE", namespace);
    set("SERVICE_ACCOUNT", &record.service_account);
    set("INSTANCE_IP", &record.address.to_string());
    if let Some(version) = record.labels.get("version") {
        set("SERVICE_VERSION", version);
    }
    if let Some(port) = record.ports.first() {
        set("PORT", &port.listen.port().to_string());
        set(
            "HOST",
            if capture == Capture::Explicit {
                "127.0.0.1"
            } else {
                "0.0.0.0"
            },
        );
    }
    for port in &record.ports {
        let key = format!("PORT_{}", port.name.to_ascii_uppercase().replace('-', "_"));
        set(&key, &port.listen.port().to_string());
    }
    if let Some(proxy) = record.explicit_proxy {
        // curl reads http_proxy in lower case only; others know only upper case.
        for key in ["http_proxy", "https_proxy", "all_proxy"] {
            set(key, &format!("http://{proxy}"));
            set(&key.to_ascii_uppercase(), &format!("http://{proxy}"));
        }
        for key in ["no_proxy", "NO_PROXY"] {
            set(key, "localhost,127.0.0.1");
        }
    } else {
        // A proxy of the user's own would lead around the sidecar.
        for key in ["http_proxy", "https_proxy", "all_proxy"] {
            env.insert(key.to_owned(), None);
            env.insert(key.to_ascii_uppercase(), None);
        }
    }
    if let Some(dir) = record.admin.parent() {
        // What SPIFFE's libraries look for.
        let socket = unix(&dir.join(WORKLOAD_API));
        env.insert("SPIFFE_ENDPOINT_SOCKET".to_owned(), Some(socket));
    }
    env.insert("PATH".to_owned(), Some(path_with(&state.bin())));
    env.into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect()
}

/// PATH with a directory in front, so that `meshctl` in a command means this very program.
fn path_with(dir: &Path) -> OsString {
    let mut path = dir.as_os_str().to_owned();
    if let Some(inherited) = std::env::var_os("PATH").filter(|path| !path.is_empty()) {
        path.push(":");
        path.push(inherited);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::PortRecord;

    fn record() -> WorkloadRecord {
        WorkloadRecord {
            name: "default/reviews-v1".to_owned(),
            kind: WorkloadKind::Sidecar,
            service_account: "bookinfo-reviews".to_owned(),
            labels: [("app", "reviews"), ("version", "v1")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            address: "127.77.3.5".parse().unwrap(),
            ports: vec![PortRecord {
                name: "http-web".to_owned(),
                port: 9080,
                listen: "127.0.0.1:20000".parse().unwrap(),
            }],
            explicit_proxy: Some("127.77.3.5:15080".parse().unwrap()),
            admin: PathBuf::from("/s/proxies/default.reviews-v1/admin.sock"),
            log: None,
            proxy_pid: None,
            app_pid: None,
            netns: None,
            hosts: None,
        }
    }

    fn line(args: &[OsString]) -> String {
        args.iter()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_sidecar_is_told_its_ports() {
        let state = StateDir::find(Some(Path::new("/s"))).unwrap();
        let args = line(&proxy(&state, &record(), None).args);
        for part in [
            "proxy run --workload default/reviews-v1 --kind sidecar",
            "--inbound 9080=127.77.3.5:9080=127.0.0.1:20000",
            "--explicit 127.77.3.5:15080",
            "--token /s/proxies/default.reviews-v1/token",
            "--labels app=reviews,version=v1",
        ] {
            assert!(args.contains(part), "{args}");
        }
    }

    #[test]
    fn a_gateway_moves_its_ports() {
        let state = StateDir::find(Some(Path::new("/s"))).unwrap();
        let listen = "127.0.0.1:18080".parse().unwrap();
        let ports = vec![PortRecord {
            name: String::new(),
            port: 80,
            listen,
        }];
        let gateway = WorkloadRecord {
            kind: WorkloadKind::Gateway,
            ports,
            ..record()
        };
        let args = line(&proxy(&state, &gateway, None).args);
        assert!(
            args.contains("--gateway-listen 127.0.0.1 --gateway-port-offset 18000"),
            "{args}"
        );
    }

    #[test]
    fn an_application_is_told_where_it_is() {
        let state = StateDir::find(Some(Path::new("/s"))).unwrap();
        let env = workload_env(&state, &record(), Capture::Explicit);
        let get = |key: &str| {
            let found = env
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.clone());
            found
                .flatten()
                .map(|value| value.to_string_lossy().into_owned())
        };
        assert_eq!(get("PORT").as_deref(), Some("20000"));
        let socket = get("SPIFFE_ENDPOINT_SOCKET").unwrap();
        assert!(
            socket.starts_with("unix:///s/") && socket.ends_with("/svid.sock"),
            "{socket}"
        );
        assert_eq!(get("PORT_HTTP_WEB").as_deref(), Some("20000"));
        assert_eq!(get("HOST").as_deref(), Some("127.0.0.1"));
        assert_eq!(
            get("http_proxy").as_deref(),
            Some("http://127.77.3.5:15080")
        );
        assert_eq!(get("no_proxy").as_deref(), Some("localhost,127.0.0.1"));
        assert_eq!(get("SERVICE_VERSION").as_deref(), Some("v1"));
        assert!(get("PATH").unwrap().starts_with("/s/bin"));

        let captured = WorkloadRecord {
            explicit_proxy: None,
            ..record()
        };
        let env = workload_env(&state, &captured, Capture::Transparent);
        assert!(env.contains(&("http_proxy".into(), None)));
        assert!(env.contains(&("HOST".into(), Some("0.0.0.0".into()))));
    }
}
