//! Mesh-wide settings from a ConfigMap (Istio: MeshConfig).

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use mesh_api::TrustDomain;
use mesh_api::v1::{GatewayTopology, Origin, OutboundPolicy, Problem, Severity};
use meshd_core::{IngressMode, MeshSettings, gateway_topology, proxy_headers_without_effect};
use serde_json::Value;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::{ClusterError, KubernetesSettings};
use crate::clock;
use crate::extension_providers;
use crate::publish::Message;
use crate::telemetry_providers;
use crate::trust_bundles;

/// The key that holds the settings, YAML (Istio: `mesh`).
const KEY: &str = "mesh";
/// How long an API server may take to come up, when all start together.
const PATIENCE: Duration = Duration::from_secs(60);
/// Marks the problems of the settings.
const TROUBLE: &str = "kubernetes: mesh configuration";

/// The ConfigMaps that may hold the settings, the first that is there counts: ours, then Istio's
/// of this revision, then Istio's.
pub(crate) fn names(settings: &KubernetesSettings) -> Vec<String> {
    vec![
        settings.object_name("mesh"),
        format!("istio-{}", settings.revision),
        "istio".to_owned(),
    ]
}

/// Settings as they change.
#[derive(Debug)]
pub(crate) struct MeshConfig {
    namespace: String,
    names: Vec<String>,
    /// What holds where no ConfigMap says otherwise.
    base: MeshSettings,
    texts: BTreeMap<String, String>,
    current: MeshSettings,
}

/// What a text says.
#[derive(Debug, PartialEq)]
struct Parsed {
    settings: MeshSettings,
    /// Fields that mean nothing here.
    unused: Vec<String>,
}

// === impl MeshConfig ===

impl MeshConfig {
    pub(crate) fn new(settings: &KubernetesSettings, base: MeshSettings) -> Self {
        Self {
            namespace: settings.namespace.clone(),
            names: names(settings),
            current: base.clone(),
            base,
            texts: BTreeMap::new(),
        }
    }

    /// Reads what is there now into `mesh`, once, before anything is known of the cluster: the
    /// trust domain must be known when the authority is opened.
    ///
    /// # Errors
    /// If the API server cannot be asked for a minute, or the settings cannot be used.
    pub(crate) async fn first(
        client: &Client,
        settings: &KubernetesSettings,
        mesh: &mut MeshSettings,
    ) -> Result<(), ClusterError> {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &settings.namespace);
        let give_up = clock::instant() + PATIENCE;
        let mut backoff = Backoff::default();
        for name in names(settings) {
            let found = loop {
                let what = format!("read the ConfigMap {}/{name}", settings.namespace);
                let error = match maps.get_opt(&name).await {
                    Ok(found) => break found,
                    Err(error) => ClusterError::from_call(what, &error),
                };
                match error {
                    ClusterError::Forbidden { .. } => {
                        tracing::warn!(%error, "going on without");
                        break None;
                    }
                    error if error.is_transient() && clock::instant() < give_up => {
                        tracing::warn!(%error, "trying again");
                        sleep(backoff.next(clock::jitter())).await;
                    }
                    error => return Err(error),
                }
            };
            let text = found
                .and_then(|map| map.data)
                .and_then(|mut data| data.remove(KEY));
            if let Some(text) = text {
                let parsed = parse(&text, mesh).map_err(|reason| ClusterError::Refused {
                    what: format!("use the ConfigMap {}/{name}", settings.namespace),
                    reason,
                })?;
                mesh.trust_domain = parsed.settings.trust_domain;
                return Ok(());
            }
        }
        Ok(())
    }

    /// A ConfigMap is new or changed.
    pub(crate) fn set(&mut self, map: &Value) -> Vec<Message> {
        let name = map.pointer("/metadata/name").and_then(Value::as_str);
        let text = map.get("data").and_then(|data| data.get(KEY)?.as_str());
        match (name, text) {
            (Some(name), Some(text)) => {
                self.texts.insert(name.to_owned(), text.to_owned());
                self.update()
            }
            (Some(name), None) => self.remove(name),
            _ => Vec::new(),
        }
    }

    /// A ConfigMap is gone.
    pub(crate) fn remove(&mut self, name: &str) -> Vec<Message> {
        match self.texts.remove(name) {
            Some(_) => self.update(),
            None => Vec::new(),
        }
    }

    /// What follows from the ConfigMaps that are there. Settings that cannot be used change
    /// nothing.
    fn update(&mut self) -> Vec<Message> {
        let chosen = self.names.iter().find_map(|name| {
            let text = self.texts.get(name)?;
            Some((name.clone(), parse(text, &self.base)))
        });
        let (problem, settings) = match chosen {
            None => (None, Some(self.base.clone())),
            Some((name, Err(reason))) => {
                let message = format!("{reason}; the settings stay as they were");
                (Some(self.problem(&name, Severity::Error, message)), None)
            }
            Some((name, Ok(parsed))) => {
                let mut settings = parsed.settings;
                let wanted =
                    std::mem::replace(&mut settings.trust_domain, self.base.trust_domain.clone());
                let problem = if wanted != self.base.trust_domain {
                    let message = format!(
                        "trustDomain: `{wanted}` holds from the next start of the control plane on; restart its pods"
                    );
                    Some(self.problem(&name, Severity::Warning, message))
                } else if parsed.unused.is_empty() {
                    None
                } else {
                    let message = format!("not used by this mesh: {}", parsed.unused.join(", "));
                    Some(self.problem(&name, Severity::Info, message))
                };
                (problem, Some(settings))
            }
        };
        let mut messages = vec![Message::Trouble {
            key: TROUBLE.to_owned(),
            problem: problem.map(Box::new),
        }];
        if let Some(settings) = settings.filter(|settings| *settings != self.current) {
            self.current.clone_from(&settings);
            messages.push(Message::Settings(Box::new(settings)));
        }
        messages
    }

    fn problem(&self, name: &str, severity: Severity, message: String) -> Problem {
        Problem {
            severity: severity.into(),
            origin: Some(Origin {
                source: "kubernetes".to_owned(),
                kind: "ConfigMap".to_owned(),
                namespace: self.namespace.clone(),
                name: name.to_owned(),
                ..Origin::default()
            }),
            message,
            code: match severity {
                Severity::Info => "unsupported",
                _ => "MeshConfig",
            }
            .to_owned(),
        }
    }
}

/// The settings that a file says, as a ConfigMap would; what it does not say stays as in `base`.
///
/// # Errors
/// If something in it cannot be used.
pub fn of_file(text: &str, base: &MeshSettings) -> Result<MeshSettings, String> {
    let Parsed { settings, unused } = parse(text, base)?;
    if !unused.is_empty() {
        tracing::info!(
            "mesh configuration, not used by this mesh: {}",
            unused.join(", ")
        );
    }
    Ok(settings)
}

/// Reads the settings. What they do not say stays as in `base`.
fn parse(text: &str, base: &MeshSettings) -> Result<Parsed, String> {
    let value: Value =
        serde_saphyr::from_str(text).map_err(|error| format!("mesh: this is no YAML: {error}"))?;
    let fields = match value {
        Value::Null => serde_json::Map::new(),
        Value::Object(fields) => fields,
        _ => return Err("mesh: it must hold fields, such as `rootNamespace: istio-system`".into()),
    };
    let mut settings = base.clone();
    let mut unused = Vec::new();
    for (name, value) in fields {
        match name.as_str() {
            "trustDomain" => settings.trust_domain = trust_domain(&name, &value)?,
            "trustDomainAliases" => {
                let items = value
                    .as_array()
                    .ok_or("trustDomainAliases: it must be a list")?;
                settings.trust_domain_aliases = items
                    .iter()
                    .map(|item| trust_domain(&name, item))
                    .collect::<Result<_, _>>()?;
            }
            "rootNamespace" => {
                let namespace = text_of(&name, &value)?;
                if !namespace.is_empty() {
                    settings.root_namespace = namespace.to_owned();
                }
            }
            "ingressControllerMode" => settings.ingress.mode = ingress_mode(&value)?,
            "ingressClass" => text_of(&name, &value)?.clone_into(&mut settings.ingress.class),
            "ingressService" => text_of(&name, &value)?.clone_into(&mut settings.ingress.service),
            "ingressSelector" => {
                text_of(&name, &value)?.clone_into(&mut settings.ingress.selector);
            }
            "outboundTrafficPolicy" => settings.outbound_policy = outbound(&value)?,
            "caCertificates" => {
                let federation = trust_bundles::read(&value)?;
                settings.federated = federation.bundles;
                settings.bundle_endpoints = federation.endpoints;
            }
            "pathNormalization" => {
                settings.path_normalization = extension_providers::path_normalization(&value)?;
            }
            "extensionProviders" => {
                settings.authorizers = extension_providers::read(&value, &mut unused)?;
                telemetry_providers::read(&value, &mut settings.telemetry, &mut unused)?;
            }
            "defaultProviders" => {
                let telemetry = &mut settings.telemetry;
                telemetry_providers::read_defaults(&value, telemetry, &mut unused)?;
            }
            "defaultConfig" => {
                settings.gateway_topology = default_config(&value, &mut unused)?;
            }
            _ => unused.push(name),
        }
    }
    let own = std::iter::once(&settings.trust_domain).chain(&settings.trust_domain_aliases);
    let mut fetched = settings.bundle_endpoints.iter();
    if let Some(endpoint) =
        fetched.find(|endpoint| own.clone().any(|own| *own == endpoint.trust_domain))
    {
        return Err(format!(
            "caCertificates: {} is this mesh itself, for which only its own authority vouches",
            endpoint.trust_domain
        ));
    }
    Ok(Parsed { settings, unused })
}

/// What a ProxyConfig says for all proxies.
fn default_config(value: &Value, unused: &mut Vec<String>) -> Result<GatewayTopology, String> {
    let fields = value
        .as_object()
        .ok_or("defaultConfig: it must hold fields")?;
    let mut topology = GatewayTopology::default();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        if name == "gatewayTopology" {
            let (read, unknown) =
                gateway_topology(value).map_err(|error| format!("defaultConfig.{error}"))?;
            topology = read;
            unused.extend(unknown.iter().map(|name| format!("defaultConfig.{name}")));
        } else if name == "proxyHeaders" {
            let ignored = proxy_headers_without_effect(value)
                .map_err(|error| format!("defaultConfig.{error}"))?;
            unused.extend(ignored.iter().map(|name| format!("defaultConfig.{name}")));
        } else {
            unused.push(format!("defaultConfig.{name}"));
        }
    }
    Ok(topology)
}

fn text_of<'a>(name: &str, value: &'a Value) -> Result<&'a str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("{name}: it must be text"))
}

fn trust_domain(name: &str, value: &Value) -> Result<TrustDomain, String> {
    text_of(name, value)?
        .parse()
        .map_err(|error| format!("{name}: {error}"))
}

fn outbound(value: &Value) -> Result<OutboundPolicy, String> {
    let mode = value.get("mode").unwrap_or(&Value::Null);
    match mode.as_str() {
        // Istio's default mode.
        None if mode.is_null() => Ok(OutboundPolicy::AllowAny),
        Some("ALLOW_ANY") => Ok(OutboundPolicy::AllowAny),
        Some("REGISTRY_ONLY") => Ok(OutboundPolicy::RegistryOnly),
        _ => Err(format!(
            "outboundTrafficPolicy.mode: {mode} is not known; write ALLOW_ANY or REGISTRY_ONLY"
        )),
    }
}

fn ingress_mode(value: &Value) -> Result<IngressMode, String> {
    const MODES: [IngressMode; 3] = [IngressMode::Off, IngressMode::Default, IngressMode::Strict];
    let mode = value.as_str().unwrap_or_default();
    MODES
        .into_iter()
        .find(|known| known.name() == mode)
        .ok_or_else(|| {
            format!("ingressControllerMode: {value} is not known; write OFF, DEFAULT or STRICT")
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> MeshConfig {
        MeshConfig::new(&KubernetesSettings::default(), MeshSettings::default())
    }

    fn map(name: &str, text: &str) -> Value {
        json!({"metadata": {"name": name}, "data": {"mesh": text}})
    }

    /// The settings and the problem that come out.
    fn outcome(messages: Vec<Message>) -> (Option<MeshSettings>, Option<String>) {
        let (mut settings, mut trouble) = (None, None);
        for message in messages {
            match message {
                Message::Settings(new) => settings = Some(*new),
                Message::Trouble { problem, .. } => trouble = problem.map(|p| p.message),
                _ => panic!("{message:?}"),
            }
        }
        (settings, trouble)
    }

    #[test]
    fn reads_what_it_uses_and_names_the_rest() {
        let text = "
rootNamespace: root
trustDomainAliases: [old.example]
outboundTrafficPolicy: { mode: REGISTRY_ONLY }
accessLogFile: /dev/stdout
enableTracing: true
";
        let (settings, trouble) = outcome(config().set(&map("mesh", text)));
        let settings = settings.unwrap();
        assert_eq!(settings.root_namespace, "root");
        assert_eq!(settings.trust_domain_aliases[0].as_str(), "old.example");
        assert_eq!(settings.outbound_policy, OutboundPolicy::RegistryOnly);
        let unused = "not used by this mesh: accessLogFile, enableTracing";
        assert_eq!(trouble.as_deref(), Some(unused));
    }

    #[test]
    fn ours_counts_before_istios_and_bad_ones_change_nothing() {
        let mut config = config();
        let of = |messages| outcome(messages).0.map(|settings| settings.root_namespace);
        let istio = map("istio", "rootNamespace: theirs");
        assert_eq!(of(config.set(&istio)).as_deref(), Some("theirs"));
        let ours = map("mesh", "rootNamespace: ours");
        assert_eq!(of(config.set(&ours)).as_deref(), Some("ours"));
        assert_eq!(of(config.set(&istio)), None, "nothing changes");
        for bad in [
            "- a",
            "rootNamespace: [",
            "outboundTrafficPolicy: { mode: NO }",
        ] {
            let (settings, trouble) = outcome(config.set(&map("mesh", bad)));
            assert!(settings.is_none() && trouble.is_some(), "{bad}");
        }
        assert_eq!(of(config.remove("mesh")).as_deref(), Some("theirs"));
        assert_eq!(of(config.remove("istio")).as_deref(), Some("istio-system"));
    }

    #[test]
    fn what_stands_before_gateways_is_read() {
        let text = "
defaultConfig:
  gatewayTopology: { numTrustedProxies: 2, forwardClientCertDetails: SANITIZE, proxyProtocol: {} }
  proxyHeaders: { server: { disabled: true }, requestId: { disabled: true } }
  statusPort: 15020
";
        let (settings, trouble) = outcome(config().set(&map("mesh", text)));
        let topology = settings.unwrap().gateway_topology;
        assert_eq!(
            (topology.trusted_proxies, topology.proxy_protocol),
            (2, true)
        );
        let unused = "not used by this mesh: defaultConfig.proxyHeaders.requestId.disabled, defaultConfig.statusPort";
        assert_eq!(trouble.as_deref(), Some(unused));
        let bad = "defaultConfig: { gatewayTopology: { numTrustedProxies: many } }";
        let (settings, trouble) = outcome(config().set(&map("mesh", bad)));
        assert!(settings.is_none());
        let trouble = trouble.unwrap();
        assert!(
            trouble.starts_with("defaultConfig.gatewayTopology.numTrustedProxies"),
            "{trouble}"
        );
    }

    #[test]
    fn another_trust_domain_waits_for_a_restart() {
        let (settings, trouble) = outcome(config().set(&map("mesh", "trustDomain: other.example")));
        assert_eq!(settings, None);
        assert!(trouble.unwrap().contains("restart"));
    }
}
