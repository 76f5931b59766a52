//! Collections of which each version shares with the one before what they have in common: a copy
//! costs little, and so does a change of a copy, however much is in it.

mod list;
mod shards;

pub(crate) use list::{Change, Items, Keyed, SortedList};
pub(crate) use shards::Shards;

#[cfg(test)]
mod tests;
