//! What is wrong between objects. All of it leaves the objects in force.

mod claims;
mod enforceable;
mod entries;
mod gateways;
mod one;
mod policies;
mod routes;
mod sidecars;
mod telemetries;
mod trust_domains;

use std::collections::HashMap;

use mesh_api::Hostname;
use mesh_api::v1::{Origin, Problem, Severity};

use super::objects::Objects;
use super::services::Linked;
use super::{Inner, ServiceId, WorkloadId};
use crate::model::{Target, VirtualService};
use crate::names;

pub(crate) use enforceable::Enforced;

/// Adds all findings.
pub(super) fn run(
    world: &Inner,
    objects: &Objects,
    linked: &Linked<'_>,
    (before, problems): (Option<&Inner>, &mut Vec<Problem>),
) -> Enforced {
    let mut answering: HashMap<ServiceId, Vec<WorkloadId>> = HashMap::new();
    for (id, workload) in world.workloads.iter().enumerate() {
        for (service, _) in &workload.fronts {
            answering.entry(*service).or_default().push(id);
        }
    }
    let mut found = Findings {
        world,
        linked,
        answering,
        problems,
    };
    routes::check(&mut found, objects);
    entries::check(&mut found);
    policies::check(&mut found, objects);
    let enforced = enforceable::check(&mut found, objects, before);
    claims::check(&mut found, objects);
    gateways::check(&mut found, objects);
    sidecars::check(&mut found, objects);
    telemetries::check(&mut found, objects);
    trust_domains::check(&mut found, objects);
    enforced
}

struct Findings<'a> {
    world: &'a Inner,
    linked: &'a Linked<'a>,
    /// Workloads that answer for a service, ready or not.
    answering: HashMap<ServiceId, Vec<WorkloadId>>,
    problems: &'a mut Vec<Problem>,
}

// === impl Findings ===

impl Findings<'_> {
    fn warn(&mut self, origin: &Origin, code: &str, message: String) {
        self.problems.push(Problem {
            severity: Severity::Warning.into(),
            origin: Some(origin.clone()),
            message,
            code: code.to_owned(),
        });
    }

    /// What answers for a service, ready or not, and what has no selector to tell.
    fn endpoints(&self, service: ServiceId) -> impl Iterator<Item = &WorkloadId> {
        let backends = self.world.services.get(service);
        let backends = backends.into_iter().flat_map(|found| &found.backends);
        let answering = self.answering.get(&service).into_iter().flatten();
        answering.chain(backends)
    }

    fn resolve(&self, host: &str, namespace: &str) -> Option<Hostname> {
        names::resolve(host, namespace, &self.world.settings.cluster_domain)
    }

    /// A hint for a name that is not expanded because it has a dot.
    fn dotted(&self, host: &str) -> String {
        let domain = &self.world.settings.cluster_domain;
        let mut meanings = names::meanings(host, "default", domain)
            .into_iter()
            .skip(1)
            .filter(|_| host.contains('.'));
        meanings
            .find(|full| self.world.services_by_host.contains_key(full))
            .map_or_else(String::new, |full| {
                format!("; a name with a dot is not completed, write {full}")
            })
    }
}

/// All destinations of a VirtualService, with those of mirrors.
fn targets(object: &VirtualService) -> impl Iterator<Item = &Target> {
    use crate::model::HttpAction;
    let http = object.http.iter().filter_map(|rule| match &rule.action {
        HttpAction::Forward(forward) => Some(forward),
        HttpAction::Redirect(_)
        | HttpAction::Direct(_)
        | HttpAction::Invalid(_)
        | HttpAction::Delegate(_) => None,
    });
    let http = http.flat_map(|forward| {
        let mirrored = forward.mirrors.iter().map(|(target, _)| target);
        forward.targets.iter().chain(mirrored)
    });
    let opaque = object
        .tls
        .iter()
        .chain(&object.tcp)
        .flat_map(|rule| &rule.targets);
    http.chain(opaque)
}
