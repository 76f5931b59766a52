//! What the values of MESH.yaml mean, and what they must not.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use mesh_api::v1::OutboundPolicy;
use mesh_api::{SpiffeId, TrustDomain, WorkloadName};
use meshd_core::MeshSettings;
use serde_saphyr::{Location, Spanned};

use super::names::{bad_name, is_label_key, is_label_value, is_port_name, parse_listen};
use super::parse::{
    API_VERSION, KIND, RawFile, RawGateway, RawOutboundPolicy, RawPort, RawWorkload,
};
use super::{Gateway, GatewayPort, MeshFile, Mistake, Port, Workload};

/// Ports that the sidecar itself listens on (Istio's numbers).
pub const RESERVED_PORTS: [u16; 8] = [15000, 15001, 15006, 15008, 15020, 15021, 15080, 15090];

const DEFAULT_NAMESPACE: &str = "default";
const DEFAULT_SERVICE_ACCOUNT: &str = "default";
const GATEWAY_NAMESPACE: &str = "istio-system";

/// Name of the service that stands in front of a workload: its label `app`.
pub fn service_name(labels: &BTreeMap<String, String>) -> Option<&str> {
    labels.get("app").map(String::as_str)
}

struct Checker<'a> {
    path: &'a Path,
    namespace: Option<String>,
    trust_domain: TrustDomain,
    mistakes: Vec<Mistake>,
}

pub(super) fn check(path: &Path, file: RawFile) -> Result<MeshFile, Vec<Mistake>> {
    let mut checker = Checker {
        path,
        namespace: None,
        trust_domain: TrustDomain::default(),
        mistakes: Vec::new(),
    };
    for (field, given, want) in [
        ("apiVersion", &file.api_version, API_VERSION),
        ("kind", &file.kind, KIND),
    ] {
        if given.value != want {
            checker.mistake(
                given.referenced,
                format!(
                    "{field} `{}` is none that meshctl knows: write {want}",
                    given.value
                ),
            );
        }
    }
    let name = file.metadata.name;
    if WorkloadName::new("x", &name.value).is_err() {
        checker.mistake(name.referenced, bad_name("metadata.name", &name.value));
    }
    let raw = file.spec;
    let outbound_policy = checker.outbound_policy(raw.outbound_traffic_policy);
    let mesh_config = checker.mesh_config(raw.mesh_config);
    if let Some(domain) = &raw.trust_domain {
        match domain.value.parse() {
            Ok(parsed) => checker.trust_domain = parsed,
            Err(error) => checker.mistake(domain.referenced, format!("spec.trustDomain: {error}")),
        }
    }
    if let Some(namespace) = raw.namespace {
        if WorkloadName::new(&namespace.value, "x").is_err() {
            checker.mistake(
                namespace.referenced,
                bad_name("namespace", &namespace.value),
            );
        }
        checker.namespace = Some(namespace.value);
    }
    if raw.workloads.is_empty() && raw.gateways.is_empty() {
        checker.mistake(
            Location::UNKNOWN,
            "the mesh has no workloads: name at least one under `spec.workloads`".to_owned(),
        );
    }
    let mut names = BTreeMap::new();
    let workloads = raw
        .workloads
        .into_iter()
        .filter_map(|w| checker.workload(w, &mut names))
        .collect::<Vec<_>>();
    let gateways = raw
        .gateways
        .into_iter()
        .filter_map(|g| checker.gateway(g, &mut names))
        .collect::<Vec<_>>();
    checker.services(&workloads);
    checker.listeners(&workloads, &gateways);
    if checker.mistakes.is_empty() {
        Ok(MeshFile {
            path: path.to_owned(),
            name: name.value,
            trust_domain: checker.trust_domain,
            outbound_policy,
            mesh_config,
            workloads,
            gateways,
        })
    } else {
        checker.mistakes.sort_by_key(|m| (m.line, m.column));
        Err(checker.mistakes)
    }
}

// === impl Checker ===

impl Checker<'_> {
    fn mistake(&mut self, at: Location, message: String) {
        self.mistakes.push(Mistake {
            path: self.path.to_owned(),
            line: at.line(),
            column: at.column(),
            message,
        });
    }

    fn on_line(&mut self, line: u64, message: String) {
        self.mistakes.push(Mistake {
            path: self.path.to_owned(),
            line,
            column: 1,
            message,
        });
    }

    /// What stands elsewhere in the file does not stand here.
    fn mesh_config(&mut self, raw: Option<Spanned<serde_json::Value>>) -> String {
        let Some(raw) = raw else {
            return String::new();
        };
        for name in ["trustDomain", "outboundTrafficPolicy"] {
            if raw.value.get(name).is_some() {
                let message = format!("spec.meshConfig.{name}: write it as spec.{name}");
                self.mistake(raw.referenced, message);
            }
        }
        let text = raw.value.to_string();
        if let Err(why) = meshd::read_mesh_config(&text, &MeshSettings::default()) {
            self.mistake(raw.referenced, format!("spec.meshConfig.{why}"));
        }
        text
    }

    fn outbound_policy(&mut self, raw: Option<RawOutboundPolicy>) -> OutboundPolicy {
        let Some(RawOutboundPolicy { mode }) = raw else {
            return OutboundPolicy::AllowAny;
        };
        match mode.value.as_str() {
            "ALLOW_ANY" => OutboundPolicy::AllowAny,
            "REGISTRY_ONLY" => OutboundPolicy::RegistryOnly,
            other => {
                self.mistake(
                    mode.referenced,
                    format!("outboundTrafficPolicy.mode `{other}` is neither ALLOW_ANY nor REGISTRY_ONLY"),
                );
                OutboundPolicy::RegistryOnly
            }
        }
    }

    /// The full name, refused when another workload has it.
    fn name(
        &mut self,
        name: &Spanned<String>,
        namespace: Option<&Spanned<String>>,
        default: &str,
        names: &mut BTreeMap<WorkloadName, u64>,
    ) -> Option<WorkloadName> {
        let given = namespace
            .map(|n| n.value.clone())
            .or_else(|| self.namespace.clone());
        let space = given.unwrap_or_else(|| default.to_owned());
        if let Some(namespace) = namespace
            && WorkloadName::new(&namespace.value, "x").is_err()
        {
            self.mistake(
                namespace.referenced,
                bad_name("namespace", &namespace.value),
            );
            return None;
        }
        let Ok(full) = WorkloadName::new(&space, &name.value) else {
            self.mistake(name.referenced, bad_name("name", &name.value));
            return None;
        };
        match names.entry(full.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(name.referenced.line());
                Some(full)
            }
            Entry::Occupied(first) => {
                let first = *first.get();
                self.mistake(
                    name.referenced,
                    format!("the name `{full}` is taken by the workload in line {first}: names are unique in a namespace"),
                );
                None
            }
        }
    }

    fn service_account(
        &mut self,
        given: Option<Spanned<String>>,
        name: Option<&WorkloadName>,
    ) -> String {
        let Some(account) = given else {
            return DEFAULT_SERVICE_ACCOUNT.to_owned();
        };
        let namespace = name.map_or(DEFAULT_NAMESPACE, WorkloadName::namespace);
        if SpiffeId::new(&self.trust_domain, namespace, &account.value).is_err() {
            self.mistake(
                account.referenced,
                bad_name("serviceAccount", &account.value),
            );
        }
        account.value
    }

    fn labels(&mut self, labels: BTreeMap<String, Spanned<String>>) -> BTreeMap<String, String> {
        let mut checked = BTreeMap::new();
        for (key, value) in labels {
            if !is_label_key(&key) {
                self.mistake(
                    value.referenced,
                    format!("`{key}` is no label name: up to 63 letters, digits, `-`, `_` and `.`, with `prefix/` at most"),
                );
            }
            if !is_label_value(&value.value) {
                self.mistake(
                    value.referenced,
                    format!("label {key}: `{}` is no label value: up to 63 letters, digits, `-`, `_` and `.`", value.value),
                );
            }
            if key == "app"
                && (WorkloadName::new("x", &value.value).is_err() || value.value.contains('.'))
            {
                self.mistake(
                    value.referenced,
                    format!("label app: `{}` cannot name a service: use lower-case letters, digits and `-`", value.value),
                );
            }
            checked.insert(key, value.value);
        }
        checked
    }

    fn workload(
        &mut self,
        raw: Spanned<RawWorkload>,
        names: &mut BTreeMap<WorkloadName, u64>,
    ) -> Option<Workload> {
        let line = raw.referenced.line();
        let raw = raw.value;
        let name = self.name(&raw.name, raw.namespace.as_ref(), DEFAULT_NAMESPACE, names);
        let service_account = self.service_account(raw.service_account, name.as_ref());
        let labels = self.labels(raw.labels);
        let ports = self.ports(raw.ports);
        let command = match raw.command {
            Some(command) if command.value.first().is_none_or(String::is_empty) => {
                self.mistake(
                    command.referenced,
                    "command is empty: give the program and its arguments as a list".to_owned(),
                );
                Vec::new()
            }
            Some(command) => command.value,
            None => {
                // Nobody would know where its user makes it listen.
                if let Some(port) = ports.iter().find(|port| port.app_port.is_none()) {
                    self.on_line(
                        line,
                        format!("a workload without `command` is started by you: say with `appPort` where it will listen for port {}", port.number),
                    );
                }
                Vec::new()
            }
        };
        // A bare file name has an empty parent, which is no directory for chdir(2).
        let parent = self.path.parent().filter(|dir| *dir != Path::new(""));
        let folder = parent.unwrap_or(Path::new("."));
        let dir = raw
            .dir
            .map_or_else(|| folder.to_owned(), |dir| folder.join(dir));
        Some(Workload {
            name: name?,
            service_account,
            labels,
            ports,
            command,
            env: raw.env,
            dir,
            line,
        })
    }

    fn ports(&mut self, raw: Vec<Spanned<RawPort>>) -> Vec<Port> {
        let mut ports: Vec<Port> = Vec::new();
        for port in raw {
            let RawPort {
                name,
                port: number,
                app_port,
            } = port.value;
            let at = number.referenced;
            let number = number.value;
            if number == 0 {
                self.mistake(at, "port 0 cannot be called: use 1 to 65535".to_owned());
            }
            if RESERVED_PORTS.contains(&number) {
                self.mistake(
                    at,
                    format!("port {number} belongs to the sidecar: choose another"),
                );
            }
            if ports.iter().any(|other| other.number == number) {
                self.mistake(at, format!("port {number} is listed twice"));
            }
            let name = name.unwrap_or_else(|| Spanned::new(format!("port-{number}"), at, at));
            if !is_port_name(&name.value) {
                self.mistake(
                    name.referenced,
                    format!(
                        "`{}` is no port name: up to 63 lower-case letters, digits and `-`",
                        name.value
                    ),
                );
            }
            if ports.iter().any(|other| other.name == name.value) {
                self.mistake(
                    name.referenced,
                    format!("the port name `{}` is used twice", name.value),
                );
            }
            if let Some(app) = &app_port
                && app.value == 0
            {
                self.mistake(
                    app.referenced,
                    "appPort 0 cannot be called: leave it out to have a free port chosen"
                        .to_owned(),
                );
            }
            ports.push(Port {
                name: name.value,
                number,
                app_port: app_port.map(|port| port.value),
            });
        }
        ports
    }

    fn gateway(
        &mut self,
        raw: Spanned<RawGateway>,
        names: &mut BTreeMap<WorkloadName, u64>,
    ) -> Option<Gateway> {
        let line = raw.referenced.line();
        let raw = raw.value;
        let name = self.name(&raw.name, raw.namespace.as_ref(), GATEWAY_NAMESPACE, names);
        let service_account = self.service_account(raw.service_account, name.as_ref());
        let labels = self.labels(raw.labels);
        let mut ports: Vec<GatewayPort> = Vec::new();
        for port in raw.ports {
            let number = port.value.port.value;
            if ports.iter().any(|other| other.number == number) {
                self.mistake(port.referenced, format!("port {number} is listed twice"));
            }
            let listen = match &port.value.listen {
                None => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), number)),
                Some(text) => parse_listen(&text.value),
            };
            let Some(listen) = listen.filter(|address| address.port() != 0 && number != 0) else {
                self.mistake(
                    port.referenced,
                    "listen must be a port or <ip>:<port>, and no port may be 0".to_owned(),
                );
                continue;
            };
            let name = port
                .value
                .name
                .map_or_else(|| format!("port-{number}"), |name| name.value);
            ports.push(GatewayPort {
                name,
                number,
                listen,
            });
        }
        self.one_shift(&ports, line);
        Some(Gateway {
            name: name?,
            service_account,
            labels,
            ports,
            line,
        })
    }

    /// A gateway also opens ports that the file does not list, so all of them move alike.
    fn one_shift(&mut self, ports: &[GatewayPort], line: u64) {
        let shift = |port: &GatewayPort| {
            (
                port.listen.ip(),
                i32::from(port.listen.port()) - i32::from(port.number),
            )
        };
        if let Some((first, rest)) = ports.split_first()
            && rest.iter().any(|port| shift(port) != shift(first))
        {
            self.on_line(
                line,
                "the ports of a gateway must listen on one address and at one distance from their numbers, as 80 on 8080 and 443 on 8443: use two gateways"
                    .to_owned(),
            );
        }
    }

    /// Workloads with one `app` stand behind one service, so their ports must agree.
    fn services(&mut self, workloads: &[Workload]) {
        let mut ports: BTreeMap<(&str, &str, &str), (u16, u64)> = BTreeMap::new();
        let mut numbers: BTreeMap<(&str, &str, u16), (&str, u64)> = BTreeMap::new();
        for workload in workloads {
            let Some(app) = service_name(&workload.labels) else {
                continue;
            };
            let namespace = workload.name.namespace();
            for port in &workload.ports {
                let (number, line) = *ports
                    .entry((namespace, app, &port.name))
                    .or_insert((port.number, workload.line));
                if number != port.number {
                    self.on_line(
                        workload.line,
                        format!("app {app}: port `{}` is {} here and {number} in line {line}: one service needs one number", port.name, port.number),
                    );
                }
                let (name, line) = *numbers
                    .entry((namespace, app, port.number))
                    .or_insert((&port.name, workload.line));
                if name != port.name {
                    self.on_line(
                        workload.line,
                        format!("app {app}: port {} is called `{}` here and `{name}` in line {line}: one service needs one name", port.number, port.name),
                    );
                }
            }
        }
    }

    /// No two processes can listen on one port of this machine.
    fn listeners(&mut self, workloads: &[Workload], gateways: &[Gateway]) {
        let mut taken: BTreeMap<u16, (String, u64)> = BTreeMap::new();
        let apps = workloads.iter().flat_map(|w| {
            w.ports
                .iter()
                .filter_map(move |p| Some((p.app_port?, format!("appPort of {}", w.name), w.line)))
        });
        let listens = gateways.iter().flat_map(|g| {
            g.ports.iter().map(move |p| {
                (
                    p.listen.port(),
                    format!("listen port of {}", g.name),
                    g.line,
                )
            })
        });
        for (port, owner, line) in apps.chain(listens) {
            match taken.entry(port) {
                Entry::Vacant(entry) => {
                    entry.insert((owner, line));
                }
                Entry::Occupied(first) => {
                    let (first_owner, first_line) = first.get();
                    let message = format!(
                        "port {port} of this machine is taken: it is the {first_owner} in line {first_line} already"
                    );
                    self.on_line(line, message);
                }
            }
        }
    }
}
