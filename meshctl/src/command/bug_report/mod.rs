//! `meshctl bug-report`.

mod archive;
mod collect;
mod redact;

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::time::{Instant, timeout_at};

use archive::Archive;
use collect::Collector;

use crate::cli::BugReportArgs;
use crate::clock;
use crate::output::say;
use crate::target::MeshTarget;

pub(super) async fn run(args: &BugReportArgs) -> anyhow::Result<ExitCode> {
    let target = MeshTarget::resolve(&args.mesh.selection()).await?;
    let deadline = Instant::now() + args.timeout;
    let mut collector = Collector::new(Archive::new(clock::unix_seconds()));
    if timeout_at(deadline, collector.collect(&target, &args.workload))
        .await
        .is_err()
    {
        collector.note(format!("not finished after {:?}", args.timeout));
    }
    let (bytes, entries, notes) = collector.finish().context("cannot pack the archive")?;
    std::fs::write(&args.file, &bytes)
        .with_context(|| format!("cannot write {}", args.file.display()))?;
    for note in notes {
        say(format_args!("missing: {note}"));
    }
    say(format_args!(
        "{}: {entries} files, {} KiB; keys and tokens are taken out, but look at it before you pass it on",
        args.file.display(),
        bytes.len().div_ceil(1024)
    ));
    Ok(ExitCode::SUCCESS)
}
