//! Which words may stand where.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mesh_api::WorkloadName;

pub(super) fn bad_name(field: &str, value: &str) -> String {
    format!("{field} `{value}` is no DNS name: use lower-case letters, digits, `-` and `.`")
}

pub(super) fn parse_listen(text: &str) -> Option<SocketAddr> {
    match text.parse::<u16>() {
        Ok(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => text.parse().ok(),
    }
}

pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_label_part(text)
}

/// Kubernetes: a name of up to 63 characters, after an optional DNS name and a slash.
pub(super) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => WorkloadName::new(prefix, "x").is_ok() && is_label_part(name),
        None => is_label_part(text),
    }
}

fn is_label_part(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

pub(super) fn is_port_name(text: &str) -> bool {
    text.len() <= 63 && WorkloadName::new("x", text).is_ok() && !text.contains('.')
}
