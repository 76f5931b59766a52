//! What a client speaks, known from its first bytes.

mod habits;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mesh_proxy_core::detect::{self, Detected};

use crate::net::Stream;

pub use habits::{Habits, Speaker};

// A TLS hello with post-quantum key shares and many extensions is a few kilobytes.
const LONGEST: usize = 16 * 1024;

// Where both sides of an open connection wait, somebody will speak or hang up: an end as for
// any connection of bytes.
const BOTH_SILENT: Duration = Duration::from_secs(3600);

/// How [`first_bytes`] ended.
#[derive(Debug)]
pub enum First {
    /// The client spoke: this is what it begins with. Its bytes are still in the stream.
    Client(Detected),
    /// The client ended its side without a byte.
    Closed,
    /// Nothing came in time.
    Silent,
}

/// How [`race`] ended.
#[derive(Debug)]
pub enum Race<E> {
    /// As in [`first_bytes`].
    First(First),
    /// The client spoke first, and the connection to the server is there for what it says.
    Client(Detected, Stream),
    /// The server spoke first: they are to be joined. The bytes are still in the streams.
    Server(Stream),
    /// There is no connection to a server that could speak first, and the client is silent.
    Failed(E),
}

impl<E> Race<E> {
    /// Who spoke first, if anybody did.
    pub fn speaker(&self, client: &Stream) -> Option<Speaker> {
        match self {
            Self::First(First::Client(_)) | Self::Client(..) => Some(Speaker::Client),
            Self::Server(server) if !server.unread().is_empty() => Some(Speaker::Server),
            Self::Server(_) if !client.unread().is_empty() => Some(Speaker::Client),
            _ => None,
        }
    }
}

/// Reads until the protocol is clear, at most for `timeout`. A client that has said something,
/// but too little to be recognised, counts as opaque then.
///
/// # Errors
/// If the connection breaks.
pub async fn first_bytes(stream: &mut Stream, timeout: Duration) -> io::Result<First> {
    if !stream.unread().is_empty()
        && let Some(known) = classify(stream)
    {
        return Ok(First::Client(known));
    }
    match tokio::time::timeout(timeout, read_until_clear(stream)).await {
        Ok(result) => result,
        Err(_) if stream.unread().is_empty() => Ok(First::Silent),
        Err(_) => Ok(First::Client(Detected::Opaque)),
    }
}

/// As [`first_bytes`], for ports where a server may speak first: unless the client speaks within
/// `patience`, it opens the connection to the server (already authorised by the caller) and takes
/// whichever side speaks first. So nobody waits for a time of detection: a server is heard as
/// soon as it is reached. The connection is dropped only if the client turns out to speak what
/// goes another way: opaque bytes take it, and whatever else `keeps` says, so that the server
/// does not meet a connection without a byte.
///
/// `timeout` is for a client without a server: one that has to go on speaking until it is clear
/// what it speaks, or whose server cannot be reached.
///
/// # Errors
/// If the client's connection breaks.
pub async fn race<E>(
    client: &mut Stream,
    (patience, timeout): (Duration, Duration),
    keeps: impl Fn(&Detected) -> bool,
    dial: impl Future<Output = Result<Stream, E>>,
) -> io::Result<Race<E>> {
    let keeps = |detected: &Detected| *detected == Detected::Opaque || keeps(detected);
    // Looks at what is there already, also without any patience.
    match first_bytes(client, patience.min(timeout)).await? {
        First::Silent => {}
        first => return Ok(Race::First(first)),
    }
    let mut dial = pin!(dial);
    let dialed = {
        let mut first = pin!(first_bytes(client, timeout));
        tokio::select! {
            biased;
            first = &mut first => match first? {
                First::Silent => None,
                // Where these bytes go is known, and half of the way is gone.
                First::Client(detected) if keeps(&detected) => None,
                first => return Ok(Race::First(first)),
            },
            server = &mut dial => Some(server),
        }
    };
    let server = match dialed {
        Some(server) => server,
        None => dial.await,
    };
    settle(client, timeout, keeps, server).await
}

/// Goes on with an open connection to the server, or without one.
async fn settle<E>(
    client: &mut Stream,
    timeout: Duration,
    keeps: impl Fn(&Detected) -> bool,
    server: Result<Stream, E>,
) -> io::Result<Race<E>> {
    let mut server = match server {
        Ok(server) => server,
        // Only the client can decide now.
        Err(error) => {
            return Ok(match first_bytes(client, timeout).await? {
                First::Silent => Race::Failed(error),
                first => Race::First(first),
            });
        }
    };
    if client.unread().is_empty() {
        let deadline = pin!(tokio::time::sleep(BOTH_SILENT));
        match either_speaks(client, &mut server, deadline).await? {
            Spoke::Client => {}
            Spoke::ClientEnded => return Ok(Race::First(First::Closed)),
            Spoke::Server | Spoke::Nobody => return Ok(Race::Server(server)),
        }
    }
    Ok(match first_bytes(client, timeout).await? {
        First::Client(detected) if keeps(&detected) => Race::Client(detected, server),
        first => Race::First(first),
    })
}

enum Spoke {
    Client,
    ClientEnded,
    Server,
    Nobody,
}

async fn either_speaks(
    client: &mut Stream,
    server: &mut Stream,
    mut deadline: std::pin::Pin<&mut tokio::time::Sleep>,
) -> io::Result<Spoke> {
    std::future::poll_fn(|cx| {
        match client.poll_fill(cx) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Spoke::ClientEnded)),
            Poll::Ready(Ok(_)) => return Poll::Ready(Ok(Spoke::Client)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {}
        }
        // An end or an error of the server is its word, too: the relay meets it again.
        if server.poll_fill(cx).is_ready() {
            return Poll::Ready(Ok(Spoke::Server));
        }
        deadline.as_mut().poll(cx).map(|()| Ok(Spoke::Nobody))
    })
    .await
}

async fn read_until_clear(stream: &mut Stream) -> io::Result<First> {
    loop {
        if stream.fill().await? == 0 {
            return Ok(if stream.unread().is_empty() {
                First::Closed
            } else {
                First::Client(Detected::Opaque)
            });
        }
        if let Some(known) = classify(stream) {
            return Ok(First::Client(known));
        }
    }
}

fn classify(stream: &Stream) -> Option<Detected> {
    match detect::classify(stream.unread()) {
        Detected::NeedMore if stream.unread().len() >= LONGEST => Some(Detected::Opaque),
        Detected::NeedMore => None,
        known => Some(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::UnixStream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LONG: Duration = Duration::from_secs(600);
    // No patience with the client, a long time for what has to come.
    const AT_ONCE: (Duration, Duration) = (Duration::ZERO, LONG);

    fn pair() -> (UnixStream, Stream) {
        let (far, near) = UnixStream::pair().unwrap();
        (far, Stream::from(near))
    }

    #[tokio::test]
    async fn bytes_in_pieces_are_recognised_and_kept() {
        let (mut client, mut near) = pair();
        let send = async {
            for piece in [&b"GE"[..], b"T / HT", b"TP/1.1\r\nhost: a\r\n\r\n"] {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (first, ()) = tokio::join!(first_bytes(&mut near, LONG), send);
        assert!(matches!(first.unwrap(), First::Client(Detected::Http1)));
        assert!(near.unread().starts_with(b"GET /"));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_scraps_end_at_the_deadline() {
        let (mut client, mut near) = pair();
        assert!(matches!(
            first_bytes(&mut near, LONG).await.unwrap(),
            First::Silent
        ));
        client.write_all(b"G").await.unwrap();
        assert!(matches!(
            first_bytes(&mut near, LONG).await.unwrap(),
            First::Client(Detected::Opaque)
        ));
        drop(client);
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        assert!(matches!(
            first_bytes(&mut near, LONG).await.unwrap(),
            First::Closed
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_speak_first() {
        let (_client, mut near) = pair();
        let (mut server, far) = pair();
        server.write_all(b"220 ready\r\n").await.unwrap();
        let raced = race(&mut near, AT_ONCE, |_| false, async { Ok::<_, ()>(far) })
            .await
            .unwrap();
        let Race::Server(server) = raced else {
            panic!("{raced:?}")
        };
        assert_eq!(server.unread(), b"220 ready\r\n");
    }

    #[tokio::test]
    async fn a_client_that_speaks_first_dials_nothing() {
        let (mut client, mut near) = pair();
        client
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let dialed = std::cell::Cell::new(false);
        let dial = async {
            dialed.set(true);
            Err::<Stream, ()>(())
        };
        let raced = race(&mut near, AT_ONCE, |_| false, dial).await.unwrap();
        assert!(matches!(raced, Race::First(First::Client(Detected::Http2))));
        assert!(!dialed.get());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_heard_without_any_wait() {
        let began = tokio::time::Instant::now();
        let (_client, mut near) = pair();
        let (mut server, far) = pair();
        server.write_all(b"220 ready\r\n").await.unwrap();
        let dial = async { Ok::<_, ()>(far) };
        let raced = race(&mut near, AT_ONCE, |_| false, dial).await.unwrap();
        assert!(matches!(raced, Race::Server(_)));
        // The clock of this test moves only when everybody waits for it. The timer's own grain
        // is a millisecond.
        assert!(began.elapsed() <= Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn opaque_bytes_take_the_connection_that_is_there() {
        let (mut client, mut near) = pair();
        let (server, far) = pair();
        let raced = race(&mut near, AT_ONCE, |_| false, async {
            // The client speaks while the way is being made.
            client.write_all(b"*1\r\n$4\r\nPING\r\n").await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, ()>(far)
        });
        let Race::Client(Detected::Opaque, taken) = raced.await.unwrap() else {
            panic!("the connection is dropped")
        };
        assert!(taken.unread().is_empty() && near.unread().starts_with(b"*1"));
        drop(server);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_carried_as_bytes_takes_the_connection_that_is_there() {
        // The client speaks while the way is being made, and when it is there.
        for pause in [Duration::from_secs(1), Duration::from_secs(3)] {
            let (mut client, mut near) = pair();
            let (_server, far) = pair();
            let dial = async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok::<_, ()>(far)
            };
            let raced = race(&mut near, AT_ONCE, |_| true, dial);
            let speak = async {
                tokio::time::sleep(pause).await;
                client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            };
            let (raced, ()) = tokio::join!(raced, speak);
            assert!(matches!(raced.unwrap(), Race::Client(Detected::Http1, _)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_speak_long_after_the_connection_is_there() {
        let (mut client, mut near) = pair();
        let (_server, far) = pair();
        let raced = race(&mut near, AT_ONCE, |_| false, async { Ok::<_, ()>(far) });
        let speak = async {
            tokio::time::sleep(LONG * 2).await;
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        };
        let (raced, ()) = tokio::join!(raced, speak);
        assert!(matches!(
            raced.unwrap(),
            Race::First(First::Client(Detected::Http1))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_dial_leaves_the_word_to_the_client() {
        let (mut client, mut near) = pair();
        let raced = race(&mut near, AT_ONCE, |_| false, async {
            Err::<Stream, _>("refused")
        })
        .await
        .unwrap();
        assert!(matches!(raced, Race::Failed("refused")));
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let raced = race(&mut near, AT_ONCE, |_| false, async {
            Err::<Stream, _>("refused")
        })
        .await
        .unwrap();
        assert!(matches!(raced, Race::First(First::Client(Detected::Http1))));
    }
}
