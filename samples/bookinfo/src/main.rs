//! `bookinfo productpage|details|reviews|ratings`: one service of the sample application.

use clap::Parser;

/// Istio's Bookinfo sample application, one service per process.
#[derive(Parser)]
#[command(name = "bookinfo")]
struct Cli {
    #[command(flatten)]
    command: bookinfo::Command,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    bookinfo::init_logging();
    cli.command.run().await?;
    Ok(())
}
