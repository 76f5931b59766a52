//! Writes status, a little at a time, while this replica leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::{Timestamp, Unit};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};
use mesh_api::v1::Problem;
use meshd_core::ObjectKey;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::gateway_api::{self, Settled, Write};
use super::verdict::Verdict;
use super::{Input, Subject, Written};
use crate::clock;
use crate::kubernetes::client::words;
use crate::kubernetes::leader::Leadership;
use crate::kubernetes::metrics::ClusterMetrics;
use crate::kubernetes::source::{GATEWAY_API, Kind};
use crate::kubernetes::{Cluster, MANAGER};
use crate::publish::Published;

/// Between two writes: at most 40 each second, so that a change of everything is no storm.
pub(super) const PACE: Duration = Duration::from_millis(25);
/// After a write that failed for the moment.
pub(super) const RETRY: Duration = Duration::from_secs(2);
/// How long one answer may take.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// Longest note of an event.
const NOTE: usize = 1000;

/// Kind, namespace and name, as origins of problems have them.
type Place = (String, String, String);
type Findings = BTreeMap<Place, Vec<Problem>>;

/// Follows what is to be said of each object, and writes it.
pub(crate) struct StatusWriter {
    client: Client,
    recorder: Recorder,
    inputs: mpsc::UnboundedReceiver<Input>,
    published: watch::Receiver<Arc<Published>>,
    leadership: Leadership,
    metrics: Arc<ClusterMetrics>,
    tracked: BTreeMap<ObjectKey, Tracked>,
    findings: Findings,
    /// What routes and gateways tell depends on all of it.
    configuration: [u8; 32],
    /// Those whose status may have to change.
    due: BTreeSet<ObjectKey>,
    led: bool,
}

struct Tracked {
    subject: Subject,
    /// Another controller owns our fields of this generation.
    foreign: Option<i64>,
    /// What was written last of an object of the Gateway API.
    settled: Option<Settled>,
}

/// What became of a write.
enum Outcome {
    Done,
    /// It makes no sense any more.
    Moot,
    Later,
}

// === impl StatusWriter ===

impl StatusWriter {
    /// A writer, and where to tell it of objects.
    pub(crate) fn new(
        cluster: &Cluster,
        published: watch::Receiver<Arc<Published>>,
        leadership: Leadership,
        metrics: Arc<ClusterMetrics>,
    ) -> (Self, mpsc::UnboundedSender<Input>) {
        let (sender, inputs) = mpsc::unbounded_channel();
        let reporter = Reporter {
            controller: MANAGER.to_owned(),
            instance: Some(cluster.settings.instance.clone()),
        };
        let writer = Self {
            client: cluster.client.clone(),
            recorder: Recorder::new(cluster.client.clone(), reporter),
            inputs,
            published,
            leadership,
            metrics,
            tracked: BTreeMap::new(),
            findings: Findings::new(),
            configuration: [0; 32],
            due: BTreeSet::new(),
            led: false,
        };
        (writer, sender)
    }

    /// Writes until the source ends.
    pub(crate) async fn run(mut self) {
        let mut pause = PACE;
        let mut office = self.leadership.watch();
        loop {
            let leads = self.leadership.is_leader();
            if leads && !self.led {
                // What an earlier leader has left undone.
                self.due.extend(self.tracked.keys().cloned());
            }
            self.led = leads;
            let next = self.due.first().cloned().filter(|_| leads);
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                changed = self.published.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.find();
                }
                Ok(()) = office.changed() => {}
                () = sleep(pause), if next.is_some() => {
                    if let Some(key) = next {
                        pause = self.write_due(key).await;
                    }
                }
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Applied(subjects) => {
                for (key, subject) in subjects {
                    self.due.insert(key.clone());
                    let old = self.tracked.remove(&key);
                    let (foreign, settled) =
                        old.map_or((None, None), |old| (old.foreign, old.settled));
                    let tracked = Tracked {
                        subject,
                        foreign,
                        settled,
                    };
                    self.tracked.insert(key, tracked);
                }
            }
            Input::Seen(key, subject) => {
                if let Some(tracked) = self.tracked.get_mut(&key) {
                    tracked.subject.written = subject.written;
                    tracked.subject.uid = subject.uid;
                    tracked.subject.shown = subject.shown;
                    self.due.insert(key);
                }
            }
            Input::Gone(key) => {
                self.tracked.remove(&key);
                self.due.remove(&key);
            }
        }
    }

    /// Looks at what is wrong now.
    fn find(&mut self) {
        let published = self.published.borrow_and_update().clone();
        let mut findings = Findings::new();
        for problem in &published.problems {
            let Some(origin) = &problem.origin else {
                continue;
            };
            if origin.source == "kubernetes" {
                let place = (
                    origin.kind.clone(),
                    origin.namespace.clone(),
                    origin.name.clone(),
                );
                findings.entry(place).or_default().push(problem.clone());
            }
        }
        let configuration = published.world.configuration_digest();
        let changed = self.configuration != configuration;
        self.configuration = configuration;
        for key in self.tracked.keys() {
            let place = place(key);
            let told = changed && key.group == GATEWAY_API;
            if told || self.findings.get(&place) != findings.get(&place) {
                self.due.insert(key.clone());
            }
        }
        self.findings = findings;
    }

    /// Writes the status of an object if it has to change, and says when to go on.
    async fn write_due(&mut self, key: ObjectKey) -> Duration {
        if self.published.has_changed().unwrap_or(false) {
            self.find();
        }
        self.due.remove(&key);
        if key.group == GATEWAY_API {
            return self.write_gateway_api(key).await;
        }
        let Some(tracked) = self.tracked.get(&key) else {
            return Duration::ZERO;
        };
        let subject = &tracked.subject;
        let problems: Vec<&Problem> = self
            .findings
            .get(&place(&key))
            .into_iter()
            .flatten()
            .collect();
        let verdict = Verdict::new(subject.generation, &problems);
        if verdict.is_written(&subject.written) || tracked.foreign == Some(subject.generation) {
            return Duration::ZERO;
        }
        let status = verdict.status(&subject.written, &now());
        match self.apply(&key, subject, &status).await {
            Outcome::Done => {
                self.metrics.wrote_status(true);
                if !verdict.accepted && subject.written.accepted() != Some(false) {
                    self.record(&key, subject, &verdict.message).await;
                }
                if let Some(tracked) = self.tracked.get_mut(&key) {
                    tracked.subject.written = Written::of(Some(&status));
                }
                PACE
            }
            Outcome::Moot => {
                let generation = subject.generation;
                if let Some(tracked) = self.tracked.get_mut(&key) {
                    tracked.foreign = Some(generation);
                }
                PACE
            }
            Outcome::Later => {
                self.metrics.wrote_status(false);
                self.due.insert(key);
                RETRY
            }
        }
    }

    /// The same for an object of the Gateway API.
    async fn write_gateway_api(&mut self, key: ObjectKey) -> Duration {
        let Some(tracked) = self.tracked.get(&key) else {
            return Duration::ZERO;
        };
        let subject = &tracked.subject;
        let published = self.published.borrow().clone();
        let due = gateway_api::due(
            &published.world,
            (&key, subject),
            (tracked.settled.as_ref(), &now()),
        );
        let (Some(due), Some(resource)) = (due, resource(&key, subject)) else {
            return Duration::ZERO;
        };
        let written = gateway_api::write(&self.client, (&key, &resource), subject, &due).await;
        if let Some(taken) = written.taken() {
            self.metrics.wrote_status(taken);
        }
        let Some(tracked) = self.tracked.get_mut(&key) else {
            return PACE;
        };
        match written {
            Write::Taken(shown) => {
                tracked.settled = Some(Settled::new(due, &shown));
                tracked.subject.shown = shown;
                PACE
            }
            Write::Refused => {
                let shown = tracked.subject.shown.clone();
                tracked.settled = Some(Settled::new(due, &shown));
                PACE
            }
            // The source tells what it is now.
            Write::Outdated => PACE,
            Write::Later => {
                self.due.insert(key);
                RETRY
            }
        }
    }

    async fn apply(
        &self,
        key: &ObjectKey,
        subject: &Subject,
        status: &serde_json::Value,
    ) -> Outcome {
        let Some(resource) = resource(key, subject) else {
            return Outcome::Moot;
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &resource);
        let patch = json!({
            "apiVersion": subject.api_version,
            "kind": key.kind,
            // So that an object of the same name that came meanwhile is left alone.
            "metadata": { "name": key.name, "namespace": key.namespace, "uid": subject.uid },
            "status": status,
        });
        let params = PatchParams::apply(MANAGER);
        let patch = Patch::Apply(&patch);
        match timeout(ANSWER, api.patch_status(&key.name, &params, &patch)).await {
            Ok(Ok(_)) => Outcome::Done,
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Outcome::Moot,
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() => {
                tracing::info!(object = %key, reason = %status.message, "its status is another controller's; not written");
                Outcome::Moot
            }
            Ok(Err(kube::Error::Api(status))) if status.is_invalid() => {
                tracing::warn!(object = %key, reason = %status.message, "its status is refused; not written");
                Outcome::Moot
            }
            Ok(Err(error)) => {
                tracing::warn!(object = %key, reason = %words(&error), "cannot write its status; trying again");
                Outcome::Later
            }
            Err(_) => Outcome::Later,
        }
    }

    /// Lets `kubectl describe` and `kubectl events` tell of an object in quarantine.
    async fn record(&self, key: &ObjectKey, subject: &Subject, message: &str) {
        let mut note = message.to_owned();
        note.truncate(note.floor_char_boundary(NOTE));
        let event = Event {
            type_: EventType::Warning,
            reason: "Quarantined".to_owned(),
            note: Some(note),
            action: "Compile".to_owned(),
            secondary: None,
        };
        let object = ObjectReference {
            api_version: Some(subject.api_version.clone()),
            kind: Some(key.kind.clone()),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            uid: Some(subject.uid.clone()),
            ..ObjectReference::default()
        };
        let recorded = timeout(ANSWER, self.recorder.publish(&event, &object)).await;
        if let Ok(Err(error)) = recorded {
            tracing::debug!(object = %key, reason = %words(&error), "cannot record an event");
        }
    }
}

/// To the second, as Kubernetes writes it.
fn now() -> String {
    let now = Timestamp::try_from(clock::now()).unwrap_or_default();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

fn place(key: &ObjectKey) -> Place {
    (key.kind.clone(), key.namespace.clone(), key.name.clone())
}

fn resource(key: &ObjectKey, subject: &Subject) -> Option<ApiResource> {
    let kind = Kind::of(&key.group, &key.kind)?;
    let (_, version) = subject.api_version.rsplit_once('/')?;
    Some(ApiResource {
        group: key.group.clone(),
        version: version.to_owned(),
        api_version: subject.api_version.clone(),
        kind: key.kind.clone(),
        plural: kind.plural.to_owned(),
    })
}
