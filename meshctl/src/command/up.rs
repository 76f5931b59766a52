//! `meshctl up`.

use std::process::ExitCode;
use std::time::Instant;

use tokio::sync::mpsc;

use super::signals::StopSignals;
use crate::cli::UpArgs;
use crate::clock;
use crate::mesh::{MeshPlan, Notice, Notices, Prepared, Running};
use crate::mesh_file::MeshFile;
use crate::output::{complain, count, say};
use crate::state::StateDir;

pub(super) fn run(args: UpArgs) -> anyhow::Result<ExitCode> {
    let began = clock::instant();
    let mesh = MeshFile::read(&args.mesh)?;
    let state = StateDir::find(args.state.state.as_deref())?;
    say(format_args!(
        "mesh {}: {}, {}; state in {}",
        mesh.name,
        count(u64::try_from(mesh.workloads.len())?, "workload"),
        count(u64::try_from(mesh.gateways.len())?, "gateway"),
        state.root().display()
    ));
    let prepared = Prepared::new(MeshPlan {
        mesh,
        config: args.config,
        capture: args.capture,
        state,
    })?;
    super::block_on(serve(prepared, began))
}

async fn serve(prepared: Prepared, began: Instant) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::new()?;
    let (notices, receiver) = Notices::channel();
    let printer = tokio::spawn(print(receiver));
    let mut running = Running::new(prepared, notices);
    let started = tokio::select! {
        started = running.bring_up() => started.map(|()| true),
        () = signals.next() => Ok(false),
    };
    if matches!(started, Ok(true)) {
        say(ready_line(&running, began));
        tokio::select! {
            () = running.keep() => {}
            () = signals.next() => {}
        }
    }
    stop(running, signals, true).await;
    // It ends with the last sender, which `stop` has dropped.
    printer.await?;
    started?;
    Ok(ExitCode::SUCCESS)
}

/// Stops in order; a second signal stops at once.
pub(super) async fn stop(running: Running, mut signals: StopSignals, tell: bool) {
    if tell {
        complain("stopping; once more to stop at once");
    }
    let kill = running.kill_token();
    let stop = running.stop();
    tokio::pin!(stop);
    tokio::select! {
        () = &mut stop => return,
        () = signals.next() => kill.cancel(),
    }
    stop.await;
}

pub(super) fn ready_line(running: &Running, began: Instant) -> String {
    let mut line = format!("ready in {:.1} s", began.elapsed().as_secs_f64());
    let down = running.down();
    if !down.is_empty() {
        line.push_str(&format!(", except {}", down.join(", ")));
    }
    for (name, listen) in running.gateways() {
        line.push_str(&format!("; {name} at http://{listen}"));
    }
    line
}

/// Prints what the mesh tells.
async fn print(mut notices: mpsc::UnboundedReceiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        match &notice {
            Notice::Info(_) => say(&notice),
            Notice::Warning(_) | Notice::Problem(_) => complain(&notice),
        }
    }
}
