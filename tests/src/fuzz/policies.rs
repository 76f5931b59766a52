//! Policies as users write them, against requests.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use http::request::Parts;
use mesh_api::{ResourceName, SpiffeId, v1};
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::explain::{self, Direction, ExplainRequest, VerdictReport};
use mesh_proxy_core::jwt::{self, TokenCache};
use mesh_proxy_core::plan;
use mesh_proxy_core::{ClientInfo, Snapshot};
use meshd_core::{CoverageFilter, CoverageVerdict, MeshSettings, Store, Transport, World};

use super::{client, prefixed, request, sidecar};

/// What the policies are for.
const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: { name: client }
spec: { selector: { app: client }, ports: [{ name: http, port: 80 }, { name: tcp, port: 90 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: client }
spec: { address: 10.0.0.1, serviceAccount: client, labels: { app: client, security.istio.io/tlsMode: istio } }
";
/// Port of requests, and of opaque bytes.
const PORTS: [u16; 2] = [80, 90];

/// A request, behind two bytes of length, and policies as YAML: the index finds what a search of
/// all rules finds, a path says the same in every spelling, and coverage promises nothing that is
/// not so.
pub fn policies(data: &[u8]) {
    let Some((text, yaml)) = prefixed(data) else {
        return;
    };
    let (Some(mut parts), Ok(yaml)) = (request(text), std::str::from_utf8(yaml)) else {
        return;
    };
    let mut store = Store::new();
    store.set_file("0.yaml", OBJECTS);
    store.set_file("fuzz.yaml", yaml);
    let world = store.world(&MeshSettings::default());
    let Some(identity) = client() else { return };
    let Some(snapshot) = compiled(&world, &identity) else {
        return;
    };
    if let Some(checks) = plan::request_checks(&snapshot) {
        let mut cache = TokenCache::new(1024);
        let verified = jwt::authenticate(&checks.tokens, &mut parts, 1_800_000_000, &mut cache);
        assert!(
            !matches!(verified, Ok(Some(_))) || !checks.tokens.is_empty(),
            "a token that nobody asked for"
        );
    }
    let mut normal = parts.clone();
    plan::normalise_path(&snapshot, &mut normal);
    for known in [None, Some(&identity)] {
        for port in PORTS {
            let caller = Caller {
                identity: known,
                source: IpAddr::from([10, 0, 0, 7]),
                client: IpAddr::from([10, 0, 0, 7]),
                destination: SocketAddr::from(([10, 0, 0, 1], port)),
                sni: None,
            };
            let verdict = plan::inbound_http(&snapshot, &caller, &parts);
            assert_eq!(verdict, plan::inbound_http(&snapshot, &caller, &normal));
            if port == 80 {
                let told = explained(&snapshot, &caller, &parts);
                let by = verdict.by.as_ref().map(|by| by.name.to_string());
                if let Some(told) = told {
                    assert_eq!((told.allowed, told.policy), (verdict.allowed, by));
                }
            }
            let bytes = plan::inbound_opaque(&snapshot, &caller);
            let arrives = match port {
                80 => verdict.allowed,
                _ => bytes.verdict.allowed && bytes.asked.is_empty(),
            };
            covered(&world, &caller, arrives);
        }
    }
}

fn compiled(world: &World, identity: &SpiffeId) -> Option<Snapshot> {
    let scope = world.scope(&sidecar(), identity).ok()?;
    let roots: BTreeSet<ResourceName> = ["mesh/default", "inbound/self"]
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    let resources = meshd_core::translate(world, &scope, &roots);
    let response = v1::DiscoveryResponse {
        revision: 1,
        nonce: "1".into(),
        upsert: resources
            .values()
            .map(|one| v1::Resource::clone(one))
            .collect(),
        ..v1::DiscoveryResponse::default()
    };
    let applied = Snapshot::empty().apply(&response);
    assert!(
        applied.rejected.is_empty(),
        "the proxy refuses what the compiler made: {:?}",
        applied.rejected
    );
    applied.snapshot.inbound()?;
    Some(applied.snapshot)
}

/// What a search of all rules says, unless something else decides before.
fn explained(snapshot: &Snapshot, caller: &Caller<'_>, parts: &Parts) -> Option<VerdictReport> {
    let target = parts.uri.path_and_query()?.as_str();
    let value = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers: Option<Vec<_>> = parts
        .headers
        .iter()
        .map(|(name, field)| Some((name.to_string(), value(field)?)))
        .collect();
    let own = ClientInfo {
        workload: "default/client".parse().ok()?,
        identity: client(),
        labels: [].into(),
        cluster: String::new(),
    };
    let question = ExplainRequest {
        direction: Direction::Inbound,
        port: caller.destination.port(),
        method: parts.method.to_string(),
        host: parts.uri.authority().map(ToString::to_string)?,
        path: target.to_owned(),
        headers: headers?,
        source_identity: caller.identity.map(ToString::to_string),
        source_ip: Some(caller.source),
        destination_ip: Some(caller.destination.ip()),
        ..ExplainRequest::default()
    };
    let report = explain::explain_inbound(snapshot, &own, &question).ok()?;
    let told = report.inbound?;
    (told.transport != "refuse" && told.asked.is_empty()).then_some(told.verdict)
}

/// What coverage says of the caller is so.
fn covered(world: &World, caller: &Caller<'_>, arrives: bool) {
    let port = u32::from(caller.destination.port());
    let source = caller
        .identity
        .map_or("(no identity)", SpiffeId::principal)
        .to_owned();
    let coverage = world.coverage(&CoverageFilter {
        workload: Some("default/client".to_owned()),
        ..CoverageFilter::default()
    });
    let wanted = match caller.identity {
        Some(_) => Transport::Mtls,
        None => Transport::Plaintext,
    };
    let mut rows = coverage.rows.iter().filter(|row| {
        row.port == Some(port) && row.transport == wanted && row.sources.contains(&source)
    });
    let (Some(row), None) = (rows.next(), rows.next()) else {
        return;
    };
    // What proxies are told by an authorizer nobody knows beforehand.
    let told_otherwise = row.policies.iter().any(|policy| policy.action == "CUSTOM");
    match row.verdict {
        _ if told_otherwise || row.proxy != "sidecar" => {}
        CoverageVerdict::Denied => assert!(!arrives, "it arrives: {row:?}"),
        CoverageVerdict::Allowed | CoverageVerdict::Unprotected => {
            assert!(arrives, "it does not arrive: {row:?}");
        }
        CoverageVerdict::Depends | CoverageVerdict::Unenforced => {}
    }
}
