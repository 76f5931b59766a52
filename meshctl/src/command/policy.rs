//! `meshctl policy`.

mod render;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use meshd_core::{Coverage, CoverageFilter, CoverageRow, CoverageVerdict};

use super::ca::escaped;
use crate::cli::{CoverageOutput, FailOn, PolicyArgs, PolicyCommand, PolicyCoverageArgs};
use crate::install::yaml;
use crate::output::{complain, count, json, say};
use crate::target::MeshTarget;

/// A large mesh takes a while to be looked at.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(args: &PolicyArgs) -> anyhow::Result<ExitCode> {
    let PolicyCommand::Coverage(args) = &args.command;
    let filter = CoverageFilter {
        namespace: args.mesh.cluster.namespace.clone(),
        workload: args.workload.clone(),
        from: args.from.clone(),
        unprotected: args.unprotected,
    };
    let coverage = if args.paths.is_empty() {
        live(args, &filter).await?
    } else {
        super::saved_world(&args.paths, args.mesh_file.as_deref())?.coverage(&filter)
    };
    match args.output {
        CoverageOutput::Text => say(render::table(&coverage)),
        CoverageOutput::Json => json(&coverage)?,
        CoverageOutput::Yaml => say(yaml::text(&serde_json::to_value(&coverage)?).trim_end()),
    }
    Ok(verdict(&args.fail_on, &coverage))
}

/// What the control plane runs.
async fn live(args: &PolicyCoverageArgs, filter: &CoverageFilter) -> anyhow::Result<Coverage> {
    let target = MeshTarget::resolve(&args.mesh.selection()).await?;
    let plane = target.control_plane().await?;
    let mut replicas = plane.replicas.into_iter();
    let replica = replicas.find(|replica| replica.down.is_none());
    let admin = replica.context("no control plane runs")?.admin;
    let wanted = [
        ("namespace", &filter.namespace),
        ("workload", &filter.workload),
        ("from", &filter.from),
    ];
    let mut path = format!("/v1/coverage?unprotected={}", filter.unprotected);
    for (name, value) in wanted {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    Ok(admin.get_within(&path, PATIENCE).await?)
}

/// Whether there is what must not be.
fn verdict(fail_on: &[FailOn], coverage: &Coverage) -> ExitCode {
    let is_bad = |row: &CoverageRow| {
        fail_on.iter().any(|what| match what {
            FailOn::Unprotected => row.is_unprotected(),
            FailOn::Unenforced => row.verdict == CoverageVerdict::Unenforced,
            FailOn::Plaintext => row.is_plaintext(),
        })
    };
    let bad = coverage.rows.iter().filter(|row| is_bad(row)).count();
    if bad == 0 {
        return ExitCode::SUCCESS;
    }
    let bad = count(u64::try_from(bad).unwrap_or(u64::MAX), "row");
    complain(format_args!("error: {bad} that must not be (--fail-on)"));
    ExitCode::FAILURE
}
