//! Objects to a World.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::IpNet;
use mesh_api::Hostname;
use mesh_api::v1::{BackingPort, MtlsMode, Problem, Resolution, Severity};
use prost::Message as _;
use sha2::{Digest, Sha256};

use super::delegates::Delegates;
use super::objects::{self, Entries, Objects};
use super::services;
use super::{
    History, Inner, Mtls, PeerAuthentications, ProxyConfigs, Sidecars, Telemetries, World,
    addresses, check, credentials, gateway_api, ingress,
};
use crate::ingest::Entry;
use crate::ingest::MESH;
use crate::model::{Meta, Object};
use crate::problem::code;
use crate::translate::Compiled;
use crate::{MeshSettings, names, problem};

/// Label of workloads whose proxy takes the mesh's mutual TLS.
pub(super) const TLS_MODE: &str = "security.istio.io/tlsMode";

// === impl World ===

impl World {
    pub(crate) fn build(
        settings: &MeshSettings,
        entries: &Entries<'_>,
        mut problems: Vec<Problem>,
        before: Option<&Self>,
    ) -> Self {
        let mut inner = Inner {
            settings: settings.clone(),
            ..Inner::default()
        };
        let mut objects = objects::collect(entries, &mut problems);
        gateway_api::link(&mut inner, &mut objects, &mut problems);
        ingress::convert(&mut inner, &mut objects, &mut problems);
        credentials::keep_named(&mut inner, &objects, &mut problems);
        // Secrets that nobody names are nothing to the mesh, their changes neither.
        let counted = entries.all().filter(|entry| inner.counts(&entry.object));
        let (whole, configuration) = digests(settings, counted);
        inner.digest = hexadecimal(&whole);
        inner.history = History::next(before, configuration);
        for namespace in &objects.namespaces {
            let (name, labels) = (namespace.name().to_owned(), namespace.labels.clone());
            inner.namespaces.insert(name, labels);
        }
        let linked = services::link(&mut inner, before, &objects, &mut problems);
        inner.allocate(&linked.without_address);
        inner.index_services();
        inner.index_workloads();
        inner.policies(&objects, &mut problems);
        inner.sidecars = Sidecars::new(&objects.sidecars);
        inner.routes(&objects, &mut problems);
        inner.mutual_tls();
        inner.compiled = Arc::new(Compiled::new(inner.client_labels()));
        inner.compare(before);
        let earlier = before.map(|world| &*world.inner);
        inner.enforced = check::run(&inner, &objects, &linked, (earlier, &mut problems));
        problem::sort(&mut problems);
        inner.problems = problems;
        Self {
            inner: Arc::new(inner),
        }
    }
}

/// Hash of the settings and of the text of every object in force, and the same without what only
/// tells of endpoints.
fn digests<'a>(
    settings: &MeshSettings,
    entries: impl Iterator<Item = &'a Entry>,
) -> ([u8; 32], [u8; 32]) {
    let mut configuration = settings_digest(settings);
    let mut whole = configuration.clone();
    for entry in entries {
        whole.update(entry.digest);
        let endpoints = matches!(
            entry.object,
            Object::Pod(_) | Object::EndpointSlice(_) | Object::Node(_)
        );
        if !endpoints {
            configuration.update(entry.digest);
        }
    }
    (whole.finalize().into(), configuration.finalize().into())
}

fn settings_digest(settings: &MeshSettings) -> Sha256 {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    };
    part(settings.trust_domain.as_str().as_bytes());
    part(&settings.trust_domain_aliases.len().to_be_bytes());
    for alias in &settings.trust_domain_aliases {
        part(alias.as_str().as_bytes());
    }
    part(settings.root_namespace.as_bytes());
    part(settings.cluster_domain.as_bytes());
    part(settings.cluster_name.as_bytes());
    part(settings.outbound_policy.as_str_name().as_bytes());
    part(&[u8::from(settings.allocate_addresses)]);
    part(settings.ingress.mode.name().as_bytes());
    part(settings.ingress.class.as_bytes());
    part(settings.ingress.gateway_label().as_bytes());
    part(settings.path_normalization.as_str_name().as_bytes());
    part(&settings.authorizers.len().to_be_bytes());
    for authorizer in &settings.authorizers {
        part(&authorizer.encode_to_vec());
    }
    part(format!("{:?}", settings.telemetry).as_bytes());
    part(&settings.key_sets.len().to_be_bytes());
    for (source, keys) in &settings.key_sets {
        part(source.to_string().as_bytes());
        part(keys.jwks.as_bytes());
        part(keys.problem.as_bytes());
    }
    part(&settings.roots_der.len().to_be_bytes());
    for root in &settings.roots_der {
        part(root);
    }
    part(&settings.crls_der.len().to_be_bytes());
    for list in &settings.crls_der {
        part(list);
    }
    part(settings.renew_certificates.as_bytes());
    part(settings.jwks.as_bytes());
    for endpoint in &settings.bundle_endpoints {
        part(format!("{endpoint:?}").as_bytes());
    }
    for bundle in &settings.federation() {
        part(bundle.trust_domain.as_str().as_bytes());
        for root in &bundle.roots_der {
            part(root);
        }
        part(bundle.jwks.as_bytes());
    }
    hash
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

// === impl Inner ===

impl Inner {
    fn allocate(&mut self, wanted: &[String]) {
        if !self.settings.allocate_addresses {
            return;
        }
        let declared = self.services.iter().flat_map(|service| &service.addresses);
        let taken: HashSet<Ipv4Addr> = declared
            .filter_map(|address| address.parse().ok())
            .collect();
        let given: HashMap<&str, Ipv4Addr> =
            addresses::allocate(wanted.iter().map(String::as_str), &taken)
                .into_iter()
                .collect();
        for service in &mut self.services {
            let key = services::allocation_key(&service.host, &service.namespace);
            if let Some(address) = given
                .get(key.as_str())
                .filter(|_| service.addresses.is_empty())
            {
                service.addresses.push(address.to_string());
            }
        }
    }

    fn index_services(&mut self) {
        for (id, service) in self.services.iter().enumerate() {
            self.services_by_host
                .entry(service.host.clone())
                .or_default()
                .push(id);
            for address in &service.addresses {
                if let Ok(ip) = address.parse::<IpAddr>() {
                    self.services_by_ip.entry(ip).or_default().push(id);
                } else if let Ok(range) = address.parse::<IpNet>() {
                    self.services_by_range.push((range, id));
                }
            }
            if service.addresses.is_empty() && !service.headless {
                for port in &service.ports {
                    self.services_without_address
                        .entry(port.number)
                        .or_default()
                        .push(id);
                }
            }
        }
        // The narrowest range first, then the oldest.
        self.services_by_range
            .sort_by_key(|(range, id)| (std::cmp::Reverse(range.prefix_len()), *id));
    }

    fn index_workloads(&mut self) {
        for (id, workload) in self.workloads.iter().enumerate() {
            let listed = workload.pod.iter().flat_map(|pod| &pod.addresses).copied();
            let mut addresses: Vec<IpAddr> = listed.collect();
            if let Ok(ip) = workload.address.parse()
                && !addresses.contains(&ip)
            {
                addresses.push(ip);
            }
            for ip in addresses {
                self.workloads_by_ip.entry(ip).or_default().push(id);
            }
        }
        for (id, workload) in self.workloads.iter().enumerate() {
            for (service, _) in &workload.backs {
                if let Some(service) = self.services.get_mut(*service) {
                    service.backends.push(id);
                }
            }
        }
    }

    fn policies(&mut self, objects: &Objects, problems: &mut Vec<Problem>) {
        let mut levels = PeerAuthentications::new(&self.settings.root_namespace);
        for policy in &objects.peer_authentications {
            if let Err(why) = levels.add(policy) {
                problems.push(ineffective(&policy.meta, &why));
            }
        }
        self.peer_authentications = levels;
        let mut levels = ProxyConfigs::new(&self.settings.root_namespace);
        for object in &objects.proxy_configs {
            if let Err(why) = levels.add(object) {
                problems.push(ineffective(&object.meta, &why));
            }
        }
        self.proxy_configs = levels;
        self.telemetries = Telemetries::new(&objects.telemetries);
        for policy in &objects.resilience_policies {
            let namespace = policy.meta.namespace().to_owned();
            let policies = self.resilience_policies.entry(namespace).or_default();
            policies.push(Arc::clone(policy));
        }
        for policy in &objects.authorization_policies {
            let namespace = policy.meta.namespace().to_owned();
            self.authorization_policies
                .entry(namespace)
                .or_default()
                .push(Arc::clone(policy));
        }
        for policy in &objects.request_authentications {
            let namespace = policy.meta.namespace().to_owned();
            self.request_authentications
                .entry(namespace)
                .or_default()
                .push(Arc::clone(policy));
        }
    }

    fn routes(&mut self, objects: &Objects, problems: &mut Vec<Problem>) {
        let domain = self.settings.cluster_domain.clone();
        let delegates = Delegates::new(&objects.virtual_services, &domain);
        let merged = objects.virtual_services.iter();
        self.virtual_services = merged
            .map(|object| delegates.merge(object, problems))
            .collect();
        self.gateways.clone_from(&objects.gateways);
        for (index, object) in objects.virtual_services.iter().enumerate() {
            for gateway in &object.gateways {
                if gateway != MESH {
                    let bound = self.gateway_routes.entry(gateway.clone()).or_default();
                    if bound.last() != Some(&index) {
                        bound.push(index);
                    }
                    continue;
                }
                for host in &object.hosts {
                    if let Some(host) = names::resolve(&host.text, object.meta.namespace(), &domain)
                    {
                        self.mesh_routes.entry(host).or_default().push(index);
                    }
                }
            }
        }
        for rule in &objects.destination_rules {
            let namespace = rule.meta.namespace();
            if let Some(host) = names::resolve(&rule.host.text, namespace, &domain) {
                let rules: &mut HashMap<Hostname, Vec<_>> = self
                    .destination_rules
                    .entry(namespace.to_owned())
                    .or_default();
                rules.entry(host).or_default().push(Arc::clone(rule));
            }
        }
    }

    /// Labels of clients that anything compiled for them depends on (Istio: `sourceLabels`,
    /// `workloadSelector`).
    fn client_labels(&self) -> BTreeSet<String> {
        let rules = self.destination_rules.values().flat_map(HashMap::values);
        let selectors = rules.flatten().filter_map(|rule| rule.selector.as_ref());
        let routes = self.virtual_services.iter();
        let sources = routes.flat_map(|route| route.source_labels());
        let labels = selectors.chain(sources).flat_map(|labels| labels.keys());
        labels.cloned().collect()
    }

    /// Which endpoints take mutual TLS: those with a proxy whose port does not disable it, and
    /// never those outside of the mesh.
    fn mutual_tls(&mut self) {
        let external: Vec<bool> = self
            .services
            .iter()
            .map(|service| service.external)
            .collect();
        for workload in &mut self.workloads {
            if workload.labels.get(TLS_MODE).map(String::as_str) != Some("istio") {
                continue;
            }
            let mtls: Mtls = self
                .peer_authentications
                .effective(&workload.namespace, &workload.labels);
            for (service, ports) in &mut workload.backs {
                let inside = !external.get(*service).copied().unwrap_or(true);
                for port in ports {
                    port.mutual_tls = inside && mtls.at(port.target_port).0 != MtlsMode::Disable;
                }
            }
        }
    }
}

fn ineffective(meta: &Meta, why: &str) -> Problem {
    Problem {
        severity: Severity::Warning.into(),
        origin: Some(meta.origin.clone()),
        message: format!(
            "{} {} has no effect: {why}",
            meta.id.kind.name(),
            meta.full_name()
        ),
        code: code::INEFFECTIVE_POLICY.to_owned(),
    }
}

/// Ports of an endpoint that can be called, or none.
pub(super) fn backing(ports: BTreeMap<u32, u32>) -> Vec<BackingPort> {
    ports
        .into_iter()
        .map(|(service_port, target_port)| BackingPort {
            service_port,
            target_port,
            mutual_tls: false,
        })
        .collect()
}

/// Whether a service of this resolution can have an endpoint at this address.
pub(super) fn fits(resolution: Resolution, address: &str) -> bool {
    match resolution {
        Resolution::Static => address.starts_with("unix://") || address.parse::<IpAddr>().is_ok(),
        Resolution::Dns | Resolution::DnsRoundRobin => !address.starts_with("unix://"),
        Resolution::None | Resolution::DynamicDns | Resolution::Unspecified => false,
    }
}
