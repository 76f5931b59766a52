//! `meshctl analyze`.

use std::process::ExitCode;

use mesh_api::v1::{Problem, Severity};
use meshd_core::{MeshSettings, ProblemLine};
use serde::Serialize;

use crate::cli::{AnalyzeArgs, Output};
use crate::cluster::Cluster;
use crate::live::{DEFAULT_NAMESPACE, LiveObjects, names_no_namespace, new_problems};
use crate::mesh_file::MeshFile;
use crate::offline;
use crate::output::{complain, count, json, say};
use crate::target::{MeshTarget, Overview, TargetError};

/// Exit code of a command line that makes no sense, as clap has it.
const WRONG_USAGE: u8 = 2;

/// One finding in the form of `-o json`.
#[derive(Serialize)]
struct Finding<'a> {
    severity: &'static str,
    file: &'a str,
    line: u32,
    column: u32,
    object: String,
    message: &'a str,
    code: &'a str,
}

/// What was looked at, and what was found.
struct Looked {
    /// `3 files`, or the mesh.
    at: String,
    problems: Vec<Problem>,
}

pub(super) async fn run(args: &AnalyzeArgs) -> anyhow::Result<ExitCode> {
    let selection = args.mesh.selection();
    let looked = match (args.paths.is_empty(), selection.names_cluster()) {
        (true, _) => match MeshTarget::resolve(&selection).await {
            Ok(target) => live(args, &target).await?,
            Err(error @ TargetError::Nowhere { .. }) => {
                complain(format_args!(
                    "error: nothing to analyze: give files or directories, or a mesh to ask: {error}"
                ));
                return Ok(WRONG_USAGE.into());
            }
            Err(error) => return Err(error.into()),
        },
        (false, false) => files(args)?,
        (false, true) => among(args, &Cluster::connect(&selection.cluster).await?).await?,
    };
    match args.output.output {
        Output::Json => json(&looked.problems.iter().map(finding).collect::<Vec<_>>())?,
        Output::Text => looked
            .problems
            .iter()
            .for_each(|problem| say(ProblemLine(problem))),
    }
    let number = |severity: Severity| {
        let all = looked.problems.iter();
        u64::try_from(all.filter(|problem| problem.severity() == severity).count())
            .unwrap_or(u64::MAX)
    };
    let errors = number(Severity::Error);
    complain(format_args!(
        "{}: {}, {}",
        looked.at,
        count(errors, "error"),
        count(number(Severity::Warning), "warning")
    ));
    Ok(if errors > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Files alone, perhaps with what follows from a mesh file.
fn files(args: &AnalyzeArgs) -> anyhow::Result<Looked> {
    let mesh = args.mesh_file.as_deref().map(MeshFile::read).transpose()?;
    let mut read = offline::files(&args.paths, mesh.as_ref())?;
    // The derived objects are no file of the user's.
    let files = read.files.len() + read.problems.len() - usize::from(mesh.is_some());
    if mesh.is_none() {
        read = offline::with_manifests(read);
    }
    let settings = mesh
        .as_ref()
        .map_or_else(MeshSettings::default, offline::settings);
    let mut problems = read.problems;
    problems.extend(meshd_core::analyze(&read.files, &settings));
    Ok(Looked {
        at: count(u64::try_from(files)?, "file"),
        problems,
    })
}

/// Files among what a cluster has: what is wrong with them, and what they make wrong.
async fn among(args: &AnalyzeArgs, cluster: &Cluster) -> anyhow::Result<Looked> {
    let read = offline::files(&args.paths, None)?;
    let live = LiveObjects::read(cluster).await?;
    if cluster.namespace() != DEFAULT_NAMESPACE && names_no_namespace(&read.files) {
        complain(format_args!(
            "note: objects that name no namespace are taken for {DEFAULT_NAMESPACE}, not for {}",
            cluster.namespace()
        ));
    }
    let mut problems = read.problems;
    let files = read.files.len() + problems.len();
    problems.extend(new_problems(&live, &read.files));
    Ok(Looked {
        at: format!(
            "{} among {} of context {}",
            count(u64::try_from(files)?, "file"),
            count(u64::try_from(live.len())?, "object"),
            cluster.context()
        ),
        problems,
    })
}

/// What the control plane says of what is in force.
async fn live(args: &AnalyzeArgs, target: &MeshTarget) -> anyhow::Result<Looked> {
    let overview = Overview::new(&target.control_plane().await?.reports().await);
    anyhow::ensure!(
        overview.status.is_some(),
        "the control plane does not answer, so what it found is not known: `meshctl status` shows why"
    );
    let all = overview.problems.len();
    let mut problems = overview.problems;
    let mut at = target.name();
    if let MeshTarget::Cluster(cluster) = target
        && !args.all_namespaces
    {
        let namespace = cluster.namespace();
        problems.retain(|problem| {
            let origin = problem.origin.as_ref();
            origin.is_none_or(|origin| origin.namespace.is_empty() || origin.namespace == namespace)
        });
        at = format!("namespace {namespace} of the {at}");
        if problems.len() < all {
            let others = u64::try_from(all - problems.len())?;
            complain(format_args!(
                "note: {} in other namespaces; -A shows them",
                count(others, "more problem")
            ));
        }
    }
    Ok(Looked { at, problems })
}

fn finding(problem: &Problem) -> Finding<'_> {
    let origin = problem.origin.as_ref();
    let object = origin.filter(|origin| !origin.kind.is_empty());
    Finding {
        severity: match problem.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info | Severity::Unspecified => "info",
        },
        file: origin.map_or("", |origin| &origin.source),
        line: origin.map_or(0, |origin| origin.line),
        column: origin.map_or(0, |origin| origin.column),
        object: object
            .map(|origin| format!("{}/{}/{}", origin.kind, origin.namespace, origin.name))
            .unwrap_or_default(),
        message: &problem.message,
        code: &problem.code,
    }
}
