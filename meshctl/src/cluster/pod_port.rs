//! A TCP port of a pod, loopback included, by port-forward.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Cluster, ClusterError};

/// The kubelet tells of a refused port a moment after it has closed the stream.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A port of a pod.
#[derive(Clone)]
pub struct PodPort {
    cluster: Cluster,
    namespace: String,
    pod: String,
    port: u16,
}

/// Why a pod's port cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum PodPortError {
    /// The pod is gone.
    #[error(
        "pod {namespace}/{pod} is not there (any more) in context `{context}`: `kubectl get pods -n {namespace}` shows which are"
    )]
    Gone {
        /// Its namespace.
        namespace: String,
        /// Its name.
        pod: String,
        /// The context.
        context: String,
    },
    /// Nobody listens on the port.
    #[error(
        "nobody listens on port {port} of pod {namespace}/{pod} (context `{context}`): {message}; `kubectl logs -n {namespace} {pod} --all-containers` may say why"
    )]
    Closed {
        /// Its namespace.
        namespace: String,
        /// Its name.
        pod: String,
        /// The context.
        context: String,
        /// The port.
        port: u16,
        /// What the node says.
        message: String,
    },
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A connection to a pod's port.
pub struct PodStream {
    inner: Pin<Box<dyn Stream>>,
    complaint: Option<Pin<Box<dyn Future<Output = Option<String>> + Send>>>,
}

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

// === impl PodPort ===

impl PodPort {
    /// A port of a pod.
    pub fn new(cluster: &Cluster, namespace: &str, pod: &str, port: u16) -> Self {
        Self {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            port,
        }
    }

    /// Opens a connection: one stream of its own to the API server, and on to the node.
    ///
    /// # Errors
    /// If there is no such pod, or the permission is missing. That nobody listens shows later;
    /// see [`PodPort::complaint`].
    pub async fn connect(&self) -> Result<PodStream, PodPortError> {
        let pods: Api<Pod> = self.cluster.pods(&self.namespace);
        let opened = pods.portforward(&self.pod, &[self.port]).await;
        let mut forwarder = match opened {
            Ok(forwarder) => forwarder,
            Err(error) => return Err(self.refused(&pods, error).await),
        };
        let inner = forwarder.take_stream(self.port);
        let complaint = forwarder.take_error(self.port);
        let Some(inner) = inner else {
            return Err(self.closed("the API server gave no stream".to_owned()));
        };
        Ok(PodStream {
            inner: Box::pin(inner),
            complaint: complaint.map(|complaint| Box::pin(complaint) as _),
        })
    }

    /// What the node has to say about a stream that has broken off, if anything.
    pub async fn complaint(&self, complaint: Complaint) -> Option<PodPortError> {
        let complaint = complaint.0?;
        let told = tokio::time::timeout(LAST_WORDS, complaint).await.ok()??;
        Some(self.closed(told.trim().to_owned()))
    }

    /// The upgrade to a stream loses the API server's words, so they are asked for once more.
    async fn refused(&self, pods: &Api<Pod>, error: kube::Error) -> PodPortError {
        match pods.get_opt(&self.pod).await {
            Ok(None) => PodPortError::Gone {
                namespace: self.namespace.clone(),
                pod: self.pod.clone(),
                context: self.cluster.context().to_owned(),
            },
            Ok(Some(pod)) if !running(&pod) => self.closed(format!(
                "the pod is {}",
                pod.status
                    .and_then(|status| status.phase)
                    .unwrap_or_else(|| "not running".to_owned())
            )),
            _ => {
                let failed =
                    self.cluster
                        .failed("create", "pods/portforward", Some(&self.namespace));
                failed(error).into()
            }
        }
    }

    fn closed(&self, message: String) -> PodPortError {
        PodPortError::Closed {
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            context: self.cluster.context().to_owned(),
            port: self.port,
            message,
        }
    }
}

fn running(pod: &Pod) -> bool {
    pod.status
        .as_ref()
        .is_some_and(|status| status.phase.as_deref() == Some("Running"))
}

impl fmt::Debug for PodPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PodPort({self})")
    }
}

impl fmt::Display for PodPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "port {} of pod {}/{} (context `{}`)",
            self.port,
            self.namespace,
            self.pod,
            self.cluster.context()
        )
    }
}

// === impl PodStream ===

/// What the node may say when it gives a stream up.
pub struct Complaint(Option<Pin<Box<dyn Future<Output = Option<String>> + Send>>>);

impl PodStream {
    /// Takes the ear for what the node says when it gives the stream up.
    pub fn take_complaint(&mut self) -> Complaint {
        Complaint(self.complaint.take())
    }
}

impl AsyncRead for PodStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for PodStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_shutdown(cx)
    }
}
