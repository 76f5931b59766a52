//! Ways into the mesh for clients that know nothing of it.

use std::net::SocketAddr;

use mesh_tests::LaptopMesh;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::programs::LIMIT;

/// A port of 127.0.0.1 that leads through a workload's sidecar to one destination: what capture
/// does for a workload of a cluster.
pub(crate) struct Door {
    address: SocketAddr,
    _task: JoinSet<()>,
}

/// A connection through a sidecar's SOCKS5 listener.
pub(crate) async fn connect(proxy: SocketAddr, host: &str, port: u16) -> TcpStream {
    let handshake = async {
        let mut stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&[5, 1, 0]).await?;
        let mut method = [0; 2];
        stream.read_exact(&mut method).await?;
        let mut wish = vec![5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
        wish.extend_from_slice(host.as_bytes());
        wish.extend_from_slice(&port.to_be_bytes());
        stream.write_all(&wish).await?;
        let mut reply = [0; 10];
        stream.read_exact(&mut reply).await?;
        assert_eq!((method, reply[1]), ([5, 0], 0), "{host}:{port}");
        std::io::Result::Ok(stream)
    };
    tokio::time::timeout(LIMIT, handshake)
        .await
        .unwrap()
        .unwrap()
}

/// A connection of a workload of the mesh.
pub(crate) async fn connect_as(mesh: &LaptopMesh, from: &str, host: &str, port: u16) -> TcpStream {
    connect(mesh.explicit(from).unwrap(), host, port).await
}

// === impl Door ===

impl Door {
    /// Opens one to `host`:`port` for the workload `client`.
    pub(crate) async fn open(mesh: &LaptopMesh, host: &str, port: u16) -> Self {
        Self::through(mesh.explicit("client").unwrap(), host, port).await
    }

    /// Opens one through the sidecar that listens on `proxy`.
    pub(crate) async fn through(proxy: SocketAddr, host: &str, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = host.to_owned();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let host = host.clone();
                connections.spawn(async move {
                    near.set_nodelay(true).unwrap();
                    let mut far = connect(proxy, &host, port).await;
                    // What breaks, breaks for the client, too.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            _task: task,
        }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, as an URL's beginning.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
