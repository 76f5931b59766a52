//! AuthorizationPolicy (Istio: security/v1beta1/authorization_policy.proto).

mod condition;
mod values;

use mesh_api::v1::{
    AuthorizationAction, AuthorizationOperation, AuthorizationRule, AuthorizationSource, Severity,
};

use super::metadata::match_labels;
use crate::model::{AuthorizationPolicy, Meta};
use crate::yaml::{Fields, Labels, Node, Report, Value, Word};

/// Annotation of policies that only count what they would do.
const DRY_RUN: &str = "istio.io/dry-run";

/// One without a spec: it allows nothing.
pub(super) fn empty(meta: Meta) -> AuthorizationPolicy {
    AuthorizationPolicy {
        meta,
        selector: Labels::new(),
        action: AuthorizationAction::Allow,
        rules: Vec::new(),
        dry_run: false,
    }
}

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> AuthorizationPolicy {
    let place = spec.place();
    if spec.has("selector") && (spec.has("targetRefs") || spec.has("targetRef")) {
        r.error(place, "only one of targetRefs or selector can be set");
    }
    let selector = match_labels(spec, r);
    for name in ["targetRef", "targetRefs"] {
        spec.unsupported(name, Severity::Error, "select workloads with `selector`", r);
    }
    let action = action(spec, r);
    spec.unsupported(
        "provider",
        Severity::Error,
        "external authorization is not done",
        r,
    );
    let nodes = spec.list("rules", r);
    let mut rules = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        rules.extend(rule(node, index, meta.namespace(), r));
    }
    if action == AuthorizationAction::Deny && nodes.is_empty() {
        r.warn(
            place,
            "DENY action without `rules` is meaningless as it will never be triggered, \
             add an empty rule `{}` if you want it be triggered for every request",
        );
    }
    let dry_run = meta
        .annotations
        .get(DRY_RUN)
        .is_some_and(|value| value == "true");
    if dry_run {
        r.warn(
            place,
            format!("annotation {DRY_RUN}: this policy is not enforced"),
        );
    }
    AuthorizationPolicy {
        meta,
        selector,
        action,
        rules,
        dry_run,
    }
}

fn action(spec: &mut Fields<'_>, r: &mut Report) -> AuthorizationAction {
    const ACTIONS: &[(&str, Option<AuthorizationAction>)] = &[
        ("ALLOW", Some(AuthorizationAction::Allow)),
        ("DENY", Some(AuthorizationAction::Deny)),
        ("AUDIT", None),
        ("CUSTOM", None),
    ];
    match spec.choice("action", ACTIONS, r) {
        None => AuthorizationAction::Allow,
        Some((Some(action), _)) => action,
        Some((None, place)) => {
            let message = "spec.action: AUDIT and CUSTOM are not supported yet; the policy would not do what it says";
            r.push(Severity::Error, place, message.to_owned(), "unsupported");
            AuthorizationAction::Allow
        }
    }
}

fn rule(node: &Node, index: usize, namespace: &str, r: &mut Report) -> Option<AuthorizationRule> {
    if node.value == Value::Null {
        r.warn(
            node.place,
            format!("`rule` must not be nil, found at rule {index}; it is left out"),
        );
        return None;
    }
    let mut fields = Fields::open(node, &format!("spec.rules[{index}]"), r)?;
    let mut rule = AuthorizationRule {
        origin: Some(r.at(node.place)),
        ..AuthorizationRule::default()
    };
    let from = fields.children("from", r);
    if from.is_empty() && fields.has("from") {
        r.error(
            fields.place(),
            format!("`from` must not be empty, found at rule {index}"),
        );
    }
    for mut entry in from {
        match entry.child("source", r) {
            Some(source) => rule.from.push(read_source(source, index, namespace, r)),
            None => r.error(
                entry.place(),
                format!("`from.source` must not be nil, found at rule {index}"),
            ),
        }
        entry.close(r);
    }
    let to = fields.children("to", r);
    if to.is_empty() && fields.has("to") {
        r.error(
            fields.place(),
            format!("`to` must not be empty, found at rule {index}"),
        );
    }
    for mut entry in to {
        match entry.child("operation", r) {
            Some(operation) => rule.to.push(read_operation(operation, index, r)),
            None => r.error(
                entry.place(),
                format!("`to.operation` must not be nil, found at rule {index}"),
            ),
        }
        entry.close(r);
    }
    for when in fields.children("when", r) {
        rule.when.extend(condition::read(when, namespace, r));
    }
    fields.close(r);
    Some(rule)
}

/// Checks a value; the path of its field is for the message.
type Check = fn(&Word, &str, &mut Report);

fn checked(
    fields: &mut Fields<'_>,
    name: &'static str,
    check: Check,
    r: &mut Report,
) -> Vec<String> {
    let path = fields.path(name);
    let words = fields.words(name, r);
    for (index, word) in words.iter().enumerate() {
        check(word, &format!("{path}[{index}]"), r);
    }
    words.into_iter().map(|word| word.text).collect()
}

fn read_source(
    mut fields: Fields<'_>,
    index: usize,
    namespace: &str,
    r: &mut Report,
) -> AuthorizationSource {
    let place = fields.place();
    let mut list = |name, check: Check, r: &mut Report| checked(&mut fields, name, check, r);
    let mut source = AuthorizationSource {
        principals: values::principals(list("principals", values::check_pattern, r)),
        not_principals: values::principals(list("notPrincipals", values::check_pattern, r)),
        namespaces: list("namespaces", values::check_filled, r),
        not_namespaces: list("notNamespaces", values::check_filled, r),
        ip_blocks: list("ipBlocks", values::check_ip, r),
        not_ip_blocks: list("notIpBlocks", values::check_ip, r),
    };
    let accounts = list("serviceAccounts", values::check_service_account, r);
    let not_accounts = list("notServiceAccounts", values::check_service_account, r);
    let by_name = [
        &source.principals,
        &source.not_principals,
        &source.namespaces,
        &source.not_namespaces,
    ];
    if by_name.iter().any(|names| !names.is_empty())
        && !(accounts.is_empty() && not_accounts.is_empty())
    {
        r.error(
            place,
            format!(
                "cannot set serviceAccounts with namespaces or principals, found at rule {index}"
            ),
        );
    }
    source.principals.extend(
        accounts
            .iter()
            .map(|account| values::account_pattern(account, namespace)),
    );
    source.not_principals.extend(
        not_accounts
            .iter()
            .map(|account| values::account_pattern(account, namespace)),
    );
    for name in ["requestPrincipals", "notRequestPrincipals"] {
        fields.unsupported(
            name,
            Severity::Error,
            "tokens are not validated; the rule would take callers it should not",
            r,
        );
    }
    for name in ["remoteIpBlocks", "notRemoteIpBlocks"] {
        fields.unsupported(
            name,
            Severity::Error,
            "the original client's address is not known; use ipBlocks for direct peers",
            r,
        );
    }
    for name in ["trustDomains", "notTrustDomains"] {
        fields.unsupported(
            name,
            Severity::Error,
            "write principals such as `<trust domain>/*`",
            r,
        );
    }
    let known = fields.has("requestPrincipals") || fields.has("notRequestPrincipals");
    if source == AuthorizationSource::default() && !known && !r.failed() {
        r.error(
            place,
            format!("`from.source` must not be empty, found at rule {index}"),
        );
    }
    fields.close(r);
    source
}

fn read_operation(mut fields: Fields<'_>, index: usize, r: &mut Report) -> AuthorizationOperation {
    let place = fields.place();
    let mut list = |name, check: Check, r: &mut Report| checked(&mut fields, name, check, r);
    let operation = AuthorizationOperation {
        hosts: list("hosts", values::check_pattern, r),
        not_hosts: list("notHosts", values::check_pattern, r),
        ports: values::ports(&list("ports", values::check_port, r)),
        not_ports: values::ports(&list("notPorts", values::check_port, r)),
        methods: list("methods", values::check_pattern, r),
        not_methods: list("notMethods", values::check_pattern, r),
        paths: list("paths", values::check_path, r),
        not_paths: list("notPaths", values::check_path, r),
    };
    if operation == AuthorizationOperation::default() && !r.failed() {
        r.error(
            place,
            format!("`to.operation` must not be empty, found at rule {index}"),
        );
    }
    fields.close(r);
    operation
}
