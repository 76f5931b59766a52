//! The compiled, indexed matcher against a plain and slow one that was written apart from it, from
//! Istio's words about the fields.
//!
//! By default 7 680 requests are compared; `PROPTEST_CASES=4000 cargo test -p mesh-proxy-core --lib
//! authz::tests::reference` compares 120 000.

mod draw;

use std::cell::RefCell;
use std::collections::HashMap;

use proptest::prelude::*;
use regex::Regex;
use serde_json::{Map, Value};

use super::*;
use draw::{asked, policies};

type Form = v1::PathNormalization;

const REQUESTS: usize = 30;

/// A request as the reference sees it.
#[derive(Clone, Debug)]
struct Asked {
    // Names of the mesh's own trust domain.
    own: &'static [&'static str],
    form: Form,
    identity: Option<SpiffeId>,
    source: IpAddr,
    port: u16,
    sni: Option<&'static str>,
    // Absent: a connection of opaque bytes.
    http: Option<Http>,
}

#[derive(Clone, Debug)]
struct Http {
    method: &'static str,
    host: &'static str,
    path: &'static str,
    header: Option<&'static str>,
    forwarded_for: Option<&'static str>,
    claims: Option<Map<String, Value>>,
}

/// What comes out: allowed, and who said so.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    allowed: bool,
    by: Option<(String, usize)>,
    audit: Option<(String, usize)>,
    shadow: Option<(bool, Option<(String, usize)>)>,
    asked: Vec<(String, String, usize)>,
}

// === the plain matcher ===

thread_local! {
    static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
}

/// Whether the whole value matches.
fn is_match(regex: &str, value: &str) -> bool {
    COMPILED.with_borrow_mut(|compiled| {
        let new = || Regex::new(&format!("(?s)^{regex}$")).unwrap();
        compiled
            .entry(regex.to_owned())
            .or_insert_with(new)
            .is_match(value)
    })
}

fn glob(pattern: &str, value: &str) -> bool {
    if pattern == "*" {
        return !value.is_empty();
    }
    let escaped = match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), _) => format!(".*{}", regex::escape(rest)),
        (None, Some(rest)) => format!("{}.*", regex::escape(rest)),
        (None, None) => regex::escape(pattern),
    };
    is_match(&escaped, value)
}

fn path(pattern: &str, value: &str) -> bool {
    if !pattern.contains('{') {
        return glob(pattern, value);
    }
    let escaped = regex::escape(pattern);
    let regex = escaped
        .replace(r"\{\*\*\}", ".*")
        .replace(r"\{\*\}", "[^/]+");
    is_match(&regex, value)
}

fn block(cidr: &str, ip: IpAddr) -> bool {
    match cidr.parse::<ipnet::IpNet>() {
        Ok(net) => net.contains(&ip),
        Err(_) => cidr.parse::<IpAddr>().unwrap() == ip,
    }
}

/// The field holds: any of one list, if it says anything, and none of the other.
fn field<T>(any: &[T], none: &[T], test: impl Fn(&T) -> bool) -> bool {
    let mut positive = any.is_empty();
    for value in any {
        positive = positive || test(value);
    }
    let mut negative = true;
    for value in none {
        negative = negative && !test(value);
    }
    positive && negative
}

impl Asked {
    fn principal(&self, pattern: &str) -> bool {
        let Some(identity) = &self.identity else {
            return false;
        };
        let whole = identity.as_str().strip_prefix("spiffe://").unwrap();
        if glob(pattern, whole) {
            return true;
        }
        // One that names the mesh's trust domain names it by all its names.
        let parts: Vec<&str> = pattern.split('/').collect();
        let is_full = parts.len() == 5 && parts[0] != "*";
        is_full
            && self.own.iter().any(|own| glob(parts[0], own))
            && self
                .own
                .iter()
                .any(|own| glob(&format!("{own}/{}", parts[1..].join("/")), whole))
    }

    fn domain(&self, pattern: &str) -> bool {
        let Some(identity) = &self.identity else {
            return false;
        };
        let domain = identity.trust_domain();
        glob(pattern, domain)
            || self.own.contains(&domain) && self.own.iter().any(|own| glob(pattern, own))
    }

    fn namespace(&self, pattern: &str) -> bool {
        let regex = regex::escape(pattern).replace(r"\*", ".*");
        let identity = self.identity.as_ref();
        identity.is_some_and(|identity| is_match(&regex, identity.namespace()))
    }

    fn account(&self, account: &str) -> bool {
        let identity = self.identity.as_ref();
        identity.is_some_and(|id| format!("{}/{}", id.namespace(), id.service_account()) == account)
    }

    /// The path in normal form: of those that are drawn, what RFC 3986 and Istio make of them.
    fn path<'a>(&self, path: &'a str) -> &'a str {
        match (path, self.form) {
            ("/a/./b" | "/x/../a/b", Form::Base | Form::MergeSlashes)
            | ("/a//b", Form::MergeSlashes)
            | (
                "/a/./b" | "/x/../a/b" | "/a//b" | "/a%2fb" | "/a%2Fb",
                Form::DecodeAndMergeSlashes,
            ) => "/a/b",
            _ => path,
        }
    }

    fn client(&self) -> IpAddr {
        let told = self.http.as_ref().and_then(|http| http.forwarded_for);
        match (told, &self.identity) {
            (Some(list), Some(_)) => list.rsplit(',').next().unwrap().trim().parse().unwrap(),
            _ => self.source,
        }
    }

    fn claims(&self) -> Option<&Map<String, Value>> {
        self.http.as_ref()?.claims.as_ref()
    }

    fn request_principal(&self, pattern: &str) -> bool {
        let Some(claims) = self.claims() else {
            return false;
        };
        let (Some(issuer), Some(subject)) = (claims["iss"].as_str(), claims["sub"].as_str()) else {
            return false;
        };
        match pattern.rfind('/') {
            Some(at) => glob(&pattern[..at], issuer) && glob(&pattern[at + 1..], subject),
            None if pattern == "*" => true,
            None if pattern.ends_with('*') => glob(pattern, issuer),
            None if pattern.starts_with('*') => glob(pattern, subject),
            None => false,
        }
    }

    fn source_holds(&self, s: &v1::AuthorizationSource, http: bool) -> bool {
        field(&s.principals, &s.not_principals, |p| self.principal(p))
            && field(&s.namespaces, &s.not_namespaces, |p| self.namespace(p))
            && field(&s.service_accounts, &s.not_service_accounts, |a| {
                self.account(a)
            })
            && field(&s.trust_domains, &s.not_trust_domains, |p| self.domain(p))
            && field(&s.ip_blocks, &s.not_ip_blocks, |b| block(b, self.source))
            && field(&s.remote_ip_blocks, &s.not_remote_ip_blocks, |b| {
                block(b, self.client())
            })
            && (!http
                || field(&s.request_principals, &s.not_request_principals, |p| {
                    self.request_principal(p)
                }))
    }

    fn operation_holds(&self, o: &v1::AuthorizationOperation) -> bool {
        let ports = field(&o.ports, &o.not_ports, |port| *port == u32::from(self.port));
        let Some(http) = &self.http else {
            return ports;
        };
        let bare = http.host.split(':').next().unwrap().to_lowercase();
        let host = |p: &String| {
            let p = p.to_lowercase();
            glob(&p, &http.host.to_lowercase()) || glob(&p, &bare)
        };
        ports
            && field(&o.hosts, &o.not_hosts, host)
            && field(&o.methods, &o.not_methods, |p| glob(p, http.method))
            && field(&o.paths, &o.not_paths, |p| path(p, self.path(http.path)))
    }

    /// Whether a claim holds; a list if one of its elements does.
    fn claim(&self, names: &[String], pattern: &str) -> bool {
        let Some(claims) = self.claims() else {
            return false;
        };
        let mut value = Value::Object(claims.clone());
        for name in names {
            value = value.get(name).cloned().unwrap_or(Value::Null);
        }
        match value {
            Value::String(text) => glob(pattern, &text),
            Value::Array(list) => list
                .iter()
                .any(|entry| entry.as_str().is_some_and(|text| glob(pattern, text))),
            _ => false,
        }
    }

    fn condition_holds(&self, c: &v1::AuthorizationCondition) -> bool {
        let held = |test: &dyn Fn(&String) -> bool| field(&c.values, &c.not_values, test);
        let of_http = |test: &dyn Fn(&String) -> bool| self.http.is_none() || held(test);
        let one = |name: &str| vec![name.to_owned()];
        match c.attribute() {
            Attribute::RequestHeader => of_http(&|p| {
                let header = self.http.as_ref().and_then(|http| http.header);
                header.is_some_and(|value| glob(p, value))
            }),
            Attribute::SourceIp => held(&|b| block(b, self.source)),
            Attribute::RemoteIp => held(&|b| block(b, self.client())),
            Attribute::SourcePrincipal => held(&|p| self.principal(p)),
            Attribute::SourceNamespace => held(&|p| self.namespace(p)),
            Attribute::SourceServiceAccount => held(&|p| self.account(p)),
            Attribute::SourceTrustDomain => held(&|p| self.domain(p)),
            Attribute::DestinationIp => held(&|b| block(b, "10.0.0.1".parse().unwrap())),
            Attribute::DestinationPort => held(&|p| *p == self.port.to_string()),
            Attribute::ConnectionSni => held(&|p| self.sni.is_some_and(|sni| glob(p, sni))),
            Attribute::RequestPrincipal => of_http(&|p| self.request_principal(p)),
            Attribute::RequestAudiences => of_http(&|p| self.claim(&one("aud"), p)),
            Attribute::RequestPresenter => of_http(&|p| self.claim(&one("azp"), p)),
            Attribute::RequestClaim => of_http(&|p| self.claim(&c.claim, p)),
            other => panic!("{other:?} is not drawn"),
        }
    }

    fn rule_holds(&self, action: Action, rule: &ProtoRule) -> bool {
        let needs_http = rule
            .from
            .iter()
            .any(|s| !s.request_principals.is_empty() || !s.not_request_principals.is_empty())
            || rule.to.iter().any(|o| {
                let lists = [
                    &o.hosts,
                    &o.not_hosts,
                    &o.methods,
                    &o.not_methods,
                    &o.paths,
                    &o.not_paths,
                ];
                lists.iter().any(|list| !list.is_empty())
            })
            || rule.when.iter().any(|c| {
                matches!(
                    c.attribute(),
                    Attribute::RequestHeader
                        | Attribute::RequestPrincipal
                        | Attribute::RequestAudiences
                        | Attribute::RequestPresenter
                        | Attribute::RequestClaim
                )
            });
        if self.http.is_none() && action == Action::Allow && needs_http {
            return false;
        }
        let http = self.http.is_some();
        let from = rule.from.is_empty() || rule.from.iter().any(|s| self.source_holds(s, http));
        let to = rule.to.is_empty() || rule.to.iter().any(|o| self.operation_holds(o));
        let when = rule.when.iter().all(|c| self.condition_holds(c));
        from && to && when
    }

    fn first(
        &self,
        policies: &[v1::AuthorizationPolicy],
        action: Action,
        dry_run: bool,
    ) -> Option<(String, usize)> {
        let of = policies
            .iter()
            .filter(|p| p.action() == action && p.dry_run == dry_run);
        for policy in of {
            for (index, rule) in policy.rules.iter().enumerate() {
                if self.rule_holds(action, rule) {
                    return Some((policy.name.clone(), index));
                }
            }
        }
        None
    }

    fn outcome(&self, policies: &[v1::AuthorizationPolicy]) -> Outcome {
        let some = |action, dry| {
            let mut all = policies.iter();
            all.any(|p: &v1::AuthorizationPolicy| p.action() == action && p.dry_run == dry)
        };
        let decide = |denied: Option<(String, usize)>, allowed: Option<_>, any: bool| match (
            denied, allowed,
        ) {
            (Some(by), _) => (false, Some(by)),
            (None, Some(by)) => (true, Some(by)),
            (None, None) => (!any, None),
        };
        let deny = self.first(policies, Action::Deny, false);
        let allow = self.first(policies, Action::Allow, false);
        let (allowed, by) = decide(deny.clone(), allow.clone(), some(Action::Allow, false));
        let shadow = (some(Action::Deny, true) || some(Action::Allow, true)).then(|| {
            let dry_deny = self.first(policies, Action::Deny, true);
            let dry_allow = self.first(policies, Action::Allow, true);
            let any = some(Action::Allow, false) || some(Action::Allow, true);
            decide(dry_deny.or(deny), allow.or(dry_allow), any)
        });
        let mut names: Vec<&str> = policies
            .iter()
            .filter(|p| p.action() == Action::Custom)
            .map(|p| p.authorizer.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        let asked = names.into_iter().filter_map(|name| {
            let own: Vec<_> = policies
                .iter()
                .filter(|p| p.authorizer == name)
                .cloned()
                .collect();
            let (policy, rule) = self.first(&own, Action::Custom, false)?;
            Some((name.to_owned(), policy, rule))
        });
        Outcome {
            allowed,
            by,
            audit: self.first(policies, Action::Audit, false),
            shadow,
            asked: asked.collect(),
        }
    }

    /// The same by the compiled matcher.
    fn compiled(&self, snapshot: &Snapshot) -> Outcome {
        let caller = Caller {
            identity: self.identity.as_ref(),
            source: self.source,
            client: self.source,
            destination: SocketAddr::new("10.0.0.1".parse().unwrap(), self.port),
            sni: self.sni,
        };
        let parts = self.http.as_ref().map(|http| {
            let mut fields = vec![("host", http.host)];
            fields.extend(http.header.map(|value| ("x-a", value)));
            fields.extend(http.forwarded_for.map(|value| ("x-forwarded-for", value)));
            let mut parts = request(http.method, http.path, &fields);
            if let Some(claims) = &http.claims {
                let token = Token::new(claims.clone(), Vec::new());
                parts.extensions.insert(Arc::new(token));
            }
            parts
        });
        let asked = plan::inbound_ask(snapshot, &caller, parts.as_ref());
        let verdict = match &parts {
            Some(parts) => plan::inbound_http(snapshot, &caller, parts),
            None => plan::inbound_tcp(snapshot, &caller),
        };
        let named = |by: &PolicyRef| (by.name.to_string(), by.rule);
        Outcome {
            allowed: verdict.allowed,
            by: verdict.by.as_ref().map(named),
            audit: verdict.audit.as_ref().map(named),
            shadow: verdict
                .shadow
                .as_ref()
                .map(|shadow| (shadow.allowed, shadow.by.as_ref().map(named))),
            asked: asked
                .iter()
                .map(|asked| {
                    (
                        asked.authorizer.to_string(),
                        asked.by.name.to_string(),
                        asked.by.rule,
                    )
                })
                .collect(),
        }
    }
}

/// The policies, compiled for a mesh of these names with this normal form of paths.
fn compiled(own: &[&str], form: Form, policies: Vec<v1::AuthorizationPolicy>) -> Snapshot {
    let mut settings = mesh(own[0], &own[1..]);
    if let Some(v1::resource::Body::Mesh(mesh)) = &mut settings.body {
        mesh.path_normalization = form.into();
    }
    let applied = Snapshot::empty().apply(&response(1, vec![settings, inbound(policies)]));
    assert_eq!(applied.rejected, []);
    applied.snapshot
}

proptest! {
    #[test]
    fn the_index_finds_what_a_plain_search_finds(
        policies in policies(),
        requests in proptest::collection::vec(asked(), REQUESTS),
        own in proptest::sample::select(vec![&["cluster.local"][..], &["cluster.local", "old"]]),
        form in proptest::sample::select(vec![
            Form::None, Form::Base, Form::MergeSlashes, Form::DecodeAndMergeSlashes,
        ]),
    ) {
        let snapshot = compiled(own, form, policies.clone());
        for asked in requests {
            let asked = Asked { own, form, ..asked };
            prop_assert_eq!(asked.compiled(&snapshot), asked.outcome(&policies), "{:?}", asked);
        }
    }
}
