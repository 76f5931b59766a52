//! Where the ingress gateway can be reached from here.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::Api;
use kube::api::ListParams;
use meshctl::cluster::{PodInfo, PodKind};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::place::Place;

const PORT: i32 = 80;
const CONNECT: Duration = Duration::from_secs(2);

// === impl Place ===

impl Place {
    /// Address of port 80 of the gateway's Service.
    pub(crate) async fn gateway(&self) -> anyhow::Result<SocketAddr> {
        let candidates = match std::env::var("MESH_TEST_GATEWAY") {
            Ok(given) => vec![given],
            Err(_) => self.gateway_candidates().await?,
        };
        for candidate in &candidates {
            let found = lookup_host(candidate).await;
            let Some(address) = found.into_iter().flatten().next() else {
                continue;
            };
            if let Ok(Ok(_)) = timeout(CONNECT, TcpStream::connect(address)).await {
                return Ok(address);
            }
        }
        bail!(
            "the ingress gateway takes no connection at {}: name an address of it with MESH_TEST_GATEWAY=HOST:PORT, \
             for example after `kubectl port-forward -n {} svc/mesh-ingressgateway 8080:80`",
            candidates.join(", "),
            self.cluster.mesh_namespace()
        )
    }

    /// Ready pods of the gateway.
    pub(crate) async fn gateway_pods(&self) -> anyhow::Result<Vec<PodInfo>> {
        let namespace = self.cluster.mesh_namespace();
        let selector = "istio=ingressgateway";
        let mut pods = self.cluster.list_pods(Some(namespace), selector).await?;
        pods.retain(|pod| pod.kind == PodKind::Gateway && pod.ready);
        Ok(pods)
    }

    async fn gateway_candidates(&self) -> anyhow::Result<Vec<String>> {
        let pods = self.gateway_pods().await?;
        let pod = pods.first().with_context(|| {
            format!(
                "no ready gateway in namespace {}: `meshctl install` sets one up",
                self.cluster.mesh_namespace()
            )
        })?;
        let services: Api<Service> = self.mesh_api();
        let services = services.list(&ListParams::default()).await?;
        let nodes: Api<Node> = Api::all(self.cluster.client().clone());
        let nodes = nodes.list(&ListParams::default()).await?;
        let nodes = nodes
            .items
            .into_iter()
            .filter_map(|node| node.status?.addresses)
            .flatten()
            .filter(|address| address.type_ == "InternalIP")
            .map(|address| address.address)
            .collect::<Vec<_>>();
        let mut all = Vec::new();
        for service in services.items {
            let balancer = service.status.and_then(|status| status.load_balancer);
            let Some(spec) = service.spec else { continue };
            let selector = spec.selector.unwrap_or_default();
            let selects = selector
                .iter()
                .all(|(key, value)| pod.labels.get(key) == Some(value));
            let mut ports = spec.ports.into_iter().flatten();
            let Some(port) = ports.find(|port| port.port == PORT) else {
                continue;
            };
            if selector.is_empty() || !selects {
                continue;
            }
            let outside = balancer.and_then(|balancer| balancer.ingress);
            let outside = outside.into_iter().flatten();
            all.extend(
                outside.filter_map(|one| Some(format!("{}:{PORT}", one.ip.or(one.hostname)?))),
            );
            if let Some(number) = port.node_port {
                all.extend(nodes.iter().map(|node| format!("{node}:{number}")));
            }
            all.extend(spec.cluster_ip.map(|address| format!("{address}:{PORT}")));
        }
        Ok(all)
    }
}
