//! One list-and-watch: pages of a list, then what changes, for as long as the process runs.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::kinds::Watched;
use super::prune::Received;
use super::served::Served;
use super::table::{Inventory, Name};
use crate::clock;
use crate::kubernetes::backoff::Backoff;
use crate::kubernetes::client::words;

/// Objects in a page of a list. Pods with all their bookkeeping take 100 kB each at worst.
const PAGE: u32 = 250;
/// How long the answer to a page may take.
const PAGE_TIME: Duration = Duration::from_secs(60);
/// A server sends a bookmark each minute. One that is silent for longer may be gone without a
/// word; asking anew from the same version costs nothing.
const SILENCE: Duration = Duration::from_secs(90);
/// How long one request watches, and how much longer at most, so that not all end together.
const WATCH: u32 = 240;
const HUNG_UP: Duration = Duration::from_secs(1);
const WATCH_SPREAD: Duration = Duration::from_secs(55);

/// Index of a watch in the list of all.
pub(crate) type WatchId = usize;

/// What a watch tells.
#[derive(Debug)]
pub(crate) enum Event {
    /// A list begins.
    Listing,
    /// Objects of the list.
    Listed(Vec<Received>),
    /// The list is complete, at this version.
    Complete(String),
    /// The server tells from now on what changes.
    Following,
    /// An object is new or changed.
    Changed(Received),
    /// An object is gone.
    Gone(Received),
    /// Nothing has changed up to this version.
    Passed(String),
    /// The server does not have this kind.
    Unserved,
    /// It does not work at the moment.
    Failing(Failure),
}

/// Why a watch does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// In one line.
    pub(crate) reason: String,
    /// The server refuses; trying again helps only after somebody did something.
    pub(crate) forbidden: bool,
}

/// What to do after a request that worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Everything is listed.
    Now,
    /// The server has ended the watch.
    Again,
}

/// Why one request ended.
#[derive(Debug)]
enum Interruption {
    /// The version to go on from is too old for the server.
    Expired,
    Failed(Failure),
    /// Nobody listens any more.
    Stopped,
}

/// A list-and-watch of one kind.
pub(crate) struct Watch {
    id: WatchId,
    watched: Watched,
    client: Client,
    served: watch::Receiver<Served>,
    events: mpsc::Sender<(WatchId, Event)>,
    /// Where to go on; none if everything is to be listed.
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page<T> {
    metadata: PageMetadata,
    // Null if there are none.
    items: Option<Vec<T>>,
}

#[derive(Debug, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "resourceVersion")]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Named {
    metadata: NamedMetadata,
}

#[derive(Debug, Deserialize)]
struct NamedMetadata {
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(rename = "resourceVersion")]
    resource_version: String,
}

// === impl Watch ===

impl Watch {
    pub(crate) fn new(
        id: WatchId,
        watched: Watched,
        client: Client,
        served: watch::Receiver<Served>,
        events: mpsc::Sender<(WatchId, Event)>,
    ) -> Self {
        Self {
            id,
            watched,
            client,
            served,
            events,
            version: None,
        }
    }

    /// Lists and watches until nobody listens.
    pub(crate) async fn run(mut self) {
        let mut unserved_told = false;
        loop {
            let kind = self.watched.kind;
            let current = self.served.borrow_and_update().version(kind);
            let mut served = self.served.clone();
            let changed = served.wait_for(|served| served.version(kind) != current);
            let Some(version) = current else {
                if self.served.borrow().is_known() && !unserved_told {
                    unserved_told = true;
                    self.version = None;
                    if self.tell(Event::Unserved).await.is_err() {
                        return;
                    }
                }
                let changed = self.served.changed().await;
                if changed.is_err() {
                    return;
                }
                continue;
            };
            unserved_told = false;
            let stopped = tokio::select! {
                () = self.keep_watching(version) => true,
                changed = changed => changed.is_err(),
            };
            if stopped {
                return;
            }
            // Another version of the kind: the same objects in another form.
            self.version = None;
        }
    }

    /// Ends when nobody listens.
    async fn keep_watching(&mut self, version: &str) {
        let request = Request::new(self.watched.path(version));
        let api_version = self.watched.kind.api_version(version);
        let mut backoff = Backoff::default();
        loop {
            let begun = clock::instant();
            let outcome = match self.version.clone() {
                None => self.list(&request, &api_version).await,
                Some(from) => self.follow(&request, from).await,
            };
            let lived = clock::instant().saturating_duration_since(begun);
            backoff.succeeded(lived);
            let failure = match outcome {
                Ok(Next::Now) => continue,
                // A server that hangs up at once is about to stop.
                Ok(Next::Again) if lived > HUNG_UP => continue,
                Ok(Next::Again) => None,
                Err(Interruption::Stopped) => return,
                Err(Interruption::Expired) => {
                    self.version = None;
                    None
                }
                Err(Interruption::Failed(failure)) => Some(failure),
            };
            if let Some(failure) = failure
                && self.tell(Event::Failing(failure)).await.is_err()
            {
                return;
            }
            sleep(backoff.next(clock::jitter())).await;
        }
    }

    async fn tell(&self, event: Event) -> Result<(), Interruption> {
        let sent = self.events.send((self.id, event)).await;
        sent.map_err(|_| Interruption::Stopped)
    }

    /// Reads everything, a page at a time.
    async fn list(&mut self, request: &Request, api_version: &str) -> Result<Next, Interruption> {
        self.tell(Event::Listing).await?;
        let mut params = list_params(&self.watched);
        loop {
            let page: Page<Received> = self.page(request, &params).await?;
            let mut objects = page.items.unwrap_or_default();
            for Received(object) in &mut objects {
                // Lists of built-in kinds do not repeat it for each object.
                if let Some(object) = object.as_object_mut() {
                    object.insert("apiVersion".to_owned(), api_version.into());
                    object.insert("kind".to_owned(), self.watched.kind.kind.into());
                }
            }
            if !objects.is_empty() {
                self.tell(Event::Listed(objects)).await?;
            }
            params.continue_token = page.metadata.next.filter(|next| !next.is_empty());
            if params.continue_token.is_none() {
                let version = page.metadata.resource_version;
                self.tell(Event::Complete(version.clone())).await?;
                self.version = Some(version);
                return Ok(Next::Now);
            }
        }
    }

    async fn page(
        &self,
        request: &Request,
        params: &ListParams,
    ) -> Result<Page<Received>, Interruption> {
        let request = match self.watched.metadata_only() {
            true => request.list_metadata(params),
            false => request.list(params),
        };
        let request = request.map_err(|error| failed(&kube::Error::BuildRequest(error)))?;
        match timeout(PAGE_TIME, self.client.request(request)).await {
            Ok(page) => page.map_err(|error| failed(&error)),
            Err(_) => Err(Interruption::Failed(Failure::late())),
        }
    }

    /// Tells what changes from a version on, until the server ends it.
    async fn follow(&mut self, request: &Request, from: String) -> Result<Next, Interruption> {
        let spread = WATCH_SPREAD.mul_f64(clock::jitter()).as_secs();
        let params = WatchParams {
            field_selector: self.watched.fields.clone(),
            timeout: Some(WATCH + u32::try_from(spread).unwrap_or(0)),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = match self.watched.metadata_only() {
            true => request.watch_metadata(&params, &from),
            false => request.watch(&params, &from),
        };
        let request = request.map_err(|error| failed(&kube::Error::BuildRequest(error)))?;
        let stream = match timeout(PAGE_TIME, self.client.request_events::<Received>(request)).await
        {
            Ok(stream) => stream.map_err(|error| failed(&error))?,
            Err(_) => return Err(Interruption::Failed(Failure::late())),
        };
        self.tell(Event::Following).await?;
        let mut stream = pin!(stream);
        loop {
            let event = match timeout(SILENCE, stream.try_next()).await {
                Ok(Ok(Some(event))) => event,
                Ok(Ok(None)) | Err(_) => return Ok(Next::Again),
                Ok(Err(error)) => return Err(failed(&error)),
            };
            let (event, version) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    let version = version(&object)?;
                    (Event::Changed(object), version)
                }
                WatchEvent::Deleted(object) => {
                    let version = version(&object)?;
                    (Event::Gone(object), version)
                }
                WatchEvent::Bookmark(bookmark) => {
                    let version = bookmark.metadata.resource_version;
                    (Event::Passed(version.clone()), version)
                }
                WatchEvent::Error(status) => return Err(failed(&kube::Error::Api(status))),
            };
            self.tell(event).await?;
            self.version = Some(version);
        }
    }
}

/// What the API server has of it now.
///
/// # Errors
/// What failed.
pub(crate) async fn inventory(
    client: &Client,
    watched: &Watched,
    version: &str,
) -> Result<Inventory, kube::Error> {
    let request = Request::new(watched.path(version));
    let mut params = list_params(watched);
    params.limit = Some(PAGE * 4);
    let mut inventory = Inventory::default();
    loop {
        let list = request
            .list_metadata(&params)
            .map_err(kube::Error::BuildRequest)?;
        let page: Page<Named> = client.request(list).await?;
        let objects = page.items.into_iter().flatten().map(|object| {
            let metadata = object.metadata;
            let name = full_name(&metadata.namespace, &metadata.name);
            (name, metadata.resource_version)
        });
        inventory.objects.extend(objects);
        params.continue_token = page.metadata.next.filter(|next| !next.is_empty());
        if params.continue_token.is_none() {
            inventory.version = page.metadata.resource_version;
            return Ok(inventory);
        }
    }
}

pub(crate) fn full_name(namespace: &str, name: &str) -> Name {
    match namespace {
        "" => name.into(),
        namespace => format!("{namespace}/{name}").into(),
    }
}

fn list_params(watched: &Watched) -> ListParams {
    ListParams {
        field_selector: watched.fields.clone(),
        limit: Some(PAGE),
        ..ListParams::default()
    }
}

fn version(Received(object): &Received) -> Result<String, Interruption> {
    object
        .pointer("/metadata/resourceVersion")
        .and_then(|version| version.as_str())
        .map(str::to_owned)
        .ok_or_else(|| {
            Interruption::Failed(Failure {
                reason: "the API server sent an object without a version".to_owned(),
                forbidden: false,
            })
        })
}

fn failed(error: &kube::Error) -> Interruption {
    let forbidden = match error {
        kube::Error::Api(status) if status.code == 410 => return Interruption::Expired,
        kube::Error::Api(status) => status.is_forbidden() || status.code == 401,
        _ => false,
    };
    Interruption::Failed(Failure {
        reason: words(error),
        forbidden,
    })
}

// === impl Failure ===

impl Failure {
    fn late() -> Self {
        Self {
            reason: "the API server did not answer in time".to_owned(),
            forbidden: false,
        }
    }
}

#[cfg(test)]
mod tests;
