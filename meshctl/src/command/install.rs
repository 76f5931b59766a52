//! `meshctl install`, and what it shares with `upgrade`.

use std::process::ExitCode;

use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::cli::{InstallArgs, Output, ValuesArg};
use crate::cluster::{Cluster, ObjectRef};
use crate::install::apply::{Installer, Progress, REVISION_LABEL};
use crate::install::plan::{DEFAULT_REVISION, DEFAULT_TAG, Plan, Wanted};
use crate::install::values;
use crate::install::{InstallError, precheck};
use crate::output::{count, json, say};

/// Runs it.
pub(super) async fn run(args: &InstallArgs) -> anyhow::Result<ExitCode> {
    let mut wanted = Wanted {
        namespace: args.place.mesh_namespace.clone(),
        overrides: values::collect(&args.values.files, &args.values.set)?,
        gateway: args.gateway.asked().unwrap_or(true),
    };
    if let Some(revision) = &args.revision {
        wanted.set("revision", revision.as_str());
    }
    shorthands(&mut wanted, &args.values);
    if args.values.dry_run {
        print_plan(&wanted.plan()?, args.output.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = Cluster::connect(&args.place.options()).await?;
    let run = Run {
        cluster: &cluster,
        values: &args.values,
        output: args.output.output,
        gateway_asked: args.gateway.asked() == Some(true),
    };
    run.install(wanted).await?;
    Ok(ExitCode::SUCCESS)
}

/// The flags that are short for values.
pub(super) fn shorthands(wanted: &mut Wanted, args: &ValuesArg) {
    if let Some(hub) = &args.hub {
        wanted.set("hub", hub.as_str());
    }
    if let Some(tag) = &args.image_tag {
        wanted.set("tag", tag.as_str());
    }
    if !args.tags.is_empty() {
        wanted.set("revisionTags", args.tags.clone());
    }
}

/// Prints what would be applied.
pub(super) fn print_plan(plan: &Plan, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Text => say(plan.text.trim_end()),
        Output::Json => {
            let objects: Vec<&Value> = plan
                .control_plane
                .iter()
                .chain(&plan.webhooks)
                .chain(&plan.gateway)
                .collect();
            json(&objects)?;
        }
    }
    Ok(())
}

/// How to install.
pub(super) struct Run<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) values: &'a ValuesArg,
    pub(super) output: Output,
    /// Whether the user has asked for a gateway by name: then it may change its revision.
    pub(super) gateway_asked: bool,
}

// === impl Run ===

impl Run<'_> {
    /// Looks whether it can go well, and installs.
    pub(super) async fn install(&self, mut wanted: Wanted) -> anyhow::Result<()> {
        let progress = progress(self.output);
        let found = precheck::look(self.cluster, &wanted.plan()?).await?;
        let decision = precheck::decide(&found, wanted.revision(), wanted.default_revision());
        if !decision.problems.is_empty() {
            let problems = decision.problems;
            return Err(InstallError::Precheck { problems }.into());
        }
        let mut notices = decision.notices;
        notices.extend(self.leave_gateway(&mut wanted).await?);
        for notice in &notices {
            progress.tell(format_args!("note: {notice}"));
        }
        // What is decided here is decided anew each time, so it is not kept among the values.
        let kept = wanted.overrides.clone();
        wanted.set("defaultRevision", decision.default_revision);
        let mut plan = wanted.plan()?;
        plan.overrides = kept;

        let mut installer = Installer::new(self.cluster, progress, self.values.wait());
        installer.install(&plan).await?;
        let next = next_steps(&plan, decision.default_revision);
        match self.output {
            Output::Text => {
                say(format_args!(
                    "\nrevision {} of the mesh, version {}, {} in namespace {} of context {}\n",
                    plan.revision,
                    plan.version,
                    if self.values.no_wait {
                        "was applied"
                    } else {
                        "serves"
                    },
                    plan.namespace,
                    self.cluster.context(),
                ));
                say(next.join("\n"));
            }
            Output::Json => json(&json!({
                "revision": plan.revision,
                "version": plan.version,
                "namespace": plan.namespace,
                "defaultRevision": decision.default_revision,
                "objects": installer.done(),
                "notices": notices,
            }))?,
        }
        Ok(())
    }

    /// A gateway of another revision stays with it unless the user says otherwise.
    async fn leave_gateway(&self, wanted: &mut Wanted) -> Result<Option<String>, InstallError> {
        if !wanted.gateway || self.gateway_asked {
            return Ok(None);
        }
        let Some(deployment) = wanted
            .plan()?
            .gateway
            .into_iter()
            .find(|object| object.get("kind").is_some_and(|kind| kind == "Deployment"))
        else {
            return Ok(None);
        };
        let name = ObjectRef::of(&deployment, "")?;
        let there = self.cluster.read(&name).await?;
        let owner = there.and_then(|there| there.labels().get(REVISION_LABEL).cloned());
        let revision = wanted.revision().to_owned();
        Ok(owner.filter(|owner| *owner != revision).map(|owner| {
            wanted.gateway = false;
            format!(
                "the gateway {} stays with revision {owner}; --gateway moves it to {revision}",
                name.name
            )
        }))
    }
}

/// Where progress goes when the output has that form.
pub(super) fn progress(output: Output) -> Progress {
    match output {
        Output::Text => Progress::Shown,
        Output::Json => Progress::Aside,
    }
}

fn next_steps(plan: &Plan, default_revision: bool) -> Vec<String> {
    let label = if default_revision {
        "istio-injection=enabled".to_owned()
    } else {
        format!("istio.io/rev={}", plan.revision)
    };
    let mut steps = vec![
        "Put the pods of a namespace into the mesh:".to_owned(),
        format!("  kubectl label namespace NAME {label}"),
        "  kubectl rollout restart deployment -n NAME".to_owned(),
    ];
    if plan.revision != DEFAULT_REVISION && !default_revision {
        steps.push("Let everything that names no revision follow:".to_owned());
        steps.push(format!(
            "  meshctl tag set {DEFAULT_TAG} --revision {}",
            plan.revision
        ));
    }
    steps
}

/// `3 objects removed`, for the last line of a command.
pub(super) fn summary(installer: &Installer<'_>, what: &str) -> String {
    format!("{} {what}", count(installer.done().len() as u64, "object"))
}
