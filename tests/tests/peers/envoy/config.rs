//! Envoy's configuration, as istiod writes it for a sidecar.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::certificates::Leaf;

/// What two sidecars speak inside of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Http1,
    Http2,
    Tcp,
}

/// The outbound side: plain text in, the mesh's mutual TLS out.
pub(super) struct Client {
    pub(super) listen: u16,
    pub(super) wire: Wire,
    pub(super) to: SocketAddr,
    pub(super) server_name: String,
    /// Who the server must be.
    pub(super) server: String,
    pub(super) leaf: Leaf,
}

/// The inbound side.
pub(super) struct Server {
    pub(super) listen: SocketAddr,
    pub(super) app: u16,
    pub(super) wire: Wire,
    pub(super) leaf: Leaf,
}

const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions.";

pub(super) fn kind(name: &str) -> String {
    format!("{EXTENSIONS}{name}")
}

/// `ALPNInMesh*` of Istio's pilot/pkg/networking/util: what a client offers.
fn offered(wire: Wire) -> Value {
    match wire {
        Wire::Http1 => json!(["istio-http/1.1", "istio", "http/1.1"]),
        Wire::Http2 => json!(["istio-h2", "istio", "h2"]),
        Wire::Tcp => json!(["istio-peer-exchange", "istio"]),
    }
}

/// `ALPNHttp` and `ALPNDownstreamWithMxc`: what a server chooses from.
fn accepted(wire: Wire) -> Value {
    match wire {
        Wire::Http1 | Wire::Http2 => json!(["h2", "http/1.1"]),
        Wire::Tcp => json!(["istio-peer-exchange", "h2", "http/1.1"]),
    }
}

/// `mtlsHTTPALPNs` and `mtlsTCPWithMxcALPNs` of inbound filter chains: what the client's tokens
/// choose the chain by.
fn chosen_by(wire: Wire) -> Value {
    match wire {
        Wire::Http1 | Wire::Http2 => json!(["istio-http/1.0", "istio-http/1.1", "istio-h2"]),
        Wire::Tcp => json!(["istio-peer-exchange", "istio"]),
    }
}

pub(super) fn tls(leaf: &Leaf, tokens: &Value, names: &Value) -> Value {
    json!({
        "alpn_protocols": tokens,
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [{
            "certificate_chain": {"filename": leaf.chain},
            "private_key": {"filename": leaf.key},
        }],
        "validation_context": {
            "trusted_ca": {"filename": leaf.roots},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": names}],
        },
    })
}

pub(super) fn cluster(to: SocketAddr, wire: Wire) -> Value {
    let protocol = match wire {
        Wire::Http2 => json!({"http2_protocol_options": {}}),
        Wire::Http1 | Wire::Tcp => json!({"http_protocol_options": {}}),
    };
    json!({
        "name": "next",
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": {"cluster_name": "next", "endpoints": [{"lb_endpoints": [{
            "endpoint": {"address": {"socket_address": {
                "address": to.ip().to_string(), "port_value": to.port(),
            }}},
        }]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": kind("upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": protocol,
            },
        },
    })
}

/// Says on standard output who called, as soon as a connection or request has ended.
fn log() -> Value {
    json!([{"name": "envoy.access_loggers.stdout", "typed_config": {
        "@type": kind("access_loggers.stream.v3.StdoutAccessLog"),
        "log_format": {"text_format_source": {"inline_string":
            "seen %DOWNSTREAM_PEER_URI_SAN% %REQUESTED_SERVER_NAME%\n"}},
    }}])
}

fn filter(wire: Wire) -> Value {
    if wire == Wire::Tcp {
        return json!({"name": "envoy.filters.network.tcp_proxy", "typed_config": {
            "@type": kind("filters.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": "tcp", "cluster": "next", "access_log": log(),
        }});
    }
    json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": {
        "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "http", "codec_type": "AUTO", "access_log": log(),
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "next", "timeout": "0s"}},
        ]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": kind("filters.http.router.v3.Router"),
        }}],
    }})
}

pub(super) fn bootstrap(
    listen: SocketAddr,
    listener_filters: &Value,
    chain: &Value,
    cluster: &Value,
) -> Value {
    json!({
        "node": {"id": "sidecar", "cluster": "peers"},
        "static_resources": {
            "listeners": [{
                "name": "listener",
                "address": {"socket_address": {
                    "address": listen.ip().to_string(), "port_value": listen.port(),
                }},
                "listener_filters": listener_filters,
                "filter_chains": [chain],
            }],
            "clusters": [cluster],
        },
    })
}

// === impl Client, Server ===

impl Client {
    /// The same with certificate and roots from a socket, by SDS.
    pub(super) fn config_with_secrets(&self, socket: &Path) -> Value {
        let mut config = self.config();
        let source = |name: &str| {
            json!({"name": name, "sds_config": {
                "resource_api_version": "V3",
                "api_config_source": {
                    "api_type": "GRPC", "transport_api_version": "V3",
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "secrets"}}],
                },
            }})
        };
        let clusters = &mut config["static_resources"]["clusters"];
        let tls = &mut clusters[0]["transport_socket"]["typed_config"]["common_tls_context"];
        let names = tls["validation_context"]["match_typed_subject_alt_names"].take();
        let fields = tls.as_object_mut().unwrap();
        fields.remove("tls_certificates");
        fields.remove("validation_context");
        fields.insert(
            "tls_certificate_sds_secret_configs".into(),
            json!([source("default")]),
        );
        fields.insert(
            "combined_validation_context".into(),
            json!({
                "default_validation_context": {"match_typed_subject_alt_names": names},
                "validation_context_sds_secret_config": source("ROOTCA"),
            }),
        );
        clusters.as_array_mut().unwrap().push(json!({
            "name": "secrets",
            "type": "STATIC",
            "load_assignment": {"cluster_name": "secrets", "endpoints": [{"lb_endpoints": [{
                "endpoint": {"address": {"pipe": {"path": socket}}},
            }]}]},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": kind("upstreams.http.v3.HttpProtocolOptions"),
                    "explicit_http_config": {"http2_protocol_options": {}},
                },
            },
        }));
        config
    }

    pub(super) fn config(&self) -> Value {
        let mut cluster = cluster(self.to, self.wire);
        let names = json!({"exact": self.server});
        cluster["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": kind("transport_sockets.tls.v3.UpstreamTlsContext"),
                "common_tls_context": tls(&self.leaf, &offered(self.wire), &names),
                "sni": self.server_name,
            },
        });
        let chain = json!({"filters": [filter(self.wire)]});
        let listen = SocketAddr::from(([127, 0, 0, 1], self.listen));
        bootstrap(listen, &json!([]), &chain, &cluster)
    }
}

impl Server {
    pub(super) fn config(&self) -> Value {
        let app = SocketAddr::from(([127, 0, 0, 1], self.app));
        let names = json!({"prefix": "spiffe://cluster.local/"});
        let chain = json!({
            "filter_chain_match": {
                "transport_protocol": "tls",
                "application_protocols": chosen_by(self.wire),
            },
            "filters": [filter(self.wire)],
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": kind("transport_sockets.tls.v3.DownstreamTlsContext"),
                    "common_tls_context": tls(&self.leaf, &accepted(self.wire), &names),
                    "require_client_certificate": true,
                },
            },
        });
        let inspector = json!([{"name": "envoy.filters.listener.tls_inspector", "typed_config": {
            "@type": kind("filters.listener.tls_inspector.v3.TlsInspector"),
        }}]);
        bootstrap(self.listen, &inspector, &chain, &cluster(app, Wire::Http1))
    }
}
