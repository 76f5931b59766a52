//! `meshctl tag`.

use std::process::ExitCode;

use serde_json::json;

use super::install::progress;
use super::uninstall::confirm;
use crate::cli::{Output, OutputArg, PlaceArg, TagAction, TagArgs};
use crate::cluster::Cluster;
use crate::install::apply::Installer;
use crate::install::record::Record;
use crate::install::{InstallError, tag};
use crate::output::{count, json, say};
use crate::table::Table;

/// How long the control plane may take to tell the API server how to trust a tag's webhooks.
const TRUST: std::time::Duration = std::time::Duration::from_secs(30);

/// Runs it.
pub(super) async fn run(args: &TagArgs) -> anyhow::Result<ExitCode> {
    match &args.action {
        TagAction::Set {
            tag,
            revision,
            place,
            output,
        } => set(tag, revision, place, *output).await,
        TagAction::List { place, output } => list(place, *output).await,
        TagAction::Remove {
            tag,
            yes,
            place,
            output,
        } => remove(tag, *yes, place, *output).await,
    }
}

async fn set(
    name: &str,
    revision: &str,
    place: &PlaceArg,
    output: OutputArg,
) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&place.options()).await?;
    let all = Record::all(&cluster, cluster.mesh_namespace()).await?;
    let clash = all.iter().find(|one| one.revision == name);
    if clash.is_some() {
        let text = format!("`{name}` is the name of a revision: choose another name for the tag");
        return Err(InstallError::Refused(text).into());
    }
    let record = Record::select(all, Some(revision), cluster.mesh_namespace())?;
    let mut installer = Installer::new(&cluster, progress(output.output), Some(TRUST));
    tag::set(name, &record, &mut installer).await?;
    let users = tag::all(&cluster)
        .await?
        .into_iter()
        .find(|one| one.tag == name)
        .map(|one| one.namespaces)
        .unwrap_or_default();
    match output.output {
        Output::Text => {
            say(format_args!("\ntag {name} stands for revision {revision}"));
            for namespace in &users {
                say(format_args!(
                    "pods of namespace {namespace} move when they restart: kubectl rollout restart deployment -n {namespace}"
                ));
            }
        }
        Output::Json => json(&json!({
            "tag": name,
            "revision": revision,
            "namespaces": users,
            "objects": installer.done(),
        }))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(place: &PlaceArg, output: OutputArg) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&place.options()).await?;
    let tags = tag::all(&cluster).await?;
    match output.output {
        Output::Json => json(&tags)?,
        Output::Text if tags.is_empty() => {
            say("no revision tags; `meshctl tag set TAG --revision NAME` makes one");
        }
        Output::Text => {
            let mut table = Table::new(["TAG", "REVISION", "NAMESPACES"]);
            for tag in tags {
                table.row([tag.tag, tag.revision, tag.namespaces.join(", ")]);
            }
            say(table);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove(
    name: &str,
    yes: bool,
    place: &PlaceArg,
    output: OutputArg,
) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&place.options()).await?;
    let users = tag::all(&cluster)
        .await?
        .into_iter()
        .find(|one| one.tag == name)
        .map(|one| one.namespaces)
        .unwrap_or_default();
    if !users.is_empty() {
        let question = format!(
            "{} use tag {name} ({}): their new pods will have no sidecar.",
            count(users.len() as u64, "namespace"),
            users.join(", ")
        );
        confirm(&question, yes)?;
    }
    let mut installer = Installer::new(&cluster, progress(output.output), None);
    tag::remove(&cluster, name, &mut installer).await?;
    if output.output == Output::Json {
        json(&json!({ "tag": name, "objects": installer.done() }))?;
    }
    Ok(ExitCode::SUCCESS)
}
