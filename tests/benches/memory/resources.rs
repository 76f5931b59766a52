//! Resources of the proxies, as files.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// Protocol of the port.
pub(crate) type Protocol = &'static str;

const MESH: &str = "\
resources:
- name: mesh/default
  mesh: {trust_domain: cluster.local, outbound_policy: OUTBOUND_POLICY_REGISTRY_ONLY}
";

/// Host name of one of many services.
pub(crate) fn host(number: usize) -> String {
    format!("app-{number}.default.svc.cluster.local")
}

/// Those of a sidecar that takes calls.
pub(crate) fn server(protocol: Protocol) -> String {
    format!(
        "\
{MESH}- name: inbound/self
  inbound:
    workload: default/server
    identity: spiffe://cluster.local/ns/default/sa/server
    default_mtls: MTLS_MODE_STRICT
    ports: [{{port: 8080, protocol: {protocol}, mtls: MTLS_MODE_STRICT, service: {host}, service_port: 80}}]
    policies:
    - name: default/callers
      action: AUTHORIZATION_ACTION_ALLOW
      rules: [{{from: [{{source: {{}}, principals: [cluster.local/ns/default/sa/client]}}]}}]
",
        host = host(0)
    )
    .replace("source: {}, ", "")
}

/// Those of a sidecar with so many routes, each of a host of its own, to so many services, all of
/// which are the same server in truth.
pub(crate) fn client(server: SocketAddr, routes: usize, services: usize) -> String {
    let mut text = format!(
        "{MESH}- name: inbound/self\n  inbound: {{workload: default/client, default_mtls: MTLS_MODE_STRICT}}\n"
    );
    for number in 0..services {
        text.push_str(&service(number, "PROTOCOL_HTTP"));
        text.push_str(&workload(number, server));
    }
    for number in 0..routes {
        let (host, to) = (host(number), host(number % services));
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\
- name: routes/{host}:80
  routes:
    host: {host}
    port: 80
    protocol: PROTOCOL_HTTP
    http: [{{name: all, forward: {{destinations: [{{host: {to}, port: 80, weight: 1}}]}}}}]
"
        );
    }
    text
}

/// Those of a gateway that passes the bytes on one port to the server.
pub(crate) fn gateway(server: SocketAddr, port: u16) -> String {
    let host = host(0);
    let gateway = format!(
        "\
- name: gateway/self
  gateway:
    workload: default/client
    listeners:
    - port: {port}
      protocol: PROTOCOL_TCP
      tcp: [{{destinations: [{{host: {host}, port: 80, weight: 1}}]}}]
"
    );
    [
        MESH,
        &gateway,
        &service(0, "PROTOCOL_TCP"),
        &workload(0, server),
    ]
    .concat()
}

fn service(number: usize, protocol: Protocol) -> String {
    let host = host(number);
    format!(
        "\
- name: service/{host}
  service:
    hostname: {host}
    namespace: default
    short_name: app-{number}
    resolution: RESOLUTION_STATIC
    ports: [{{number: 80, name: main, protocol: {protocol}}}]
    subsets: [{{policies: [{{port: 80, policy: {{load_balancer: LOAD_BALANCER_LEAST_REQUEST, tls: {{mode: CLIENT_TLS_MODE_AUTO}}}}}}]}}]
"
    )
}

fn workload(number: usize, server: SocketAddr) -> String {
    let (host, ip, port) = (host(number), server.ip(), server.port());
    format!(
        "\
- name: workload/default/server-{number}
  workload:
    uid: default/server-{number}
    name: server-{number}
    namespace: default
    identity: spiffe://cluster.local/ns/default/sa/server
    address: {ip}
    weight: 1
    health: HEALTH_HEALTHY
    backs: [{{service: {host}, ports: [{{service_port: 80, target_port: {port}, mutual_tls: true}}]}}]
"
    )
}
