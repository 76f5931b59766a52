//! Cheap tests that leave out most rules which stand nowhere in the index.
//!
//! A guard compares up to eight octets of one part of a request, the first or the last ones,
//! with those that every value has which a pattern matches. A rule that none of its guards lets
//! through cannot match; one that is let through is looked at in full. A comparison is a few
//! instructions, where a rule is some hundreds.

use std::net::IpAddr;

use http::HeaderName;
use ipnet::IpNet;
use mesh_api::SpiffeId;
use smallvec::SmallVec;

use super::matcher::{NamespacePattern, PathPattern, Pattern, PrincipalPattern};
use super::policy::{Condition, Either, Operation, Rule, Source, Test};
use super::{Caller, RequestAttributes};

/// More alternatives than these are not worth their guards.
const MOST: usize = 16;

/// Parts of a request, each by its first octets, and after all of those by its last ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Path,
    Method,
    Host,
    Sni,
    Namespace,
    Principal,
    Issuer,
    Subject,
    SourceV4,
    SourceV6,
    ClientV4,
    ClientV6,
    DestinationPort,
}

const PARTS: usize = 13;

/// Which end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Head,
    Tail,
}

/// One test. A rule is let through if one of its tests holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// These octets.
    Word { place: u8, mask: u64, value: u64 },
    /// The same of a header.
    Header {
        name: HeaderName,
        end: HeadOrTail,
        mask: u64,
        value: u64,
    },
    /// There is a token.
    Token,
    /// The caller has proved an identity.
    Identity,
}

/// [`End`] of a header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeadOrTail(End);

/// All tests of a rule; none: it is always let through.
pub(super) type Guards = SmallVec<[Guard; 1]>;

/// A request as guards see it.
pub(super) struct Words<'a> {
    words: [u64; 2 * PARTS],
    request: &'a RequestAttributes<'a>,
    identity: bool,
}

/// The first eight octets, the first of them lowest; zeros after a shorter text.
fn head(text: &[u8]) -> u64 {
    match text.first_chunk::<8>() {
        Some(octets) => u64::from_le_bytes(*octets),
        None => {
            let mut octets = [0; 8];
            for (to, from) in octets.iter_mut().zip(text) {
                *to = *from;
            }
            u64::from_le_bytes(octets)
        }
    }
}

/// The last eight octets, the last of them highest; zeros before a shorter text.
fn tail(text: &[u8]) -> u64 {
    match text.last_chunk::<8>() {
        Some(octets) => u64::from_le_bytes(*octets),
        None => {
            let missing = u32::try_from(8_usize.saturating_sub(text.len())).unwrap_or(8);
            head(text).checked_shl(8 * missing).unwrap_or(0)
        }
    }
}

/// So many octets from the low end.
fn low(octets: usize) -> u64 {
    match octets {
        0 => 0,
        1..8 => (1 << (8 * octets)) - 1,
        _ => u64::MAX,
    }
}

/// So many octets from the high end.
fn high(octets: usize) -> u64 {
    match octets {
        0 => 0,
        1..8 => !low(8 - octets),
        _ => u64::MAX,
    }
}

fn end_of(end: End, text: &[u8]) -> u64 {
    match end {
        End::Head => head(text),
        End::Tail => tail(text),
    }
}

/// What every value has that a pattern matches: at which end, which octets.
fn octets(pattern: &Pattern) -> Option<(End, u64, u64)> {
    let (end, mask, text) = match pattern {
        // Names often begin alike, and rarely end alike.
        Pattern::Exact(text) => (End::Tail, u64::MAX, text),
        Pattern::Prefix(text) => (End::Head, low(text.len()), text),
        Pattern::Suffix(text) => (End::Tail, high(text.len()), text),
        Pattern::Present => return None,
    };
    (mask != 0).then(|| (end, mask, end_of(end, text.as_bytes()) & mask))
}

fn place(part: Part, end: End) -> usize {
    let at = part as usize;
    match end {
        End::Head => at,
        End::Tail => PARTS + at,
    }
}

fn word(part: Part, (end, mask, value): (End, u64, u64)) -> Option<Guard> {
    let place = u8::try_from(place(part, end)).ok()?;
    Some(Guard::Word { place, mask, value })
}

fn text(part: Part) -> impl Fn(&Pattern) -> Option<Guard> {
    move |pattern| word(part, octets(pattern)?)
}

/// Hosts are compared without case, with and without port, and with and without the last dot
/// ([`Pattern::matches_host`]): the first octets are those as sent, the last ones those of the
/// bare name.
fn host(pattern: &Pattern) -> Option<Guard> {
    let lower = |text: &str| text.to_ascii_lowercase();
    let found = match pattern {
        Pattern::Exact(text) => octets(&Pattern::Prefix(lower(text).into()))?,
        Pattern::Prefix(text) => octets(&Pattern::Prefix(lower(text).into()))?,
        Pattern::Suffix(text) => {
            // It could end a port, or a name with its dot.
            let bare = !text.contains(':') && !text.ends_with('.');
            if !bare || text.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            octets(&Pattern::Suffix(lower(text).into()))?
        }
        Pattern::Present => return None,
    };
    word(Part::Host, found)
}

fn principal(pattern: &PrincipalPattern) -> Option<Guard> {
    let found = pattern.ending().and_then(|end| {
        let end = Pattern::Suffix(end.into());
        word(Part::Principal, octets(&end)?)
    });
    Some(found.unwrap_or(Guard::Identity))
}

fn account(name: &str) -> Option<Guard> {
    let (namespace, account) = name.split_once('/')?;
    let end = Pattern::Suffix(format!("/ns/{namespace}/sa/{account}").into());
    word(Part::Principal, octets(&end)?)
}

fn namespace(pattern: &NamespacePattern) -> Option<Guard> {
    let found = pattern
        .ends()
        .and_then(|pattern| word(Part::Namespace, octets(&pattern)?));
    Some(found.unwrap_or(Guard::Identity))
}

fn path(pattern: &PathPattern) -> Option<Guard> {
    match pattern {
        PathPattern::Plain(pattern) => word(Part::Path, octets(pattern)?),
        PathPattern::Template(template) => word(Part::Path, octets(&template.ends())?),
    }
}

fn block(v4: Part, v6: Part) -> impl Fn(&IpNet) -> Option<Guard> {
    move |net| match net {
        IpNet::V4(net) => {
            let mask = FAMILY | u64::from(u32::from(net.netmask()));
            let value = FAMILY | u64::from(u32::from(net.network()));
            word(v4, (End::Head, mask, value))
        }
        IpNet::V6(net) => {
            let upper = |bits: u128| u64::try_from(bits >> 64).unwrap_or(0);
            let mask = upper(u128::from(net.netmask()));
            let value = upper(u128::from(net.network()));
            (mask != 0).then(|| word(v6, (End::Head, mask, value)))?
        }
    }
}

/// Tells an IPv4 address from none.
const FAMILY: u64 = 1 << 32;

fn port(port: u16) -> Option<Guard> {
    word(
        Part::DestinationPort,
        (End::Head, u64::MAX, u64::from(port)),
    )
}

/// Guards for all alternatives of a field; none if one of them has none, or if the field says
/// nothing.
fn alternatives<T>(list: &Either<T>, one: impl Fn(&T) -> Option<Guard>) -> Option<Guards> {
    if list.any.is_empty() || list.any.len() > MOST {
        return None;
    }
    list.any.iter().map(one).collect()
}

/// The better of some: that which tells most, with the fewest tests.
fn best(all: impl IntoIterator<Item = Option<Guards>>) -> Option<Guards> {
    let worth = |guards: &Guards| {
        let told = |guard: &Guard| match guard {
            Guard::Word { mask, .. } => 1 + mask.count_ones(),
            Guard::Header { mask, .. } => 1 + mask.count_ones() / 2,
            Guard::Token | Guard::Identity => 1,
        };
        let least = guards.iter().map(told).min().unwrap_or(0);
        (least, std::cmp::Reverse(guards.len()))
    };
    all.into_iter().flatten().max_by_key(worth)
}

fn source(source: &Source) -> Option<Guards> {
    best([
        alternatives(&source.principals, principal),
        alternatives(&source.namespaces, namespace),
        alternatives(&source.accounts, |name| account(name)),
        alternatives(&source.trust_domains, |_| Some(Guard::Identity)),
        alternatives(&source.ip_blocks, block(Part::SourceV4, Part::SourceV6)),
        alternatives(
            &source.remote_ip_blocks,
            block(Part::ClientV4, Part::ClientV6),
        ),
        alternatives(&source.request_principals, |pattern| {
            let (issuer, subject) = pattern.parts();
            let of = |part, pattern: Option<&Pattern>| pattern.and_then(text(part));
            Some(
                of(Part::Subject, subject)
                    .or_else(|| of(Part::Issuer, issuer))
                    .unwrap_or(Guard::Token),
            )
        }),
    ])
}

fn operation(operation: &Operation) -> Option<Guards> {
    best([
        alternatives(&operation.paths, path),
        alternatives(&operation.hosts, host),
        alternatives(&operation.methods, text(Part::Method)),
        alternatives(&operation.ports, |number| port(*number)),
    ])
}

fn condition(condition: &Condition) -> Option<Guards> {
    match &condition.test {
        Test::Header(name, values) => alternatives(values, |pattern| {
            // A value that is there at all has at least no octet more than these.
            let (end, mask, value) = octets(pattern).unwrap_or((End::Head, 0, 0));
            Some(Guard::Header {
                name: name.clone(),
                end: HeadOrTail(end),
                mask,
                value,
            })
        }),
        Test::SourceIp(blocks) => alternatives(blocks, block(Part::SourceV4, Part::SourceV6)),
        Test::RemoteIp(blocks) => alternatives(blocks, block(Part::ClientV4, Part::ClientV6)),
        Test::SourceNamespace(patterns) => alternatives(patterns, namespace),
        Test::SourcePrincipal(patterns) => alternatives(patterns, principal),
        Test::SourceAccount(names) => alternatives(names, |name| account(name)),
        Test::SourceTrustDomain(patterns) => alternatives(patterns, |_| Some(Guard::Identity)),
        Test::RequestPrincipal(patterns) => alternatives(patterns, |_| Some(Guard::Token)),
        Test::RequestAudiences(patterns)
        | Test::RequestPresenter(patterns)
        | Test::RequestClaim(_, patterns) => alternatives(patterns, |_| Some(Guard::Token)),
        Test::DestinationPort(ports) => alternatives(ports, |number| port(*number)),
        Test::ConnectionSni(patterns) => alternatives(patterns, text(Part::Sni)),
        Test::DestinationIp(_) => None,
    }
}

/// The tests of a rule. It matches no request that none of them holds for.
pub(super) fn guards(rule: &Rule) -> Guards {
    let every = |all: Vec<Option<Guards>>| -> Option<Guards> {
        let all: Option<Vec<Guards>> = all.into_iter().collect();
        let all: Guards = all?.into_iter().flatten().collect();
        (!all.is_empty() && all.len() <= MOST).then_some(all)
    };
    let from = every(rule.from.iter().map(source).collect());
    let to = every(rule.to.iter().map(operation).collect());
    let when = rule.when.iter().map(condition);
    best([from, to].into_iter().chain(when)).unwrap_or_default()
}

// === impl Words ===

impl<'a> Words<'a> {
    pub(super) fn new(caller: &Caller<'_>, request: &'a RequestAttributes<'a>) -> Self {
        let mut new = Self {
            words: [0; 2 * PARTS],
            request,
            identity: caller.identity.is_some(),
        };
        new.set(Part::Path, request.path.as_bytes());
        new.set(Part::Method, request.method.as_bytes());
        let name = crate::filter::without_port(request.host);
        let name = name.strip_suffix('.').unwrap_or(name);
        new.put(Part::Host, End::Head, lower(head(request.host.as_bytes())));
        new.put(Part::Host, End::Tail, lower(tail(name.as_bytes())));
        new.set(Part::Sni, caller.sni.unwrap_or_default().as_bytes());
        if let Some(identity) = caller.identity {
            new.set(Part::Namespace, identity.namespace().as_bytes());
            new.put(Part::Principal, End::Tail, tail(principal_of(identity)));
        }
        if let Some(token) = request.token {
            new.set(Part::Issuer, token.issuer().as_bytes());
            new.set(Part::Subject, token.subject().as_bytes());
        }
        new.address(caller.source, Part::SourceV4, Part::SourceV6);
        let client = request.client.unwrap_or(caller.client);
        new.address(client, Part::ClientV4, Part::ClientV6);
        let port = u64::from(caller.destination.port());
        new.put(Part::DestinationPort, End::Head, port);
        new
    }

    fn put(&mut self, part: Part, end: End, word: u64) {
        if let Some(at) = self.words.get_mut(place(part, end)) {
            *at = word;
        }
    }

    fn set(&mut self, part: Part, text: &[u8]) {
        self.put(part, End::Head, head(text));
        self.put(part, End::Tail, tail(text));
    }

    fn address(&mut self, address: IpAddr, v4: Part, v6: Part) {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                self.put(v4, End::Head, FAMILY | u64::from(u32::from(address)));
            }
            IpAddr::V6(address) => {
                let upper = u64::try_from(u128::from(address) >> 64).unwrap_or(0);
                self.put(v6, End::Head, upper);
            }
        }
    }

    /// Whether a rule with these tests may match.
    pub(super) fn let_through(&self, guards: &[Guard]) -> bool {
        guards.is_empty() || guards.iter().any(|guard| self.holds(guard))
    }

    fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Word { place, mask, value } => self
                .words
                .get(usize::from(*place))
                .is_none_or(|word| word & mask == *value),
            Guard::Header {
                name,
                end,
                mask,
                value,
            } => {
                let mut values = self.request.headers.get_all(name).iter();
                match (values.next(), values.next()) {
                    (None, _) => false,
                    (Some(only), None) => end_of(end.0, only.as_bytes()) & mask == *value,
                    // They are compared as one, joined.
                    (Some(_), Some(_)) => true,
                }
            }
            Guard::Token => self.request.token.is_some(),
            Guard::Identity => self.identity,
        }
    }
}

/// ASCII letters of a word in lower case.
fn lower(word: u64) -> u64 {
    u64::from_le_bytes(word.to_le_bytes().map(|octet| octet.to_ascii_lowercase()))
}

fn principal_of(identity: &SpiffeId) -> &[u8] {
    identity.principal().as_bytes()
}
