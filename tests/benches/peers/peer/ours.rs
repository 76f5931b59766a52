//! A pair of our proxies, each serving from a file of resources: ten routes on the client's side,
//! ten rules of authorization on the server's, all metrics.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use mesh_api::v1;
use mesh_api::v1::resource::Body;
use serde_json::{Value, json};

use super::{Pair, Place};
use crate::certificates::{PRINCIPALS, Side};
use crate::child::{Running, free_port};
use crate::kind::Kind;

const HOST: &str = "app.default.svc.cluster.local";
const PORT: u32 = 80;
/// The application's port in the words of its policies.
const TARGET: u32 = 8080;
/// Routes and rules. What the load asks for is the last of each, so that all are tried.
const TRIED: usize = 10;

/// Starts the pair.
pub(super) fn start(binary: &Path, place: &Place<'_>, limited: bool) -> anyhow::Result<Pair> {
    let (server, said) = server(binary, place, limited)?;
    let inbound = said
        .get("inbound")
        .and_then(|all| all.get(0)?.get("address")?.as_str())
        .with_context(|| format!("no inbound address in {said}"))?;
    let inbound: SocketAddr = inbound.parse()?;
    let (client, port) = client(binary, place, inbound)?;
    Ok(Pair {
        running: vec![server, client],
        port,
    })
}

fn server(binary: &Path, place: &Place<'_>, limited: bool) -> anyhow::Result<(Running, Value)> {
    let most = 100_000;
    let pool = v1::ConnectionPool {
        max_connections: most,
        max_pending_requests: most,
        max_requests: most,
        ..Default::default()
    };
    let port = v1::InboundPort {
        port: TARGET,
        protocol: protocol(place.kind).into(),
        mtls: v1::MtlsMode::Strict.into(),
        service: HOST.to_owned(),
        service_port: PORT,
        connection_pool: limited.then_some(pool),
        ..Default::default()
    };
    let inbound = v1::Inbound {
        workload: "default/server".to_owned(),
        identity: Side::Server.identity(),
        ports: vec![port],
        default_mtls: v1::MtlsMode::Strict.into(),
        policies: vec![policy(place.kind)],
        ..Default::default()
    };
    let resources = [mesh(), ("inbound/self".to_owned(), Body::Inbound(inbound))];
    let mut command = command(binary, place, Side::Server, &resources)?;
    command.arg("--inbound").arg(format!(
        "{TARGET}=127.0.0.1:0=127.0.0.1:{}",
        place.application
    ));
    let mut running = Running::start("ours-server", &mut command, place.directory)?;
    let said = serde_json::from_str(&running.says("ready ")?)?;
    Ok((running, said))
}

fn client(binary: &Path, place: &Place<'_>, server: SocketAddr) -> anyhow::Result<(Running, u16)> {
    let mut resources = vec![mesh(), service(place.kind), workload(server)];
    // Programs that speak bytes speak neither HTTP's proxies nor SOCKS: they come to a port.
    if place.kind == Kind::Tcp {
        let port = free_port()?;
        let listener = v1::GatewayListener {
            port: port.into(),
            protocol: v1::Protocol::Tcp.into(),
            tcp: vec![tcp_route()],
            ..Default::default()
        };
        let gateway = v1::Gateway {
            workload: "default/client".to_owned(),
            listeners: vec![listener],
            ..Default::default()
        };
        resources.push(("gateway/self".to_owned(), Body::Gateway(gateway)));
        let mut command = command(binary, place, Side::Client, &resources)?;
        command.args(["--kind", "gateway", "--gateway-listen", "127.0.0.1"]);
        let mut running = Running::start("ours-client", &mut command, place.directory)?;
        running.serves(port)?;
        return Ok((running, port));
    }
    resources.push(routes(place.kind));
    let inbound = v1::Inbound {
        workload: "default/client".to_owned(),
        identity: Side::Client.identity(),
        default_mtls: v1::MtlsMode::Strict.into(),
        ..Default::default()
    };
    resources.push(("inbound/self".to_owned(), Body::Inbound(inbound)));
    let mut command = command(binary, place, Side::Client, &resources)?;
    command.args(["--explicit", "127.0.0.1:0"]);
    let mut running = Running::start("ours-client", &mut command, place.directory)?;
    let said: Value = serde_json::from_str(&running.says("ready ")?)?;
    let explicit = said.get("explicit").and_then(Value::as_str);
    let address: SocketAddr = explicit
        .with_context(|| format!("no explicit address in {said}"))?
        .parse()?;
    Ok((running, address.port()))
}

fn command(
    binary: &Path,
    place: &Place<'_>,
    side: Side,
    resources: &[(String, Body)],
) -> anyhow::Result<Command> {
    let file = write(place.directory, side, resources)?;
    let certificates = place.certificates;
    let mut command = Command::new(binary);
    command
        .args(["run", "--log", "warn", "--on-ready", "--concurrency", "1"])
        .args(["--workload", &format!("default/{}", side.name())])
        .args(["--labels", &format!("app={}", side.name())])
        .arg("--resources")
        .arg(file)
        .arg("--certificate")
        .arg(certificates.certificate(side))
        .arg("--private-key")
        .arg(certificates.key(side))
        .arg("--roots")
        .arg(certificates.roots());
    if place.access_log {
        let log = place.directory.join(format!("access-{}.log", side.name()));
        command.arg("--access-log").arg(log);
    }
    Ok(command)
}

fn write(directory: &Path, side: Side, resources: &[(String, Body)]) -> anyhow::Result<PathBuf> {
    let list: Vec<v1::Resource> = resources
        .iter()
        .map(|(name, body)| v1::Resource {
            name: name.clone(),
            version: String::new(),
            body: Some(body.clone()),
        })
        .collect();
    let file = directory.join(format!("resources-{}.json", side.name()));
    let text = serde_json::to_string_pretty(&json!({ "resources": list }))?;
    fs::write(&file, text)?;
    Ok(file)
}

fn protocol(kind: Kind) -> v1::Protocol {
    match kind {
        Kind::H1 => v1::Protocol::Http,
        Kind::H2 => v1::Protocol::Http2,
        Kind::Grpc => v1::Protocol::Grpc,
        Kind::Tcp => v1::Protocol::Tcp,
    }
}

fn mesh() -> (String, Body) {
    let mesh = v1::Mesh {
        trust_domain: "cluster.local".to_owned(),
        outbound_policy: v1::OutboundPolicy::AllowAny.into(),
        ..Default::default()
    };
    ("mesh/default".to_owned(), Body::Mesh(mesh))
}

fn service(kind: Kind) -> (String, Body) {
    let policy = v1::TrafficPolicy {
        load_balancer: v1::LoadBalancer::LeastRequest.into(),
        connect_timeout_ms: 10_000,
        tls: Some(v1::ClientTls {
            mode: v1::ClientTlsMode::Auto.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let service = v1::Service {
        hostname: HOST.to_owned(),
        namespace: "default".to_owned(),
        short_name: "app".to_owned(),
        ports: vec![v1::ServicePort {
            number: PORT,
            name: "port".to_owned(),
            protocol: protocol(kind).into(),
        }],
        resolution: v1::Resolution::Static.into(),
        subsets: vec![v1::Subset {
            policies: vec![v1::PortPolicy {
                port: PORT,
                policy: Some(policy),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    (format!("service/{HOST}"), Body::Service(service))
}

fn workload(server: SocketAddr) -> (String, Body) {
    let workload = v1::Workload {
        uid: "default/server".to_owned(),
        name: "server".to_owned(),
        namespace: "default".to_owned(),
        identity: Side::Server.identity(),
        address: server.ip().to_string(),
        weight: 1,
        health: v1::Health::Healthy.into(),
        backs: vec![v1::Backing {
            service: HOST.to_owned(),
            ports: vec![v1::BackingPort {
                service_port: PORT,
                target_port: server.port().into(),
                mutual_tls: true,
            }],
        }],
        ..Default::default()
    };
    (
        "workload/default/server".to_owned(),
        Body::Workload(workload),
    )
}

fn destination() -> v1::Destination {
    v1::Destination {
        host: HOST.to_owned(),
        port: PORT,
        weight: 1,
        ..Default::default()
    }
}

fn tcp_route() -> v1::TcpRoute {
    v1::TcpRoute {
        destinations: vec![destination()],
        ..Default::default()
    }
}

fn routes(kind: Kind) -> (String, Body) {
    let http = (1..=TRIED).map(|number| {
        let uri = v1::StringMatch {
            kind: Some(v1::string_match::Kind::Prefix(format!("/api/v{number}/"))),
        };
        let last = number == TRIED;
        let matches = vec![v1::HttpMatch {
            uri: Some(uri),
            ..Default::default()
        }];
        let forward = v1::Forward {
            destinations: vec![destination()],
            retry: Some(retry()),
            ..Default::default()
        };
        v1::HttpRoute {
            name: format!("route-{number}"),
            matches: if last { Vec::new() } else { matches },
            action: Some(v1::http_route::Action::Forward(forward)),
            ..Default::default()
        }
    });
    let table = v1::RouteTable {
        host: HOST.to_owned(),
        port: PORT,
        protocol: protocol(kind).into(),
        http: http.collect(),
        ..Default::default()
    };
    (format!("routes/{HOST}:{PORT}"), Body::Routes(table))
}

/// Istio's default.
fn retry() -> v1::Retry {
    let conditions = [
        "connect-failure",
        "refused-stream",
        "unavailable",
        "cancelled",
    ];
    v1::Retry {
        attempts: 2,
        retry_on: conditions.map(str::to_owned).to_vec(),
        backoff_base_ms: 25,
        backoff_max_ms: 250,
        ..Default::default()
    }
}

/// One policy of ten rules: nine for others, the last one for the client of the load.
fn policy(kind: Kind) -> v1::AuthorizationPolicy {
    let rules = (1..=TRIED).map(|number| {
        let account = if number == TRIED {
            Side::Client.name().to_owned()
        } else {
            format!("caller-{number}")
        };
        let source = v1::AuthorizationSource {
            principals: vec![format!("{PRINCIPALS}/{account}")],
            ..Default::default()
        };
        let operation = v1::AuthorizationOperation {
            methods: vec!["GET".to_owned(), "POST".to_owned()],
            paths: vec!["/*".to_owned()],
            ..Default::default()
        };
        v1::AuthorizationRule {
            from: vec![source],
            // Bytes have neither methods nor paths.
            to: match kind {
                Kind::Tcp => Vec::new(),
                Kind::H1 | Kind::H2 | Kind::Grpc => vec![operation],
            },
            ..Default::default()
        }
    });
    v1::AuthorizationPolicy {
        name: "default/callers".to_owned(),
        action: v1::AuthorizationAction::Allow.into(),
        rules: rules.collect(),
        ..Default::default()
    }
}
