//! Requests from inside of other namespaces, by a helper process that speaks lines of JSON.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::Mutex;

use super::{Answer, CallError, Via, call};

/// The helper itself waits no longer for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A helper process; its clones share it. It sends one request at a time.
#[derive(Clone)]
pub struct Inside {
    /// What messages call it.
    place: String,
    process: Arc<Mutex<Process>>,
}

struct Process {
    // Ends with this.
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// Answers to requests that nobody waits for any more.
    abandoned: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ask {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    /// Base64.
    body: String,
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

/// Why a helper process has no answer.
#[derive(Debug, thiserror::Error)]
pub enum InsideError {
    /// The request, in the helper's words.
    #[error("{0}")]
    Call(String),
    /// The helper.
    #[error("the helper process {place}: {source}")]
    Process {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: io::Error,
    },
    /// What the helper says.
    #[error("the helper process says something else than expected: {0}")]
    Format(#[from] serde_json::Error),
}

// === impl Inside ===

impl Inside {
    /// Starts a helper process: a command that runs `meshctl internal caller` in the namespaces
    /// that are meant.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(
        place: impl Into<String>,
        command: std::process::Command,
    ) -> Result<Self, InsideError> {
        let place = place.into();
        let program = command.get_program().to_owned();
        let process = Process::start(command).map_err(|error| InsideError::Process {
            place: place.clone(),
            source: named(&program, &error),
        })?;
        Ok(Self {
            place,
            process: Arc::new(Mutex::new(process)),
        })
    }

    /// Sends a request, whose URL is whole, and reads the whole answer.
    ///
    /// # Errors
    /// If there is none, or the helper is gone.
    pub(super) async fn call(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        let (head, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let ask = Ask {
            method: head.method.to_string(),
            url: head.uri.to_string(),
            headers: texts(&head.headers),
            body: STANDARD.encode(body),
            timeout_ms: u64::try_from(LONGEST_WAIT.as_millis()).unwrap_or(u64::MAX),
        };
        let told = self.process.lock().await.exchange(&ask).await;
        let told = told.map_err(|source| InsideError::Process {
            place: self.place.clone(),
            source,
        })?;
        Ok(read(
            serde_json::from_str(&told).map_err(InsideError::from)?,
        )?)
    }
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inside({self})")
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

fn named(program: &OsStr, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot run `{}`: {error}", program.to_string_lossy()),
    )
}

fn read(told: Told) -> Result<Answer, InsideError> {
    let broken = |error: &dyn fmt::Display| InsideError::Call(error.to_string());
    match told {
        Told::Error(error) => Err(InsideError::Call(error)),
        Told::Answer {
            status,
            headers,
            body,
            took_ms,
        } => Ok(Answer {
            status: StatusCode::from_u16(status).map_err(|error| broken(&error))?,
            headers: header_map(&headers).map_err(|error| broken(&error))?,
            body: STANDARD
                .decode(body)
                .map_err(|error| broken(&error))?
                .into(),
            took: Duration::from_millis(took_ms),
        }),
    }
}

// === impl Process ===

impl Process {
    fn start(mut command: std::process::Command) -> io::Result<Self> {
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
            abandoned: 0,
        })
    }

    async fn exchange(&mut self, ask: &Ask) -> io::Result<String> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        self.input.write_all(&line).await?;
        self.input.flush().await?;
        // If whoever asks gives up from here on, the answer still comes.
        self.abandoned += 1;
        loop {
            let told = self.output.next_line().await?;
            let told = told.ok_or_else(|| io::Error::other("it has ended"))?;
            self.abandoned -= 1;
            if self.abandoned == 0 {
                return Ok(told);
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
            Ok(ask) => match send(&ask).await {
                Ok(answer) => tell(&answer),
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

async fn send(ask: &Ask) -> Result<Answer, CallError> {
    let body = STANDARD
        .decode(&ask.body)
        .map_err(|error| CallError::Body(error.into()))?;
    let mut request = Request::builder()
        .method(ask.method.as_str())
        .uri(&ask.url)
        .body(Full::<Bytes>::from(body))?;
    *request.headers_mut() = header_map(&ask.headers)?;
    call(&Via::Direct, request, Duration::from_millis(ask.timeout_ms)).await
}

fn header_map(fields: &[(String, String)]) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
    }
    Ok(headers)
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

fn tell(answer: &Answer) -> Told {
    Told::Answer {
        status: answer.status.as_u16(),
        headers: texts(&answer.headers),
        body: STANDARD.encode(&answer.body),
        took_ms: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
    }
}
