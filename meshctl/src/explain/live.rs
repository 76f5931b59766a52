//! Answers from the proxies of a running mesh.

use mesh_proxy_core::explain::ExplainReport;

use super::callees::targets;
use super::{Callee, Explanation, Question, QuestionError};
use crate::call::{Admin, AdminError};
use crate::state::{MeshRecord, RecordError, WorkloadKind, WorkloadRecord};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The question.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// The workload.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The proxy.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// Asks the caller's proxy, then the proxies of all endpoints that it names.
///
/// # Errors
/// If the question makes no sense, there is no such workload, or its proxy does not answer.
pub async fn explain_live(
    record: &MeshRecord,
    question: &Question,
) -> Result<Explanation, LiveError> {
    let mut request = question.request()?;
    let workload = record.workload(&question.from)?;
    if workload.kind == WorkloadKind::Gateway
        && let Some(port) = workload
            .ports
            .iter()
            .find(|port| port.listen.port() == request.port)
    {
        // The number that its Gateway object has, not the one it got on this machine.
        request.port = port.port;
    }
    let caller: ExplainReport = admin(workload).post("/v1/explain", &request).await?;
    let mut callees = Vec::new();
    for target in targets(&caller, &request, Some(workload.address)) {
        let asked = match record
            .workloads
            .iter()
            .find(|workload| workload.name == target.uid)
        {
            Some(workload) => admin(workload)
                .post("/v1/explain?direction=inbound", &target.request)
                .await
                .map_err(|error| error.to_string()),
            None => {
                Err("it is not a workload of this mesh, so nothing is known of its side".to_owned())
            }
        };
        callees.push(match asked {
            Ok(report) => Callee {
                workload: target.uid,
                report: Some(report),
                note: None,
            },
            Err(note) => Callee {
                workload: target.uid,
                report: None,
                note: Some(note),
            },
        });
    }
    Ok(Explanation {
        request: question.title(),
        by: "running mesh",
        caller,
        callees,
    })
}

fn admin(workload: &WorkloadRecord) -> Admin {
    Admin::new(format!("the proxy of {}", workload.name), &workload.admin)
}
