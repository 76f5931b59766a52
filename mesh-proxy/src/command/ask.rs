//! Commands that ask a running proxy: hooks of its container.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use http::{HeaderMap, Method, StatusCode};

use crate::clock;
use crate::net::{self, Dialer};
use crate::pod_status::{Call, exchange, host_field};
use crate::settings::parse_duration;

/// Options of `wait`.
#[derive(Clone, Debug, clap::Args)]
pub struct WaitArgs {
    /// How long to wait
    #[arg(long, default_value = "60s", value_parser = parse_duration, value_name = "DURATION")]
    pub timeout: Duration,
    /// Where the proxy tells whether it serves
    #[arg(
        long,
        env = "MESH_READINESS",
        default_value = "127.0.0.1:15021",
        value_name = "IP:PORT"
    )]
    pub address: SocketAddr,
}

/// Options of `drain`.
#[derive(Clone, Debug, clap::Args)]
pub struct DrainArgs {
    /// Admin endpoint of the proxy
    #[arg(
        long,
        env = "MESH_ADMIN",
        default_value = "127.0.0.1:15000",
        value_name = "IP:PORT"
    )]
    pub address: SocketAddr,
    /// The same as a Unix socket
    #[arg(long, env = "MESH_ADMIN_SOCKET", value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,
}

const PAUSE: Duration = Duration::from_millis(100);
const ANSWER: Duration = Duration::from_secs(5);
const LONGEST: usize = 64 * 1024;

/// Waits until the proxy serves.
pub(super) async fn wait(args: &WaitArgs) -> anyhow::Result<()> {
    let address = reachable(args.address);
    let deadline = clock::monotonic() + args.timeout;
    loop {
        let left = deadline.saturating_duration_since(clock::monotonic());
        let why = match ready(address, left.min(ANSWER)).await {
            Ok(None) => return Ok(()),
            Ok(Some(why)) => why,
            Err(error) => format!("{error:#}"),
        };
        let left = deadline.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            bail!("the proxy does not serve after {:?}: {why}", args.timeout);
        }
        tokio::time::sleep(PAUSE.min(left)).await;
    }
}

/// `None` if the proxy serves, otherwise why not.
async fn ready(address: SocketAddr, timeout: Duration) -> anyhow::Result<Option<String>> {
    let asked = async {
        let stream = net::connect(address, timeout, Dialer::default()).await?;
        anyhow::Ok(exchange(stream, &request(Method::GET, "/healthz/ready", address)).await?)
    };
    let (parts, body) = tokio::time::timeout(timeout, asked)
        .await
        .context("no answer")??;
    if parts.status == StatusCode::OK {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&body).trim().to_owned()))
}

/// Tells the proxy to drain; it goes on serving.
pub(super) async fn drain(args: &DrainArgs) -> anyhow::Result<()> {
    let address = reachable(args.address);
    let call = request(Method::POST, "/drain", address);
    let asked = async {
        let answer = match &args.admin_socket {
            Some(path) => exchange(Dialer::connect_unix(path, ANSWER).await?, &call).await?,
            None => {
                let stream = net::connect(address, ANSWER, Dialer::default()).await?;
                exchange(stream, &call).await?
            }
        };
        anyhow::Ok(answer)
    };
    let (parts, body) = tokio::time::timeout(ANSWER, asked)
        .await
        .context("the proxy does not answer")??;
    let text = String::from_utf8_lossy(&body);
    if parts.status != StatusCode::OK {
        bail!("{}: {}", parts.status, text.trim());
    }
    print!("{text}");
    Ok(())
}

fn request(method: Method, path: &str, address: SocketAddr) -> Call {
    Call {
        method,
        path: path.to_owned(),
        headers: HeaderMap::from_iter(host_field(&address.ip().to_string(), address.port())),
        limit: LONGEST,
    }
}

/// Settings say where to listen; "everywhere" is nowhere to go.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::net::TcpListener;

    // Answers each connection by the next of these.
    async fn server(answers: Vec<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                let asked = String::from_utf8_lossy(&request[..length]).into_owned();
                assert!(asked.contains("host: 127.0.0.1:"), "{asked}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    const UNREADY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\nnot yet\n";
    const READY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nready\n";

    #[tokio::test]
    async fn waits_until_the_proxy_serves() {
        let address = server(vec![UNREADY, UNREADY, READY]).await;
        let args = WaitArgs {
            timeout: Duration::from_secs(30),
            address,
        };
        wait(&args).await.unwrap();
    }

    #[tokio::test]
    async fn says_why_it_gave_up() {
        let address = server(vec![UNREADY]).await;
        let args = |timeout| WaitArgs { timeout, address };
        let error = wait(&args(Duration::from_millis(1))).await.unwrap_err();
        assert!(
            error.to_string().contains("does not serve after"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn tells_to_drain() {
        let address = server(vec![READY, UNREADY]).await;
        let args = DrainArgs {
            address,
            admin_socket: None,
        };
        drain(&args).await.unwrap();
        let error = drain(&args).await.unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
    }

    #[test]
    fn everywhere_is_here() {
        let to = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(to("0.0.0.0:15021"), "127.0.0.1:15021");
        assert_eq!(to("[::]:15021"), "[::1]:15021");
        assert_eq!(to("10.0.0.1:15021"), "10.0.0.1:15021");
    }
}
