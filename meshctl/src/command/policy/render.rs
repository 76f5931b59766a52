//! Coverage as a table.

use std::fmt::Write as _;

use meshd_core::{Coverage, CoveragePolicy, CoverageRow, CoverageVerdict, Holds, Transport};

use crate::output::count;
use crate::table::Table;

/// So many sources are named in a row.
const NAMED: usize = 3;

pub(super) fn table(coverage: &Coverage) -> String {
    let mut table = Table::new([
        "SOURCE",
        "DESTINATION",
        "PORT",
        "TRANSPORT",
        "RESULT",
        "DECIDED BY",
    ]);
    for row in &coverage.rows {
        table.row([
            sources(row),
            destination(row),
            port(row),
            transport(row),
            result(row.verdict).to_owned(),
            decided_by(row),
        ]);
    }
    format!("{table}\n\n{}", summary(coverage))
}

fn sources(row: &CoverageRow) -> String {
    if row.any_source && row.sources.len() > 1 {
        return "any".to_owned();
    }
    // In the mesh's own trust domain the namespace and account say enough.
    let short = |source: &String| {
        let parts: Vec<&str> = source.split('/').collect();
        match parts.as_slice() {
            [_, "ns", namespace, "sa", account] => format!("{namespace}/{account}"),
            _ => source.clone(),
        }
    };
    let names: Vec<String> = row.sources.iter().take(NAMED).map(short).collect();
    let text = names.join(", ");
    match row.sources.len().saturating_sub(NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn destination(row: &CoverageRow) -> String {
    if row.instances > 1 {
        format!("{} x{}", row.destination, row.instances)
    } else {
        row.destination.clone()
    }
}

fn port(row: &CoverageRow) -> String {
    match row.port {
        Some(port) => format!("{port} {}", row.protocol),
        None => "other".to_owned(),
    }
}

fn transport(row: &CoverageRow) -> String {
    let how = match row.transport {
        Transport::Mtls => "mTLS",
        Transport::Tls => "TLS",
        Transport::Plaintext => "plaintext",
        Transport::Refused => "refused",
    };
    if row.mtls_mode.is_empty() {
        how.to_owned()
    } else {
        format!("{how} ({})", row.mtls_mode)
    }
}

fn result(verdict: CoverageVerdict) -> &'static str {
    match verdict {
        CoverageVerdict::Unenforced => "unenforced",
        CoverageVerdict::Unprotected => "unprotected",
        CoverageVerdict::Allowed => "allowed",
        CoverageVerdict::Depends => "depends",
        CoverageVerdict::Denied => "denied",
    }
}

fn decided_by(row: &CoverageRow) -> String {
    let mut all: Vec<String> = row
        .policies
        .iter()
        .filter(|policy| policy.holds != Holds::Never)
        .map(policy)
        .collect();
    let refused = row.transport == Transport::Refused && !row.mtls_policy.is_empty();
    if refused {
        all.push(format!("PeerAuthentication {}", row.mtls_policy));
    }
    if !row.because.is_empty() {
        all.push(row.because.clone());
    }
    match all.is_empty() {
        true => "-".to_owned(),
        false => all.join("; "),
    }
}

fn policy(policy: &CoveragePolicy) -> String {
    let mut text = format!("{} {}", policy.action, policy.name);
    if let Some(rule) = policy.rule {
        let _ = write!(text, "[{rule}]");
    }
    if !policy.provider.is_empty() {
        let _ = write!(text, " by {}", policy.provider);
    }
    if policy.holds == Holds::Sometimes {
        text.push_str(" sometimes");
    }
    if policy.dry_run {
        text.push_str(" (dry-run)");
    }
    text
}

fn summary(coverage: &Coverage) -> String {
    let number = |test: fn(&CoverageRow) -> bool| {
        u64::try_from(coverage.rows.iter().filter(|row| test(row)).count()).unwrap_or(u64::MAX)
    };
    format!(
        "{}: {} where nothing decides, {} of them without a proxy; {} where anything gets through in plain text",
        count(number(|_| true), "row"),
        number(CoverageRow::is_unprotected),
        number(|row| row.verdict == CoverageVerdict::Unenforced),
        number(CoverageRow::is_plaintext),
    )
}

#[cfg(test)]
mod tests {
    use meshd_core::{CoverageFilter, MeshSettings, Store};

    use super::*;

    const MESH: &str = "
apiVersion: v1
kind: Service
metadata: { name: a }
spec: { selector: { app: a }, ports: [{ name: http, port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: a-1 }
spec: { address: 10.0.0.1, serviceAccount: a, labels: { app: a, security.istio.io/tlsMode: istio } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: strict }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: readers }
spec: { rules: [{ to: [{ operation: { methods: [GET], ports: ['80'] } }] }] }
";

    #[test]
    fn rows_say_who_decides() {
        let mut store = Store::new();
        store.set_file("mesh.yaml", MESH);
        let world = store.world(&MeshSettings::default());
        let text = table(&world.coverage(&CoverageFilter::default()));
        let want = "\
SOURCE         DESTINATION  PORT     TRANSPORT         RESULT   DECIDED BY
(no identity)  default/a-1  80 http  refused (STRICT)  denied   PeerAuthentication default/strict; only mutual TLS is accepted
default/a      default/a-1  80 http  mTLS (STRICT)     depends  ALLOW default/readers[0] sometimes
any            default/a-1  other    refused (STRICT)  denied   PeerAuthentication default/strict; only mutual TLS is accepted
default/a      default/a-1  other    mTLS (STRICT)     denied   no ALLOW policy matches; its sidecar calls otherwise, but whoever has its certificate can call like this

4 rows: 0 where nothing decides, 0 of them without a proxy; 0 where anything gets through in plain text";
        assert_eq!(text, want);
    }
}
