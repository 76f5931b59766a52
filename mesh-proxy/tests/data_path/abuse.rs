//! Clients that do not behave.

use mesh_api::v1::{MtlsMode, Protocol};
use tokio::io::AsyncWriteExt as _;

use crate::config::{Config, service};
use crate::peers::{App, Client};
use crate::proxy::{PORT, Proxy, proxy};

async fn both(app: &App) -> (Proxy, Proxy) {
    let inbound = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive);
    let server = proxy(inbound).account("server").app(app.address).start();
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).mesh(server.served(), "server"));
    (proxy(config).account("client").start(), server)
}

#[tokio::test]
async fn garbage_is_refused_and_harms_nobody() {
    let app = App::echo("a").await;
    let (client, server) = both(&app).await;
    let garbage: [&[u8]; 6] = [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\xff\xff\x01 no hello at all, but it says that it is one",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"\x05\x00\x05",
    ];
    for bytes in garbage {
        for address in [client.explicit, server.served()] {
            let mut connection = Client::to(address).await;
            connection.0.write_all(bytes).await.unwrap();
            connection.0.shutdown().await.unwrap();
            // Any answer but success, or none.
            let all = connection.rest().await.unwrap_or_default();
            assert!(!all.contains(" 200 "), "{bytes:?}: {all}");
        }
    }
    assert_eq!(
        Client::to(client.explicit)
            .await
            .get("http://app/")
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let app = App::echo("a").await;
    let (client, _server) = both(&app).await;
    for head in [
        format!("X-Long: {}\r\n", "x".repeat(70_000)),
        "X-Many: 1\r\n".repeat(200),
    ] {
        let mut connection = Client::to(client.explicit).await;
        let _ = connection
            .0
            .write_all(format!("GET http://app/ HTTP/1.1\r\nHost: app\r\n{head}\r\n").as_bytes())
            .await;
        let all = connection.rest().await.unwrap_or_default();
        assert!(all.starts_with("HTTP/1.1 431"), "{all}");
    }
    let large = format!("X-Long: {}\r\n", "x".repeat(50_000));
    let mut connection = Client::to(client.explicit).await;
    connection
        .send(&format!(
            "GET http://app/ HTTP/1.1\r\nHost: app\r\n{large}\r\n"
        ))
        .await;
    assert_eq!(connection.answer().await.status(), 200);
}

#[tokio::test]
async fn clients_that_leave_are_recorded_and_forgotten() {
    let app = App::raw(|mut stream| async move {
        let mut sink = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut sink).await;
    })
    .await;
    let (client, _server) = both(&app).await;
    let mut connection = Client::to(client.explicit).await;
    connection
        .send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    crate::peers::until(|| app.connections() == 1).await;
    drop(connection);
    crate::peers::until(|| client.telemetry.metrics().contains("response_flags=\"DC\"")).await;
    // In the middle of a body.
    let mut connection = Client::to(client.explicit).await;
    connection
        .send("PUT http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: 100\r\n\r\nbegin")
        .await;
    crate::peers::until(|| app.connections() == 2).await;
    drop(connection);
    crate::peers::until(|| client.drain.running().http == 0).await;
}
