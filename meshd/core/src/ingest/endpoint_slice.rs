//! EndpointSlice of Kubernetes (discovery.k8s.io/v1), read leniently.

use crate::model::{EndpointSlice, Meta, SliceEndpoint, SlicePort};
use crate::yaml::{Node, Value};

/// Label with the name of the slice's Service.
const SERVICE: &str = "kubernetes.io/service-name";

pub(super) fn read(mut meta: Meta, root: &Node) -> EndpointSlice {
    let service = meta.labels.remove(SERVICE).unwrap_or_default();
    meta.labels.clear();
    meta.annotations.clear();
    let list = |name| root.get(name).map_or(&[][..], Node::items);
    EndpointSlice {
        service,
        ports: list("ports").iter().filter_map(port).collect(),
        // Only addresses of IP: slices of the type FQDN are deprecated, and nobody reads them.
        endpoints: list("endpoints")
            .iter()
            .filter_map(|endpoint| self::endpoint(endpoint, meta.namespace()))
            .collect(),
        meta,
    }
}

fn port(node: &Node) -> Option<SlicePort> {
    let text = |name| node.get(name).and_then(Node::text).unwrap_or_default();
    matches!(text("protocol"), "" | "TCP").then(|| SlicePort {
        name: text("name").to_owned(),
        number: node.get("port").and_then(Node::port),
    })
}

/// All addresses of an endpoint are the same place; the first one counts, as for kube-proxy.
fn endpoint(node: &Node, namespace: &str) -> Option<SliceEndpoint> {
    let address = node
        .get("addresses")?
        .items()
        .first()?
        .text()?
        .parse()
        .ok()?;
    let text = |path: &[&str]| node.find(path).and_then(Node::text).unwrap_or_default();
    let condition = |name| match node.find(&["conditions", name]) {
        Some(Node {
            value: Value::Bool(value),
            ..
        }) => Some(*value),
        _ => None,
    };
    // What is not known counts as good: ready, serving, not terminating.
    let serving = condition("serving").unwrap_or(true);
    let terminating = condition("terminating").unwrap_or(false);
    let pod = (text(&["targetRef", "kind"]) == "Pod").then(|| {
        let of = Some(text(&["targetRef", "namespace"])).filter(|of| !of.is_empty());
        let name = text(&["targetRef", "name"]);
        format!("{}/{name}", of.unwrap_or(namespace))
    });
    Some(SliceEndpoint {
        address,
        ready: condition("ready").unwrap_or(true),
        draining: serving && terminating,
        node: if pod.is_some() {
            String::new()
        } else {
            text(&["nodeName"]).to_owned()
        },
        zone: text(&["zone"]).to_owned(),
        pod,
    })
}
