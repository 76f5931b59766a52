//! `meshctl uninstall`.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::json;

use super::install::{progress, summary};
use crate::cli::{Output, UninstallArgs};
use crate::cluster::Cluster;
use crate::install::InstallError;
use crate::install::apply::Installer;
use crate::install::record::Record;
use crate::install::remove::{Removal, check_manager};
use crate::output::{json, say};

/// Runs it.
pub(super) async fn run(args: &UninstallArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.place.options()).await?;
    let namespace = cluster.mesh_namespace();
    let all = Record::all(&cluster, namespace).await?;
    let revisions = if args.purge && args.revision.is_none() && !all.is_empty() {
        all.clone()
    } else {
        vec![Record::select(
            all.clone(),
            args.revision.as_deref(),
            namespace,
        )?]
    };
    for record in &revisions {
        check_manager(&cluster, record).await?;
    }
    let removal = Removal::plan(&cluster, revisions, &all, args.purge).await?;
    confirm(&removal.question(), args.yes)?;

    let mut installer = Installer::new(&cluster, progress(args.output.output), None);
    removal.carry_out(&cluster, &mut installer).await?;
    match args.output.output {
        Output::Text => {
            say(format_args!("\n{}", summary(&installer, "removed")));
            for stays in &removal.stays {
                say(format_args!("stays: {stays}"));
            }
            if !removal.meshed.is_empty() {
                say(
                    "Pods lose their sidecars when their namespace's label is removed and they restart:\n  kubectl label namespace NAME istio-injection- istio.io/rev-\n  kubectl rollout restart deployment -n NAME",
                );
            }
        }
        Output::Json => json(&json!({
            "objects": installer.done(),
            "stays": removal.stays,
            "meshedPods": removal.meshed,
        }))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks on the terminal.
///
/// # Errors
/// If the answer is not yes, or there is nobody to ask.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), InstallError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(InstallError::Refused(format!(
            "{question}\nadd --yes to do it without being asked"
        )));
    }
    let mut err = io::stderr().lock();
    let asked = write!(err, "{question}\nGo on? [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    let read = asked.and_then(|()| io::stdin().read_line(&mut answer));
    match read {
        Ok(_) if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") => Ok(()),
        _ => Err(InstallError::Refused("the answer was not yes".to_owned())),
    }
}
