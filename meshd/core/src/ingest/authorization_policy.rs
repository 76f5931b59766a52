//! AuthorizationPolicy (Istio: security/v1beta1/authorization_policy.proto).

mod condition;
mod values;

use mesh_api::v1::{
    AuthorizationAction, AuthorizationOperation, AuthorizationRule, AuthorizationSource, Severity,
};

use super::placement;
use crate::model::{AuthorizationPolicy, Meta, Placement};
use crate::yaml::{Fields, Node, Place, Report, Value, Word};

/// Annotation of policies that only count what they would do.
const DRY_RUN: &str = "istio.io/dry-run";

/// One without a spec: it allows nothing.
pub(super) fn empty(meta: Meta) -> AuthorizationPolicy {
    AuthorizationPolicy {
        meta,
        placement: Placement::default(),
        action: AuthorizationAction::Allow,
        rules: Vec::new(),
        dry_run: false,
        provider: String::new(),
    }
}

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> AuthorizationPolicy {
    let place = spec.place();
    let placement = placement::read(spec, meta.namespace(), r);
    let (action, named) = action(spec, r);
    let provider = provider(spec, (action, &named), r);
    let nodes = spec.list("rules", r);
    let mut rules = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        rules.extend(rule(node, index, meta.namespace(), r));
    }
    if nodes.is_empty() && action != AuthorizationAction::Allow {
        // DENY says nothing wrong then; CUSTOM and AUDIT are refused by Istio.
        let message = format!(
            "{named} action without `rules` is meaningless as it will never be triggered, \
             add an empty rule `{{}}` if you want it be triggered for every request"
        );
        if action == AuthorizationAction::Deny {
            r.warn(place, message);
        } else {
            r.error(place, message);
        }
    }
    let dry_run = dry_run(&meta, (action, &named), place, r);
    AuthorizationPolicy {
        meta,
        placement,
        action,
        rules,
        dry_run,
        provider,
    }
}

/// Whether only what the policy would do is told (Istio: ALLOW and DENY only).
fn dry_run(
    meta: &Meta,
    (action, named): (AuthorizationAction, &str),
    place: Place,
    r: &mut Report,
) -> bool {
    let Some(value) = meta.annotations.get(DRY_RUN) else {
        return false;
    };
    let dry_run = match value.as_str() {
        "true" | "TRUE" | "True" | "t" | "T" | "1" => true,
        "false" | "FALSE" | "False" | "f" | "F" | "0" => false,
        _ => {
            let message = format!("annotation {DRY_RUN}: `{value}` is neither true nor false");
            r.error(place, message);
            false
        }
    };
    if !dry_run {
        return false;
    }
    if matches!(
        action,
        AuthorizationAction::Allow | AuthorizationAction::Deny
    ) {
        let message = format!(
            "annotation {DRY_RUN}: this policy decides nothing; what it would do is in the logs and metrics"
        );
        r.push(Severity::Info, place, message, "dry-run");
    } else {
        let message =
            format!("annotation {DRY_RUN} holds for ALLOW and DENY only, not for {named}");
        r.error(place, message);
    }
    true
}

fn action(spec: &mut Fields<'_>, r: &mut Report) -> (AuthorizationAction, String) {
    const ACTIONS: &[(&str, AuthorizationAction)] = &[
        ("ALLOW", AuthorizationAction::Allow),
        ("DENY", AuthorizationAction::Deny),
        ("AUDIT", AuthorizationAction::Audit),
        ("CUSTOM", AuthorizationAction::Custom),
    ];
    let action = spec
        .choice("action", ACTIONS, r)
        .map_or(AuthorizationAction::Allow, |(action, _)| action);
    let mut names = ACTIONS.iter();
    let named = names.find(|(_, known)| *known == action);
    (action, named.map_or("", |(name, _)| name).to_owned())
}

/// `provider.name`.
fn provider(
    spec: &mut Fields<'_>,
    (action, named): (AuthorizationAction, &str),
    r: &mut Report,
) -> String {
    let place = spec.place();
    let provider = spec.child("provider", r);
    let custom = action == AuthorizationAction::Custom;
    let Some(mut provider) = provider else {
        if custom {
            r.error(place, "`provider.name` must not be empty");
        }
        return String::new();
    };
    let place = provider.place();
    let name = provider.text("name", r);
    provider.close(r);
    if !custom {
        let message = format!("`provider` must not be with non CUSTOM action, found {named}");
        r.error(place, message);
    } else if name.is_empty() {
        r.error(place, "`provider.name` must not be empty");
    }
    name
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
    let accounts = |words: Vec<String>| -> Vec<String> {
        let full = words.iter();
        full.map(|word| values::account(word, namespace)).collect()
    };
    let source = AuthorizationSource {
        principals: values::principals(list("principals", values::check_pattern, r)),
        not_principals: values::principals(list("notPrincipals", values::check_pattern, r)),
        request_principals: list("requestPrincipals", values::check_pattern, r),
        not_request_principals: list("notRequestPrincipals", values::check_pattern, r),
        namespaces: list("namespaces", values::check_filled, r),
        not_namespaces: list("notNamespaces", values::check_filled, r),
        ip_blocks: list("ipBlocks", values::check_ip, r),
        not_ip_blocks: list("notIpBlocks", values::check_ip, r),
        remote_ip_blocks: list("remoteIpBlocks", values::check_ip, r),
        not_remote_ip_blocks: list("notRemoteIpBlocks", values::check_ip, r),
        trust_domains: list("trustDomains", values::check_pattern, r),
        not_trust_domains: list("notTrustDomains", values::check_pattern, r),
        service_accounts: accounts(list("serviceAccounts", values::check_service_account, r)),
        not_service_accounts: accounts(list(
            "notServiceAccounts",
            values::check_service_account,
            r,
        )),
    };
    let by_name = [
        &source.principals,
        &source.not_principals,
        &source.namespaces,
        &source.not_namespaces,
    ];
    let by_account = [&source.service_accounts, &source.not_service_accounts];
    if by_name.iter().any(|names| !names.is_empty())
        && by_account.iter().any(|names| !names.is_empty())
    {
        r.error(
            place,
            format!(
                "cannot set serviceAccounts with namespaces or principals, found at rule {index}"
            ),
        );
    }
    if source == AuthorizationSource::default() && !r.failed() {
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
