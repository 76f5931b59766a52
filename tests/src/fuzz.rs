//! Bodies of the fuzz targets in `tests/fuzz`: everything that parses bytes of a peer or a user.
//! `tests/tests/corpus` replays the corpora through the same functions.

mod configuration;
mod connection;
mod control;
mod dns;
mod http1;
mod http2;
mod identity;
mod policies;
mod tokens;

use http::request::Parts;
use mesh_api::{SpiffeId, v1};

pub use configuration::{mesh_file, resources_file, yaml};
pub use connection::{client_hello, detect, hbone, path, peer_labels, proxy_header, socks, wire};
pub use control::{decode_plan, discovery_request, discovery_response};
pub use dns::dns;
pub use http1::{http1_request, http1_response};
pub use http2::{hpack, http2_client, http2_server};
pub use identity::{certificate, csr, join_token, resource_name, spiffe_id};
pub use policies::policies;
pub use tokens::{jwt, kubernetes_token, spiffe_bundle, workload_request};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name; a folder of this name under `tests/fuzz/corpus` holds inputs for each.
pub const TARGETS: [(&str, Target); 30] = [
    ("detect", detect),
    ("client_hello", client_hello),
    ("proxy_header", proxy_header),
    ("discovery_response", discovery_response),
    ("discovery_request", discovery_request),
    ("decode_plan", decode_plan),
    ("yaml", yaml),
    ("csr", csr),
    ("join_token", join_token),
    ("spiffe_id", spiffe_id),
    ("resource_name", resource_name),
    ("socks", socks),
    ("wire", wire),
    ("peer_labels", peer_labels),
    ("path", path),
    ("certificate", certificate),
    ("mesh_file", mesh_file),
    ("dns", dns),
    ("http1_request", http1_request),
    ("http1_response", http1_response),
    ("http2_server", http2_server),
    ("http2_client", http2_client),
    ("hpack", hpack),
    ("resources_file", resources_file),
    ("hbone", hbone),
    ("policies", policies),
    ("jwt", jwt),
    ("workload_request", workload_request),
    ("spiffe_bundle", spiffe_bundle),
    ("kubernetes_token", kubernetes_token),
];

/// The identity of whoever calls, where one is needed.
fn client() -> Option<SpiffeId> {
    "spiffe://cluster.local/ns/default/sa/client".parse().ok()
}

fn sidecar() -> v1::Node {
    v1::Node {
        workload: "default/client".into(),
        kind: v1::ProxyKind::Sidecar.into(),
        labels: [("app".to_owned(), "client".to_owned())].into(),
        ..v1::Node::default()
    }
}

/// A request as text: `<method> <target>`, then header fields, one a line. The corpora are
/// easier to read and to mutate this way than as HTTP/1 or HTTP/2.
fn request(text: &[u8]) -> Option<Parts> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.splitn(2, |byte| *byte == b' ');
    let (method, target) = (words.next()?, words.next()?);
    let mut builder = http::Request::builder().method(method).uri(target);
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(at)?;
        builder = builder.header(name.trim_ascii(), value.strip_prefix(b":")?.trim_ascii());
    }
    builder.body(()).ok().map(|request| request.into_parts().0)
}

/// What stands behind two bytes of length, and the rest.
fn prefixed(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    Some(rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len())))
}
