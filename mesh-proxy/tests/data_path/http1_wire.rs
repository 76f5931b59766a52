//! HTTP/1 as it is on the wire: what is kept as it came, and when connections end.

use http::Response;
use http_body_util::Full;
use mesh_api::v1::{MtlsMode, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::{Config, service};
use crate::peers::{App, Client, read_head, until, within};
use crate::proxy::{PORT, Proxy, proxy};

fn in_front_of(app: &App) -> Proxy {
    proxy(Config::default().service(service("app", 80, Protocol::Http).plain(app.address))).start()
}

/// A client's and a server's sidecar, with mutual TLS between them.
async fn both(app: &App) -> (Proxy, Proxy) {
    let inbound = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Strict);
    let server = proxy(inbound).account("server").app(app.address).start();
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).mesh(server.served(), "server"));
    (proxy(config).account("client").start(), server)
}

#[tokio::test]
async fn order_and_spelling_are_kept_through_both_proxies() {
    let app = App::raw(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let answer = format!(
            "HTTP/1.1 200 Just Fine\r\nX-Zed: 1\r\nSet-Cookie: a=1\r\nETag: x\r\nSET-COOKIE: b=2\r\ncontent-LENGTH: {}\r\nX-Last: z\r\n\r\n{head}",
            head.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let (client, _server) = both(&app).await;
    let mut connection = Client::to(client.explicit).await;
    connection
        .send("GET /p HTTP/1.1\r\nUser-Agent: t\r\nConnection: keep-alive\r\nX-Many: 1\r\nHost: app\r\nAccept: */*\r\nx-many: 2\r\nX-Last: z\r\n\r\n")
        .await;
    let answer = connection.answer().await;
    let wanted = "GET /p HTTP/1.1\r\nUser-Agent: t\r\nX-Many: 1\r\nHost: app\r\nAccept: */*\r\nx-many: 2\r\nX-Last: z\r\n";
    assert!(answer.body.starts_with(wanted), "{}", answer.body);
    let wanted = "HTTP/1.1 200 Just Fine\r\nX-Zed: 1\r\nSet-Cookie: a=1\r\nETag: x\r\nSET-COOKIE: b=2\r\ncontent-LENGTH: ";
    assert!(answer.head.starts_with(wanted), "{}", answer.head);
    assert!(answer.head.contains("\r\nX-Last: z\r\n"), "{}", answer.head);
}

#[tokio::test]
async fn trailers_pass_though_nobody_announced_them() {
    let app = App::raw(|mut stream| async move {
        let mut asked = read_head(&mut stream).await;
        while !asked.ends_with("-Sum: 1\r\n\r\n") && !asked.ends_with("-sum: 1\r\n\r\n") {
            asked.push(char::from(stream.read_u8().await.unwrap()));
        }
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-End: yes\r\nContent-Length: 9\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let (client, _server) = both(&app).await;
    let mut connection = Client::to(client.explicit).await;
    connection
        .send("POST http://app/ HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
        .await;
    let answer = connection.answer().await;
    let body = answer.body.to_lowercase();
    assert!(
        body.ends_with("2\r\nok\r\n0\r\nx-end: yes\r\n\r\n"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn requests_may_come_before_the_answers_to_earlier_ones() {
    let app = App::echo("a").await;
    let (client, _server) = both(&app).await;
    let mut connection = Client::to(client.explicit).await;
    let requests: String = (0..20)
        .map(|n| {
            format!("PUT http://app/{n} HTTP/1.1\r\nHost: app\r\nContent-Length: 2\r\n\r\n{n:02}")
        })
        .collect();
    connection.send(&requests).await;
    for n in 0..20 {
        let answer = connection.answer().await;
        assert!(answer.body.starts_with(&format!("PUT /{n} ")), "{answer:?}");
        assert!(answer.body.ends_with(&format!("\n{n:02}")), "{answer:?}");
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn an_early_answer_is_read_though_the_client_goes_on_sending() {
    let app = App::http(|_| async {
        let answer = Response::builder()
            .status(413)
            .header("connection", "close");
        answer.body(Full::from("too much")).unwrap()
    })
    .await;
    let (client, _server) = both(&app).await;
    let mut connection = Client::to(client.explicit).await;
    let size = 64 << 20;
    connection
        .send(&format!(
            "PUT http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: {size}\r\n\r\n"
        ))
        .await;
    let (mut read, mut write) = connection.0.split();
    let block = vec![0; 1 << 14];
    let mut all = Vec::new();
    let sending = async {
        while write.write_all(&block).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let reading = async {
        while !String::from_utf8_lossy(&all).contains("too much") {
            assert_ne!(read.read_buf(&mut all).await.unwrap(), 0, "{all:?}");
        }
    };
    within(async {
        tokio::select! {
            () = sending => {}
            () = reading => {}
        }
    })
    .await;
    assert!(String::from_utf8_lossy(&all).starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn who_was_not_asked_for_a_body_is_not_waited_for() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("PUT http://nowhere.invalid./ HTTP/1.1\r\nHost: \r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await;
    let all = client.rest().await.unwrap();
    assert!(
        !all.contains(" 100 ") && all.contains("connection: close"),
        "{all}"
    );
}

#[tokio::test]
async fn old_clients_may_keep_their_connection() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    for _ in 0..2 {
        client
            .send("GET http://app/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.header("connection"),
            Some("keep-alive"),
            "{answer:?}"
        );
    }
}

// A client that cannot read chunks must not take a part for the whole.
#[tokio::test]
async fn an_endless_answer_that_breaks_off_is_a_reset() {
    let app = App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let part = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
        stream.write_all(part.as_bytes()).await.unwrap();
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client.send("GET http://app/ HTTP/1.0\r\n\r\n").await;
    assert!(client.rest().await.is_err());
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_along() {
    let (gone, mut noticed) = tokio::sync::mpsc::unbounded_channel();
    let app = App::raw(move |mut stream| {
        let gone = gone.clone();
        async move {
            read_head(&mut stream).await;
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n..\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            // Nothing more, until the other side has had enough.
            let _ = stream.read(&mut [0; 1]).await;
            gone.send(()).unwrap();
        }
    })
    .await;
    let (client, _server) = both(&app).await;
    let mut connection = Client::to(client.explicit).await;
    connection
        .send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    let head = within(read_head(&mut connection.0)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    drop(connection);
    within(noticed.recv()).await.unwrap();
    until(|| client.telemetry.metrics().contains("response_flags=\"DC\"")).await;
}

#[tokio::test]
async fn interim_answers_are_for_one_hop() {
    let app = App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    let answer = client.get("http://app/").await;
    assert_eq!((answer.status(), answer.body.as_str()), (200, "ok"));
}
