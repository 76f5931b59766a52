//! A page in a browser must not reach the admin endpoint through its user's loopback.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses what only browsers send, and names that a foreign DNS server could have pointed here.
pub(super) async fn refuse_browsers(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if headers.contains_key(header::ORIGIN) || !host.is_none_or(is_local) {
        return (
            StatusCode::FORBIDDEN,
            "the admin endpoint takes no requests of web pages\n",
        )
            .into_response();
    }
    next.run(request).await
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    // Clients of Unix sockets write a name without meaning.
    !name.contains('.') && name.parse::<IpAddr>().is_err()
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_local_names() {
        for host in [
            "localhost",
            "localhost:15000",
            "127.0.0.1:15000",
            "[::1]:15000",
            "proxy",
            "127.0.0.2",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "example.com",
            "example.com:15000",
            "10.0.0.1:15000",
            "[2001:db8::1]:80",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
