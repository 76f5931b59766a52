//! The Bookinfo sample in a place.

use std::net::SocketAddr;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use crate::load::Load;
use crate::place::{Place, setting};

/// Pages that take every service to make.
pub(crate) const PAGES: [&str; 3] = [
    "/productpage",
    "/api/v1/products/0/reviews",
    "/api/v1/products/0/ratings",
];

/// The sample's manifests, or others with its workloads: Istio's own.
fn manifests() -> String {
    setting(
        "MESH_TEST_BOOKINFO",
        "samples/bookinfo/platform/kube/bookinfo.yaml",
    )
}

// === impl Place ===

impl Place {
    /// Its Services and Deployments, as published; ready when this returns.
    pub(crate) async fn bookinfo(&self) -> anyhow::Result<()> {
        self.apply_file(&manifests(), |_| {}).await?;
        self.deployments_ready().await
    }

    /// It with two pods of everything, behind the gateway for a host of its own.
    pub(crate) async fn bookinfo_of_two(&self) -> anyhow::Result<(SocketAddr, String)> {
        let two = |object: &mut Value| {
            if object.get("kind").and_then(Value::as_str) == Some("Deployment")
                && let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
            {
                spec.insert("replicas".to_owned(), json!(2));
            }
        };
        self.apply_file(&manifests(), two).await?;
        let host = format!("{}.example", self.namespace);
        self.apply_file("samples/bookinfo/config/base", |object| {
            only_for(object, &host);
        })
        .await?;
        self.deployments_ready().await?;
        self.settle().await?;
        let gateway = self.gateway().await?;
        self.serves(gateway, &host).await?;
        Ok((gateway, host))
    }

    async fn serves(&self, gateway: SocketAddr, host: &str) -> anyhow::Result<()> {
        self.poll(&format!("the page for {host} at {gateway}"), async || {
            let mut load = Load::start(gateway, host, &PAGES);
            load.more(6).await?;
            let report = load.stop(std::time::Instant::now()).await?;
            Ok(report.failures.is_empty().then_some(()))
        })
        .await
    }

    /// All Deployments of the sample.
    pub(crate) async fn deployments(
        &self,
        api: &kube::Api<Deployment>,
    ) -> anyhow::Result<Vec<String>> {
        let all = api.list(&kube::api::ListParams::default()).await?;
        Ok(all.items.iter().map(kube::ResourceExt::name_any).collect())
    }
}

/// Gateways are shared, so each test has its own host.
pub(crate) fn only_for(object: &mut Value, host: &str) {
    if let Some(hosts) = object.pointer_mut("/spec/servers/0/hosts") {
        *hosts = json!([host]);
    }
    if let Some(hosts) = object.pointer_mut("/spec/hosts")
        && *hosts == json!(["*"])
    {
        *hosts = json!([host]);
    }
}
