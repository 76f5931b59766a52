//! What is watched.

use crate::kubernetes::KubernetesSettings;
use crate::kubernetes::{mesh_config, quarantine};

/// The group of the Gateway API.
pub(crate) const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// A kind of objects of the API server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// API group, empty for the core group.
    pub(crate) group: &'static str,
    /// Versions that we read, best first.
    pub(crate) versions: &'static [&'static str],
    pub(crate) kind: &'static str,
    /// The name in URLs and in roles.
    pub(crate) plural: &'static str,
    pub(crate) role: Role,
}

/// What objects of a kind are to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Without them nobody may be told what to do: services, endpoints and policies.
    Needed,
    /// What they say is used if they may be read.
    Useful,
    /// Says which kinds there are.
    Definitions,
    /// Settings of the mesh as a whole.
    MeshConfig,
    /// What the leader says of objects in quarantine.
    Quarantine,
}

/// One list-and-watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) kind: &'static Kind,
    /// Only in this namespace.
    pub(crate) namespace: Option<String>,
    /// Only what has these fields.
    pub(crate) fields: Option<String>,
}

const fn builtin(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    role: Role,
) -> Kind {
    Kind {
        group,
        versions: &["v1"],
        kind,
        plural,
        role,
    }
}

const fn networking(kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group: "networking.istio.io",
        versions: &["v1", "v1beta1", "v1alpha3"],
        kind,
        plural,
        role: Role::Needed,
    }
}

const fn security(kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group: "security.istio.io",
        versions: &["v1", "v1beta1"],
        kind,
        plural,
        role: Role::Needed,
    }
}

const fn gateway_api(kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group: GATEWAY_API,
        versions: &["v1"],
        kind,
        plural,
        role: Role::Needed,
    }
}

/// Kinds that any API server has.
static BUILT_IN: &[Kind] = &[
    builtin("", "Service", "services", Role::Needed),
    builtin("", "Pod", "pods", Role::Needed),
    builtin("", "Namespace", "namespaces", Role::Needed),
    builtin(
        "discovery.k8s.io",
        "EndpointSlice",
        "endpointslices",
        Role::Needed,
    ),
    builtin("", "Node", "nodes", Role::Useful),
    builtin("networking.k8s.io", "Ingress", "ingresses", Role::Useful),
    builtin(
        "networking.k8s.io",
        "IngressClass",
        "ingressclasses",
        Role::Useful,
    ),
    builtin(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        Role::Definitions,
    ),
];

/// Istio's kinds, those of the Gateway API, and the mesh's own. Those of Istio that the mesh does
/// not do are watched too, so that they are named as problems and not silently without effect.
static CONFIGURATION: &[Kind] = &[
    networking("VirtualService", "virtualservices"),
    networking("DestinationRule", "destinationrules"),
    networking("Gateway", "gateways"),
    networking("ServiceEntry", "serviceentries"),
    networking("WorkloadEntry", "workloadentries"),
    networking("WorkloadGroup", "workloadgroups"),
    networking("Sidecar", "sidecars"),
    networking("EnvoyFilter", "envoyfilters"),
    Kind {
        group: "networking.istio.io",
        versions: &["v1beta1"],
        kind: "ProxyConfig",
        plural: "proxyconfigs",
        role: Role::Needed,
    },
    security("PeerAuthentication", "peerauthentications"),
    security("AuthorizationPolicy", "authorizationpolicies"),
    security("RequestAuthentication", "requestauthentications"),
    Kind {
        group: "telemetry.istio.io",
        versions: &["v1", "v1alpha1"],
        kind: "Telemetry",
        plural: "telemetries",
        role: Role::Useful,
    },
    Kind {
        group: "extensions.istio.io",
        versions: &["v1alpha1"],
        kind: "WasmPlugin",
        plural: "wasmplugins",
        role: Role::Needed,
    },
    Kind {
        group: "extensions.istio.io",
        versions: &["v1alpha1"],
        kind: "TrafficExtension",
        plural: "trafficextensions",
        role: Role::Needed,
    },
    Kind {
        group: "mesh.dev",
        versions: &["v1alpha1"],
        kind: "ResiliencePolicy",
        plural: "resiliencepolicies",
        role: Role::Needed,
    },
    gateway_api("HTTPRoute", "httproutes"),
    gateway_api("GRPCRoute", "grpcroutes"),
    gateway_api("Gateway", "gateways"),
    gateway_api("GatewayClass", "gatewayclasses"),
    Kind {
        versions: &["v1", "v1beta1"],
        ..gateway_api("ReferenceGrant", "referencegrants")
    },
];

/// Whether objects of an API group are configuration of the mesh.
pub(crate) fn is_configuration(group: &str) -> bool {
    group.ends_with(".istio.io") || group == "mesh.dev" || group == GATEWAY_API
}

static SECRET: Kind = builtin("", "Secret", "secrets", Role::Useful);
static QUARANTINE: Kind = builtin("", "ConfigMap", "configmaps", Role::Quarantine);
static CONFIG_MAP: Kind = builtin("", "ConfigMap", "configmaps", Role::MeshConfig);

/// Types of Secrets that hold certificates of gateways.
const SECRET_TYPES: [&str; 2] = ["kubernetes.io/tls", "Opaque"];

// === impl Kind ===

impl Kind {
    /// Whether it is one of those that only meshes have, whose status we write.
    pub(crate) fn is_configuration(&self) -> bool {
        is_configuration(self.group)
    }

    /// Whether an API server may not have it.
    pub(crate) fn may_be_missing(&self) -> bool {
        self.is_configuration()
    }

    /// All that may be missing.
    pub(crate) fn optional() -> impl Iterator<Item = &'static Self> {
        CONFIGURATION.iter()
    }

    pub(crate) fn of(group: &str, kind: &str) -> Option<&'static Self> {
        CONFIGURATION
            .iter()
            .find(|known| known.group == group && known.kind == kind)
    }

    pub(crate) fn api_version(&self, version: &str) -> String {
        match self.group {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        }
    }
}

// === impl Watched ===

impl Watched {
    /// Everything that a control plane with these settings watches.
    pub(crate) fn all(settings: &KubernetesSettings) -> Vec<Self> {
        let everywhere = |kind| Self {
            kind,
            namespace: None,
            fields: None,
        };
        let mut all: Vec<Self> = BUILT_IN
            .iter()
            .chain(CONFIGURATION)
            .map(everywhere)
            .collect();
        let namespaces: Vec<Option<String>> = match settings.secret_namespaces.as_slice() {
            [] => vec![None],
            chosen => chosen.iter().cloned().map(Some).collect(),
        };
        for namespace in namespaces {
            all.extend(SECRET_TYPES.map(|of_type| Self {
                kind: &SECRET,
                namespace: namespace.clone(),
                fields: Some(format!("type={of_type}")),
            }));
        }
        // By name: so a role can be limited to these names.
        let named = |kind, name: String| Self {
            kind,
            namespace: Some(settings.namespace.clone()),
            fields: Some(format!("metadata.name={name}")),
        };
        let names = mesh_config::names(settings);
        all.extend(names.into_iter().map(|name| named(&CONFIG_MAP, name)));
        all.push(named(&QUARANTINE, quarantine::name(settings)));
        all
    }

    /// The path of its collection.
    pub(crate) fn path(&self, version: &str) -> String {
        let root = match self.kind.group {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        };
        match &self.namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.kind.plural),
            None => format!("{root}/{}", self.kind.plural),
        }
    }

    /// For people: `pods`, `secrets (type=Opaque) in shop`.
    pub(crate) fn words(&self) -> String {
        let mut words = self.kind.plural.to_owned();
        if !self.kind.group.is_empty() {
            words = format!("{words}.{}", self.kind.group);
        }
        if let Some(fields) = &self.fields {
            words = format!("{words} ({fields})");
        }
        if let Some(namespace) = &self.namespace {
            words = format!("{words} in {namespace}");
        }
        words
    }

    /// Whether only their metadata matters.
    pub(crate) fn metadata_only(&self) -> bool {
        self.kind.role == Role::Definitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_by_path_and_says_what() {
        let settings = KubernetesSettings {
            secret_namespaces: vec!["edge".to_owned()],
            ..KubernetesSettings::default()
        };
        let all = Watched::all(&settings);
        let of = |kind: &str| -> Vec<&Watched> {
            all.iter()
                .filter(|watched| watched.kind.kind == kind)
                .collect()
        };
        assert_eq!(of("Pod")[0].path("v1"), "/api/v1/pods");
        assert_eq!(
            of("Gateway")[0].path("v1beta1"),
            "/apis/networking.istio.io/v1beta1/gateways"
        );
        let secrets: Vec<String> = of("Secret").iter().map(|watched| watched.words()).collect();
        assert_eq!(
            secrets,
            [
                "secrets (type=kubernetes.io/tls) in edge",
                "secrets (type=Opaque) in edge"
            ]
        );
        assert_eq!(
            of("ConfigMap")[0].path("v1"),
            "/api/v1/namespaces/istio-system/configmaps"
        );
    }
}
