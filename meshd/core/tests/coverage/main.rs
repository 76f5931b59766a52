//! `meshctl policy coverage` and the proxies agree: random configuration, and for each source,
//! destination and port what coverage says beside what the proxies' own code decides about calls,
//! from the resources that the control plane compiles for them.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod calls;
mod configuration;
mod gateways;
mod proxies;

use std::collections::BTreeMap;

use meshd_core::{Coverage, CoverageFilter, CoverageRow, CoverageVerdict, Transport};
use rand::prelude::*;
use rand::rngs::SmallRng;

use configuration::Configuration;
use proxies::{Outcome, Proxies, Way};

/// Random meshes, 3 s in a debug build: fewer do not reach every kind of answer. `MESH_WORLDS` and
/// `MESH_SEED` choose others; 1 500 have been compared.
const WORLDS: u64 = 60;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn coverage_says_what_the_proxies_decide() {
    let seed = number("MESH_SEED", 20_261_123);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for world in 0..number("MESH_WORLDS", WORLDS) {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_add(world));
        let configuration = Configuration::random(&mut rng);
        let differences = compare(&configuration, &mut rng, &mut seen);
        assert!(
            differences.is_empty(),
            "MESH_SEED={} MESH_WORLDS=1\n{}\n{:#?}\n{}",
            seed.wrapping_add(world),
            configuration.text,
            configuration.settings.trust_domain,
            differences.join("\n")
        );
    }
    // The generator would be worthless if it reached some kinds of answers only.
    for verdict in ["Unprotected", "Allowed", "Depends", "Denied", "Unenforced"] {
        for proxy in ["sidecar", "gateway"] {
            let count = seen.get(&format!("{proxy} {verdict}")).copied();
            let possible = proxy == "sidecar" || verdict != "Unenforced";
            assert!(!possible || count > Some(5), "{seen:#?}");
        }
    }
    for transport in ["Mtls", "Tls", "Plaintext", "Refused"] {
        assert!(seen.get(transport) > Some(&20), "{seen:#?}");
    }
}

/// What differs, in words.
fn compare(
    configuration: &Configuration,
    rng: &mut SmallRng,
    seen: &mut BTreeMap<String, usize>,
) -> Vec<String> {
    let proxies = Proxies::new(configuration);
    let coverage = proxies.world().coverage(&CoverageFilter::default());
    for row in &coverage.rows {
        // A workload without a proxy counts beside the sidecars.
        let proxy = row.proxy.replace("none", "sidecar");
        *seen
            .entry(format!("{proxy} {:?}", row.verdict))
            .or_default() += 1;
        *seen.entry(format!("{:?}", row.transport)).or_default() += 1;
    }
    let mut differences = Vec::new();
    for way in proxies.ways(rng) {
        if let Err(difference) = check(&coverage, &way, configuration.exact) {
            differences.push(format!(
                "{} -> {}:{:?} {:?}: {difference}",
                way.source, way.destination, way.port, way.transport
            ));
        }
    }
    differences
}

/// Whether the rows for a way of calling say what the proxy decides.
fn check(coverage: &Coverage, way: &Way, exact: bool) -> Result<(), String> {
    if way.is_aside && way.transport == Transport::Refused {
        return Ok(());
    }
    let rows: Vec<&CoverageRow> = coverage
        .rows
        .iter()
        .filter(|row| row.destination == way.destination && row.port == way.port)
        .filter(|row| row.sources.contains(&way.source))
        .collect();
    let wanted: &[Transport] = match way.transport {
        // Whoever proves nothing may begin with TLS, too: what is denied is denied then as well.
        Transport::Tls if way.is_aside => &[Transport::Plaintext, Transport::Refused],
        transport => &[transport],
    };
    let mut fitting = rows.iter().filter(|row| wanted.contains(&row.transport));
    let Some(row) = fitting.next() else {
        return Err(format!("no row has this transport: {rows:#?}"));
    };
    if fitting.next().is_some() {
        return Err(format!("several rows: {rows:#?}"));
    }
    let fits = |outcome: &Outcome| match (row.verdict, outcome) {
        (CoverageVerdict::Denied, outcome) => matches!(outcome, Outcome::Denied(_)),
        _ if way.is_aside => true,
        (CoverageVerdict::Allowed, outcome) => matches!(outcome, Outcome::Allowed(Some(_))),
        (CoverageVerdict::Unprotected, outcome) => matches!(outcome, Outcome::Allowed(None)),
        (CoverageVerdict::Depends, _) => true,
        (CoverageVerdict::Unenforced, _) => false,
    };
    if let Some((call, outcome)) = way.outcomes.iter().find(|(_, outcome)| !fits(outcome)) {
        return Err(format!("{call}: {outcome:?}, but {row:#?}"));
    }
    if way.is_aside {
        return Ok(());
    }
    let named = |outcome: &Outcome| match outcome {
        Outcome::Allowed(Some(by)) | Outcome::Denied(Some(by)) => {
            row.policies.iter().any(|policy| policy.name == *by)
        }
        _ => true,
    };
    if let Some((call, outcome)) = way.outcomes.iter().find(|(_, outcome)| !named(outcome)) {
        return Err(format!("{call}: {outcome:?} is not told of in {row:#?}"));
    }
    // Where nothing depends on requests and the port says what it carries, nothing is left open.
    if exact && way.is_declared && row.verdict == CoverageVerdict::Depends {
        return Err(format!("it is known what happens: {row:#?}"));
    }
    Ok(())
}
