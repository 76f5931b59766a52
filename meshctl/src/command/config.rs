//! `meshctl config`.

use std::process::ExitCode;

use serde_json::Value;

use crate::cli::{ConfigArgs, Output};
use crate::dump::Dump;
use crate::output::{json, say};
use crate::target::MeshTarget;

pub(super) async fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let target = MeshTarget::resolve(&args.mesh.selection()).await?;
    let proxy = target.proxy(&args.workload).await?;
    match args.output.output {
        Output::Json => json(&proxy.admin.get::<Value>("/config_dump").await?)?,
        Output::Text => {
            let dump: Dump = proxy.admin.get("/config_dump").await?;
            say(format_args!("{} runs {dump}", proxy.name));
        }
    }
    Ok(ExitCode::SUCCESS)
}
