//! A sorted list, in chunks.

use std::cmp::Ordering;
use std::iter::FlatMap;
use std::slice::Iter;
use std::sync::Arc;

/// Most items of a chunk. A change copies one chunk and the list of chunks, so that for some
/// thousands of items both are about as long.
const MOST: usize = 64;
/// A chunk that becomes shorter joins its neighbour, if there is room.
const FEW: usize = 16;
/// Items of a chunk in a list that is made at once: some may come later.
const USUAL: usize = 48;

/// What has a place in a [`SortedList`].
pub(crate) trait Keyed {
    /// What the list is sorted by.
    type Key: Ord + ?Sized;

    /// Its key; it must not change.
    fn key(&self) -> &Self::Key;
}

/// Items by key, each key once.
#[derive(Clone, Debug)]
pub(crate) struct SortedList<T> {
    // None is empty.
    chunks: Vec<Arc<[T]>>,
    len: usize,
}

/// A difference between two versions of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a, T> {
    /// It was not there before.
    Came(&'a T),
    /// It is not there any more.
    Left(&'a T),
    /// Its key was there before, with another item.
    Replaced {
        /// What was there.
        before: &'a T,
        /// What is there now.
        after: &'a T,
    },
}

/// Goes over the items of a list.
pub(crate) type Items<'a, T> =
    FlatMap<Iter<'a, Arc<[T]>>, Iter<'a, T>, fn(&'a Arc<[T]>) -> Iter<'a, T>>;

// === impl SortedList ===

impl<T> Default for SortedList<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T> SortedList<T> {
    /// Number of items.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The items in order.
    pub(crate) fn iter(&self) -> Items<'_, T> {
        self.into_iter()
    }
}

impl<T: Keyed + Clone> SortedList<T> {
    /// The item with this key.
    pub(crate) fn get(&self, key: &T::Key) -> Option<&T> {
        let (chunk, at) = self.find(key).ok()?;
        self.chunks.get(chunk)?.get(at)
    }

    /// Takes an item in; gives the one that had its key.
    pub(crate) fn insert(&mut self, item: T) -> Option<T> {
        match self.find(item.key()) {
            Ok((number, at)) => {
                let chunk = self.chunks.get_mut(number)?;
                let before = chunk.get(at).cloned();
                *chunk = around(chunk, at, Some(item), 1).collect();
                before
            }
            Err((number, at)) => {
                self.len += 1;
                let Some(chunk) = self.chunks.get_mut(number) else {
                    self.chunks.push(Arc::new([item]));
                    return None;
                };
                if chunk.len() < MOST {
                    *chunk = around(chunk, at, Some(item), 0).collect();
                    return None;
                }
                // Whoever comes in order leaves full chunks behind.
                let cut = if at == MOST { MOST } else { MOST / 2 };
                let mut items: Vec<T> = around(chunk, at, Some(item), 0).collect();
                let rest = items.split_off(cut);
                *chunk = items.into();
                self.chunks.insert(number + 1, rest.into());
                None
            }
        }
    }

    /// Takes the item with this key out.
    pub(crate) fn remove(&mut self, key: &T::Key) -> Option<T> {
        let (number, at) = self.find(key).ok()?;
        let chunk = self.chunks.get_mut(number)?;
        let removed = chunk.get(at).cloned();
        self.len -= 1;
        if chunk.len() == 1 {
            self.chunks.remove(number);
            return removed;
        }
        *chunk = around(chunk, at, None, 1).collect();
        if chunk.len() < FEW {
            self.join(number);
        }
        removed
    }

    /// Puts a short chunk together with the one behind it, or before it.
    fn join(&mut self, number: usize) {
        let fits = |first: usize| {
            let both = self.chunks.get(first..first + 2)?;
            let sum: usize = both.iter().map(|chunk| chunk.len()).sum();
            (sum <= MOST).then(|| {
                both.iter()
                    .flat_map(|chunk| chunk.iter())
                    .cloned()
                    .collect()
            })
        };
        let firsts = [Some(number), number.checked_sub(1)];
        let found = firsts
            .into_iter()
            .flatten()
            .find_map(|first| Some((first, fits(first)?)));
        if let Some((first, both)) = found {
            self.chunks.remove(first);
            if let Some(chunk) = self.chunks.get_mut(first) {
                *chunk = both;
            }
        }
    }

    /// Number of the chunk and place in it; if there is no such item, where it would be.
    fn find(&self, key: &T::Key) -> Result<(usize, usize), (usize, usize)> {
        let begins_before = |chunk: &Arc<[T]>| chunk.first().is_some_and(|item| item.key() <= key);
        let number = self.chunks.partition_point(begins_before);
        let number = number.saturating_sub(1);
        let Some(chunk) = self.chunks.get(number) else {
            return Err((0, 0));
        };
        match chunk.binary_search_by(|item| item.key().cmp(key)) {
            Ok(at) => Ok((number, at)),
            Err(at) => Err((number, at)),
        }
    }

    /// Calls `each` for whatever is different since another version, in order of keys. What both
    /// versions share is not looked at.
    pub(crate) fn changes_since<'a>(
        &'a self,
        before: &'a Self,
        same: impl Fn(&T, &T) -> bool,
        mut each: impl FnMut(Change<'a, T>),
    ) {
        let mut old = Cursor::new(before);
        let mut new = Cursor::new(self);
        loop {
            if old.items.is_empty() && new.items.is_empty() {
                while let ([one, ones @ ..], [other, others @ ..]) = (old.chunks, new.chunks)
                    && Arc::ptr_eq(one, other)
                {
                    (old.chunks, new.chunks) = (ones, others);
                }
            }
            match (old.first(), new.first()) {
                (None, None) => return,
                (Some(left), None) => {
                    each(Change::Left(left));
                    old.advance();
                }
                (None, Some(came)) => {
                    each(Change::Came(came));
                    new.advance();
                }
                (Some(one), Some(other)) => match one.key().cmp(other.key()) {
                    Ordering::Less => {
                        each(Change::Left(one));
                        old.advance();
                    }
                    Ordering::Greater => {
                        each(Change::Came(other));
                        new.advance();
                    }
                    Ordering::Equal => {
                        if !same(one, other) {
                            each(Change::Replaced {
                                before: one,
                                after: other,
                            });
                        }
                        old.advance();
                        new.advance();
                    }
                },
            }
        }
    }
}

/// The items of a chunk, with one put in at a place from which some are left out.
fn around<T: Clone>(
    chunk: &[T],
    at: usize,
    item: Option<T>,
    left_out: usize,
) -> impl Iterator<Item = T> {
    let (head, tail) = chunk.split_at(at.min(chunk.len()));
    let tail = tail.iter().skip(left_out);
    head.iter().cloned().chain(item).chain(tail.cloned())
}

impl<'a, T> IntoIterator for &'a SortedList<T> {
    type Item = &'a T;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

impl<T: Keyed + Clone> FromIterator<T> for SortedList<T> {
    /// Of several items with one key the last counts.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items: Vec<T> = items.into_iter().collect();
        items.reverse();
        items.sort_by(|one, other| one.key().cmp(other.key()));
        items.dedup_by(|one, other| one.key() == other.key());
        Self {
            chunks: items.chunks(USUAL).map(Arc::from).collect(),
            len: items.len(),
        }
    }
}

impl<T: PartialEq> PartialEq for SortedList<T> {
    fn eq(&self, other: &Self) -> bool {
        let same_chunks = || {
            let mut pairs = self.chunks.iter().zip(&other.chunks);
            self.chunks.len() == other.chunks.len() && pairs.all(|(a, b)| Arc::ptr_eq(a, b))
        };
        self.len == other.len && (same_chunks() || self.iter().eq(other))
    }
}

impl<T: Eq> Eq for SortedList<T> {}

/// A place in a list.
struct Cursor<'a, T> {
    // What is left of the chunk.
    items: &'a [T],
    // The chunks behind it.
    chunks: &'a [Arc<[T]>],
}

// === impl Cursor ===

impl<'a, T> Cursor<'a, T> {
    fn new(list: &'a SortedList<T>) -> Self {
        Self {
            items: &[],
            chunks: &list.chunks,
        }
    }

    fn first(&mut self) -> Option<&'a T> {
        if self.items.is_empty() {
            let (chunk, rest) = self.chunks.split_first()?;
            (self.items, self.chunks) = (chunk, rest);
        }
        self.items.first()
    }

    fn advance(&mut self) {
        self.items = self.items.get(1..).unwrap_or_default();
    }
}
