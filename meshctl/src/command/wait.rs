//! `meshctl wait`.

use std::process::ExitCode;

use anyhow::Context as _;
use mesh_api::v1::ControlPlaneStatus;

use crate::call::Admin;
use crate::cli::{Output, WaitArgs};
use crate::output::{count, json, say};
use crate::target::{Laptop, MeshTarget, settle};

pub(super) async fn run(args: &WaitArgs) -> anyhow::Result<ExitCode> {
    let (status, replicas) = match MeshTarget::resolve(&args.mesh.selection()).await? {
        MeshTarget::Laptop(laptop) => (on_laptop(args, &laptop).await?, 1),
        MeshTarget::Cluster(_) if args.revision.is_some() => anyhow::bail!(
            "--revision is for a mesh on this machine: in a cluster each replica of the control plane counts its own revisions, so leave it out"
        ),
        MeshTarget::Cluster(cluster) => {
            let overview = settle(&cluster, args.timeout).await?;
            let status = overview.status.context("no control plane answers")?;
            (status, overview.answering)
        }
    };
    match (args.output.output, replicas) {
        (Output::Json, _) => json(&status)?,
        (Output::Text, 0 | 1) => say(format_args!(
            "revision {} runs on {} of {} proxies",
            status.revision, status.current, status.connected
        )),
        (Output::Text, _) => say(format_args!(
            "content {} runs on {} of {} proxies of {}",
            status.digest.get(..12).unwrap_or(&status.digest),
            status.current,
            status.connected,
            count(u64::try_from(replicas)?, "replica")
        )),
    }
    Ok(ExitCode::SUCCESS)
}

async fn on_laptop(args: &WaitArgs, laptop: &Laptop) -> anyhow::Result<ControlPlaneStatus> {
    let admin = Admin::new("the control plane", &laptop.record.control_plane_admin);
    // The control plane counts whole seconds; the shorter limit is kept here. Without a
    // revision it looks at the files first, so that a change just made is waited for.
    let mut path = format!("/v1/wait?timeout={}", args.timeout.as_secs() + 1);
    if let Some(revision) = args.revision {
        path.push_str(&format!("&revision={revision}"));
    }
    admin.get_within(&path, args.timeout).await.context(
        "not every proxy is up to date yet: `meshctl status` shows which, and what it refuses",
    )
}
