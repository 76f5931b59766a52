//! `meshctl dashboard`.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::signals::StopSignals;
use crate::call::{Via, relay};
use crate::cli::{DashboardArgs, Page};
use crate::cluster::Cluster;
use crate::output::say;
use crate::target::MeshTarget;

/// Services of an add-on, the likely first, and the port of its page.
struct AddOn {
    name: &'static str,
    services: &'static [&'static str],
    ports: &'static [i32],
}

const PROMETHEUS: AddOn = AddOn {
    name: "Prometheus",
    services: &["prometheus", "prometheus-server", "prometheus-operated"],
    ports: &[9090, 80],
};
const GRAFANA: AddOn = AddOn {
    name: "Grafana",
    services: &["grafana"],
    ports: &[3000, 80],
};
const JAEGER: AddOn = AddOn {
    name: "Jaeger",
    services: &["tracing", "jaeger-query", "jaeger"],
    ports: &[16686, 80],
};

pub(super) async fn run(args: &DashboardArgs) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::new()?;
    let target = MeshTarget::resolve(&args.mesh.selection()).await?;
    let (name, via) = page(&target, args).await?;
    let port = args.port.unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("cannot listen on port {port}: give another with --port"))?;
    say(format_args!(
        "{name} at http://{} until Ctrl-C",
        listener.local_addr()?
    ));
    tokio::select! {
        failed = relay(listener, via) => failed?,
        () = signals.next() => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn page(target: &MeshTarget, args: &DashboardArgs) -> anyhow::Result<(String, Via)> {
    let add_on = match args.page {
        Page::Meshd => {
            let control_plane = target.control_plane().await?;
            let mut replicas = control_plane.replicas.into_iter();
            let up = replicas
                .find(|replica| replica.down.is_none())
                .context("no replica of the control plane runs: `meshctl status` shows why")?;
            return Ok((up.name, up.admin.via().clone()));
        }
        Page::Proxy => {
            let workload = args
                .workload
                .as_deref()
                .context("which workload's proxy?")?;
            let proxy = target.proxy(workload).await?;
            let name = format!("the proxy of {}", proxy.name);
            return Ok((name, proxy.admin.via().clone()));
        }
        Page::Prometheus => PROMETHEUS,
        Page::Grafana => GRAFANA,
        Page::Jaeger => JAEGER,
    };
    let MeshTarget::Cluster(cluster) = target else {
        anyhow::bail!(
            "{} comes with a mesh in a cluster; this one runs on this machine: name a cluster with --context NAME",
            add_on.name
        );
    };
    Ok((add_on.name.to_owned(), add_on.find(cluster).await?))
}

// === impl AddOn ===

impl AddOn {
    async fn find(&self, cluster: &Cluster) -> anyhow::Result<Via> {
        let namespace = cluster.mesh_namespace();
        for name in self.services {
            if let Some(service) = cluster.service(namespace, name).await?
                && let Some(port) = cluster.behind(&service, self.ports).await?
            {
                return Ok(Via::Pod(Box::new(port)));
            }
        }
        anyhow::bail!(
            "no {} in namespace {namespace} of context `{}`: none of the Services {} has a pod that is ready; is it installed?",
            self.name,
            cluster.context(),
            self.services.join(", ")
        )
    }
}
