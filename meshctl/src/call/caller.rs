//! Requests as a workload: through its explicit proxy, or from inside its namespace by a helper
//! process.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::{Answer, CallError, Via, call};
use crate::process::DIES_WITH;
use crate::state::{Capture, MeshRecord, WorkloadRecord};

/// Sends requests as one workload, one at a time.
#[derive(Debug)]
pub struct Caller(Way);

#[derive(Debug)]
enum Way {
    Here(Via),
    Inside(Box<Helper>),
}

/// The process inside the namespace, spoken to by lines of JSON.
#[derive(Debug)]
struct Helper {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ask {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    timeout_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum Told {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
        took_ms: u64,
    },
    Error(String),
}

/// Why a request as a workload has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// The call itself.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The call of the helper.
    #[error("{0}")]
    Inside(String),
    /// The helper.
    #[error("the helper process in the workload's namespace: {0}")]
    Helper(#[from] io::Error),
    /// What the helper says.
    #[error(
        "the helper process in the workload's namespace says something else than expected: {0}"
    )]
    Format(#[from] serde_json::Error),
}

// === impl Caller ===

impl Caller {
    /// Speaks as this workload.
    ///
    /// # Errors
    /// If the helper process cannot be started.
    pub fn new(record: &MeshRecord, workload: &WorkloadRecord) -> io::Result<Self> {
        let way = match (
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
                Way::Inside(Box::new(Helper::start(&args)?))
            }
            (_, Some(proxy), _, _) => Way::Here(Via::Proxy(proxy)),
            _ => Way::Here(Via::Direct),
        };
        Ok(Self(way))
    }

    /// Sends a request without body.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn get(
        &mut self,
        url: &str,
        headers: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Answer, CallerError> {
        let ask = Ask {
            method: Method::GET.to_string(),
            url: url.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        };
        match &mut self.0 {
            Way::Here(via) => Ok(send(via, &ask).await?),
            Way::Inside(helper) => helper.ask(&ask).await,
        }
    }
}

// === impl Helper ===

impl Helper {
    fn start(args: &[OsString]) -> io::Result<Self> {
        let mut command = std::process::Command::new("/proc/self/exe");
        command
            .arg0("meshctl")
            .args(args)
            .env(DIES_WITH, std::process::id().to_string())
            .process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn()?;
        let missing = || io::Error::other("it has no standard streams");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?).lines();
        Ok(Self {
            _child: child,
            input,
            output,
        })
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Answer, CallerError> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        self.input.write_all(&line).await?;
        let told = self
            .output
            .next_line()
            .await?
            .ok_or_else(|| io::Error::other("it has ended"))?;
        match serde_json::from_str(&told)? {
            Told::Error(error) => Err(CallerError::Inside(error)),
            Told::Answer {
                status,
                headers,
                body,
                took_ms,
            } => {
                let broken = |error: &dyn std::fmt::Display| CallerError::Inside(error.to_string());
                Ok(Answer {
                    status: StatusCode::from_u16(status).map_err(|error| broken(&error))?,
                    headers: header_map(&headers).map_err(|error| broken(&error))?,
                    body: STANDARD
                        .decode(body)
                        .map_err(|error| broken(&error))?
                        .into(),
                    took: Duration::from_millis(took_ms),
                })
            }
        }
    }
}

/// What the helper process does: takes a request a line, sends it, prints the answer, until its
/// input ends.
///
/// # Errors
/// If its input or output breaks.
pub async fn serve_caller() -> io::Result<()> {
    // Nothing else happens in this process meanwhile, so it may block.
    for line in io::stdin().lines() {
        let told = match serde_json::from_str::<Ask>(&line?) {
            Ok(ask) => match send(&Via::Direct, &ask).await {
                Ok(answer) => told(&answer),
                Err(error) => Told::Error(error.to_string()),
            },
            Err(error) => Told::Error(error.to_string()),
        };
        let mut output = io::stdout().lock();
        writeln!(output, "{}", serde_json::to_string(&told)?)?;
        output.flush()?;
    }
    Ok(())
}

async fn send(via: &Via, ask: &Ask) -> Result<Answer, CallError> {
    let mut request = Request::builder()
        .method(ask.method.as_str())
        .uri(&ask.url)
        .body(Full::<Bytes>::default())?;
    *request.headers_mut() = header_map(&ask.headers)?;
    call(via, request, Duration::from_millis(ask.timeout_ms)).await
}

fn header_map(fields: &[(String, String)]) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
    }
    Ok(headers)
}

fn told(answer: &Answer) -> Told {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    Told::Answer {
        status: answer.status.as_u16(),
        headers: answer.headers.iter().filter_map(text).collect(),
        body: STANDARD.encode(&answer.body),
        took_ms: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
    }
}
