//! HBONE: connections by HTTP/2 CONNECT (RFC 9113 section 8.5) over the mesh's mutual TLS, as
//! Istio's ztunnel speaks it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::request::Parts;
use http::uri::{Authority, Uri};
use http::{HeaderName, HeaderValue, Method, Request};
use mesh_api::SpiffeId;

use crate::labels::{PeerLabels, UNKNOWN};
use crate::reason::Reason;

/// Header in which a client's proxy says which workload it stands for (W3C baggage).
pub const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Longest value that is read.
const LONGEST: usize = 4096;

const CLUSTER: &str = "k8s.cluster.name";
const NAMESPACE: &str = "k8s.namespace.name";
const SERVICE: &str = "service.name";
const REVISION: &str = "service.version";
const APP: &str = "app.name";
const VERSION: &str = "app.version";

/// Where a CONNECT wants to go: one of the workload's `own` addresses.
///
/// # Errors
/// It is no CONNECT, it names no address with a port, or the address is somebody else's.
pub fn destination(parts: &Parts, own: &[IpAddr]) -> Result<SocketAddr, Reason> {
    if parts.method != Method::CONNECT {
        return Err(Reason::DownstreamProtocolError);
    }
    let authority = parts.uri.authority().map_or("", Authority::as_str);
    let address: SocketAddr = authority.parse().map_err(|_| Reason::HostInvalid)?;
    if address.port() == 0 {
        return Err(Reason::HostInvalid);
    }
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    if own.contains(&address.ip()) {
        Ok(address)
    } else {
        Err(Reason::MisdirectedRequest)
    }
}

/// The head of a CONNECT to this address.
pub fn request(to: SocketAddr, baggage: Option<&HeaderValue>) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::CONNECT;
    // An address with a port is an authority.
    if let Ok(authority) = Authority::try_from(to.to_string()) {
        parts.uri = Uri::from(authority);
    }
    parts.version = http::Version::HTTP_2;
    if let Some(value) = baggage {
        parts.headers.insert(BAGGAGE, value.clone());
    }
    parts
}

/// What a proxy says of its workload in [`BAGGAGE`], under Istio's names. Values that the header
/// cannot hold as they are (section 3.3.1.2 of W3C's Baggage) are left out.
pub fn baggage(labels: &PeerLabels) -> Option<HeaderValue> {
    let fields = [
        (CLUSTER, &labels.cluster),
        (NAMESPACE, &labels.namespace),
        ("k8s.deployment.name", &labels.workload),
        (SERVICE, &labels.canonical_service),
        (REVISION, &labels.canonical_revision),
        (APP, &labels.app),
        (VERSION, &labels.version),
    ];
    let plain = |value: &Arc<str>| {
        **value != *UNKNOWN
            && value.bytes().all(|byte| {
                byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\' | b'%')
            })
    };
    let known = fields.iter().filter(|(_, value)| plain(value));
    let members: Vec<String> = known.map(|(key, value)| format!("{key}={value}")).collect();
    HeaderValue::from_str(&members.join(",")).ok()
}

/// The labels that an authenticated peer told in [`BAGGAGE`]: labels in metrics and logs, never a
/// reason for a decision. Namespace and principal are those of its certificate.
pub fn told(value: Option<&HeaderValue>, identity: &SpiffeId) -> Arc<PeerLabels> {
    let mut labels = PeerLabels::of_identity(identity);
    let text = value
        .filter(|value| value.len() <= LONGEST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    for member in text.split(',') {
        // What follows a semicolon are properties of the member.
        let member = member.split(';').next().unwrap_or_default();
        let Some((key, value)) = member.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() {
            continue;
        }
        match key {
            CLUSTER => labels.cluster = value.into(),
            SERVICE => labels.canonical_service = value.into(),
            REVISION => labels.canonical_revision = value.into(),
            APP => labels.app = value.into(),
            VERSION => labels.version = value.into(),
            // `k8s.<kind of its controller>.name`
            _ if key != NAMESPACE && key.starts_with("k8s.") && key.ends_with(".name") => {
                labels.workload = value.into();
            }
            _ => {}
        }
    }
    Arc::new(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, authority: &str) -> Result<SocketAddr, Reason> {
        let own = ["10.0.0.1", "fd00::1"].map(|text| text.parse().unwrap());
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = method;
        parts.uri = Uri::from(authority.parse::<Authority>().unwrap());
        destination(&parts, &own)
    }

    #[test]
    fn goes_to_own_addresses_only() {
        let cases = [
            ("10.0.0.1:8080", Ok("10.0.0.1:8080")),
            ("[fd00::1]:80", Ok("[fd00::1]:80")),
            ("[::ffff:10.0.0.1]:80", Ok("10.0.0.1:80")),
            ("10.0.0.2:8080", Err(Reason::MisdirectedRequest)),
            ("127.0.0.1:15000", Err(Reason::MisdirectedRequest)),
            ("10.0.0.1", Err(Reason::HostInvalid)),
            ("10.0.0.1:0", Err(Reason::HostInvalid)),
            ("reviews:80", Err(Reason::HostInvalid)),
        ];
        for (authority, want) in cases {
            let want = want.map(|text: &str| text.parse().unwrap());
            assert_eq!(asked(Method::CONNECT, authority), want, "{authority}");
        }
        assert_eq!(
            asked(Method::GET, "10.0.0.1:80"),
            Err(Reason::DownstreamProtocolError)
        );
        let address = "[fd00::1]:80".parse().unwrap();
        let parts = request(address, None);
        assert_eq!(destination(&parts, &[address.ip()]), Ok(address));
    }

    #[test]
    fn labels_pass_as_istio_names_them() {
        let identity: SpiffeId = "spiffe://cluster.local/ns/default/sa/web".parse().unwrap();
        let sent = PeerLabels {
            workload: "web-v1".into(),
            app: "web".into(),
            version: "a,b".into(),
            cluster: "Kubernetes".into(),
            canonical_service: "web".into(),
            canonical_revision: "v1".into(),
            ..PeerLabels::of_identity(&identity)
        };
        let value = baggage(&sent).unwrap();
        let want = "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,\
                    k8s.deployment.name=web-v1,service.name=web,service.version=v1,app.name=web";
        assert_eq!(value, want);
        let back = told(Some(&value), &identity);
        assert_eq!(
            *back,
            PeerLabels {
                version: UNKNOWN.into(),
                ..sent
            }
        );
        let ztunnel = HeaderValue::from_static(
            "k8s.namespace.name=other, k8s.cronjob.name=x;p=1 ,service.name=,junk,=,a=b=c",
        );
        let back = told(Some(&ztunnel), &identity);
        assert_eq!(
            (&*back.workload, &*back.namespace, &*back.canonical_service),
            ("x", "default", UNKNOWN)
        );
        assert_eq!(*told(None, &identity), PeerLabels::of_identity(&identity));
    }
}
