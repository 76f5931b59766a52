//! What webhooks count, under Istio's names.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::Writer;

/// Counters of the webhooks.
#[derive(Debug, Default)]
pub(crate) struct WebhookMetrics {
    injected: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    valid: AtomicU64,
    invalid: AtomicU64,
    patched: AtomicU64,
    unpatched: AtomicU64,
}

/// What became of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Injections {
    Injected,
    Skipped,
    Failed,
}

// === impl WebhookMetrics ===

impl WebhookMetrics {
    pub(super) fn count_injection(&self, what: Injections) {
        match what {
            Injections::Injected => &self.injected,
            Injections::Skipped => &self.skipped,
            Injections::Failed => &self.failed,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_validation(&self, passed: bool) {
        let counter = if passed { &self.valid } else { &self.invalid };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A webhook configuration was given our roots, or could not be.
    pub(super) fn count_patch(&self, success: bool) {
        let counter = if success {
            &self.patched
        } else {
            &self.unpatched
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes all of it.
    pub(crate) fn encode(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [injected, skipped, failed] = [&self.injected, &self.skipped, &self.failed].map(load);
        for (name, help, count) in [
            (
                "sidecar_injection_requests",
                "Pods that came for injection",
                injected + skipped + failed,
            ),
            (
                "sidecar_injection_success",
                "Pods that got a proxy",
                injected,
            ),
            (
                "sidecar_injection_skip",
                "Pods that are not to get a proxy",
                skipped,
            ),
            (
                "sidecar_injection_failure",
                "Pods that were refused because they could not get their proxy",
                failed,
            ),
        ] {
            writer.counter(name, help, count)?;
        }
        writer.istio_count(
            "galley_validation_passed",
            "Objects of configuration that were let through",
            &[(&[], load(&self.valid))],
        )?;
        writer.istio_count(
            "galley_validation_failed",
            "Objects of configuration that were refused",
            &[(&[], load(&self.invalid))],
        )?;
        let attempts = load(&self.patched) + load(&self.unpatched);
        writer.counter(
            "webhook_patch_attempts",
            "Times that a webhook configuration was given the roots of this authority",
            attempts,
        )?;
        writer.counter(
            "webhook_patch_failures",
            "Times that this failed",
            load(&self.unpatched),
        )
    }
}
