//! `meshctl config`.

use std::process::ExitCode;

use serde_json::Value;

use crate::call::Admin;
use crate::cli::{ConfigArgs, Output};
use crate::dump::Dump;
use crate::output::{json, say};
use crate::state::{MeshRecord, StateDir};

pub(super) async fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let state = StateDir::find(args.state.state.as_deref())?;
    let record = MeshRecord::of_running(&state)?;
    let workload = record.workload(&args.workload)?;
    let admin = Admin::new(format!("the proxy of {}", workload.name), &workload.admin);
    match args.output.output {
        Output::Json => json(&admin.get::<Value>("/config_dump").await?)?,
        Output::Text => {
            let dump: Dump = admin.get("/config_dump").await?;
            say(format_args!("{} runs {dump}", workload.name));
        }
    }
    Ok(ExitCode::SUCCESS)
}
