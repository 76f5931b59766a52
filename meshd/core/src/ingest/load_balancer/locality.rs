//! `localityLbSetting` and `zoneAwareLbSetting` of a DestinationRule.

use std::collections::BTreeSet;

use mesh_api::v1::{LocalityBalancing, LocalityShare, LocalityShares, RegionFailover, ZoneAware};

use crate::model::LocalitySetting;
use crate::yaml::{Fields, Place, Report, Value};

/// Labels of topology, which `failover` looks at, too.
const TOPOLOGY: [&str; 3] = [
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
];

/// Envoy's number, which holds for what the object leaves out.
const MIN_CLUSTER_SIZE: u32 = 6;

/// Istio: validateLocalityLbSetting.
pub(super) fn locality(mut fields: Fields<'_>, r: &mut Report) -> LocalitySetting {
    let place = fields.place();
    let enabled = fields.boolean("enabled", r);
    let mut wire = LocalityBalancing::default();
    for inner in fields.children("distribute", r) {
        let shares = distribute(inner, r);
        if wire
            .distribute
            .iter()
            .any(|known| known.from == shares.from)
        {
            r.error(
                place,
                format!("locality {} is distributed twice", shares.from),
            );
        }
        wire.distribute.push(shares);
    }
    wire.failover = failover(&mut fields, r);
    wire.failover_priority = fields.texts("failoverPriority", r);
    if !wire.distribute.is_empty()
        && (!wire.failover.is_empty() || !wire.failover_priority.is_empty())
    {
        let other = if wire.failover.is_empty() {
            "failoverPriority"
        } else {
            "failover"
        };
        r.error(
            place,
            format!("can not simultaneously specify 'distribute' and '{other}'"),
        );
    }
    let names = label_names(&wire.failover_priority, place, r);
    if !wire.failover.is_empty() && names.iter().any(|name| TOPOLOGY.contains(name)) {
        r.error(
            place,
            "can not set 'failoverPriority' label of topology when 'failover' is set",
        );
    }
    fields.close(r);
    LocalitySetting {
        enabled: enabled.unwrap_or(true),
        wire,
    }
}

fn distribute(mut fields: Fields<'_>, r: &mut Report) -> LocalityShares {
    let place = fields.place();
    let from = fields.text("from", r);
    check_locality(&from, place, r);
    let mut to = Vec::new();
    let mut sum = 0_u64;
    for (name, node) in fields.entries("to", r) {
        check_locality(&name.text, name.place, r);
        let percent = match &node.value {
            Value::Int(value) => u32::try_from(*value).ok(),
            _ => None,
        };
        let Some(percent @ 1..=100) = percent else {
            r.error(node.place, "locality weight must be in range [1, 100]");
            continue;
        };
        sum += u64::from(percent);
        to.push(LocalityShare {
            locality: name.text,
            percent,
        });
    }
    if sum != 100 {
        r.error(place, format!("total locality weight {sum} != 100"));
    }
    fields.close(r);
    LocalityShares { from, to }
}

fn check_locality(text: &str, place: Place, r: &mut Report) {
    let parts: Vec<&str> = text.split('/').collect();
    let star = parts.iter().position(|part| *part == "*");
    let good = parts.len() <= 3
        && parts.iter().all(|part| !part.is_empty())
        && star.is_none_or(|at| at + 1 == parts.len())
        && !parts.iter().any(|part| part.contains('*') && *part != "*");
    if !good {
        r.error(
            place,
            format!("locality `{text}` must be region/zone/subzone; only the last part may be *"),
        );
    }
}

/// Istio: ValidateZoneAwareLbSetting.
pub(super) fn zone_aware(mut fields: Fields<'_>, r: &mut Report) -> LocalitySetting {
    let place = fields.place();
    let enabled = fields.boolean("enabled", r);
    let failover = failover(&mut fields, r);
    let failover_priority = fields.texts("failoverPriority", r);
    for name in label_names(&failover_priority, place, r) {
        if TOPOLOGY.contains(&name) {
            r.error(
                place,
                format!("'failover_priority' for zone aware lb must not use topology label '{name}'; region- and zone-level routing are handled automatically"),
            );
        }
    }
    let least = fields.number("minClusterSize", r);
    if let Some((0, at)) = least {
        r.error(at, "minClusterSize must be at least 1");
    }
    fields.close(r);
    LocalitySetting {
        enabled: enabled.unwrap_or(true),
        wire: LocalityBalancing {
            failover,
            failover_priority,
            zone_aware: Some(ZoneAware {
                min_cluster_size: least.map_or(MIN_CLUSTER_SIZE, |(least, _)| least),
            }),
            ..LocalityBalancing::default()
        },
    }
}

/// Regions that take over from others.
fn failover(fields: &mut Fields<'_>, r: &mut Report) -> Vec<RegionFailover> {
    let mut all = Vec::new();
    for mut inner in fields.children("failover", r) {
        let at = inner.place();
        let (from, to) = (inner.text("from", r), inner.text("to", r));
        inner.close(r);
        if from == to {
            r.error(
                at,
                format!("locality lb failover settings must specify different regions, found {from} twice"),
            );
        }
        if [&from, &to]
            .iter()
            .any(|region| region.is_empty() || region.contains(['*', '/']))
        {
            r.error(at, "locality lb region must not be empty or contain / or *");
        }
        all.push(RegionFailover { from, to });
    }
    all
}

/// Names of the labels, without the values that some ask for.
fn label_names<'a>(labels: &'a [String], place: Place, r: &mut Report) -> Vec<&'a str> {
    let names: Vec<&str> = labels
        .iter()
        .map(|label| {
            label
                .split_once('=')
                .map_or(label.as_str(), |(name, _)| name)
        })
        .collect();
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        r.error(place, "failoverPriority names a label twice");
    }
    names
}
