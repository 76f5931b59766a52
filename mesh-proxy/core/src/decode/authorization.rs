//! Authorization policies.

use mesh_api::v1;

use super::route::{cidr, header_name};
use super::{At, Kind, Result, each, invalid, origin, port};
use crate::authz::{
    Condition, Either, NamespacePattern, Operation, PathPattern, Pattern, Policy, PolicyAction,
    PolicySet, PrincipalPattern, RequestPrincipalPattern, Rule, Source, Test, TrustDomainPattern,
};

pub(super) fn policies(list: &[v1::AuthorizationPolicy]) -> Result<PolicySet> {
    each("policies", list, policy).map(PolicySet::new)
}

fn policy(proto: &v1::AuthorizationPolicy) -> Result<Policy> {
    let action = match v1::AuthorizationAction::try_from(proto.action) {
        Ok(v1::AuthorizationAction::Allow) => PolicyAction::Allow,
        Ok(v1::AuthorizationAction::Deny) => PolicyAction::Deny,
        Ok(v1::AuthorizationAction::Audit) => PolicyAction::Audit,
        Ok(v1::AuthorizationAction::Custom) => PolicyAction::Custom,
        Ok(v1::AuthorizationAction::Unspecified) | Err(_) => {
            return Err(Kind::UnknownEnum(proto.action).into()).at("action");
        }
    };
    if action == PolicyAction::Custom && proto.authorizer.is_empty() {
        return Err(Kind::Missing.into()).at("authorizer");
    }
    Ok(Policy {
        name: proto.name.as_str().into(),
        action,
        rules: each("rules", &proto.rules, rule)?,
        origin: origin(proto.origin.as_ref()),
        dry_run: proto.dry_run,
        authorizer: (!proto.authorizer.is_empty()).then(|| proto.authorizer.as_str().into()),
    })
}

fn rule(proto: &v1::AuthorizationRule) -> Result<Rule> {
    Ok(Rule {
        from: each("from", &proto.from, source)?,
        to: each("to", &proto.to, operation)?,
        when: each("when", &proto.when, condition)?,
        origin: origin(proto.origin.as_ref()),
    })
}

/// A field and its `not_` field.
fn either<P, T>(
    field: &str,
    (any, none): (&[P], &[P]),
    read: impl Fn(&P) -> Result<T>,
) -> Result<Either<T>> {
    Ok(Either {
        any: each(field, any, &read)?,
        none: each(&format!("not_{field}"), none, &read)?,
    })
}

fn account(text: &str) -> Result<Box<str>> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok(text.into()),
        _ => Err(invalid(format_args!("`{text}` is no `namespace/account`"))),
    }
}

fn source(proto: &v1::AuthorizationSource) -> Result<Source> {
    let blocks = |text: &String| cidr(text);
    Ok(Source {
        principals: either(
            "principals",
            (&proto.principals, &proto.not_principals),
            |text| Ok(PrincipalPattern::new(text)),
        )?,
        namespaces: either(
            "namespaces",
            (&proto.namespaces, &proto.not_namespaces),
            |text| Ok(NamespacePattern::new(text)),
        )?,
        accounts: either(
            "service_accounts",
            (&proto.service_accounts, &proto.not_service_accounts),
            |text| account(text),
        )?,
        trust_domains: either(
            "trust_domains",
            (&proto.trust_domains, &proto.not_trust_domains),
            |text| Ok(TrustDomainPattern::new(text)),
        )?,
        ip_blocks: either(
            "ip_blocks",
            (&proto.ip_blocks, &proto.not_ip_blocks),
            blocks,
        )?,
        remote_ip_blocks: either(
            "remote_ip_blocks",
            (&proto.remote_ip_blocks, &proto.not_remote_ip_blocks),
            blocks,
        )?,
        request_principals: either(
            "request_principals",
            (&proto.request_principals, &proto.not_request_principals),
            |text| Ok(RequestPrincipalPattern::new(text)),
        )?,
    })
}

fn operation(proto: &v1::AuthorizationOperation) -> Result<Operation> {
    let pattern = |text: &String| Ok(Pattern::new(text));
    Ok(Operation {
        hosts: either("hosts", (&proto.hosts, &proto.not_hosts), pattern)?,
        ports: either("ports", (&proto.ports, &proto.not_ports), |number| {
            port(*number)
        })?,
        methods: either("methods", (&proto.methods, &proto.not_methods), pattern)?,
        paths: either("paths", (&proto.paths, &proto.not_paths), |text| {
            PathPattern::new(text).map_err(invalid)
        })?,
    })
}

fn condition(proto: &v1::AuthorizationCondition) -> Result<Condition> {
    use v1::AuthorizationAttribute as Proto;
    let attribute = Proto::try_from(proto.attribute).unwrap_or(Proto::Unspecified);
    let pattern = |text: &str| Ok(Pattern::new(text));
    let (key, test) = match attribute {
        Proto::RequestHeader => {
            let name = header_name(&proto.header).at("header")?;
            let key = format!("request.headers[{name}]");
            let test = Test::Header(name, values(proto, pattern)?);
            return Ok(Condition {
                key: key.into(),
                test,
            });
        }
        Proto::RequestClaim => {
            if proto.claim.is_empty() {
                return Err(Kind::Missing.into()).at("claim");
            }
            let key = format!("request.auth.claims[{}]", proto.claim.join("]["));
            let names = proto.claim.iter().map(|name| name.as_str().into());
            let test = Test::RequestClaim(names.collect(), values(proto, pattern)?);
            return Ok(Condition {
                key: key.into(),
                test,
            });
        }
        Proto::SourceIp => ("source.ip", Test::SourceIp(values(proto, cidr)?)),
        Proto::RemoteIp => ("remote.ip", Test::RemoteIp(values(proto, cidr)?)),
        Proto::SourceNamespace => (
            "source.namespace",
            Test::SourceNamespace(values(proto, |text| Ok(NamespacePattern::new(text)))?),
        ),
        Proto::SourcePrincipal => (
            "source.principal",
            Test::SourcePrincipal(values(proto, |text| Ok(PrincipalPattern::new(text)))?),
        ),
        Proto::SourceServiceAccount => (
            "source.serviceAccount",
            Test::SourceAccount(values(proto, account)?),
        ),
        Proto::SourceTrustDomain => (
            "source.trustDomain",
            Test::SourceTrustDomain(values(proto, |text| Ok(TrustDomainPattern::new(text)))?),
        ),
        Proto::RequestPrincipal => (
            "request.auth.principal",
            Test::RequestPrincipal(values(proto, |text| {
                Ok(RequestPrincipalPattern::new(text))
            })?),
        ),
        Proto::RequestAudiences => (
            "request.auth.audiences",
            Test::RequestAudiences(values(proto, pattern)?),
        ),
        Proto::RequestPresenter => (
            "request.auth.presenter",
            Test::RequestPresenter(values(proto, pattern)?),
        ),
        Proto::DestinationIp => ("destination.ip", Test::DestinationIp(values(proto, cidr)?)),
        Proto::DestinationPort => (
            "destination.port",
            Test::DestinationPort(values(proto, number)?),
        ),
        Proto::ConnectionSni => (
            "connection.sni",
            Test::ConnectionSni(values(proto, pattern)?),
        ),
        Proto::Unspecified => {
            return Err(Kind::UnknownEnum(proto.attribute).into()).at("attribute");
        }
    };
    Ok(Condition {
        key: key.into(),
        test,
    })
}

fn number(text: &str) -> Result<u16> {
    let number = text.parse();
    port(number.map_err(|_| invalid(format_args!("`{text}` is no port")))?)
}

fn values<T>(
    proto: &v1::AuthorizationCondition,
    parse: impl Fn(&str) -> Result<T>,
) -> Result<Either<T>> {
    Ok(Either {
        any: each("values", &proto.values, |text| parse(text))?,
        none: each("not_values", &proto.not_values, |text| parse(text))?,
    })
}
