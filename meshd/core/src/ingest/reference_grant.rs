//! ReferenceGrant (Gateway API: gateway.networking.k8s.io).

use crate::model::{GrantFrom, GrantTo, Meta, ReferenceGrant};
use crate::yaml::{Fields, Report};

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> ReferenceGrant {
    let mut grant = ReferenceGrant {
        meta,
        from: Vec::new(),
        to: Vec::new(),
    };
    for mut fields in spec.children("from", r) {
        let from = GrantFrom {
            group: fields.text("group", r),
            kind: fields.text("kind", r),
            namespace: fields.text("namespace", r),
        };
        for (name, value) in [("kind", &from.kind), ("namespace", &from.namespace)] {
            if value.is_empty() {
                r.error(fields.place(), format!("{} is required", fields.path(name)));
            }
        }
        fields.close(r);
        grant.from.push(from);
    }
    for mut fields in spec.children("to", r) {
        let name = fields.text("name", r);
        let to = GrantTo {
            group: fields.text("group", r),
            kind: fields.text("kind", r),
            name: Some(name).filter(|name| !name.is_empty()),
        };
        if to.kind.is_empty() {
            r.error(
                fields.place(),
                format!("{} is required", fields.path("kind")),
            );
        }
        fields.close(r);
        grant.to.push(to);
    }
    if (grant.from.is_empty() || grant.to.is_empty()) && !r.failed() {
        r.error(spec.place(), "a ReferenceGrant needs `from` and `to`");
    }
    grant
}
