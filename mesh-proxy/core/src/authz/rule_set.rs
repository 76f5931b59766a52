//! Policies of one action, with an index: most rules are never looked at.
//!
//! A rule that holds only for certain paths, callers, namespaces or ports stands in the index
//! under those; a request finds by its own path, caller and so on what may match at all. The rest
//! is tried in order, after a cheap test ([`guard`](super::guard)). Of those that match the first
//! one counts, however it was found.

use smallvec::SmallVec;

use super::guard::{Guards, Words, guards};
use super::matcher::{PathPattern, Pattern, leading_segment};
use super::policy::{Operation, Policy, Rule, Source};
use super::{Caller, RequestAttributes};
use crate::ir::xxh64;

/// Policies of one action.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    policies: Vec<Policy>,
    // Where each rule is, by its number over all policies.
    places: Vec<(u32, u32)>,
    // Each sorted, first by hash, then by number.
    paths: Vec<(u64, u32)>,
    segments: Vec<(u64, u32)>,
    callers: Vec<(u64, u32)>,
    namespaces: Vec<(u64, u32)>,
    ports: Vec<(u64, u32)>,
    // Rules that stand nowhere in the index, with what tells most of them from a request.
    rest: Vec<(u32, Guards)>,
}

/// Rules that may match a request, in order.
pub(super) struct Candidates<'a> {
    set: &'a RuleSet,
    listed: SmallVec<[&'a [(u64, u32)]; 5]>,
    rest: &'a [(u32, Guards)],
    // Absent if there is no rest.
    words: Option<Words<'a>>,
}

/// The lists of the index.
#[derive(Clone, Copy)]
enum List {
    Paths,
    Segments,
    Callers,
    Namespaces,
    Ports,
}

fn hash(text: &str) -> u64 {
    xxh64(text.as_bytes(), 0)
}

/// `ns/<namespace>/sa/<account>` of a principal.
fn without_trust_domain(principal: &str) -> &str {
    principal.split_once('/').map_or("", |(_, rest)| rest)
}

// === impl RuleSet ===

impl RuleSet {
    /// Compiles.
    pub fn new(policies: Vec<Policy>) -> Self {
        let mut set = Self::default();
        for (policy, number) in policies.iter().zip(0..) {
            for (rule, index) in policy.rules.iter().zip(0..) {
                let at = u32::try_from(set.places.len()).unwrap_or(u32::MAX);
                set.places.push((number, index));
                let Some((list, keys)) = keys(rule) else {
                    set.rest.push((at, guards(rule)));
                    continue;
                };
                let keys = keys.into_iter().map(|key| (key, at));
                set.list(list).extend(keys);
            }
        }
        for list in [
            List::Paths,
            List::Segments,
            List::Callers,
            List::Namespaces,
            List::Ports,
        ] {
            let list = set.list(list);
            list.sort_unstable();
            list.dedup();
        }
        set.policies = policies;
        set
    }

    fn list(&mut self, list: List) -> &mut Vec<(u64, u32)> {
        match list {
            List::Paths => &mut self.paths,
            List::Segments => &mut self.segments,
            List::Callers => &mut self.callers,
            List::Namespaces => &mut self.namespaces,
            List::Ports => &mut self.ports,
        }
    }

    /// The policies, in order.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// What may match a request. All that is left out does not match.
    pub(super) fn candidates<'a>(
        &'a self,
        caller: &Caller<'_>,
        request: &'a RequestAttributes<'a>,
    ) -> Candidates<'a> {
        let mut listed = SmallVec::new();
        let mut look = |list: &'a [(u64, u32)], key: u64| {
            let start = list.partition_point(|(known, _)| *known < key);
            let found = list.get(start..).unwrap_or_default();
            let end = found.partition_point(|(known, _)| *known == key);
            if end > 0 {
                listed.push(found.get(..end).unwrap_or_default());
            }
        };
        if !self.paths.is_empty() {
            look(&self.paths, hash(request.path));
        }
        if !self.segments.is_empty() {
            look(&self.segments, hash(first_segment(request.path)));
        }
        if let Some(identity) = caller.identity {
            if !self.callers.is_empty() {
                look(
                    &self.callers,
                    hash(without_trust_domain(identity.principal())),
                );
            }
            if !self.namespaces.is_empty() {
                look(&self.namespaces, hash(identity.namespace()));
            }
        }
        if !self.ports.is_empty() {
            look(&self.ports, caller.destination.port().into());
        }
        Candidates {
            set: self,
            listed,
            rest: &self.rest,
            words: (!self.rest.is_empty()).then(|| Words::new(caller, request)),
        }
    }
}

/// The path's first segment.
fn first_segment(path: &str) -> &str {
    let rest = path.strip_prefix('/').unwrap_or_default();
    rest.split_once('/').map_or(rest, |(first, _)| first)
}

// What the rule cannot match without: of what there is, that which leaves the fewest requests.
fn keys(rule: &Rule) -> Option<(List, Vec<u64>)> {
    let paths = |one: fn(&PathPattern) -> Option<&str>| {
        all(
            &rule.to,
            |operation: &Operation| &operation.paths.any,
            |path| one(path).map(hash),
        )
    };
    let sources = &rule.from;
    let principals = || {
        all(
            sources,
            |source: &Source| &source.principals.any,
            |pattern| pattern.exact().map(hash),
        )
    };
    let accounts = || {
        all(
            sources,
            |source: &Source| &source.accounts.any,
            |account| {
                let (namespace, account) = account.split_once('/')?;
                Some(hash(&format!("ns/{namespace}/sa/{account}")))
            },
        )
    };
    let namespaces = || {
        all(
            sources,
            |source: &Source| &source.namespaces.any,
            |pattern| pattern.exact().map(hash),
        )
    };
    let principals_namespaces = || {
        all(
            sources,
            |source: &Source| &source.principals.any,
            |pattern| pattern.namespace().map(hash),
        )
    };
    let ports = || {
        all(
            &rule.to,
            |operation: &Operation| &operation.ports.any,
            |port| Some(u64::from(*port)),
        )
    };
    let with = |list: List| move |keys: Vec<u64>| (list, keys);
    paths(exact_path)
        .map(with(List::Paths))
        .or_else(|| principals().map(with(List::Callers)))
        .or_else(|| accounts().map(with(List::Callers)))
        .or_else(|| paths(leading_segment).map(with(List::Segments)))
        .or_else(|| namespaces().map(with(List::Namespaces)))
        .or_else(|| principals_namespaces().map(with(List::Namespaces)))
        .or_else(|| ports().map(with(List::Ports)))
}

// The keys of all alternatives; none if there is an alternative without.
fn all<'a, A, T: 'a>(
    alternatives: &'a [A],
    list: impl Fn(&'a A) -> &'a Vec<T>,
    key: impl Fn(&'a T) -> Option<u64>,
) -> Option<Vec<u64>> {
    let mut keys = Vec::new();
    for alternative in alternatives {
        let values = list(alternative);
        if values.is_empty() {
            return None;
        }
        for value in values {
            keys.push(key(value)?);
        }
    }
    (!keys.is_empty()).then_some(keys)
}

fn exact_path(pattern: &PathPattern) -> Option<&str> {
    match pattern {
        PathPattern::Plain(Pattern::Exact(path)) => Some(path),
        _ => None,
    }
}

// === impl Candidates ===

impl Candidates<'_> {
    /// Goes on to the next rule of the rest that may match.
    fn skip(&mut self) {
        let Some(words) = &self.words else {
            return;
        };
        let next = self.rest.iter();
        let next = next.take_while(|(_, guards)| !words.let_through(guards));
        self.rest = self.rest.get(next.count()..).unwrap_or_default();
    }
}

impl<'a> Iterator for Candidates<'a> {
    type Item = (&'a Policy, usize, &'a Rule);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip();
        let heads = self.listed.iter().filter_map(|list| list.first());
        let listed = heads.map(|(_, number)| *number).min();
        let number = match (listed, self.rest.first().map(|(number, _)| *number)) {
            (Some(listed), Some(rest)) => listed.min(rest),
            (listed, rest) => listed.or(rest)?,
        };
        for list in &mut self.listed {
            if let Some(((_, first), after)) = list.split_first()
                && *first == number
            {
                *list = after;
            }
        }
        if let Some(((first, _), after)) = self.rest.split_first()
            && *first == number
        {
            self.rest = after;
        }
        let (policy, index) = *self.set.places.get(number as usize)?;
        let policy = self.set.policies.get(policy as usize)?;
        let index = index as usize;
        Some((policy, index, policy.rules.get(index)?))
    }
}
