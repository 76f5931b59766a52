//! Starting, joining, stopping.

use std::fs;
use std::process::Stdio;
use std::time::SystemTime;

use mesh_api::v1::SignRequest;
use mesh_api::v1::certificate_service_client::CertificateServiceClient;
use mesh_ca::{AuthorityOptions, JoinClaims, SecretKey};
use meshd::{AuthoritySettings, BuildError, ExternalAuthority};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_joins_on_the_same_port() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("config")).unwrap();
    let bound = Box::pin(App::build(settings(&dir))).await.unwrap();
    let (address, admin) = (
        bound.discovery_addrs[1].clone(),
        bound.admin_addrs[0].clone(),
    );
    let roots = bound.roots_der();
    let claims = JoinClaims {
        workload: "default/reviews-v1".parse().unwrap(),
        service_account: "reviews".to_owned(),
        expires: SystemTime::now() + HOUR,
        single_use: true,
        labels: [].into(),
    };
    let token = bound.authority().unwrap().1.mint(&claims).unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(Box::pin(bound.run(shutdown.clone())));

    let mut client = CertificateServiceClient::new(channel(&address, &roots, None).await);
    let csr_der = SecretKey::generate()
        .unwrap()
        .certificate_request()
        .unwrap();
    let mut request = tonic::Request::new(SignRequest {
        csr_der,
        ttl_seconds: 0,
    });
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    assert_eq!(
        client.sign(request).await.unwrap().into_inner().identity,
        REVIEWS
    );
    let (_, metrics) = http(&admin, "GET", "/metrics").await;
    assert!(
        metrics.contains("citadel_server_success_cert_issuance_count 1"),
        "{metrics}"
    );
    drop(client);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_is_named() {
    let control = Control::start().await;
    // The same state directory.
    let error = Box::pin(App::build(settings(&control.dir)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, BuildError::StateTaken { .. }) && error.to_string().contains("state"),
        "{error}"
    );

    // The same sockets, another state directory.
    let other = tempfile::tempdir().unwrap();
    fs::create_dir(other.path().join("config")).unwrap();
    let taken = [
        (control.discovery[0].to_string(), "meshd.sock"),
        (control.discovery[1].to_string(), "127.0.0.1:"),
        (control.admin[0].to_string(), "meshd-admin.sock"),
    ];
    for (address, shown) in taken {
        let mut settings = settings(&other);
        settings.discovery = vec![address.parse().unwrap()];
        settings.admin = Vec::new();
        let error = Box::pin(App::build(settings))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(shown) && error.contains("another process"),
            "{error}"
        );
    }
    // They still work.
    control.proxy(HashMap::new()).await.take().await;

    let mut missing = settings(&other);
    missing.config = vec![other.path().join("nowhere")];
    let error = Box::pin(App::build(missing)).await.unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_certifies() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("config")).unwrap();
    let ca = mesh_ca::App::build(mesh_ca::Settings {
        dir: dir.path().join("ca"),
        cacerts: None,
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        authority: AuthorityOptions::default(),
        dns_names: Vec::new(),
    })
    .await
    .unwrap();
    let claims = JoinClaims {
        workload: "istio-system/meshd".parse().unwrap(),
        service_account: "meshd".to_owned(),
        expires: SystemTime::now() + HOUR,
        single_use: true,
        labels: [].into(),
    };
    let token = dir.path().join("token");
    fs::write(&token, ca.tokens().mint(&claims).unwrap()).unwrap();
    let authority = Arc::clone(ca.authority());
    let shutdown = CancellationToken::new();
    let mut settings = settings(&dir);
    settings.authority = AuthoritySettings::External(ExternalAuthority {
        address: ca.addresses[0].to_string().parse().unwrap(),
        roots: dir.path().join("ca/root.pem"),
        token,
    });
    let certifying = tokio::spawn(ca.run(shutdown.clone()));
    let bound = Box::pin(App::build(settings)).await.unwrap();
    assert_eq!(bound.roots_der(), *authority.roots_der());
    assert!(bound.authority().is_none());
    let address = bound.discovery_addrs[1].clone();
    let running = tokio::spawn(Box::pin(bound.run(shutdown.clone())));

    let credentials = Credentials::issue(&authority, REVIEWS, HOUR);
    let channel = channel(&address, &authority.roots_der(), Some(&credentials)).await;
    let mut proxy = Proxy::start(channel, first("default/reviews-v1", &ROOTS, HashMap::new()))
        .await
        .unwrap();
    assert!(names(&proxy.take().await).contains(&"mesh/default"));
    shutdown.cancel();
    running.await.unwrap().unwrap();
    certifying.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_says_when_it_is_ready_and_ends_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("config")).unwrap();
    let state = dir.path().join("state");
    let mut child = Command::new(env!("CARGO_BIN_EXE_meshd"))
        .args(["run", "--print-ready", "--admin", "127.0.0.1:0", "--config"])
        .arg(dir.path().join("config"))
        .arg("--state-dir")
        .arg(&state)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(DEADLINE, lines.next_line())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let ready: serde_json::Value =
        serde_json::from_str(line.strip_prefix("ready ").unwrap()).unwrap();
    let admin: std::net::SocketAddr = ready["admin"][0].as_str().unwrap().parse().unwrap();
    let admin = BoundAddress::Tcp(admin);
    assert_eq!(http(&admin, "POST", "/log?level=meshd=debug").await.0, 200);
    assert_eq!(http(&admin, "POST", "/log?level=a=b=c").await.0, 400);

    let token = Command::new(env!("CARGO_BIN_EXE_meshd"))
        .args([
            "token",
            "--workload",
            "default/a",
            "-o",
            "json",
            "--state-dir",
        ])
        .arg(&state)
        .output()
        .await
        .unwrap();
    let token: serde_json::Value = serde_json::from_slice(&token.stdout).unwrap();
    assert_eq!(token["workload"], "default/a");

    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let status = tokio::time::timeout(DEADLINE, child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success(), "{status}");
    assert!(!state.join("meshd.sock").exists());
}
