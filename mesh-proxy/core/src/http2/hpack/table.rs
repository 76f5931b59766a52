//! The fields that one side has sent lately (RFC 7541 section 2.3.2).

use std::collections::VecDeque;

use super::Field;

/// A dynamic table of entries `T`, the newest first.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: VecDeque<(T, usize)>,
    size: usize,
    limit: usize,
}

// === impl Table ===

impl<T> Table<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            limit,
        }
    }

    /// The entry at an index from 0 on.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.entries.get(index).map(|(entry, _)| entry)
    }

    /// Entries, the newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(entry, _)| entry)
    }

    /// Adds an entry. One that is larger than the table empties it (RFC 7541 section 4.4).
    pub(super) fn insert(&mut self, entry: T, size: usize) {
        self.shrink(self.limit.saturating_sub(size));
        if size <= self.limit {
            self.size += size;
            self.entries.push_front((entry, size));
        }
    }

    /// Sets the size that entries may have together.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.shrink(limit);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    fn shrink(&mut self, to: usize) {
        while self.size > to {
            let Some((_, size)) = self.entries.pop_back() else {
                return;
            };
            self.size -= size;
        }
    }
}

impl Table<Field> {
    pub(super) fn add(&mut self, field: Field) {
        let size = field.size();
        self.insert(field, size);
    }
}
