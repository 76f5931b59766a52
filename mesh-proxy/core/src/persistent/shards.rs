//! A hash map, in shards.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Entries of a shard on the average, at most. A change copies one shard and the list of shards.
const USUAL: usize = 32;

/// Values by key, in no particular order.
#[derive(Clone, Debug)]
pub(crate) struct Shards<K, V> {
    // None, or a power of two.
    shards: Vec<Arc<HashMap<K, V>>>,
    len: usize,
}

// === impl Shards ===

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self {
            shards: Vec::new(),
            len: 0,
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
        self.shards.get(self.number(key))?.get(key)
    }

    /// The value of a key, to be changed: a copy of its own if other versions have it, too.
    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let number = self.number(key);
        let shard = self.shards.get_mut(number)?;
        if !shard.contains_key(key) {
            return None;
        }
        Arc::make_mut(shard).get_mut(key)
    }

    /// Sets the value of a key; gives the one before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.len >= self.shards.len() * USUAL {
            self.grow();
        }
        let number = self.number(&key);
        let before = Arc::make_mut(self.shards.get_mut(number)?).insert(key, value);
        self.len += usize::from(before.is_none());
        before
    }

    /// Takes a key out.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let number = self.number(key);
        let shard = self.shards.get_mut(number)?;
        if !shard.contains_key(key) {
            return None;
        }
        self.len -= 1;
        Arc::make_mut(shard).remove(key)
    }

    /// The keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.shards.iter().flat_map(|shard| shard.keys())
    }

    /// The values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    fn grow(&mut self) {
        let mut wider = Self {
            shards: Vec::new(),
            len: self.len,
        };
        let number = (self.shards.len() * 2).max(1);
        wider.shards.resize_with(number, Arc::default);
        for (key, value) in self.shards.iter().flat_map(|shard| shard.iter()) {
            let number = wider.number(key);
            if let Some(shard) = wider.shards.get_mut(number) {
                Arc::make_mut(shard).insert(key.clone(), value.clone());
            }
        }
        *self = wider;
    }

    fn number<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        if self.shards.len() < 2 {
            return 0;
        }
        let mut hasher = Quick(0);
        key.hash(&mut hasher);
        // The upper bits are the well mixed ones.
        let bits = self.shards.len().trailing_zeros();
        usize::try_from(hasher.finish() >> (64 - bits)).unwrap_or_default()
    }
}

/// Tells shards apart, word by word. It need not withstand anybody: in a shard keys are found by
/// the standard library's hash.
struct Quick(u64);

// === impl Quick ===

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let last = rest.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        self.write_u64(last);
    }

    fn write_u64(&mut self, word: u64) {
        // An odd number with many bits, as in Firefox and rustc.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x51_7c_c1_b7_27_22_0a_95);
    }
}
