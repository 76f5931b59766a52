//! Streams of HTTP/2 with another implementation on both sides: flow control, cancellation, closing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use mesh_api::v1::Protocol;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::config::{Config, service};
use crate::peers::{App, until, within};
use crate::proxy::{Proxy, proxy};

fn in_front_of(app: &App) -> Proxy {
    let service = service("app", 80, Protocol::Http2).plain(app.address);
    proxy(Config::default().service(service)).start()
}

async fn client(proxy: &Proxy) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(proxy.explicit).await.unwrap();
    let mut builder = h2::client::Builder::new();
    // What one stream does not read is no business of the others.
    builder.initial_connection_window_size(16 << 20);
    let (sender, connection) = within(builder.handshake(stream)).await.unwrap();
    tokio::spawn(connection);
    within(sender.ready()).await.unwrap()
}

fn post() -> Request<()> {
    Request::post("http://app/x").body(()).unwrap()
}

fn head() -> Response<()> {
    Response::new(())
}

/// Gives each request to a function, which has the stream to answer on.
async fn app<F>(
    handle: impl Fn(RecvStream, h2::server::SendResponse<Bytes>) -> F + Clone + Send + Sync + 'static,
) -> App
where
    F: Future<Output = ()> + Send + 'static,
{
    serve(h2::server::Builder::new(), handle).await
}

async fn serve<F>(
    builder: h2::server::Builder,
    handle: impl Fn(RecvStream, h2::server::SendResponse<Bytes>) -> F + Clone + Send + Sync + 'static,
) -> App
where
    F: Future<Output = ()> + Send + 'static,
{
    App::raw(move |stream| {
        let (handle, builder) = (handle.clone(), builder.clone());
        async move {
            let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(handle(request.into_body(), respond));
            }
        }
    })
    .await
}

async fn read(body: &mut RecvStream) -> Option<Bytes> {
    let data = within(body.data()).await?.unwrap();
    body.flow_control().release_capacity(data.len()).unwrap();
    Some(data)
}

#[tokio::test]
async fn both_directions_flow_at_the_same_time() {
    // Answers before the request has ended, and each part as it comes.
    let app = app(|mut body, mut respond| async move {
        let mut send = respond.send_response(head(), false).unwrap();
        while let Some(data) = read(&mut body).await {
            send.send_data(data, false).unwrap();
        }
        send.send_data(Bytes::from_static(b"end"), true).unwrap();
    })
    .await;
    let proxy = in_front_of(&app);
    let (response, mut send) = client(&proxy).await.send_request(post(), false).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    for nth in 0..100_u8 {
        send.send_data(Bytes::from(vec![nth; 100]), false).unwrap();
        let mut back = Vec::new();
        while back.len() < 100 {
            back.extend(read(&mut body).await.unwrap());
        }
        assert_eq!(back, vec![nth; 100]);
    }
    send.send_data(Bytes::new(), true).unwrap();
    assert_eq!(read(&mut body).await.unwrap(), "end");
    assert!(read(&mut body).await.is_none());
}

#[tokio::test]
async fn a_reader_that_stops_stops_its_sender_and_nobody_else() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let app = app(move |_, mut respond| {
        let count = Arc::clone(&count);
        async move {
            let mut send = respond.send_response(head(), false).unwrap();
            for _ in 0..64 {
                send.reserve_capacity(1 << 20);
                let mut left = 1 << 20;
                while left > 0 {
                    let Some(Ok(capacity)) =
                        std::future::poll_fn(|cx| send.poll_capacity(cx)).await
                    else {
                        return;
                    };
                    let now = capacity.min(left);
                    send.send_data(Bytes::from(vec![0; now]), false).unwrap();
                    count.fetch_add(now, Ordering::Relaxed);
                    left -= now;
                }
            }
            send.send_data(Bytes::new(), true).unwrap();
        }
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = client(&proxy).await;
    let (response, _) = client.send_request(post(), true).unwrap();
    let mut stopped = within(response).await.unwrap().into_body();
    let (response, _) = client.send_request(post(), true).unwrap();
    let mut other = within(response).await.unwrap().into_body();
    let mut came = 0;
    while let Some(data) = read(&mut other).await {
        came += data.len();
    }
    assert_eq!(came, 64 << 20);
    // Windows and buffers of the way are full, nothing more.
    let held = sent.load(Ordering::Relaxed) - came;
    assert!(
        held < 4 << 20,
        "{held} octets for a reader that does not read"
    );
    while let Some(data) = read(&mut stopped).await {
        came += data.len();
    }
    assert_eq!(came, 128 << 20);
}

#[tokio::test]
async fn uploads_are_held_back_and_arrive_whole() {
    let app = app(|mut body, mut respond| async move {
        let mut count = 0_usize;
        while let Some(data) = read(&mut body).await {
            count += data.len();
        }
        let answer = http::Response::builder()
            .header("x-count", count)
            .body(())
            .unwrap();
        respond.send_response(answer, true).unwrap();
    })
    .await;
    let proxy = in_front_of(&app);
    let (response, mut send) = client(&proxy).await.send_request(post(), false).unwrap();
    tokio::spawn(async move {
        let mut left = 20 << 20;
        while left > 0 {
            send.reserve_capacity(left);
            let capacity = std::future::poll_fn(|cx| send.poll_capacity(cx)).await;
            let now = capacity.unwrap().unwrap().min(left);
            left -= now;
            send.send_data(Bytes::from(vec![1; now]), left == 0)
                .unwrap();
        }
    });
    let response = within(response).await.unwrap();
    assert_eq!(response.headers()["x-count"], (20 << 20).to_string());
}

#[tokio::test]
async fn a_request_that_is_given_up_is_given_up_on_every_hop() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let app = app(move |_body, mut respond| {
        let tell = tell.clone();
        async move {
            tell.send(None).unwrap();
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            tell.send(reason.ok()).unwrap();
        }
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = client(&proxy).await;
    let (response, mut send) = client.send_request(post(), false).unwrap();
    assert_eq!(within(told.recv()).await, Some(None));
    send.send_reset(Reason::CANCEL);
    assert_eq!(within(told.recv()).await, Some(Some(Reason::CANCEL)));
    assert!(within(response).await.is_err());
    until(|| proxy.telemetry.metrics().contains("response_flags=\"DC\"")).await;
}

#[tokio::test]
async fn a_response_that_breaks_off_breaks_off_for_the_client() {
    let seen = Arc::new(tokio::sync::Notify::new());
    let is_seen = Arc::clone(&seen);
    let app = app(move |_body, mut respond| {
        let is_seen = Arc::clone(&is_seen);
        async move {
            let mut send = respond.send_response(head(), false).unwrap();
            send.send_data(Bytes::from_static(b"part"), false).unwrap();
            is_seen.notified().await;
            send.send_reset(Reason::INTERNAL_ERROR);
        }
    })
    .await;
    let proxy = in_front_of(&app);
    let (response, _) = client(&proxy).await.send_request(post(), true).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    assert_eq!(read(&mut body).await.unwrap(), "part");
    seen.notify_one();
    let last = within(body.data()).await.unwrap();
    assert_eq!(last.unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
}

#[tokio::test]
async fn an_early_answer_ends_the_upload() {
    let app = app(|_body, mut respond| async move {
        let answer = http::Response::builder().status(413).body(()).unwrap();
        respond.send_response(answer, true).unwrap();
    })
    .await;
    let proxy = in_front_of(&app);
    let (response, mut send) = client(&proxy).await.send_request(post(), false).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 413);
    let reason = within(std::future::poll_fn(|cx| send.poll_reset(cx)))
        .await
        .unwrap();
    assert_eq!(reason, Reason::NO_ERROR);
}

#[tokio::test]
async fn a_server_that_allows_few_streams_gets_more_connections() {
    let waiting = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&waiting);
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(2);
    let app = serve(builder, move |_, mut respond| {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::Relaxed);
            until(|| count.load(Ordering::Relaxed) >= 6).await;
            respond.send_response(head(), true).unwrap();
        }
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = client(&proxy).await;
    let mut responses = Vec::new();
    for nth in 1..=6 {
        responses.push(client.send_request(post(), true).unwrap().0);
        // In turn, so that the server's limit is known.
        until(|| waiting.load(Ordering::Relaxed) >= nth).await;
    }
    for response in responses {
        assert_eq!(within(response).await.unwrap().status(), 200);
    }
    assert_eq!(app.connections(), 3);
}

#[tokio::test]
async fn a_server_that_says_goodbye_costs_no_request() {
    // Two requests a connection, then GOAWAY; what is beyond was not seen.
    let app = App::raw(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut seen = 0;
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            seen += 1;
            respond.send_response(head(), true).unwrap();
            if seen == 2 {
                connection.graceful_shutdown();
            }
        }
    })
    .await;
    let proxy = in_front_of(&app);
    let client = client(&proxy).await;
    let mut responses = Vec::new();
    for _ in 0..40 {
        let mut client = within(client.clone().ready()).await.unwrap();
        responses.push(client.send_request(post(), true).unwrap().0);
    }
    for response in responses {
        assert_eq!(within(response).await.unwrap().status(), 200);
    }
}
