//! Pod of Kubernetes, read leniently: a pod that runs is never refused for a field.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::v1::ProxyKind;

use crate::model::{InboundCapture, Meta, Pod};
use crate::yaml::{Labels, Node, Value};

/// Container of the proxy, in injected pods and in those of gateways.
const PROXY: &str = "istio-proxy";
/// Annotation of pods whose connections a ztunnel takes.
const REDIRECTION: &str = "ambient.istio.io/redirection";
/// Annotations that say which connections reach the sidecar (Istio: resource annotations).
const INCLUDED: &str = "traffic.sidecar.istio.io/includeInboundPorts";
const EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
const INTERCEPTION: &str = "sidecar.istio.io/interceptionMode";
/// Annotations that mean anything.
pub(super) const ANNOTATIONS: [&str; 4] = [REDIRECTION, INCLUDED, EXCLUDED, INTERCEPTION];
/// Variable of that container that says what kind of proxy it is.
const KIND: &str = "MESH_KIND";
/// Label that names the workload, before anything that can be derived.
const WORKLOAD_NAME: &str = "service.istio.io/workload-name";
/// Labels with the end of a ReplicaSet's name; what is before it is the Deployment or Rollout.
const TEMPLATE_HASHES: [&str; 2] = ["pod-template-hash", "rollouts-pod-template-hash"];

pub(super) fn read(mut meta: Meta, root: &Node) -> Pod {
    let labels = std::mem::take(&mut meta.labels);
    let redirection = meta.annotations.get(REDIRECTION).map(String::as_str);
    let redirected = redirection == Some("enabled");
    let capture = capture(&meta.annotations);
    meta.annotations.clear();
    let containers = containers(root);
    let text = |path: &[&str]| {
        root.find(path)
            .and_then(Node::text)
            .unwrap_or_default()
            .to_owned()
    };
    let mut service_account = text(&["spec", "serviceAccountName"]);
    if service_account.is_empty() {
        "default".clone_into(&mut service_account);
    }
    let is_set = |path: &[&str]| {
        root.find(path)
            .is_some_and(|node| node.value != Value::Null)
    };
    let host_network = root.find(&["spec", "hostNetwork"]);
    Pod {
        workload: workload_name(&meta, &labels, root),
        service_account,
        addresses: addresses(root),
        node: text(&["spec", "nodeName"]),
        ports: ports(&containers),
        host_network: host_network.is_some_and(|node| node.value == Value::Bool(true)),
        finished: matches!(text(&["status", "phase"]).as_str(), "Succeeded" | "Failed"),
        ready: is_ready(root),
        terminating: is_set(&["metadata", "deletionTimestamp"]),
        redirected,
        capture,
        proxy: proxy_kind(&containers),
        labels: Arc::new(labels),
        meta,
    }
}

/// Which connections are taken to the sidecar. What cannot be read is left to the webhook, which
/// refuses it; here it counts as not said.
fn capture(annotations: &Labels) -> InboundCapture {
    let list = |name: &str| -> Option<Vec<u16>> {
        let text = annotations.get(name)?;
        let ports = text
            .split(',')
            .map(str::trim)
            .filter(|port| !port.is_empty());
        ports.map(|port| port.parse().ok()).collect()
    };
    let none = annotations.get(INTERCEPTION).map(String::as_str) == Some("NONE");
    InboundCapture {
        only: if none {
            Some(Vec::new())
        } else {
            list(INCLUDED)
        },
        never: list(EXCLUDED).unwrap_or_default(),
    }
}

/// Name of the workload for metrics (Istio: GetWorkloadMetaFromPod): the controller's, a
/// ReplicaSet's without the hash of its template, a timed Job's without its time.
fn workload_name(meta: &Meta, labels: &Labels, root: &Node) -> String {
    if let Some(name) = labels.get(WORKLOAD_NAME) {
        return name.clone();
    }
    // Only names that a controller made up say something of it; those of static pods belong to
    // their node.
    let made_up = root
        .find(&["metadata", "generateName"])
        .and_then(Node::text)
        .is_some_and(|name| !name.is_empty());
    let owners = root
        .find(&["metadata", "ownerReferences"])
        .map_or(&[][..], Node::items);
    let controller = owners.iter().find(|owner| {
        owner
            .get("controller")
            .is_some_and(|node| node.value == Value::Bool(true))
    });
    let of_owner = |name: &str| {
        controller
            .and_then(|owner| owner.get(name))
            .and_then(Node::text)
            .unwrap_or_default()
    };
    let (kind, name) = (of_owner("kind"), of_owner("name"));
    if !made_up || name.is_empty() {
        return meta.name().to_owned();
    }
    let derived = match kind {
        "ReplicaSet" => TEMPLATE_HASHES.iter().find_map(|label| {
            let hash = labels.get(*label).filter(|hash| !hash.is_empty())?;
            name.strip_suffix(hash.as_str())?.strip_suffix('-')
        }),
        "ReplicationController" => labels.get("deploymentconfig").map(String::as_str),
        "Job" => name.rsplit_once('-').and_then(|(timed, time)| {
            let is_time =
                (8..=10).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit());
            is_time.then_some(timed)
        }),
        _ => None,
    };
    derived
        .filter(|name| !name.is_empty())
        .unwrap_or(name)
        .to_owned()
}

/// Containers that run as long as the pod does: the ordinary ones, then init containers that are
/// always restarted.
fn containers(root: &Node) -> Vec<&Node> {
    let list = |name| root.find(&["spec", name]).map_or(&[][..], Node::items);
    let stays =
        |container: &&Node| container.get("restartPolicy").and_then(Node::text) == Some("Always");
    let init = list("initContainers").iter().filter(stays);
    list("containers").iter().chain(init).collect()
}

/// Named TCP ports; of two of one name the first counts (kubernetes/kubernetes#54213).
fn ports(containers: &[&Node]) -> BTreeMap<String, u16> {
    let mut ports = BTreeMap::new();
    let all = containers
        .iter()
        .filter_map(|container| container.get("ports"))
        .flat_map(Node::items);
    for port in all {
        let text = |name| port.get(name).and_then(Node::text).unwrap_or_default();
        if let (name, "" | "TCP", Some(number)) = (
            text("name"),
            text("protocol"),
            port.get("containerPort").and_then(Node::port),
        ) && !name.is_empty()
        {
            ports.entry(name.to_owned()).or_insert(number);
        }
    }
    ports
}

fn addresses(root: &Node) -> Vec<IpAddr> {
    let listed = root
        .find(&["status", "podIPs"])
        .map_or(&[][..], Node::items);
    let listed = listed.iter().filter_map(|item| item.get("ip"));
    let mut addresses: Vec<IpAddr> = Vec::new();
    for node in root.find(&["status", "podIP"]).into_iter().chain(listed) {
        if let Some(address) = node.text().and_then(|text| text.parse().ok())
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    addresses
}

fn is_ready(root: &Node) -> bool {
    let conditions = root
        .find(&["status", "conditions"])
        .map_or(&[][..], Node::items);
    let is =
        |condition: &Node, name, value| condition.get(name).and_then(Node::text) == Some(value);
    conditions
        .iter()
        .find(|condition| is(condition, "type", "Ready"))
        .is_some_and(|condition| is(condition, "status", "True"))
}

/// What the proxy in the pod is, by the variable that it is started with.
fn proxy_kind(containers: &[&Node]) -> Option<ProxyKind> {
    let is_named = |node: &Node, name| node.get("name").and_then(Node::text) == Some(name);
    let proxy = containers.iter().find(|node| is_named(node, PROXY))?;
    let variables = proxy.get("env").map_or(&[][..], Node::items);
    let kind = variables.iter().find(|node| is_named(node, KIND))?;
    match kind.get("value").and_then(Node::text)? {
        "gateway" => Some(ProxyKind::Gateway),
        "sidecar" => Some(ProxyKind::Sidecar),
        _ => None,
    }
}
