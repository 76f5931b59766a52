//! Clients and applications.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// No test waits for longer.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// An application: accepts until it is dropped.
pub struct App {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What an echoing application says of itself.
pub const NAME: &str = "x-app";

pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what)
        .await
        .expect("took too long")
}

// === impl App ===

impl App {
    /// Does with each connection what the function says.
    pub async fn raw<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                running.spawn(handle(stream));
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    /// Says what it hears.
    pub async fn repeating() -> Self {
        Self::raw(|mut stream| async move {
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        })
        .await
    }

    /// Answers with the request itself: the head in text form, then the body.
    pub async fn echo(name: &'static str) -> Self {
        Self::http(move |request| echo(request, name)).await
    }

    /// HTTP/1 with this handler.
    pub async fn http<F>(
        handle: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::raw(move |stream| {
            let handle = handle.clone();
            async move {
                let service = service_fn(move |request| {
                    let answer = handle(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        })
        .await
    }

    /// The same over HTTP/2 with prior knowledge.
    pub async fn echo_http2(name: &'static str) -> Self {
        Self::raw(move |stream| async move {
            let service =
                service_fn(
                    move |request| async move { Ok::<_, Infallible>(echo(request, name).await) },
                );
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        })
        .await
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn echo(request: Request<Incoming>, name: &'static str) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let mut text = format!("{} {} {:?}\n", parts.method, parts.uri, parts.version);
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    let Ok(body) = body.collect().await else {
        return Response::new(Full::default());
    };
    text.push('\n');
    text.push_str(&String::from_utf8_lossy(&body.to_bytes()));
    Response::builder()
        .header(NAME, name)
        .body(Full::from(text))
        .unwrap()
}

/// Reads a head: up to and with the empty line.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// One connection of a client that writes HTTP/1 by hand.
pub struct Client(pub TcpStream);

/// A response, read by its length or to the end.
#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: String,
}

impl Client {
    pub async fn to(address: SocketAddr) -> Self {
        Self(within(TcpStream::connect(address)).await.unwrap())
    }

    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a GET through the explicit proxy and reads its answer.
    pub async fn get(&mut self, url: &str) -> Answer {
        let authority = url
            .strip_prefix("http://")
            .unwrap()
            .split('/')
            .next()
            .unwrap();
        self.send(&format!("GET {url} HTTP/1.1\r\nHost: {authority}\r\n\r\n"))
            .await;
        self.answer().await
    }

    pub async fn answer(&mut self) -> Answer {
        within(self.read_answer()).await
    }

    async fn read_answer(&mut self) -> Answer {
        let head = read_head(&mut self.0).await;
        let mut body = Vec::new();
        let answer = Answer {
            head,
            body: String::new(),
        };
        if answer.header("transfer-encoding") == Some("chunked") {
            while !body.ends_with(b"0\r\n\r\n") && !answer_trailers_end(&body) {
                match self.0.read_u8().await {
                    Ok(byte) => body.push(byte),
                    Err(_) => break,
                }
            }
        } else if let Some(length) = answer.header("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.0.read_exact(&mut body).await.unwrap();
        }
        Answer {
            body: String::from_utf8_lossy(&body).into_owned(),
            ..answer
        }
    }

    /// Sends a byte to who repeats it, and waits for it.
    pub async fn is_repeated(&mut self) {
        self.send("x").await;
        assert_eq!(within(self.0.read_u8()).await.unwrap(), b'x');
    }

    /// Everything until the end of the connection.
    pub async fn rest(&mut self) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        within(self.0.read_to_end(&mut bytes)).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

// The last chunk followed by trailers.
fn answer_trailers_end(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.ends_with("\r\n\r\n") && text.contains("\r\n0\r\n")
}

// === impl Answer ===

impl Answer {
    pub fn status(&self) -> u16 {
        self.head
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no answer: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn reason(&self) -> &str {
        self.header("x-mesh-reason").unwrap_or_default()
    }
}

/// Waits for a state.
pub async fn until(state: impl Fn() -> bool) {
    within(async {
        while !state() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
