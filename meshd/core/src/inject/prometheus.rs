//! Metrics of the application beside those of its proxy, in one answer.

use serde_json::{Map, Value, json};

/// Ports of the proxy, which are no application's.
const RESERVED: [u16; 8] = [15000, 15001, 15006, 15008, 15020, 15021, 15053, 15090];
/// What Prometheus' usual configuration reads.
const KNOWN: [&str; 4] = [
    "prometheus_io_scrape",
    "prometheus_io_port",
    "prometheus_io_path",
    "prometheus_io_scheme",
];

/// Points the annotations `prometheus.io/*` to the status port, and gives what they said: where
/// the proxy finds the application's metrics. Nothing if scraping is switched off.
///
/// # Errors
/// If they name a port that cannot be scraped.
pub(super) fn merge(pod: &mut Value, status_port: u16) -> Result<Option<Value>, String> {
    let annotations = pod
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    let said = Said::read(annotations);
    let status = status_port.to_string();
    // Somebody has pointed it to the proxy already.
    if !said.scrape() || said.get("prometheus_io_port") == Some(&status) {
        return Ok(None);
    }
    let target = said.target(status_port)?;
    let mut changed: Map<String, Value> = said
        .spelled
        .iter()
        .map(|name| (name.clone(), Value::Null))
        .collect();
    for (name, value) in [
        ("prometheus.io/scrape", "true"),
        ("prometheus.io/port", status.as_str()),
        ("prometheus.io/path", "/stats/prometheus"),
    ] {
        changed.insert(name.to_owned(), value.into());
    }
    super::merge::merge(pod, json!({"metadata": {"annotations": changed}}));
    Ok(target)
}

/// What the annotations say, in whichever of the spellings that Prometheus takes for the same.
#[derive(Default)]
struct Said {
    values: Vec<(&'static str, String)>,
    spelled: Vec<String>,
}

// === impl Said ===

impl Said {
    fn read(annotations: Option<&Map<String, Value>>) -> Self {
        let mut said = Self::default();
        for (name, value) in annotations.into_iter().flatten() {
            let plain: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect();
            if let Some(known) = KNOWN.iter().find(|known| **known == plain) {
                let value = value.as_str().unwrap_or_default().to_owned();
                said.values.push((known, value));
                said.spelled.push(name.clone());
            }
        }
        said
    }

    fn get(&self, name: &str) -> Option<&String> {
        let found = self.values.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value)
    }

    /// Scraping is on unless it is switched off.
    fn scrape(&self) -> bool {
        self.get("prometheus_io_scrape")
            .and_then(|text| super::values::boolean(text).ok())
            .unwrap_or(true)
    }

    /// Where the application's metrics are, with Prometheus' defaults.
    fn target(&self, status_port: u16) -> Result<Option<Value>, String> {
        if self.values.is_empty() {
            return Ok(None);
        }
        let given = |name: &str, default: &str| match self.get(name) {
            Some(value) if !value.is_empty() => value.clone(),
            _ => default.to_owned(),
        };
        let text = given("prometheus_io_port", "80");
        let port: u16 = text
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| format!("annotation prometheus.io/port: `{text}` is no port"))?;
        if RESERVED.contains(&port) || port == status_port {
            return Err(format!(
                "annotation prometheus.io/port: {port} is a port of the proxy; its metrics are served anyway"
            ));
        }
        let path = given("prometheus_io_path", "/metrics");
        if !super::values::is_path(&path) {
            return Err(format!(
                "annotation prometheus.io/path: `{path}` is no path"
            ));
        }
        let scheme = given("prometheus_io_scheme", "http");
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(format!(
                "annotation prometheus.io/scheme: `{scheme}` is neither http nor https"
            ));
        }
        Ok(Some(json!({"port": port, "path": path, "scheme": scheme})))
    }
}
