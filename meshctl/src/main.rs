//! `meshctl`.

use std::process::ExitCode;

use clap::Parser as _;
use meshctl::{cli::Cli, command, output};

fn main() -> ExitCode {
    // No thread may exist before a command that enters namespaces.
    match command::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            output::complain(format_args!("error: {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, without those that it has told itself already.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() {
                cause
            } else {
                format!("{text}: {cause}")
            };
        }
    }
    text
}
