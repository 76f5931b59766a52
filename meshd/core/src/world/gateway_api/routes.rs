//! The rules of all routes, put together by where they hold.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_api::Hostname;
use mesh_api::v1::{Origin, Problem};

use super::backends::Entrance;
use super::listeners::GatewayVerdict;
use super::order::Precedence;
use super::parents::{self, ParentVerdict, RouteVerdict, Unusable};
use super::rules::{self, Compiled};
use super::{Known, Trouble, warn};
use crate::ingest::MESH;
use crate::model::{
    ApiRoute, ExportTo, HttpRule, Kind, Meta, ObjectId, ParentRef, Semantics, VirtualService,
};
use crate::yaml::{Labels, Place, Word};

/// Collects rules.
pub(super) struct Routes<'k> {
    known: &'k Known<'k>,
    made: BTreeMap<Where, Made>,
}

/// Routes that meet here are one list, in the order of the Gateway API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Where {
    /// Of the routes, in the mesh: those of a Service's own namespace are for all clients, others
    /// for clients of their namespace.
    namespace: String,
    /// `mesh`, or the listener as a Gateway.
    gateway: String,
    host: Hostname,
}

/// The routes of one place.
struct Made {
    /// Of the oldest.
    age: usize,
    origin: Origin,
    export_to: ExportTo,
    rules: Vec<(Precedence, HttpRule)>,
}

// === impl Routes ===

impl<'k> Routes<'k> {
    pub(super) fn new(known: &'k Known<'k>) -> Self {
        Self {
            known,
            made: BTreeMap::new(),
        }
    }

    /// Adds a route; routes come in order of age.
    pub(super) fn add(
        &mut self,
        (age, route): (usize, &ApiRoute),
        gateways: &mut BTreeMap<ObjectId, GatewayVerdict>,
        problems: &mut Vec<Problem>,
    ) -> RouteVerdict {
        let mut verdict = RouteVerdict {
            unusable: unusable(route),
            ..RouteVerdict::default()
        };
        let mut mesh: Option<Compiled> = None;
        let mut gateway: Option<Compiled> = None;
        for parent in &route.parents {
            let told = if parent.is_service() {
                let compiled =
                    mesh.get_or_insert_with(|| rules::compile(route, Entrance::Mesh, self.known));
                let accepted = self.attach_to_service((age, route), parent, compiled);
                if accepted.is_ok() && !route.hostnames.is_empty() {
                    let what = "hostnames mean nothing to a Service: its own are taken".to_owned();
                    warn(problems, &parent.origin, what);
                }
                Some((accepted, first(compiled)))
            } else if parent.is_gateway() {
                let id = ObjectId {
                    kind: Kind::ApiGateway,
                    namespace: parent
                        .reference
                        .namespace(route.meta.namespace())
                        .to_owned(),
                    name: parent.reference.name.clone(),
                };
                // One that is not there, or another controller's, is nothing to the mesh.
                gateways.get_mut(&id).map(|found| {
                    let compiled = gateway.get_or_insert_with(|| {
                        rules::compile(route, Entrance::Gateway, self.known)
                    });
                    let accepted = self.attach_to_gateway((age, route), (parent, found), compiled);
                    (accepted, first(compiled))
                })
            } else {
                let kind = parent.reference.kind.as_deref().unwrap_or_default();
                let what =
                    format!("parentRefs: {kind}s are no parents; name a Gateway or a Service");
                warn(problems, &parent.origin, what);
                None
            };
            if let Some((accepted, refs)) = told {
                if let Err(trouble) = &accepted {
                    let what = format!("the route is not accepted: {}", trouble.message);
                    warn(problems, &parent.origin, what);
                }
                verdict.parents.push(ParentVerdict {
                    parent: parent.clone(),
                    accepted,
                    refs,
                });
            }
        }
        let troubles = [mesh, gateway].into_iter().flatten();
        let mut told: Vec<(Origin, String)> = troubles
            .flat_map(|compiled| compiled.troubles)
            .map(|(origin, trouble)| (origin, trouble.message))
            .collect();
        told.dedup();
        for (origin, message) in told {
            let message = format!("{message}; requests for it are answered with 500");
            warn(problems, &origin, message);
        }
        verdict
    }

    fn attach_to_service(
        &mut self,
        (age, route): (usize, &ApiRoute),
        parent: &ParentRef,
        compiled: &Compiled,
    ) -> Result<(), Trouble> {
        let own = route.meta.namespace();
        let found = parents::service(parent, own, self.known)?;
        let place = Where {
            namespace: own.to_owned(),
            gateway: MESH.to_owned(),
            host: found.host,
        };
        let export_to = match found.namespace == own {
            true => ExportTo::All,
            false => ExportTo::Namespaces([own.to_owned()].into()),
        };
        let made = self.at(place, (age, route), export_to);
        let rules = compiled.rules.iter().cloned();
        made.rules.extend(rules.map(|(precedence, mut rule)| {
            for case in &mut rule.cases {
                case.filter.port = found.number;
            }
            (precedence, rule)
        }));
        Ok(())
    }

    fn attach_to_gateway(
        &mut self,
        (age, route): (usize, &ApiRoute),
        (parent, gateway): (&ParentRef, &mut GatewayVerdict),
        compiled: &Compiled,
    ) -> Result<(), Trouble> {
        let taken = parents::listeners(parent, route, gateway, self.known)?;
        for (index, hosts) in taken {
            gateway.attach(index, &route.meta.id);
            for host in hosts {
                let place = Where {
                    namespace: gateway.namespace().to_owned(),
                    gateway: gateway.listener_name(index),
                    host,
                };
                let made = self.at(place, (age, route), ExportTo::All);
                made.rules.extend(compiled.rules.iter().cloned());
            }
        }
        Ok(())
    }

    fn at(
        &mut self,
        place: Where,
        (age, route): (usize, &ApiRoute),
        export_to: ExportTo,
    ) -> &mut Made {
        self.made.entry(place).or_insert_with(|| Made {
            age,
            origin: route.meta.origin.clone(),
            export_to,
            rules: Vec::new(),
        })
    }

    /// One for each place, with its age.
    pub(super) fn into_virtual_services(self) -> Vec<(usize, Arc<VirtualService>)> {
        let made = self.made.into_iter();
        made.map(|(place, made)| (made.age, Arc::new(virtual_service(place, made))))
            .collect()
    }
}

fn virtual_service(place: Where, mut made: Made) -> VirtualService {
    // Stable: of equals the older route's goes first, and in a route the first.
    made.rules
        .sort_by_key(|(precedence, _)| Reverse(*precedence));
    // `~` is in no name that anybody could write.
    let name = format!("{}~{}", place.gateway.replace('/', "~"), place.host);
    VirtualService {
        meta: Meta {
            id: ObjectId {
                kind: Kind::VirtualService,
                namespace: place.namespace,
                name,
            },
            labels: Labels::new(),
            annotations: Labels::new(),
            origin: made.origin.clone(),
        },
        semantics: Semantics::GatewayApi,
        hosts: vec![Word {
            text: place.host.to_string(),
            place: Place {
                line: made.origin.line,
                column: made.origin.column,
            },
        }],
        gateways: vec![place.gateway],
        export_to: made.export_to,
        http: made.rules.into_iter().map(|(_, rule)| rule).collect(),
        tls: Vec::new(),
        tcp: Vec::new(),
    }
}

fn first(compiled: &Compiled) -> Option<Trouble> {
    compiled.troubles.first().map(|(_, first)| first.clone())
}

/// Rules that answer with an error because of what they ask for.
fn unusable(route: &ApiRoute) -> Option<Unusable> {
    let mut rules = route.rules.iter();
    let all = rules.all(|rule| rule.filters.unusable.is_some());
    let mut why = route.rules.iter().enumerate().filter_map(|(index, rule)| {
        let why = rule.filters.unusable.as_ref()?;
        Some(format!("rule {index}: {why}"))
    });
    let why = why.next()?;
    Some(Unusable { all, why })
}
