//! What comes over a connection of the data path.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use mesh_proxy::http::headers::take_hop_by_hop;
use mesh_proxy::http::{Version, peer, wire as forms};
use mesh_proxy::net::{Stream, UnixStream};
use mesh_proxy::socks as socks5;
use mesh_proxy_core::authz::path::normalise;
use mesh_proxy_core::detect::{self as detection, Detected, ProxyHeader};
use mesh_proxy_core::plan::hbone as tunnels;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::{client, request};

/// The first bytes of a connection: once they are classified, more bytes change nothing.
pub fn detect(data: &[u8]) {
    let mut settled: Option<std::mem::Discriminant<Detected>> = None;
    for end in 0..=data.len().min(2048) {
        let found = detection::classify(data.get(..end).unwrap_or_default());
        let kind = std::mem::discriminant(&found);
        match settled {
            Some(before) => assert_eq!(before, kind, "more bytes changed the answer"),
            None if !matches!(found, Detected::NeedMore) => settled = Some(kind),
            None => {}
        }
    }
}

/// A ClientHello behind a handshake record's header.
pub fn client_hello(data: &[u8]) {
    let length = u16::try_from(data.len().min(16_000)).unwrap_or(0);
    let mut record = vec![0x16, 3, 1];
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(data.get(..usize::from(length)).unwrap_or_default());
    let _ = detection::classify(&record);
}

/// What a balancer says of its client: once it is read, more bytes change nothing.
pub fn proxy_header(data: &[u8]) {
    let mut settled = None;
    for end in 0..=data.len().min(2048) {
        let found = detection::proxy_header(data.get(..end).unwrap_or_default());
        match settled {
            Some(before) => assert_eq!(before, found, "more bytes changed the answer"),
            None if found != ProxyHeader::NeedMore => settled = Some(found),
            None => {}
        }
    }
}

/// A SOCKS client: refused, or what follows its request is carried byte for byte.
pub fn socks(data: &[u8]) {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()
    });
    let Some(runtime) = runtime else { return };
    // As much as the socket takes without a reader.
    let data = data.get(..4096).unwrap_or(data);
    let _ = runtime.block_on(socks_client(data));
}

async fn socks_client(data: &[u8]) -> std::io::Result<()> {
    let (mut client, near) = UnixStream::pair()?;
    client.write_all(data).await?;
    client.shutdown().await?;
    let mut near = Stream::from(near);
    let wish = socks5::accept(&mut near, Duration::from_secs(5)).await;
    assert!(
        !matches!(wish, Err(socks5::SocksError::Timeout)),
        "it waits for bytes that cannot come"
    );
    let mut rest = Vec::new();
    near.read_to_end(&mut rest).await?;
    drop(near);
    let mut told = Vec::new();
    client.read_to_end(&mut told).await?;
    if let Ok((host, port)) = wish {
        let read = data.strip_suffix(rest.as_slice()).unwrap_or_default();
        assert!(
            read.ends_with(&port.to_be_bytes()),
            "the tunnel begins elsewhere"
        );
        assert_eq!(told, [5, 0]);
        let address = socks5::as_address(&host, port);
        assert!(address.is_none_or(|address| address.port() == port));
    }
    Ok(())
}

/// The head of a message on its way to the next connection, over HTTP/1 and HTTP/2.
pub fn wire(data: &[u8]) {
    let Some(mut parts) = request(data) else {
        return;
    };
    let hop = take_hop_by_hop(&mut parts.headers);
    for name in [
        "connection",
        "te",
        "upgrade",
        "transfer-encoding",
        "keep-alive",
        "proxy-connection",
    ] {
        assert!(!parts.headers.contains_key(name), "{name} is of one hop");
    }
    for arrived in [http::Version::HTTP_11, http::Version::HTTP_2] {
        parts.version = arrived;
        let mut one = parts.clone();
        forms::to_wire(&mut one, Version::Http1, &hop);
        assert!(
            one.method == http::Method::CONNECT || one.uri.authority().is_none(),
            "{}",
            one.uri
        );
        assert_eq!(one.uri.query(), parts.uri.query());
        let mut two = parts.clone();
        forms::to_wire(&mut two, Version::Http2, &hop);
        assert_eq!(two.uri.query(), parts.uri.query());
        assert!(!two.headers.contains_key("connection") && !two.headers.contains_key("upgrade"));
        let (mut answer, ()) = http::Response::new(()).into_parts();
        answer.version = arrived;
        answer.headers = parts.headers.clone();
        forms::from_wire(&mut answer, http::Version::HTTP_11);
    }
}

/// What a peer says of itself: labels, and never its identity.
pub fn peer_labels(data: &[u8]) {
    let (Some(identity), Ok(value)) = (client(), http::HeaderValue::from_bytes(data)) else {
        return;
    };
    let labels = peer::decode(Some(&value), &identity);
    assert_eq!(
        (&*labels.namespace, &*labels.principal),
        (identity.namespace(), identity.as_str())
    );
    // What we pass on, our peers understand; longer ones are not read.
    if let Some(again) = peer::encode(&labels).filter(|again| again.len() <= 2048) {
        assert_eq!(peer::decode(Some(&again), &identity), labels);
    }
}

/// The normal form of a path has no dot segments and is its own normal form: a policy that is
/// asked twice, here and at the next proxy, sees one path.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let once = normalise(text);
    assert_eq!(normalise(&once), once);
    if text.starts_with(['/', '\\']) {
        assert!(once.starts_with('/') && !once.contains('\\'), "{once}");
        assert!(
            !once.split('/').any(|segment| matches!(segment, "." | "..")),
            "{once}"
        );
    }
}

/// A CONNECT of HBONE: it leads to the workload's own addresses or nowhere, and what it tells
/// are labels, never who calls.
pub fn hbone(data: &[u8]) {
    let own = [
        IpAddr::from([10, 0, 0, 1]),
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]),
    ];
    let (Some(identity), Some(parts)) = (client(), request(data)) else {
        return;
    };
    if let Ok(to) = tunnels::destination(&parts, &own) {
        assert!(parts.method == http::Method::CONNECT && own.contains(&to.ip()) && to.port() != 0);
        assert_eq!(
            tunnels::destination(&tunnels::request(to, None), &own),
            Ok(to)
        );
    }
    let labels = tunnels::told(parts.headers.get(tunnels::BAGGAGE), &identity);
    assert_eq!(
        (&*labels.namespace, &*labels.principal),
        (identity.namespace(), identity.as_str())
    );
    // What we pass on, our peers understand; longer ones are not read.
    if let Some(again) = tunnels::baggage(&labels).filter(|again| again.len() <= 2048) {
        let passed = tunnels::told(Some(&again), &identity);
        assert_eq!(tunnels::baggage(&passed), Some(again));
    }
}
