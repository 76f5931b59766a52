//! The other side of a request: which workloads would get it, and what their proxies are asked.

use std::net::{IpAddr, SocketAddr};

use mesh_proxy_core::explain::{EndpointReport, ExplainReport, ExplainRequest};

/// An endpoint of the request's destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its unique name: that of its workload, if it has one.
    pub(super) uid: String,
    /// What its proxy is asked.
    pub(super) request: ExplainRequest,
}

/// All endpoints that the request could go to, each once.
pub(super) fn targets(
    caller: &ExplainReport,
    asked: &ExplainRequest,
    source: Option<IpAddr>,
) -> Vec<Target> {
    let Some(outbound) = caller.outbound.as_ref() else {
        return Vec::new();
    };
    // A gateway that ends TLS passes on what was inside.
    let ended = outbound
        .tls
        .as_ref()
        .is_some_and(|tls| tls.certificate.is_some());
    let mut targets: Vec<Target> = Vec::new();
    for endpoint in outbound
        .destinations
        .iter()
        .flat_map(|destination| &destination.endpoints)
    {
        let Some(address) = address(endpoint) else {
            continue;
        };
        if targets.iter().any(|target| target.uid == endpoint.uid) {
            continue;
        }
        let mut headers = asked.headers.clone();
        if let Some(authority) = &outbound.sent_authority {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
            headers.push(("host".to_owned(), authority.clone()));
        }
        let request = ExplainRequest {
            host: String::new(),
            port: address.port(),
            path: outbound
                .sent_path
                .clone()
                .unwrap_or_else(|| asked.path.clone()),
            headers,
            source_identity: caller.identity.clone().filter(|_| endpoint.tls == "mesh"),
            source_ip: source,
            destination_ip: Some(address.ip()),
            tcp: if ended {
                outbound.protocol == "tls"
            } else {
                asked.tcp
            },
            sni: asked.sni.clone().filter(|_| !ended),
            ..asked.clone()
        };
        targets.push(Target {
            uid: endpoint.uid.clone(),
            request,
        });
    }
    targets
}

fn address(endpoint: &EndpointReport) -> Option<SocketAddr> {
    endpoint.address.parse().ok()
}
