//! `meshctl exec`.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::cli::ExecArgs;
use crate::cluster::{Cluster, Interactive};
use crate::mesh::workload_env;
use crate::output::complain;
use crate::state::{MeshRecord, WorkloadRecord};
use crate::target::{Laptop, MeshTarget};

/// On this machine this process becomes the command, which needs that it has no threads; in a
/// cluster it stands for it.
pub(super) fn run(args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let target = super::block_on(async { Ok(MeshTarget::resolve(&args.mesh.selection()).await?) })?;
    match target {
        MeshTarget::Laptop(laptop) => become_command(args, &laptop),
        // A client is bound to the runtime that it was made in.
        MeshTarget::Cluster(_) => super::block_on(in_pod(args)),
    }
}

async fn in_pod(args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.mesh.cluster.options()).await?;
    let mut pod = cluster.find_pod(&args.workload).await?;
    if let Some(container) = &args.container {
        anyhow::ensure!(
            pod.containers.contains(container),
            "pod {} has no container `{container}`; it has {}",
            pod.uid(),
            pod.containers.join(", ")
        );
        pod.container.clone_from(container);
    }
    let command = args.command.iter().map(|word| {
        word.to_str()
            .with_context(|| format!("`{}` is no UTF-8", word.to_string_lossy()))
    });
    let command = command.collect::<anyhow::Result<Vec<_>>>()?;
    let how = Interactive {
        terminal: io::stdin().is_terminal() && io::stdout().is_terminal(),
    };
    Ok(cluster.interact(&pod, &command, how).await?.into())
}

/// Becomes the command, so that its exit code, signals and terminal are its own.
fn become_command(args: &ExecArgs, laptop: &Laptop) -> anyhow::Result<ExitCode> {
    let Laptop { state, record } = laptop;
    let workload = record.workload(&args.workload)?;
    let program = args
        .command
        .first()
        .context("no command given: meshctl exec WORKLOAD -- COMMAND...")?;
    let mut command = match enter_args(record, workload) {
        // Namespaces are entered by a fresh process, which starts with the right environment.
        Some(enter) => {
            let mut command = Command::new("/proc/self/exe");
            command.arg0("meshctl").args(enter).args(&args.command);
            command
        }
        None => {
            let mut command = Command::new(program);
            command.args(args.command.iter().skip(1));
            command
        }
    };
    for (key, value) in workload_env(state, workload, record.capture) {
        match value {
            // These are for the application that listens, which the command is not.
            Some(_) if key == "HOST" || key.to_string_lossy().starts_with("PORT") => &mut command,
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    let error = command.exec();
    complain(format_args!(
        "error: cannot run `{}`: {error}",
        program.to_string_lossy()
    ));
    Ok(if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    }
    .into())
}

/// Transparent capture: how to enter the workload's namespaces.
fn enter_args(record: &MeshRecord, workload: &WorkloadRecord) -> Option<Vec<OsString>> {
    let (netns, hosts) = (workload.netns.as_ref()?, workload.hosts.as_ref()?);
    let mut args = ["internal", "enter", "--join"].map(OsString::from).to_vec();
    args.extend([
        record.pid.to_string().into(),
        "--netns".into(),
        netns.into(),
        "--hosts".into(),
        hosts.into(),
    ]);
    args.push("--".into());
    Some(args)
}
