//! The HTTP proxy that the environment names, by curl's rules.

use std::{collections::BTreeMap, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, uri::Authority};
use ipnet::IpNet;

use crate::{settings::Target, urlencoded};

/// The port of a proxy whose URL has none, as in curl.
const DEFAULT_PORT: u16 = 1080;

/// Which requests go through which proxy.
#[derive(Debug, Clone, Default)]
pub struct ProxySettings {
    proxy: Option<Proxy>,
    bypass: Bypass,
}

#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) target: Target,
    /// `Proxy-Authorization`, when the URL has a user.
    pub(crate) authorization: Option<HeaderValue>,
}

/// The content of `no_proxy`.
#[derive(Debug, Clone, Default)]
struct Bypass {
    everything: bool,
    networks: Vec<IpNet>,
    domains: Vec<String>,
}

/// A proxy variable that cannot be used. The value is left out: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidProxy {
    /// Only HTTP proxies can be used.
    #[error("{variable}: only http:// proxies are supported, not {scheme}://")]
    Scheme {
        /// The environment variable.
        variable: &'static str,
        /// The scheme it asks for.
        scheme: String,
    },
    /// The rest is not `[user[:password]@]host[:port]`.
    #[error("{variable}: not the URL of a proxy")]
    Url {
        /// The environment variable.
        variable: &'static str,
    },
}

// === impl ProxySettings ===

impl ProxySettings {
    /// From `http_proxy`, else `HTTP_PROXY`, else `all_proxy` or `ALL_PROXY`; with the
    /// exceptions in `no_proxy`, else `NO_PROXY`. An empty value is as good as none.
    ///
    /// # Errors
    /// When the variable in force does not name an HTTP proxy.
    pub fn from_env(env: &BTreeMap<String, String>) -> Result<Self, InvalidProxy> {
        let first = |names: &[&'static str]| {
            names
                .iter()
                .find_map(|name| Some((*name, env.get(*name)?.trim())))
        };
        let proxy = match first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]) {
            None | Some((_, "")) => None,
            Some((variable, url)) => Some(Proxy::parse(variable, url)?),
        };
        let (_, bypass) = first(&["no_proxy", "NO_PROXY"]).unwrap_or(("", ""));
        Ok(Self {
            proxy,
            bypass: Bypass::parse(bypass),
        })
    }

    /// The proxy that a request to `host` (without port or brackets) goes through.
    pub(crate) fn proxy_for(&self, host: &str) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !self.bypass.matches(host))
    }
}

// === impl Proxy ===

impl Proxy {
    fn parse(variable: &'static str, url: &str) -> Result<Self, InvalidProxy> {
        let invalid = || InvalidProxy::Url { variable };
        let rest = match url.split_once("://") {
            None => url,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => {
                return Err(InvalidProxy::Scheme {
                    variable,
                    scheme: scheme.to_owned(),
                });
            }
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let authority: Authority = host.parse().map_err(|_| invalid())?;
        // What follows the host must be a port or nothing at all.
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str() == authority.host() => DEFAULT_PORT,
            None => return Err(invalid()),
        };
        let target = Target::new(authority.host(), port).map_err(|_| invalid())?;
        Ok(Self {
            target,
            authorization: user.and_then(basic),
        })
    }
}

/// The credentials of RFC 7617 for a URL's `user[:password]`.
fn basic(user: &str) -> Option<HeaderValue> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let mut pair = urlencoded::decode_bytes(user);
    pair.push(b':');
    pair.extend(urlencoded::decode_bytes(password));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

// === impl Bypass ===

impl Bypass {
    /// Host names, IP addresses and networks, separated by commas or blanks; `*` alone is
    /// everything.
    fn parse(list: &str) -> Self {
        let mut bypass = Self::default();
        if list.trim() == "*" {
            bypass.everything = true;
            return bypass;
        }
        for entry in list
            .split([',', ' ', '\t'])
            .filter(|entry| !entry.is_empty())
        {
            let bare = entry.trim_start_matches('[').trim_end_matches(']');
            if let Ok(network) = bare.parse::<IpNet>() {
                bypass.networks.push(network);
            } else if let Ok(address) = bare.parse::<IpAddr>() {
                bypass.networks.push(address.into());
            } else {
                let domain = entry.strip_prefix('.').unwrap_or(entry);
                let domain = domain.strip_suffix('.').unwrap_or(domain);
                bypass.domains.push(domain.to_ascii_lowercase());
            }
        }
        bypass
    }

    /// A domain stands for itself and for all names under it.
    fn matches(&self, host: &str) -> bool {
        if self.everything {
            return true;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return self
                .networks
                .iter()
                .any(|network| network.contains(&address));
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.domains
            .iter()
            .filter(|domain| !domain.is_empty())
            .any(|domain| {
                host.strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<ProxySettings, InvalidProxy> {
        let env = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        ProxySettings::from_env(&env)
    }

    #[test]
    fn the_variable_in_force() {
        for (env, expected) in [
            (&[][..], None),
            (&[("http_proxy", "")], None),
            (&[("http_proxy", ""), ("HTTP_PROXY", "upper:1")], None),
            (
                &[("http_proxy", "http://lower:1"), ("HTTP_PROXY", "upper:2")],
                Some("lower:1"),
            ),
            (&[("HTTP_PROXY", "upper:2/")], Some("upper:2")),
            (
                &[("ALL_PROXY", "any:3"), ("https_proxy", "tls:4")],
                Some("any:3"),
            ),
            (
                &[("http_proxy", "HTTP://127.0.0.1")],
                Some("127.0.0.1:1080"),
            ),
            (
                &[("http_proxy", "http://[::1]:15080/")],
                Some("[::1]:15080"),
            ),
        ] {
            let settings = settings(env).unwrap();
            let proxy = settings
                .proxy_for("reviews")
                .map(|proxy| proxy.target.to_string());
            assert_eq!(proxy.as_deref(), expected, "{env:?}");
        }
    }

    #[test]
    fn other_proxies_are_refused_without_their_password() {
        for url in [
            "socks5://u:secret@h:1",
            "https://u:secret@h",
            "u:secret@h:port",
            "u:secret@",
        ] {
            let error = settings(&[("http_proxy", url)]).unwrap_err().to_string();
            assert!(
                error.starts_with("http_proxy: ") && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_user_becomes_basic_credentials() {
        let settings = settings(&[("http_proxy", "http://me:p%40ss@h:1")]).unwrap();
        let proxy = settings.proxy_for("reviews").unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap(), "Basic bWU6cEBzcw==");
        assert!(!format!("{settings:?}").contains("bWU6"));
    }

    #[test]
    fn exceptions() {
        let list = "localhost, .internal example.com.,10.0.0.0/8,127.0.0.1 [::1],reviews";
        for (host, direct) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("notlocalhost", false),
            ("internal", true),
            ("a.b.internal", true),
            ("www.example.com", true),
            ("badexample.com", false),
            ("10.9.8.7", true),
            ("11.0.0.1", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::1", true),
            ("reviews", true),
            ("ratings", false),
        ] {
            let settings = settings(&[("http_proxy", "p:1"), ("no_proxy", list)]).unwrap();
            assert_eq!(settings.proxy_for(host).is_none(), direct, "{host}");
        }
        let all = settings(&[("http_proxy", "p:1"), ("NO_PROXY", "*")]).unwrap();
        assert!(all.proxy_for("anything").is_none());
    }
}
