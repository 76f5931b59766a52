//! `bookinfo productpage|details|reviews|ratings`: one service of the sample application.
//! `bookinfo call URL`: a request as one of them would send it.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Istio's Bookinfo sample application, one service per process.
#[derive(Parser)]
#[command(
    name = "bookinfo",
    after_help = "`bookinfo call URL` sends a request; see `bookinfo call --help`."
)]
struct ServiceCli {
    #[command(flatten)]
    service: bookinfo::Command,
}

/// Istio's Bookinfo sample application: what else it can do.
#[derive(Parser)]
#[command(name = "bookinfo", disable_help_subcommand = true)]
struct OtherCli {
    #[command(subcommand)]
    other: Other,
}

#[derive(Subcommand)]
enum Other {
    Call(bookinfo::Call),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Not a subcommand beside the services: the variables that a container sets for its service
    // would then ask for the service, too.
    if is_call(&arguments) {
        let Other::Call(call) = OtherCli::parse_from(arguments).other;
        return Ok(if call.run().await? {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    let cli = ServiceCli::parse_from(arguments);
    bookinfo::init_logging();
    cli.service.run().await?;
    Ok(ExitCode::SUCCESS)
}

fn is_call(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|word| word == "call")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_service_or_a_call() {
        ServiceCli::command().debug_assert();
        OtherCli::command().debug_assert();
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let call = words("bookinfo call -X POST -H a:b http://x/");
        assert!(is_call(&call));
        let Other::Call(call) = OtherCli::try_parse_from(call).unwrap().other;
        assert_eq!(call.headers.len(), 1);
        let service = words("bookinfo reviews --version v2");
        assert!(!is_call(&service));
        let cli = ServiceCli::try_parse_from(service).unwrap();
        assert_eq!(cli.service.version, "v2");
    }
}
