//! Rules of routes as those of VirtualServices (Istio: convertHTTPRoute, convertGRPCRoute).

use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{HeaderEdits, HttpMatch, InvalidAction, Origin, Redirect, Rewrite, StringMatch};

use super::backends::{self, Entrance};
use super::order::Precedence;
use super::{Known, Trouble};
use crate::model::{
    ApiCase, ApiRoute, ApiRule, ClientFilter, ForwardRule, HttpAction, HttpCase, HttpRule, Lost,
    PathModifier, Target,
};

/// What a path is replaced with.
#[derive(Clone, Copy)]
enum NewPath<'a> {
    Same,
    Whole(&'a str),
    /// What the match says of the path.
    Matched(&'a str),
}

/// A route, compiled for one kind of parents.
pub(super) struct Compiled {
    /// One for each match, with what decides about their order.
    pub(super) rules: Vec<(Precedence, HttpRule)>,
    /// References that lead nowhere, with their places.
    pub(super) troubles: Vec<(Origin, Trouble)>,
}

/// The answer to what cannot be sent on (Gateway API: HTTPRouteRule.backendRefs).
const STATUS: u32 = 500;

pub(super) fn compile(route: &ApiRoute, entrance: Entrance, known: &Known<'_>) -> Compiled {
    let mut compiled = Compiled {
        rules: Vec::new(),
        troubles: Vec::new(),
    };
    for rule in &route.rules {
        let plan = Plan::new(rule, (route, entrance), known, &mut compiled.troubles);
        for case in &rule.cases {
            let precedence = Precedence::of(case);
            let rules = plan.rules(case).into_iter();
            compiled.rules.extend(rules.map(|rule| (precedence, rule)));
        }
    }
    compiled
}

/// One rule, with what all its matches have in common.
struct Plan<'r> {
    rule: &'r ApiRule,
    targets: Vec<Target>,
    lost: Vec<Lost>,
    mirrors: Vec<(Target, u32)>,
}

// === impl Plan ===

impl<'r> Plan<'r> {
    fn new(
        rule: &'r ApiRule,
        from: (&ApiRoute, Entrance),
        known: &Known<'_>,
        troubles: &mut Vec<(Origin, Trouble)>,
    ) -> Self {
        let mut plan = Self {
            rule,
            targets: Vec::new(),
            lost: Vec::new(),
            mirrors: Vec::new(),
        };
        for backend in &rule.backends {
            match backends::resolve(backend, from, known) {
                Ok(target) if target.weight > 0 => plan.targets.push(target),
                Ok(_) => {}
                Err(trouble) => {
                    if backend.weight > 0 {
                        plan.lost.push(Lost {
                            weight: backend.weight,
                            why: trouble.message.clone(),
                        });
                    }
                    troubles.push((backend.origin.clone(), trouble));
                }
            }
        }
        for (backend, share) in &rule.filters.mirrors {
            match backends::resolve(backend, from, known) {
                Ok(target) => plan.mirrors.push((target, *share)),
                Err(trouble) => troubles.push((backend.origin.clone(), trouble)),
            }
        }
        plan
    }

    /// One, or two where a prefix is replaced: the prefix itself, and what is below it.
    fn rules(&self, case: &ApiCase) -> Vec<HttpRule> {
        let kinds: Vec<Option<Kind>> = match case.path.kinds() {
            kinds if kinds.is_empty() => vec![None],
            kinds => kinds.into_iter().map(Some).collect(),
        };
        match &self.rule.filters.path {
            Some(PathModifier::Prefix(new)) => {
                let new = new.trim_end_matches('/');
                let below = format!("{new}/");
                let one = |kind: Option<Kind>| {
                    let path = match &kind {
                        Some(Kind::Exact(_)) if !new.is_empty() => new,
                        _ => below.as_str(),
                    };
                    self.http_rule(case, vec![kind], NewPath::Matched(path))
                };
                kinds.into_iter().map(one).collect()
            }
            Some(PathModifier::Full(new)) => {
                vec![self.http_rule(case, kinds, NewPath::Whole(new))]
            }
            None => vec![self.http_rule(case, kinds, NewPath::Same)],
        }
    }

    fn http_rule(&self, case: &ApiCase, kinds: Vec<Option<Kind>>, path: NewPath<'_>) -> HttpRule {
        let filters = &self.rule.filters;
        let cases = kinds.into_iter().map(|kind| HttpCase {
            wire: HttpMatch {
                uri: kind.map(|kind| StringMatch { kind: Some(kind) }),
                ..case.wire.clone()
            },
            filter: ClientFilter::default(),
        });
        HttpRule {
            joined: None,
            name: self.rule.name.clone(),
            origin: self.rule.origin.clone(),
            cases: cases.collect(),
            action: self.action(path),
            fault: None,
            cors: filters.cors.clone(),
            headers: Some(filters.headers.clone()).filter(|edits| *edits != HeaderEdits::default()),
        }
    }

    fn action(&self, path: NewPath<'_>) -> HttpAction {
        let filters = &self.rule.filters;
        if let Some(why) = &filters.unusable {
            return invalid(why.clone());
        }
        if let Some(redirect) = &filters.redirect {
            let (uri, uri_prefix) = match path {
                NewPath::Same => ("", ""),
                NewPath::Whole(path) => (path, ""),
                NewPath::Matched(path) => ("", path),
            };
            return HttpAction::Redirect(Redirect {
                uri: uri.to_owned(),
                uri_prefix: uri_prefix.to_owned(),
                ..redirect.clone()
            });
        }
        if self.targets.is_empty() {
            let why: Vec<&str> = self.lost.iter().map(|lost| lost.why.as_str()).collect();
            return invalid(match why.is_empty() {
                true => "the rule has no backendRef with a weight".to_owned(),
                false => why.join("; "),
            });
        }
        HttpAction::Forward(Box::new(ForwardRule {
            targets: self.targets.clone(),
            rewrite: rewrite(path, &filters.authority),
            timeout_ms: self.rule.timeout_ms,
            retries: self.rule.retries.clone(),
            mirrors: self.mirrors.clone(),
            per_try_timeout_ms: self.rule.per_try_timeout_ms,
            lost: self.lost.clone(),
        }))
    }
}

fn invalid(message: String) -> HttpAction {
    HttpAction::Invalid(InvalidAction {
        status: STATUS,
        message,
    })
}

fn rewrite(path: NewPath<'_>, authority: &str) -> Option<Rewrite> {
    let mut rewrite = Rewrite {
        authority: authority.to_owned(),
        ..Rewrite::default()
    };
    match path {
        NewPath::Same if authority.is_empty() => return None,
        NewPath::Same => {}
        NewPath::Whole(path) => {
            // What a prefix match leaves of the path would stay otherwise.
            "/.*".clone_into(&mut rewrite.regex);
            rewrite.regex_substitution = path.replace('\\', "\\\\");
        }
        NewPath::Matched(path) => path.clone_into(&mut rewrite.uri),
    }
    Some(rewrite)
}
