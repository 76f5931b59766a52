//! Settings as they are written.

/// Settings as they stand on the command line or in the environment (`MESH_*`), unchecked.
/// `Settings::try_from` checks them and names every error at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct SettingsSource {
    /// The workload: namespace/name
    #[arg(long, env = "MESH_WORKLOAD", value_name = "NS/NAME")]
    pub workload: Option<String>,
    /// sidecar or gateway [default: sidecar]
    #[arg(long, env = "MESH_KIND")]
    pub kind: Option<String>,
    /// Service account of the workload [default: default]
    #[arg(long, env = "MESH_SERVICE_ACCOUNT", value_name = "NAME")]
    pub service_account: Option<String>,
    /// Labels of the workload: key=value, several separated by commas
    #[arg(long, env = "MESH_LABELS", value_name = "K=V,…", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// IP addresses that the workload answers on, separated by commas; auto takes those of the
    /// network interfaces
    #[arg(
        long,
        env = "MESH_ADDRESSES",
        value_name = "IP,…",
        value_delimiter = ','
    )]
    pub addresses: Vec<String>,
    /// Make the workload an endpoint of the services that select its labels, at its first address,
    /// where neither Kubernetes nor a WorkloadEntry says that it is there. Its token must grant the
    /// labels (meshd token --label)
    #[arg(long, env = "MESH_REGISTER")]
    pub register: bool,
    /// With --register: ports by name, for services whose target port is a name: name=port
    #[arg(
        long,
        env = "MESH_REGISTER_PORTS",
        value_name = "NAME=PORT,…",
        value_delimiter = ','
    )]
    pub register_ports: Vec<String>,
    /// region/zone/subzone
    #[arg(long, env = "MESH_LOCALITY")]
    pub locality: Option<String>,
    /// Cluster name in metrics [default: Kubernetes]
    #[arg(long, env = "MESH_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
    /// Serve from the resources in this file, YAML or JSON, without a control plane; read again
    /// when it changes
    #[arg(long, env = "MESH_RESOURCES", value_name = "FILE")]
    pub resources: Option<String>,
    /// With --resources: PEM file with the workload's certificate chain; without it nothing but
    /// plain text is spoken
    #[arg(long, env = "MESH_CERTIFICATE", value_name = "FILE")]
    pub certificate: Option<String>,
    /// With --resources: PEM file with the key of --certificate
    #[arg(long, env = "MESH_PRIVATE_KEY", value_name = "FILE")]
    pub private_key: Option<String>,
    /// Control plane: unix:///path/to.sock or https://host:port
    #[arg(long, env = "MESH_CONTROL", value_name = "ADDRESS")]
    pub control: Option<String>,
    /// Certificate authority [default: the control plane]
    #[arg(long, env = "MESH_CA", value_name = "ADDRESS")]
    pub ca: Option<String>,
    /// DNS name in the control plane's certificate [default: meshd]
    #[arg(long, env = "MESH_CONTROL_NAME", value_name = "NAME")]
    pub control_name: Option<String>,
    /// PEM file with the roots to trust at the start; with --resources: those of peers
    #[arg(long, env = "MESH_ROOTS", value_name = "FILE")]
    pub roots: Option<String>,
    /// File with the join token
    #[arg(long, env = "MESH_TOKEN", value_name = "FILE")]
    pub token: Option<String>,
    /// Directory for the last snapshot
    #[arg(long, env = "MESH_STATE", value_name = "DIRECTORY")]
    pub state: Option<String>,
    /// Unix socket by which a newer process takes over the open sockets of a running one, so that
    /// no connection is refused meanwhile; off if nothing is to be taken over
    /// [default: hand-over.sock in --state]
    #[arg(long, env = "MESH_HAND_OVER", value_name = "PATH")]
    pub hand_over: Option<String>,
    /// Explicit proxy (HTTP and SOCKS5) for the workload's calls: ip:port
    #[arg(long, env = "MESH_EXPLICIT", value_name = "IP:PORT")]
    pub explicit: Option<String>,
    /// Transparent proxy for captured outgoing connections: ip:port
    #[arg(long, env = "MESH_OUTBOUND", value_name = "IP:PORT")]
    pub outbound: Option<String>,
    /// Ports of the workload: port=listen=app, several separated by commas
    #[arg(
        long,
        env = "MESH_INBOUND",
        value_name = "PORT=LISTEN=APP,…",
        value_delimiter = ','
    )]
    pub inbound: Vec<String>,
    /// Transparent proxy for captured incoming connections: ip:port
    #[arg(long, env = "MESH_INBOUND_TRANSPARENT", value_name = "IP:PORT")]
    pub inbound_transparent: Option<String>,
    /// Connections to the workload by HTTP/2 CONNECT over mutual TLS, HBONE: ip:port (Istio: 15008)
    #[arg(long, env = "MESH_HBONE", value_name = "IP:PORT")]
    pub hbone: Option<String>,
    /// Address that a gateway listens on [default: 0.0.0.0]
    #[arg(long, env = "MESH_GATEWAY_LISTEN", value_name = "IP")]
    pub gateway_listen: Option<String>,
    /// Added to a gateway's ports to get the ports that it binds [default: 0]
    #[arg(
        long,
        env = "MESH_GATEWAY_PORT_OFFSET",
        value_name = "N",
        allow_hyphen_values = true
    )]
    pub gateway_port_offset: Option<String>,
    /// A gateway's clients come through a balancer that says who they are by the PROXY protocol,
    /// version 1 or 2 (Istio: gatewayTopology.proxyProtocol) [default: as the control plane says]
    #[arg(
        long,
        env = "MESH_GATEWAY_PROXY_PROTOCOL",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub gateway_proxy_protocol: Option<bool>,
    /// Proxies before a gateway whose word in X-Forwarded-For is taken (Istio:
    /// gatewayTopology.numTrustedProxies) [default: as the control plane says, or 0]
    #[arg(long, env = "MESH_GATEWAY_TRUSTED_PROXIES", value_name = "N")]
    pub gateway_trusted_proxies: Option<String>,
    /// What a gateway does with X-Forwarded-Client-Cert (Istio:
    /// gatewayTopology.forwardClientCertDetails) [default: as the control plane says, or
    /// SANITIZE_SET]
    #[arg(long, env = "MESH_GATEWAY_FORWARD_CLIENT_CERT", value_name = "MODE")]
    pub gateway_forward_client_cert: Option<String>,
    /// Admin endpoint: loopback-ip:port
    #[arg(long, env = "MESH_ADMIN", value_name = "IP:PORT")]
    pub admin: Option<String>,
    /// Admin endpoint: path of a Unix socket
    #[arg(long, env = "MESH_ADMIN_SOCKET", value_name = "PATH")]
    pub admin_socket: Option<String>,
    /// The workload's identity for the application itself, by the SPIFFE Workload API and Envoy's
    /// SDS: path of a Unix socket
    #[arg(long, env = "MESH_WORKLOAD_API", value_name = "PATH")]
    pub workload_api: Option<String>,
    /// Who may have it: own (the proxy's user), any, or numbers of users separated by commas
    /// [default: own]
    #[arg(long, env = "MESH_WORKLOAD_API_USERS", value_name = "USERS")]
    pub workload_api_users: Option<String>,
    /// Metrics and readiness for scrapers: ip:port
    #[arg(long, env = "MESH_METRICS", value_name = "IP:PORT")]
    pub metrics: Option<String>,
    /// Number of data threads [default: 2, at most the cores]
    #[arg(long, env = "MESH_CONCURRENCY", value_name = "N")]
    pub concurrency: Option<String>,
    /// Access log: off, stdout or a path [default: off]
    #[arg(long, env = "MESH_ACCESS_LOG", value_name = "WHERE")]
    pub access_log: Option<String>,
    /// Access log format: text or json [default: text]
    #[arg(long, env = "MESH_ACCESS_LOG_FORMAT", value_name = "FORMAT")]
    pub access_log_format: Option<String>,
    /// Merged metrics, probes and readiness of a pod: ip:port (Istio: 15020)
    #[arg(long, env = "MESH_STATUS", value_name = "IP:PORT")]
    pub status: Option<String>,
    /// Readiness alone: ip:port (Istio: 15021)
    #[arg(long, env = "MESH_READINESS", value_name = "IP:PORT")]
    pub readiness: Option<String>,
    /// DNS for the captured workload, over UDP and TCP: ip:port (Istio: 127.0.0.1:15053)
    #[arg(long, env = "MESH_DNS", value_name = "IP:PORT")]
    pub dns: Option<String>,
    /// File that names the system's DNS servers [default: /etc/resolv.conf]
    #[arg(long, env = "MESH_RESOLV_CONF", value_name = "FILE")]
    pub resolv_conf: Option<String>,
    /// Probes to make in the kubelet's place: JSON, {"/app-health/<container>/readyz": {"httpGet": …}}
    #[arg(long, env = "MESH_PROBES", value_name = "JSON")]
    pub probes: Option<String>,
    /// Where the application's metrics are: JSON, {"port": "8080", "path": "/metrics", "scheme": "http"}
    #[arg(long, env = "MESH_APP_METRICS", value_name = "JSON")]
    pub app_metrics: Option<String>,
    /// How long to serve on at the end even if nothing runs; for a sidecar that is told to end
    /// together with its application [default: 0s]
    #[arg(long, env = "MESH_DRAIN_MINIMUM", value_name = "DURATION")]
    pub drain_minimum: Option<String>,
    /// Collector of spans, OTLP over HTTP: http://host:port [default: none]
    #[arg(long, env = "MESH_TRACING", value_name = "URL")]
    pub tracing: Option<String>,
    /// Per cent of the traces that begin here which are recorded [default: 1]
    #[arg(long, env = "MESH_TRACING_SAMPLING", value_name = "PERCENT")]
    pub tracing_sampling: Option<String>,
    /// How long connections may finish at the end: 500ms, 5s, 1m [default: 5s]
    #[arg(long, env = "MESH_DRAIN", value_name = "DURATION")]
    pub drain: Option<String>,
    /// How long connections may finish after a newer process has taken over [default: 10m]
    #[arg(long, env = "MESH_REPLACED_DRAIN", value_name = "DURATION")]
    pub replaced_drain: Option<String>,
    /// How long a request waits for configuration on demand [default: 5s]
    #[arg(long, env = "MESH_NEED_TIMEOUT", value_name = "DURATION")]
    pub need_timeout: Option<String>,
    /// How long an unused destination is kept [default: 10m]
    #[arg(long, env = "MESH_LEASE", value_name = "DURATION")]
    pub lease: Option<String>,
    /// How long a first byte is awaited for protocol detection [default: 5s]
    #[arg(long, env = "MESH_DETECT_TIMEOUT", value_name = "DURATION")]
    pub detect_timeout: Option<String>,
    /// Wished lifetime of the certificate [default: the authority's]
    #[arg(long, env = "MESH_CERTIFICATE_TTL", value_name = "DURATION")]
    pub certificate_ttl: Option<String>,
    /// Packet mark for the proxy's own connections (needs CAP_NET_ADMIN)
    #[arg(long, env = "MESH_OWN_MARK", value_name = "N")]
    pub own_mark: Option<String>,
    /// Print `ready {json}` on standard output once the proxy serves
    #[arg(long, env = "MESH_ON_READY")]
    pub on_ready: bool,
}
