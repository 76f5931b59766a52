//! The settings of one proxy, and the annotation `proxy.istio.io/config` with some of them.

use mesh_api::v1::GatewayTopology;
use serde_json::{Map, Value};

use super::settings::{InjectSettings, InterceptionMode};
use super::values;
use crate::model::ProxyConfigObject;
use crate::proxy_headers::proxy_headers_without_effect;
use crate::topology::gateway_topology;
use crate::yaml::nearest;

/// Fields of Istio's `ProxyConfig` that are known and do nothing here.
const NO_EFFECT: [&str; 28] = [
    "availabilityZone",
    "binaryPath",
    "caCertificatesPem",
    "configPath",
    "controlPlaneAuthPolicy",
    "customConfigFile",
    "discoveryAddress",
    "discoveryRefreshDelay",
    "drainDuration",
    "envoyAccessLogService",
    "envoyMetricsService",
    "envoyMetricsServiceAddress",
    "extraStatTags",
    "fileFlushInterval",
    "fileFlushMinSizeKb",
    "meshId",
    "parentShutdownDuration",
    "privateKeyProvider",
    "proxyAdminPort",
    "proxyBootstrapTemplatePath",
    "proxyStatsMatcher",
    "readinessProbe",
    "runtimeValues",
    "sds",
    "serviceCluster",
    "statNameLength",
    "tracing",
    "zipkinAddress",
];
/// The fields that do something, and `image`, whose variants there are none of.
const SUPPORTED: [&str; 9] = [
    "concurrency",
    "gatewayTopology",
    "holdApplicationUntilProxyStarts",
    "image",
    "interceptionMode",
    "proxyHeaders",
    "proxyMetadata",
    "statusPort",
    "terminationDrainDuration",
];

/// The settings of one proxy that Istio keeps in `ProxyConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProxyConfig {
    pub(super) concurrency: Option<u32>,
    /// Milliseconds.
    pub(super) drain: u64,
    /// `gatewayTopology`, in place of the mesh's.
    pub(super) topology: Option<GatewayTopology>,
    pub(super) hold_application: bool,
    pub(super) interception: InterceptionMode,
    pub(super) status_port: u16,
    /// Environment, in order.
    pub(super) metadata: Vec<(String, String)>,
}

/// What was found in a text.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<String>,
    pub(super) warnings: Vec<String>,
}

// === impl ProxyConfig ===

impl ProxyConfig {
    /// What the installation says.
    pub(super) fn defaults(settings: &InjectSettings) -> Result<Self, String> {
        let metadata = settings.proxy_metadata.clone();
        Ok(Self {
            concurrency: settings.concurrency,
            drain: values::duration(&settings.termination_drain_duration)
                .map_err(|error| format!("terminationDrainDuration: {error}"))?,
            topology: None,
            hold_application: settings.hold_application_until_proxy_starts,
            interception: settings.interception_mode,
            status_port: settings.status_port,
            metadata: metadata.into_iter().collect(),
        })
    }

    /// Puts the annotation's fields over these. Fields without effect are warnings.
    pub(super) fn overlay(&mut self, text: &str, findings: &mut Findings) {
        let fields = match serde_saphyr::from_str::<Value>(text) {
            Ok(Value::Object(fields)) => fields,
            Ok(Value::Null) => return,
            Ok(_) => return findings.errors.push("write a YAML object".to_owned()),
            Err(error) => return findings.errors.push(format!("this is no YAML: {error}")),
        };
        for (name, value) in &fields {
            // An unset field.
            if value.is_null() {
                continue;
            }
            if let Err(error) = self.field(name, value, findings) {
                findings.errors.push(format!("{name}: {error}"));
            }
        }
    }

    /// Puts the fields that a ProxyConfig gives over these.
    pub(super) fn take(&mut self, object: &ProxyConfigObject) {
        self.concurrency = object.concurrency.or(self.concurrency);
        for (key, value) in &object.environment {
            self.set_metadata(key, value.clone());
        }
    }

    fn field(&mut self, name: &str, value: &Value, findings: &mut Findings) -> Result<(), String> {
        let number = |value: &Value| {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| "write a whole number from 0".to_owned())
        };
        match name {
            "concurrency" => self.concurrency = Some(number(value)?),
            "terminationDrainDuration" => {
                self.drain = values::duration(value.as_str().unwrap_or_default())?;
            }
            "holdApplicationUntilProxyStarts" => {
                self.hold_application = value.as_bool().ok_or("write true or false")?;
            }
            "statusPort" => self.status_port = values::port(&number(value)?.to_string())?,
            "interceptionMode" => {
                self.interception = interception(value.as_str().unwrap_or_default())?;
            }
            "proxyMetadata" => self.add_metadata(value.as_object().ok_or("write an object")?)?,
            "gatewayTopology" => {
                let (topology, unknown) = gateway_topology(value)?;
                self.topology = Some(topology);
                let warnings = unknown.iter().map(|name| format!("{name} has no effect"));
                findings.warnings.extend(warnings);
            }
            "proxyHeaders" => {
                let unused = proxy_headers_without_effect(value)?;
                let warnings = unused.iter().map(|name| format!("{name} has no effect"));
                findings.warnings.extend(warnings);
            }
            "image" => {}
            _ if NO_EFFECT.contains(&name) => {
                findings.warnings.push(format!("{name} has no effect"));
            }
            _ => {
                let known = NO_EFFECT.iter().chain(&SUPPORTED).copied();
                let hint = nearest(name, known)
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                findings
                    .warnings
                    .push(format!("{name} is unknown and has no effect{hint}"));
            }
        }
        Ok(())
    }

    fn add_metadata(&mut self, metadata: &Map<String, Value>) -> Result<(), String> {
        for (key, value) in metadata {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                _ => return Err(format!("{key} is no text")),
            };
            self.set_metadata(key, value);
        }
        Ok(())
    }

    fn set_metadata(&mut self, key: &str, value: String) {
        match self.metadata.iter_mut().find(|(known, _)| known == key) {
            Some(known) => known.1 = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
    }

    /// A value of `proxyMetadata`.
    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        let found = self.metadata.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the sidecar takes connections by HBONE (Istio: `ISTIO_META_ENABLE_HBONE`).
    pub(super) fn hbone(&self) -> bool {
        self.metadata("ISTIO_META_ENABLE_HBONE") == Some("true")
    }
}

/// Reads `REDIRECT` or `NONE`.
pub(super) fn interception(text: &str) -> Result<InterceptionMode, String> {
    match text {
        "REDIRECT" => Ok(InterceptionMode::Redirect),
        "NONE" => Ok(InterceptionMode::None),
        "TPROXY" => Err(
            "TPROXY is not supported; use REDIRECT, which keeps the caller's address for policies and logs"
                .to_owned(),
        ),
        _ => Err("write REDIRECT or NONE".to_owned()),
    }
}
