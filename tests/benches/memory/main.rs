//! What a proxy needs of memory: idle, with idle connections, with many routes in use, and in a
//! mesh of which it uses little.
//!
//! `cargo bench -p mesh-tests --bench memory -- --help`
//!
//! Figures are resident memory from the kernel (proc(5)), when a proxy has settled. They hold on a
//! busy machine.

#[path = "../peers/certificates.rs"]
mod certificates;
#[path = "../peers/child.rs"]
mod child;
mod clients;
mod measure;
mod options;
#[path = "../peers/process.rs"]
#[expect(dead_code, reason = "another benchmark uses the rest")]
mod process;
mod resources;

use std::process::ExitCode;

use clap::Parser;

use options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.harness.is_wanted() {
        // `cargo test --benches`, or a test runner that asks for a list.
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure::run(&options)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
