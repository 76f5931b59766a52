//! A pair of Envoys, set up in the manner of Istio's sidecars, with as little as can be: one
//! route on the client's side, one rule of authorization on the server's.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{Pair, Place};
use crate::certificates::{PRINCIPALS, Side};
use crate::child::{Running, free_port};
use crate::kind::Kind;

const TYPES: &str = "type.googleapis.com/envoy.extensions";
/// Names another program than the `envoy` of PATH.
const VARIABLE: &str = "ENVOY";
/// Both of a pair share memory with others of their number.
const BASES: [&str; 2] = ["71", "72"];

/// Starts the pair.
pub(super) fn start(place: &Place<'_>) -> anyhow::Result<Pair> {
    let (outer, inner) = (free_port()?, free_port()?);
    let server = one(place, Side::Server, inner, place.application)?;
    let client = one(place, Side::Client, outer, inner)?;
    Ok(Pair {
        running: vec![server, client],
        port: outer,
    })
}

fn one(place: &Place<'_>, side: Side, listen: u16, next: u16) -> anyhow::Result<Running> {
    let file = place.directory.join(format!("envoy-{}.json", side.name()));
    fs::write(&file, bootstrap(place, side, listen, next).to_string())?;
    let program = std::env::var_os(VARIABLE).unwrap_or_else(|| "envoy".into());
    let [first, second] = BASES;
    let base = match side {
        Side::Client => first,
        Side::Server => second,
    };
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(file)
        .args(["--concurrency", "1", "-l", "error", "--base-id", base]);
    let name = format!("envoy-{}", side.name());
    let mut running = Running::start(&name, &mut command, place.directory)?;
    running.serves(listen)?;
    Ok(running)
}

fn bootstrap(place: &Place<'_>, side: Side, listen: u16, next: u16) -> Value {
    let mut chain = json!({"filters": [filter(place, side)]});
    let mut cluster = cluster(place.kind, next);
    let (holder, message, extra) = match side {
        Side::Client => (&mut cluster, "UpstreamTlsContext", json!({})),
        Side::Server => (
            &mut chain,
            "DownstreamTlsContext",
            json!({"require_client_certificate": true}),
        ),
    };
    let mut tls = extra;
    set(
        &mut tls,
        "@type",
        format!("{TYPES}.transport_sockets.tls.v3.{message}"),
    );
    set(&mut tls, "common_tls_context", common_tls(place, side));
    set(
        holder,
        "transport_socket",
        json!({"name": "envoy.transport_sockets.tls", "typed_config": tls}),
    );
    json!({
        "node": {"id": side.name(), "cluster": side.name()},
        "static_resources": {
            "listeners": [{
                "name": side.name(),
                "address": address(listen),
                "filter_chains": [chain],
            }],
            "clusters": [cluster],
        },
    })
}

fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value.into());
    }
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn common_tls(place: &Place<'_>, side: Side) -> Value {
    let alpn = match place.kind {
        Kind::H1 => "http/1.1",
        Kind::H2 | Kind::Grpc => "h2",
        Kind::Tcp => "istio",
    };
    let certificates = place.certificates;
    json!({
        "alpn_protocols": [alpn],
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "tls_certificates": [{
            "certificate_chain": {"filename": certificates.certificate(side)},
            "private_key": {"filename": certificates.key(side)},
        }],
        "validation_context": {
            "trusted_ca": {"filename": certificates.roots()},
            "match_typed_subject_alt_names": [
                {"san_type": "URI", "matcher": {"prefix": "spiffe://cluster.local/"}},
            ],
        },
    })
}

fn cluster(kind: Kind, port: u16) -> Value {
    let endpoint = json!({"endpoint": {"address": address(port)}});
    let mut cluster = json!({
        "name": "next",
        "type": "STATIC",
        "connect_timeout": "10s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": "next", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {"thresholds": [{
            "max_connections": 100_000, "max_requests": 100_000, "max_pending_requests": 100_000,
        }]},
    });
    if kind != Kind::Tcp {
        let spoken = if kind.is_http2() {
            json!({"http2_protocol_options": {"max_concurrent_streams": 100}})
        } else {
            json!({"http_protocol_options": {}})
        };
        let options = format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions");
        set(
            &mut cluster,
            "typed_extension_protocol_options",
            json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options, "explicit_http_config": spoken,
            }}),
        );
    }
    cluster
}

fn filter(place: &Place<'_>, side: Side) -> Value {
    let mut log = json!([]);
    if place.access_log {
        let path = place.directory.join(format!("access-{}.log", side.name()));
        log = json!([{"name": "envoy.access_loggers.file", "typed_config": {
            "@type": format!("{TYPES}.access_loggers.file.v3.FileAccessLog"), "path": path,
        }}]);
    }
    if place.kind == Kind::Tcp {
        return json!({"name": "envoy.filters.network.tcp_proxy", "typed_config": {
            "@type": format!("{TYPES}.filters.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": side.name(), "cluster": "next", "access_log": log,
        }});
    }
    let mut filters = Vec::new();
    if matches!(side, Side::Server) {
        filters.push(authorization());
    }
    filters.push(
        json!({"name": "envoy.filters.http.router", "typed_config": {
            "@type": format!("{TYPES}.filters.http.router.v3.Router"),
        }}),
    );
    let retry = json!({"retry_on": "connect-failure,refused-stream,unavailable", "num_retries": 2});
    let route = json!({
        "match": {"prefix": "/"},
        "route": {"cluster": "next", "timeout": "0s", "retry_policy": retry},
    });
    json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": {
        "@type": format!(
            "{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": side.name(),
        "codec_type": "AUTO",
        "use_remote_address": false,
        "access_log": log,
        "route_config": {"name": "all", "virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": [route]},
        ]},
        "http_filters": filters,
    }})
}

fn authorization() -> Value {
    let principal = format!("spiffe://{PRINCIPALS}/client");
    json!({"name": "envoy.filters.http.rbac", "typed_config": {
        "@type": format!("{TYPES}.filters.http.rbac.v3.RBAC"),
        "rules": {"action": "ALLOW", "policies": {"client": {
            "permissions": [{"any": true}],
            "principals": [{"authenticated": {"principal_name": {"exact": principal}}}],
        }}},
    }})
}
