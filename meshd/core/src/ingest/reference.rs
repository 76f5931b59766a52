//! References to other objects, as the Gateway API writes them.

use crate::model::Reference;
use crate::yaml::{Fields, Report};

/// Reads `group`, `kind`, `namespace` and `name`. Without a name there is no reference.
pub(super) fn read(fields: &mut Fields<'_>, r: &mut Report) -> Option<Reference> {
    let group = fields.word("group", r).map(|word| word.text);
    let kind = fields.word("kind", r).map(|word| word.text);
    let namespace = fields.word("namespace", r).map(|word| word.text);
    let name = fields.text("name", r);
    if name.is_empty() {
        r.error(
            fields.place(),
            format!("{} is required", fields.path("name")),
        );
        return None;
    }
    Some(Reference {
        group,
        kind,
        namespace,
        name,
    })
}
