//! The question over gRPC (Istio: envoyExtAuthzGrpc), in Envoy's protocol.

use std::collections::BTreeMap;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, TE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use http_body::Body as _;
use mesh_api::envoy_auth as v3;
use mesh_proxy_core::authz::{Authorizer, put};
use prost::Message as _;

use super::Asker;
use super::ask::{Answer, AskError, Denied, Edits, Question, Whole};
use crate::http::Incoming;
use crate::http::headers::X_REQUEST_ID;

const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Flag and length before a message of gRPC.
const PREFIX: usize = 5;

/// The question about a request.
pub(super) fn about_request(
    asker: &Asker<'_>,
    authorizer: &Authorizer,
    parts: &Parts,
    (seen, incoming): (Bytes, &Incoming),
) -> Question {
    let http = http_request(asker, authorizer, parts, (seen, incoming));
    question(asker, authorizer, Some(http))
}

/// The question about a connection of opaque bytes.
pub(super) fn about_connection(asker: &Asker<'_>, authorizer: &Authorizer) -> Question {
    question(asker, authorizer, None)
}

fn question(asker: &Asker<'_>, authorizer: &Authorizer, http: Option<v3::HttpRequest>) -> Question {
    let request = v3::CheckRequest {
        attributes: Some(attributes(asker, http)),
    };
    let mut body = BytesMut::with_capacity(PREFIX + request.encoded_len());
    body.put_u8(0);
    body.put_u32(u32::try_from(request.encoded_len()).unwrap_or(u32::MAX));
    body.extend_from_slice(&request.encode_to_vec());
    let mut head = Request::new(()).into_parts().0;
    head.method = Method::POST;
    head.version = Version::HTTP_2;
    head.uri = Uri::from_static(PATH);
    let host = match &authorizer.cluster {
        Ok(id) => HeaderValue::try_from(id.host.as_str()).ok(),
        Err(_) => None,
    };
    if let Some(host) = host {
        head.headers.insert(HOST, host);
    }
    let fixed = [(CONTENT_TYPE, "application/grpc"), (TE, "trailers")];
    for (name, value) in fixed {
        head.headers.insert(name, HeaderValue::from_static(value));
    }
    Question {
        head,
        body: body.freeze(),
        http2: true,
    }
}

fn attributes(asker: &Asker<'_>, http: Option<v3::HttpRequest>) -> v3::AttributeContext {
    let caller = &asker.caller;
    let address = |address: std::net::SocketAddr| v3::Address {
        socket_address: Some(v3::SocketAddress {
            address: address.ip().to_canonical().to_string(),
            port_value: address.port().into(),
        }),
    };
    let own = asker.worker.shared.identity.current();
    let snapshot = asker.worker.shared.snapshot();
    v3::AttributeContext {
        source: Some(v3::Peer {
            address: Some(address(asker.remote)),
            principal: caller
                .identity
                .map(|identity| identity.as_str().to_owned())
                .unwrap_or_default(),
            ..v3::Peer::default()
        }),
        destination: Some(v3::Peer {
            address: Some(address(caller.destination)),
            principal: own
                .as_ref()
                .map(|own| own.id().as_str().to_owned())
                .unwrap_or_default(),
            service: snapshot
                .inbound()
                .map(|inbound| inbound.workload.to_string())
                .unwrap_or_default(),
            ..v3::Peer::default()
        }),
        request: http.map(|http| v3::Request { http: Some(http) }),
        context_extensions: BTreeMap::new(),
        tls_session: caller.sni.map(|sni| v3::TlsSession {
            sni: sni.to_owned(),
        }),
    }
}

fn http_request(
    asker: &Asker<'_>,
    authorizer: &Authorizer,
    parts: &Parts,
    (seen, incoming): (Bytes, &Incoming),
) -> v3::HttpRequest {
    let host = match parts.uri.authority() {
        Some(authority) => authority.as_str().to_owned(),
        None => text(parts.headers.get(HOST)),
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in [
        (":authority", host.as_str()),
        (":method", parts.method.as_str()),
        (":path", path),
        (":scheme", asker.scheme),
    ] {
        headers.insert(name.to_owned(), value.to_owned());
    }
    for (name, value) in &parts.headers {
        if name == HOST {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    let as_bytes = authorizer.body.is_some_and(|body| body.as_bytes);
    let size = match (incoming.is_end_stream(), incoming.size_hint().exact()) {
        (true, _) => 0,
        (false, Some(size)) => i64::try_from(size).unwrap_or(-1),
        (false, None) => -1,
    };
    v3::HttpRequest {
        id: text(parts.headers.get(X_REQUEST_ID)),
        method: parts.method.as_str().to_owned(),
        headers,
        path: path.to_owned(),
        host,
        scheme: asker.scheme.to_owned(),
        size,
        protocol: match parts.version {
            Version::HTTP_2 => "HTTP/2",
            _ => "HTTP/1.1",
        }
        .to_owned(),
        body: if as_bytes {
            String::new()
        } else {
            String::from_utf8_lossy(&seen).into_owned()
        },
        raw_body: if as_bytes { seen.to_vec() } else { Vec::new() },
        ..v3::HttpRequest::default()
    }
}

fn text(value: Option<&HeaderValue>) -> String {
    let text = value.and_then(|value| value.to_str().ok());
    text.unwrap_or_default().to_owned()
}

/// What an answer means.
pub(super) fn answer(answer: &Whole) -> Result<Answer, AskError> {
    if answer.head.status != StatusCode::OK {
        return Err(AskError::Status(answer.head.status));
    }
    let in_head = answer.head.headers.get("grpc-status");
    let in_trailers = answer.trailers.as_ref().map(|t| t.get("grpc-status"));
    let status = in_trailers.flatten().or(in_head);
    if status.is_some_and(|status| status != "0") {
        let unreadable = format!("gRPC status {}", text(status));
        return Err(AskError::Unreadable(unreadable));
    }
    // Compression was not offered.
    let Some(([0, ..], message)) = answer.body.split_at_checked(PREFIX) else {
        return Err(AskError::Unreadable("no message".to_owned()));
    };
    let response = v3::CheckResponse::decode(message)
        .map_err(|error| AskError::Unreadable(error.to_string()))?;
    let allowed = response
        .status
        .as_ref()
        .is_some_and(|status| status.code == 0);
    match (allowed, response.http_response) {
        (true, Some(v3::check_response::HttpResponse::OkResponse(ok))) => {
            Ok(Answer::Allowed(edits(ok)))
        }
        (true, _) if response.status.is_some() => Ok(Answer::Allowed(Edits::default())),
        (_, Some(v3::check_response::HttpResponse::DeniedResponse(denied))) => {
            Ok(Answer::Denied(denial(denied)))
        }
        _ => Ok(Answer::Denied(Denied {
            status: StatusCode::FORBIDDEN,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        })),
    }
}

fn field(option: &v3::HeaderValueOption) -> Option<(HeaderName, HeaderValue)> {
    let header = option.header.as_ref()?;
    let name = HeaderName::from_bytes(header.key.as_bytes()).ok()?;
    let value = if header.raw_value.is_empty() {
        header.value.as_bytes()
    } else {
        &header.raw_value
    };
    Some((name, HeaderValue::from_bytes(value).ok()?))
}

fn all(options: &[v3::HeaderValueOption]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in options.iter().filter_map(field) {
        headers.append(name, value);
    }
    headers
}

fn edits(ok: v3::OkHttpResponse) -> Edits {
    let mut edits = Edits::default();
    for option in &ok.headers {
        let Some((name, value)) = field(option) else {
            continue;
        };
        match (&option.append, option.append_action()) {
            (Some(v3::BoolValue { value: true }), _) => edits.append.push((name, value)),
            (None, v3::HeaderAppendAction::AddIfAbsent) => edits.absent.push((name, value)),
            // Without a word, Envoy's authorizers replace.
            _ => put(&mut edits.set, HeaderMap::from_iter([(name, value)])),
        }
    }
    let protected = |name: &HeaderName| name == HOST;
    edits.remove = ok
        .headers_to_remove
        .iter()
        .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
        .filter(|name| !protected(name))
        .collect();
    edits.params = ok
        .query_parameters_to_set
        .into_iter()
        .map(|param| (param.key, param.value))
        .collect();
    edits.without_params = ok.query_parameters_to_remove;
    edits.to_client = all(&ok.response_headers_to_add);
    edits
}

fn denial(denied: v3::DeniedHttpResponse) -> Denied {
    let code = denied.status.map_or(0, |status| status.code);
    let status = u16::try_from(code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
        .filter(|status| !status.is_success() && !status.is_informational());
    Denied {
        status: status.unwrap_or(StatusCode::FORBIDDEN),
        headers: all(&denied.headers),
        body: denied.body.into(),
    }
}
