//! `meshctl explain`.

use std::process::ExitCode;

use crate::cli::{ExplainArgs, Output};
use crate::explain::{Question, explain_live, explain_saved};
use crate::offline::Model;
use crate::output::{json, say};
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
        let world = super::saved_world(&args.config, args.mesh_file.as_deref())?;
        explain_saved(&Model::new(world), &question)?
    };
    match args.output.output {
        Output::Json => json(&explanation)?,
        Output::Text => say(&explanation),
    }
    Ok(ExitCode::SUCCESS)
}
