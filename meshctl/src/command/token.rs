//! `meshctl token`.

use std::process::ExitCode;

use mesh_ca::{JoinClaims, JoinTokens};

use crate::cli::TokenArgs;
use crate::clock;
use crate::output::say;
use crate::state::{MeshRecord, StateDir};

pub(super) fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    let state = StateDir::find(args.state.state.as_deref())?;
    let record = MeshRecord::of_running(&state)?;
    let workload = record.workload(&args.workload)?;
    let token = JoinTokens::open(&state.ca())?.mint(&JoinClaims {
        workload: workload.workload_name()?,
        service_account: workload.service_account.clone(),
        expires: clock::now() + args.ttl,
        single_use: !args.reusable,
        labels: workload.labels.clone(),
    })?;
    say(format_args!("{token}"));
    Ok(ExitCode::SUCCESS)
}
