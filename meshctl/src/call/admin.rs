//! The JSON endpoints of the control plane and the proxies.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Answer, CallError, Inside, Via, call};

const PATIENCE: Duration = Duration::from_secs(10);

/// An admin endpoint: on a Unix socket, or wherever else HTTP can be sent to.
#[derive(Clone, Debug)]
pub struct Admin {
    /// What messages call it.
    owner: String,
    via: Via,
    /// What comes before the path: nothing, or the address within other namespaces.
    base: String,
}

/// Why an admin endpoint gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It cannot be reached.
    #[error("cannot ask {owner} at {place}: {source}")]
    Call {
        /// Whose endpoint it is.
        owner: String,
        /// Where it is.
        place: String,
        /// Why.
        source: Box<CallError>,
    },
    /// It answered with an error.
    #[error("{owner} answered {path} with {status}: {message}")]
    Status {
        /// Whose endpoint it is.
        owner: String,
        /// What was asked for.
        path: String,
        /// Status code.
        status: StatusCode,
        /// Body of the answer.
        message: String,
    },
    /// It answered something else than expected.
    #[error("{owner} answered {path} with something else than expected: {source}")]
    Format {
        /// Whose endpoint it is.
        owner: String,
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

// === impl Admin ===

impl Admin {
    /// The endpoint at a socket.
    pub fn new(owner: impl Into<String>, socket: &Path) -> Self {
        Self::at(owner, Via::Unix(socket.to_owned()))
    }

    /// The endpoint that is reached this way.
    pub fn at(owner: impl Into<String>, via: Via) -> Self {
        Self {
            owner: owner.into(),
            via,
            base: String::new(),
        }
    }

    /// The endpoint at this address of the namespaces that a helper process is in.
    pub fn inside(owner: impl Into<String>, inside: Inside, address: SocketAddr) -> Self {
        Self {
            owner: owner.into(),
            via: Via::Inside(inside),
            base: format!("http://{address}"),
        }
    }

    /// What messages call it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// How it is reached.
    pub fn via(&self) -> &Via {
        &self.via
    }

    /// Asks for a JSON document.
    ///
    /// # Errors
    /// If there is no answer, or not the one expected.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.get_within(path, PATIENCE).await
    }

    /// Asks for a JSON document that may take its time.
    ///
    /// # Errors
    /// If there is no answer within `timeout`, or not the one expected.
    pub async fn get_within<T: DeserializeOwned>(
        &self,
        path: &str,
        timeout: Duration,
    ) -> Result<T, AdminError> {
        self.ask(Method::GET, path, Bytes::new(), timeout).await
    }

    /// Sends a JSON document and reads one.
    ///
    /// # Errors
    /// If there is no answer, or not the one expected.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, AdminError> {
        let body = serde_json::to_vec(body).map_err(|source| self.format(path, source))?;
        self.ask(Method::POST, path, body.into(), PATIENCE).await
    }

    /// Orders something and gives the text of the answer.
    ///
    /// # Errors
    /// If it was not done.
    pub async fn order(&self, path: &str) -> Result<String, AdminError> {
        let answer = self
            .send(Method::POST, path, Bytes::new(), PATIENCE)
            .await?;
        Ok(answer.text().trim().to_owned())
    }

    /// Asks for a text, and gives it as it is.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn text(&self, path: &str) -> Result<String, AdminError> {
        let answer = self.send(Method::GET, path, Bytes::new(), PATIENCE).await?;
        Ok(answer.text())
    }

    fn format(&self, path: &str, source: serde_json::Error) -> AdminError {
        AdminError::Format {
            owner: self.owner.clone(),
            path: path.to_owned(),
            source,
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<T, AdminError> {
        let answer = self.send(method, path, body, timeout).await?;
        serde_json::from_slice(&answer.body).map_err(|source| self.format(path, source))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, AdminError> {
        let failed = |source| AdminError::Call {
            owner: self.owner.clone(),
            place: self.via.to_string(),
            source: Box::new(source),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| failed(error.into()))?;
        let answer = call(&self.via, request, timeout).await.map_err(failed)?;
        if !answer.status.is_success() {
            return Err(AdminError::Status {
                owner: self.owner.clone(),
                path: path.to_owned(),
                status: answer.status,
                message: answer.text().trim().to_owned(),
            });
        }
        Ok(answer)
    }
}
