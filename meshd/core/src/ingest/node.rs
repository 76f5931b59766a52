//! Node of Kubernetes: where it is.

use crate::model::{KubernetesNode, Meta};

pub(super) fn read(mut meta: Meta) -> KubernetesNode {
    let labels = std::mem::take(&mut meta.labels);
    meta.annotations.clear();
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    KubernetesNode {
        meta,
        region: label("topology.kubernetes.io/region"),
        zone: label("topology.kubernetes.io/zone"),
        subzone: label("topology.istio.io/subzone"),
    }
}
