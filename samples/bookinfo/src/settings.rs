//! What one service is told when it starts.

use std::{collections::BTreeMap, fmt, time::Duration};

use http::{HeaderValue, uri::Authority};

use crate::{
    client::proxy::{InvalidProxy, ProxySettings},
    command::Command,
};

/// The port of every Bookinfo service in Istio's manifests.
const DEFAULT_PORT: u16 = 9080;

/// Which of the four services a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Service {
    /// The web page and the public API; calls `details`, `reviews` and (API only) `ratings`.
    Productpage,
    /// The book's data.
    Details,
    /// The book's reviews; versions 2 and 3 call `ratings`.
    Reviews,
    /// The reviewers' stars.
    Ratings,
}

/// Everything a service needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which service this is.
    pub service: Service,
    /// The workload's `version` label.
    pub version: String,
    /// The address or name to listen on.
    pub host: String,
    /// The port to listen on; 0 for one of the system's choice.
    pub port: u16,
    /// The name that this workload gives itself in its answers.
    pub pod_name: String,
    /// The name of the cluster, as `reviews` reports it (`CLUSTER_NAME`).
    pub cluster_name: Option<String>,
    /// Where the other services are.
    pub upstreams: Upstreams,
    /// Through which HTTP proxy they are reached, if any.
    pub proxy: ProxySettings,
    /// How long calls to them may take.
    pub timeouts: Timeouts,
}

/// Where the other services are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstreams {
    /// `DETAILS_HOSTNAME`, `DETAILS_SERVICE_PORT`.
    pub details: Target,
    /// `REVIEWS_HOSTNAME`, `REVIEWS_SERVICE_PORT`.
    pub reviews: Target,
    /// `RATINGS_HOSTNAME`, `RATINGS_SERVICE_PORT`.
    pub ratings: Target,
}

/// How long calls to other services may take, connecting and reading the answer included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// One call of the product page: 3 s. It tries `reviews` twice and the others once.
    pub page: Duration,
    /// The call from black-star `reviews` (v2) to `ratings`: 10 s.
    pub black_stars: Duration,
    /// The call from red-star `reviews` (v3) to `ratings`: 2.5 s.
    pub red_stars: Duration,
}

/// The host and port of an HTTP service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    host: String,
    port: u16,
}

/// A host name that cannot stand in a URL.
#[derive(Debug, thiserror::Error)]
#[error("{host:?} is not a host name or an IP address")]
pub struct InvalidTarget {
    host: String,
}

/// A flag or an environment variable that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A service's host name.
    #[error("{variable}: {source}")]
    Target {
        /// The environment variable.
        variable: String,
        /// What is wrong with it.
        source: InvalidTarget,
    },
    /// A service's port.
    #[error("{variable}: {value:?} is not a port between 1 and 65535")]
    Port {
        /// The environment variable.
        variable: String,
        /// Its value.
        value: String,
    },
    /// The proxy.
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
    /// A version of `reviews` that does not exist.
    #[error("reviews has the versions v1, v2 and v3, not {0:?}")]
    ReviewsVersion(String),
    /// A name or version that cannot stand in a response header.
    #[error("{0:?} cannot be a version or pod name: use printable ASCII characters")]
    Label(String),
}

// === impl Service ===

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Productpage => "productpage",
            Self::Details => "details",
            Self::Reviews => "reviews",
            Self::Ratings => "ratings",
        })
    }
}

// === impl Settings ===

impl Settings {
    /// Settings from the command line and the environment (`env`: name to value).
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn new(command: Command, env: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let Command {
            service,
            version,
            port,
            host,
            pod_name,
        } = command;
        // In a pod HOSTNAME is its name; Istio's manifests give no other.
        let in_pod = env.contains_key("KUBERNETES_SERVICE_HOST");
        let pod_name = pod_name
            .or_else(|| env.get("HOSTNAME").filter(|_| in_pod).cloned())
            .unwrap_or_else(|| format!("{service}-{version}"));
        for label in [&version, &pod_name] {
            if label.is_empty() || HeaderValue::from_str(label).is_err() {
                return Err(SettingsError::Label(label.clone()));
            }
        }
        if service == Service::Reviews && !matches!(version.as_str(), "v1" | "v2" | "v3") {
            return Err(SettingsError::ReviewsVersion(version));
        }
        Ok(Self {
            service,
            version,
            host,
            port,
            pod_name,
            cluster_name: env.get("CLUSTER_NAME").cloned(),
            upstreams: Upstreams::from_env(env)?,
            proxy: ProxySettings::from_env(env)?,
            timeouts: Timeouts::default(),
        })
    }
}

// === impl Upstreams ===

impl Upstreams {
    /// The targets that the original's environment variables name; by default each
    /// service's own name, port 9080. `SERVICES_DOMAIN` is appended to each host name.
    ///
    /// # Errors
    /// The first variable that cannot be used.
    pub fn from_env(env: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        Ok(Self {
            details: target(env, Service::Details)?,
            reviews: target(env, Service::Reviews)?,
            ratings: target(env, Service::Ratings)?,
        })
    }
}

fn target(env: &BTreeMap<String, String>, service: Service) -> Result<Target, SettingsError> {
    let prefix = service.to_string().to_ascii_uppercase();
    let set = |name: &str| env.get(name).filter(|value| !value.is_empty());

    let variable = format!("{prefix}_HOSTNAME");
    let mut host = set(&variable)
        .cloned()
        .unwrap_or_else(|| service.to_string());
    if let Some(domain) = set("SERVICES_DOMAIN") {
        host = format!("{host}.{domain}");
    }
    let port_variable = format!("{prefix}_SERVICE_PORT");
    let port = match set(&port_variable) {
        None => DEFAULT_PORT,
        Some(value) => value
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| SettingsError::Port {
                variable: port_variable.clone(),
                value: value.clone(),
            })?,
    };
    Target::new(&host, port).map_err(|source| SettingsError::Target { variable, source })
}

// === impl Target ===

impl Target {
    /// A host name or IP address (an IPv6 address with or without brackets) and a port.
    ///
    /// # Errors
    /// When the host cannot stand in a URL.
    pub fn new(host: &str, port: u16) -> Result<Self, InvalidTarget> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let target = Self {
            host: bare.to_ascii_lowercase(),
            port,
        };
        let parsed: Result<Authority, _> = target.to_string().parse();
        match parsed {
            Ok(authority)
                if authority.port_u16() == Some(port)
                    && !bare.is_empty()
                    && !bare.contains('@') =>
            {
                Ok(target)
            }
            _ => Err(InvalidTarget {
                host: host.to_owned(),
            }),
        }
    }

    /// The host, without brackets, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl From<std::net::SocketAddr> for Target {
    fn from(address: std::net::SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

/// As an authority: `host:port`, IPv6 addresses in brackets.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

// === impl Timeouts ===

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            page: Duration::from_secs(3),
            black_stars: Duration::from_secs(10),
            red_stars: Duration::from_millis(2500),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(service: Service, version: &str) -> Command {
        Command {
            service,
            version: version.to_owned(),
            port: 0,
            host: "127.0.0.1".to_owned(),
            pod_name: None,
        }
    }

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn upstreams_follow_the_originals_variables() {
        let plain = Upstreams::from_env(&env(&[])).unwrap();
        assert_eq!(plain.details.to_string(), "details:9080");
        assert_eq!(plain.reviews.to_string(), "reviews:9080");
        assert_eq!(plain.ratings.to_string(), "ratings:9080");

        let named = Upstreams::from_env(&env(&[
            ("SERVICES_DOMAIN", "default.svc"),
            ("REVIEWS_HOSTNAME", "critics"),
            ("RATINGS_SERVICE_PORT", "81"),
            ("DETAILS_HOSTNAME", ""),
        ]))
        .unwrap();
        assert_eq!(named.details.to_string(), "details.default.svc:9080");
        assert_eq!(named.reviews.to_string(), "critics.default.svc:9080");
        assert_eq!(named.ratings.to_string(), "ratings.default.svc:81");

        let six = Upstreams::from_env(&env(&[("DETAILS_HOSTNAME", "[::1]")])).unwrap();
        assert_eq!(
            (six.details.host(), six.details.to_string()),
            ("::1", "[::1]:9080".into())
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        for (variable, value) in [
            ("DETAILS_HOSTNAME", "a b"),
            ("DETAILS_HOSTNAME", "user@host"),
            ("REVIEWS_HOSTNAME", "host/path"),
            ("RATINGS_SERVICE_PORT", "0"),
            ("RATINGS_SERVICE_PORT", "tcp://10.0.0.1:9080"),
        ] {
            let error = Upstreams::from_env(&env(&[(variable, value)])).unwrap_err();
            assert!(
                error.to_string().contains(variable),
                "{variable}={value}: {error}"
            );
        }
        let error = Settings::new(command(Service::Reviews, "v4"), &env(&[])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "reviews has the versions v1, v2 and v3, not \"v4\""
        );
        let error = Settings::new(command(Service::Details, "v\n1"), &env(&[])).unwrap_err();
        assert!(matches!(error, SettingsError::Label(_)));
    }

    #[test]
    fn the_pod_is_named_after_the_workload() {
        let settings = Settings::new(command(Service::Reviews, "v3"), &env(&[])).unwrap();
        assert_eq!(settings.pod_name, "reviews-v3");
        assert_eq!(settings.cluster_name, None);

        let name = |variables: &[(&str, &str)]| {
            let command = command(Service::Reviews, "v3");
            Settings::new(command, &env(variables)).unwrap().pod_name
        };
        assert_eq!(name(&[("HOSTNAME", "laptop")]), "reviews-v3");
        let in_pod = ("KUBERNETES_SERVICE_HOST", "10.96.0.1");
        assert_eq!(
            name(&[("HOSTNAME", "reviews-v3-7c9f"), in_pod]),
            "reviews-v3-7c9f"
        );
    }
}
