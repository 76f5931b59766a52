//! YAML with places: text to nodes, nodes to typed fields.

mod fields;
mod json;
mod node;
mod report;
mod suggest;
mod units;

pub(crate) use fields::{Fields, Labels, Word};
pub(crate) use json::node as from_json;
pub(crate) use node::{Node, Value, parse};
pub(crate) use report::{Place, Report};
pub(crate) use suggest::nearest;
