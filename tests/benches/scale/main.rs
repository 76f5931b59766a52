//! How the control plane scales: a large mesh of objects, and as many simulated proxies.
//!
//! `cargo bench -p mesh-tests --bench scale -- --help`
//!
//! A meshd runs as a child process on objects in files, or in an API server. Every simulated
//! proxy has a connection of its own, with TLS and a workload's certificate, subscribes to what a
//! sidecar in its place subscribes to, and acknowledges as it does. What is measured is printed
//! beside its budget; a budget that is not kept is no failure.

mod cluster;
mod control_plane;
mod files;
mod fleet;
mod identity;
mod link;
mod measure;
mod objects;
mod options;
mod process;
mod proxy;
mod report;
mod source;
mod topology;

use std::process::ExitCode;

use clap::Parser;

use options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.harness.is_wanted() {
        // `cargo test --benches`, or a test runner that asks for a list.
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    options.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.client_threads)
        .enable_all()
        .build()?;
    let report = runtime.block_on(measure::run(options))?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(())
}
