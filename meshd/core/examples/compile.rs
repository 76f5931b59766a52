//! Compiles configuration and prints the resources of one proxy as JSON, findings on stderr.
//!
//! `cargo run -p meshd-core --example compile [FILE [WORKLOAD [ROOT...]]]`
//!
//! Without a file a small built-in mesh is compiled; without a workload, for the first one;
//! without roots, its own configuration and a route table for every port of every service.

use std::collections::BTreeSet;

use anyhow::Context as _;
use mesh_api::{ResourceName, SpiffeId, WorkloadName, v1};
use meshd_core::{MeshSettings, ProblemLine, Store, World, translate};

const BUILT_IN: &str = "
apiVersion: v1
kind: Service
metadata: { name: reviews }
spec:
  selector: { app: reviews }
  ports: [{ name: http, port: 9080 }]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: reviews-v1 }
spec:
  address: 127.77.0.1
  serviceAccount: reviews
  labels: { app: reviews, version: v1, security.istio.io/tlsMode: istio }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  subsets:
  - name: v1
    labels: { version: v1 }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - match:
    - headers: { end-user: { exact: jason } }
    fault:
      delay: { fixedDelay: 7s, percentage: { value: 100 } }
    route:
    - destination: { host: reviews, subset: v1 }
  - route:
    - destination: { host: reviews, subset: v1 }
";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut store = Store::new();
    match arguments.next() {
        Some(path) => {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            store.set_file(&path, &text);
        }
        None => store.set_file("built-in", BUILT_IN),
    }
    let world = store.world(&MeshSettings::default());
    for problem in world.problems() {
        eprintln!("{}", ProblemLine(problem));
    }
    let workload: WorkloadName = match arguments.next() {
        Some(name) => name.parse()?,
        None => world
            .workloads()
            .find_map(|workload| workload.uid.parse().ok())
            .map_or_else(|| "default/client".parse(), Ok)?,
    };
    let declared = world.workload(&workload);
    let account = declared
        .map(|found| found.service_account)
        .filter(|account| !account.is_empty());
    let account = account.as_deref().unwrap_or("default");
    let identity = SpiffeId::new(
        &world.settings().trust_domain,
        workload.namespace(),
        account,
    )?;
    let node = v1::Node {
        workload: workload.to_string(),
        kind: v1::ProxyKind::Sidecar.into(),
        ..v1::Node::default()
    };
    let scope = world.scope(&node, &identity)?;
    let mut roots = arguments
        .map(|text| text.parse())
        .collect::<Result<BTreeSet<ResourceName>, _>>()?;
    if roots.is_empty() {
        roots = every_root(&world)?;
    }
    let resources = translate(&world, &scope, &roots);
    let resources: Vec<&v1::Resource> = resources.values().map(|resource| &**resource).collect();
    println!("{}", serde_json::to_string_pretty(&resources)?);
    Ok(())
}

fn every_root(world: &World) -> anyhow::Result<BTreeSet<ResourceName>> {
    let mut roots = BTreeSet::from([ResourceName::Mesh, ResourceName::Inbound]);
    for service in world.services() {
        for port in service.ports {
            roots.insert(format!("routes/{}:{}", service.hostname, port.number).parse()?);
        }
    }
    Ok(roots)
}
