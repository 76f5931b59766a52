//! Files of configuration, over restarts and right before a question.

use std::fs;

use super::client::get_json;
use super::{Control, workload};

/// A policy in quarantine must not vanish with the process that knew its last good version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_last_good_version_of_what_is_in_quarantine() {
    let mut control = Control::start().await;
    let path = control.file("policy.yaml");
    let policy = |action: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: deny}}\n\
             spec:\n  action: {action}\n  rules: [{{}}]\n"
        )
    };
    let bare = control
        .until("the first world", |_| true)
        .await
        .digest
        .clone();
    fs::write(&path, policy("DENY")).unwrap();
    let good = control
        .until("the policy", |published| published.digest != bare)
        .await;
    for spoilt in [policy("DENI"), "kind: [".to_owned()] {
        fs::write(&path, spoilt).unwrap();
        control
            .until("the error", |published| {
                published
                    .problems
                    .iter()
                    .any(|problem| problem.severity() == mesh_api::v1::Severity::Error)
            })
            .await;
        let dir = control.stop().await;
        control = Control::start_in(dir).await;
        let again = control.until("the world again", |_| true).await;
        let errors = again
            .problems
            .iter()
            .filter(|problem| problem.severity() == mesh_api::v1::Severity::Error);
        assert_eq!(
            (&again.digest, errors.count()),
            (&good.digest, 1),
            "the policy is still in force, and the error still known"
        );
    }
    fs::remove_file(&path).unwrap();
    control
        .until("nothing of it", |published| published.digest == bare)
        .await;
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_counts_in_what_was_written_just_before() {
    let control = Control::start().await;
    let revision = |status: serde_json::Value| -> u64 {
        status["revision"].as_str().unwrap().parse().unwrap()
    };
    let mut last = revision(get_json(&control.admin[0], "/v1/status").await);
    for round in 0..5 {
        let path = control.file(&format!("round-{round}.yaml"));
        fs::write(&path, workload(&format!("round-{round}"), "10.0.0.9")).unwrap();
        let written = revision(get_json(&control.admin[0], "/v1/wait?timeout=30").await);
        assert!(written > last, "the new file is not in {written}");
        fs::remove_file(&path).unwrap();
        last = revision(get_json(&control.admin[0], "/v1/wait?timeout=30").await);
        assert!(last > written, "the file that is gone is still in {last}");
    }
    control.stop().await;
}
