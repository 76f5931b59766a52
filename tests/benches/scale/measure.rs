//! The measurement, step by step.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mesh_ca::listen::ListenAddress;
use tokio::signal::ctrl_c;

use crate::cluster::Cluster;
use crate::control_plane::{ControlPlane, Recipe, binary};
use crate::files::Files;
use crate::fleet::{Expected, Fleet, Traffic};
use crate::identity::Certifier;
use crate::options::Options;
use crate::process::Process;
use crate::report::{Report, milliseconds};
use crate::source::Source;
use crate::topology::{Audience, Topology};

/// Memory of meshd for a connected proxy, KiB.
const PROXY_MEMORY: f64 = 60.0;
/// CPU time for the change of an endpoint that goes to so many proxies, ms.
const PUSH_CPU: f64 = 250.0;
const PUSH_PROXIES: usize = 5_000;
/// From a change to its enforcement while little else happens, 99th percentile, ms.
const ENFORCEMENT: f64 = 20.0;
/// How long meshd is watched while nothing happens.
const IDLE: Duration = Duration::from_secs(5);

/// What is under measurement.
struct Bench<'o> {
    options: &'o Options,
    topology: &'o Topology,
    source: &'o Source,
    /// Share of a core that meshd uses with nothing to do.
    idle: f64,
    /// Bytes that it sends in a millisecond then: it looks whether its proxies are still there.
    idle_bytes: f64,
}

/// Consumption of a while.
struct Span {
    process: Process,
    cpu: Duration,
    begun: Instant,
}

/// Measures everything.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Report> {
    let root = tempfile::Builder::new().prefix("mesh-scale-").tempdir()?;
    let binary = binary(options.meshd.as_deref());
    let prefix = if options.kubernetes {
        // Several may run at the same time on one cluster.
        format!("mesh-scale-{}", std::process::id())
    } else {
        "team".to_owned()
    };
    let mut topology = Topology {
        services: options.services,
        pods: options.pods,
        proxies: options.proxies(),
        destinations: options.destinations,
        prefix,
        addresses: Vec::new(),
    };
    let result = if options.kubernetes {
        let cluster = Cluster::connect(&topology.prefix, options.limit).await?;
        let cleaner = cluster.clone();
        let measured = async {
            let begun = Instant::now();
            cluster.fill(&mut topology).await?;
            eprintln!("objects made in {:.1} s", begun.elapsed().as_secs_f64());
            let source = Source::Cluster(Box::new(cluster));
            all_steps(options, root.path(), &binary, &topology, &source).await
        };
        let result = until_interrupted(measured).await;
        eprintln!("removing the objects");
        tokio::select! {
            cleared = cleaner.clear() => cleared.and(result),
            // The first one began this.
            interrupted = ctrl_c() => {
                interrupted?;
                anyhow::bail!("interrupted; remove the rest by: {}", cleaner.by_hand())
            }
        }
    } else {
        topology.addresses = Topology::own_addresses(topology.services);
        let source = Source::Files(Files::write(root.path(), &topology)?);
        until_interrupted(all_steps(options, root.path(), &binary, &topology, &source)).await
    };
    if options.keep {
        eprintln!("files and log are in {}", root.keep().display());
    }
    result
}

async fn until_interrupted(
    work: impl Future<Output = anyhow::Result<Report>>,
) -> anyhow::Result<Report> {
    tokio::select! {
        result = work => result,
        interrupted = ctrl_c() => {
            interrupted?;
            anyhow::bail!("interrupted")
        }
    }
}

async fn all_steps(
    options: &Options,
    root: &Path,
    binary: &Path,
    topology: &Topology,
    source: &Source,
) -> anyhow::Result<Report> {
    let mut report = Report::begin(options);
    let recipe = Recipe {
        binary: binary.to_owned(),
        root: root.to_owned(),
        source: source.arguments(),
        log: options.meshd_log.clone(),
        limit: options.limit,
    };
    let mut bench = Bench {
        options,
        topology,
        source,
        idle: 0.0,
        idle_bytes: 0.0,
    };
    let plane = recipe.start(&"127.0.0.1:0".parse()?).await?;
    let address = plane.discovery.clone();
    bench.alone(&plane, &mut report).await?;
    let certifier = Certifier::open(&recipe.authority())?;
    let fleet = Fleet::start(topology, address.clone(), &certifier)?;
    bench.connect(&plane, &fleet, &mut report).await?;
    for audience in [Audience::Everybody, Audience::Few, Audience::Nobody] {
        bench.change(&plane, &fleet, audience, &mut report).await?;
    }
    if !options.no_restart {
        let plane = bench
            .restart(plane, &recipe, &address, &fleet, &mut report)
            .await?;
        drop(fleet);
        plane.stop(options.limit).await?;
    }
    Ok(report)
}

// === impl Bench ===

impl Bench<'_> {
    /// Without proxies.
    async fn alone(&self, plane: &ControlPlane, report: &mut Report) -> anyhow::Result<()> {
        report.add(
            "meshd: start until it serves",
            milliseconds(plane.ready_after),
            "ms",
        );
        let process = plane.process();
        process.quiet(self.options.limit).await?;
        report.add("meshd: CPU of that", milliseconds(process.cpu()?), "ms");
        let memory = process.memory()?;
        report.add(
            "meshd: memory without proxies",
            mebibytes(memory.resident),
            "MiB",
        );
        report.add(
            "meshd: peak of memory until then",
            mebibytes(memory.peak),
            "MiB",
        );
        Ok(())
    }

    /// All proxies connect, then call their destinations.
    async fn connect(
        &mut self,
        plane: &ControlPlane,
        fleet: &Fleet,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let (process, limit) = (plane.process(), self.options.limit);
        let before = process.memory()?.resident;
        let each = |now: u64| now.saturating_sub(before) as f64 / self.topology.proxies as f64;

        let span = Span::begin(process)?;
        fleet.connected(limit).await?;
        report.add("proxies: until all are connected", span.time(), "ms");
        report.add("proxies: meshd's CPU of that", span.cpu()?, "ms");
        process.quiet(limit).await?;
        let now = process.memory()?.resident;
        report.add(
            "meshd: memory for a proxy without destinations",
            each(now),
            "KiB",
        );

        let span = Span::begin(process)?;
        fleet.call();
        fleet.complete(limit).await?;
        report.add(
            "proxies: until all have their destinations",
            span.time(),
            "ms",
        );
        report.add("proxies: meshd's CPU of that", span.cpu()?, "ms");
        process.quiet(limit).await?;
        let now = process.memory()?.resident;
        report.with_budget(
            format!(
                "meshd: memory for a proxy with {} destinations",
                self.topology.destinations
            ),
            each(now),
            "KiB",
            PROXY_MEMORY,
        );
        report.add("meshd: memory with all proxies", mebibytes(now), "MiB");
        let bytes = fleet.traffic().bytes;
        self.idle = process.idle_share(IDLE).await?;
        self.idle_bytes = (fleet.traffic().bytes - bytes) as f64 / milliseconds(IDLE);
        report.add("meshd: CPU while nothing happens", self.idle * 100.0, "%");
        Ok(())
    }

    /// An endpoint goes and comes.
    async fn change(
        &self,
        plane: &ControlPlane,
        fleet: &Fleet,
        audience: Audience,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let service = self.topology.called_by(audience);
        let callers = self.topology.callers(service);
        let what = match audience {
            Audience::Everybody => format!("change for all {callers} proxies"),
            Audience::Few => format!("change for {callers} of the proxies"),
            Audience::Nobody => "change for no proxy".to_owned(),
        };
        if callers == 0 && audience != Audience::Nobody {
            return Ok(());
        }
        let pods = self.topology.pods_of(service);
        let pod = pods.last().context("a service has no pods")?;
        let process = plane.process();
        let (mut arrivals, mut last) = (Vec::new(), Vec::new());
        let (mut cpu, mut idle_bytes, before) = (0.0, 0.0, fleet.traffic());
        for number in 0..self.options.changes {
            let revision = plane.revision().await?;
            let span = Span::begin(process)?;
            let expected = fleet.expect(self.topology.workload(pod), callers);
            let unready = (number % 2 == 0).then_some(pod);
            self.source.change(self.topology, service, unready).await?;
            let times = self.wait(plane, expected, revision, callers).await?;
            last.extend(times.iter().max());
            arrivals.extend(times);
            process.quiet(self.options.limit).await?;
            cpu += span.cpu()? - span.time() * self.idle;
            idle_bytes += span.time() * self.idle_bytes;
        }
        let changes = self.options.changes as f64;
        if callers > 0 {
            let enforcement = (audience == Audience::Few).then_some(ENFORCEMENT);
            report.times(
                &format!("{what}: until a proxy has it"),
                arrivals,
                enforcement,
            );
            report.few_times(&format!("{what}: until the last has it"), last);
        }
        let all = audience == Audience::Everybody && callers == PUSH_PROXIES;
        let budget = all.then_some(PUSH_CPU);
        report.with_budget(
            format!("{what}: meshd's CPU"),
            (cpu / changes).max(0.0),
            "ms",
            budget,
        );
        let Traffic { bytes, pushes } = fleet.traffic();
        let pushed = (pushes - before.pushes) as f64;
        report.add(format!("{what}: responses"), pushed / changes, "");
        // Of few responses little would be left beside the pings of all proxies.
        if pushed > 0.0 && audience == Audience::Everybody {
            let bytes = ((bytes - before.bytes) as f64 - idle_bytes).max(0.0);
            report.add(format!("{what}: bytes for a response"), bytes / pushed, "B");
        }
        Ok(())
    }

    /// Waits until a change is everywhere.
    async fn wait(
        &self,
        plane: &ControlPlane,
        expected: Expected<'_>,
        revision: u64,
        callers: usize,
    ) -> anyhow::Result<Vec<Duration>> {
        let limit = self.options.limit;
        if callers > 0 {
            return expected.arrivals(limit).await;
        }
        // Nobody is told: what is left to see is a new revision, and then rest.
        let end = Instant::now() + limit;
        loop {
            plane.process().quiet(limit).await?;
            if plane.revision().await? > revision {
                return Ok(Vec::new());
            }
            anyhow::ensure!(
                Instant::now() < end,
                "waiting for a revision above {revision}: none after {limit:?}"
            );
        }
    }

    /// The control plane goes and comes, and all proxies connect again at the same time.
    async fn restart(
        &self,
        plane: ControlPlane,
        recipe: &Recipe,
        address: &ListenAddress,
        fleet: &Fleet,
        report: &mut Report,
    ) -> anyhow::Result<ControlPlane> {
        let limit = self.options.limit;
        fleet.unleash();
        let (troubles, before) = (fleet.troubles(), fleet.traffic());
        let begun = Instant::now();
        plane.stop(limit).await?;
        fleet.gone(limit).await?;
        let stopped = begun.elapsed();
        let plane = recipe.start(address).await?;
        let serving = Instant::now();
        fleet.complete(limit).await?;
        report.add(
            "restart: until meshd has stopped",
            milliseconds(stopped),
            "ms",
        );
        report.add(
            "restart: start until it serves",
            milliseconds(plane.ready_after),
            "ms",
        );
        report.add(
            "restart: from then until all are in sync",
            milliseconds(serving.elapsed()),
            "ms",
        );
        let process = plane.process();
        let failed = fleet.troubles() - troubles;
        let each = failed as f64 / self.topology.proxies as f64;
        report.add("restart: failed or ended connections of a proxy", each, "");
        let bytes = (fleet.traffic().bytes - before.bytes) as f64;
        let each = bytes / self.topology.proxies as f64;
        report.add("restart: bytes for a proxy", each, "B");
        process.quiet(limit).await?;
        report.add("restart: meshd's CPU", milliseconds(process.cpu()?), "ms");
        let memory = process.memory()?;
        report.add(
            "restart: memory with all proxies",
            mebibytes(memory.resident),
            "MiB",
        );
        report.add("restart: peak of memory", mebibytes(memory.peak), "MiB");
        Ok(plane)
    }
}

// === impl Span ===

impl Span {
    fn begin(process: Process) -> anyhow::Result<Self> {
        Ok(Self {
            process,
            cpu: process.cpu()?,
            begun: Instant::now(),
        })
    }

    /// Milliseconds so far.
    fn time(&self) -> f64 {
        milliseconds(self.begun.elapsed())
    }

    /// CPU time of the process since, milliseconds.
    fn cpu(&self) -> anyhow::Result<f64> {
        Ok(milliseconds(self.process.cpu()?.saturating_sub(self.cpu)))
    }
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
