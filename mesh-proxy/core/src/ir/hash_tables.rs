//! Endpoints by hash: Ketama rings and Maglev tables, point for point those of Envoy, so that
//! clients behind either kind of proxy find the same endpoint.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{EndpointAddress, Endpoints, HashTableKind, Health, TrafficSettings};

/// Most points of a ring (Envoy: `RingHashLoadBalancer::DefaultMaxRingSize`).
const MAX_RING: f64 = 8_388_608.0;

/// The tables of one cluster, one for each priority. Made once for all workers.
#[derive(Debug, PartialEq, Eq)]
pub struct HashTables {
    by_priority: Vec<(u32, Table)>,
}

/// Entries are indexes of endpoints.
#[derive(Debug, PartialEq, Eq)]
enum Table {
    Ring(Vec<(u64, u32)>),
    Maglev(Vec<u32>),
}

/// An endpoint in a table that is being made.
struct Entry {
    index: u32,
    key: String,
    weight: f64,
}

// === impl HashTables ===

impl HashTables {
    /// For the healthy ones of these endpoints; nothing without affinity.
    pub fn of(settings: &TrafficSettings, endpoints: &Endpoints) -> Option<Arc<Self>> {
        let kind = settings.hash.as_ref()?.table;
        let mut levels: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            // A name has no address yet.
            if endpoint.health != Health::Healthy
                || matches!(endpoint.address, EndpointAddress::Name { .. })
            {
                continue;
            }
            let Ok(index) = u32::try_from(index) else {
                break;
            };
            levels.entry(endpoint.priority).or_default().push(Entry {
                index,
                key: endpoint.address.to_string(),
                weight: f64::from(endpoint.weight),
            });
        }
        let by_priority = levels
            .into_iter()
            .map(|(priority, entries)| (priority, Table::new(kind, entries)))
            .collect();
        Some(Arc::new(Self { by_priority }))
    }

    /// Endpoints for a hash among those of a priority, the one that it stands for first, then
    /// those that take over. An index may come again.
    pub(crate) fn find(&self, priority: u32, hash: u64) -> impl Iterator<Item = usize> {
        let level = self
            .by_priority
            .binary_search_by_key(&priority, |(priority, _)| *priority);
        let table = level.ok().and_then(|index| self.by_priority.get(index));
        table
            .into_iter()
            .flat_map(move |(_, table)| table.walk(hash))
            .map(|index| index as usize)
    }
}

// === impl Table ===

impl Table {
    fn new(kind: HashTableKind, mut entries: Vec<Entry>) -> Self {
        let total: f64 = entries.iter().map(|entry| entry.weight).sum();
        for entry in &mut entries {
            entry.weight /= total;
        }
        match kind {
            HashTableKind::Ring { minimum_size } => Self::Ring(ring(&entries, minimum_size)),
            HashTableKind::Maglev { size } => Self::Maglev(maglev(&entries, size)),
        }
    }

    fn walk(&self, hash: u64) -> impl Iterator<Item = u32> {
        let (start, length) = match self {
            Self::Ring(points) => (
                points.partition_point(|(point, _)| *point < hash),
                points.len(),
            ),
            Self::Maglev(table) => {
                let length = table.len();
                let place = hash.checked_rem(length as u64).unwrap_or_default();
                (usize::try_from(place).unwrap_or_default(), length)
            }
        };
        (0..length).filter_map(move |step| {
            // Neighbours have nothing to do with each other in either kind, so that what an
            // endpoint leaves is spread over all others.
            let at = (start + step) % length;
            match self {
                Self::Ring(points) => points.get(at).map(|(_, index)| *index),
                Self::Maglev(table) => table.get(at).copied(),
            }
        })
    }
}

/// Envoy: `RingHashLoadBalancer::Ring`.
#[expect(clippy::cast_precision_loss, reason = "sizes are below 2^24")]
fn ring(entries: &[Entry], minimum_size: u64) -> Vec<(u64, u32)> {
    let least = entries
        .iter()
        .map(|entry| entry.weight)
        .fold(1.0_f64, f64::min);
    let scale = ((least * minimum_size as f64).ceil() / least).min(MAX_RING);
    let mut points = Vec::new();
    let (mut made, mut wanted) = (0.0, 0.0);
    let mut text = String::new();
    for entry in entries {
        wanted += scale * entry.weight;
        let mut number = 0_u64;
        while made < wanted {
            text.clear();
            let _ = write!(text, "{}_{number}", entry.key);
            points.push((xxh64(text.as_bytes(), 0), entry.index));
            number += 1;
            made += 1.0;
        }
    }
    points.sort_unstable();
    points
}

/// Envoy: `MaglevTable`.
#[expect(clippy::cast_precision_loss, reason = "rounds are fewer than places")]
fn maglev(entries: &[Entry], size: u32) -> Vec<u32> {
    struct Build {
        index: u32,
        offset: u64,
        skip: u64,
        next: u64,
        weight: f64,
        target: f64,
    }
    let places = u64::from(size);
    let mut build: Vec<Build> = entries
        .iter()
        .map(|entry| Build {
            index: entry.index,
            offset: xxh64(entry.key.as_bytes(), 0) % places,
            skip: xxh64(entry.key.as_bytes(), 1) % (places - 1) + 1,
            next: 0,
            weight: entry.weight,
            target: 0.0,
        })
        .collect();
    if build.is_empty() {
        return Vec::new();
    }
    let most = build.iter().map(|entry| entry.weight).fold(0.0, f64::max);
    let mut table = vec![u32::MAX; size as usize];
    let mut filled = 0;
    let mut round = 1_u64;
    while filled < places {
        for entry in &mut build {
            if filled >= places {
                break;
            }
            if (round as f64) * entry.weight < entry.target {
                continue;
            }
            entry.target += most;
            // The table's size is prime: the walk comes by every place.
            for _ in 0..places {
                let at = (entry.offset + entry.skip * entry.next) % places;
                entry.next += 1;
                if let Some(place) = usize::try_from(at).ok().and_then(|at| table.get_mut(at))
                    && *place == u32::MAX
                {
                    *place = entry.index;
                    break;
                }
            }
            filled += 1;
        }
        round += 1;
    }
    table
}

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

/// XXH64, as Envoy hashes keys and endpoints with.
pub(crate) fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    let round = |lane: u64, word: u64| {
        lane.wrapping_add(word.wrapping_mul(P2))
            .rotate_left(31)
            .wrapping_mul(P1)
    };
    let (stripes, rest) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() {
        seed.wrapping_add(P5)
    } else {
        let mut lanes = [
            seed.wrapping_add(P1).wrapping_add(P2),
            seed.wrapping_add(P2),
            seed,
            seed.wrapping_sub(P1),
        ];
        for stripe in stripes {
            let (words, _) = stripe.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = round(*lane, u64::from_le_bytes(*word));
            }
        }
        let [a, b, c, d] = lanes;
        let merged = a
            .rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18));
        lanes.iter().fold(merged, |hash, lane| {
            (hash ^ round(0, *lane)).wrapping_mul(P1).wrapping_add(P4)
        })
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        hash = (hash ^ round(0, u64::from_le_bytes(*word)))
            .rotate_left(27)
            .wrapping_mul(P1)
            .wrapping_add(P4);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        hash = (hash ^ u64::from(u32::from_le_bytes(*half)).wrapping_mul(P1))
            .rotate_left(23)
            .wrapping_mul(P2)
            .wrapping_add(P3);
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(P5))
            .rotate_left(11)
            .wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        for (text, want) in [
            ("", 0xEF46_DB37_51D8_E999),
            ("a", 0xD24E_C4F1_A98C_6E5B),
            ("abc", 0x44BC_2CF5_AD77_0999),
            (
                "Nobody inspects the spammish repetition",
                0xFBCE_A83C_8A37_8BF1,
            ),
        ] {
            assert_eq!(xxh64(text.as_bytes(), 0), want, "{text}");
        }
    }

    fn entries(weights: &[f64]) -> Vec<Entry> {
        let entry = |(index, weight): (usize, &f64)| Entry {
            index: u32::try_from(index).unwrap(),
            key: format!("10.0.0.{index}:80"),
            weight: *weight,
        };
        weights.iter().enumerate().map(entry).collect()
    }

    fn counts(table: &Table, kinds: usize) -> Vec<usize> {
        let mut counts = vec![0; kinds];
        let indexes: Vec<u32> = match table {
            Table::Ring(points) => points.iter().map(|(_, index)| *index).collect(),
            Table::Maglev(table) => table.clone(),
        };
        for index in indexes {
            counts[index as usize] += 1;
        }
        counts
    }

    #[test]
    fn tables_follow_the_weights_and_have_their_size() {
        let ring = Table::new(
            HashTableKind::Ring { minimum_size: 1024 },
            entries(&[1.0, 1.0, 2.0]),
        );
        assert_eq!(counts(&ring, 3), [256, 256, 512]);
        let odd = Table::new(
            HashTableKind::Ring { minimum_size: 1024 },
            entries(&[1.0, 1.0, 1.0]),
        );
        assert_eq!(counts(&odd, 3), [342, 342, 342], "no less than 1024 points");
        let maglev = Table::new(
            HashTableKind::Maglev { size: 65_537 },
            entries(&[1.0, 1.0, 2.0]),
        );
        let counts = counts(&maglev, 3);
        assert_eq!(counts.iter().sum::<usize>(), 65_537);
        assert!(counts[2].abs_diff(32_768) < 10, "{counts:?}");
    }

    #[test]
    fn one_endpoint_less_moves_only_its_own_share() {
        for kind in [
            HashTableKind::Ring { minimum_size: 1024 },
            HashTableKind::Maglev { size: 65_537 },
        ] {
            let all = Table::new(kind, entries(&[1.0; 10]));
            let fewer = Table::new(kind, entries(&[1.0; 9]));
            let moved = (0..10_000_u64)
                .map(|n| xxh64(&n.to_le_bytes(), 0))
                .filter(|hash| all.walk(*hash).next() != fewer.walk(*hash).next())
                .count();
            assert!((700..1700).contains(&moved), "{kind:?}: {moved} of 10000");
        }
    }

    #[test]
    fn walks_come_by_everyone() {
        for kind in [
            HashTableKind::Ring { minimum_size: 16 },
            HashTableKind::Maglev { size: 251 },
        ] {
            let table = Table::new(kind, entries(&[1.0; 5]));
            let mut seen: Vec<u32> = table.walk(u64::MAX).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
            assert_eq!(Table::new(kind, Vec::new()).walk(7).next(), None);
        }
    }
}
