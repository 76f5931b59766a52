//! The endpoints that may be chosen, by priority and by group. Choosing among them costs the same
//! however many there are, and so does a change of one of them.

use std::sync::Arc;

use rand::{Rng, RngExt};

use super::group::Group;
use super::zones;
use crate::ir::Cluster;

/// A level of which less than 100/140 is healthy gives some of its traffic to the next one
/// (Envoy: `kDefaultOverProvisioningFactor`).
const OVERPROVISION: u64 = 140;

/// What counts of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) priority: u32,
    pub(super) group: u32,
    pub(super) weight: u32,
    pub(super) healthy: bool,
}

/// What a policy says of all endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    panic: Panic,
    // Of the groups; empty if there is only one.
    shares: Arc<[u32]>,
    // Groups are zones, the first one the client's own; with so many healthy endpoints they
    // matter.
    zones_from: Option<u32>,
}

/// What happens where few endpoints are healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Panic {
    /// If none at all is healthy, all are used.
    #[default]
    IfNone,
    /// In a level of which less than this percentage is healthy, all are used.
    Below(u32),
}

/// Endpoints by priority.
#[derive(Debug, Default)]
pub(super) struct Levels {
    rules: Rules,
    // By number of the slot.
    seats: Vec<Option<Seat>>,
    // Sorted by priority; none is empty.
    levels: Vec<Level>,
    stays: u64,
}

/// Where an endpoint is.
#[derive(Clone, Copy, Debug)]
struct Seat {
    fact: Fact,
    // In its group, if it may be chosen.
    place: Option<usize>,
}

#[derive(Debug)]
struct Level {
    priority: u32,
    // Share of the traffic, in percent.
    load: u64,
    // Endpoints, and the healthy ones of them.
    total: u64,
    healthy: u64,
    // All are used, healthy or not.
    void: bool,
    groups: Vec<Group>,
}

/// Where in the levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    level: usize,
    group: usize,
}

// === impl Rules ===

impl Rules {
    pub(super) fn of(cluster: &Cluster) -> Self {
        Self {
            panic: match &cluster.traffic.outliers {
                Some(policy) => Panic::Below(policy.min_health_percent),
                None => Panic::IfNone,
            },
            shares: Arc::clone(&cluster.shares),
            zones_from: cluster.zones.as_ref().map(|zones| zones.minimum),
        }
    }
}

// === impl Levels ===

impl Levels {
    /// Takes new rules; [`Self::settle`] applies them.
    pub(super) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Says what is true of a slot now, or that nobody is there any more. To be followed by
    /// [`Self::settle`].
    pub(super) fn set(&mut self, slot: usize, fact: Option<Fact>) {
        let before = self.seats.get(slot).copied().flatten();
        if before.map(|seat| seat.fact) == fact {
            return;
        }
        if let Some(seat) = before {
            self.stand_up(seat);
        }
        if self.seats.len() <= slot {
            self.seats.resize(slot + 1, None);
        }
        if let Some(seat) = self.seats.get_mut(slot) {
            *seat = fact.map(|fact| Seat { fact, place: None });
        }
        if let Some(fact) = fact {
            self.sit_down(slot, fact);
        }
    }

    fn stand_up(&mut self, seat: Seat) {
        let Some(number) = self.level_of(seat.fact.priority) else {
            return;
        };
        let Some(level) = self.levels.get_mut(number) else {
            return;
        };
        level.total -= 1;
        level.healthy -= u64::from(seat.fact.healthy);
        if let Some(group) = level.groups.get_mut(seat.fact.group as usize) {
            group.total -= 1;
            if let Some(place) = seat.place {
                let seats = &mut self.seats;
                group.leave(place, |slot, place| sit(seats, slot, Some(place)));
            }
        }
        if level.total == 0 {
            self.levels.remove(number);
        }
    }

    fn sit_down(&mut self, slot: usize, fact: Fact) {
        let at = match self
            .levels
            .binary_search_by_key(&fact.priority, |level| level.priority)
        {
            Ok(at) => at,
            Err(at) => {
                self.levels.insert(at, Level::new(fact.priority));
                at
            }
        };
        let Some(level) = self.levels.get_mut(at) else {
            return;
        };
        level.total += 1;
        level.healthy += u64::from(fact.healthy);
        let group = level.group_mut(fact.group);
        group.total += 1;
        if fact.healthy || level.void {
            self.stays += 1;
            let place = level
                .group_mut(fact.group)
                .join(slot, fact.weight, self.stays);
            sit(&mut self.seats, slot, Some(place));
        }
    }

    fn level_of(&self, priority: u32) -> Option<usize> {
        let found = self
            .levels
            .binary_search_by_key(&priority, |level| level.priority);
        found.ok()
    }

    /// Shares traffic among levels and groups as they are now.
    pub(super) fn settle(&mut self) {
        let available = |level: &Level| available(level.healthy, level.total);
        let sum: u64 = self.levels.iter().map(available).sum::<u64>().min(100);
        let mut left = 100;
        for number in 0..self.levels.len() {
            let Some(level) = self.levels.get_mut(number) else {
                break;
            };
            let load = match (available(level) * 100).checked_div(sum) {
                Some(load) => load.min(left),
                None if number == 0 => 100,
                None => 0,
            };
            left -= load;
            level.load = load;
            let void = match self.rules.panic {
                Panic::IfNone => sum == 0,
                Panic::Below(percent) => {
                    sum < 100 && level.healthy * 100 < u64::from(percent) * level.total
                }
            };
            if void != level.void {
                level.void = void;
                let priority = level.priority;
                self.use_all(priority, void);
            }
            if let Some(level) = self.levels.get_mut(number) {
                level.share(&self.rules, number == 0);
            }
        }
        // What rounding left over.
        if let Some(first) = self.levels.iter_mut().find(|level| level.load > 0) {
            first.load += left;
        }
    }

    /// Lets the unhealthy ones of a level in, or out again.
    fn use_all(&mut self, priority: u32, all: bool) {
        let Some(level) = self
            .level_of(priority)
            .and_then(|at| self.levels.get_mut(at))
        else {
            return;
        };
        for slot in 0..self.seats.len() {
            let Some(seat) = self.seats.get(slot).copied().flatten() else {
                continue;
            };
            if seat.fact.priority != priority || seat.fact.healthy {
                continue;
            }
            let group = level.group_mut(seat.fact.group);
            match seat.place {
                None if all => {
                    self.stays += 1;
                    let place = group.join(slot, seat.fact.weight, self.stays);
                    sit(&mut self.seats, slot, Some(place));
                }
                Some(place) if !all => {
                    let seats = &mut self.seats;
                    group.leave(place, |slot, place| sit(seats, slot, Some(place)));
                    sit(&mut self.seats, slot, None);
                }
                _ => {}
            }
        }
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
        (!self.group(at)?.is_empty()).then_some(at)
    }

    pub(super) fn priority(&self, at: At) -> Option<u32> {
        self.levels.get(at.level).map(|level| level.priority)
    }

    /// Whether all endpoints of the level are used, healthy or not.
    pub(super) fn is_void(&self, at: At) -> bool {
        self.levels.get(at.level).is_some_and(|level| level.void)
    }

    pub(super) fn group(&self, at: At) -> Option<&Group> {
        self.levels.get(at.level)?.groups.get(at.group)
    }

    pub(super) fn group_mut(&mut self, at: At) -> Option<&mut Group> {
        self.levels.get_mut(at.level)?.groups.get_mut(at.group)
    }

    /// All that matters, in words, for comparison; shares as parts of their sum.
    #[cfg(test)]
    pub(super) fn picture(&self, name: impl Fn(usize) -> String) -> Vec<String> {
        let group = |level: &Level, group: &Group| {
            let mut live: Vec<_> = group
                .weighed()
                .map(|(slot, weight)| (name(slot), weight))
                .collect();
            live.sort();
            let sum: u64 = level.groups.iter().map(|group| group.share).sum();
            let share = (group.share * 1_000_000).checked_div(sum).unwrap_or(0);
            let total = group.total;
            format!("share {share} of {total}: {live:?}")
        };
        let level = |level: &Level| {
            let mut groups: Vec<_> = level
                .groups
                .iter()
                .filter(|group| group.total > 0)
                .map(|one| group(level, one))
                .collect();
            // Zones are numbered as they come.
            groups.sort();
            let Level {
                priority,
                load,
                total,
                healthy,
                void,
                ..
            } = level;
            format!("{priority}: load {load}, {healthy} of {total}, void {void}, {groups:?}")
        };
        self.levels.iter().map(level).collect()
    }

    /// All endpoints that may be chosen.
    pub(super) fn all(&self) -> impl Iterator<Item = usize> {
        let groups = self.levels.iter().flat_map(|level| &level.groups);
        groups.flat_map(Group::slots)
    }
}

fn sit(seats: &mut [Option<Seat>], slot: usize, place: Option<usize>) {
    if let Some(Some(seat)) = seats.get_mut(slot) {
        seat.place = place;
    }
}

// === impl Level ===

impl Level {
    fn new(priority: u32) -> Self {
        Self {
            priority,
            load: 0,
            total: 0,
            healthy: 0,
            void: false,
            groups: Vec::new(),
        }
    }

    fn group_mut(&mut self, number: u32) -> &mut Group {
        let number = number as usize;
        if self.groups.len() <= number {
            self.groups.resize_with(number + 1, Group::default);
        }
        // It is there: the list was made long enough.
        #[expect(clippy::indexing_slicing, reason = "made long enough above")]
        &mut self.groups[number]
    }

    fn share(&mut self, rules: &Rules, first: bool) {
        if let Some(minimum) = rules.zones_from {
            let live: Vec<u64> = self.groups.iter().map(|group| group.len() as u64).collect();
            // Beyond the client's region no zone is nearer than another (Envoy: zone-aware
            // routing is for the first priority).
            let shares = match first {
                true => zones::shares(&live, minimum.into()),
                false => live,
            };
            for (group, share) in self.groups.iter_mut().zip(shares) {
                group.share = share;
            }
            return;
        }
        for (number, group) in self.groups.iter_mut().enumerate() {
            let share = rules.shares.get(number).copied().map_or(1, u64::from);
            group.share = share * available(group.len() as u64, group.total);
        }
    }
}

fn available(healthy: u64, total: u64) -> u64 {
    (healthy * OVERPROVISION)
        .checked_div(total)
        .unwrap_or_default()
        .min(100)
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
