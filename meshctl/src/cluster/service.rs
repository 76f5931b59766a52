//! What is behind a Service.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;

use super::{Cluster, ClusterError, PodInfo, PodPort};

// === impl Cluster ===

impl Cluster {
    /// A Service, if it is there.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn service(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Service>, ClusterError> {
        let services: Api<Service> = Api::namespaced(self.client().clone(), namespace);
        services
            .get_opt(name)
            .await
            .map_err(self.failed("get", "services", Some(namespace)))
    }

    /// A port of a ready pod behind a Service: that of the first number that the Service has, or
    /// else of its first port. None if there is no such pod or port.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn behind(
        &self,
        service: &Service,
        wanted: &[i32],
    ) -> Result<Option<PodPort>, ClusterError> {
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let selector = selector(service);
        let (Some(port), false) = (chosen_port(service, wanted), selector.is_empty()) else {
            return Ok(None);
        };
        let pods = self.list_pods(Some(namespace), &selector).await?;
        Ok(pods.iter().find(|pod| pod.ready).and_then(|pod| {
            let number = target(port, pod)?;
            Some(PodPort::new(self, namespace, &pod.name, number))
        }))
    }
}

/// The selector of its pods; empty if it has none.
fn selector(service: &Service) -> String {
    let spec = service.spec.iter();
    let pairs = spec.flat_map(|spec| spec.selector.iter().flatten());
    pairs
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// The first of the wanted ports that it has, else its first.
pub fn chosen_port<'a>(service: &'a Service, wanted: &[i32]) -> Option<&'a ServicePort> {
    let ports = service.spec.as_ref()?.ports.as_deref()?;
    wanted
        .iter()
        .find_map(|number| ports.iter().find(|port| port.port == *number))
        .or_else(|| ports.first())
}

/// Kubernetes: `targetPort`, a number or the name of a container's port; by default `port`.
fn target(port: &ServicePort, pod: &PodInfo) -> Option<u16> {
    match &port.target_port {
        Some(IntOrString::Int(number)) => u16::try_from(*number).ok(),
        Some(IntOrString::String(name)) => pod.ports.get(name).copied(),
        None => u16::try_from(port.port).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn chooses_ports_and_follows_names() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "gateway"},
            "spec": {
                "selector": {"app": "gateway", "istio": "ingressgateway"},
                "ports": [
                    {"name": "status", "port": 15021, "targetPort": 15021},
                    {"name": "http2", "port": 80, "targetPort": "web"},
                    {"name": "plain", "port": 8080},
                ],
            },
        }))
        .unwrap();
        assert_eq!(selector(&service), "app=gateway,istio=ingressgateway");
        let pod = PodInfo {
            ports: BTreeMap::from([("web".to_owned(), 8081)]),
            ..PodInfo::default()
        };
        for (wanted, number) in [
            (vec![80], Some(8081)),
            (vec![9, 8080, 80], Some(8080)),
            (vec![], Some(15021)),
        ] {
            assert_eq!(
                target(chosen_port(&service, &wanted).unwrap(), &pod),
                number
            );
        }
    }
}
