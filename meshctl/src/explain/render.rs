//! Explanations in words.

use std::fmt;

use mesh_proxy_core::explain::{
    AdmissionReport, AskedReport, DestinationReport, ExplainReport, InboundReport, OutboundReport,
    PolicyReport, RouteReport, TlsReport, TriedMatch, VerdictReport,
};
use mesh_proxy_core::ir::Origin;

use super::{Callee, Explanation};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caller = &self.caller;
        let identity = caller.identity.as_deref().unwrap_or("without identity");
        writeln!(
            f,
            "{}\n  from {} ({identity}), by the {}",
            self.request, caller.workload, self.by
        )?;
        if let Some(missing) = &caller.missing {
            write!(
                f,
                "\n  the proxy does not hold {missing}, so nothing is decided"
            )?;
            return Ok(());
        }
        if let Some(outbound) = &caller.outbound {
            write_outbound(f, outbound)?;
        }
        for group in groups(&self.callees) {
            write_callees(f, &group)?;
        }
        Ok(())
    }
}

/// `file:line`, or that nobody has said anything.
fn place(origin: Option<&Origin>) -> String {
    origin.map_or_else(|| "mesh default".to_owned(), Origin::to_string)
}

fn write_outbound(f: &mut fmt::Formatter<'_>, outbound: &OutboundReport) -> fmt::Result {
    write!(f, "\n  destination    ")?;
    match &outbound.host {
        Some(host) => write!(f, "{host}:{} {}", outbound.port, outbound.protocol)?,
        None if outbound.undeclared => {
            let policy = outbound.outbound_policy.as_deref().unwrap_or_default();
            write!(f, "{}, declared by nobody: {policy}", outbound.resource)?;
        }
        None => write!(f, "{} port {}", outbound.resource, outbound.port)?,
    }
    if let Some(tls) = &outbound.tls {
        write_tls(f, tls)?;
    }
    for route in outbound.tried.iter() {
        write_route(f, route)?;
    }
    write_action(f, outbound)?;
    for destination in &outbound.destinations {
        write_destination(f, destination, outbound.destinations.len() > 1)?;
    }
    if outbound.action == "forward" {
        write_limits(f, outbound)?;
    }
    if let Some(fault) = &outbound.fault {
        let mut parts = Vec::new();
        if fault.delay_percent > 0.0 {
            parts.push(format!(
                "{} ms delay for {}%",
                fault.delay_ms, fault.delay_percent
            ));
        }
        if fault.abort_percent > 0.0 {
            parts.push(format!("{} for {}%", fault.abort, fault.abort_percent));
        }
        write!(
            f,
            "\n  fault          {} ({})",
            parts.join(", "),
            place(fault.origin.as_ref())
        )?;
    }
    for mirror in &outbound.mirrors {
        write!(
            f,
            "\n  mirror         {} for {}%",
            mirror.cluster, mirror.percent
        )?;
    }
    for edit in &outbound.edits {
        write!(f, "\n  edit           {edit}")?;
    }
    if let Some(decided) = &outbound.authorization {
        write_authorization(f, &decided.policies, &decided.asked, &decided.verdict)?;
    }
    write_admission(f, &outbound.admission)
}

/// The server of a gateway that takes the connection.
fn write_tls(f: &mut fmt::Formatter<'_>, tls: &TlsReport) -> fmt::Result {
    let names = tls.server_names.join(", ");
    let origin = place(tls.origin.as_ref());
    write!(f, "\n  TLS            {} for {names} ({origin})", tls.mode)?;
    if let Some(certificate) = &tls.certificate {
        write!(f, "\n                   certificate: {certificate}")?;
    }
    if let Some(problem) = &tls.problem {
        write!(f, "\n                   handshakes are refused: {problem}")?;
    }
    Ok(())
}

fn write_route(f: &mut fmt::Formatter<'_>, route: &RouteReport) -> fmt::Result {
    let mark = if route.matched {
        "route taken   "
    } else {
        "route lost    "
    };
    match &route.origin {
        Some(origin) if route.name.is_empty() => write!(f, "\n  {mark} {origin}")?,
        Some(origin) => write!(f, "\n  {mark} {} {origin}", route.name)?,
        None => write!(
            f,
            "\n  {mark} the destination's own: no VirtualService has a say"
        )?,
    }
    for tried in &route.matches {
        write_match(f, tried)?;
    }
    Ok(())
}

fn write_match(f: &mut fmt::Formatter<'_>, tried: &TriedMatch) -> fmt::Result {
    let name = if tried.name.is_empty() {
        String::new()
    } else {
        format!(" {}", tried.name)
    };
    write!(
        f,
        "\n                   match {}{name} ({}): ",
        tried.index,
        place(tried.origin.as_ref())
    )?;
    match &tried.failed {
        None => f.write_str("fits"),
        Some(failed) => {
            let actual = failed
                .actual
                .as_ref()
                .map_or_else(|| "has none".to_owned(), |actual| format!("has `{actual}`"));
            write!(
                f,
                "{} must be {}, the request {actual}",
                failed.condition, failed.wanted
            )
        }
    }
}

fn write_action(f: &mut fmt::Formatter<'_>, outbound: &OutboundReport) -> fmt::Result {
    let reason = outbound
        .reason
        .as_ref()
        .map(|reason| format!(" because of {reason}"))
        .unwrap_or_default();
    match (outbound.action.as_str(), outbound.status) {
        ("forward", _) => Ok(()),
        ("passthrough", _) => write!(
            f,
            "\n  action         sent on unchanged to where the client asked to go"
        ),
        (_, Some(status)) => {
            let location = outbound
                .location
                .as_ref()
                .map(|to| format!(" to {to}"))
                .unwrap_or_default();
            write!(
                f,
                "\n  action         answered with {status}{location}{reason}"
            )
        }
        (action, None) => write!(f, "\n  action         {action}{reason}"),
    }
}

fn write_destination(
    f: &mut fmt::Formatter<'_>,
    to: &DestinationReport,
    several: bool,
) -> fmt::Result {
    let share = if several {
        format!(" for {}% (weight {})", to.percent, to.weight)
    } else {
        String::new()
    };
    write!(f, "\n  goes to        {}{share}", to.cluster)?;
    if let Some(problem) = &to.problem {
        write!(f, "\n                   cannot be used: {problem}")?;
    }
    if let Some(origin) = &to.subset_origin {
        write!(f, "\n                   subset by {origin}")?;
    }
    if let Some(origin) = &to.service_origin {
        write!(f, "\n                   service by {origin}")?;
    }
    write!(
        f,
        "\n                   {} among {}, {} ms to connect ({})",
        to.load_balancer,
        crate::output::count(
            u64::try_from(to.endpoints.len()).unwrap_or(u64::MAX),
            "endpoint"
        ),
        to.connect_timeout_ms,
        place(to.policy_origin.as_ref())
    )?;
    for line in &to.traffic {
        write!(f, "\n                   {line}")?;
    }
    for endpoint in &to.endpoints {
        let mut health = String::new();
        if !endpoint.healthy {
            health.push_str(", unhealthy");
        }
        if endpoint.priority > 0 {
            health.push_str(", takes over from nearer ones");
        }
        let tls = match (endpoint.tls.as_str(), &endpoint.identity) {
            ("mesh", Some(identity)) => format!("mutual TLS with {identity}"),
            ("mesh", None) => "mutual TLS".to_owned(),
            ("hbone", Some(identity)) => format!("HBONE with {identity}"),
            ("hbone", None) => "HBONE".to_owned(),
            ("plain", _) => "plain text".to_owned(),
            (other, _) => format!("TLS {other}"),
        };
        write!(
            f,
            "\n                   endpoint {} {}: {tls}{health}",
            endpoint.uid, endpoint.address
        )?;
    }
    Ok(())
}

fn write_limits(f: &mut fmt::Formatter<'_>, outbound: &OutboundReport) -> fmt::Result {
    match outbound.timeout_ms {
        Some(timeout) => write!(
            f,
            "\n  timeout        {timeout} ms ({})",
            place(outbound.origin.as_ref())
        )?,
        None => write!(f, "\n  timeout        none")?,
    }
    match &outbound.retry {
        None => write!(f, "\n  retry          none"),
        Some(retry) => {
            let mut on = retry.on.clone();
            on.extend(retry.status_codes.iter().map(ToString::to_string));
            let each = retry
                .per_try_timeout_ms
                .map(|ms| format!(", {ms} ms each"))
                .unwrap_or_default();
            write!(
                f,
                "\n  retry          {} more on {}{each} ({})",
                retry.attempts,
                on.join(", "),
                place(retry.origin.as_ref())
            )
        }
    }
}

/// Endpoints whose proxies say the same are told once.
fn groups(callees: &[Callee]) -> Vec<Vec<&Callee>> {
    let mut groups: Vec<Vec<&Callee>> = Vec::new();
    for callee in callees {
        let same = |group: &Vec<&Callee>| {
            group
                .first()
                .is_some_and(|first| inbound(first) == inbound(callee) && first.note == callee.note)
        };
        match groups.iter_mut().find(|group| same(group)) {
            Some(group) => group.push(callee),
            None => groups.push(vec![callee]),
        }
    }
    groups
}

fn inbound(callee: &Callee) -> Option<&InboundReport> {
    callee
        .report
        .as_ref()
        .and_then(|report: &ExplainReport| report.inbound.as_ref())
}

fn write_callees(f: &mut fmt::Formatter<'_>, group: &[&Callee]) -> fmt::Result {
    let names = group
        .iter()
        .map(|callee| callee.workload.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    write!(f, "\n\n  at {names}")?;
    let Some(first) = group.first() else {
        return Ok(());
    };
    let Some(report) = inbound(first) else {
        let missing = first
            .report
            .as_ref()
            .and_then(|report| report.missing.as_ref());
        let note = match missing {
            Some(missing) => format!("its proxy does not hold {missing}"),
            None => first.note.clone().unwrap_or_default(),
        };
        return write!(f, "\n  unknown        {note}");
    };
    write!(f, "\n  port           {} {}", report.port, report.protocol)?;
    let transport = match report.transport.as_str() {
        "terminate" => "accepts the caller's mutual TLS",
        "plaintext" => "accepts plain text",
        "refuse" => "refuses the connection",
        other => other,
    };
    write!(
        f,
        "\n  mutual TLS     {}: {transport} ({})",
        report.mtls,
        place(report.mtls_origin.as_ref())
    )?;
    write_authorization(f, &report.policies, &report.asked, &report.verdict)?;
    write_admission(f, &report.admission)
}

/// Policies that were looked at, and what came out.
fn write_authorization(
    f: &mut fmt::Formatter<'_>,
    policies: &[PolicyReport],
    asked: &[AskedReport],
    verdict: &VerdictReport,
) -> fmt::Result {
    for policy in policies {
        write_policy(f, policy)?;
    }
    let word = if verdict.allowed { "allowed" } else { "denied" };
    write!(f, "\n  authorization  {word}")?;
    if let Some(policy) = &verdict.policy {
        write!(f, " by {policy}")?;
    }
    if let Some(rule) = verdict.rule {
        write!(f, " rule {rule}")?;
    }
    if let Some(origin) = &verdict.origin {
        write!(f, " ({origin})")?;
    }
    if let Some(reason) = &verdict.reason {
        write!(f, " because of {reason}")?;
    }
    if policies.is_empty() && verdict.allowed {
        write!(f, ": no AuthorizationPolicy selects it")?;
    }
    for asked in asked {
        write!(
            f,
            "\n  first          {} is asked, for {} rule {} ({})",
            asked.authorizer,
            asked.policy,
            asked.rule,
            place(asked.origin.as_ref())
        )?;
    }
    if let Some(audit) = &verdict.audit {
        write!(f, "\n  audit          {audit}")?;
    }
    if let Some(shadow) = &verdict.shadow {
        let word = if shadow.allowed { "allowed" } else { "denied" };
        write!(f, "\n  tried out      {word}")?;
        if let (Some(policy), Some(rule)) = (&shadow.policy, shadow.rule) {
            write!(f, " by {policy} rule {rule}")?;
        }
    }
    Ok(())
}

/// Limits on what is let in.
fn write_admission(f: &mut fmt::Formatter<'_>, limits: &[AdmissionReport]) -> fmt::Result {
    for limit in limits {
        let mark = if limit.applies { "" } else { ", not for this" };
        write!(
            f,
            "\n  limit          {} {}: {}{mark} ({})",
            limit.policy,
            limit.name,
            limit.text,
            place(limit.origin.as_ref())
        )?;
    }
    Ok(())
}

fn write_policy(f: &mut fmt::Formatter<'_>, policy: &PolicyReport) -> fmt::Result {
    let mark = if policy.matched {
        "matches"
    } else {
        "does not match"
    };
    write!(
        f,
        "\n  policy         {}{} {} {mark} ({})",
        policy.action,
        if policy.dry_run { ", tried out," } else { "" },
        policy.name,
        place(policy.origin.as_ref())
    )?;
    for rule in policy.rules.iter().filter(|rule| !rule.matched) {
        write!(
            f,
            "\n                   rule {} ({}): {}",
            rule.index,
            place(rule.origin.as_ref()),
            rule.why
        )?;
    }
    Ok(())
}
