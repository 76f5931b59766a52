//! What would happen to a request: the question, who is asked, and the answer in words.

mod callees;
mod live;
mod render;
mod saved;

use mesh_proxy_core::explain::{ExplainReport, ExplainRequest};
use serde::Serialize;

pub use live::explain_live;
pub use saved::explain_saved;

/// A request that is not sent.
#[derive(Clone, Debug)]
pub struct Question {
    /// Workload that would send it.
    pub from: String,
    /// Method.
    pub method: http::Method,
    /// Where to.
    pub url: http::Uri,
    /// Header.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Claims of its token, as if it had been verified.
    pub claims: Vec<(String, serde_json::Value)>,
}

/// The whole answer; the form of `-o json`.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// `<method> <url>`.
    pub request: String,
    /// Who answers: the running proxies, or the files.
    pub by: &'static str,
    /// What the caller's proxy does.
    pub caller: ExplainReport,
    /// What the proxies of the endpoints do, by endpoint.
    pub callees: Vec<Callee>,
}

/// One endpoint's side.
#[derive(Debug, Serialize)]
pub struct Callee {
    /// The endpoint: `<namespace>/<name>` of its workload.
    pub workload: String,
    /// What its proxy does; none if it has no proxy or that does not answer.
    pub report: Option<ExplainReport>,
    /// Why there is no report.
    pub note: Option<String>,
}

/// A question that cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// The URL is not whole.
    #[error("`{0}` is no URL of a request: write http://host:port/path")]
    Url(String),
    /// A header that is no text.
    #[error("the header {0} has bytes that are no text")]
    Header(http::HeaderName),
}

// === impl Question ===

impl Question {
    /// The question to a proxy.
    ///
    /// # Errors
    /// If the URL is not whole.
    pub fn request(&self) -> Result<ExplainRequest, QuestionError> {
        let wrong = || QuestionError::Url(self.url.to_string());
        let (Some(scheme), Some(authority)) = (self.url.scheme_str(), self.url.authority()) else {
            return Err(wrong());
        };
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let mut headers = Vec::new();
        // A client writes what stands in the URL, with the port.
        if !self
            .headers
            .iter()
            .any(|(name, _)| name == http::header::HOST)
        {
            headers.push(("host".to_owned(), authority.as_str().to_owned()));
        }
        for (name, value) in &self.headers {
            let value = value
                .to_str()
                .map_err(|_| QuestionError::Header(name.clone()))?;
            headers.push((name.to_string(), value.to_owned()));
        }
        Ok(ExplainRequest {
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            // The client encrypts by itself: the mesh sees the server's name only.
            tcp: tls,
            sni: tls.then(|| host.clone()),
            host,
            method: self.method.to_string(),
            path: self
                .url
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            headers,
            claims: (!self.claims.is_empty()).then(|| self.claims.iter().cloned().collect()),
            ..ExplainRequest::default()
        })
    }

    fn title(&self) -> String {
        format!("{} {}", self.method, self.url)
    }
}

#[cfg(test)]
mod tests;
