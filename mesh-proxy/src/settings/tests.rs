use super::*;

fn valid() -> SettingsSource {
    SettingsSource {
        workload: Some("default/reviews-v1".into()),
        control: Some("unix:///run/meshd.sock".into()),
        roots: Some("/run/root.pem".into()),
        explicit: Some("127.0.0.1:0".into()),
        ..SettingsSource::default()
    }
}

#[test]
fn defaults() {
    let settings = Settings::try_from(valid()).unwrap();
    assert_eq!(settings.kind, ProxyKind::Sidecar);
    let plane = settings.control_plane().unwrap();
    assert_eq!(plane.ca, plane.address);
    assert_eq!(plane.name, "meshd");
    assert_eq!(settings.cluster, "Kubernetes");
    assert_eq!(settings.drain, Duration::from_secs(5));
    assert_eq!(settings.inbound, InboundMode::Explicit(vec![]));
    assert_eq!(
        settings.access_log,
        AccessLog {
            sink: LogSink::Off,
            format: LogFormat::Text
        }
    );
    assert!((1..=2).contains(&settings.concurrency.get()));
}

#[test]
fn reads_everything() {
    let settings = Settings::try_from(SettingsSource {
        labels: vec!["app=reviews".into(), "version=v1".into()],
        addresses: vec!["127.77.3.5".into(), "::1".into()],
        ca: Some("https://ca.example:15012".into()),
        inbound: vec!["9080=127.77.3.5:9080=127.0.0.1:4000".into()],
        admin: Some("127.0.0.1:15000".into()),
        access_log: Some("/var/log/access".into()),
        access_log_format: Some("json".into()),
        drain: Some("250ms".into()),
        certificate_ttl: Some("24h".into()),
        own_mark: Some("0x539".into()),
        concurrency: Some("3".into()),
        ..valid()
    })
    .unwrap();
    assert_eq!(settings.labels["version"], "v1");
    assert_eq!(settings.addresses.len(), 2);
    assert_eq!(
        settings.control_plane().unwrap().ca,
        ControlAddress::Tcp {
            host: "ca.example".into(),
            port: 15012
        }
    );
    assert_eq!(
        settings.inbound,
        InboundMode::Explicit(vec![InboundBinding {
            port: 9080,
            listen: "127.77.3.5:9080".parse().unwrap(),
            app: "127.0.0.1:4000".parse().unwrap(),
        }])
    );
    assert_eq!(
        settings.access_log.sink,
        LogSink::File("/var/log/access".into())
    );
    assert_eq!(settings.drain, Duration::from_millis(250));
    assert_eq!(settings.certificate_ttl, Duration::from_secs(86_400));
    assert_eq!(settings.own_mark, Some(0x539));
    assert_eq!(settings.concurrency.get(), 3);
    assert_eq!(settings.node().admin_address, "http://127.0.0.1:15000");
}

#[test]
fn all_errors_at_once() {
    let errors = Settings::try_from(SettingsSource {
        kind: Some("other".into()),
        control: Some("http://localhost:1".into()),
        labels: vec!["novalue".into()],
        admin: Some("0.0.0.0:15000".into()),
        drain: Some("5".into()),
        inbound: vec!["9080".into()],
        inbound_transparent: Some("0.0.0.0:15006".into()),
        concurrency: Some("0".into()),
        ..SettingsSource::default()
    })
    .unwrap_err();
    let text = errors.to_string();
    for name in ["kind", "control", "workload", "roots", "admin", "inbound"] {
        assert!(text.contains(&format!("--{name}")), "{name} in:\n{text}");
    }
    assert!(text.contains("exclude each other"), "{text}");
}

#[test]
fn later_fields_are_checked_too() {
    let errors = Settings::try_from(SettingsSource {
        drain: Some("5".into()),
        labels: vec!["=x".into()],
        concurrency: Some("0".into()),
        control_name: Some("not a name".into()),
        own_mark: Some("0".into()),
        ..valid()
    })
    .unwrap_err();
    assert_eq!(errors.0.len(), 5, "{errors}");
}

#[test]
fn kinds_and_listeners_must_agree() {
    for (source, wrong) in [
        (valid(), false),
        (
            SettingsSource {
                explicit: None,
                ..valid()
            },
            true,
        ),
        (
            SettingsSource {
                kind: Some("gateway".into()),
                ..valid()
            },
            true,
        ),
        (
            SettingsSource {
                kind: Some("gateway".into()),
                explicit: None,
                ..valid()
            },
            false,
        ),
        (
            SettingsSource {
                explicit: None,
                hbone: Some("0.0.0.0:15008".into()),
                ..valid()
            },
            false,
        ),
        (
            SettingsSource {
                kind: Some("gateway".into()),
                explicit: None,
                hbone: Some("0.0.0.0:15008".into()),
                ..valid()
            },
            true,
        ),
    ] {
        assert_eq!(
            Settings::try_from(source.clone()).is_err(),
            wrong,
            "{source:?}"
        );
    }
}

#[test]
fn files_stand_in_for_a_control_plane() {
    let files = SettingsSource {
        resources: Some("/etc/mesh/resources.yaml".into()),
        control: None,
        roots: None,
        ..valid()
    };
    let settings = Settings::try_from(files.clone()).unwrap();
    assert!(settings.control_plane().is_none());
    let certified = SettingsSource {
        certificate: Some("/etc/mesh/tls.crt".into()),
        private_key: Some("/etc/mesh/tls.key".into()),
        roots: Some("/etc/mesh/roots.pem".into()),
        ..files.clone()
    };
    let settings = Settings::try_from(certified.clone()).unwrap();
    assert_eq!(
        settings.provider,
        Provider::Files(StaticFiles {
            resources: "/etc/mesh/resources.yaml".into(),
            identity: Some(IdentityFiles {
                certificate: "/etc/mesh/tls.crt".into(),
                private_key: "/etc/mesh/tls.key".into(),
                roots: "/etc/mesh/roots.pem".into(),
            }),
        })
    );
    for (source, part) in [
        (
            SettingsSource {
                roots: None,
                ..certified.clone()
            },
            "together",
        ),
        (
            SettingsSource {
                control: Some("https://meshd:15012".into()),
                ..files.clone()
            },
            "--control",
        ),
        (
            SettingsSource {
                state: Some("/var/lib/mesh".into()),
                ..files
            },
            "--state",
        ),
        (
            SettingsSource {
                certificate: Some("/etc/mesh/tls.crt".into()),
                ..valid()
            },
            "--resources",
        ),
    ] {
        let error = Settings::try_from(source).unwrap_err().to_string();
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn control_addresses() {
    for text in [
        "unix:///run/a.sock",
        "https://meshd:15012",
        "https://127.0.0.1:1",
        "https://[::1]:15012",
    ] {
        assert_eq!(text.parse::<ControlAddress>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "unix://relative",
        "http://a:1",
        "https://a",
        "https://a:0",
        "https://:1",
        "https://*:1",
    ] {
        assert!(text.parse::<ControlAddress>().is_err(), "{text}");
    }
}

fn pod(source: SettingsSource) -> PodSettings {
    Settings::try_from(source).unwrap().pod
}

#[test]
fn a_pod_without_anything() {
    let settings = pod(valid());
    assert_eq!(settings.dns, None);
    assert_eq!(settings.resolv_conf.to_str(), Some("/etc/resolv.conf"));
    assert!(settings.probes.is_empty() && settings.app_metrics.is_none());
    let empty = pod(SettingsSource {
        probes: Some(String::new()),
        ..valid()
    });
    assert!(empty.probes.is_empty());
}

#[test]
fn probes_as_kubernetes_writes_them() {
    let settings = pod(SettingsSource {
        status: Some("0.0.0.0:15020".into()),
        probes: Some(
            r#"{"/app-health/web/livez": {"httpGet": {"path": "health?full", "port": 8080, "scheme": "HTTPS", "httpHeaders": [{"name": "X-A", "value": "b"}]}, "timeoutSeconds": 3, "periodSeconds": 9},
                "/app-health/web/readyz": {"tcpSocket": {"port": "9090"}},
                "/app-health/web/startupz": {"grpc": {"port": 50051, "service": "db"}, "timeoutSeconds": 0}}"#
                .into(),
        ),
        app_metrics: Some(r#"{"port": "8080", "path": "", "scheme": ""}"#.into()),
        ..valid()
    });
    let probe = |path: &str| settings.probes[path].clone();
    assert_eq!(
        probe("/app-health/web/livez"),
        Probe {
            check: Check::Http(HttpGet {
                host: None,
                port: 8080,
                path: "/health?full".into(),
                tls: true,
                headers: vec![("X-A".into(), "b".into())],
            }),
            timeout: Duration::from_secs(3),
        }
    );
    assert_eq!(
        probe("/app-health/web/readyz").check,
        Check::Tcp {
            host: None,
            port: 9090
        }
    );
    assert_eq!(
        probe("/app-health/web/startupz").timeout,
        Duration::from_secs(1)
    );
    assert_eq!(
        settings.app_metrics.unwrap(),
        AppMetrics {
            port: 8080,
            path: "/metrics".into(),
            tls: false
        }
    );
}

#[test]
fn every_error_of_a_pod_is_named() {
    let errors = Settings::try_from(SettingsSource {
        status: Some("15020".into()),
        readiness: Some("x:1".into()),
        dns: Some("0.0.0.0:15053".into()),
        probes: Some(
            r#"{"/app-health/web/livez": {"httpGet": {"port": "http"}},
                "/app-health/web/readyz": {},
                "/app-health//startupz": {"tcpSocket": {"port": 1}},
                "/other": {"tcpSocket": {"port": 1}}}"#
                .into(),
        ),
        app_metrics: Some(r#"{"port": 15020}"#.into()),
        drain_minimum: Some("soon".into()),
        ..valid()
    })
    .unwrap_err();
    let text = errors.to_string();
    for name in [
        "--status",
        "--readiness",
        "--dns",
        "`/app-health/web/livez`",
        "`/app-health/web/readyz`",
        "`/app-health//startupz`",
        "`/other`",
        "--app-metrics",
        "--drain-minimum",
    ] {
        assert!(text.contains(name), "{name} in:\n{text}");
    }
    let error = Settings::try_from(SettingsSource {
        probes: Some(r#"{"/app-health/web/readyz": {"tcpSocket": {"port": 1}}}"#.into()),
        ..valid()
    });
    assert!(error.unwrap_err().to_string().contains("--status"));
}

#[test]
fn a_pod_of_both_families_is_served_on_both() {
    let source = |addresses: &[&str]| SettingsSource {
        explicit: None,
        outbound: Some("0.0.0.0:15001".into()),
        inbound_transparent: Some("0.0.0.0:15006".into()),
        metrics: Some("0.0.0.0:15090".into()),
        status: Some("0.0.0.0:15020".into()),
        readiness: Some("127.0.0.1:15021".into()),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        ..valid()
    };
    let both = Settings::try_from(source(&["10.0.0.1", "fd00::1"])).unwrap();
    assert_eq!(both.outbound.unwrap().to_string(), "[::]:15001");
    assert_eq!(
        both.inbound,
        InboundMode::Transparent("[::]:15006".parse().unwrap())
    );
    assert_eq!(both.metrics.unwrap().to_string(), "[::]:15090");
    assert_eq!(both.pod.status.unwrap().to_string(), "[::]:15020");
    assert_eq!(both.pod.readiness.unwrap().to_string(), "127.0.0.1:15021");
    let one = Settings::try_from(source(&["10.0.0.1"])).unwrap();
    assert_eq!(one.outbound.unwrap().to_string(), "0.0.0.0:15001");
}
