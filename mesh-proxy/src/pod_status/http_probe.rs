//! GET requests of probes, as the kubelet makes them (Kubernetes: pkg/probe/http).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONNECTION, HOST, LOCATION, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Uri};

use super::PodStatus;
use super::call::{self, Call, CallError, host_field};
use super::probe::{Outcome, target};
use crate::settings::HttpGet;

const MOST_REDIRECTS: usize = 10;
// What the kubelet keeps of an answer.
const LONGEST_BODY: usize = 10 * 1024;
// An answer may be longer: the rest is not passed on.
const LONGEST_READ: usize = 16 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    // Absent: the pod itself.
    host: Option<String>,
    port: u16,
    path: String,
    tls: bool,
}

/// Makes a probe. The header fields of the kubelet's own request go along, those of the probe's
/// declaration over them. Redirects within the host are followed; one to another host counts as a
/// success.
pub(super) async fn make(
    status: &PodStatus,
    get: &HttpGet,
    asked: &HeaderMap,
) -> Result<Outcome, CallError> {
    let settings = &status.settings;
    let mut place = Place {
        host: get.host.clone(),
        port: get.port,
        path: get.path.clone(),
        tls: get.tls,
    };
    let mut headers = fields(get, asked, status.own_port);
    for _ in 0..=MOST_REDIRECTS {
        let (to, dialer) = target(settings, place.host.as_deref(), place.port).await?;
        let name = place.host.clone().unwrap_or_else(|| to.ip().to_string());
        if !headers.contains_key(HOST) {
            headers.extend(host_field(&name, place.port));
        }
        let call = Call {
            method: Method::GET,
            path: place.path.clone(),
            headers: headers.clone(),
            limit: LONGEST_READ,
        };
        let tls = place.tls.then_some(&*status.originator);
        let (parts, body) = call::call(to, dialer, tls, &call).await?;
        if !parts.status.is_redirection() {
            return Ok(Outcome {
                status: parts.status,
                body: body.slice(..body.len().min(LONGEST_BODY)),
            });
        }
        let next = parts
            .headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| place.redirected(location, &name));
        match next {
            Some(next) => {
                if next.port != place.port {
                    headers.remove(HOST);
                }
                place = next;
            }
            // A redirect without a place of its own is no answer that could be passed on.
            None => {
                return Ok(Outcome {
                    status: StatusCode::OK,
                    body: Bytes::new(),
                });
            }
        }
    }
    Err(CallError::Request(format!(
        "more than {MOST_REDIRECTS} redirects, the last one to {}",
        place.path
    )))
}

fn fields(get: &HttpGet, asked: &HeaderMap, own: Option<u16>) -> HeaderMap {
    let mut headers = asked.clone();
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, ACCEPT_ENCODING] {
        headers.remove(name);
    }
    // The kubelet calls the proxy's port; the application knows itself by its own.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let replaced = host.and_then(|host| {
        let (name, port) = host.rsplit_once(':')?;
        let port = port.parse::<u16>().ok()?;
        let name = name.trim_start_matches('[').trim_end_matches(']');
        if Some(port) == own {
            host_field(name, get.port)
        } else {
            None
        }
    });
    if let Some((name, value)) = replaced {
        headers.insert(name, value);
    }
    for (name, value) in &get.headers {
        // The settings have checked them.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

// === impl Place ===

impl Place {
    /// Where a redirect leads, if not to another host. `name` is how this host is called.
    fn redirected(&self, location: &str, name: &str) -> Option<Self> {
        let uri: Uri = location.parse().ok()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let Some(authority) = uri.authority() else {
            return Some(Self {
                path: self.beside(path),
                ..self.clone()
            });
        };
        let host = authority.host();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host != name {
            return None;
        }
        let tls = uri
            .scheme_str()
            .map_or(self.tls, |scheme| scheme == "https");
        Some(Self {
            host: self.host.clone(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            path: path.to_owned(),
            tls,
        })
    }

    /// A path that a page at this place means.
    fn beside(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        let here = self.path.split('?').next().unwrap_or_default();
        let folder = here.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            host: None,
            port: 8080,
            path: "/a/b?c".into(),
            tls: false,
        }
    }

    #[test]
    fn redirects_stay_with_the_host() {
        let to = |location: &str| place().redirected(location, "10.0.0.1");
        let at = |port, path: &str, tls| {
            Some(Place {
                host: None,
                port,
                path: path.into(),
                tls,
            })
        };
        assert_eq!(to("/x?y"), at(8080, "/x?y", false));
        assert_eq!(to("http://10.0.0.1:9090/x"), at(9090, "/x", false));
        assert_eq!(to("https://10.0.0.1/x"), at(443, "/x", true));
        assert_eq!(to("http://10.0.0.2:8080/x"), None);
        assert_eq!(to("https://example.com/login"), None);
        assert_eq!(place().beside("d"), "/a/d");
    }

    #[test]
    fn fields_of_the_probe_and_of_the_kubelet() {
        let get = HttpGet {
            host: None,
            port: 8080,
            path: "/".into(),
            tls: false,
            headers: vec![("X-Own".into(), "1".into())],
        };
        let mut asked = HeaderMap::new();
        for (name, value) in [
            ("host", "10.0.0.1:15020"),
            ("user-agent", "kube-probe/1.36"),
            ("connection", "close"),
        ] {
            asked.insert(name, HeaderValue::from_static(value));
        }
        let headers = fields(&get, &asked, Some(15020));
        assert_eq!(headers[HOST], "10.0.0.1:8080");
        assert_eq!(headers["user-agent"], "kube-probe/1.36");
        assert_eq!(headers["x-own"], "1");
        assert!(!headers.contains_key(CONNECTION));
        asked.insert(HOST, HeaderValue::from_static("app.example.com"));
        assert_eq!(fields(&get, &asked, Some(15020))[HOST], "app.example.com");
        asked.insert(HOST, HeaderValue::from_static("[fd00::1]:15020"));
        assert_eq!(fields(&get, &asked, Some(15020))[HOST], "[fd00::1]:8080");
    }
}
