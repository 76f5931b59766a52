//! Whether one more is allowed (Envoy: circuit breakers).

use crate::ir::PoolLimits;
use crate::reason::Reason;

/// What is under way toward one cluster, in the whole proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Requests, those that wait included.
    pub requests: u32,
    /// Requests that wait for a connection.
    pub pending: u32,
    /// Retries.
    pub retries: u32,
    /// Connections.
    pub connections: u32,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A request.
    Request,
    /// A request that waits for a connection.
    Pending,
    /// A retry.
    Retry,
    /// A connection.
    Connection,
}

// === impl PoolLimits ===

impl PoolLimits {
    /// Whether there is anything to count.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }

    /// Whether one more is allowed beside what is in use.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, resource: Resource, in_use: InUse) -> Result<(), Reason> {
        let (limit, used, reason) = match resource {
            Resource::Request => (self.max_requests, in_use.requests, Reason::TooManyRequests),
            Resource::Pending => (
                self.max_pending_requests,
                in_use.pending,
                Reason::TooManyPendingRequests,
            ),
            Resource::Connection => (
                self.max_connections,
                in_use.connections,
                Reason::TooManyConnections,
            ),
            Resource::Retry => (
                self.retries(in_use.requests),
                in_use.retries,
                Reason::Overload,
            ),
        };
        if limit.is_some_and(|limit| used >= limit) {
            Err(reason)
        } else {
            Ok(())
        }
    }

    /// How many retries may be under way beside so many requests. A budget wins over a number
    /// (Envoy: `retry_budget` replaces `max_retries`).
    fn retries(&self, requests: u32) -> Option<u32> {
        let Some(budget) = self.retry_budget else {
            return self.max_retries;
        };
        let share = u64::from(requests) * u64::from(budget.per_million) / 1_000_000;
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        Some(share.max(budget.min_concurrency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::RetryShare;

    #[test]
    fn numbers_are_upper_limits() {
        let limits = PoolLimits {
            max_connections: Some(1),
            max_pending_requests: Some(2),
            max_requests: Some(3),
            max_retries: Some(4),
            retry_budget: None,
        };
        let used = |n| InUse {
            requests: n,
            pending: n,
            retries: n,
            connections: n,
        };
        for (resource, limit, reason) in [
            (Resource::Connection, 1, Reason::TooManyConnections),
            (Resource::Pending, 2, Reason::TooManyPendingRequests),
            (Resource::Request, 3, Reason::TooManyRequests),
            (Resource::Retry, 4, Reason::Overload),
        ] {
            assert_eq!(limits.admit(resource, used(limit - 1)), Ok(()));
            assert_eq!(limits.admit(resource, used(limit)), Err(reason));
            assert_eq!(
                PoolLimits::default().admit(resource, used(u32::MAX)),
                Ok(())
            );
        }
    }

    #[test]
    fn a_retry_budget_is_a_share_of_the_requests() {
        let limits = PoolLimits {
            max_retries: Some(1),
            retry_budget: Some(RetryShare {
                per_million: 200_000,
                min_concurrency: 3,
            }),
            ..PoolLimits::default()
        };
        for (requests, allowed) in [(0, 3), (15, 3), (20, 4), (100, 20)] {
            let used = |retries| InUse {
                requests,
                retries,
                ..InUse::default()
            };
            assert!(limits.admit(Resource::Retry, used(allowed - 1)).is_ok());
            assert!(limits.admit(Resource::Retry, used(allowed)).is_err());
        }
    }
}
