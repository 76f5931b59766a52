//! From what is written to [`Settings`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::net::own_addresses;

use super::{InboundMode, InvalidValue, OwnTopology, ProxyKind, Settings, SettingsSource};

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It has to be given.
    #[error("--{name} is missing: {hint}")]
    Missing {
        /// Name of the option.
        name: &'static str,
        /// What it is for.
        hint: &'static str,
    },
    /// It has the wrong form.
    #[error("--{name}: {message}")]
    Invalid {
        /// Name of the option.
        name: &'static str,
        /// What is wrong.
        message: String,
    },
    /// It does not go with the others.
    #[error("{0}")]
    Conflict(&'static str),
}

/// All that is wrong, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingErrors(pub Vec<SettingError>);

// Reads fields one by one and remembers what is wrong.
pub(super) struct Reader {
    pub(super) errors: Vec<SettingError>,
}

const DEFAULT_WAIT: Duration = Duration::from_secs(5);
const DEFAULT_LEASE: Duration = Duration::from_secs(600);
const DEFAULT_WORKERS: usize = 2;

// What is served where.
struct Listeners {
    explicit: Option<SocketAddr>,
    outbound: Option<SocketAddr>,
    inbound: InboundMode,
    hbone: Option<SocketAddr>,
    gateway_listen: IpAddr,
    gateway_port_offset: i32,
    admin: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
}

struct Durations {
    drain: Duration,
    replaced_drain: Duration,
    drain_minimum: Duration,
    need_timeout: Duration,
    lease: Duration,
    detect_timeout: Duration,
    certificate_ttl: Duration,
}

impl TryFrom<SettingsSource> for Settings {
    type Error = SettingErrors;

    fn try_from(source: SettingsSource) -> Result<Self, Self::Error> {
        let mut reader = Reader { errors: Vec::new() };
        // All parts are read before any error ends it.
        let settings = reader.settings(source);
        match settings {
            Some(settings) if reader.errors.is_empty() => Ok(settings),
            _ => Err(SettingErrors(reader.errors)),
        }
    }
}

// === impl Listeners ===

impl Listeners {
    /// In a pod with IPv6 addresses, all addresses are those of both families.
    fn take_both_families(&mut self) {
        let inbound = match &mut self.inbound {
            InboundMode::Transparent(address) => Some(address),
            InboundMode::Explicit(_) => None,
        };
        [
            self.outbound.as_mut(),
            self.metrics.as_mut(),
            self.hbone.as_mut(),
            inbound,
        ]
        .into_iter()
        .flatten()
        .for_each(both_families);
        if self.gateway_listen == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
            self.gateway_listen = Ipv6Addr::UNSPECIFIED.into();
        }
    }
}

/// `0.0.0.0` becomes `::`, which takes IPv4, too.
pub(super) fn both_families(address: &mut SocketAddr) {
    if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
        address.set_ip(Ipv6Addr::UNSPECIFIED.into());
    }
}

/// Where a successor takes over, unless it is not to be.
fn hand_over(source: &SettingsSource) -> Option<PathBuf> {
    match source.hand_over.as_deref() {
        Some("off") => None,
        Some(path) => Some(path.into()),
        None => Some(Path::new(source.state.as_deref()?).join("hand-over.sock")),
    }
}

// === impl Reader ===

impl Reader {
    fn settings(&mut self, source: SettingsSource) -> Option<Settings> {
        let kind = self.or("kind", source.kind.as_deref(), ProxyKind::Sidecar);
        let provider = self.provider(&source);
        let workload = self.required(
            "workload",
            source.workload.as_deref(),
            "write <namespace>/<name>",
        );
        self.conflicts(kind, &source);
        let mut listeners = self.listeners(&source);
        let mut pod = self.pod(&source);
        let durations = self.durations(&source);
        let labels = self.labels(&source.labels);
        let addresses = match source.addresses.as_slice() {
            [auto] if auto == "auto" => own_addresses(),
            written => self.list("addresses", written),
        };
        if addresses.iter().any(IpAddr::is_ipv6) {
            listeners.take_both_families();
            pod.take_both_families();
        }
        let registration = self.registration(&source, &addresses);
        let concurrency = self.concurrency(source.concurrency.as_deref());
        let access_log = self.access_log(&source);
        let tracing = self.tracing(&source);
        let own_mark = self.mark(source.own_mark.as_deref());
        let hand_over = hand_over(&source);
        let topology = OwnTopology::read(&source, self);
        Some(Settings {
            workload: workload?,
            kind,
            service_account: source
                .service_account
                .unwrap_or_else(|| "default".to_owned()),
            labels,
            addresses,
            registration,
            locality: source.locality.unwrap_or_default(),
            cluster: source.cluster.unwrap_or_else(|| "Kubernetes".to_owned()),
            provider: provider?,
            state: source.state.map(Into::into),
            hand_over,
            explicit: listeners.explicit,
            outbound: listeners.outbound,
            inbound: listeners.inbound,
            hbone: listeners.hbone,
            gateway_listen: listeners.gateway_listen,
            gateway_port_offset: listeners.gateway_port_offset,
            topology,
            admin: listeners.admin,
            admin_socket: source.admin_socket.map(Into::into),
            metrics: listeners.metrics,
            concurrency,
            access_log,
            tracing,
            pod,
            drain: durations.drain,
            replaced_drain: durations.replaced_drain,
            drain_minimum: durations.drain_minimum,
            need_timeout: durations.need_timeout,
            lease: durations.lease,
            detect_timeout: durations.detect_timeout,
            certificate_ttl: durations.certificate_ttl,
            own_mark,
            on_ready: source.on_ready,
        })
    }

    fn listeners(&mut self, source: &SettingsSource) -> Listeners {
        let admin: Option<SocketAddr> = self.optional("admin", source.admin.as_deref());
        if admin.is_some_and(|address| !address.ip().is_loopback()) {
            self.invalid(
                "admin",
                "it has no authentication, so only a loopback address will do",
            );
        }
        let anywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Listeners {
            explicit: self.optional("explicit", source.explicit.as_deref()),
            outbound: self.optional("outbound", source.outbound.as_deref()),
            inbound: self.inbound(source),
            hbone: self.optional("hbone", source.hbone.as_deref()),
            gateway_listen: self.or("gateway-listen", source.gateway_listen.as_deref(), anywhere),
            gateway_port_offset: self.or(
                "gateway-port-offset",
                source.gateway_port_offset.as_deref(),
                0,
            ),
            admin,
            metrics: self.optional("metrics", source.metrics.as_deref()),
        }
    }

    fn durations(&mut self, source: &SettingsSource) -> Durations {
        Durations {
            drain: self.duration("drain", source.drain.as_deref(), DEFAULT_WAIT),
            replaced_drain: self.duration(
                "replaced-drain",
                source.replaced_drain.as_deref(),
                DEFAULT_LEASE,
            ),
            drain_minimum: self.duration(
                "drain-minimum",
                source.drain_minimum.as_deref(),
                Duration::ZERO,
            ),
            need_timeout: self.duration(
                "need-timeout",
                source.need_timeout.as_deref(),
                DEFAULT_WAIT,
            ),
            lease: self.duration("lease", source.lease.as_deref(), DEFAULT_LEASE),
            detect_timeout: self.duration(
                "detect-timeout",
                source.detect_timeout.as_deref(),
                DEFAULT_WAIT,
            ),
            certificate_ttl: self.duration(
                "certificate-ttl",
                source.certificate_ttl.as_deref(),
                Duration::ZERO,
            ),
        }
    }

    pub(super) fn invalid(&mut self, name: &'static str, message: impl fmt::Display) {
        self.errors.push(SettingError::Invalid {
            name,
            message: message.to_string(),
        });
    }

    fn parse<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &'static str,
        text: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.invalid(name, format_args!("`{text}`: {error}"));
                None
            }
        }
    }

    pub(super) fn optional<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &'static str,
        text: Option<&str>,
    ) -> Option<T> {
        text.and_then(|text| self.parse(name, text))
    }

    pub(super) fn or<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &'static str,
        text: Option<&str>,
        default: T,
    ) -> T {
        self.optional(name, text).unwrap_or(default)
    }

    pub(super) fn required<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &'static str,
        text: Option<&str>,
        hint: &'static str,
    ) -> Option<T> {
        if text.is_none() {
            self.errors.push(SettingError::Missing { name, hint });
        }
        self.optional(name, text)
    }

    fn list<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &'static str,
        texts: &[String],
    ) -> Vec<T> {
        texts
            .iter()
            .filter_map(|text| self.parse(name, text.trim()))
            .collect()
    }

    fn labels(&mut self, texts: &[String]) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for text in texts {
            match text.trim().split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    labels.insert(key.to_owned(), value.to_owned());
                }
                _ => self.invalid("labels", InvalidValue::new(text, "`key=value`")),
            }
        }
        labels
    }

    fn registration(
        &mut self,
        source: &SettingsSource,
        addresses: &[IpAddr],
    ) -> Option<BTreeMap<String, u16>> {
        let mut ports = BTreeMap::new();
        for text in &source.register_ports {
            let port = text.trim().split_once('=');
            match port.and_then(|(name, port)| Some((name, port.parse().ok()?))) {
                Some((name, port)) if !name.is_empty() => {
                    ports.insert(name.to_owned(), port);
                }
                _ => self.invalid("register-ports", InvalidValue::new(text, "`name=port`")),
            }
        }
        if source.register && addresses.is_empty() {
            self.errors.push(SettingError::Missing {
                name: "addresses",
                hint: "--register needs to know where the workload answers; auto looks it up",
            });
        }
        if !source.register && !source.register_ports.is_empty() {
            self.errors.push(SettingError::Conflict(
                "--register-ports goes with --register",
            ));
        }
        source.register.then_some(ports)
    }

    fn inbound(&mut self, source: &SettingsSource) -> InboundMode {
        let bindings = self.list("inbound", &source.inbound);
        match self.optional("inbound-transparent", source.inbound_transparent.as_deref()) {
            Some(_) if !source.inbound.is_empty() => {
                self.errors.push(SettingError::Conflict(
                    "--inbound and --inbound-transparent exclude each other",
                ));
                InboundMode::Explicit(bindings)
            }
            Some(address) => InboundMode::Transparent(address),
            None => InboundMode::Explicit(bindings),
        }
    }

    fn conflicts(&mut self, kind: ProxyKind, source: &SettingsSource) {
        let carries = source.explicit.is_some()
            || source.outbound.is_some()
            || source.inbound_transparent.is_some()
            || source.hbone.is_some()
            || !source.inbound.is_empty();
        match kind {
            ProxyKind::Gateway if carries => self.errors.push(SettingError::Conflict(
                "a gateway has no --explicit, --outbound, --inbound, --inbound-transparent and --hbone: its listeners come from Gateway objects",
            )),
            ProxyKind::Sidecar if !carries => self.errors.push(SettingError::Conflict(
                "a sidecar needs at least one of --explicit, --outbound, --inbound, --inbound-transparent and --hbone",
            )),
            ProxyKind::Gateway | ProxyKind::Sidecar => {}
        }
    }

    pub(super) fn control_name(&mut self, text: Option<&str>) -> String {
        let name = text.unwrap_or("meshd");
        if rustls_pki_types::DnsName::try_from(name).is_err() {
            self.invalid("control-name", InvalidValue::new(name, "a DNS name"));
        }
        name.to_owned()
    }

    fn concurrency(&mut self, text: Option<&str>) -> NonZeroUsize {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        match self.optional::<NonZeroUsize>("concurrency", text) {
            Some(asked) => asked,
            None => NonZeroUsize::new(DEFAULT_WORKERS)
                .unwrap_or(NonZeroUsize::MIN)
                .min(cores),
        }
    }

    fn duration(&mut self, name: &'static str, text: Option<&str>, default: Duration) -> Duration {
        let Some(text) = text else { return default };
        parse_duration(text).unwrap_or_else(|error| {
            self.invalid(name, error);
            default
        })
    }

    fn mark(&mut self, text: Option<&str>) -> Option<u32> {
        let text = text?;
        match parse_mark(text) {
            Ok(mark) => Some(mark),
            Err(error) => {
                self.invalid("own-mark", error);
                None
            }
        }
    }
}

/// A packet mark: decimal or `0x` and hexadecimal, not zero.
pub(crate) fn parse_mark(text: &str) -> Result<u32, InvalidValue> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    number
        .filter(|n| *n != 0)
        .ok_or_else(|| InvalidValue::new(text, "a packet mark above 0, decimal or 0x…"))
}

/// `250ms`, `5s`, `1m`, `24h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, InvalidValue> {
    let wrong = || InvalidValue::new(text, "a duration such as 250ms, 5s, 1m or 24h");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    milliseconds.map(Duration::from_millis).ok_or_else(wrong)
}

// === impl SettingErrors ===

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingErrors {}
