//! Where the gateway of a cluster can be reached from here.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Node, Service, ServicePort};
use kube::Api;
use kube::api::ListParams;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::call::{Via, relay};
use crate::cluster::{Cluster, PodInfo, PodKind, chosen_port};

/// As Istio's sample selects it.
const SELECTOR: (&str, &str) = ("istio", "ingressgateway");
/// Ports that its Service has for HTTP, the likely first.
const PORTS: [i32; 3] = [80, 8080, 31400];
const CONNECT: Duration = Duration::from_secs(2);

/// A gateway that can be called from here.
#[derive(Debug)]
pub(super) struct Gateway {
    /// Where.
    pub(super) address: SocketAddr,
    /// What hands connections on to it, if nothing else does. Ends with this.
    _forward: Option<Forward>,
}

#[derive(Debug)]
struct Forward(JoinHandle<std::io::Result<()>>);

// === impl Gateway ===

impl Gateway {
    /// At an address that the user gives, `host:port`.
    pub(super) async fn given(address: &str) -> anyhow::Result<Self> {
        let mut found = lookup_host(address)
            .await
            .with_context(|| format!("`{address}` is no HOST:PORT of a gateway"))?;
        Ok(Self {
            address: found.next().context("the gateway's name has no address")?,
            _forward: None,
        })
    }

    /// By its Service: the first of its load balancer, its node port and its cluster address that
    /// takes a connection, else by port-forward to one of its pods.
    pub(super) async fn find(cluster: &Cluster) -> anyhow::Result<Self> {
        let service = service(cluster).await?;
        let port =
            chosen_port(&service, &PORTS).context("the Service of the gateway has no ports")?;
        for candidate in candidates(&service, port, &node_address(cluster).await) {
            let Ok(mut found) = lookup_host(&candidate).await else {
                continue;
            };
            if let Some(address) = found.next()
                && let Ok(Ok(_)) = timeout(CONNECT, TcpStream::connect(address)).await
            {
                return Ok(Self {
                    address,
                    _forward: None,
                });
            }
        }
        let behind = cluster.behind(&service, &PORTS).await?.with_context(|| {
            format!(
                "no pod of the gateway is ready in namespace {}: is it installed?",
                service.metadata.namespace.as_deref().unwrap_or_default()
            )
        })?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self {
            address: listener.local_addr()?,
            _forward: Some(Forward(tokio::spawn(relay(
                listener,
                Via::Pod(Box::new(behind)),
            )))),
        })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A Service in front of a gateway that the sample's Gateway selects.
async fn service(cluster: &Cluster) -> anyhow::Result<Service> {
    let (key, value) = SELECTOR;
    let pods = cluster.list_pods(None, &format!("{key}={value}")).await?;
    let mut gateways = pods
        .iter()
        .filter(|pod| pod.kind == PodKind::Gateway && pod.alive())
        .collect::<Vec<_>>();
    gateways.sort_by_key(|pod| !pod.ready);
    for gateway in gateways {
        let namespace = Some(gateway.namespace.as_str());
        let services: Api<Service> = Api::namespaced(cluster.client().clone(), &gateway.namespace);
        let found = services
            .list(&ListParams::default())
            .await
            .map_err(cluster.failed("list", "services", namespace))?;
        if let Some(service) = found.items.into_iter().find(|one| selects(one, gateway)) {
            return Ok(service);
        }
    }
    anyhow::bail!(
        "no gateway of this mesh with the label {key}={value} and a Service in context `{}`: `meshctl install` sets one up, or give the address of another with --gateway HOST:PORT",
        cluster.context()
    )
}

fn selects(service: &Service, pod: &PodInfo) -> bool {
    let selector = service
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| {
        let mut pairs = selector.iter();
        !selector.is_empty() && pairs.all(|(key, value)| pod.labels.get(key) == Some(value))
    })
}

/// `host:port` of each way in, the outermost first.
fn candidates(service: &Service, port: &ServicePort, node: &str) -> Vec<String> {
    let mut all = Vec::new();
    let balancer = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    for ingress in balancer.iter().flat_map(|one| one.ingress.iter().flatten()) {
        if let Some(host) = ingress.ip.as_ref().or(ingress.hostname.as_ref()) {
            all.push(join(host, port.port));
        }
    }
    if let Some(number) = port.node_port.filter(|_| !node.is_empty()) {
        all.push(join(node, number));
    }
    let address = service
        .spec
        .as_ref()
        .and_then(|spec| spec.cluster_ip.as_ref());
    if let Some(address) = address.filter(|address| *address != "None") {
        all.push(join(address, port.port));
    }
    all
}

fn join(host: &str, port: i32) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Address of some node; empty if nodes may not be listed.
async fn node_address(cluster: &Cluster) -> String {
    let nodes: Api<Node> = Api::all(cluster.client().clone());
    let Ok(found) = nodes.list(&ListParams::default().limit(1)).await else {
        return String::new();
    };
    let addresses = found
        .items
        .into_iter()
        .filter_map(|node| node.status?.addresses)
        .flatten();
    let mut internal = addresses.filter(|address| address.type_ == "InternalIP");
    internal
        .next()
        .map(|address| address.address)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_outermost_way_comes_first() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "g"},
            "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80, "nodePort": 30080}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "fd00::1"}, {"hostname": "lb.example"}]}},
        }))
        .unwrap();
        let port = chosen_port(&service, &PORTS).unwrap();
        assert_eq!(
            candidates(&service, port, "172.17.0.1"),
            [
                "[fd00::1]:80",
                "lb.example:80",
                "172.17.0.1:30080",
                "10.96.0.7:80"
            ]
        );
        assert_eq!(candidates(&service, port, "").len(), 3);
    }
}
