//! `meshctl`.

use std::process::ExitCode;

use clap::Parser as _;
use meshctl::{cli::Cli, command, output};

fn main() -> ExitCode {
    // No thread may exist before a command that enters namespaces.
    match command::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            output::complain(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
