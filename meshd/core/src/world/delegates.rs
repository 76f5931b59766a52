//! VirtualServices that leave some of their routes to others (Istio: `delegate`;
//! pilot/pkg/model/virtualservice.go, mergeVirtualServicesIfNeeded).

use std::collections::HashMap;
use std::sync::Arc;

use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{FieldMatch, HttpMatch, Problem, Severity, StringMatch};

use crate::model::{
    Delegation, ForwardRule, HttpAction, HttpCase, HttpRule, Inherited, Joined, Target,
    VirtualService,
};
use crate::names;
use crate::problem::code;

/// Delegates by namespace and name.
pub(super) struct Delegates<'o> {
    objects: HashMap<(&'o str, &'o str), &'o Arc<VirtualService>>,
    domain: &'o str,
}

// === impl Delegates ===

impl<'o> Delegates<'o> {
    pub(super) fn new(objects: &'o [Arc<VirtualService>], domain: &'o str) -> Self {
        let delegates = objects.iter().filter(|object| object.hosts.is_empty());
        Self {
            objects: delegates
                .map(|object| ((object.meta.namespace(), object.meta.name()), object))
                .collect(),
            domain,
        }
    }

    /// The object with the routes of its delegates in the place of those that name them. Routes
    /// of which the delegate is not there are left out.
    pub(super) fn merge(
        &self,
        root: &Arc<VirtualService>,
        problems: &mut Vec<Problem>,
    ) -> Arc<VirtualService> {
        let delegates = |rule: &HttpRule| matches!(rule.action, HttpAction::Delegate(_));
        if !root.http.iter().any(delegates) {
            return Arc::clone(root);
        }
        let mut http = Vec::new();
        for rule in &root.http {
            let HttpAction::Delegate(delegation) = &rule.action else {
                http.push(rule.clone());
                continue;
            };
            let (routes, dropped) = self.routes(root, rule, delegation);
            http.extend(routes);
            problems.extend(dropped);
        }
        Arc::new(VirtualService {
            meta: root.meta.clone(),
            semantics: root.semantics,
            hosts: root.hosts.clone(),
            gateways: root.gateways.clone(),
            export_to: root.export_to.clone(),
            http,
            tls: root.tls.clone(),
            tcp: root.tcp.clone(),
        })
    }

    fn routes(
        &self,
        root: &VirtualService,
        rule: &HttpRule,
        delegation: &Delegation,
    ) -> (Vec<HttpRule>, Vec<Problem>) {
        let own = root.meta.namespace();
        let namespace = match delegation.namespace.as_str() {
            "" => own,
            other => other,
        };
        let name = delegation.name.as_str();
        let problem = |severity: Severity, origin, message, code: &str| Problem {
            severity: severity.into(),
            origin: Some(origin),
            message,
            code: code.to_owned(),
        };
        let delegate = self
            .objects
            .get(&(namespace, name))
            .filter(|delegate| delegate.export_to.reaches(own));
        let Some(delegate) = delegate else {
            let message = format!(
                "Referenced delegate VirtualService not found: \"{namespace}/{name}\"; the route is left out"
            );
            let missing = problem(
                Severity::Warning,
                rule.origin.clone(),
                message,
                code::REFERENCED_RESOURCE_NOT_FOUND,
            );
            return (Vec::new(), vec![missing]);
        };
        let (mut routes, mut dropped) = (Vec::new(), Vec::new());
        for route in &delegate.http {
            match merge_cases(&rule.cases, &route.cases) {
                Some(cases) => {
                    let merged = self.merge_rule((rule, own), delegation, (route, namespace));
                    routes.push(HttpRule { cases, ..merged });
                }
                None => dropped.push(problem(
                    Severity::Warning,
                    route.origin.clone(),
                    format!(
                        "a match of this route lies outside of those of {}, which delegates to it; the route is left out",
                        root.meta.full_name()
                    ),
                    code::SCHEMA_WARNING,
                )),
            }
        }
        (routes, dropped)
    }

    /// The delegate's fields win; what it leaves out it inherits.
    fn merge_rule(
        &self,
        (root, root_namespace): (&HttpRule, &str),
        delegation: &Delegation,
        (route, namespace): (&HttpRule, &str),
    ) -> HttpRule {
        let inherited = &delegation.inherited;
        let mut action = route.action.clone();
        if let HttpAction::Forward(forward) = &mut action {
            self.inherit(forward, inherited, (root_namespace, namespace));
        }
        HttpRule {
            name: joined(&root.name, &route.name),
            origin: route.origin.clone(),
            cases: Vec::new(),
            action,
            fault: route.fault.clone().or_else(|| root.fault.clone()),
            cors: route.cors.clone().or_else(|| root.cors.clone()),
            headers: route.headers.clone().or_else(|| root.headers.clone()),
            joined: Some(Joined {
                root: root.name.clone(),
                delegate: route.name.clone(),
            }),
        }
    }

    fn inherit(
        &self,
        forward: &mut ForwardRule,
        inherited: &Inherited,
        (root, namespace): (&str, &str),
    ) {
        for target in &mut forward.targets {
            self.resolve(target, namespace);
        }
        for (target, _) in &mut forward.mirrors {
            self.resolve(target, namespace);
        }
        let (rewrite, mirrors) = (&inherited.rewrite, &inherited.mirrors);
        forward.rewrite = forward.rewrite.take().or_else(|| rewrite.clone());
        forward.timeout_ms = forward.timeout_ms.or(inherited.timeout_ms);
        if !forward.retries.is_said() {
            forward.retries = inherited.retries.clone();
        }
        if forward.mirrors.is_empty() {
            forward.mirrors.clone_from(mirrors);
            for (target, _) in &mut forward.mirrors {
                self.resolve(target, root);
            }
        }
    }

    /// Short names are those of the object that writes them.
    fn resolve(&self, target: &mut Target, namespace: &str) {
        if let Some(host) = names::resolve(&target.host.text, namespace, self.domain) {
            host.as_str().clone_into(&mut target.host.text);
        }
    }
}

fn joined(root: &str, delegate: &str) -> String {
    match (root, delegate) {
        ("", name) | (name, "") => name.to_owned(),
        (root, delegate) => format!("{root}-{delegate}"),
    }
}

/// Each match of the delegate within each match of the root that it fits into; nothing if one
/// fits into none.
fn merge_cases(root: &[HttpCase], delegate: &[HttpCase]) -> Option<Vec<HttpCase>> {
    if root.is_empty() {
        return Some(delegate.to_vec());
    }
    if delegate.is_empty() {
        return Some(root.to_vec());
    }
    let mut merged = Vec::new();
    for case in delegate {
        let before = merged.len();
        let fitting = root.iter().filter(|root| !conflict(root, case));
        merged.extend(fitting.map(|root| merge_case(root, case)));
        if merged.len() == before {
            return None;
        }
    }
    Some(merged)
}

fn merge_case(root: &HttpCase, case: &HttpCase) -> HttpCase {
    let mut merged = case.clone();
    let (wire, filter) = (&mut merged.wire, &mut merged.filter);
    wire.name = joined(&root.wire.name, &case.wire.name);
    for (own, above) in [
        (&mut wire.uri, &root.wire.uri),
        (&mut wire.scheme, &root.wire.scheme),
        (&mut wire.method, &root.wire.method),
        (&mut wire.authority, &root.wire.authority),
    ] {
        if own.is_none() {
            own.clone_from(above);
        }
    }
    for (own, above) in [
        (&mut wire.headers, &root.wire.headers),
        (&mut wire.without_headers, &root.wire.without_headers),
        (&mut wire.query_params, &root.wire.query_params),
    ] {
        for field in above {
            if !own.iter().any(|known| known.name == field.name) {
                own.push(field.clone());
            }
        }
    }
    if filter.port == 0 {
        filter.port = root.filter.port;
    }
    if filter.gateways.is_empty() {
        filter.gateways.clone_from(&root.filter.gateways);
    }
    if filter.source_namespace.is_empty() {
        let above = &root.filter.source_namespace;
        filter.source_namespace.clone_from(above);
    }
    for (name, value) in &root.filter.source_labels {
        let labels = &mut filter.source_labels;
        labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    merged
}

/// Whether a match of a delegate cannot lie within one of the root (Istio: hasConflict).
fn conflict(root: &HttpCase, leaf: &HttpCase) -> bool {
    let (above, below) = (&root.wire, &leaf.wire);
    let parts: fn(&HttpMatch) -> [&Option<StringMatch>; 4] =
        |case| [&case.uri, &case.scheme, &case.method, &case.authority];
    let apart = |(above, below): (&Option<StringMatch>, &Option<StringMatch>)| {
        let pair = above.as_ref().zip(below.as_ref());
        pair.is_some_and(|(above, below)| texts_conflict(above, below))
    };
    let filters = (&root.filter, &leaf.filter);
    parts(above).into_iter().zip(parts(below)).any(apart)
        || fields_conflict(&above.headers, &below.headers)
        || fields_conflict(&above.without_headers, &below.without_headers)
        || fields_conflict(&above.query_params, &below.query_params)
        || above.ignore_uri_case != below.ignore_uri_case
        || filters.0.port > 0 && filters.1.port > 0 && filters.0.port != filters.1.port
        || !filters.0.source_namespace.is_empty()
            && !filters.1.source_namespace.is_empty()
            && filters.0.source_namespace != filters.1.source_namespace
        || filters.1.source_labels.iter().any(|(name, value)| {
            let above = filters.0.source_labels.get(name);
            above.is_some_and(|above| above != value)
        })
        || !filters.0.gateways.is_empty()
            && filters
                .1
                .gateways
                .iter()
                .any(|gateway| !filters.0.gateways.contains(gateway))
}

fn fields_conflict(above: &[FieldMatch], below: &[FieldMatch]) -> bool {
    below.iter().any(|field| {
        let same = above.iter().find(|known| known.name == field.name);
        let pair = same
            .and_then(|known| known.value.as_ref())
            .zip(field.value.as_ref());
        pair.is_some_and(|(above, below)| texts_conflict(above, below))
    })
}

/// Istio: stringMatchConflict. Regular expressions compose with nothing.
fn texts_conflict(above: &StringMatch, below: &StringMatch) -> bool {
    match (&above.kind, &below.kind) {
        (None | Some(Kind::Present(_)), _) | (_, None | Some(Kind::Present(_))) => false,
        (Some(Kind::Regex(_)), _) | (_, Some(Kind::Regex(_))) => true,
        (Some(Kind::Prefix(prefix)), Some(Kind::Exact(text) | Kind::Prefix(text))) => {
            !text.starts_with(prefix.as_str())
        }
        (Some(Kind::Exact(_)), Some(Kind::Prefix(_))) => true,
        (Some(Kind::Exact(above)), Some(Kind::Exact(below))) => above != below,
    }
}
