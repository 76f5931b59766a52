//! One replica leads: the holder of a Lease. All serve; only the leader writes.

mod election;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::election::{Act, Claim, DEADLINE, Election, LEASE};
use super::Cluster;
use super::client::words;
use super::metrics::ClusterMetrics;
use crate::clock;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Before another attempt after a failed one.
const RETRY: Duration = Duration::from_secs(2);

/// Tells whether this replica leads. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Leadership {
    until: watch::Receiver<Option<Instant>>,
    leads: watch::Receiver<bool>,
}

/// Takes part in the election.
pub(crate) struct Candidate {
    leases: Api<Lease>,
    name: String,
    namespace: String,
    me: String,
    election: Election,
    complaint: Option<String>,
    transitions: i32,
    acquired: SystemTime,
    until: watch::Sender<Option<Instant>>,
    leads: watch::Sender<bool>,
    metrics: Arc<ClusterMetrics>,
}

// === impl Leadership ===

impl Leadership {
    /// One that lasts as long as a test.
    #[cfg(test)]
    pub(crate) fn held() -> Self {
        let until = clock::instant() + std::time::Duration::from_secs(86_400);
        Self {
            until: watch::channel(Some(until)).1,
            leads: watch::channel(true).1,
        }
    }

    /// Whether this replica leads now. Ask before each write: who could not renew in time leads
    /// no more.
    pub(crate) fn is_leader(&self) -> bool {
        self.until
            .borrow()
            .is_some_and(|until| clock::instant() < until)
    }

    /// Whether this replica leads, as it changes. It ends with the control plane.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.leads.clone()
    }
}

// === impl Candidate ===

impl Candidate {
    /// A candidate for this cluster and revision, and what tells whether it leads.
    pub(crate) fn new(cluster: &Cluster, metrics: Arc<ClusterMetrics>) -> (Self, Leadership) {
        let settings = &cluster.settings;
        let now = clock::instant();
        // A process that starts again in the same pod is another one.
        let started = clock::unix_seconds(clock::now());
        let me = format!("{}_{started}", settings.instance);
        let (until, until_receiver) = watch::channel(None);
        let (leads, leads_receiver) = watch::channel(false);
        let candidate = Self {
            leases: Api::namespaced(cluster.client.clone(), &settings.namespace),
            name: settings.object_name("mesh-leader"),
            namespace: settings.namespace.clone(),
            election: Election::new(me.clone(), now),
            me,
            complaint: None,
            transitions: 0,
            acquired: clock::now(),
            until,
            leads,
            metrics,
        };
        let leadership = Leadership {
            until: until_receiver,
            leads: leads_receiver,
        };
        (candidate, leadership)
    }

    /// Runs for the office until `shutdown`, and gives it back then.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let leases = self.leases.clone();
        let name = self.name.clone();
        let news = watch_object(leases, &name).default_backoff();
        let mut news = pin!(news);
        // What is there first, so that nobody takes the office from another at its start.
        let mut pause = self.look().await;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return self.release().await,
                Some(lease) = news.next() => match lease {
                    Ok(lease) => self.observe(lease.as_ref()),
                    // It tries again by itself.
                    Err(error) => tracing::debug!(%error, "cannot watch the leader's Lease"),
                },
                () = sleep(pause) => {}
            }
            pause = self.act().await;
        }
    }

    /// Does what is to do, and says when to look again.
    async fn act(&mut self) -> Duration {
        let now = clock::instant();
        let pause = match self.election.act(now) {
            Act::Wait(pause) => pause,
            Act::Take(version) => self.claim(version, true).await,
            Act::Renew(version) => self.claim(Some(version), false).await,
        };
        self.tell();
        // Also the end of the office is news.
        let end = self.election.leads_until();
        let left = end.map(|end| end.saturating_duration_since(clock::instant()));
        match left {
            Some(left) if !left.is_zero() => pause.min(left),
            _ => pause,
        }
    }

    fn tell(&self) {
        let now = clock::instant();
        let until = self.election.leads_until().filter(|until| now < *until);
        self.until.send_replace(until);
        let leads = until.is_some();
        match (self.leads.send_replace(leads), leads) {
            (false, true) => tracing::info!("this replica leads now"),
            (true, false) => tracing::warn!("this replica leads no more"),
            _ => {}
        }
        self.metrics.leads(leads);
    }

    fn observe(&mut self, lease: Option<&Lease>) {
        if let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) {
            self.transitions = spec.lease_transitions.unwrap_or(0);
        }
        self.election.observe(lease.map(claim_of), clock::instant());
    }

    /// Reads the Lease; says when to look again.
    async fn look(&mut self) -> Duration {
        match timeout(ANSWER, self.leases.get_opt(&self.name)).await {
            Ok(Ok(lease)) => {
                self.observe(lease.as_ref());
                Duration::ZERO
            }
            Ok(Err(error)) => self.complain(words(&error)),
            Err(_) => self.complain("the API server did not answer in time".to_owned()),
        }
    }

    /// Writes ourselves down over a version; another one's write in between makes it fail.
    async fn claim(&mut self, version: Option<String>, new: bool) -> Duration {
        let sent = clock::instant();
        if new {
            self.acquired = clock::now();
        }
        if new && version.is_some() {
            self.transitions = self.transitions.saturating_add(1);
        }
        let lease = self.lease(version.clone(), &self.me);
        let params = PostParams::default();
        let written = match version {
            None => timeout(ANSWER, self.leases.create(&params, &lease)).await,
            Some(_) => timeout(ANSWER, self.leases.replace(&self.name, &params, &lease)).await,
        };
        match written {
            Ok(Ok(lease)) => {
                self.complaint = None;
                self.election.taken(claim_of(&lease), sent);
                Duration::ZERO
            }
            Ok(Err(kube::Error::Api(status)))
                if status.is_conflict() || status.is_already_exists() || status.is_not_found() =>
            {
                self.look().await.max(Duration::from_millis(100))
            }
            Ok(Err(error)) => self.complain(words(&error)),
            Err(_) => self.complain("the API server did not answer in time".to_owned()),
        }
    }

    /// Says once why the Lease cannot be used, and when to try again.
    fn complain(&mut self, reason: String) -> Duration {
        if self.complaint.as_ref() != Some(&reason) {
            tracing::warn!(%reason, lease = %self.name, "cannot use the leader's Lease; trying again");
            self.complaint = Some(reason);
        }
        RETRY
    }

    /// Lets another replica lead at once.
    async fn release(mut self) {
        let leads = self.election.leads_until().is_some();
        let Act::Renew(version) = self.election.act(clock::instant() + DEADLINE) else {
            return;
        };
        self.until.send_replace(None);
        self.leads.send_replace(false);
        self.metrics.leads(false);
        if !leads {
            return;
        }
        self.transitions = self.transitions.saturating_add(1);
        let lease = self.lease(Some(version), "");
        let params = PostParams::default();
        match timeout(ANSWER, self.leases.replace(&self.name, &params, &lease)).await {
            Ok(Ok(_)) => tracing::info!("another replica may lead now"),
            Ok(Err(error)) => {
                tracing::warn!(reason = %words(&error), "cannot give the leader's Lease back");
            }
            Err(_) => tracing::warn!("cannot give the leader's Lease back in time"),
        }
    }

    fn lease(&self, version: Option<String>, holder: &str) -> Lease {
        let time = |time| Timestamp::try_from(time).ok().map(MicroTime);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                resource_version: version,
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
                lease_transitions: Some(self.transitions),
                acquire_time: time(self.acquired),
                renew_time: time(clock::now()),
                ..LeaseSpec::default()
            }),
        }
    }
}

fn claim_of(lease: &Lease) -> Claim {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds;
    Claim {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}
