//! `meshctl status`.

use std::process::ExitCode;

use mesh_api::v1::{
    ControlPlaneStatus, Problem, ProblemList, ProxyList, ProxySelf, ProxyStatus, Severity,
};
use meshd_core::ProblemLine;
use serde::Serialize;

use crate::call::Admin;
use crate::cli::{Output, StatusArgs};
use crate::clock;
use crate::output::{count, json, say};
use crate::state::{Capture, MeshRecord, StateDir, WorkloadKind, WorkloadRecord};
use crate::table::Table;

/// Everything that `status` tells; the form of `-o json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    state: String,
    capture: Capture,
    /// None while it does not answer.
    control_plane: Option<ControlPlaneStatus>,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    control_plane_error: Option<String>,
    proxies: Vec<Proxy>,
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Proxy {
    #[serde(flatten)]
    record: WorkloadRecord,
    /// What the proxy says of itself; none while it does not answer.
    own: Option<ProxySelf>,
    /// What the control plane says of it; none if it has not seen it.
    seen: Option<ProxyStatus>,
}

pub(super) async fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let state = StateDir::find(args.state.state.as_deref())?;
    let record = MeshRecord::of_running(&state)?;
    let report = gather(&state, record).await;
    match args.output.output {
        Output::Json => json(&report)?,
        Output::Text => say(render(&report, clock::unix_seconds())),
    }
    Ok(ExitCode::SUCCESS)
}

async fn gather(state: &StateDir, record: MeshRecord) -> Report {
    let admin = Admin::new("the control plane", &record.control_plane_admin);
    let (control_plane, control_plane_error) =
        match admin.get::<ControlPlaneStatus>("/v1/status").await {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error.to_string())),
        };
    let mut seen = Vec::new();
    let mut problems = Vec::new();
    if control_plane.is_some() {
        // It answered a moment ago; if it has gone since, the first answer still stands.
        seen = admin
            .get::<ProxyList>("/v1/proxies")
            .await
            .map(|list| list.proxies)
            .unwrap_or_default();
        problems = admin
            .get::<ProblemList>("/v1/problems")
            .await
            .map(|list| list.problems)
            .unwrap_or_default();
    }
    let mut proxies = Vec::new();
    for record in record.workloads {
        let own = Admin::new(format!("the proxy of {}", record.name), &record.admin)
            .get("/v1/status")
            .await
            .ok();
        let seen = seen
            .iter()
            .find(|proxy| proxy.workload == record.name)
            .cloned();
        proxies.push(Proxy { record, own, seen });
    }
    let capture = record.capture;
    Report {
        state: state.root().display().to_string(),
        capture,
        control_plane,
        control_plane_error,
        proxies,
        problems,
    }
}

fn render(report: &Report, now: i64) -> String {
    let mut text = String::new();
    match (&report.control_plane, &report.control_plane_error) {
        (Some(status), _) => text.push_str(&format!(
            "mesh in {}: revision {} runs on {} of {} connected proxies; {}, {}\n\n",
            report.state,
            status.revision,
            status.current,
            status.connected,
            count(status.errors, "error"),
            count(status.warnings, "warning")
        )),
        (None, error) => text.push_str(&format!(
            "mesh in {}: the control plane does not answer ({}); proxies go on with what they have\n\n",
            report.state,
            error.as_deref().unwrap_or_default()
        )),
    }
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
        let record = &proxy.record;
        table.row([
            record.name.clone(),
            match record.kind {
                WorkloadKind::Sidecar => "sidecar".to_owned(),
                WorkloadKind::Gateway => "gateway".to_owned(),
            },
            record.address.to_string(),
            proxy_state(proxy),
            application(record),
            revision(proxy, report.control_plane.as_ref()),
            certificate(
                proxy
                    .own
                    .as_ref()
                    .map_or(0, |own| own.certificate_not_after),
                now,
            ),
        ]);
    }
    text.push_str(&table.to_string());
    for proxy in &report.proxies {
        for trouble in proxy.own.iter().flat_map(|own| &own.troubles) {
            text.push_str(&format!("\n\n{}: {trouble}", proxy.record.name));
        }
        let own = proxy.own.iter().flat_map(|own| &own.rejected);
        let last = own
            .chain(proxy.seen.iter().flat_map(|seen| &seen.rejected))
            .next();
        if let Some(refusal) = last {
            text.push_str(&format!(
                "\n\n{} refuses {}: {}",
                proxy.record.name, refusal.resource, refusal.reason
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

fn proxy_state(proxy: &Proxy) -> String {
    match &proxy.own {
        None => "does not answer".to_owned(),
        Some(own) if own.draining => "drains".to_owned(),
        Some(own) if !own.ready => "not ready".to_owned(),
        Some(own) if !own.connected => "ready, on its own".to_owned(),
        Some(_) => "ready".to_owned(),
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

fn revision(proxy: &Proxy, control_plane: Option<&ControlPlaneStatus>) -> String {
    let runs = proxy.own.as_ref().map(|own| own.revision);
    let acked = proxy
        .seen
        .as_ref()
        .filter(|seen| seen.connected)
        .map(|seen| seen.acked_revision);
    match (acked.or(runs), control_plane) {
        (None | Some(0), _) => "none".to_owned(),
        (Some(runs), Some(status)) if runs < status.revision => {
            format!("{runs} (newest {})", status.revision)
        }
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
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use mesh_api::v1::{Origin, Rejection};

    use super::*;

    fn record(name: &str, kind: WorkloadKind, app_pid: Option<u32>) -> WorkloadRecord {
        WorkloadRecord {
            name: name.to_owned(),
            kind,
            service_account: "default".to_owned(),
            labels: BTreeMap::new(),
            address: "127.64.0.2".parse().unwrap(),
            ports: vec![],
            explicit_proxy: None,
            admin: PathBuf::from("/a"),
            log: (kind == WorkloadKind::Sidecar).then(|| PathBuf::from("/log")),
            proxy_pid: Some(7),
            app_pid,
            netns: None,
            hosts: None,
        }
    }

    fn own(revision: u64) -> ProxySelf {
        ProxySelf {
            revision,
            ready: true,
            connected: true,
            certificate_not_after: 90_000,
            ..ProxySelf::default()
        }
    }

    #[test]
    fn shows_each_proxy_and_what_is_wrong() {
        let refusal = Rejection {
            resource: "routes/reviews:9080".to_owned(),
            version: "1".to_owned(),
            reason: "http[0].timeout: too long".to_owned(),
        };
        let problem = Problem {
            severity: Severity::Error.into(),
            origin: Some(Origin {
                source: "a.yaml".to_owned(),
                line: 3,
                column: 1,
                ..Origin::default()
            }),
            message: "unknown field `hsots`".to_owned(),
            code: "unknown-field".to_owned(),
        };
        let report = Report {
            state: "/s".to_owned(),
            capture: Capture::Explicit,
            control_plane: Some(ControlPlaneStatus {
                revision: 5,
                connected: 2,
                current: 1,
                errors: 1,
                ..ControlPlaneStatus::default()
            }),
            control_plane_error: None,
            proxies: vec![
                Proxy {
                    record: record("default/reviews-v1", WorkloadKind::Sidecar, Some(12)),
                    own: Some(ProxySelf {
                        rejected: vec![refusal],
                        ..own(4)
                    }),
                    seen: None,
                },
                Proxy {
                    record: record("istio-system/gw", WorkloadKind::Gateway, None),
                    own: Some(ProxySelf {
                        connected: false,
                        ..own(5)
                    }),
                    seen: None,
                },
                Proxy {
                    record: record("default/x", WorkloadKind::Sidecar, None),
                    own: None,
                    seen: None,
                },
            ],
            problems: vec![problem],
        };
        let want = "\
mesh in /s: revision 5 runs on 1 of 2 connected proxies; 1 error, 0 warnings

WORKLOAD            KIND     ADDRESS     PROXY              APPLICATION  REVISION      CERTIFICATE
default/reviews-v1  sidecar  127.64.0.2  ready              runs (12)    4 (newest 5)  23h 53m left
istio-system/gw     gateway  127.64.0.2  ready, on its own  -            5             23h 53m left
default/x           sidecar  127.64.0.2  does not answer    ended        none          none

default/reviews-v1 refuses routes/reviews:9080: http[0].timeout: too long

problems of the configuration:
";
        let text = render(&report, 4000);
        assert!(text.starts_with(want), "{text}");
        assert!(
            text.contains("a.yaml:3:1: error: unknown field `hsots`"),
            "{text}"
        );
    }

    #[test]
    fn says_when_the_control_plane_is_away() {
        let report = Report {
            state: "/s".to_owned(),
            capture: Capture::Explicit,
            control_plane: None,
            control_plane_error: Some("cannot connect".to_owned()),
            proxies: vec![],
            problems: vec![],
        };
        assert!(render(&report, 0).contains("does not answer (cannot connect)"));
    }

    #[test]
    fn remaining_life_is_rough() {
        for (left, text) in [
            (5, "5s left"),
            (65, "1m 5s left"),
            (7300, "2h 1m left"),
            (90_000, "1d 1h left"),
            (0, "expired"),
        ] {
            assert_eq!(certificate(1000 + left, 1000), text);
        }
        assert_eq!(certificate(0, 1000), "none");
    }
}
