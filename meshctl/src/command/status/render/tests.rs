use std::collections::BTreeMap;
use std::path::PathBuf;

use mesh_api::v1::{Origin, Problem, ProxyStatus, Rejection};

use super::*;
use crate::state::Capture;
use crate::target::ReplicaReport;

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

fn process(name: &str, kind: WorkloadKind, app_pid: Option<u32>) -> Workload {
    Workload::Process(Box::new(record(name, kind, app_pid)))
}

fn laptop() -> Place {
    Place::Laptop {
        state: "/s".to_owned(),
        capture: Capture::Explicit,
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
        place: laptop(),
        control_plane: Some(ControlPlaneStatus {
            revision: 5,
            connected: 2,
            current: 1,
            errors: 1,
            ..ControlPlaneStatus::default()
        }),
        control_plane_error: None,
        replicas: vec![],
        proxies: vec![
            Proxy {
                workload: process("default/reviews-v1", WorkloadKind::Sidecar, Some(12)),
                own: Some(ProxySelf {
                    rejected: vec![refusal],
                    ..own(4)
                }),
                seen: None,
                replica: None,
                newest: Some(5),
            },
            Proxy {
                workload: process("istio-system/gw", WorkloadKind::Gateway, None),
                own: Some(ProxySelf {
                    connected: false,
                    ..own(5)
                }),
                seen: None,
                replica: None,
                newest: Some(5),
            },
            Proxy {
                workload: process("default/x", WorkloadKind::Sidecar, None),
                own: None,
                seen: None,
                replica: None,
                newest: Some(5),
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
    let text = super::text(&report, 4000);
    assert!(text.starts_with(want), "{text}");
    assert!(
        text.contains("a.yaml:3:1: error: unknown field `hsots`"),
        "{text}"
    );
}

#[test]
fn says_when_the_control_plane_is_away() {
    let report = Report {
        place: laptop(),
        control_plane: None,
        control_plane_error: Some("cannot connect".to_owned()),
        replicas: vec![],
        proxies: vec![],
        problems: vec![],
    };
    assert!(super::text(&report, 0).contains("does not answer (cannot connect)"));
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

fn pod(name: &str, kind: PodKind, phase: &str, ready: bool) -> PodInfo {
    PodInfo {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        controller: ("Deployment".to_owned(), name.to_owned()),
        address: (phase != "Pending").then(|| "10.1.0.7".parse().unwrap()),
        kind,
        ready,
        phase: phase.to_owned(),
        ..PodInfo::default()
    }
}

fn in_pod(pod: PodInfo, replica: Option<&str>, acked: u64) -> Proxy {
    let seen = replica.map(|_| ProxyStatus {
        workload: pod.uid(),
        connected: true,
        acked_revision: acked,
        certificate_not_after: 90_000,
        ..ProxyStatus::default()
    });
    Proxy {
        workload: Workload::Pod(Box::new(pod)),
        own: None,
        newest: seen.is_some().then_some(3),
        seen,
        replica: replica.map(str::to_owned),
    }
}

#[test]
fn shows_replicas_and_pods_of_a_cluster() {
    let replica = |name: &str, revision| ReplicaReport {
        replica: name.to_owned(),
        deployment: "meshd".to_owned(),
        status: Some(ControlPlaneStatus {
            revision,
            digest: "0123456789abcdef".to_owned(),
            connected: 1,
            current: 1,
            build_version: "0.1.0".to_owned(),
            ..ControlPlaneStatus::default()
        }),
        ..ReplicaReport::default()
    };
    let report = Report {
        place: Place::Cluster {
            context: "kind".to_owned(),
            server: "https://1".to_owned(),
            namespace: "istio-system".to_owned(),
        },
        control_plane: Some(ControlPlaneStatus {
            digest: "0123456789abcdef".to_owned(),
            connected: 2,
            current: 2,
            ..ControlPlaneStatus::default()
        }),
        control_plane_error: None,
        replicas: vec![replica("meshd-a", 9), replica("meshd-b", 3)],
        proxies: vec![
            in_pod(
                pod("reviews", PodKind::Sidecar, "Running", true),
                Some("meshd-b"),
                3,
            ),
            in_pod(
                pod("gateway", PodKind::Gateway, "Running", false),
                Some("meshd-b"),
                2,
            ),
            in_pod(pod("late", PodKind::Sidecar, "Pending", false), None, 0),
        ],
        problems: vec![],
    };
    let want = "\
mesh of istio-system in context kind: content 0123456789ab runs on 2 of 2 connected proxies; 0 errors, 0 warnings

REPLICA  OF     VERSION  REVISION  CONTENT       PROXIES
meshd-a  meshd  0.1.0    9         0123456789ab  1 of 1
meshd-b  meshd  0.1.0    3         0123456789ab  1 of 1

WORKLOAD      KIND     ADDRESS   PROXY                     REPLICA  REVISION      CERTIFICATE
shop/reviews  sidecar  10.1.0.7  ready                     meshd-b  3             23h 53m left
shop/gateway  gateway  10.1.0.7  connected, pod not ready  meshd-b  2 (newest 3)  23h 53m left
shop/late     sidecar  -         pending                   -        none          -";
    assert_eq!(super::text(&report, 4000), want);
}
