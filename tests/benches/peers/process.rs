//! What the kernel says of a process (proc(5)).

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// Length of a tick in /proc/PID/stat: `USER_HZ` is 100 on every architecture of Linux.
const TICK: Duration = Duration::from_millis(10);
/// A process whose memory has not changed for so many looks has settled.
const SETTLED_LOOKS: u32 = 12;
const MOST_LOOKS: u32 = 60;
const LOOK: Duration = Duration::from_millis(250);
/// MiB.
const ALIKE: f64 = 0.1;
/// TCP_LISTEN of the kernel, as /proc/net/tcp writes it.
const LISTEN: &str = "0A";

/// CPU time that the processes used so far, in user and kernel mode, in steps of 10 ms.
pub(crate) fn cpu(processes: &[u32]) -> anyhow::Result<Duration> {
    processes.iter().map(|id| cpu_of(*id)).sum()
}

fn cpu_of(id: u32) -> anyhow::Result<Duration> {
    let stat = read(id, "stat")?;
    ticks(&stat)
        .map(|ticks| TICK * ticks)
        .with_context(|| format!("/proc/{id}/stat cannot be read: {stat}"))
}

fn ticks(stat: &str) -> Option<u32> {
    // The name before it may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let kernel: u32 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

/// Memory of the largest of the processes now, MiB.
pub(crate) fn resident(processes: &[u32]) -> anyhow::Result<f64> {
    largest(processes, "VmRSS:")
}

/// The same, once it has not changed for a while: proxies give back what only their start needed.
pub(crate) fn settled(processes: &[u32]) -> anyhow::Result<f64> {
    let mut known = resident(processes)?;
    let mut same = 0;
    for _ in 0..MOST_LOOKS {
        std::thread::sleep(LOOK);
        let now = resident(processes)?;
        same = if (now - known).abs() < ALIKE {
            same + 1
        } else {
            0
        };
        known = now;
        if same == SETTLED_LOOKS {
            break;
        }
    }
    Ok(known)
}

/// Begins anew with the most memory that each process has (proc(5), `clear_refs`).
pub(crate) fn forget_peak(processes: &[u32]) -> anyhow::Result<()> {
    for id in processes {
        let path = format!("/proc/{id}/clear_refs");
        fs::write(&path, "5").with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

/// The most memory that the largest of the processes had since then, MiB.
pub(crate) fn peak(processes: &[u32]) -> anyhow::Result<f64> {
    largest(processes, "VmHWM:")
}

fn largest(processes: &[u32], field: &str) -> anyhow::Result<f64> {
    let mut largest = 0.0_f64;
    for id in processes {
        let status = read(*id, "status")?;
        let kibibytes = kibibytes(&status, field)
            .with_context(|| format!("/proc/{id}/status has no {field}"))?;
        largest = largest.max(kibibytes / 1024.0);
    }
    Ok(largest)
}

fn kibibytes(status: &str, field: &str) -> Option<f64> {
    status.lines().find_map(|line| {
        line.strip_prefix(field)?
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()
    })
}

fn read(id: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{id}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}: a proxy has ended"))
}

/// Whether somebody listens on the port. Nobody is called: some servers would take it for work.
pub(crate) fn listens(port: u16) -> anyhow::Result<bool> {
    let of_file = |file: &str| Ok::<_, anyhow::Error>(is_listed(&fs::read_to_string(file)?, port));
    Ok(of_file("/proc/net/tcp")? || of_file("/proc/net/tcp6").unwrap_or(false))
}

fn is_listed(table: &str, port: u16) -> bool {
    let port = format!("{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next().and_then(|address| address.rsplit_once(':'));
        let state = fields.nth(1);
        local.is_some_and(|(_, number)| number == port) && state == Some(LISTEN)
    })
}
