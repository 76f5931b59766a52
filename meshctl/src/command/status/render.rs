//! The report for people.

use mesh_api::v1::{ControlPlaneStatus, ProxySelf, Severity};
use meshd_core::ProblemLine;

use super::{Place, Proxy, Report, Workload};
use crate::cluster::{PodInfo, PodKind};
use crate::output::count;
use crate::state::{WorkloadKind, WorkloadRecord};
use crate::table::Table;

/// Characters of a digest that are shown.
const DIGEST: usize = 12;

pub(super) fn text(report: &Report, now: i64) -> String {
    let mut text = head(report);
    match &report.place {
        Place::Laptop { .. } => text.push_str(&processes(report, now)),
        Place::Cluster { .. } => {
            text.push_str(&replicas(report));
            text.push_str(&pods(report, now));
        }
    }
    for proxy in &report.proxies {
        let name = proxy.workload.name();
        for trouble in proxy.own.iter().flat_map(|own| &own.troubles) {
            text.push_str(&format!("\n\n{name}: {trouble}"));
        }
        let own = proxy.own.iter().flat_map(|own| &own.rejected);
        let last = own
            .chain(proxy.seen.iter().flat_map(|seen| &seen.rejected))
            .next();
        if let Some(refusal) = last {
            text.push_str(&format!(
                "\n\n{name} refuses {}: {}",
                refusal.resource, refusal.reason
            ));
        }
    }
    if !report.problems.is_empty() {
        text.push_str("\n\nproblems of the configuration:");
        for problem in report
            .problems
            .iter()
            .filter(|problem| problem.severity() != Severity::Info)
        {
            text.push_str(&format!("\n{}", ProblemLine(problem)));
        }
    }
    text
}

fn head(report: &Report) -> String {
    let mesh = match &report.place {
        Place::Laptop { state, .. } => format!("mesh in {state}"),
        Place::Cluster {
            context, namespace, ..
        } => format!("mesh of {namespace} in context {context}"),
    };
    let Some(status) = &report.control_plane else {
        return format!(
            "{mesh}: the control plane does not answer ({}); proxies go on with what they have\n\n",
            report.control_plane_error.as_deref().unwrap_or_default()
        );
    };
    let what = match (status.revision, status.digest.get(..DIGEST)) {
        // Several replicas, which count each for itself.
        (0, Some(digest)) => format!("content {digest}"),
        (0, None) => "replicas do not agree; the newest of each".to_owned(),
        (revision, _) => format!("revision {revision}"),
    };
    format!(
        "{mesh}: {what} runs on {} of {} connected proxies; {}, {}\n\n",
        status.current,
        status.connected,
        count(status.errors, "error"),
        count(status.warnings, "warning")
    )
}

fn processes(report: &Report, now: i64) -> String {
    let mut table = Table::new([
        "WORKLOAD",
        "KIND",
        "ADDRESS",
        "PROXY",
        "APPLICATION",
        "REVISION",
        "CERTIFICATE",
    ]);
    for proxy in &report.proxies {
        let Workload::Process(record) = &proxy.workload else {
            continue;
        };
        table.row([
            record.name.clone(),
            match record.kind {
                WorkloadKind::Sidecar => "sidecar".to_owned(),
                WorkloadKind::Gateway => "gateway".to_owned(),
            },
            record.address.to_string(),
            own_state(proxy.own.as_ref()),
            application(record),
            revision(proxy),
            certificate(
                proxy
                    .own
                    .as_ref()
                    .map_or(0, |own| own.certificate_not_after),
                now,
            ),
        ]);
    }
    table.to_string()
}

fn replicas(report: &Report) -> String {
    let mut table = Table::new(["REPLICA", "OF", "VERSION", "REVISION", "CONTENT", "PROXIES"]);
    for replica in &report.replicas {
        let shown = |show: &dyn Fn(&ControlPlaneStatus) -> String| {
            replica.status.as_ref().map_or_else(|| "-".to_owned(), show)
        };
        table.row([
            replica.replica.clone(),
            replica.deployment.clone(),
            shown(&|status| status.build_version.clone()),
            shown(&|status| status.revision.to_string()),
            shown(&|status| {
                let digest = status.digest.get(..DIGEST);
                digest.unwrap_or(&status.digest).to_owned()
            }),
            match &replica.error {
                Some(error) => error.clone(),
                None => shown(&|status| format!("{} of {}", status.current, status.connected)),
            },
        ]);
    }
    format!("{table}\n\n")
}

fn pods(report: &Report, now: i64) -> String {
    let mut table = Table::new([
        "WORKLOAD",
        "KIND",
        "ADDRESS",
        "PROXY",
        "REPLICA",
        "REVISION",
        "CERTIFICATE",
    ]);
    for proxy in &report.proxies {
        let Workload::Pod(pod) = &proxy.workload else {
            continue;
        };
        let not_after = match (&proxy.own, &proxy.seen) {
            (Some(own), _) => own.certificate_not_after,
            (None, Some(seen)) => seen.certificate_not_after,
            (None, None) => 0,
        };
        let known = proxy.own.is_some() || proxy.seen.is_some();
        table.row([
            pod.uid(),
            match pod.kind {
                PodKind::Gateway => "gateway".to_owned(),
                PodKind::Sidecar | PodKind::Outside => "sidecar".to_owned(),
            },
            pod.address
                .map_or_else(|| "-".to_owned(), |address| address.to_string()),
            pod_state(proxy, pod),
            proxy.replica.clone().unwrap_or_else(|| "-".to_owned()),
            revision(proxy),
            match (known, not_after) {
                // The control plane knows it only of those that have told it.
                (true, 0) if proxy.own.is_none() => "-".to_owned(),
                (true, not_after) => certificate(not_after, now),
                (false, _) => "-".to_owned(),
            },
        ]);
    }
    if table.is_empty() {
        return "no pods with a proxy of this mesh: label a namespace, `kubectl label namespace NAME istio.io/rev=mesh`, and restart its pods".to_owned();
    }
    table.to_string()
}

fn own_state(own: Option<&ProxySelf>) -> String {
    match own {
        None => "does not answer".to_owned(),
        Some(own) if own.draining => "drains".to_owned(),
        Some(own) if !own.ready => "not ready".to_owned(),
        Some(own) if !own.connected => "ready, on its own".to_owned(),
        Some(_) => "ready".to_owned(),
    }
}

fn pod_state(proxy: &Proxy, pod: &PodInfo) -> String {
    let connected = proxy.seen.as_ref().is_some_and(|seen| seen.connected);
    match (pod.phase.as_str(), &proxy.own) {
        ("Running", _) if connected && pod.ready => "ready".to_owned(),
        ("Running", _) if connected => "connected, pod not ready".to_owned(),
        ("Running", own) => own_state(own.as_ref()),
        (phase, _) => phase.to_lowercase(),
    }
}

fn application(record: &WorkloadRecord) -> String {
    match (&record.log, record.app_pid) {
        (None, _) if record.kind == WorkloadKind::Gateway => "-".to_owned(),
        (None, _) if record.ports.is_empty() => "none".to_owned(),
        (None, _) => "yours".to_owned(),
        (Some(_), Some(pid)) => format!("runs ({pid})"),
        (Some(_), None) => "ended".to_owned(),
    }
}

fn revision(proxy: &Proxy) -> String {
    let runs = proxy.own.as_ref().map(|own| own.revision);
    let acked = proxy
        .seen
        .as_ref()
        .filter(|seen| seen.connected)
        .map(|seen| seen.acked_revision);
    match (acked.or(runs), proxy.newest) {
        (None | Some(0), _) => "none".to_owned(),
        (Some(runs), Some(newest)) if runs < newest => format!("{runs} (newest {newest})"),
        (Some(runs), _) => runs.to_string(),
    }
}

fn certificate(not_after: i64, now: i64) -> String {
    let left = not_after - now;
    match left {
        _ if not_after == 0 => "none".to_owned(),
        left if left <= 0 => "expired".to_owned(),
        left => format!("{} left", rough(left)),
    }
}

/// The two largest units.
fn rough(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) if minutes == 0 => format!("{seconds}s"),
        (0, 0) => format!("{minutes}m {}s", seconds % 60),
        (0, hours) => format!("{hours}h {minutes}m"),
        (days, hours) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests;
