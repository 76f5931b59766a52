//! `meshctl demo` of a Bookinfo that runs already: in a cluster, or under docker-compose.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::super::signals::StopSignals;
use super::VISITORS;
use crate::cli::DemoArgs;
use crate::cluster::Cluster;
use crate::demo::{ClusterGround, ComposeGround, Ground, Tour, Traffic, show_live};
use crate::mesh::Notices;
use crate::output::say;

pub(super) async fn in_cluster(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::connect(&args.cluster.options()).await?;
    let place = format!(
        "Bookinfo in namespace {} of context {}",
        cluster.namespace(),
        cluster.context()
    );
    let ground = ClusterGround::open(cluster, args.gateway.as_deref()).await?;
    show(args, ground, &place).await
}

pub(super) async fn on_compose(args: &DemoArgs, dir: &Path) -> anyhow::Result<ExitCode> {
    let ground = ComposeGround::open(dir, args.gateway.as_deref()).await?;
    let place = format!("Bookinfo under docker-compose in {}", dir.display());
    show(args, ground, &place).await
}

async fn show(args: &DemoArgs, ground: impl Ground, place: &str) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::new()?;
    let head = format!("{place}: gateway at {}", ground.gateway());
    say(&head);
    let passed = if args.check {
        let mut tour = Tour::new(ground);
        let passed = tokio::select! {
            passed = tour.run() => passed,
            () = signals.next() => false,
        };
        tour.clean_up().await?;
        passed
    } else {
        let pause = Duration::from_millis(200);
        let _traffic = Traffic::start(ground.gateway(), VISITORS, 2, pause);
        // Nobody has anything to tell here; the channel stays open all the same.
        let (_notices, receiver) = Notices::channel();
        let proxies = async || {
            let proxies = ground.proxies().await.unwrap_or_default();
            proxies.into_iter().map(|(_, admin)| admin).collect()
        };
        tokio::select! {
            () = show_live(proxies, head.clone(), receiver) => {}
            () = signals.next() => {}
        }
        ground.clean_up().await?;
        true
    };
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
