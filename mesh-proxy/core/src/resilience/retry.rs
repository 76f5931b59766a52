//! Whether a try that failed is repeated (Istio: HTTPRetry; Envoy: `RetryStateImpl`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use rand::Rng;
use smallvec::SmallVec;

use super::propagation::retry_after;
use super::{Allowance, Budget, Deadline, backoff};
use crate::ir::{RetryOn, RetryPolicy};
use crate::reason::Reason;

/// How one try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// An answer's head came.
    Response {
        /// HTTP status.
        status: StatusCode,
        /// gRPC status, if it is in the head.
        grpc_status: Option<u32>,
        /// The answer carries `x-envoy-ratelimited`.
        rate_limited: bool,
        /// The answer says that the server has too much to do.
        overloaded: bool,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// There was no connection, or the server's proxy vouches that it passed nothing on.
    ConnectFailure,
    /// HTTP/2 REFUSED_STREAM.
    RefusedStream,
    /// The connection broke before the answer.
    Reset {
        /// Whether any byte of the request was sent.
        request_started: bool,
    },
    /// The try's time was up.
    PerTryTimeout,
    /// The whole request's time was up.
    RequestTimeout,
    /// This proxy has too much under way.
    Overflow,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again.
    Retry {
        /// After this pause.
        after: Duration,
    },
    /// Give the client what there is.
    Stop(Stop),
}

/// Why a try is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is no failure, or none that the policy repeats.
    NotRetriable,
    /// All tries of the policy are used: Envoy's URX.
    Exhausted,
    /// Too many retries are under way.
    Budget,
    /// Somebody has too much to do; more would be worse.
    Overload,
    /// No time is left.
    Deadline,
    /// The request's body is gone.
    BodyConsumed,
}

/// The tries of one request.
#[derive(Clone, Debug)]
pub struct Tries {
    policy: Option<Arc<RetryPolicy>>,
    deadline: Deadline,
    tried: SmallVec<[Arc<str>; 4]>,
    retries: u32,
}

/// Conditions that hold for any try without an answer.
const NO_ANSWER: RetryOn = RetryOn::SERVER_ERROR
    .with(RetryOn::RESET)
    .with(RetryOn::GATEWAY_ERROR);

/// Who is to come back later than this (`Retry-After`) hears of it, instead of waiting.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether the policy's conditions hold, regardless of count, time and budget.
pub fn is_retriable(policy: &RetryPolicy, outcome: &AttemptOutcome) -> bool {
    let on = |conditions: RetryOn| policy.on.any_of(conditions);
    match *outcome {
        AttemptOutcome::Response {
            overloaded: true, ..
        }
        | AttemptOutcome::Overflow
        | AttemptOutcome::RequestTimeout => false,
        // Envoy looks at nothing else of a rate-limited answer.
        AttemptOutcome::Response {
            rate_limited: true, ..
        } => on(RetryOn::RATE_LIMITED),
        AttemptOutcome::Response {
            status,
            grpc_status,
            ..
        } => {
            let code = status.as_u16();
            on(RetryOn::SERVER_ERROR) && status.is_server_error()
                || on(RetryOn::GATEWAY_ERROR) && matches!(code, 502..=504)
                || on(RetryOn::RETRIABLE_4XX) && code == 409
                || on(RetryOn::STATUS_CODES) && policy.status_codes.contains(&code)
                || grpc_status.and_then(grpc_condition).is_some_and(on)
        }
        AttemptOutcome::ConnectFailure => on(RetryOn::CONNECT_FAILURE
            .with(NO_ANSWER)
            .with(RetryOn::RESET_BEFORE_REQUEST)),
        AttemptOutcome::RefusedStream => on(RetryOn::REFUSED_STREAM.with(NO_ANSWER)),
        AttemptOutcome::Reset { request_started } => {
            on(NO_ANSWER) || !request_started && on(RetryOn::RESET_BEFORE_REQUEST)
        }
        AttemptOutcome::PerTryTimeout => on(NO_ANSWER),
    }
}

fn grpc_condition(status: u32) -> Option<RetryOn> {
    match status {
        1 => Some(RetryOn::CANCELLED),
        4 => Some(RetryOn::DEADLINE_EXCEEDED),
        8 => Some(RetryOn::RESOURCE_EXHAUSTED),
        13 => Some(RetryOn::INTERNAL),
        14 => Some(RetryOn::UNAVAILABLE),
        _ => None,
    }
}

// === impl AttemptOutcome ===

impl AttemptOutcome {
    /// From the head of an answer.
    pub fn of_response(status: StatusCode, headers: &HeaderMap) -> Self {
        let grpc_status = headers
            .get("grpc-status")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Self::Response {
            status,
            grpc_status,
            rate_limited: headers.contains_key("x-envoy-ratelimited"),
            overloaded: Reason::overload_of(headers).is_some(),
            retry_after: retry_after(headers),
        }
    }
}

// === impl Tries ===

impl Tries {
    /// Before the first try. Pays into the budget.
    pub fn new(
        policy: Option<Arc<RetryPolicy>>,
        deadline: Deadline,
        budget: &mut Budget,
        now: Instant,
    ) -> Self {
        budget.deposit(now);
        Self {
            policy,
            deadline,
            tried: SmallVec::new(),
            retries: 0,
        }
    }

    /// Limit of the whole request.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// When the try that starts now must be done, and whether by its own limit.
    pub fn try_deadline(&self, now: Instant) -> Option<(Instant, bool)> {
        self.deadline.of_try(
            self.policy
                .as_ref()
                .and_then(|policy| policy.per_try_timeout),
            now,
        )
    }

    /// Whether there can be another try at all: if not, the body need not be kept.
    pub fn may_retry(&self) -> bool {
        self.policy
            .as_ref()
            .is_some_and(|policy| self.retries < policy.attempts)
    }

    /// How many tries were repeated so far.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Remembers the endpoint of a try.
    pub fn tried(&mut self, uid: &Arc<str>) {
        self.tried.push(Arc::clone(uid));
    }

    /// Endpoints that the next try should not go to: for
    /// [`Balancer::pick`](crate::balance::Balancer::pick).
    pub fn exclude(&self) -> &[Arc<str>] {
        match &self.policy {
            Some(policy) if policy.allow_previous_hosts => &[],
            _ => &self.tried,
        }
    }

    /// Decides after a try, and takes the retry from the budget if there is one. `replayable`
    /// says whether the body can be sent once more.
    pub fn decide(
        &mut self,
        outcome: &AttemptOutcome,
        replayable: bool,
        budget: &mut impl Allowance,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> Decision {
        let Some(policy) = self.policy.as_ref() else {
            return Decision::Stop(Stop::NotRetriable);
        };
        if matches!(
            outcome,
            AttemptOutcome::Overflow
                | AttemptOutcome::Response {
                    overloaded: true,
                    ..
                }
        ) {
            return Decision::Stop(Stop::Overload);
        }
        if self.deadline.is_over(now) || *outcome == AttemptOutcome::RequestTimeout {
            return Decision::Stop(Stop::Deadline);
        }
        if !is_retriable(policy, outcome) {
            return Decision::Stop(Stop::NotRetriable);
        }
        if self.retries >= policy.attempts {
            return Decision::Stop(Stop::Exhausted);
        }
        if !replayable {
            return Decision::Stop(Stop::BodyConsumed);
        }
        let asked = match outcome {
            AttemptOutcome::Response { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        if asked > LONGEST_PAUSE {
            return Decision::Stop(Stop::Overload);
        }
        // Clients that were told the same time must not come back at the same time.
        let after = asked + backoff(policy, self.retries.saturating_add(1), rng);
        if now
            .checked_add(after)
            .is_none_or(|start| self.deadline.is_over(start))
        {
            return Decision::Stop(Stop::Deadline);
        }
        if !budget.withdraw(now) {
            return Decision::Stop(Stop::Budget);
        }
        self.retries += 1;
        Decision::Retry { after }
    }
}
