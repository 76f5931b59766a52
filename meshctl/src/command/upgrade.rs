//! `meshctl upgrade`.

use std::process::ExitCode;

use super::install::{Run, print_plan, shorthands};
use crate::cli::UpgradeArgs;
use crate::cluster::Cluster;
use crate::install::chart::nothing;
use crate::install::plan::Wanted;
use crate::install::record::Record;
use crate::install::remove::check_manager;
use crate::install::{InstallError, values};

/// Runs it.
pub(super) async fn run(args: &UpgradeArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.place.options()).await?;
    let all = Record::all(&cluster, cluster.mesh_namespace()).await?;
    let new = args
        .revision
        .as_ref()
        .is_some_and(|revision| !all.iter().any(|one| one.revision == *revision));
    let base = base(args, all, cluster.mesh_namespace(), new)?;
    check_manager(&cluster, &base).await?;

    let wanted = wanted(args, &base, new)?;
    if args.values.dry_run {
        print_plan(&wanted.plan()?, args.output.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let run = Run {
        cluster: &cluster,
        values: &args.values,
        output: args.output.output,
        gateway_asked: args.gateway.asked() == Some(true),
    };
    run.install(wanted).await?;
    Ok(ExitCode::SUCCESS)
}

/// The revision whose values count.
fn base(
    args: &UpgradeArgs,
    all: Vec<Record>,
    namespace: &str,
    new: bool,
) -> Result<Record, InstallError> {
    let revision = match (&args.from, &args.revision) {
        (Some(from), _) => Some(from.as_str()),
        (None, Some(revision)) if !new => Some(revision.as_str()),
        _ => None,
    };
    Record::select(all, revision, namespace)
}

fn wanted(args: &UpgradeArgs, base: &Record, new: bool) -> Result<Wanted, InstallError> {
    let mut overrides = if args.reset_values {
        nothing()
    } else {
        base.overrides.clone()
    };
    if new && let Some(map) = overrides.as_object_mut() {
        // These say who is chosen, which only one revision can be.
        for name in ["defaultRevision", "revisionTags"] {
            map.shift_remove(name);
        }
    }
    values::merge(
        &mut overrides,
        &values::collect(&args.values.files, &args.values.set)?,
    );
    let mut wanted = Wanted {
        namespace: base.namespace.clone(),
        overrides,
        gateway: args.gateway.asked().unwrap_or(base.gateway),
    };
    if new && let Some(revision) = &args.revision {
        wanted.set("revision", revision.as_str());
    } else {
        wanted.set("revision", base.revision.as_str());
    }
    shorthands(&mut wanted, &args.values);
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(line: &str) -> UpgradeArgs {
        let words = ["meshctl", "upgrade"]
            .into_iter()
            .chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Upgrade(args) => args,
            _ => panic!("another command"),
        }
    }

    fn record(revision: &str) -> Record {
        Record {
            revision: revision.to_owned(),
            namespace: "istio-system".to_owned(),
            version: "0.1.0".to_owned(),
            overrides: json!({"tag": "1", "defaultRevision": true, "revisionTags": ["prod"]}),
            gateway: true,
            objects: Vec::new(),
        }
    }

    #[test]
    fn in_place_the_values_of_before_stay() {
        let wanted = wanted(
            &args("--set meshd.replicas=3 --image-tag 2"),
            &record("mesh"),
            false,
        )
        .unwrap();
        assert_eq!(
            wanted.overrides,
            json!({"tag": "2", "defaultRevision": true, "revisionTags": ["prod"], "meshd": {"replicas": 3}, "revision": "mesh"})
        );
        assert!(wanted.gateway);
    }

    #[test]
    fn a_new_revision_takes_the_values_but_is_not_chosen() {
        let wanted = wanted(&args("--revision v2"), &record("mesh"), true).unwrap();
        assert_eq!(wanted.overrides, json!({"tag": "1", "revision": "v2"}));
        let reset = super::wanted(
            &args("--revision v2 --reset-values --no-gateway"),
            &record("mesh"),
            true,
        )
        .unwrap();
        assert_eq!(reset.overrides, json!({"revision": "v2"}));
        assert!(!reset.gateway);
    }

    #[test]
    fn the_base_is_named_or_the_only_one() {
        let base = |line: &str, all: &[&str], new| {
            base(
                &args(line),
                all.iter().map(|one| record(one)).collect(),
                "istio-system",
                new,
            )
            .map(|found| found.revision)
            .map_err(|error| error.to_string())
        };
        assert_eq!(base("", &["mesh"], false).unwrap(), "mesh");
        assert_eq!(base("--revision b", &["a", "b"], false).unwrap(), "b");
        assert_eq!(base("--revision c", &["a"], true).unwrap(), "a");
        assert!(
            base("--revision c", &["a", "b"], true)
                .unwrap_err()
                .contains("--revision")
        );
        assert_eq!(
            base("--revision c --from b", &["a", "b"], true).unwrap(),
            "b"
        );
        assert!(
            base("", &[], false)
                .unwrap_err()
                .contains("meshctl install")
        );
    }
}
