//! Whose turn it is: few sign at a time, and who has no certificate yet goes before who renews.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Of so many turns while both wait, one is a renewal's: nobody waits for ever.
const SHARE: u32 = 5;

/// Why somebody wants a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// It has none and cannot serve without.
    First,
    /// It has one that is still good.
    Renewal,
}

/// Gives turns. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Lanes(Arc<Mutex<Queues>>);

#[derive(Debug)]
struct Queues {
    free: usize,
    first: VecDeque<oneshot::Sender<Turn>>,
    renewal: VecDeque<oneshot::Sender<Turn>>,
    longest: usize,
    turns: u32,
}

/// The next one's turn comes when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Lanes);

// === impl Lanes ===

impl Lanes {
    /// So many at a time, and so many that wait in each lane.
    pub(super) fn new(at_once: usize, longest: usize) -> Self {
        Self(Arc::new(Mutex::new(Queues {
            free: at_once.max(1),
            first: VecDeque::new(),
            renewal: VecDeque::new(),
            longest,
            turns: 0,
        })))
    }

    /// Waits for a turn; `None` if too many wait already.
    pub(super) async fn turn(&self, lane: Lane) -> Option<Turn> {
        let (turn, mine) = oneshot::channel();
        {
            let mut queues = self.queues();
            if queues.free > 0 {
                queues.free -= 1;
                return Some(Turn(self.clone()));
            }
            let longest = queues.longest;
            let queue = match lane {
                Lane::First => &mut queues.first,
                Lane::Renewal => &mut queues.renewal,
            };
            if queue.len() >= longest {
                // Who has gone away waits no more.
                queue.retain(|waiting| !waiting.is_closed());
                if queue.len() >= longest {
                    return None;
                }
            }
            queue.push_back(turn);
        }
        mine.await.ok()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Queues ===

impl Queues {
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        self.turns = self.turns.wrapping_add(1);
        let renewal_first = self.turns.is_multiple_of(SHARE);
        let (one, other) = match renewal_first {
            true => (&mut self.renewal, &mut self.first),
            false => (&mut self.first, &mut self.renewal),
        };
        one.pop_front().or_else(|| other.pop_front())
    }
}

// === impl Turn ===

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queues = self.0.queues();
            let mut next = queues.next();
            while next.as_ref().is_some_and(oneshot::Sender::is_closed) {
                next = queues.next();
            }
            if next.is_none() {
                queues.free += 1;
            }
            next
        };
        if let Some(next) = next {
            // If it went away just now, dropping what it did not take passes the turn on.
            let _ = next.send(Turn(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn first_certificates_go_first_and_renewals_are_not_forgotten() {
        let lanes = Lanes::new(1, 100);
        let held = lanes.turn(Lane::First).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = tokio::task::JoinSet::new();
        for lane in [Lane::Renewal, Lane::First] {
            for _ in 0..10 {
                let (lanes, order) = (lanes.clone(), Arc::clone(&order));
                waiting.spawn(async move {
                    let turn = lanes.turn(lane).await.unwrap();
                    order.lock().unwrap().push(lane);
                    drop(turn);
                });
            }
        }
        let waits = || {
            let queues = lanes.queues();
            queues.first.len() + queues.renewal.len()
        };
        while waits() < 20 {
            tokio::task::yield_now().await;
        }
        drop(held);
        waiting.join_all().await;
        let order = order.lock().unwrap();
        let firsts = |n: usize| order[..n].iter().filter(|l| **l == Lane::First).count();
        assert!(firsts(12) >= 9, "{order:?}");
        assert!(firsts(6) < 6, "a renewal among them: {order:?}");
        assert_eq!(lanes.queues().free, 1);
    }

    #[tokio::test]
    async fn who_goes_away_passes_the_turn_on() {
        let lanes = Lanes::new(1, 2);
        let held = lanes.turn(Lane::First).await.unwrap();
        for _ in 0..5 {
            let mut gone = Box::pin(lanes.turn(Lane::First));
            assert!(gone.as_mut().now_or_never().is_none());
        }
        let mut waits = Box::pin(lanes.turn(Lane::Renewal));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(held);
        drop(waits.await.unwrap());
        assert_eq!(lanes.queues().free, 1);
    }

    #[tokio::test]
    async fn too_many_are_told_so() {
        let lanes = Lanes::new(1, 1);
        let _held = lanes.turn(Lane::First).await.unwrap();
        let mut waits = Box::pin(lanes.turn(Lane::First));
        assert!(waits.as_mut().now_or_never().is_none());
        assert!(lanes.turn(Lane::First).now_or_never().unwrap().is_none());
        assert!(lanes.turn(Lane::Renewal).now_or_never().is_none());
    }
}
