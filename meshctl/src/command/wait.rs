//! `meshctl wait`.

use std::process::ExitCode;

use anyhow::Context as _;
use mesh_api::v1::ControlPlaneStatus;

use crate::call::Admin;
use crate::cli::{Output, WaitArgs};
use crate::output::{json, say};
use crate::state::{MeshRecord, StateDir};

pub(super) async fn run(args: &WaitArgs) -> anyhow::Result<ExitCode> {
    let state = StateDir::find(args.state.state.as_deref())?;
    let record = MeshRecord::of_running(&state)?;
    let admin = Admin::new("the control plane", &record.control_plane_admin);
    let revision = match args.revision {
        Some(revision) => revision,
        None => {
            admin
                .get::<ControlPlaneStatus>("/v1/status")
                .await?
                .revision
        }
    };
    // The control plane counts whole seconds; the shorter limit is kept here.
    let path = format!(
        "/v1/wait?revision={revision}&timeout={}",
        args.timeout.as_secs() + 1
    );
    let status: ControlPlaneStatus = admin.get_within(&path, args.timeout).await.with_context(|| {
        format!("not every proxy runs revision {revision} yet: `meshctl status` shows which, and what it refuses")
    })?;
    match args.output.output {
        Output::Json => json(&status)?,
        Output::Text => {
            say(format_args!(
                "revision {} runs on {} of {} proxies",
                status.revision, status.current, status.connected
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
