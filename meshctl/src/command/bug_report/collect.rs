//! What goes into the report, and from where.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{ListParams, LogParams};
use serde_json::Value;

use super::super::status;
use super::archive::Archive;
use super::redact;
use crate::call::Admin;
use crate::cluster::{Cluster, PROXY_CONTAINER, PodInfo};
use crate::target::{ControlPlane, Laptop, MeshTarget, Proxy};

/// Workloads that are looked at closely unless the user names some.
const CHOSEN: usize = 6;
/// Of each log, the last lines.
const LOG_LINES: i64 = 2000;
/// Of each log, bytes at most.
const LOG_BYTES: usize = 1024 * 1024;
/// Events of a namespace.
const EVENTS: u32 = 500;

/// Fills the archive, and remembers what could not be had.
pub(super) struct Collector {
    archive: Archive,
    notes: Vec<String>,
}

// === impl Collector ===

impl Collector {
    pub(super) fn new(archive: Archive) -> Self {
        Self {
            archive,
            notes: Vec::new(),
        }
    }

    /// Remembers that something is missing.
    pub(super) fn note(&mut self, what: String) {
        self.notes.push(what);
    }

    /// The archive, its number of files, and what is missing.
    pub(super) fn finish(mut self) -> std::io::Result<(Vec<u8>, usize, Vec<String>)> {
        if !self.notes.is_empty() {
            let notes = self.notes.join("\n");
            self.archive.add("missing.txt", &notes);
        }
        let entries = self.archive.entries();
        Ok((self.archive.finish()?, entries, self.notes))
    }

    /// Collects, the most important first: the time may be over at any point.
    pub(super) async fn collect(&mut self, target: &MeshTarget, workloads: &[String]) {
        self.versions(target).await;
        let mut worst = Vec::new();
        match status::report(target).await {
            Ok(report) => {
                self.text("status.txt", &report.text());
                self.value("status.json", serde_json::to_value(&report).ok());
                worst = report.worst_first();
            }
            Err(error) => self.note(format!("status: {error:#}")),
        }
        match target.control_plane().await {
            Ok(control_plane) => self.control_plane(&control_plane).await,
            Err(error) => self.note(format!("control plane: {error}")),
        }
        match target {
            MeshTarget::Laptop(laptop) => self.laptop(laptop),
            MeshTarget::Cluster(cluster) => self.cluster(cluster).await,
        }
        let chosen = if workloads.is_empty() {
            worst.truncate(CHOSEN);
            worst
        } else {
            workloads.to_vec()
        };
        for name in chosen {
            match target.proxy(&name).await {
                Ok(proxy) => self.proxy(target, &proxy).await,
                Err(error) => self.note(format!("{name}: {error}")),
            }
        }
    }

    async fn versions(&mut self, target: &MeshTarget) {
        let mut text = format!("meshctl {}\n{}\n", env!("CARGO_PKG_VERSION"), target.name());
        if let MeshTarget::Cluster(cluster) = target {
            match cluster.server_version().await {
                Ok(version) => text.push_str(&format!("Kubernetes {version}\n")),
                Err(error) => self.note(format!("version of the API server: {error}")),
            }
        }
        self.text("versions.txt", &text);
    }

    async fn control_plane(&mut self, control_plane: &ControlPlane) {
        for replica in &control_plane.replicas {
            let dir = format!("control-plane/{}", replica.name.replace(' ', "-"));
            if let Some(down) = &replica.down {
                self.note(format!("{}: {down}", replica.name));
                continue;
            }
            for (path, name) in [
                ("/v1/status", "status.json"),
                ("/v1/proxies", "proxies.json"),
                ("/v1/problems", "problems.json"),
                ("/debug/world", "world.json"),
            ] {
                self.ask(&replica.admin, path, &format!("{dir}/{name}"))
                    .await;
            }
            match replica.admin.text("/metrics").await {
                Ok(metrics) => self.text(&format!("{dir}/metrics.txt"), &metrics),
                Err(error) => self.note(error.to_string()),
            }
        }
    }

    async fn proxy(&mut self, target: &MeshTarget, proxy: &Proxy) {
        let dir = format!("proxies/{}", proxy.name);
        for (path, name) in [
            ("/v1/status", "status.json"),
            ("/config_dump", "config.json"),
            ("/v1/edges", "edges.json"),
            ("/certs", "certificates.json"),
        ] {
            self.ask(&proxy.admin, path, &format!("{dir}/{name}")).await;
        }
        match proxy.admin.text("/metrics").await {
            Ok(metrics) => self.text(&format!("{dir}/metrics.txt"), &metrics),
            Err(error) => self.note(error.to_string()),
        }
        if let MeshTarget::Cluster(cluster) = target {
            match cluster.find_pod(&proxy.name).await {
                Ok(pod) => {
                    self.log(cluster, &pod, PROXY_CONTAINER, &format!("{dir}/log.txt"))
                        .await;
                }
                Err(error) => self.note(error.to_string()),
            }
        }
    }

    /// Of a mesh on this machine: its record and the logs of its processes.
    fn laptop(&mut self, laptop: &Laptop) {
        self.value("mesh.json", serde_json::to_value(&laptop.record).ok());
        let Ok(entries) = fs::read_dir(laptop.state.logs()) else {
            self.note(format!("{}: no logs", laptop.state.logs().display()));
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            match tail(&entry.path()) {
                Ok(log) => self.text(&format!("logs/{name}"), &log),
                Err(error) => self.note(format!("{}: {error}", entry.path().display())),
            }
        }
    }

    /// Of a cluster: pods, logs and events of the control plane's namespace, and events of the
    /// one that the user works in.
    async fn cluster(&mut self, cluster: &Cluster) {
        let namespace = cluster.mesh_namespace();
        match cluster.list_pods(Some(namespace), "").await {
            Ok(pods) => {
                self.value("pods.json", serde_json::to_value(&pods).ok());
                for pod in pods.iter().filter(|pod| pod.name.starts_with("meshd")) {
                    let name = format!("control-plane/{}/log.txt", pod.name);
                    self.log(cluster, pod, &pod.container, &name).await;
                }
            }
            Err(error) => self.note(error.to_string()),
        }
        let mut namespaces = vec![namespace];
        if cluster.namespace() != namespace {
            namespaces.push(cluster.namespace());
        }
        for namespace in namespaces {
            let api: Api<Event> = Api::namespaced(cluster.client().clone(), namespace);
            let events = api
                .list(&ListParams::default().limit(EVENTS))
                .await
                .map_err(cluster.failed("list", "events", Some(namespace)));
            match events {
                Ok(events) => {
                    let lines = events.items.iter().map(event).collect::<String>();
                    self.text(&format!("events/{namespace}.txt"), &lines);
                }
                Err(error) => self.note(error.to_string()),
            }
        }
    }

    async fn log(&mut self, cluster: &Cluster, pod: &PodInfo, container: &str, name: &str) {
        let parameters = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(LOG_LINES),
            limit_bytes: i64::try_from(LOG_BYTES).ok(),
            timestamps: true,
            ..LogParams::default()
        };
        let log = cluster
            .pods(&pod.namespace)
            .logs(&pod.name, &parameters)
            .await
            .map_err(cluster.failed("get", "pods/log", Some(&pod.namespace)));
        match log {
            Ok(log) => self.text(name, &log),
            Err(error) => self.note(format!("{}: {error}", pod.uid())),
        }
    }

    async fn ask(&mut self, admin: &Admin, path: &str, name: &str) {
        match admin.get::<Value>(path).await {
            Ok(value) => self.value(name, Some(value)),
            Err(error) => self.note(error.to_string()),
        }
    }

    fn value(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => self.put(name, &redact::json(value)),
            None => self.note(name.to_owned()),
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.put(name, &redact::text(text));
    }

    fn put(&mut self, name: &str, content: &str) {
        if !self.archive.add(name, content) {
            self.note(format!("{name}: the archive is large enough"));
        }
    }
}

fn event(event: &Event) -> String {
    let object = &event.involved_object;
    let time = event
        .last_timestamp
        .as_ref()
        .map(|time| time.0.to_string())
        .or_else(|| event.event_time.as_ref().map(|time| time.0.to_string()))
        .unwrap_or_default();
    format!(
        "{time} {} {} {}/{}: {}\n",
        event.type_.as_deref().unwrap_or_default(),
        event.reason.as_deref().unwrap_or_default(),
        object.kind.as_deref().unwrap_or_default(),
        object.name.as_deref().unwrap_or_default(),
        event.message.as_deref().unwrap_or_default()
    )
}

/// The end of a file.
fn tail(path: &Path) -> std::io::Result<String> {
    let bytes = fs::read(path)?;
    let from = bytes.len().saturating_sub(LOG_BYTES);
    Ok(String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned())
}
