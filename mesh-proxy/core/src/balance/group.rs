//! Endpoints that share traffic among each other. One that joins or leaves costs little, however
//! many there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rand::{Rng, RngExt};

/// One unit of the virtual time in which endpoints of different weights take turns.
const ROUND: u64 = 1 << 40;

/// Endpoints that may be chosen, by the numbers of their slots.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Share of the level's traffic.
    pub(super) share: u64,
    /// Endpoints, those that may not be chosen, too.
    pub(super) total: u64,
    live: Vec<Live>,
    // How many have each weight, by weight.
    weights: Vec<(u32, u32)>,
    // Sums of the weights, as a Fenwick tree over the places in `live`; empty if all weights are
    // equal.
    sums: Vec<u64>,
    // Round robin with equal weights: the place whose turn is next.
    cursor: usize,
    turns: Option<Box<Turns>>,
}

#[derive(Clone, Copy, Debug)]
struct Live {
    slot: usize,
    weight: u32,
    // Tells this stay in the group from another one of the same slot.
    stay: u64,
}

/// Round robin with different weights: who is due when.
#[derive(Debug, Default)]
struct Turns {
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    // Places by stay: who left is not in it any more, and its turn is passed over.
    places: BTreeMap<u64, usize>,
    now: u64,
}

// === impl Group ===

impl Group {
    /// Endpoints that may be chosen.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// All that may be chosen.
    pub(super) fn slots(&self) -> impl Iterator<Item = usize> {
        self.live.iter().map(|live| live.slot)
    }

    /// The same with weights, after a check that the sums of the weights are those.
    #[cfg(test)]
    pub(super) fn weighed(&self) -> impl Iterator<Item = (usize, u32)> {
        let mut sum = 0;
        let uniform = self
            .live
            .windows(2)
            .all(|two| two[0].weight == two[1].weight);
        assert_eq!(self.is_uniform(), uniform);
        for (place, live) in self.live.iter().enumerate().filter(|_| !uniform) {
            assert_eq!(self.at_sum(sum), place);
            sum += u64::from(live.weight);
            assert_eq!(self.at_sum(sum - 1), place);
        }
        if !uniform {
            assert_eq!(self.total_weight(), sum);
        }
        self.live.iter().map(|live| (live.slot, live.weight))
    }

    /// Takes a slot in, under a number that no other stay has had. Gives its place.
    pub(super) fn join(&mut self, slot: usize, weight: u32, stay: u64) -> usize {
        let place = self.live.len();
        let weight = weight.max(1);
        self.live.push(Live { slot, weight, stay });
        self.count(weight);
        if self.sums.is_empty() {
            self.sum_if_needed();
        } else {
            self.push_sum(weight);
        }
        if let Some(turns) = &mut self.turns {
            turns.join(stay, place, weight);
        }
        place
    }

    /// Takes the slot at a place out. `moved` hears of those that are at another place now.
    pub(super) fn leave(&mut self, place: usize, mut moved: impl FnMut(usize, usize)) {
        let Some(gone) = self.live.get(place).copied() else {
            return;
        };
        if let Some(turns) = &mut self.turns {
            turns.places.remove(&gone.stay);
        }
        self.uncount(gone.weight);
        let last = self.live.len() - 1;
        // Whoever had its turn in this round stays among those, and the others among the others.
        let mut hole = place;
        if place < self.cursor {
            self.cursor -= 1;
            self.shift(self.cursor, &mut hole, &mut moved);
        }
        self.shift(last, &mut hole, &mut moved);
        self.live.pop();
        self.sums.pop();
        if self.weights.len() < 2 {
            self.sums = Vec::new();
        }
        if self.live.is_empty() {
            // Not before: whoever waits for its turn would begin anew, each time that weights
            // become equal and different again.
            self.turns = None;
        }
    }

    /// Moves what is at a place into the hole, which is there then.
    fn shift(&mut self, from: usize, hole: &mut usize, moved: &mut impl FnMut(usize, usize)) {
        if from == *hole {
            return;
        }
        let (Some(live), Some(gone)) = (self.live.get(from), self.live.get(*hole)) else {
            return;
        };
        let (live, gone) = (*live, *gone);
        self.live.swap(from, *hole);
        if !self.sums.is_empty() {
            self.change_sum(*hole, gone.weight, live.weight);
            self.change_sum(from, live.weight, gone.weight);
        }
        if let Some(place) = self
            .turns
            .as_mut()
            .and_then(|turns| turns.places.get_mut(&live.stay))
        {
            *place = *hole;
        }
        moved(live.slot, *hole);
        *hole = from;
    }

    fn is_uniform(&self) -> bool {
        self.sums.is_empty()
    }

    /// One by weight.
    pub(super) fn random(&self, rng: &mut (impl Rng + ?Sized)) -> Option<usize> {
        if self.live.is_empty() {
            return None;
        }
        let place = if self.is_uniform() {
            rng.random_range(0..self.live.len())
        } else {
            self.at_sum(rng.random_range(0..self.total_weight().max(1)))
        };
        self.live.get(place).map(|live| live.slot)
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
        Some((self.live.get(first)?.slot, self.live.get(second)?.slot))
    }

    /// The next in turn, by weight: earliest deadline first.
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.is_uniform() && self.turns.is_none() {
            let place = if self.cursor < self.live.len() {
                self.cursor
            } else {
                0
            };
            self.cursor = place + 1;
            return self.live.get(place).map(|live| live.slot);
        }
        let live = &self.live;
        let cursor = self.cursor;
        let turns = self
            .turns
            .get_or_insert_with(|| Box::new(Turns::of(live, cursor)));
        let place = turns.next(|place| live.get(place).map(|live| live.weight))?;
        live.get(place).map(|live| live.slot)
    }

    fn count(&mut self, weight: u32) {
        match self
            .weights
            .binary_search_by_key(&weight, |(weight, _)| *weight)
        {
            Ok(at) => {
                if let Some((_, count)) = self.weights.get_mut(at) {
                    *count += 1;
                }
            }
            Err(at) => self.weights.insert(at, (weight, 1)),
        }
    }

    fn uncount(&mut self, weight: u32) {
        let found = self
            .weights
            .binary_search_by_key(&weight, |(weight, _)| *weight);
        if let Ok(at) = found
            && let Some((_, count)) = self.weights.get_mut(at)
        {
            *count -= 1;
            if *count == 0 {
                self.weights.remove(at);
            }
        }
    }

    fn sum_if_needed(&mut self) {
        if self.weights.len() < 2 {
            return;
        }
        self.sums.reserve(self.live.len() + 1);
        let weights = self.live.iter().map(|live| u64::from(live.weight));
        self.sums.extend(weights);
        // Each node adds what it sums to the next one that covers it.
        for number in 1..=self.sums.len() {
            let above = number + lowest_bit(number);
            let sum = self.sums.get(number - 1).copied().unwrap_or(0);
            if let Some(covering) = self.sums.get_mut(above - 1) {
                *covering += sum;
            }
        }
    }

    /// Appends to the tree: node n sums the `lowbit(n)` weights up to the n-th.
    fn push_sum(&mut self, weight: u32) {
        let number = self.sums.len() + 1;
        let mut sum = u64::from(weight);
        let mut step = 1;
        while step < lowest_bit(number) {
            sum += self.sums.get(number - step - 1).copied().unwrap_or(0);
            step <<= 1;
        }
        self.sums.push(sum);
    }

    fn change_sum(&mut self, place: usize, from: u32, to: u32) {
        let mut number = place + 1;
        while let Some(sum) = self.sums.get_mut(number - 1) {
            *sum = *sum + u64::from(to) - u64::from(from);
            number += lowest_bit(number);
        }
    }

    fn total_weight(&self) -> u64 {
        let mut number = self.sums.len();
        let mut sum = 0;
        while number > 0 {
            sum += self.sums.get(number - 1).copied().unwrap_or(0);
            number -= lowest_bit(number);
        }
        sum
    }

    /// The place up to which the weights sum up to more than this, for the first time.
    fn at_sum(&self, mut left: u64) -> usize {
        let mut place = 0;
        let mut step = self.sums.len().checked_ilog2().map_or(0, |bits| 1 << bits);
        while step > 0 {
            if let Some(sum) = self.sums.get(place + step - 1)
                && *sum <= left
            {
                left -= sum;
                place += step;
            }
            step >>= 1;
        }
        place
    }
}

fn lowest_bit(number: usize) -> usize {
    number & number.wrapping_neg()
}

// === impl Turns ===

impl Turns {
    /// Of all, the one at the cursor first: those before it have had their turns in this round.
    fn of(live: &[Live], cursor: usize) -> Self {
        let mut turns = Self::default();
        let (had, have) = live.split_at(cursor.min(live.len()));
        let number = live.len().max(1) as u64;
        let cursor = live.len() - have.len();
        let places = (cursor..live.len()).chain(0..cursor);
        for ((live, place), turn) in have.iter().chain(had).zip(places).zip(1..) {
            turns.places.insert(live.stay, place);
            let due = ROUND / u64::from(live.weight) / number * turn;
            turns.queue.push(Reverse((due, live.stay)));
        }
        turns
    }

    fn join(&mut self, stay: u64, place: usize, weight: u32) {
        self.places.insert(stay, place);
        let due = self.now.saturating_add(ROUND / u64::from(weight));
        self.queue.push(Reverse((due, stay)));
        // Without requests nobody comes by those who left.
        if self.queue.len() > 2 * self.places.len() + 16 {
            let places = &self.places;
            self.queue
                .retain(|Reverse((_, stay))| places.contains_key(stay));
        }
    }

    fn next(&mut self, weight: impl Fn(usize) -> Option<u32>) -> Option<usize> {
        loop {
            let Reverse((due, stay)) = self.queue.pop()?;
            let Some(place) = self.places.get(&stay).copied() else {
                continue;
            };
            self.now = due;
            let next = due.saturating_add(ROUND / u64::from(weight(place)?.max(1)));
            self.queue.push(Reverse((next, stay)));
            return Some(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Join(u32),
        Leave(usize),
        Next(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            2 => prop::sample::select(vec![1_u32, 1, 2, 3, 9]).prop_map(Step::Join),
            2 => any::<prop::sample::Index>().prop_map(|index| Step::Leave(index.index(1000))),
            3 => (1..40_u32).prop_map(Step::Next),
        ];
        prop::collection::vec(step, 1..80)
    }

    /// A group and who is at which place.
    #[derive(Default)]
    struct Model {
        group: Group,
        places: HashMap<usize, usize>,
        stays: u64,
    }

    impl Model {
        fn join(&mut self, slot: usize, weight: u32) {
            self.stays += 1;
            let place = self.group.join(slot, weight, self.stays);
            self.places.insert(slot, place);
        }

        fn leave(&mut self, slot: usize) {
            let place = self.places.remove(&slot).unwrap();
            let places = &mut self.places;
            self.group.leave(place, |slot, place| {
                places.insert(slot, place);
            });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        // Two that stay get what their weights say, whoever comes and goes beside them: a turn
        // more or less.
        #[test]
        fn turns_are_fair_to_those_who_stay(
            weights in (1..10_u32, 1..10_u32),
            equal in any::<bool>(),
            steps in steps(),
        ) {
            let weights = if equal { [weights.0; 2] } else { [weights.0, weights.1] };
            let mut model = Model::default();
            for (slot, weight) in weights.iter().enumerate() {
                model.join(slot, *weight);
            }
            let mut others: Vec<usize> = Vec::new();
            let mut counts = [0_u32; 2];
            for (step, slot) in steps.into_iter().zip(2..) {
                match step {
                    Step::Join(weight) => {
                        model.join(slot, weight);
                        others.push(slot);
                    }
                    Step::Leave(_) if others.is_empty() => {}
                    Step::Leave(which) => {
                        let slot = others.swap_remove(which % others.len());
                        model.leave(slot);
                    }
                    Step::Next(times) => {
                        for _ in 0..times {
                            let slot = model.group.next().unwrap();
                            if let Some(count) = counts.get_mut(slot) {
                                *count += 1;
                            }
                        }
                    }
                }
                let [one, other] = [0, 1].map(|n: usize| f64::from(counts[n]) / f64::from(weights[n]));
                let turn: f64 = weights.iter().map(|weight| 1.0 / f64::from(*weight)).sum();
                prop_assert!((one - other).abs() <= 2.0 * turn, "{counts:?} of {weights:?}");
            }
        }
    }

    #[test]
    fn weights_that_come_and_go_let_nobody_wait_for_ever() {
        let mut model = Model::default();
        (0..10).for_each(|slot| model.join(slot, 1));
        let mut counts = [0; 11];
        for _ in 0..100 {
            model.join(10, 8);
            (0..5).for_each(|_| counts[model.group.next().unwrap()] += 1);
            model.leave(10);
            (0..3).for_each(|_| counts[model.group.next().unwrap()] += 1);
        }
        let (least, most) = (
            counts[..10].iter().min().unwrap(),
            counts[..10].iter().max().unwrap(),
        );
        assert!(most - least <= 2, "{counts:?}");
    }

    #[test]
    fn who_left_is_forgotten_without_requests() {
        let mut model = Model::default();
        model.join(0, 1);
        model.join(1, 2);
        model.group.next();
        for slot in 2..2000 {
            model.join(slot, 3);
            model.leave(slot);
        }
        let queue = model.group.turns.unwrap().queue;
        assert!(queue.len() < 100, "{}", queue.len());
    }
}
