//! The endpoints that may be chosen, by priority and by group, made anew whenever that changes:
//! choosing among them costs the same however many there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rand::{Rng, RngExt};

/// A level of which less than 100/140 is healthy gives some of its traffic to the next one
/// (Envoy: `kDefaultOverProvisioningFactor`).
const OVERPROVISION: u64 = 140;

/// One unit of the virtual time in which endpoints of different weights take turns.
const ROUND: u64 = 1 << 40;

/// What counts of one endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    pub(super) priority: u32,
    pub(super) group: u32,
    pub(super) weight: u32,
    pub(super) healthy: bool,
}

/// What happens where few endpoints are healthy.
#[derive(Clone, Copy, Debug)]
pub(super) enum Panic {
    /// If none at all is healthy, all are used.
    IfNone,
    /// In a level of which less than this percentage is healthy, all are used.
    Below(u32),
}

/// Endpoints by priority.
#[derive(Debug, Default)]
pub(super) struct Levels {
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    priority: u32,
    // Share of the traffic, in percent.
    load: u64,
    groups: Vec<Group>,
}

/// Endpoints that share traffic among each other.
#[derive(Debug, Default)]
pub(super) struct Group {
    share: u64,
    // All of its endpoints are used, healthy or not.
    void: bool,
    live: Vec<usize>,
    // Sums of the weights up to each one; empty if all weights are equal.
    sums: Vec<u64>,
    // Round robin: whose turn is next, or when everybody's is if weights differ.
    cursor: usize,
    turns: BinaryHeap<Reverse<(u64, usize, u32)>>,
}

/// Where in the levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    level: usize,
    group: usize,
}

// === impl Levels ===

impl Levels {
    /// From the facts of all endpoints, in order. `shares` are those of the groups, empty if
    /// there is only one. Turns go on where they were.
    pub(super) fn new(facts: &[Fact], shares: &[u32], panic: Panic, before: &Self) -> Self {
        let mut by_priority: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, fact) in facts.iter().enumerate() {
            by_priority.entry(fact.priority).or_default().push(index);
        }
        let healthy = |members: &[usize]| {
            let healthy = members
                .iter()
                .filter(|index| facts.get(**index).is_some_and(|fact| fact.healthy));
            healthy.count() as u64
        };
        let availability: Vec<u64> = by_priority
            .values()
            .map(|members| available(healthy(members), members.len() as u64))
            .collect();
        let sum: u64 = availability.iter().sum::<u64>().min(100);
        let mut left = 100;
        let mut levels = Vec::with_capacity(by_priority.len());
        for (number, ((priority, members), available)) in
            by_priority.into_iter().zip(availability).enumerate()
        {
            let void = match panic {
                Panic::IfNone => sum == 0,
                Panic::Below(percent) => {
                    sum < 100 && healthy(&members) * 100 < u64::from(percent) * members.len() as u64
                }
            };
            let load = match (available * 100).checked_div(sum) {
                Some(load) => load.min(left),
                None if number == 0 => 100,
                None => 0,
            };
            left -= load;
            let known = before
                .levels
                .get(number)
                .map(|level| level.groups.as_slice());
            let groups = groups(facts, (&members, void), shares, known.unwrap_or_default());
            levels.push(Level {
                priority,
                load,
                groups,
            });
        }
        // What rounding left over.
        if let Some(first) = levels.iter_mut().find(|level| level.load > 0) {
            first.load += left;
        }
        Self { levels }
    }

    /// A group, by load and share; none if no endpoint may be chosen.
    pub(super) fn choose(&self, rng: &mut (impl Rng + ?Sized)) -> Option<At> {
        let level = match self.levels.as_slice() {
            [] => return None,
            [_] => 0,
            levels => draw(levels.iter().map(|level| level.load), rng)?,
        };
        let group = match self.levels.get(level)?.groups.as_slice() {
            [_] => 0,
            groups => draw(groups.iter().map(|group| group.share), rng)?,
        };
        let at = At { level, group };
        (!self.group(at)?.live.is_empty()).then_some(at)
    }

    pub(super) fn priority(&self, at: At) -> Option<u32> {
        self.levels.get(at.level).map(|level| level.priority)
    }

    pub(super) fn group(&self, at: At) -> Option<&Group> {
        self.levels.get(at.level)?.groups.get(at.group)
    }

    pub(super) fn group_mut(&mut self, at: At) -> Option<&mut Group> {
        self.levels.get_mut(at.level)?.groups.get_mut(at.group)
    }

    /// All endpoints that may be chosen.
    pub(super) fn all(&self) -> impl Iterator<Item = usize> {
        let groups = self.levels.iter().flat_map(|level| &level.groups);
        groups.flat_map(|group| &group.live).copied()
    }
}

fn available(healthy: u64, total: u64) -> u64 {
    (healthy * OVERPROVISION)
        .checked_div(total)
        .unwrap_or_default()
        .min(100)
}

fn groups(
    facts: &[Fact],
    (members, void): (&[usize], bool),
    shares: &[u32],
    before: &[Group],
) -> Vec<Group> {
    let mut groups: Vec<(Group, u64)> = Vec::new();
    groups.resize_with(shares.len().max(1), Default::default);
    for index in members {
        let Some(fact) = facts.get(*index) else {
            continue;
        };
        let Some((group, total)) = groups.get_mut(fact.group as usize) else {
            continue;
        };
        *total += 1;
        if fact.healthy || void {
            group.live.push(*index);
        }
    }
    let finish = |(number, (mut group, total)): (usize, (Group, u64))| {
        let share = shares.get(number).copied().map_or(1, u64::from);
        group.share = share * available(group.live.len() as u64, total);
        group.void = void;
        group.cursor = before.get(number).map_or(0, |group| group.cursor);
        let weight = |index: &usize| facts.get(*index).map_or(1, |fact| fact.weight);
        let first = group.live.first().map(weight);
        if group.live.iter().any(|index| Some(weight(index)) != first) {
            let mut sum = 0;
            for index in &group.live {
                let weight = weight(index).max(1);
                sum += u64::from(weight);
                group.sums.push(sum);
                group
                    .turns
                    .push(Reverse((ROUND / u64::from(weight), *index, weight)));
            }
        }
        group
    };
    groups.into_iter().enumerate().map(finish).collect()
}

fn draw(parts: impl Iterator<Item = u64> + Clone, rng: &mut (impl Rng + ?Sized)) -> Option<usize> {
    let total: u64 = parts.clone().sum();
    if total == 0 {
        return None;
    }
    let mut left = rng.random_range(0..total);
    for (index, part) in parts.enumerate() {
        match left.checked_sub(part) {
            Some(rest) => left = rest,
            None => return Some(index),
        }
    }
    None
}

// === impl Group ===

impl Group {
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    pub(super) fn is_void(&self) -> bool {
        self.void
    }

    fn is_uniform(&self) -> bool {
        self.sums.is_empty()
    }

    /// One by weight.
    pub(super) fn random(&self, rng: &mut (impl Rng + ?Sized)) -> Option<usize> {
        let at = match self.sums.last() {
            None if self.live.is_empty() => return None,
            None => rng.random_range(0..self.live.len()),
            Some(total) => {
                let drawn = rng.random_range(0..*total);
                self.sums.partition_point(|sum| *sum <= drawn)
            }
        };
        self.live.get(at).copied()
    }

    /// Two different ones, if there are two and weights are equal; else independent draws: with
    /// equal loads each gets exactly its share.
    pub(super) fn two(&self, rng: &mut (impl Rng + ?Sized)) -> Option<(usize, usize)> {
        if !self.is_uniform() || self.live.len() < 2 {
            return Some((self.random(rng)?, self.random(rng)?));
        }
        let first = rng.random_range(0..self.live.len());
        let second = rng.random_range(0..self.live.len() - 1);
        let second = if second >= first { second + 1 } else { second };
        Some((*self.live.get(first)?, *self.live.get(second)?))
    }

    /// The next in turn, by weight: earliest deadline first.
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.is_uniform() {
            // Positions may have moved since: turns are those of endpoints in order.
            let at = self.live.partition_point(|index| *index < self.cursor);
            let index = *self.live.get(at).or(self.live.first())?;
            self.cursor = index + 1;
            return Some(index);
        }
        let Reverse((due, index, weight)) = self.turns.pop()?;
        let next = due.saturating_add(ROUND / u64::from(weight));
        self.turns.push(Reverse((next, index, weight)));
        Some(index)
    }
}
