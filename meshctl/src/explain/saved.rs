//! Answers from files.

use std::collections::BTreeSet;

use mesh_api::v1::ProxyKind;
use mesh_api::{Hostname, InvalidHostname, ResourceName};
use mesh_proxy_core::explain::{
    ExplainReport, ExplainRequest, InvalidRequest, explain_gateway, explain_inbound,
    explain_outbound,
};

use super::callees::targets;
use super::{Callee, Explanation, Question, QuestionError};
use crate::offline::{Model, ModelError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The question.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// The host.
    #[error(transparent)]
    Host(#[from] InvalidHostname),
    /// The workloads.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The matcher does not take the question.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
}

/// Compiles and matches in this process, both sides.
///
/// # Errors
/// If the question makes no sense, or the configuration has no such workload.
pub fn explain_saved(model: &Model, question: &Question) -> Result<Explanation, SavedError> {
    let request = question.request()?;
    let workload = model.workload(&question.from)?;
    let caller = if model.is_gateway(&workload) {
        let roots = BTreeSet::from([ResourceName::Gateway]);
        let (snapshot, client) = model.snapshot(&workload, ProxyKind::Gateway, roots)?;
        explain_gateway(&snapshot, &client, &request)?
    } else {
        let host: Hostname = request.host.parse()?;
        let root = ResourceName::destination(&host, request.port);
        let (snapshot, client) =
            model.snapshot(&workload, ProxyKind::Sidecar, BTreeSet::from([root]))?;
        explain_outbound(&snapshot, &client, &request)?
    };
    let mut callees = Vec::new();
    for target in targets(&caller, &request, workload.address.parse().ok()) {
        let report = inbound(model, &target.uid, &target.request);
        callees.push(match report {
            Ok(report) => Callee {
                workload: target.uid,
                report: Some(report),
                note: None,
            },
            Err(error) => Callee {
                workload: target.uid,
                report: None,
                note: Some(error.to_string()),
            },
        });
    }
    Ok(Explanation {
        request: question.title(),
        by: "configuration files",
        caller,
        callees,
    })
}

fn inbound(
    model: &Model,
    uid: &str,
    request: &ExplainRequest,
) -> Result<ExplainReport, SavedError> {
    let workload = model.workload(uid)?;
    let roots = BTreeSet::from([ResourceName::Inbound]);
    let (snapshot, client) = model.snapshot(&workload, ProxyKind::Sidecar, roots)?;
    Ok(explain_inbound(&snapshot, &client, request)?)
}
