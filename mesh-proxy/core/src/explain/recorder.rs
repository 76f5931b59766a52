//! Routes as they were tried.

use super::report::{ConditionReport, RouteReport, TriedMatch};
use crate::ir::{FieldMatch, FieldName, HttpMatch, HttpRoute, StringMatch};
use crate::route::{Mismatch, Observe, RequestView};

/// Writes down which routes were tried.
pub(super) struct Recorder<'a> {
    view: &'a RequestView<'a>,
    routes: Vec<RouteReport>,
}

// === impl Recorder ===

impl<'a> Recorder<'a> {
    pub(super) fn new(view: &'a RequestView<'a>) -> Self {
        Self {
            view,
            routes: Vec::new(),
        }
    }

    /// The routes that were tried, in order.
    pub(super) fn into_routes(self) -> Vec<RouteReport> {
        self.routes
    }

    fn condition(&self, part: &HttpMatch, mismatch: Mismatch) -> ConditionReport {
        let asks = |wanted: &Option<StringMatch>| {
            wanted.as_ref().map(ToString::to_string).unwrap_or_default()
        };
        let plain = |condition: &str, wanted: String, actual: &str| ConditionReport {
            condition: condition.to_owned(),
            wanted,
            actual: Some(actual.to_owned()),
        };
        match mismatch {
            Mismatch::Uri => plain("uri", asks(&part.uri), self.view.path()),
            Mismatch::Scheme => plain("scheme", asks(&part.scheme), self.view.scheme()),
            Mismatch::Method => plain("method", asks(&part.method), self.view.method()),
            Mismatch::Authority => plain("authority", asks(&part.authority), self.view.authority()),
            Mismatch::Header(index) => self.field("headers", "", part.headers.get(index)),
            Mismatch::WithoutHeader(index) => {
                self.field("withoutHeaders", "not ", part.without_headers.get(index))
            }
            Mismatch::QueryParam(index) => {
                let field = part.query_params.get(index);
                ConditionReport {
                    condition: format!("queryParams[{}]", field.map_or("", |field| &field.name)),
                    wanted: field
                        .map(|field| field.value.to_string())
                        .unwrap_or_default(),
                    actual: self.view.query().map(str::to_owned),
                }
            }
        }
    }

    fn field(
        &self,
        list: &str,
        not: &str,
        field: Option<&FieldMatch<FieldName>>,
    ) -> ConditionReport {
        let Some(field) = field else {
            return ConditionReport::default();
        };
        ConditionReport {
            condition: format!("{list}[{}]", field.name),
            wanted: format!("{not}{}", field.value),
            actual: self.view.with_value(&field.name, |value| {
                value.map(|value| String::from_utf8_lossy(value).into_owned())
            }),
        }
    }

    fn route(&self, route: &HttpRoute) -> RouteReport {
        RouteReport {
            name: route.name.to_string(),
            origin: route.origin.as_deref().cloned(),
            ..Default::default()
        }
    }
}

impl Observe for Recorder<'_> {
    fn tried(&mut self, route: &HttpRoute, index: usize, outcome: Result<(), Mismatch>) {
        // The first match of a route opens its entry.
        if index == 0 {
            let entry = self.route(route);
            self.routes.push(entry);
        }
        let part = route.matches.get(index);
        let failed = outcome
            .err()
            .zip(part)
            .map(|(mismatch, part)| self.condition(part, mismatch));
        let Some(entry) = self.routes.last_mut() else {
            return;
        };
        entry.matched = failed.is_none();
        entry.matches.push(TriedMatch {
            index,
            name: part.map(|part| part.name.to_string()).unwrap_or_default(),
            origin: part.and_then(|part| part.origin.as_deref().cloned()),
            failed,
        });
    }

    fn unconditional(&mut self, route: &HttpRoute) {
        let entry = RouteReport {
            matched: true,
            ..self.route(route)
        };
        self.routes.push(entry);
    }
}
