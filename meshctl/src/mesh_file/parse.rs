//! The shape of MESH.yaml. What the values mean is checked in `check`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::Mistake;

pub(super) const API_VERSION: &str = "mesh.dev/v1alpha1";
pub(super) const KIND: &str = "Mesh";

/// Shaped like a Kubernetes object, so that editors and readers know their way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawFile {
    pub(super) api_version: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) metadata: RawMetadata,
    pub(super) spec: RawMesh,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetadata {
    pub(super) name: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawMesh {
    pub(super) trust_domain: Option<Spanned<String>>,
    /// `ALLOW_ANY` or `REGISTRY_ONLY`.
    pub(super) outbound_traffic_policy: Option<RawOutboundPolicy>,
    /// Further settings of the mesh, in Istio's form.
    pub(super) mesh_config: Option<Spanned<serde_json::Value>>,
    /// For workloads that name none.
    pub(super) namespace: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) workloads: Vec<Spanned<RawWorkload>>,
    #[serde(default)]
    pub(super) gateways: Vec<Spanned<RawGateway>>,
}

/// As in Istio's MeshConfig.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOutboundPolicy {
    pub(super) mode: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawWorkload {
    pub(super) name: Spanned<String>,
    pub(super) namespace: Option<Spanned<String>>,
    pub(super) service_account: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) ports: Vec<Spanned<RawPort>>,
    pub(super) command: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    pub(super) dir: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawPort {
    pub(super) name: Option<Spanned<String>>,
    pub(super) port: Spanned<u16>,
    pub(super) app_port: Option<Spanned<u16>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawGateway {
    pub(super) name: Spanned<String>,
    pub(super) namespace: Option<Spanned<String>>,
    pub(super) service_account: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) ports: Vec<Spanned<RawGatewayPort>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawGatewayPort {
    pub(super) name: Option<Spanned<String>>,
    pub(super) port: Spanned<u16>,
    /// `port` or `ip:port`; the gateway's own number on 127.0.0.1 if absent.
    pub(super) listen: Option<Spanned<String>>,
}

pub(super) fn parse(path: &Path, text: &str) -> Result<RawFile, Mistake> {
    serde_saphyr::from_str(text).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((0, 0), |at| (at.line(), at.column()));
        Mistake {
            path: path.to_owned(),
            line,
            column,
            message: bare_message(&error),
        }
    })
}

/// The first line of the error without the place, which stands in front of it already.
fn bare_message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let first = text.lines().next().unwrap_or_default().trim();
    let cut = first
        .rfind(" at line ")
        .map_or(first, |at| first.get(..at).unwrap_or(first));
    cut.trim_end_matches([':', ',']).to_owned()
}
