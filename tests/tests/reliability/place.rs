//! A directory with an authority, and the resources of a pair of proxies.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::certificates::Authority;
use crate::proxy::{Plan, Proxy};

/// Name of the application.
pub const HOST: &str = "app.default.svc.cluster.local";

const SECONDS: &str = "MESH_RELIABILITY_SECONDS";

pub struct Place {
    directory: TempDir,
    authority: Authority,
}

/// Two proxies with mutual TLS between them: clients, then [`HOST`].
pub struct Pair {
    pub server: Proxy,
    pub client: Proxy,
    pub server_plan: Plan,
    pub client_plan: Plan,
}

/// How long a test carries load: what is asked for, or `short`.
pub fn duration(short: Duration) -> Duration {
    let asked = std::env::var(SECONDS).ok();
    let asked = asked.map(|text| text.parse().expect("a number of seconds"));
    asked.map_or(short, Duration::from_secs)
}

// === impl Place ===

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("mesh").tempdir().unwrap();
        let authority = Authority::new(directory.path());
        Self {
            directory,
            authority,
        }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the pair in front of the application. `retry` is that of the route.
    pub fn pair(&self, application: SocketAddr, retry: &str) -> Pair {
        for account in ["server", "client"] {
            self.authority.certify(account);
        }
        let inbound = format!("8080=127.0.0.1:0={application}");
        let more = ["--inbound", &inbound, "--concurrency", "2"];
        let server_plan = Plan::new(self, "server", SERVER, &more);
        let server = server_plan.start();
        let resources = client(server.inbound(), retry, &self.socket());
        let more = ["--explicit", "127.0.0.1:0", "--concurrency", "2"];
        let client_plan = Plan::new(self, "client", &resources, &more);
        let client = client_plan.start();
        Pair {
            server,
            client,
            server_plan,
            client_plan,
        }
    }

    /// Where the client's Sidecar has it listen besides, for [`HOST`].
    pub fn socket(&self) -> PathBuf {
        self.directory().join("calls.sock")
    }

    /// A gateway in front of the application, which listens on `address`.
    pub fn gateway(&self, address: SocketAddr, application: SocketAddr) -> Plan {
        self.authority.certify("gateway");
        let resources = format!(
            "\
resources:
- name: mesh/default
  mesh: {{trust_domain: cluster.local, outbound_policy: OUTBOUND_POLICY_REGISTRY_ONLY}}
- name: gateway/self
  gateway:
    workload: default/gateway
    listeners:
    - port: {port}
      protocol: PROTOCOL_HTTP
      hosts:
      - domain: '*'
        http:
        - name: all
          forward:
            destinations: [{{host: {HOST}, port: 80, weight: 1}}]
{service}{workload}",
            port = address.port(),
            service = SERVICE,
            workload = workload(application, false),
        );
        let listen = address.ip().to_string();
        let more = ["--kind", "gateway", "--gateway-listen", &listen];
        Plan::new(self, "gateway", &resources, &more)
    }
}

const SERVER: &str = "\
resources:
- name: mesh/default
  mesh: {trust_domain: cluster.local, outbound_policy: OUTBOUND_POLICY_ALLOW_ANY}
- name: inbound/self
  inbound:
    workload: default/server
    identity: spiffe://cluster.local/ns/default/sa/server
    default_mtls: MTLS_MODE_STRICT
    ports: [{port: 8080, protocol: PROTOCOL_HTTP, mtls: MTLS_MODE_STRICT, service: app.default.svc.cluster.local, service_port: 80}]
    policies:
    - name: default/callers
      action: AUTHORIZATION_ACTION_ALLOW
      rules: [{from: [{principals: [cluster.local/ns/default/sa/client]}]}]
";

const SERVICE: &str = "\
- name: service/app.default.svc.cluster.local
  service:
    hostname: app.default.svc.cluster.local
    namespace: default
    short_name: app
    resolution: RESOLUTION_STATIC
    ports: [{number: 80, name: http, protocol: PROTOCOL_HTTP}]
    subsets:
    - policies:
      - port: 80
        policy:
          load_balancer: LOAD_BALANCER_LEAST_REQUEST
          tls: {mode: CLIENT_TLS_MODE_AUTO}
";

/// The endpoint, behind a sidecar or not.
fn workload(address: SocketAddr, mutual_tls: bool) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "\
- name: workload/default/server
  workload:
    uid: default/server
    name: server
    namespace: default
    identity: spiffe://cluster.local/ns/default/sa/server
    address: {ip}
    weight: 1
    health: HEALTH_HEALTHY
    backs:
    - service: {HOST}
      ports: [{{service_port: 80, target_port: {port}, mutual_tls: {mutual_tls}}}]
"
    )
}

fn client(server: SocketAddr, retry: &str, socket: &Path) -> String {
    format!(
        "\
resources:
- name: mesh/default
  mesh: {{trust_domain: cluster.local, outbound_policy: OUTBOUND_POLICY_REGISTRY_ONLY}}
- name: inbound/self
  inbound:
    workload: default/client
    default_mtls: MTLS_MODE_STRICT
    egress: [{{bind: 'unix://{socket}', protocol: PROTOCOL_HTTP, always: true}}]
- name: routes/{HOST}:80
  routes:
    host: {HOST}
    port: 80
    protocol: PROTOCOL_HTTP
    http:
    - name: all
      forward:
        destinations: [{{host: {HOST}, port: 80, weight: 1}}]
{retry}{SERVICE}{workload}",
        workload = workload(server, true),
        socket = socket.display(),
    )
}
