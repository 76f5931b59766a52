//! A hash map, in shards.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// Entries of a shard on the average, at most. A change copies one shard and the list of shards.
const USUAL: usize = 32;

/// Values by key, in no particular order.
#[derive(Clone, Debug)]
pub(crate) struct Shards<K, V> {
    // None, or a power of two. The upper bits of a key's hash say which one it is in.
    shards: Vec<Arc<Vec<Entry<K, V>>>>,
    len: usize,
    // A key is hashed once: whoever may choose keys cannot make them collide.
    hasher: RandomState,
}

/// A hash, and the bits of it below those that say which shard it is in, uppermost.
type Hashed = (u64, u64);

/// An entry of a shard, which is sorted by hash.
#[derive(Clone, Debug)]
struct Entry<K, V> {
    hash: u64,
    key: K,
    value: V,
}

// === impl Shards ===

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self {
            shards: Vec::new(),
            len: 0,
            hasher: RandomState::new(),
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    /// The value of a key.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (number, hashed) = self.number(self.hasher.hash_one(key));
        let shard = self.shards.get(number)?;
        let at = place(shard, hashed, key).ok()?;
        shard.get(at).map(|entry| &entry.value)
    }

    /// The value of a key, to be changed: a copy of its own if other versions have it, too.
    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (number, hashed) = self.number(self.hasher.hash_one(key));
        let shard = self.shards.get_mut(number)?;
        let at = place(shard, hashed, key).ok()?;
        let entry = Arc::make_mut(shard).get_mut(at)?;
        Some(&mut entry.value)
    }

    /// Sets the value of a key; gives the one before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.len >= self.shards.len() * USUAL {
            self.grow();
        }
        let hash = self.hasher.hash_one(&key);
        let (number, hashed) = self.number(hash);
        let shard = Arc::make_mut(self.shards.get_mut(number)?);
        match place(shard, hashed, &key) {
            Ok(at) => {
                let entry = shard.get_mut(at)?;
                Some(std::mem::replace(&mut entry.value, value))
            }
            Err(at) => {
                shard.insert(at, Entry { hash, key, value });
                self.len += 1;
                None
            }
        }
    }

    /// Takes a key out.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (number, hashed) = self.number(self.hasher.hash_one(key));
        let shard = self.shards.get_mut(number)?;
        let at = place(shard, hashed, key).ok()?;
        self.len -= 1;
        Some(Arc::make_mut(shard).remove(at).value)
    }

    /// The keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries().map(|entry| &entry.key)
    }

    /// The values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries().map(|entry| &entry.value)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry<K, V>> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    fn grow(&mut self) {
        let number = (self.shards.len() * 2).max(1);
        let mut wider = Self {
            shards: Vec::with_capacity(number),
            len: self.len,
            hasher: self.hasher.clone(),
        };
        wider.shards.resize_with(number, Arc::default);
        // In order of hashes, so that each shard is in order, too.
        for entry in self.entries() {
            let (number, _) = wider.number(entry.hash);
            if let Some(shard) = wider.shards.get_mut(number) {
                Arc::make_mut(shard).push(entry.clone());
            }
        }
        *self = wider;
    }

    /// The number of the shard, and what tells entries of it apart.
    fn number(&self, hash: u64) -> (usize, Hashed) {
        match self.shards.len().trailing_zeros() {
            // None, or one.
            0 | usize::BITS => (0, (hash, hash)),
            bits => {
                let number = usize::try_from(hash >> (u64::BITS - bits));
                (number.unwrap_or_default(), (hash, hash << bits))
            }
        }
    }
}

/// Where a key is in a shard, or where it would be. `part` are the bits of the hash that entries
/// of the shard differ in, uppermost: they are spread evenly, so that the place is near the one
/// that they stand for.
fn place<K, V, Q>(shard: &[Entry<K, V>], (hash, part): Hashed, key: &Q) -> Result<usize, usize>
where
    K: Borrow<Q>,
    Q: Eq + ?Sized,
{
    let near = (u128::from(part) * shard.len() as u128) >> u64::BITS;
    let mut at = usize::try_from(near).unwrap_or_default();
    while at > 0 && shard.get(at - 1).is_some_and(|before| before.hash >= hash) {
        at -= 1;
    }
    while let Some(entry) = shard.get(at)
        && entry.hash <= hash
    {
        if entry.hash == hash && entry.key.borrow() == key {
            return Ok(at);
        }
        at += 1;
    }
    Err(at)
}
