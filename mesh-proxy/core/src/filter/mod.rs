//! Edits of requests and responses, and answers that the proxy makes up.

mod cors;
mod edit;
mod fault;
mod redirect;
mod respond;
mod rewrite;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

pub use cors::{CorsGrant, CorsOutcome, cors};
pub use edit::{edit_fields, set_authority};
pub use fault::{FaultDecision, draw_fault};
pub use redirect::{https_location, location};
pub use respond::{LocalResponse, REASON_HEADER};
pub use rewrite::{InvalidRewrite, rewritten_path};

/// Whether a request or response is gRPC, by its content type.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let rest = value.as_bytes().strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// The host of an authority, without `:port`. Brackets of an IPv6 address stay.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
    }
}

#[cfg(test)]
mod tests;
