//! What the annotations of a pod ask for.

use serde_json::{Map, Value, json};

use super::apply::InjectContext;
use super::decide::{annotation, label};
use super::proxy_config::{Findings, ProxyConfig, interception};
use super::settings::{InjectSettings, InterceptionMode, NativeSidecars};
use super::values;

const NATIVE: &str = "sidecar.istio.io/nativeSidecar";
const WORKLOAD_API: &str = "mesh.dev/workload-api";
/// Annotations of Istio that are about Envoy or about parts that are not there.
const NO_EFFECT: [&str; 11] = [
    "istio.io/reroute-virtual-interfaces",
    "prometheus.istio.io/scrape-targets",
    "sidecar.istio.io/agentLogLevel",
    "sidecar.istio.io/bootstrapOverride",
    "sidecar.istio.io/componentLogLevel",
    "sidecar.istio.io/enableCoreDump",
    "sidecar.istio.io/extraStatTags",
    "sidecar.istio.io/statsInclusionPrefixes",
    "sidecar.istio.io/statsInclusionRegexps",
    "sidecar.istio.io/statsInclusionSuffixes",
    "traffic.sidecar.istio.io/kubevirtInterfaces",
];

/// How one pod is injected: the installation's settings with its annotations over them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Options {
    pub(super) config: ProxyConfig,
    pub(super) native: bool,
    pub(super) dns_capture: bool,
    /// Options of `mesh-proxy capture` that are not at their defaults.
    pub(super) capture: Vec<(&'static str, String)>,
    pub(super) proxy_image: String,
    pub(super) log_level: String,
    /// Set if the pod says anything about resources: then it says everything.
    pub(super) resources: Option<Map<String, Value>>,
    /// Seconds before the first probe, seconds between probes, failures.
    pub(super) readiness: [u32; 3],
    pub(super) rewrite_probes: bool,
    pub(super) merge_metrics: bool,
    /// Applications get the workload's identity for themselves.
    pub(super) workload_api: bool,
    pub(super) volumes: Vec<Value>,
    pub(super) mounts: Vec<Value>,
    pub(super) warnings: Vec<String>,
}

/// Reads annotations and keeps what is wrong with them.
struct Reader<'a> {
    pod: &'a Value,
    errors: Vec<String>,
    warnings: Vec<String>,
}

// === impl Options ===

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// Everything that is wrong with the annotations.
    pub(super) fn read(
        pod: &Value,
        settings: &InjectSettings,
        context: &InjectContext<'_>,
    ) -> Result<Self, Vec<String>> {
        let mut reader = Reader {
            pod,
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        let config = match ProxyConfig::defaults(settings) {
            Ok(config) => config,
            Err(error) => return Err(vec![error]),
        };
        let config = reader.config(config, context);
        let readiness = reader.readiness(settings);
        let log_level = reader
            .parsed("sidecar.istio.io/logLevel", values::log_level)
            .map_or_else(|| settings.log_level.clone(), str::to_owned);
        let redirects = config.interception == InterceptionMode::Redirect;
        let options = Self {
            native: reader.native(settings, context),
            dns_capture: redirects
                && config
                    .metadata("ISTIO_META_DNS_CAPTURE")
                    .and_then(|text| values::boolean(text).ok())
                    .unwrap_or(settings.dns_capture),
            capture: reader.capture(settings, config.status_port),
            proxy_image: reader.proxy_image(settings),
            log_level,
            resources: reader.resources(),
            readiness,
            rewrite_probes: config.status_port != 0
                && reader.flag(
                    "sidecar.istio.io/rewriteAppHTTPProbers",
                    settings.rewrite_app_http_probers,
                ),
            merge_metrics: config.status_port != 0
                && reader.flag(
                    "prometheus.istio.io/merge-metrics",
                    settings.enable_prometheus_merge,
                ),
            workload_api: reader.flag(WORKLOAD_API, false),
            volumes: reader.named("sidecar.istio.io/userVolume"),
            mounts: reader.named("sidecar.istio.io/userVolumeMount"),
            config,
            warnings: reader.finish()?,
        };
        Ok(options)
    }
}

/// Whether the installation's values can be used: they are read as annotations are.
pub(super) fn check_defaults(settings: &InjectSettings) -> Result<(), Vec<String>> {
    let pod = json!({});
    Options::read(&pod, settings, &InjectContext::default()).map(drop)?;
    values::log_level(&settings.log_level).map_err(|error| vec![format!("logLevel: {error}")])?;
    if !matches!(settings.access_log_format.as_str(), "text" | "json") {
        return Err(vec!["accessLogFormat: write text or json".to_owned()]);
    }
    Ok(())
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        annotation(self.pod, name)
    }

    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                let error = format!("annotation {name}: `{text}`: {error}");
                self.errors.push(error);
                None
            }
        }
    }

    fn flag(&mut self, name: &str, default: bool) -> bool {
        self.parsed(name, values::boolean).unwrap_or(default)
    }

    /// The mesh, the namespace, the annotation, then the ProxyConfig that selects the pod (Istio:
    /// EffectiveProxyConfig).
    fn config(&mut self, mut config: ProxyConfig, context: &InjectContext<'_>) -> ProxyConfig {
        const NAME: &str = "proxy.istio.io/config";
        let levels = context
            .proxy_configs
            .of_pod(context.namespace, |name| label(self.pod, name));
        for object in [levels.mesh, levels.namespace].into_iter().flatten() {
            config.take(object);
        }
        if let Some(text) = self.text(NAME) {
            let mut findings = Findings::default();
            config.overlay(text, &mut findings);
            let place = |text: String| format!("annotation {NAME}: {text}");
            self.errors.extend(findings.errors.into_iter().map(place));
            self.warnings
                .extend(findings.warnings.into_iter().map(place));
        }
        if let Some(object) = levels.workload {
            config.take(object);
        }
        if let Some(mode) = self.parsed("sidecar.istio.io/interceptionMode", interception) {
            config.interception = mode;
        }
        if let Some(port) = self.parsed("status.sidecar.istio.io/port", values::port) {
            config.status_port = port;
        }
        config
    }

    fn readiness(&mut self, settings: &InjectSettings) -> [u32; 3] {
        let probe = &settings.readiness_probe;
        [
            ("initialDelaySeconds", probe.initial_delay_seconds),
            ("periodSeconds", probe.period_seconds),
            ("failureThreshold", probe.failure_threshold),
        ]
        .map(|(name, default)| {
            let name = format!("readiness.status.sidecar.istio.io/{name}");
            self.parsed(&name, values::number).unwrap_or(default)
        })
    }

    /// The pod, then its namespace, then the installation.
    fn native(&mut self, settings: &InjectSettings, context: &InjectContext<'_>) -> bool {
        if let Some(native) = self.parsed(NATIVE, values::boolean) {
            return native;
        }
        let of_namespace = context.namespace_labels.get(NATIVE);
        if let Some(Ok(native)) = of_namespace.map(|text| values::boolean(text)) {
            return native;
        }
        match settings.native_sidecars {
            NativeSidecars::Auto => context.native_sidecars,
            NativeSidecars::Enabled => true,
            NativeSidecars::Disabled => false,
        }
    }

    fn capture(
        &mut self,
        settings: &InjectSettings,
        status_port: u16,
    ) -> Vec<(&'static str, String)> {
        type Check = fn(&str) -> Result<(), String>;
        let all: [(&str, &'static str, &str, Check); 7] = [
            (
                "includeOutboundIPRanges",
                "include-outbound-ip-ranges",
                &settings.include_outbound_ip_ranges,
                values::any_ranges,
            ),
            (
                "excludeOutboundIPRanges",
                "exclude-outbound-ip-ranges",
                &settings.exclude_outbound_ip_ranges,
                values::ranges,
            ),
            (
                "includeOutboundPorts",
                "include-outbound-ports",
                &settings.include_outbound_ports,
                values::ports,
            ),
            (
                "excludeOutboundPorts",
                "exclude-outbound-ports",
                &settings.exclude_outbound_ports,
                values::ports,
            ),
            (
                "includeInboundPorts",
                "include-inbound-ports",
                &settings.include_inbound_ports,
                values::any_ports,
            ),
            (
                "excludeInboundPorts",
                "exclude-inbound-ports",
                &settings.exclude_inbound_ports,
                values::ports,
            ),
            (
                "excludeInterfaces",
                "exclude-interfaces",
                &settings.exclude_interfaces,
                values::interfaces,
            ),
        ];
        let mut options = Vec::new();
        for (annotation, option, default, check) in all {
            let name = format!("traffic.sidecar.istio.io/{annotation}");
            self.parsed(&name, check);
            if let Err(error) = check(default) {
                self.errors.push(format!("{annotation}: {error}"));
            }
            let mut value = self.text(&name).unwrap_or(default).trim().to_owned();
            // The proxy's own ports are never captured; another status port is not among them.
            if option == "exclude-inbound-ports" && !matches!(status_port, 0 | 15020) {
                let separator = if value.is_empty() { "" } else { "," };
                value = format!("{value}{separator}{status_port}");
            }
            let at_default =
                if option.starts_with("include-outbound-ip") || option == "include-inbound-ports" {
                    "*"
                } else {
                    ""
                };
            if value != at_default {
                options.push((option, value));
            }
        }
        options
    }

    fn proxy_image(&mut self, settings: &InjectSettings) -> String {
        const NAME: &str = "sidecar.istio.io/proxyImage";
        let asked = self.text(NAME).filter(|image| !image.is_empty());
        let is_istio = |image: &str| {
            image
                .rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with("proxyv2"))
        };
        match asked {
            Some(image) if is_istio(image) => {
                let warning =
                    format!("annotation {NAME}: `{image}` is Istio's proxy; this mesh's is used");
                self.warnings.push(warning);
                settings.image(&settings.proxy_image)
            }
            Some(image) => settings.image(image),
            None => settings.image(&settings.proxy_image),
        }
    }

    fn resources(&mut self) -> Option<Map<String, Value>> {
        let mut resources = Map::new();
        for (kind, cpu, memory) in [
            ("requests", "proxyCPU", "proxyMemory"),
            ("limits", "proxyCPULimit", "proxyMemoryLimit"),
        ] {
            let mut amounts = Map::new();
            for (resource, name) in [("cpu", cpu), ("memory", memory)] {
                let name = format!("sidecar.istio.io/{name}");
                if let Some(text) = self.parsed(&name, |text| {
                    values::quantity(text).map(|()| text.to_owned())
                }) {
                    amounts.insert(resource.to_owned(), text.into());
                }
            }
            if !amounts.is_empty() {
                resources.insert(kind.to_owned(), amounts.into());
            }
        }
        (!resources.is_empty()).then_some(resources)
    }

    /// `{"name": {…}, …}` as a list of objects with their names.
    fn named(&mut self, name: &str) -> Vec<Value> {
        let parse = |text: &str| -> Result<Vec<Value>, String> {
            let wrong = "write JSON of the form {\"name\": {…}}";
            let all: Map<String, Value> =
                serde_json::from_str(text).map_err(|error| format!("{wrong}: {error}"))?;
            let one = |(name, value): (String, Value)| match value {
                Value::Object(fields) => {
                    let mut object = Map::new();
                    object.insert("name".to_owned(), name.into());
                    object.extend(fields);
                    Ok(Value::Object(object))
                }
                _ => Err(wrong.to_owned()),
            };
            all.into_iter().map(one).collect()
        };
        self.parsed(name, parse).unwrap_or_default()
    }

    fn finish(mut self) -> Result<Vec<String>, Vec<String>> {
        for name in NO_EFFECT {
            if self.text(name).is_some() {
                self.warnings
                    .push(format!("annotation {name} has no effect"));
            }
        }
        if self.errors.is_empty() {
            Ok(self.warnings)
        } else {
            Err(self.errors)
        }
    }
}
