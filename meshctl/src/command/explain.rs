//! `meshctl explain`.

use std::process::ExitCode;

use crate::cli::{ExplainArgs, Output};
use crate::explain::{Explanation, Question, explain_live, explain_saved};
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
    let (world, problems) = offline::world(config, mesh)?;
    if problems > 0 {
        let problems = count(u64::try_from(problems)?, "problem");
        complain(format_args!(
            "note: the configuration has {problems}; `meshctl analyze` shows them"
        ));
    }
    Ok(explain_saved(&Model::new(world), question)?)
}
