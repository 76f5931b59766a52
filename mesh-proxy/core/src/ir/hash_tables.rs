//! Endpoints by hash: Ketama rings and Maglev tables, point for point those of Envoy, so that
//! clients behind either kind of proxy find the same endpoint.
//!
//! A version of the tables continues the one before: only what came, left or has another weight is
//! hashed. A ring is copied but for its points; a table of Maglev is filled anew, which costs as
//! much as it has places, however many endpoints there are.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{Cluster, Endpoint, EndpointAddress, Endpoints, HashTableKind, Health, xxh64};

/// Most points of a ring (Envoy: `RingHashLoadBalancer::DefaultMaxRingSize`).
const MAX_RING: f64 = 8_388_608.0;

/// The tables of one cluster, one for each priority. Made once for all workers.
#[derive(Debug, PartialEq, Eq)]
pub struct HashTables {
    kind: HashTableKind,
    shares: Arc<[u32]>,
    // By number, which a member keeps for as long as it stays.
    members: Vec<Option<Member>>,
    free: Vec<u32>,
    // Numbers in order of uids, which is that of Envoy's lists.
    order: Vec<u32>,
    // By priority.
    levels: Vec<(u32, Table)>,
}

/// Entries are numbers of members.
#[derive(Debug, PartialEq, Eq)]
enum Table {
    Ring(Vec<Point>),
    Maglev(Vec<u32>),
}

/// An endpoint that hashes can stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    seed: Arc<Seed>,
    weight: u32,
    priority: u32,
    group: u32,
    // On the ring.
    points: u64,
}

/// What of an endpoint is hashed.
#[derive(Debug, PartialEq, Eq)]
struct Seed {
    uid: Arc<str>,
    key: Box<str>,
    // Of the key, for Maglev.
    offset: u64,
    skip: u64,
}

/// A place on a ring, and whose it is.
type Point = (u64, u32);
/// A member with its share of its level's traffic.
type Shared = (u32, f64);

// === impl HashTables ===

impl HashTables {
    /// For the healthy ones of these endpoints of the cluster, nothing without affinity. Continues
    /// the tables of another version of the cluster, if there is one.
    pub fn of(
        cluster: &Cluster,
        endpoints: &Endpoints,
        before: Option<&Cluster>,
    ) -> Option<Arc<Self>> {
        let kind = cluster.traffic.hash.as_ref()?.table;
        let known = before.and_then(|before| Some((before.tables.as_ref()?, &before.endpoints)));
        match known.filter(|(known, _)| known.kind == kind && known.shares == cluster.shares) {
            Some((known, before)) => Some(known.follow(before, endpoints)),
            None => {
                let empty = Arc::new(Self {
                    kind,
                    shares: Arc::clone(&cluster.shares),
                    members: Vec::new(),
                    free: Vec::new(),
                    order: Vec::new(),
                    levels: Vec::new(),
                });
                Some(empty.follow(&Endpoints::default(), endpoints))
            }
        }
    }

    /// The tables for these endpoints; `before` are those that these tables are for.
    fn follow(self: &Arc<Self>, before: &Endpoints, endpoints: &Endpoints) -> Arc<Self> {
        let mut next: Option<Self> = None;
        let mut touched = BTreeSet::new();
        endpoints.changes_since(before, |old, new| {
            let known = next.as_ref().unwrap_or(self);
            let number = old.and_then(|old| known.number_of(&old.uid));
            let new = new.filter(|new| is_hashed(new));
            let same = match (number.and_then(|number| known.member(number)), new) {
                (Some(member), Some(new)) => member.stands_for(new),
                (None, None) => true,
                _ => false,
            };
            if same {
                return;
            }
            let next = next.get_or_insert_with(|| self.copy());
            touched.extend(number.and_then(|number| next.leave(number)));
            if let Some(new) = new {
                touched.insert(new.priority);
                next.join(new);
            }
        });
        let Some(mut next) = next else {
            return Arc::clone(self);
        };
        next.levels = self
            .levels
            .iter()
            .filter(|(priority, _)| !touched.contains(priority))
            .map(|(priority, table)| (*priority, table.copy()))
            .collect();
        for priority in touched {
            if let Some(table) = next.make(priority, self) {
                next.levels.push((priority, table));
            }
        }
        next.levels.sort_unstable_by_key(|(priority, _)| *priority);
        Arc::new(next)
    }

    /// The same without levels.
    fn copy(&self) -> Self {
        Self {
            kind: self.kind,
            shares: Arc::clone(&self.shares),
            members: self.members.clone(),
            free: self.free.clone(),
            order: self.order.clone(),
            levels: Vec::new(),
        }
    }

    fn member(&self, number: u32) -> Option<&Member> {
        self.members.get(number as usize)?.as_ref()
    }

    fn member_of(&self, priority: u32, number: u32) -> Option<&Member> {
        let member = self.member(number);
        member.filter(|member| member.priority == priority)
    }

    fn place(&self, uid: &str) -> Result<usize, usize> {
        self.order.binary_search_by(|number| {
            let member = self.member(*number);
            member.map_or("", |member| &member.seed.uid).cmp(uid)
        })
    }

    fn number_of(&self, uid: &str) -> Option<u32> {
        self.order.get(self.place(uid).ok()?).copied()
    }

    /// Takes a member out. Its priority.
    fn leave(&mut self, number: u32) -> Option<u32> {
        let uid = Arc::clone(&self.member(number)?.seed.uid);
        if let Ok(at) = self.place(&uid) {
            self.order.remove(at);
        }
        self.free.push(number);
        let gone = self.members.get_mut(number as usize)?.take();
        gone.map(|gone| gone.priority)
    }

    fn join(&mut self, endpoint: &Endpoint) {
        let at = self.place(&endpoint.uid).unwrap_or_else(|at| at);
        let number = self.free.pop().unwrap_or_else(|| {
            self.members.push(None);
            // More than four thousand million endpoints do not fit into memory.
            u32::try_from(self.members.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(free) = self.members.get_mut(number as usize) {
            *free = Some(Member::new(endpoint, self.kind));
            self.order.insert(at, number);
        }
    }

    /// The table of a level, if it has any member. `before` has what was there.
    fn make(&mut self, priority: u32, before: &Self) -> Option<Table> {
        let members = self.shared(priority);
        if members.is_empty() {
            return None;
        }
        Some(match self.kind {
            HashTableKind::Maglev { size } => Table::Maglev(self.maglev(&members, size)),
            HashTableKind::Ring { minimum_size } => {
                self.count_points(&members, minimum_size);
                let old = before.level(priority).and_then(|table| match table {
                    Table::Ring(points) => Some(points.as_slice()),
                    Table::Maglev(_) => None,
                });
                let (gone, came) = self.moved(priority, before);
                Table::Ring(merged(old.unwrap_or_default(), &gone, &came))
            }
        })
    }

    /// The members of a level in order, with their shares of its traffic: by weight, where traffic
    /// is distributed by weight within each locality (Envoy: `normalizeHostWeights`).
    #[expect(clippy::cast_precision_loss, reason = "sums of weights are below 2^53")]
    fn shared(&self, priority: u32) -> Vec<Shared> {
        let of_level = self.order.iter().filter_map(|number| {
            let member = self.member(*number)?;
            (member.priority == priority).then_some((*number, member))
        });
        let weight_of = |member: &Member| f64::from(member.weight);
        if self.shares.is_empty() {
            let mut members: Vec<Shared> = of_level
                .map(|(number, member)| (number, weight_of(member)))
                .collect();
            let total: f64 = members.iter().map(|(_, weight)| weight).sum();
            for (_, weight) in &mut members {
                *weight /= total;
            }
            return members;
        }
        let mut sums = vec![0_u64; self.shares.len()];
        for (_, member) in of_level.clone() {
            if let Some(sum) = sums.get_mut(member.group as usize) {
                *sum += u64::from(member.weight);
            }
        }
        let there = self.shares.iter().zip(&sums).filter(|(_, sum)| **sum > 0);
        let total: u64 = there.map(|(share, _)| u64::from(*share)).sum();
        let share_of = |(number, member): (u32, &Member)| {
            let group = member.group as usize;
            let share = f64::from(*self.shares.get(group)?) / total as f64;
            let weight = weight_of(member) / *sums.get(group)? as f64 * share;
            (weight > 0.0).then_some((number, weight))
        };
        of_level.filter_map(share_of).collect()
    }

    fn level(&self, priority: u32) -> Option<&Table> {
        let found = self
            .levels
            .binary_search_by_key(&priority, |(priority, _)| *priority);
        self.levels.get(found.ok()?).map(|(_, table)| table)
    }

    /// Members for a hash among those of a priority, the one that it stands for first, then those
    /// that take over, with their numbers. One may come again.
    pub(crate) fn find(&self, priority: u32, hash: u64) -> impl Iterator<Item = (usize, &str)> {
        let table = self.level(priority).into_iter();
        table
            .flat_map(move |table| table.walk(hash))
            .filter_map(move |number| Some((number as usize, &*self.member(number)?.seed.uid)))
    }

    /// Says how many points each member has (Envoy: `RingHashLoadBalancer::Ring`).
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes are below 2^24"
    )]
    fn count_points(&mut self, members: &[Shared], minimum_size: u64) {
        let shares = members.iter().map(|(_, share)| *share);
        let least = shares.fold(1.0_f64, f64::min);
        let scale = ((least * minimum_size as f64).ceil() / least).min(MAX_RING);
        let (mut made, mut wanted) = (0.0_f64, 0.0);
        for (number, share) in members {
            wanted += scale * share;
            let all = wanted.ceil().max(made);
            if let Some(Some(member)) = self.members.get_mut(*number as usize) {
                member.points = (all - made) as u64;
            }
            made = all;
        }
    }

    /// Points of a level that are not on the ring any more, and new ones, each sorted.
    fn moved(&self, priority: u32, before: &Self) -> (Vec<Point>, Vec<Point>) {
        let (mut gone, mut came) = (Vec::new(), Vec::new());
        let most = self.members.len().max(before.members.len());
        for number in 0..u32::try_from(most).unwrap_or(u32::MAX) {
            let old = before.member_of(priority, number);
            let new = self.member_of(priority, number);
            let kept = match (old, new) {
                (Some(old), Some(new)) if Arc::ptr_eq(&old.seed, &new.seed) => {
                    old.points.min(new.points)
                }
                _ => 0,
            };
            for (member, points) in [(old, &mut gone), (new, &mut came)] {
                if let Some(member) = member.filter(|member| member.points > kept) {
                    let more = (kept..member.points).map(|n| (member.seed.point(n), number));
                    points.extend(more);
                }
            }
        }
        gone.sort_unstable();
        came.sort_unstable();
        (gone, came)
    }

    /// Envoy: `MaglevTable`.
    #[expect(clippy::cast_precision_loss, reason = "rounds are fewer than places")]
    fn maglev(&self, members: &[Shared], size: u32) -> Vec<u32> {
        struct Build {
            number: u32,
            at: u64,
            skip: u64,
            weight: f64,
            target: f64,
        }
        let places = u64::from(size);
        let build = |(number, weight): &Shared| {
            let seed = &self.member(*number)?.seed;
            Some(Build {
                number: *number,
                at: seed.offset,
                skip: seed.skip,
                weight: *weight,
                target: 0.0,
            })
        };
        let mut build: Vec<Build> = members.iter().filter_map(build).collect();
        let most = build.iter().map(|entry| entry.weight).fold(0.0, f64::max);
        let mut table = vec![u32::MAX; size as usize];
        let mut filled = 0;
        let mut round = 1_u64;
        while filled < places && !build.is_empty() {
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
                    let at = entry.at;
                    entry.at += entry.skip;
                    if entry.at >= places {
                        entry.at -= places;
                    }
                    if let Some(place) = usize::try_from(at).ok().and_then(|at| table.get_mut(at))
                        && *place == u32::MAX
                    {
                        *place = entry.number;
                        break;
                    }
                }
                filled += 1;
            }
            round += 1;
        }
        table
    }
}

fn is_hashed(endpoint: &Endpoint) -> bool {
    // A name has no address yet.
    let named = matches!(endpoint.address, EndpointAddress::Name { .. });
    endpoint.health == Health::Healthy && !named
}

/// Sorted points without those that are gone, with those that came.
fn merged(old: &[Point], gone: &[Point], came: &[Point]) -> Vec<Point> {
    let mut points = Vec::with_capacity((old.len() + came.len()).saturating_sub(gone.len()));
    let (mut old, mut gone, mut came) = (old, gone, came);
    loop {
        // Up to what is different next, all is as it was.
        let stop = match (gone.first(), came.first()) {
            (Some(gone), Some(came)) => gone.min(came),
            (Some(stop), None) | (None, Some(stop)) => stop,
            (None, None) => break,
        };
        let (same, rest) = old.split_at(old.partition_point(|point| point < stop));
        points.extend_from_slice(same);
        old = rest;
        if gone.first() == Some(stop) {
            gone = gone.split_first().map_or(&[], |(_, rest)| rest);
            old = old.split_first().map_or(&[], |(_, rest)| rest);
        } else {
            points.push(*stop);
            came = came.split_first().map_or(&[], |(_, rest)| rest);
        }
    }
    points.extend_from_slice(old);
    points
}

// === impl Table ===

impl Table {
    fn copy(&self) -> Self {
        match self {
            Self::Ring(points) => Self::Ring(points.clone()),
            Self::Maglev(table) => Self::Maglev(table.clone()),
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
                Self::Ring(points) => points.get(at).map(|(_, number)| *number),
                Self::Maglev(table) => table.get(at).copied(),
            }
        })
    }
}

// === impl Member, Seed ===

impl Member {
    fn new(endpoint: &Endpoint, kind: HashTableKind) -> Self {
        let key = endpoint.address.to_string().into_boxed_str();
        let (offset, skip) = match kind {
            HashTableKind::Ring { .. } => (0, 0),
            HashTableKind::Maglev { size } => {
                let places = u64::from(size);
                let skip = xxh64(key.as_bytes(), 1) % (places - 1) + 1;
                (xxh64(key.as_bytes(), 0) % places, skip)
            }
        };
        Self {
            seed: Arc::new(Seed {
                uid: Arc::clone(&endpoint.uid),
                key,
                offset,
                skip,
            }),
            weight: endpoint.weight,
            priority: endpoint.priority,
            group: endpoint.group,
            points: 0,
        }
    }

    fn stands_for(&self, endpoint: &Endpoint) -> bool {
        (self.weight, self.priority, self.group)
            == (endpoint.weight, endpoint.priority, endpoint.group)
            && *self.seed.key == *endpoint.address.to_string()
    }
}

impl Seed {
    /// A point of a ring.
    fn point(&self, number: u64) -> u64 {
        let mut text = String::with_capacity(self.key.len() + 8);
        let _ = write!(text, "{}_{number}", self.key);
        xxh64(text.as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests;
