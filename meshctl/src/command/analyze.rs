//! `meshctl analyze`.

use std::process::ExitCode;

use mesh_api::v1::{Problem, Severity};
use meshd_core::{MeshSettings, ProblemLine};
use serde::Serialize;

use crate::cli::{AnalyzeArgs, Output};
use crate::mesh_file::MeshFile;
use crate::offline;
use crate::output::{complain, count, json, say};

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

pub(super) fn run(args: &AnalyzeArgs) -> anyhow::Result<ExitCode> {
    let mesh = args.mesh.as_deref().map(MeshFile::read).transpose()?;
    let read = offline::files(&args.paths, mesh.as_ref())?;
    let settings = mesh
        .as_ref()
        .map_or_else(MeshSettings::default, offline::settings);
    let mut problems = read.problems;
    // The derived objects are no file of the user's.
    let files = read.files.len() + problems.len() - usize::from(mesh.is_some());
    problems.extend(meshd_core::analyze(&read.files, &settings));
    match args.output.output {
        Output::Json => json(&problems.iter().map(finding).collect::<Vec<_>>())?,
        Output::Text => problems
            .iter()
            .for_each(|problem| say(ProblemLine(problem))),
    }
    let number = |severity: Severity| {
        u64::try_from(
            problems
                .iter()
                .filter(|problem| problem.severity() == severity)
                .count(),
        )
        .unwrap_or(u64::MAX)
    };
    let errors = number(Severity::Error);
    complain(format_args!(
        "{}: {}, {}",
        count(u64::try_from(files).unwrap_or(u64::MAX), "file"),
        count(errors, "error"),
        count(number(Severity::Warning), "warning")
    ));
    Ok(if errors > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
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
