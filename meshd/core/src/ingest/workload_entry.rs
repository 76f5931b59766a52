//! WorkloadEntry (Istio: networking/v1alpha3/workload_entry.proto), also inline in ServiceEntry.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_api::Hostname;
use mesh_api::v1::Severity;

use crate::model::{Endpoint, Meta, WorkloadEntry};
use crate::yaml::{Fields, Report, Value};

/// Annotation that takes a workload out of balancing.
const HEALTH: &str = "mesh.dev/health";

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> Option<WorkloadEntry> {
    let mut endpoint = endpoint(spec, r)?;
    endpoint.labels.extend(meta.labels.clone());
    let unhealthy = match meta.annotations.get(HEALTH).map(String::as_str) {
        None | Some("healthy") => false,
        Some("unhealthy") => true,
        Some(other) => {
            r.error(
                spec.place(),
                format!("annotation {HEALTH}: `{other}` is neither `healthy` nor `unhealthy`"),
            );
            false
        }
    };
    Some(WorkloadEntry {
        meta,
        endpoint,
        unhealthy,
    })
}

/// Reads the fields of one endpoint; the caller closes.
pub(super) fn endpoint(fields: &mut Fields<'_>, r: &mut Report) -> Option<Endpoint> {
    let origin = r.at(fields.place());
    let address = fields.word("address", r);
    let mut ports = BTreeMap::new();
    for (key, node) in fields.entries("ports", r) {
        let number = match &node.value {
            Value::Int(number) => u16::try_from(*number).ok().filter(|port| *port > 0),
            _ => None,
        };
        match number {
            Some(number) => {
                ports.insert(key.text, number);
            }
            None => r.error(
                node.place,
                format!(
                    "{}.{}: a port is a number in the range 1..65535",
                    fields.path("ports"),
                    key.text
                ),
            ),
        }
    }
    let labels = fields.labels("labels", r).unwrap_or_default();
    let locality = fields.text("locality", r);
    let weight = fields
        .number("weight", r)
        .map_or(1, |(weight, _)| weight.max(1));
    let service_account = fields.text("serviceAccount", r);
    fields.unsupported(
        "network",
        Severity::Warning,
        "all endpoints are taken to be reachable directly",
        r,
    );
    let Some(address) = address.filter(|address| !address.text.is_empty()) else {
        r.error(fields.place(), "address is required");
        return None;
    };
    if let Some(path) = address.text.strip_prefix("unix://") {
        if !path.starts_with('/') {
            r.error(
                address.place,
                format!("`{}` is no absolute path of a Unix socket", address.text),
            );
        }
        if !ports.is_empty() {
            r.error(
                address.place,
                format!("unix endpoint {} must not include ports", address.text),
            );
        }
    } else if address.text.parse::<IpAddr>().is_err()
        && address
            .text
            .parse::<Hostname>()
            .map_or(true, |host| host.is_wildcard())
    {
        r.error(
            address.place,
            format!(
                "endpoint address \"{}\" is not a valid FQDN or an IP address",
                address.text
            ),
        );
    }
    Some(Endpoint {
        origin,
        address: address.text,
        ports,
        labels,
        locality,
        weight,
        service_account,
    })
}

/// Whether an address is neither an IP nor a Unix socket.
pub(super) fn is_name(address: &str) -> bool {
    !address.starts_with("unix://") && address.parse::<IpAddr>().is_err()
}
