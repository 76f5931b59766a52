//! `meshctl demo`.

mod elsewhere;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mesh_ca::{Authority, AuthorityOptions};
use meshd_core::MeshSettings;
use tokio::sync::{mpsc, watch};

use super::signals::StopSignals;
use super::up::{ready_line, stop};
use crate::address::PortPicker;
use crate::call::Admin;
use crate::cli::DemoArgs;
use crate::clock;
use crate::demo::{
    Entrance, LaptopGround, LiveConfig, Sample, Target, Targets, Tour, Traffic, gateway_address,
    show_live,
};
use crate::mesh::{MeshPlan, Notice, Notices, Prepared, Running};
use crate::offline;
use crate::output::say;
use crate::state::{LockError, MeshRecord, StateDir, StateLock};
use crate::target::Proxy;

const DEFAULT_PORT: u16 = 8080;
/// Somebody looks at the page now and then, and jason sometimes.
const VISITORS: Targets = Targets {
    list: &[
        Target {
            path: "/productpage",
            user: None,
        },
        Target {
            path: "/productpage",
            user: Some("jason"),
        },
        Target {
            path: "/api/v1/products/0/reviews",
            user: None,
        },
    ],
    forgiving: true,
};

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    if let Some(dir) = &args.compose {
        return super::block_on(elsewhere::on_compose(args, dir));
    }
    if args.cluster.selection().names_cluster() {
        return super::block_on(elsewhere::in_cluster(args));
    }
    on_laptop(args)
}

fn on_laptop(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.gateway.is_none(),
        "--gateway is for a Bookinfo in a cluster or under docker-compose: name it with --context, --cluster or --compose; here the gateway's port is --port"
    );
    let began = clock::instant();
    let temporary = if args.check && args.state.is_none() {
        Some(Temporary::new()?)
    } else {
        None
    };
    let given = temporary
        .as_ref()
        .map(|dir| dir.0.as_path())
        .or(args.state.as_deref());
    let state = StateDir::find(given)?;
    // Nothing of a running demo may be overwritten.
    if let Some(pid) = StateLock::holder(&state) {
        return Err(LockError::Held {
            dir: state.root().to_owned(),
            pid,
        }
        .into());
    }
    let port = match args.port {
        Some(port) => port,
        None if args.check => PortPicker::new(state.root(), BTreeSet::new()).pick()?,
        None => DEFAULT_PORT,
    };
    let sample = Sample::lay_out(state.root(), port)?;
    say(format_args!(
        "Bookinfo: {} workloads with sidecars and a gateway; state in {}",
        sample.mesh.workloads.len(),
        state.root().display()
    ));
    let plan = MeshPlan {
        mesh: sample.mesh.clone(),
        config: vec![sample.config.clone()],
        capture: args.capture,
        state: state.clone(),
    };
    let prepared = Prepared::new(plan)?;
    super::block_on(serve(args.check, &state, &sample, prepared, began))
}

async fn serve(
    check: bool,
    state: &StateDir,
    sample: &Sample,
    prepared: Prepared,
    began: Instant,
) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::new()?;
    let (notices, receiver) = Notices::channel();
    let mut running = Running::new(prepared, notices);
    let started = tokio::select! {
        started = running.bring_up() => started.map(|()| true),
        () = signals.next() => Ok(false),
    };
    let mut passed = true;
    if matches!(started, Ok(true)) {
        say(ready_line(&running, began));
        let record = running.record();
        let gateway = gateway_address(&record).context("the sample has no gateway")?;
        if check {
            let live = live_config(state, sample, &running)?;
            let mut tour = Tour::new(LaptopGround::new(gateway, live, record));
            let printer = print_short(receiver);
            tokio::select! {
                outcome = tour.run() => passed = outcome,
                () = running.keep() => {}
                () = signals.next() => passed = false,
                () = printer => {}
            }
        } else {
            let _traffic = Traffic::start(
                &Entrance::at(gateway),
                VISITORS,
                2,
                Duration::from_millis(200),
            );
            let page = running
                .gateways()
                .first()
                .map_or(gateway, |(_, listen)| *listen);
            let head = head(state, sample, page);
            say(&head);
            tokio::select! {
                () = show_live(async || admins(&record), head, receiver) => {}
                () = running.keep() => {}
                () = signals.next() => {}
            }
        }
    }
    stop(running, signals, !check).await;
    started?;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The proxies that run now.
fn admins(record: &watch::Receiver<MeshRecord>) -> Vec<Admin> {
    let record = record.borrow();
    let all = record.workloads.iter();
    all.map(|workload| Proxy::on_laptop(workload).admin)
        .collect()
}

/// Between the steps: the steps themselves tell what they break, so a line each is enough.
async fn print_short(mut notices: mpsc::UnboundedReceiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        if let Notice::Warning(text) | Notice::Problem(text) = notice {
            let first = text.lines().next().unwrap_or_default();
            say(format_args!("   note:  {first}"));
        }
    }
    std::future::pending::<()>().await;
}

/// Follows changes with the very settings that the control plane was started with.
fn live_config(state: &StateDir, sample: &Sample, running: &Running) -> anyhow::Result<LiveConfig> {
    let options = AuthorityOptions {
        trust_domain: sample.mesh.trust_domain.clone(),
        ..AuthorityOptions::default()
    };
    let authority = Authority::open(&state.ca(), &options)?;
    let settings = MeshSettings {
        roots_der: authority.roots_der().to_vec(),
        jwks: authority.jwks(clock::now()),
        ..offline::settings(&sample.mesh)
    };
    let record = running.record();
    let record = record.borrow();
    let mut sources = vec![state.world()];
    sources.extend(record.config.iter().cloned());
    let dir = record
        .config
        .first()
        .context("the sample has no configuration")?;
    let admin = Admin::new("the control plane", &record.control_plane_admin);
    Ok(LiveConfig::new(
        dir,
        sources,
        settings,
        admin,
        u32::try_from(record.workloads.len())?,
    ))
}

fn head(state: &StateDir, sample: &Sample, gateway: std::net::SocketAddr) -> String {
    let default = StateDir::find(None).is_ok_and(|default| default == *state);
    let option = if default {
        String::new()
    } else {
        format!(" --state {}", state.root().display())
    };
    format!(
        "page:           http://{gateway}/productpage (sign in as jason, without a password)\n\
         configuration:  {config} (change it; the steps of the tour are in {tour})\n\
         as a workload:  meshctl exec{option} productpage-v1 -- curl http://reviews:9080/reviews/0\n\
         why:            meshctl explain{option} --from productpage-v1 http://reviews:9080/reviews/0\n\
         more:           meshctl status{option}; Ctrl-C stops all of it",
        config = sample.config.display(),
        tour = sample.tour.display(),
    )
}

/// A directory that goes when this is dropped.
struct Temporary(PathBuf);

// === impl Temporary ===

impl Temporary {
    fn new() -> anyhow::Result<Self> {
        let base = std::env::temp_dir();
        let first = std::process::id();
        for number in 0..100 {
            let path = base.join(format!("meshctl-{first}-{number}"));
            // Without `recursive`, a directory that somebody else has put there is an error.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot create {}", path.display()));
                }
            }
        }
        anyhow::bail!(
            "cannot create a directory in {}: give one with --state DIR",
            Path::new(&base).display()
        )
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed is left for the system's own cleaning of temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
