//! Names of services inside the namespaces of transparent capture.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::Notices;
use crate::call::Admin;
use crate::netns::WorkloadNs;

/// Keeps the hosts files of all namespaces.
#[derive(Debug)]
pub(super) struct Names {
    namespaces: BTreeMap<String, WorkloadNs>,
    written: Vec<ServiceSummary>,
}

/// What the control plane tells of a service; it tells more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct ServiceSummary {
    hostname: String,
    namespace: String,
    #[serde(default)]
    addresses: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct ServiceList {
    services: Vec<ServiceSummary>,
}

// === impl Names ===

impl Names {
    pub(super) fn new(namespaces: BTreeMap<String, WorkloadNs>) -> Self {
        Self {
            namespaces,
            written: Vec::new(),
        }
    }

    /// Writes the files again if the services have changed.
    pub(super) async fn refresh(&mut self, admin: &Admin, notices: &Notices) {
        if self.namespaces.is_empty() {
            return;
        }
        let services = match admin.get::<ServiceList>("/v1/services").await {
            Ok(list) => list.services,
            Err(error) => return notices.warning(format!("names of services may be old: {error}")),
        };
        if services == self.written {
            return;
        }
        for (workload, namespace) in &self.namespaces {
            let own = workload.split_once('/').map_or("", |(own, _)| own);
            if let Err(error) = namespace.write_hosts(&entries(&services, own)) {
                notices.warning(format!(
                    "{workload} does not see the newest services: {error}"
                ));
            }
        }
        self.written = services;
    }
}

/// Each address with the names by which a workload of a namespace may call it: as the search
/// list of a Kubernetes pod would complete them.
fn entries(services: &[ServiceSummary], own: &str) -> Vec<(IpAddr, Vec<String>)> {
    let mut entries = Vec::new();
    for service in services {
        let Some(address) = service
            .addresses
            .iter()
            .find_map(|address| address.parse::<IpAddr>().ok())
        else {
            continue;
        };
        entries.push((address, names(service, own)));
    }
    entries
}

fn names(service: &ServiceSummary, own: &str) -> Vec<String> {
    let mut names = vec![service.hostname.clone()];
    let suffix = format!(".{}.svc.", service.namespace);
    if let Some((short, _)) = service.hostname.split_once(&suffix) {
        let namespace = &service.namespace;
        names.extend([
            format!("{short}.{namespace}.svc"),
            format!("{short}.{namespace}"),
        ]);
        if namespace == own {
            names.push(short.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_in_a_pod() {
        let service = |hostname: &str, address: &str| ServiceSummary {
            hostname: hostname.to_owned(),
            namespace: "default".to_owned(),
            addresses: vec![address.to_owned()],
        };
        let services = [
            service("reviews.default.svc.cluster.local", "240.240.0.1"),
            service("example.com", "240.240.0.2"),
            service("net.example.com", "10.0.0.0/8"),
        ];
        let full = "reviews.default.svc.cluster.local";
        let vip: IpAddr = "240.240.0.1".parse().unwrap();
        let entries_default = entries(&services, "default");
        assert_eq!(entries_default.len(), 2);
        assert_eq!(
            entries_default[0],
            (
                vip,
                [full, "reviews.default.svc", "reviews.default", "reviews"]
                    .map(String::from)
                    .to_vec()
            )
        );
        assert_eq!(entries_default[1].1, ["example.com"]);
        assert!(
            !entries(&services, "other")[0]
                .1
                .contains(&"reviews".to_owned())
        );
    }
}
