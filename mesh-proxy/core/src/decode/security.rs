//! Tokens, external authorizers, paths.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mesh_api::v1;
use prost::Message as _;

use super::route::{header_name, header_value};
use super::{At, Kind, Result, each, invalid, origin, port};
use crate::authz::path::PathForm;
use crate::authz::{Authorizer, BodyLimit, HeaderPattern, HttpQuestion};
use crate::ir::{ClusterId, RequestChecks, xxh64};
use crate::jwt::{KeySet, Location, TokenRule, TokenRules};

/// Istio's default time for an authorizer.
const TIMEOUT: Duration = Duration::from_secs(600);

pub(super) fn path_form(value: i32) -> Result<PathForm> {
    use v1::PathNormalization as Proto;
    Ok(match Proto::try_from(value) {
        Ok(Proto::Unspecified | Proto::Base) => PathForm::Base,
        Ok(Proto::None) => PathForm::AsItComes,
        Ok(Proto::MergeSlashes) => PathForm::MergeSlashes,
        Ok(Proto::DecodeAndMergeSlashes) => PathForm::DecodeAndMergeSlashes,
        Err(_) => return Err(Kind::UnknownEnum(value).into()),
    })
}

pub(super) fn checks(
    tokens: &[v1::RequestAuthentication],
    authorizers: &[v1::ExternalAuthorizer],
) -> Result<Arc<RequestChecks>> {
    let mut id = 0;
    let mut rules = Vec::new();
    for (index, policy) in tokens.iter().enumerate() {
        id = xxh64(&policy.encode_to_vec(), id);
        let name: Arc<str> = policy.name.as_str().into();
        let list = each("rules", &policy.rules, |proto| token_rule(proto, &name))
            .at_index("request_authentications", index)?;
        rules.extend(list);
    }
    let authorizers = each("external_authorizers", authorizers, |proto| {
        authorizer(proto).map(Arc::new)
    })?;
    Ok(Arc::new(RequestChecks {
        tokens: TokenRules::new(id, rules),
        authorizers,
    }))
}

fn token_rule(proto: &v1::JwtRule, policy: &Arc<str>) -> Result<TokenRule> {
    if proto.issuer.is_empty() {
        return Err(Kind::Missing.into()).at("issuer");
    }
    let boxed = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
    let claim_headers = each(
        "output_claim_to_headers",
        &proto.output_claim_to_headers,
        |proto| {
            let name = header_name(&proto.header).at("header")?;
            let claim = proto.claim.split('.').map(Into::into).collect();
            Ok((name, claim))
        },
    )?;
    // Keys that cannot be used refuse tokens, and nothing else.
    let keys = if proto.jwks.is_empty() {
        Err(proto.unavailable.as_str().into())
    } else {
        KeySet::parse(&proto.jwks).map_err(|error| error.to_string().into())
    };
    Ok(TokenRule {
        policy: Arc::clone(policy),
        issuer: proto.issuer.as_str().into(),
        audiences: boxed(&proto.audiences),
        keys,
        locations: locations(proto)?,
        forward: proto.forward_original_token,
        payload_header: match proto.output_payload_to_header.as_str() {
            "" => None,
            name => Some(header_name(name).at("output_payload_to_header")?),
        },
        claim_headers,
        space_delimited: boxed(&proto.space_delimited_claims),
        origin: origin(proto.origin.as_ref()),
    })
}

fn locations(proto: &v1::JwtRule) -> Result<Vec<Location>> {
    let mut locations = each("from_headers", &proto.from_headers, |header| {
        Ok(Location::Header {
            name: header_name(&header.name).at("name")?,
            prefix: header.prefix.as_str().into(),
            scheme: false,
        })
    })?;
    let params = proto.from_params.iter();
    locations.extend(params.map(|name| Location::Param(name.as_str().into())));
    let cookies = proto.from_cookies.iter();
    locations.extend(cookies.map(|name| Location::Cookie(name.as_str().into())));
    if locations.is_empty() {
        locations = Location::defaults();
    }
    Ok(locations)
}

fn authorizer(proto: &v1::ExternalAuthorizer) -> Result<Authorizer> {
    let patterns = |list: &[String]| -> Vec<HeaderPattern> {
        list.iter().map(|text| HeaderPattern::new(text)).collect()
    };
    let cluster = if proto.unusable.is_empty() {
        Ok(ClusterId {
            host: proto.host.parse().map_err(invalid).at("host")?,
            port: port(proto.port).at("port")?,
            subset: "".into(),
        })
    } else {
        Err(proto.unusable.as_str().into())
    };
    let status = match proto.status_on_error {
        0 => 403,
        code => code,
    };
    let status_on_error = u16::try_from(status)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    let http = HttpQuestion {
        path_prefix: proto.path_prefix.as_str().into(),
        include: patterns(&proto.include_request_headers),
        additional: each("additional_headers", &proto.additional_headers, |header| {
            Ok((
                header_name(&header.name).at("name")?,
                header_value(&header.value).at("value")?,
            ))
        })?,
    };
    Ok(Authorizer {
        name: proto.name.as_str().into(),
        cluster,
        timeout: match proto.timeout_ms {
            0 => TIMEOUT,
            count => Duration::from_millis(count),
        },
        fail_open: proto.fail_open,
        status_on_error: status_on_error
            .ok_or_else(|| Kind::Status(status).into())
            .at("status_on_error")?,
        body: proto.body.as_ref().map(|body| BodyLimit {
            max_bytes: body.max_bytes as usize,
            allow_partial: body.allow_partial,
            as_bytes: body.as_bytes,
        }),
        http: (!proto.grpc).then_some(http),
        to_downstream_on_deny: patterns(&proto.headers_to_downstream_on_deny),
        to_downstream_on_allow: patterns(&proto.headers_to_downstream_on_allow),
        to_upstream_on_allow: patterns(&proto.headers_to_upstream_on_allow),
    })
}
