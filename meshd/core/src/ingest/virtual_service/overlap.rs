//! Rules that no request reaches (Istio: IST0130 and IST0131, analyzeUnreachableHTTPRules).

use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{FieldMatch, HttpMatch, Origin, Severity, StringMatch};

use crate::model::{ClientFilter, HttpCase, HttpRule, L4Rule};
use crate::problem::code;
use crate::yaml::{Place, Report};

/// What a rule is called in messages: its name in quotes, or its number.
fn title(name: &str, index: usize) -> String {
    if name.is_empty() {
        format!("#{index}")
    } else {
        format!("\"{name}\"")
    }
}

fn place(origin: &Origin) -> Place {
    Place {
        line: origin.line,
        column: origin.column,
    }
}

fn unreachable(rule: &str, reason: &str, at: Place, r: &mut Report) {
    r.push(
        Severity::Warning,
        at,
        format!("virtualService rule {rule} not used ({reason})"),
        code::UNREACHABLE_RULE,
    );
}

fn ineffective(rule: &str, case: &str, other: &str, at: Place, r: &mut Report) {
    let message = format!(
        "virtualService rule {rule} match {case} is not used (duplicate/overlapping match in rule {other})"
    );
    r.push(Severity::Info, at, message, code::INEFFECTIVE_MATCH);
}

/// Looks at `http`.
pub(super) fn check_http(rules: &[HttpRule], r: &mut Report) {
    let names: Vec<String> = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| title(&rule.name, index))
        .collect();
    let same = |a: &HttpCase, b: &HttpCase| {
        anonymous(&a.wire) == anonymous(&b.wire) && a.filter == b.filter
    };
    let cases = |rule: &HttpRule| rule.cases.len();
    let mut catch_all = false;
    for (index, rule) in rules.iter().enumerate() {
        let name = names.get(index).map_or("", String::as_str);
        if cases(rule) == 0 {
            if catch_all {
                unreachable(
                    name,
                    "only the last rule can have no matches",
                    place(&rule.origin),
                    r,
                );
            }
            catch_all = true;
            continue;
        }
        let mut duplicates = 0;
        for (at, case) in rule.cases.iter().enumerate() {
            let origin = case.wire.origin.as_ref().unwrap_or(&rule.origin);
            if catch_all {
                unreachable(
                    name,
                    "route without matches defined before",
                    place(origin),
                    r,
                );
                continue;
            }
            let before = rules
                .iter()
                .take(index)
                .position(|other| other.cases.iter().any(|earlier| same(earlier, case)));
            let here = rule
                .cases
                .iter()
                .take(at)
                .any(|earlier| same(earlier, case));
            if let Some(other) = before.or(here.then_some(index)) {
                let other = names.get(other).map_or("", String::as_str);
                ineffective(name, &title(&case.wire.name, at), other, place(origin), r);
                duplicates += 1;
            }
        }
        if duplicates == rule.cases.len() {
            unreachable(
                name,
                "all matches used by prior rules",
                place(&rule.origin),
                r,
            );
        }
    }
    check_prefixes(rules, &names, r);
}

/// A prefix that an earlier, shorter one takes everything from.
fn check_prefixes(rules: &[HttpRule], names: &[String], r: &mut Report) {
    let all = || {
        rules.iter().enumerate().flat_map(|(index, rule)| {
            rule.cases
                .iter()
                .enumerate()
                .filter_map(move |(at, case)| Some((index, at, case, prefix(&case.wire)?)))
        })
    };
    for (n, (index, _, case, short)) in all().enumerate() {
        let name = names.get(index).map_or("", String::as_str);
        for (later_index, later_at, later, long) in all().skip(n + 1) {
            if long != short && long.starts_with(short) && covers(case, later) {
                let later_name = names.get(later_index).map_or("", String::as_str);
                let what = format!("{} of prefix {long}", title(&later.wire.name, later_at));
                let by = format!("{name} of prefix {short}");
                ineffective(
                    later_name,
                    &what,
                    &by,
                    later.wire.origin.as_ref().map_or(Place::default(), place),
                    r,
                );
            }
        }
    }
}

/// Whether all that `b` takes besides its prefix, `a` takes, too.
fn covers(a: &HttpCase, b: &HttpCase) -> bool {
    let open = |x: &Option<StringMatch>, y: &Option<StringMatch>| x.is_none() || x == y;
    let within = |x: &[FieldMatch], y: &[FieldMatch]| x.iter().all(|field| y.contains(field));
    open(&a.wire.method, &b.wire.method)
        && open(&a.wire.scheme, &b.wire.scheme)
        && open(&a.wire.authority, &b.wire.authority)
        && within(&a.wire.headers, &b.wire.headers)
        && within(&a.wire.without_headers, &b.wire.without_headers)
        && within(&a.wire.query_params, &b.wire.query_params)
        && (a.filter == ClientFilter::default() || a.filter == b.filter)
        && (a.wire.ignore_uri_case || !b.wire.ignore_uri_case)
}

fn prefix(case: &HttpMatch) -> Option<&str> {
    match case.uri.as_ref()?.kind.as_ref()? {
        Kind::Prefix(prefix) if !prefix.is_empty() => Some(prefix),
        _ => None,
    }
}

fn anonymous(case: &HttpMatch) -> HttpMatch {
    HttpMatch {
        name: String::new(),
        origin: None,
        ..case.clone()
    }
}

/// Looks at `tls` or `tcp`.
pub(super) fn check_l4(rules: &[L4Rule], r: &mut Report) {
    let mut catch_all = false;
    for (index, rule) in rules.iter().enumerate() {
        let name = title("", index);
        if catch_all {
            let reason = if rule.cases.is_empty() {
                "only the last rule can have no matches"
            } else {
                "route without matches defined before"
            };
            unreachable(&name, reason, place(&rule.origin), r);
        }
        catch_all |= rule.cases.is_empty();
        let mut duplicates = 0;
        for (at, case) in rule.cases.iter().enumerate() {
            let same = |other: &L4Rule| {
                other.cases.iter().any(|earlier| {
                    earlier.sni_hosts == case.sni_hosts
                        && earlier.subnets == case.subnets
                        && earlier.filter == case.filter
                })
            };
            if let Some(other) = rules.iter().take(index).position(same) {
                ineffective(
                    &name,
                    &title("", at),
                    &title("", other),
                    place(&case.origin),
                    r,
                );
                duplicates += 1;
            }
        }
        if duplicates > 0 && duplicates == rule.cases.len() {
            unreachable(
                &name,
                "all matches used by prior rules",
                place(&rule.origin),
                r,
            );
        }
    }
}
