//! Which policy decides about whom, where.

use std::fmt::Write as _;

use meshd_core::{
    Coverage, CoverageFilter, CoverageRow, CoverageVerdict, MeshSettings, Store, Transport, World,
};

use crate::mesh;

fn world(text: &str) -> World {
    let mut store = Store::new();
    store.set_file("input.yaml", text);
    store.world(&MeshSettings::default())
}

fn shop() -> World {
    let path = format!(
        "{}/testdata/coverage/input.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    world(&std::fs::read_to_string(path).unwrap())
}

fn line(row: &CoverageRow) -> String {
    let port = row.port.map_or("other".to_owned(), |port| port.to_string());
    let sources = if row.any_source {
        "any".to_owned()
    } else {
        row.sources.join(" ")
    };
    let mut line = format!(
        "{} <- {sources} | {port} {} {} {} {:?} {:?}",
        row.destination, row.protocol, row.proxy, row.mtls_mode, row.transport, row.verdict
    );
    for policy in &row.policies {
        let rule = policy.rule.map_or("-".to_owned(), |rule| rule.to_string());
        let dry = if policy.dry_run { " dry-run" } else { "" };
        write!(
            line,
            " | {} {}[{rule}] {:?}{dry} {}",
            policy.action, policy.name, policy.holds, policy.origin
        )
        .unwrap();
    }
    if !row.because.is_empty() {
        write!(line, " | {}", row.because).unwrap();
    }
    line
}

fn lines(coverage: &Coverage) -> Vec<String> {
    coverage.rows.iter().map(line).collect()
}

#[test]
fn every_source_destination_and_port_has_a_row() {
    let world = shop();
    let mut text = lines(&world.coverage(&CoverageFilter::default())).join("\n");
    text.push_str("\n\nproblems:\n");
    for problem in mesh::problems(&world) {
        writeln!(text, "{problem}").unwrap();
    }
    insta::with_settings!({ snapshot_path => "../../testdata/coverage", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("coverage", text);
    });
}

#[test]
fn filters_leave_out_what_is_not_asked_for() {
    let world = shop();
    let rows = |filter: CoverageFilter| world.coverage(&filter).rows;
    let all = rows(CoverageFilter::default());
    let named = |name: &str| {
        rows(CoverageFilter {
            workload: Some(name.to_owned()),
            ..CoverageFilter::default()
        })
    };
    assert!(!named("api-1").is_empty());
    assert_eq!(named("api-1"), named("shop/api-1"));
    assert_eq!(named("api-1"), named("api"));
    assert!(
        named("web")
            .iter()
            .all(|row| row.destination == "shop/web-1")
    );
    let open = rows(CoverageFilter {
        unprotected: true,
        ..CoverageFilter::default()
    });
    assert!(!open.is_empty() && open.len() < all.len());
    assert!(open.iter().all(CoverageRow::is_unprotected));
    let from = rows(CoverageFilter {
        from: Some("shop/sa/web".to_owned()),
        ..CoverageFilter::default()
    });
    let sources = from.iter().filter(|row| row.proxy == "sidecar");
    for row in sources {
        assert_eq!(row.sources, ["cluster.local/ns/shop/sa/web"], "{row:?}");
    }
    let none = rows(CoverageFilter {
        namespace: Some("other".to_owned()),
        ..CoverageFilter::default()
    });
    assert_eq!(none, []);
}

fn verdicts(policies: &str, port: Option<u32>) -> Vec<(String, CoverageVerdict)> {
    let world = mesh::good(policies);
    let filter = CoverageFilter {
        workload: Some("default/a-1".to_owned()),
        ..CoverageFilter::default()
    };
    let rows = world.coverage(&filter).rows.into_iter();
    // As the sidecars call.
    rows.filter(|row| row.port == port && !row.because.contains("certificate"))
        .flat_map(|row| {
            let sources = row.sources.into_iter();
            sources
                .map(move |source| (source, row.verdict))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn policy(spec: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{ name: p }}\nspec: {spec}\n"
    )
}

#[test]
fn verdicts_follow_the_order_of_actions() {
    use CoverageVerdict::{Allowed, Denied, Depends, Unprotected};
    let own = "cluster.local/ns/default/sa/a";
    let nobody = "(no identity)";
    for (spec, of_own, of_nobody) in [
        ("{}", Denied, Denied),
        ("{ rules: [{}] }", Allowed, Allowed),
        ("{ action: DENY }", Unprotected, Unprotected),
        ("{ action: DENY, rules: [{}] }", Denied, Denied),
        ("{ action: AUDIT, rules: [{}] }", Unprotected, Unprotected),
        (
            "{ rules: [{ from: [{ source: { principals: ['*'] } }] }] }",
            Allowed,
            Denied,
        ),
        (
            "{ rules: [{ from: [{ source: { notPrincipals: ['*'] } }] }] }",
            Denied,
            Allowed,
        ),
        (
            "{ rules: [{ from: [{ source: { notNamespaces: ['d*t'] } }] }] }",
            Denied,
            Allowed,
        ),
        (
            "{ rules: [{ from: [{ source: { trustDomains: [cluster.local] } }] }] }",
            Allowed,
            Denied,
        ),
        (
            "{ action: DENY, rules: [{ when: [{ key: 'request.headers[x]', values: [y] }] }] }",
            Depends,
            Depends,
        ),
        (
            "{ rules: [{ to: [{ operation: { ports: ['80'] } }] }] }",
            Allowed,
            Allowed,
        ),
        (
            "{ rules: [{ to: [{ operation: { notPorts: ['80'] } }] }] }",
            Denied,
            Denied,
        ),
        (
            "{ action: CUSTOM, provider: { name: nobody-knows }, rules: [{}] }",
            Denied,
            Denied,
        ),
    ] {
        let want = [(nobody.to_owned(), of_nobody), (own.to_owned(), of_own)];
        let mut found = verdicts(&policy(spec), Some(80));
        found.sort();
        assert_eq!(found, want, "{spec}");
    }
    // An undeclared port is one that the rule does not name, or perhaps does.
    let one = policy("{ rules: [{ to: [{ operation: { ports: ['80'] } }] }] }");
    let other = policy("{ rules: [{ to: [{ operation: { ports: ['4711'] } }] }] }");
    assert!(
        verdicts(&one, None)
            .iter()
            .all(|(_, verdict)| *verdict == Denied)
    );
    assert!(
        verdicts(&other, None)
            .iter()
            .all(|(_, verdict)| *verdict == Depends)
    );
}

#[test]
fn what_a_client_sends_decides_who_it_is() {
    let rule = |mode: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: r }}\nspec: {{ host: a, trafficPolicy: {{ tls: {{ mode: {mode} }} }} }}\n"
        )
    };
    let only_known = policy("{ rules: [{ from: [{ source: { principals: ['*'] } }] }] }");
    let of_own = |text: &str| {
        let found = verdicts(text, Some(80)).into_iter();
        let mut own = found.filter(|(source, _)| source.ends_with("/a"));
        own.next().unwrap().1
    };
    assert_eq!(of_own(&only_known), CoverageVerdict::Allowed);
    let plain = format!("{only_known}{}", rule("DISABLE"));
    assert_eq!(of_own(&plain), CoverageVerdict::Denied);
    let strict = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: p }\nspec: { mtls: { mode: STRICT } }\n";
    assert_eq!(of_own(strict), CoverageVerdict::Unprotected);
    assert_eq!(
        of_own(&format!("{strict}{}", rule("DISABLE"))),
        CoverageVerdict::Denied
    );
}

/// Transport, sources, verdict of the rows of a port.
fn ways(text: &str, workload: &str, port: u32) -> Vec<(Transport, Vec<String>, CoverageVerdict)> {
    let filter = CoverageFilter {
        workload: Some(workload.to_owned()),
        ..CoverageFilter::default()
    };
    let rows = mesh::world(text).coverage(&filter).rows.into_iter();
    rows.filter(|row| row.port == Some(port))
        .map(|row| (row.transport, row.sources, row.verdict))
        .collect()
}

#[test]
fn a_source_that_comes_in_two_ways_has_two_rows() {
    // By the service it comes with its identity, by the subset without.
    let text = format!(
        "{}---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: r }}\nspec: {{ host: a, subsets: [{{ name: v1, labels: {{ version: v1 }}, trafficPolicy: {{ tls: {{ mode: DISABLE }} }} }}] }}\n",
        policy("{ rules: [{ from: [{ source: { principals: ['*'] } }] }] }")
    );
    let own = "cluster.local/ns/default/sa/a".to_owned();
    let of_own: Vec<_> = ways(&text, "default/a-1", 80)
        .into_iter()
        .filter(|(_, sources, _)| sources.contains(&own))
        .map(|(transport, _, verdict)| (transport, verdict))
        .collect();
    assert_eq!(
        of_own,
        [
            (Transport::Plaintext, CoverageVerdict::Denied),
            (Transport::Mtls, CoverageVerdict::Allowed),
        ]
    );
}

#[test]
fn a_gateway_that_ends_the_meshs_tls_knows_who_calls() {
    let text = "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: g }\nspec: { address: 10.0.0.9, serviceAccount: g, labels: { istio: g } }\n---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: g }\nspec: { selector: { istio: g }, servers: [{ port: { number: 443, name: https, protocol: HTTPS }, hosts: ['*'], tls: { mode: ISTIO_MUTUAL } }] }\n";
    let text = format!(
        "{text}{}",
        policy("{ rules: [{ from: [{ source: { principals: ['*/sa/a'] } }] }] }")
    );
    let name = |account: &str| format!("cluster.local/ns/default/sa/{account}");
    let mut found = ways(&text, "default/g", 443);
    found.sort();
    assert_eq!(
        found,
        [
            (Transport::Mtls, vec![name("a")], CoverageVerdict::Allowed),
            (Transport::Mtls, vec![name("g")], CoverageVerdict::Denied),
            (
                Transport::Refused,
                vec!["(outside)".to_owned()],
                CoverageVerdict::Denied
            ),
        ]
    );
}

#[test]
fn whoever_comes_through_hbone_has_an_identity_in_every_mode() {
    let text = "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: h }\nspec: { address: 10.0.0.9, serviceAccount: h, labels: { app: h, networking.istio.io/tunnel: http } }\n---\napiVersion: v1\nkind: Service\nmetadata: { name: h }\nspec: { selector: { app: h }, ports: [{ name: http, port: 80 }] }\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: p }\nspec: { mtls: { mode: DISABLE } }\n";
    let text = format!(
        "{text}{}",
        policy("{ rules: [{ from: [{ source: { principals: ['*'] } }] }] }")
    );
    let own = "cluster.local/ns/default/sa/a".to_owned();
    let found = ways(&text, "default/h", 80);
    assert!(found.iter().any(|(transport, sources, verdict)| {
        sources.contains(&own)
            && (*transport, *verdict) == (Transport::Mtls, CoverageVerdict::Allowed)
    }));
}
