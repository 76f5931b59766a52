//! Which of the kinds that an API server may not have it has, and in which version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::kinds::Kind;
use crate::clock;
use crate::kubernetes::client::words;

/// How often to look when nothing hints at a change.
const SELDOM: Duration = Duration::from_secs(30);
/// After a hint: how often, and how many times. A definition takes a moment to be served.
const OFTEN: Duration = Duration::from_millis(500);
const TIMES: u32 = 20;
/// A kind is gone when it has been missing for this long: a server that starts may not know all
/// of its kinds yet, and a policy must not be dropped for that.
const GONE: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// Versions in which kinds are served, those that may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// By group and plural name; none as long as nothing is known.
    versions: Option<BTreeMap<(&'static str, &'static str), &'static str>>,
}

/// Keeps [`Served`] up to date.
pub(crate) struct Discovery {
    client: Client,
    served: watch::Sender<Served>,
    hint: Arc<Notify>,
    missing: BTreeMap<(&'static str, &'static str), Instant>,
}

// === impl Served ===

impl Served {
    /// Whether the server was asked already.
    pub(crate) fn is_known(&self) -> bool {
        self.versions.is_some()
    }

    /// The version to read a kind in, if it is there.
    pub(crate) fn version(&self, kind: &'static Kind) -> Option<&'static str> {
        if !kind.may_be_missing() {
            return kind.versions.first().copied();
        }
        let versions = self.versions.as_ref()?;
        versions.get(&(kind.group, kind.plural)).copied()
    }

    /// Whether all of this is in `other`.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let Some(mine) = &self.versions else {
            return true;
        };
        other.versions.as_ref().is_some_and(|others| {
            mine.iter()
                .all(|(kind, version)| others.get(kind) == Some(version))
        })
    }

    /// Takes over from `before` what is missing only for a short time.
    fn keeping(
        mut self,
        before: &Self,
        missing: &mut BTreeMap<(&'static str, &'static str), Instant>,
        now: Instant,
    ) -> Self {
        let (Some(versions), Some(known)) = (&mut self.versions, &before.versions) else {
            return self;
        };
        missing.retain(|kind, _| !versions.contains_key(kind));
        for (kind, version) in known {
            if !versions.contains_key(kind)
                && now.saturating_duration_since(*missing.entry(*kind).or_insert(now)) < GONE
            {
                versions.insert(*kind, version);
            }
        }
        self
    }
}

// === impl Discovery ===

impl Discovery {
    pub(crate) fn new(client: Client, hint: Arc<Notify>) -> (Self, watch::Receiver<Served>) {
        let (served, receiver) = watch::channel(Served::default());
        let discovery = Self {
            client,
            served,
            hint,
            missing: BTreeMap::new(),
        };
        (discovery, receiver)
    }

    /// Looks now and then, and often for a while after a hint.
    pub(crate) async fn run(mut self) {
        let mut hurried = 0_u32;
        let mut complained = false;
        loop {
            match ask(&self.client).await {
                Ok(found) => {
                    complained = false;
                    self.take(found);
                }
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        let reason = words(&error);
                        tracing::warn!(%reason, "cannot ask the API server which kinds it has; trying again");
                    }
                }
            }
            let known = self.served.borrow().is_known();
            let pause = match known && hurried == 0 && self.missing.is_empty() {
                true => SELDOM,
                false => OFTEN,
            };
            tokio::select! {
                () = sleep(pause) => hurried = hurried.saturating_sub(1),
                () = self.hint.notified() => hurried = TIMES,
            }
        }
    }

    fn take(&mut self, found: Served) {
        let before = self.served.borrow().clone();
        let served = found.keeping(&before, &mut self.missing, clock::instant());
        self.served.send_if_modified(|current| {
            let modified = *current != served;
            *current = served;
            modified
        });
    }
}

/// Asks the API server.
///
/// # Errors
/// What failed.
pub(crate) async fn ask(client: &Client) -> Result<Served, kube::Error> {
    let late = |_| {
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        kube::Error::Service(Box::new(late))
    };
    timeout(ANSWER, ask_groups(client)).await.map_err(late)?
}

async fn ask_groups(client: &Client) -> Result<Served, kube::Error> {
    let wanted: BTreeSet<&str> = Kind::optional().map(|kind| kind.group).collect();
    let mut versions = BTreeMap::new();
    let groups = client.list_api_groups().await?.groups;
    for group in groups
        .iter()
        .filter(|group| wanted.contains(group.name.as_str()))
    {
        let kinds: Vec<&'static Kind> = Kind::optional()
            .filter(|kind| kind.group == group.name)
            .collect();
        for version in &group.versions {
            if !kinds
                .iter()
                .any(|kind| kind.versions.contains(&version.version.as_str()))
            {
                continue;
            }
            let resources = match client
                .list_api_group_resources(&version.group_version)
                .await
            {
                Ok(list) => list.resources,
                // It went between the two questions.
                Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
                Err(error) => return Err(error),
            };
            for kind in &kinds {
                let there = resources
                    .iter()
                    .any(|resource| resource.name == kind.plural);
                let rank = |text: &str| kind.versions.iter().position(|known| *known == text);
                let Some(place) = rank(&version.version).filter(|_| there) else {
                    continue;
                };
                let Some(version) = kind.versions.get(place) else {
                    continue;
                };
                let best = versions
                    .entry((kind.group, kind.plural))
                    .or_insert(*version);
                if rank(best) > Some(place) {
                    *best = *version;
                }
            }
        }
    }
    Ok(Served {
        versions: Some(versions),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(kinds: &[(&'static str, &'static str)]) -> Served {
        Served {
            versions: Some(
                kinds
                    .iter()
                    .map(|(plural, version)| (("networking.istio.io", *plural), *version))
                    .collect(),
            ),
        }
    }

    #[test]
    fn a_kind_is_gone_only_after_a_while() {
        let start = Instant::now();
        let both = served(&[("gateways", "v1"), ("sidecars", "v1")]);
        let one = served(&[("gateways", "v1beta1")]);
        let kept = served(&[("gateways", "v1beta1"), ("sidecars", "v1")]);
        let mut missing = BTreeMap::new();
        let first = both
            .clone()
            .keeping(&Served::default(), &mut missing, start);
        assert_eq!(first, both);
        let next = one.clone().keeping(&both, &mut missing, start);
        assert_eq!((&next, missing.len()), (&kept, 1));
        let next = one.clone().keeping(&next, &mut missing, start + GONE);
        assert_eq!(next, one);
        let next = both.clone().keeping(&next, &mut missing, start + GONE);
        assert_eq!((next, missing.len()), (both, 0));
    }
}
