//! What the kernel says of a process (proc(5)).

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::time::sleep;

/// Length of a tick in /proc/PID/stat: `USER_HZ` is 100 on every architecture of Linux.
const TICK: Duration = Duration::from_millis(10);
/// How often a process is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(100);
/// A process that used less than this of the time of so many looks one after the other is quiet.
const QUIET_LOOKS: u32 = 4;
const QUIET_SHARE: f64 = 0.15;

/// A process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(u32);

/// Memory of a process, KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// In RAM now.
    pub(crate) resident: u64,
    /// The most that ever was.
    pub(crate) peak: u64,
}

// === impl Process ===

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self(id)
    }

    fn read(self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}: meshd has ended"))
    }

    /// Memory now.
    pub(crate) fn memory(self) -> anyhow::Result<Memory> {
        let status = self.read("status")?;
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| {
                    line.strip_prefix(name)?
                        .strip_suffix("kB")?
                        .trim()
                        .parse()
                        .ok()
                })
                .with_context(|| format!("/proc/{}/status has no {name}", self.0))
        };
        Ok(Memory {
            resident: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }

    /// CPU time used so far, in user and kernel mode, in steps of 10 ms.
    pub(crate) fn cpu(self) -> anyhow::Result<Duration> {
        let stat = self.read("stat")?;
        // The name before it may hold anything.
        let (_, rest) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
        let ticks = rest
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u32>)
            .sum::<Result<u32, _>>()?;
        Ok(TICK * ticks)
    }

    /// Waits until it has next to nothing to do.
    pub(crate) async fn quiet(self, limit: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        let (mut before, mut at, mut looks) = (self.cpu()?, Instant::now(), 0);
        while looks < QUIET_LOOKS {
            sleep(LOOK).await;
            let (now, cpu) = (Instant::now(), self.cpu()?);
            let share = (cpu - before).as_secs_f64() / (now - at).as_secs_f64();
            looks = if share < QUIET_SHARE { looks + 1 } else { 0 };
            (before, at) = (cpu, now);
            if now > end {
                bail!(
                    "meshd is still at work after {limit:?}: {:.0} % of a core",
                    share * 100.0
                );
            }
        }
        Ok(())
    }

    /// Share of a core that it uses while nothing happens.
    pub(crate) async fn idle_share(self, during: Duration) -> anyhow::Result<f64> {
        let (before, at) = (self.cpu()?, Instant::now());
        sleep(during).await;
        Ok((self.cpu()? - before).as_secs_f64() / at.elapsed().as_secs_f64())
    }
}
