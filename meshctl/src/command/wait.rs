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
    // The control plane counts whole seconds; the shorter limit is kept here. Without a
    // revision it looks at the files first, so that a change just made is waited for.
    let mut path = format!("/v1/wait?timeout={}", args.timeout.as_secs() + 1);
    if let Some(revision) = args.revision {
        path.push_str(&format!("&revision={revision}"));
    }
    let status: ControlPlaneStatus = admin.get_within(&path, args.timeout).await.context(
        "not every proxy is up to date yet: `meshctl status` shows which, and what it refuses",
    )?;
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
