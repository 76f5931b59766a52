//! Requests as a workload of this machine: through its explicit proxy, or from inside its
//! namespace.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;

use super::{Answer, CallError, Inside, InsideError, Via, call};
use crate::process::DIES_WITH;
use crate::state::{Capture, MeshRecord, WorkloadRecord};

/// Sends requests as one workload.
#[derive(Debug)]
pub struct Caller(Via);

/// Why a request as a workload has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// The call itself.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The helper process.
    #[error(transparent)]
    Inside(#[from] InsideError),
}

// === impl Caller ===

impl Caller {
    /// Speaks as this workload.
    ///
    /// # Errors
    /// If the helper process cannot be started.
    pub fn new(record: &MeshRecord, workload: &WorkloadRecord) -> Result<Self, CallerError> {
        Ok(Self(
            match (
                record.capture,
                workload.explicit_proxy,
                &workload.netns,
                &workload.hosts,
            ) {
                (Capture::Transparent, _, Some(netns), Some(hosts)) => {
                    let mut args = ["internal", "enter", "--netns"]
                        .map(OsString::from)
                        .to_vec();
                    args.extend([
                        netns.into(),
                        "--hosts".into(),
                        hosts.into(),
                        "--die-with".into(),
                    ]);
                    args.extend([std::process::id().to_string().into(), "--".into()]);
                    args.extend(["/proc/self/exe", "internal", "caller"].map(OsString::from));
                    let place = format!("in the namespaces of {}", workload.name);
                    Via::Inside(Inside::start(place, helper(&args))?)
                }
                (_, Some(proxy), _, _) => Via::Proxy(proxy),
                _ => Via::Direct,
            },
        ))
    }

    /// Sends requests this way.
    pub fn at(via: Via) -> Self {
        Self(via)
    }

    /// Sends a request without body.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn get(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Answer, CallerError> {
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(url)
            .body(Full::<Bytes>::default())
            .map_err(CallError::from)?;
        *request.headers_mut() = header_map(headers)?;
        Ok(call(&self.0, request, timeout).await?)
    }
}

fn header_map(fields: &[(&str, &str)]) -> Result<HeaderMap, CallError> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            name.parse::<HeaderName>().map_err(http::Error::from)?,
            HeaderValue::from_str(value).map_err(http::Error::from)?,
        );
    }
    Ok(headers)
}

fn helper(args: &[OsString]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("meshctl")
        .args(args)
        .env(DIES_WITH, std::process::id().to_string())
        .process_group(0);
    command
}
