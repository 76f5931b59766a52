//! Which route a request takes: the first that matches.

mod fields;
mod view;

use std::sync::Arc;

use rand::{Rng, RngExt};

use crate::ir::{Destination, Destinations, HttpMatch, HttpRoute, StringMatch};

pub(crate) use fields::with_field;
pub use view::RequestView;
pub(crate) use view::authority;

/// Sees each match that was tried. `()` sees nothing, for the hot path.
pub trait Observe {
    /// Match number `index` of the route was tried.
    fn tried(&mut self, route: &HttpRoute, index: usize, outcome: Result<(), Mismatch>);
    /// The route has no matches, so it takes everything.
    fn unconditional(&mut self, route: &HttpRoute);
}

/// The first part of a match that does not hold. Numbers are indices into the match's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The path.
    Uri,
    /// The scheme.
    Scheme,
    /// The method.
    Method,
    /// The authority.
    Authority,
    /// A header.
    Header(usize),
    /// A header that must not match.
    WithoutHeader(usize),
    /// A query parameter.
    QueryParam(usize),
}

/// The route that a request takes.
#[derive(Clone, Copy, Debug)]
pub struct Selected<'a> {
    /// The route.
    pub route: &'a Arc<HttpRoute>,
    /// Which of its matches; absent if it has none.
    pub matched: Option<usize>,
}

/// The first route that matches.
pub fn select<'a>(
    routes: &'a [Arc<HttpRoute>],
    request: &RequestView<'_>,
    observe: &mut impl Observe,
) -> Option<Selected<'a>> {
    for route in routes {
        if route.matches.is_empty() {
            observe.unconditional(route);
            return Some(Selected {
                route,
                matched: None,
            });
        }
        for (index, part) in route.matches.iter().enumerate() {
            let outcome = matches(part, request);
            observe.tried(route, index, outcome);
            if outcome.is_ok() {
                return Some(Selected {
                    route,
                    matched: Some(index),
                });
            }
        }
    }
    None
}

/// Whether all parts of a match hold.
///
/// # Errors
/// The first part that does not.
pub fn matches(part: &HttpMatch, request: &RequestView<'_>) -> Result<(), Mismatch> {
    let holds = |wanted: &Option<StringMatch>, value: &str| {
        wanted.as_ref().is_none_or(|w| w.matches(value.as_bytes()))
    };
    if let Some(uri) = &part.uri {
        let path = request.path().as_bytes();
        let matched = if part.ignore_uri_case {
            uri.matches_ignoring_case(path)
        } else {
            uri.matches(path)
        };
        if !matched {
            return Err(Mismatch::Uri);
        }
    }
    if !holds(&part.scheme, request.scheme()) {
        return Err(Mismatch::Scheme);
    }
    if !holds(&part.method, request.method()) {
        return Err(Mismatch::Method);
    }
    if !holds(&part.authority, request.authority()) {
        return Err(Mismatch::Authority);
    }
    if let Some(index) = part
        .headers
        .iter()
        .position(|field| !request.field_matches(field))
    {
        return Err(Mismatch::Header(index));
    }
    if let Some(index) = part
        .without_headers
        .iter()
        .position(|field| request.field_matches(field))
    {
        return Err(Mismatch::WithoutHeader(index));
    }
    match part
        .query_params
        .iter()
        .position(|field| !request.parameter_matches(field))
    {
        Some(index) => Err(Mismatch::QueryParam(index)),
        None => Ok(()),
    }
}

/// One of the destinations, by weight; none for the share that no destination gets.
pub fn pick<'a>(
    destinations: &'a Destinations,
    rng: &mut (impl Rng + ?Sized),
) -> Option<&'a Arc<Destination>> {
    let total = destinations.total_weight();
    let shared = destinations.iter().len() > 1 || destinations.lost_weight() > 0;
    if total == 0 || !shared {
        return destinations.iter().next();
    }
    let mut draw = rng.random_range(0..total);
    for destination in destinations.iter() {
        match draw.checked_sub(destination.weight) {
            Some(left) => draw = left,
            None => return Some(destination),
        }
    }
    None
}

// === impl Observe ===

impl Observe for () {
    fn tried(&mut self, _: &HttpRoute, _: usize, _: Result<(), Mismatch>) {}
    fn unconditional(&mut self, _: &HttpRoute) {}
}

#[cfg(test)]
mod tests;
