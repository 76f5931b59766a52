//! Route tables.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use ipnet::IpNet;
use mesh_api::{Hostname, v1};

use super::admission::rate_limit;
use super::policy::{protocol, retry};
use super::{At, Kind, Result, each, invalid, origin, port, required};
use crate::ir::{
    Abort, Action, ClusterId, Cors, Destination, Destinations, DirectResponse, Fault, FieldEdits,
    FieldMatch, FieldName, Forward, FullRegex, HeaderEdits, HttpMatch, HttpRoute, Invalid, Mirror,
    RateLimit, Redirect, RegexRewrite, Rewrite, RouteTable, StringMatch, TcpRoute, TlsRoute,
};

pub(super) fn table(table: &v1::RouteTable) -> Result<RouteTable> {
    let host = match table.host.as_str() {
        "" => None,
        host => Some(host.parse().map_err(invalid).at("host")?),
    };
    Ok(RouteTable {
        // An undeclared destination has neither host nor port of its own.
        port: if table.undeclared && table.port == 0 {
            0
        } else {
            port(table.port).at("port")?
        },
        host,
        protocol: protocol(table.protocol).at("protocol")?,
        http: http_routes(&table.http)?,
        tls: each("tls", &table.tls, tls)?,
        tcp: each("tcp", &table.tcp, tcp)?,
        undeclared: table.undeclared,
    })
}

pub(super) fn http_routes(routes: &[v1::HttpRoute]) -> Result<Vec<Arc<HttpRoute>>> {
    each("http", routes, |route| http(route).map(Arc::new))
}

fn http(route: &v1::HttpRoute) -> Result<HttpRoute> {
    use v1::http_route::Action as Proto;
    let action = match required(route.action.as_ref()).at("action")? {
        Proto::Forward(proto) => Action::Forward(forward(proto).at("forward")?),
        Proto::Redirect(proto) => Action::Redirect(redirect(proto).at("redirect")?),
        Proto::Direct(proto) => Action::Direct(DirectResponse {
            status: status(proto.status).at("direct.status")?,
            body: Bytes::from(proto.body.clone()),
        }),
        Proto::Invalid(proto) => Action::Invalid(invalid_action(proto).at("invalid")?),
    };
    Ok(HttpRoute {
        name: route.name.as_str().into(),
        origin: origin(route.origin.as_ref()),
        matches: each("matches", &route.matches, http_match)?,
        action,
        fault: route.fault.as_ref().map(fault).transpose().at("fault")?,
        cors: route.cors.as_ref().map(cors).transpose().at("cors")?,
        headers: header_edits(route.headers.as_ref()).at("headers")?,
        limits: limits(&route.rate_limits)?,
    })
}

fn limits(protos: &[v1::RateLimit]) -> Result<Option<Arc<[Arc<RateLimit>]>>> {
    let limits = each("rate_limits", protos, |proto| {
        rate_limit(proto).map(Arc::new)
    })?;
    Ok(Some(limits)
        .filter(|limits| !limits.is_empty())
        .map(Arc::from))
}

pub(super) fn http_match(proto: &v1::HttpMatch) -> Result<HttpMatch> {
    let optional =
        |field: &str, value: Option<&v1::StringMatch>| value.map(string).transpose().at(field);
    let header = |field: &v1::FieldMatch| {
        Ok(FieldMatch {
            name: field_name(&field.name).at("name")?,
            value: string(required(field.value.as_ref()).at("value")?).at("value")?,
        })
    };
    let query = |field: &v1::FieldMatch| {
        Ok(FieldMatch {
            name: field.name.as_str().into(),
            value: string(required(field.value.as_ref()).at("value")?).at("value")?,
        })
    };
    Ok(HttpMatch {
        name: proto.name.as_str().into(),
        uri: optional("uri", proto.uri.as_ref())?,
        ignore_uri_case: proto.ignore_uri_case,
        scheme: optional("scheme", proto.scheme.as_ref())?,
        method: optional("method", proto.method.as_ref())?,
        authority: optional("authority", proto.authority.as_ref())?,
        headers: each("headers", &proto.headers, header)?,
        without_headers: each("without_headers", &proto.without_headers, header)?,
        query_params: each("query_params", &proto.query_params, query)?,
        origin: origin(proto.origin.as_ref()),
    })
}

fn string(proto: &v1::StringMatch) -> Result<StringMatch> {
    use v1::string_match::Kind as Proto;
    Ok(match required(proto.kind.as_ref())? {
        Proto::Exact(text) => StringMatch::Exact(text.as_str().into()),
        Proto::Prefix(text) => StringMatch::Prefix(text.as_str().into()),
        Proto::Regex(pattern) => {
            StringMatch::Regex(FullRegex::new(pattern).map_err(invalid).at("regex")?)
        }
        Proto::Present(true) => StringMatch::Present,
        // Nothing can be said by it that `without_headers` does not say better.
        Proto::Present(false) => return Err(invalid("is false")).at("present"),
    })
}

fn field_name(name: &str) -> Result<FieldName> {
    Ok(match name {
        ":authority" | "host" => FieldName::Authority,
        ":method" => FieldName::Method,
        ":path" => FieldName::Path,
        ":scheme" => FieldName::Scheme,
        name if name.starts_with(CLAIMS) => {
            FieldName::Claim(claim(name.get(CLAIMS.len()..).unwrap_or_default())?)
        }
        name => FieldName::Header(header_name(name)?),
    })
}

/// Begins the names of fields that are claims of the request's token.
const CLAIMS: &str = "@request.auth.claims";

/// `.a.b`, or `[a][b]` for names with dots (Istio: pilot/pkg/networking/util, ToClaim).
fn claim(text: &str) -> Result<Vec<Box<str>>> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let names: Vec<Box<str>> = match (inner, text.strip_prefix('.')) {
        (Some(inner), _) => inner.split("][").map(Into::into).collect(),
        (None, Some(rest)) => rest.split('.').map(Into::into).collect(),
        (None, None) => Vec::new(),
    };
    if names.is_empty() || names.iter().any(|name| name.is_empty()) {
        return Err(invalid(format_args!("`{CLAIMS}{text}` names no claim")));
    }
    Ok(names)
}

pub(super) fn header_name(name: &str) -> Result<HeaderName> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| invalid(format_args!("`{name}` is no header name")))
}

pub(super) fn header_value(value: &str) -> Result<HeaderValue> {
    // From bytes: text beyond ASCII may stand in a value (RFC 9110 section 5.5).
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| invalid(format_args!("`{value}` is no header value")))
}

fn header_edits(proto: Option<&v1::HeaderEdits>) -> Result<HeaderEdits> {
    let Some(proto) = proto else {
        return Ok(HeaderEdits::default());
    };
    let response = field_edits(proto.response.as_ref()).at("response")?;
    if response.authority.is_some() {
        return Err(invalid("a response has no host")).at("response.set");
    }
    Ok(HeaderEdits {
        request: field_edits(proto.request.as_ref()).at("request")?,
        response,
    })
}

fn field_edits(proto: Option<&v1::FieldEdits>) -> Result<FieldEdits> {
    let Some(proto) = proto else {
        return Ok(FieldEdits::default());
    };
    let mut edits = FieldEdits::default();
    for (index, field) in proto.set.iter().enumerate() {
        let value = header_value(&field.value)
            .at("value")
            .at_index("set", index)?;
        if is_host(&field.name) {
            edits.authority = Some(value);
        } else {
            edits.set.push((
                header_name(&field.name).at("name").at_index("set", index)?,
                value,
            ));
        }
    }
    let plain = |name: &str| {
        if is_host(name) {
            Err(invalid("the host can only be set"))
        } else {
            header_name(name)
        }
    };
    edits.add = each("add", &proto.add, |field| {
        Ok((
            plain(&field.name).at("name")?,
            header_value(&field.value).at("value")?,
        ))
    })?;
    edits.remove = each("remove", &proto.remove, |name| plain(name))?;
    Ok(edits)
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name == ":authority"
}

fn forward(proto: &v1::Forward) -> Result<Forward> {
    let lost = proto.invalid.as_ref().map_or(0, |share| share.weight);
    if proto.invalid.is_some() && lost == 0 {
        return Err(invalid("is 0")).at("invalid.weight");
    }
    Ok(Forward {
        destinations: destinations(&proto.destinations, lost)?,
        invalid: proto
            .invalid
            .as_ref()
            .map(|share| required(share.action.as_ref()).and_then(invalid_action))
            .transpose()
            .at("invalid.action")?,
        rewrite: proto
            .rewrite
            .as_ref()
            .map(rewrite)
            .transpose()
            .at("rewrite")?,
        timeout: milliseconds(proto.timeout_ms),
        retry: proto
            .retry
            .as_ref()
            .map(|policy| retry(policy).map(Arc::new))
            .transpose()
            .at("retry")?,
        mirrors: each("mirrors", &proto.mirrors, |mirror| {
            let to = required(mirror.destination.as_ref()).at("destination")?;
            Ok(Mirror {
                cluster: cluster_id(to).at("destination")?,
                per_million: share(mirror.per_million).at("per_million")?,
            })
        })?,
    })
}

fn invalid_action(proto: &v1::InvalidAction) -> Result<Invalid> {
    Ok(Invalid {
        status: status(proto.status).at("status")?,
        message: proto.message.as_str().into(),
    })
}

fn destinations(list: &[v1::Destination], lost: u32) -> Result<Destinations> {
    let list = each("destinations", list, |proto| {
        Ok(Destination {
            cluster: cluster_id(proto)?,
            weight: proto.weight,
            headers: header_edits(proto.headers.as_ref()).at("headers")?,
        })
    })?;
    Destinations::with_lost(list, lost)
        .map_err(invalid)
        .at("destinations")
}

fn cluster_id(proto: &v1::Destination) -> Result<ClusterId> {
    let host: Hostname = proto.host.parse().map_err(invalid).at("host")?;
    Ok(ClusterId {
        host,
        port: port(proto.port).at("port")?,
        subset: proto.subset.as_str().into(),
    })
}

fn rewrite(proto: &v1::Rewrite) -> Result<Rewrite> {
    let regex = match proto.regex.as_str() {
        "" => None,
        pattern => Some(
            RegexRewrite::new(pattern, &proto.regex_substitution)
                .map_err(invalid)
                .at("regex")?,
        ),
    };
    let authority = Some(&proto.authority).filter(|text| !text.is_empty());
    Ok(Rewrite {
        uri: some_text(&proto.uri),
        authority: authority
            .map(|text| header_value(text))
            .transpose()
            .at("authority")?,
        regex,
    })
}

fn redirect(proto: &v1::Redirect) -> Result<Redirect> {
    let code = match proto.code {
        // Istio's default.
        0 => 301,
        code @ (301 | 302 | 303 | 307 | 308) => code,
        code => return Err(Kind::Status(code).into()).at("code"),
    };
    Ok(Redirect {
        uri: some_text(&proto.uri),
        uri_prefix: some_text(&proto.uri_prefix),
        authority: some_text(&proto.authority),
        scheme: some_text(&proto.scheme),
        port: if proto.port == 0 {
            None
        } else {
            Some(port(proto.port).at("port")?)
        },
        port_from_request: proto.port_from_request,
        code: status(code).at("code")?,
    })
}

fn fault(proto: &v1::Fault) -> Result<Fault> {
    let abort = match proto.abort_http {
        0 => Abort::Grpc(proto.abort_grpc),
        code => Abort::Http(status(code).at("abort_http")?),
    };
    Ok(Fault {
        delay_per_million: share(proto.delay_per_million).at("delay_per_million")?,
        delay: Duration::from_millis(proto.delay_ms),
        abort_per_million: share(proto.abort_per_million).at("abort_per_million")?,
        abort,
        origin: origin(proto.origin.as_ref()),
    })
}

fn cors(proto: &v1::Cors) -> Result<Cors> {
    let joined = |field: &str, list: &[String]| match list {
        [] => Ok(None),
        list => header_value(&list.join(",")).map(Some).at(field),
    };
    Ok(Cors {
        allow_origins: each("allow_origins", &proto.allow_origins, string)?,
        allow_methods: joined("allow_methods", &proto.allow_methods)?,
        allow_headers: joined("allow_headers", &proto.allow_headers)?,
        expose_headers: joined("expose_headers", &proto.expose_headers)?,
        max_age: (proto.max_age_seconds != 0).then(|| HeaderValue::from(proto.max_age_seconds)),
        allow_credentials: proto.allow_credentials,
        forward_unmatched_preflights: proto.forward_unmatched_preflights,
    })
}

fn tls(proto: &v1::TlsRoute) -> Result<TlsRoute> {
    if proto.sni_hosts.is_empty() {
        return Err(Kind::Missing.into()).at("sni_hosts");
    }
    Ok(TlsRoute {
        sni_hosts: each("sni_hosts", &proto.sni_hosts, |host| {
            host.parse().map_err(invalid)
        })?,
        destination_subnets: subnets(&proto.destination_subnets)?,
        destinations: destinations(&proto.destinations, 0)?,
        origin: origin(proto.origin.as_ref()),
    })
}

pub(super) fn tcp(proto: &v1::TcpRoute) -> Result<TcpRoute> {
    Ok(TcpRoute {
        destination_subnets: subnets(&proto.destination_subnets)?,
        destinations: destinations(&proto.destinations, 0)?,
        origin: origin(proto.origin.as_ref()),
    })
}

fn subnets(list: &[String]) -> Result<Vec<IpNet>> {
    each("destination_subnets", list, |text| cidr(text))
}

/// A CIDR, or a single address.
pub(super) fn cidr(text: &str) -> Result<IpNet> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(IpNet::from(address));
    }
    text.parse()
        .map_err(|_| invalid(format_args!("`{text}` is neither an IP address nor a CIDR")))
}

fn milliseconds(count: u64) -> Option<Duration> {
    (count != 0).then(|| Duration::from_millis(count))
}

fn share(per_million: u32) -> Result<u32> {
    if per_million > 1_000_000 {
        Err(Kind::Share(per_million).into())
    } else {
        Ok(per_million)
    }
}

fn some_text(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

fn status(code: u32) -> Result<StatusCode> {
    let code16 = u16::try_from(code)
        .ok()
        .filter(|code| (200..=599).contains(code));
    code16
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| Kind::Status(code).into())
}
