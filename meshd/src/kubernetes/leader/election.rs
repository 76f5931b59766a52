//! Who leads: the decisions, with time passed in.

use std::time::{Duration, Instant};

use crate::kubernetes::version::reaches;

/// How long the others wait for a leader that does not renew.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// A leader that could not renew for this long leads no more, well before another one does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// How often a leader renews.
pub(crate) const RENEW: Duration = Duration::from_secs(4);

/// What a Lease says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Who leads; empty if nobody.
    pub(crate) holder: String,
    /// How long the holder's word counts.
    pub(crate) duration: Option<Duration>,
    /// Changes with every write.
    pub(crate) version: String,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Write ourselves down as the leader: over this version of the Lease, or as a new one.
    Take(Option<String>),
    /// Say that we still lead, over this version.
    Renew(String),
    /// Look again after this long.
    Wait(Duration),
}

/// One candidate's view of the election.
///
/// Clocks of replicas need not agree: nobody reads a time that another one wrote. A claim counts
/// from when this candidate first saw it.
#[derive(Debug)]
pub(crate) struct Election {
    me: String,
    claim: Option<Claim>,
    seen: Instant,
    /// When our last claim that the server took was on its way.
    renewed: Option<Instant>,
}

// === impl Election ===

impl Election {
    pub(crate) fn new(me: String, now: Instant) -> Self {
        Self {
            me,
            claim: None,
            seen: now,
            renewed: None,
        }
    }

    /// Until when we lead, if we do.
    pub(crate) fn leads_until(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + DEADLINE)
    }

    /// The Lease is like this, or not there.
    pub(crate) fn observe(&mut self, claim: Option<Claim>, now: Instant) {
        if claim == self.claim {
            return;
        }
        if let (Some(ours), Some(claim), true) = (&self.claim, &claim, self.renewed.is_some())
            && (claim.holder == self.me || reaches(&ours.version, &claim.version))
        {
            // The echo of an own write, or of what was there before it.
            return;
        }
        self.renewed = None;
        self.claim = claim;
        self.seen = now;
    }

    /// The server took our claim, which was sent at `sent`.
    pub(crate) fn taken(&mut self, claim: Claim, sent: Instant) {
        self.claim = Some(claim);
        self.seen = sent;
        self.renewed = Some(sent);
    }

    /// What to do.
    pub(crate) fn act(&self, now: Instant) -> Act {
        let Some(claim) = &self.claim else {
            return Act::Take(None);
        };
        let age = now.saturating_duration_since(self.seen);
        if let Some(renewed) = self.renewed {
            let due = (renewed + RENEW).saturating_duration_since(now);
            return match due.is_zero() {
                true => Act::Renew(claim.version.clone()),
                false => Act::Wait(due),
            };
        }
        let patience = claim.duration.unwrap_or(LEASE).min(LEASE * 4);
        if claim.holder == self.me {
            // The answer to our claim was lost.
            return Act::Renew(claim.version.clone());
        }
        if claim.holder.is_empty() || age >= patience {
            return Act::Take(Some(claim.version.clone()));
        }
        Act::Wait(patience - age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(holder: &str, version: &str) -> Claim {
        Claim {
            holder: holder.to_owned(),
            duration: Some(LEASE),
            version: version.to_owned(),
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn takes_what_is_free_and_renews_it() {
        let start = Instant::now();
        let mut election = Election::new("a".to_owned(), start);
        assert_eq!(election.act(start), Act::Take(None));
        election.taken(claim("a", "10"), start);
        assert_eq!(election.leads_until(), Some(start + DEADLINE));
        assert_eq!(election.act(start + seconds(1)), Act::Wait(seconds(3)));
        assert_eq!(election.act(start + RENEW), Act::Renew("10".to_owned()));
        election.taken(claim("a", "11"), start + seconds(4));
        // Echoes come late: of the first claim, and of what was there before.
        election.observe(Some(claim("a", "10")), start + seconds(5));
        election.observe(Some(claim("", "9")), start + seconds(5));
        assert_eq!(
            election.act(start + seconds(8)),
            Act::Renew("11".to_owned())
        );
    }

    #[test]
    fn knows_its_own_claim_when_the_answer_was_lost() {
        let start = Instant::now();
        let mut election = Election::new("a".to_owned(), start);
        election.observe(Some(claim("a", "5")), start);
        assert_eq!(election.act(start), Act::Renew("5".to_owned()));
        assert_eq!(election.leads_until(), None);
    }

    #[test]
    fn waits_for_a_silent_leader_by_its_own_clock() {
        let start = Instant::now();
        let mut election = Election::new("b".to_owned(), start);
        election.observe(Some(claim("a", "1")), start);
        assert_eq!(election.act(start + seconds(14)), Act::Wait(seconds(1)));
        election.observe(Some(claim("a", "2")), start + seconds(14));
        assert_eq!(election.act(start + seconds(16)), Act::Wait(seconds(13)));
        // Seen again, it is no newer.
        election.observe(Some(claim("a", "2")), start + seconds(20));
        let take = Act::Take(Some("2".to_owned()));
        assert_eq!(election.act(start + seconds(29)), take);
        assert_eq!(election.leads_until(), None);
    }

    #[test]
    fn takes_a_released_lease_at_once_and_yields_to_another() {
        let start = Instant::now();
        let mut election = Election::new("b".to_owned(), start);
        election.observe(Some(claim("a", "1")), start);
        election.observe(Some(claim("", "2")), start + seconds(1));
        let take = Act::Take(Some("2".to_owned()));
        assert_eq!(election.act(start + seconds(1)), take);
        election.taken(claim("b", "3"), start + seconds(1));
        election.observe(Some(claim("c", "4")), start + seconds(30));
        assert_eq!(election.leads_until(), None);
        assert_eq!(election.act(start + seconds(30)), Act::Wait(LEASE));
    }
}
