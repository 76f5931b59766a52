//! `meshctl explain`.

use std::process::ExitCode;

use meshd_core::{MeshSettings, Store};

use crate::cli::{ExplainArgs, Output};
use crate::explain::{Explanation, Question, explain_live, explain_saved};
use crate::mesh_file::MeshFile;
use crate::offline::{self, Model};
use crate::output::{complain, count, json, say};
use crate::target::MeshTarget;

pub(super) async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let question = Question {
        from: args.from,
        method: args.method,
        url: args.url,
        headers: args.headers,
        claims: args.claims,
    };
    let explanation = if args.config.is_empty() {
        let target = MeshTarget::resolve(&args.mesh.selection()).await?;
        explain_live(&target, &question).await?
    } else {
        saved(&args.config, args.mesh_file.as_deref(), &question)?
    };
    match args.output.output {
        Output::Json => json(&explanation)?,
        Output::Text => say(&explanation),
    }
    Ok(ExitCode::SUCCESS)
}

fn saved(
    config: &[std::path::PathBuf],
    mesh: Option<&std::path::Path>,
    question: &Question,
) -> anyhow::Result<Explanation> {
    let mesh = mesh.map(MeshFile::read).transpose()?;
    let settings = mesh
        .as_ref()
        .map_or_else(MeshSettings::default, offline::settings);
    let mut store = Store::new();
    let mut read = offline::files(config, mesh.as_ref())?;
    if mesh.is_none() {
        read = offline::with_manifests(read);
    }
    for (path, text) in &read.files {
        store.set_file(path, text);
    }
    let world = store.world(&settings);
    let problems = read.problems.len() + world.problems().len();
    if problems > 0 {
        let problems = count(u64::try_from(problems)?, "problem");
        complain(format_args!(
            "note: the configuration has {problems}; `meshctl analyze` shows them"
        ));
    }
    Ok(explain_saved(&Model::new(world), question)?)
}
