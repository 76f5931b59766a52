//! From what is written to [`Settings`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use super::{AccessLog, InboundMode, InvalidValue, LogFormat, LogSink, ProxyKind, Settings, SettingsSource};

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
struct Reader {
    errors: Vec<SettingError>,
}

const DEFAULT_WAIT: Duration = Duration::from_secs(5);
const DEFAULT_LEASE: Duration = Duration::from_secs(600);
const DEFAULT_WORKERS: usize = 2;

impl TryFrom<SettingsSource> for Settings {
    type Error = SettingErrors;

    fn try_from(source: SettingsSource) -> Result<Self, Self::Error> {
        let mut reader = Reader { errors: Vec::new() };
        let kind = reader.or("kind", source.kind.as_deref(), ProxyKind::Sidecar);
        let control = reader.required("control", source.control.as_deref(), "where the control plane is");
        let ca = reader.optional("ca", source.ca.as_deref());
        let workload = reader.required("workload", source.workload.as_deref(), "write <namespace>/<name>");
        let roots = reader.required("roots", source.roots.as_deref(), "the roots to trust, a PEM file");
        let inbound = reader.inbound(&source);
        let admin: Option<SocketAddr> = reader.optional("admin", source.admin.as_deref());
        if admin.is_some_and(|a| !a.ip().is_loopback()) {
            reader.invalid("admin", "the admin endpoint has no authentication, so only a loopback address will do");
        }
        reader.conflicts(kind, &source);
        let settings = (|| {
            Some(Self {
                kind,
                service_account: source.service_account.clone().unwrap_or_else(|| "default".to_owned()),
                labels: reader.labels(&source.labels),
                addresses: reader.list("addresses", &source.addresses),
                locality: source.locality.clone().unwrap_or_default(),
                cluster: source.cluster.clone().unwrap_or_else(|| "Kubernetes".to_owned()),
                control_name: reader.control_name(source.control_name.as_deref()),
                token: source.token.clone().map(Into::into),
                state: source.state.clone().map(Into::into),
                explicit: reader.optional("explicit", source.explicit.as_deref()),
                outbound: reader.optional("outbound", source.outbound.as_deref()),
                inbound,
                gateway_listen: reader.or(
                    "gateway-listen",
                    source.gateway_listen.as_deref(),
                    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                ),
                gateway_port_offset: reader.or("gateway-port-offset", source.gateway_port_offset.as_deref(), 0),
                admin,
                admin_socket: source.admin_socket.clone().map(Into::into),
                metrics: reader.optional("metrics", source.metrics.as_deref()),
                concurrency: reader.concurrency(source.concurrency.as_deref()),
                access_log: AccessLog {
                    sink: reader.or("access-log", source.access_log.as_deref(), LogSink::Off),
                    format: reader.or("access-log-format", source.access_log_format.as_deref(), LogFormat::Text),
                },
                drain: reader.duration("drain", source.drain.as_deref(), DEFAULT_WAIT),
                need_timeout: reader.duration("need-timeout", source.need_timeout.as_deref(), DEFAULT_WAIT),
                lease: reader.duration("lease", source.lease.as_deref(), DEFAULT_LEASE),
                detect_timeout: reader.duration("detect-timeout", source.detect_timeout.as_deref(), DEFAULT_WAIT),
                certificate_ttl: reader.duration("certificate-ttl", source.certificate_ttl.as_deref(), Duration::ZERO),
                own_mark: reader.mark(source.own_mark.as_deref()),
                on_ready: source.on_ready,
                // Last, so that a missing one hides no other error.
                ca: ca.or_else(|| control.clone())?,
                control: control?,
                workload: workload?,
                roots: roots?,
            })
        })();
        match settings {
            Some(settings) if reader.errors.is_empty() => Ok(settings),
            _ => Err(SettingErrors(reader.errors)),
        }
    }
}

// === impl Reader ===

impl Reader {
    fn invalid(&mut self, name: &'static str, message: impl fmt::Display) {
        self.errors.push(SettingError::Invalid { name, message: message.to_string() });
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&mut self, name: &'static str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.invalid(name, format_args!("`{text}`: {error}"));
                None
            }
        }
    }

    fn optional<T: FromStr<Err: fmt::Display>>(&mut self, name: &'static str, text: Option<&str>) -> Option<T> {
        text.and_then(|text| self.parse(name, text))
    }

    fn or<T: FromStr<Err: fmt::Display>>(&mut self, name: &'static str, text: Option<&str>, default: T) -> T {
        self.optional(name, text).unwrap_or(default)
    }

    fn required<T: FromStr<Err: fmt::Display>>(
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

    fn list<T: FromStr<Err: fmt::Display>>(&mut self, name: &'static str, texts: &[String]) -> Vec<T> {
        texts.iter().filter_map(|text| self.parse(name, text.trim())).collect()
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

    fn inbound(&mut self, source: &SettingsSource) -> InboundMode {
        let bindings = self.list("inbound", &source.inbound);
        match self.optional("inbound-transparent", source.inbound_transparent.as_deref()) {
            Some(_) if !source.inbound.is_empty() => {
                self.errors.push(SettingError::Conflict("--inbound and --inbound-transparent exclude each other"));
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
            || !source.inbound.is_empty();
        match kind {
            ProxyKind::Gateway if carries => self.errors.push(SettingError::Conflict(
                "a gateway has no --explicit, --outbound, --inbound and --inbound-transparent: its listeners come from Gateway objects",
            )),
            ProxyKind::Sidecar if !carries => self.errors.push(SettingError::Conflict(
                "a sidecar needs at least one of --explicit, --outbound, --inbound and --inbound-transparent",
            )),
            ProxyKind::Gateway | ProxyKind::Sidecar => {}
        }
    }

    fn control_name(&mut self, text: Option<&str>) -> String {
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
            None => NonZeroUsize::new(DEFAULT_WORKERS).unwrap_or(NonZeroUsize::MIN).min(cores),
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
    number.filter(|n| *n != 0).ok_or_else(|| InvalidValue::new(text, "a packet mark above 0, decimal or 0x…"))
}

/// `250ms`, `5s`, `1m`, `24h`.
fn parse_duration(text: &str) -> Result<Duration, InvalidValue> {
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
