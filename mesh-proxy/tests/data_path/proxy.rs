//! A proxy's workers on a thread of their own, without a control side.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::Duration;

use mesh_proxy::admission::Admission;
use mesh_proxy::control::{Adjuster, Store};
use mesh_proxy::drain::{self, DrainSignal};
use mesh_proxy::hand_over::Sockets;
use mesh_proxy::identity::{Identity, IdentityHandle};
use mesh_proxy::readiness::OpenPorts;
use mesh_proxy::runtime::Listeners;
use mesh_proxy::settings::{
    AccessLog, InboundBinding, LogFormat, LogSink, Settings, SettingsSource, Tracing,
};
use mesh_proxy::telemetry::Telemetry;
use mesh_proxy::tls::{GatewayTls, Originator};
use mesh_proxy::{Shared, net, worker};
use mesh_proxy_core::ClientInfo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

use crate::config::{Config, spiffe};

/// The port that inbound listeners stand for.
pub const PORT: u16 = 9080;

/// Runs until it is dropped.
pub struct Proxy {
    pub explicit: SocketAddr,
    pub inbound: Option<SocketAddr>,
    hbone: SocketAddr,
    pub adjuster: Adjuster,
    pub drain: DrainSignal,
    pub telemetry: Telemetry,
    thread: Option<JoinHandle<()>>,
}

pub struct Spec {
    account: Option<String>,
    config: Config,
    app: Option<SocketAddr>,
    gateway_offset: Option<u16>,
    detect: Duration,
    need: Duration,
    collector: Option<SocketAddr>,
    log: Option<PathBuf>,
}

/// One authority for all tests of the process.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    root: Vec<u8>,
}

pub static CA: LazyLock<Ca> = LazyLock::new(Ca::new);

/// A proxy with this configuration; it has no identity and serves the explicit proxy alone.
pub fn proxy(config: Config) -> Spec {
    Spec {
        account: None,
        config,
        app: None,
        gateway_offset: None,
        detect: Duration::from_secs(5),
        need: Duration::from_millis(50),
        collector: None,
        log: None,
    }
}

// === impl Spec ===

impl Spec {
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Serves port [`PORT`] of the workload in front of this application.
    pub fn app(mut self, app: SocketAddr) -> Self {
        self.app = Some(app);
        self
    }

    pub fn gateway(mut self, offset: u16) -> Self {
        self.gateway_offset = Some(offset);
        self
    }

    pub fn need(mut self, need: Duration) -> Self {
        self.need = need;
        self
    }

    /// How long a client may say nothing.
    pub fn detect(mut self, detect: Duration) -> Self {
        self.detect = detect;
        self
    }

    /// Writes the access log there, as JSON.
    pub fn logged(mut self, file: &Path) -> Self {
        self.log = Some(file.to_owned());
        self
    }

    /// Records every trace, and sends the spans there.
    pub fn traced(mut self, collector: SocketAddr) -> Self {
        self.collector = Some(collector);
        self
    }

    #[expect(clippy::too_many_lines, reason = "one setting after the other")]
    pub fn start(self) -> Proxy {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // As the program does; all tests of this process share the limit.
        net::raise_descriptor_limit();
        let mut settings = settings();
        settings.detect_timeout = self.detect;
        settings.need_timeout = self.need;
        if let Some(file) = self.log {
            settings.access_log = AccessLog {
                sink: LogSink::File(file),
                format: LogFormat::Json,
            };
        }
        if let Some(offset) = self.gateway_offset {
            settings.kind = mesh_proxy::settings::ProxyKind::Gateway;
            settings.gateway_listen = "127.0.0.1".parse().unwrap();
            settings.gateway_port_offset = offset.into();
        }
        let identity = match &self.account {
            Some(account) => IdentityHandle::fixed(CA.identity(account)),
            None => IdentityHandle::none(),
        };
        let (signal, drain) = drain::channel();
        let (store, adjuster) = Store::adjustable(self.config.snapshot());
        settings.tracing = self.collector.map(|collector| Tracing {
            endpoint: format!("http://{collector}").parse().unwrap(),
            fraction: 1.0,
        });
        let mut telemetry = Telemetry::new(&settings.access_log).unwrap();
        let mut spans = telemetry.tracing(&settings);
        let client = client_of(&settings);
        let shared = Arc::new(Shared {
            store,
            identity,
            originator: Originator::default(),
            gateway_tls: GatewayTls::default(),
            drain,
            settings: Arc::new(settings),
            telemetry: telemetry.clone(),
            sockets: Sockets::default(),
            limits: Arc::default(),
            admission: Admission::default(),
            health: Arc::default(),
            open_ports: OpenPorts::new(1),
            client: Arc::new(client),
        });
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let explicit = net::bind(free).unwrap();
        let mut listeners = Listeners::default();
        let explicit_address = explicit.local_addr().unwrap();
        listeners.explicit.push(explicit);
        let inbound = self.app.map(|app| {
            let listener = net::bind(free).unwrap();
            let listen = listener.local_addr().unwrap();
            listeners.inbound.push((
                InboundBinding {
                    port: PORT,
                    listen,
                    app,
                },
                listener,
            ));
            listen
        });
        let hbone = net::bind(free).unwrap();
        let hbone_address = hbone.local_addr().unwrap();
        listeners.hbone.push(hbone);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    () = worker::run(shared, listeners) => {}
                    () = spans.run() => {}
                }
                spans.finish().await;
            });
        });
        Proxy {
            explicit: explicit_address,
            inbound,
            hbone: hbone_address,
            adjuster,
            drain: signal,
            telemetry,
            thread: Some(thread),
        }
    }
}

fn client_of(settings: &Settings) -> ClientInfo {
    ClientInfo {
        workload: settings.workload.clone(),
        identity: None,
        labels: settings.labels.clone(),
        cluster: String::new(),
    }
}

fn settings() -> Settings {
    let source = SettingsSource {
        workload: Some("default/test".into()),
        control: Some("unix:///nowhere/meshd.sock".into()),
        roots: Some("/nowhere/root.pem".into()),
        explicit: Some("127.0.0.1:0".into()),
        ..SettingsSource::default()
    };
    Settings::try_from(source).unwrap()
}

// === impl Proxy ===

impl Proxy {
    /// Address of the inbound listener.
    pub fn served(&self) -> SocketAddr {
        self.inbound.unwrap()
    }

    /// Address of the listener for HBONE.
    pub fn hbone(&self) -> SocketAddr {
        self.hbone
    }

    /// Waits until the worker has ended by itself.
    pub async fn ended(&self) {
        crate::peers::until(|| self.thread.as_ref().is_none_or(JoinHandle::is_finished)).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.drain.close();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

/// A port that nothing listens on, and that nobody else gets while the result lives.
pub struct Vacant {
    _socket: socket2::Socket,
    pub address: SocketAddr,
}

pub fn vacant() -> Vacant {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket
        .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    Vacant {
        _socket: socket,
        address,
    }
}

// === impl Ca ===

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self {
            issuer: Issuer::new(params, key),
            root,
        }
    }

    pub fn identity(&self, account: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::URI(spiffe(account).try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        let domains = vec!["cluster.local".to_owned()];
        Identity::from_der(
            vec![leaf],
            key.serialize_der(),
            vec![self.root.clone()],
            domains,
        )
        .unwrap()
    }
}
