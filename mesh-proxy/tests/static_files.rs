//! Proxies that serve from files: no control plane, no authority.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers, too"
)]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_proxy::app::Handle;
use mesh_proxy::{App, Settings, SettingsSource};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(30);

const MESH: &str = "\
resources:
- name: mesh/default
  mesh: {trust_domain: cluster.local, outbound_policy: OUTBOUND_POLICY_ALLOW_ANY}
";

/// A directory with a root that signs.
struct Ground {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A proxy that runs.
struct Running {
    handle: Handle,
    explicit: Option<SocketAddr>,
    inbound: Option<SocketAddr>,
    admin: SocketAddr,
    shutdown: CancellationToken,
    result: JoinHandle<Result<(), mesh_proxy::app::RunError>>,
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("took too long")
}

// === impl Ground ===

impl Ground {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let directory = tempfile::tempdir().unwrap();
        let root = params.self_signed(&key).unwrap().pem();
        fs::write(directory.path().join("roots.pem"), root).unwrap();
        Self {
            directory,
            issuer: Issuer::new(params, key),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(self.path(name).display().to_string())
    }

    /// Replaces a file at once, as editors and volumes do.
    fn put(&self, name: &str, text: &str) {
        let fresh = self.path("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, self.path(name)).unwrap();
    }

    /// Writes a certificate with its key.
    fn certify(&self, account: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let id = format!("spiffe://cluster.local/ns/default/sa/{account}");
        params.subject_alt_names = vec![SanType::URI(id.as_str().try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let leaf = params.signed_by(&key, &self.issuer).unwrap().pem();
        self.put(&format!("{account}.key"), &key.serialize_pem());
        self.put(&format!("{account}.crt"), &leaf);
    }

    /// Settings that every proxy has here.
    fn settings(&self, account: &str) -> SettingsSource {
        SettingsSource {
            workload: Some(format!("default/{account}")),
            resources: self.text(&format!("{account}.yaml")),
            admin: Some("127.0.0.1:0".into()),
            concurrency: Some("1".into()),
            drain: Some("100ms".into()),
            ..SettingsSource::default()
        }
    }

    /// The same with a certificate.
    fn certified(&self, account: &str) -> SettingsSource {
        self.certify(account);
        SettingsSource {
            certificate: self.text(&format!("{account}.crt")),
            private_key: self.text(&format!("{account}.key")),
            roots: self.text("roots.pem"),
            ..self.settings(account)
        }
    }
}

// === impl Running ===

impl Running {
    async fn start(source: SettingsSource) -> Self {
        let bound = App::build(Settings::try_from(source).unwrap())
            .await
            .unwrap();
        let shutdown = CancellationToken::new();
        let running = Self {
            handle: bound.handle(),
            explicit: bound.explicit(),
            inbound: bound.inbound().first().map(|(_, address)| *address),
            admin: bound.admin().unwrap(),
            result: tokio::spawn(bound.run(shutdown.clone())),
            shutdown,
        };
        within(running.handle.readiness().wait()).await;
        running
    }

    async fn runs(&self, revision: u64) {
        let mut epoch = self.handle.store().epoch();
        within(async {
            while self.handle.store().load().revision() != revision {
                epoch.changed().await.unwrap();
            }
        })
        .await;
    }

    async fn status(&self) -> Value {
        let answer = exchange(self.admin, "localhost", "/v1/status").await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Asks through the explicit proxy.
    async fn get(&self, host: &str, path: &str) -> String {
        exchange(self.explicit.unwrap(), host, path).await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        within(self.result).await.unwrap().unwrap();
    }
}

async fn exchange(address: SocketAddr, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A connection that is reset has said what it had to say.
    let _ = within(stream.read_to_string(&mut answer)).await;
    answer
}

/// An application that answers what it was asked.
async fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    head.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.write_all(&head).await;
            });
        }
    });
    address
}

fn server() -> String {
    format!(
        "{MESH}\
- name: inbound/self
  inbound:
    workload: default/server
    identity: spiffe://cluster.local/ns/default/sa/server
    default_mtls: MTLS_MODE_STRICT
    ports:
    - {{port: 9080, protocol: PROTOCOL_HTTP, mtls: MTLS_MODE_STRICT}}
    policies:
    - name: default/callers
      action: AUTHORIZATION_ACTION_ALLOW
      rules:
      - from: [{{principals: [cluster.local/ns/default/sa/client]}}]
        to: [{{paths: [/open*]}}]
"
    )
}

fn client(server: SocketAddr, route: &str) -> String {
    format!(
        "{MESH}\
- name: inbound/self
  inbound: {{workload: default/client, default_mtls: MTLS_MODE_STRICT}}
- name: routes/app:80
  routes:
    host: app.default.svc.cluster.local
    port: 80
    protocol: PROTOCOL_HTTP
    http:
    - {route}
- name: service/app.default.svc.cluster.local
  service:
    hostname: app.default.svc.cluster.local
    namespace: default
    short_name: app
    resolution: RESOLUTION_STATIC
    ports: [{{number: 80, name: http, protocol: PROTOCOL_HTTP}}]
    subsets:
    - policies:
      - port: 80
        policy:
          load_balancer: LOAD_BALANCER_LEAST_REQUEST
          tls: {{mode: CLIENT_TLS_MODE_AUTO}}
- name: workload/default/server
  workload:
    uid: default/server
    name: server
    namespace: default
    identity: spiffe://cluster.local/ns/default/sa/server
    address: {ip}
    health: HEALTH_HEALTHY
    backs:
    - service: app.default.svc.cluster.local
      ports: [{{service_port: 80, target_port: {port}, mutual_tls: true}}]
",
        ip = server.ip(),
        port = server.port()
    )
}

const FORWARD: &str =
    "forward: {destinations: [{host: app.default.svc.cluster.local, port: 80, weight: 1}]}";
const DIRECT: &str = "direct: {status: 418, body: dGVh}";

async fn pair(ground: &Ground) -> (Running, Running) {
    let app = application().await;
    fs::write(ground.path("server.yaml"), server()).unwrap();
    let server = Running::start(SettingsSource {
        inbound: vec![format!("9080=127.0.0.1:0={app}")],
        ..ground.certified("server")
    })
    .await;
    let resources = client(server.inbound.unwrap(), FORWARD);
    fs::write(ground.path("client.yaml"), resources).unwrap();
    let client = Running::start(SettingsSource {
        explicit: Some("127.0.0.1:0".into()),
        ..ground.certified("client")
    })
    .await;
    (server, client)
}

#[tokio::test]
async fn a_pair_speaks_mutual_tls_and_obeys_its_policies() {
    let ground = Ground::new();
    let (server, client) = pair(&ground).await;
    let answer = client.get("app", "/open/a").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("GET /open/a HTTP/1.1"), "{answer}");
    let denied = client.get("app", "/closed").await;
    assert!(denied.starts_with("HTTP/1.1 403"), "{denied}");
    let plain = exchange(server.inbound.unwrap(), "app", "/open/a").await;
    assert!(
        !plain.contains(" 200 "),
        "STRICT takes no plain text: {plain}"
    );
    let status = client.status().await;
    assert_eq!(
        status["identity"],
        "spiffe://cluster.local/ns/default/sa/client"
    );
    assert_eq!(status["revision"].to_string().trim_matches('"'), "1");
    client.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn follows_its_file_and_keeps_the_last_good_one() {
    let ground = Ground::new();
    let (server, client) = pair(&ground).await;
    let inbound = server.inbound.unwrap();
    ground.put("client.yaml", &self::client(inbound, DIRECT));
    client.runs(2).await;
    let answer = client.get("app", "/open").await;
    assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");

    let broken = self::client(inbound, &FORWARD.replace("port: 80", "port: 0"));
    ground.put("client.yaml", &broken);
    let rejected = within(async {
        loop {
            let status = client.status().await;
            if let Some(first) = status["rejected"].get(0) {
                return first.clone();
            }
        }
    })
    .await;
    assert_eq!(rejected["resource"], "routes/app:80");
    let reason = rejected["reason"].as_str().unwrap();
    assert!(
        reason.contains("client.yaml:12: routes.http[0].forward.destinations[0].port: 0"),
        "{reason}"
    );
    let answer = client.get("app", "/open").await;
    assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");

    ground.put("client.yaml", &self::client(inbound, FORWARD));
    client.runs(3).await;
    let answer = client.get("app", "/open").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let status = client.status().await;
    assert_eq!(status["rejected"].as_array().map(Vec::len), Some(0));
    client.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn follows_its_certificate() {
    let ground = Ground::new();
    let (server, client) = pair(&ground).await;
    let serial = client
        .handle
        .identity()
        .current()
        .unwrap()
        .serial()
        .to_owned();
    let mut generation = client.handle.identity().generation();
    // Between the two writes they do not fit together: then the last good ones stay.
    ground.certify("client");
    within(async {
        while client.handle.identity().current().unwrap().serial() == serial {
            generation.changed().await.unwrap();
        }
    })
    .await;
    let answer = client.get("app", "/open").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    fs::write(ground.path("client.key"), "no key").unwrap();
    let asked = post(client.admin, "/v1/rotate").await;
    assert!(
        asked.starts_with("HTTP/1.1 503") && asked.contains("client.key"),
        "{asked}"
    );
    let answer = client.get("app", "/open").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    client.stop().await;
    server.stop().await;
}

async fn post(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn without_a_certificate_it_speaks_plain_text() {
    let ground = Ground::new();
    let app = application().await;
    let plain = client(app, FORWARD).replace("mutual_tls: true", "mutual_tls: false");
    ground.put("client.yaml", &plain);
    let running = Running::start(SettingsSource {
        explicit: Some("127.0.0.1:0".into()),
        ..ground.settings("client")
    })
    .await;
    let declared = running.get("app", "/declared").await;
    assert!(declared.contains("GET /declared HTTP/1.1"), "{declared}");
    let undeclared = running.get(&app.to_string(), "/undeclared").await;
    assert!(
        undeclared.contains("GET /undeclared HTTP/1.1"),
        "{undeclared}"
    );

    ground.put("client.yaml", &plain.replace("ALLOW_ANY", "REGISTRY_ONLY"));
    within(async {
        while running.get(&app.to_string(), "/").await.contains(" 200 ") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = running.get(&app.to_string(), "/").await;
    assert!(refused.starts_with("HTTP/1.1 502"), "{refused}");
    assert!(running.get("app", "/").await.contains(" 200 "));

    // What is no longer declared is what nobody declared.
    let without = plain.replace("routes/app:80", "routes/other:80");
    ground.put(
        "client.yaml",
        &without.replace("ALLOW_ANY", "REGISTRY_ONLY"),
    );
    within(async {
        while running.get("app", "/").await.contains(" 200 ") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let gone = running.get("app", "/").await;
    assert!(gone.starts_with("HTTP/1.1 502"), "{gone}");
    running.stop().await;
}

#[tokio::test]
async fn does_not_start_with_what_is_wrong() {
    let ground = Ground::new();
    let build = async |source: SettingsSource| {
        let settings = Settings::try_from(SettingsSource {
            explicit: Some("127.0.0.1:0".into()),
            ..source
        });
        App::build(settings.unwrap())
            .await
            .err()
            .unwrap()
            .to_string()
    };
    let error = build(ground.settings("client")).await;
    assert!(error.contains("client.yaml: "), "{error}");
    ground.put(
        "client.yaml",
        "resources:\n- name: mesh/default\n  mesh: {}\n",
    );
    let error = build(ground.settings("client")).await;
    assert!(
        error.contains("client.yaml:3:9: mesh/default: mesh.outbound_policy: "),
        "{error}"
    );
    let address = "127.0.0.1:1".parse().unwrap();
    ground.put("client.yaml", &client(address, FORWARD));
    let certified = ground.certified("client");
    let other = ground.certified("server");
    let error = build(SettingsSource {
        private_key: other.private_key,
        ..certified.clone()
    })
    .await;
    assert!(error.contains("server.key: "), "{error}");
    let error = build(SettingsSource {
        roots: Some(Path::new("/nowhere/roots.pem").display().to_string()),
        ..certified
    })
    .await;
    assert!(error.contains("/nowhere/roots.pem"), "{error}");
}
