//! Joining two streams.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

// What one read may bring: with TLS, all records that came at once.
const CHUNK: usize = 128 * 1024;

thread_local! {
    // All relays of a worker share one buffer, so that an idle connection holds none. A relay
    // keeps bytes of its own only while its receiver is slower than its sender.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// How long a relay may be silent.
#[derive(Clone, Copy, Debug)]
pub struct RelayLimits {
    /// With both directions open.
    pub idle: Duration,
    /// Once one direction has ended.
    pub half_closed: Duration,
}

/// What a relay has carried so far.
#[derive(Debug, Default)]
pub struct RelayMeter {
    from_client: Cell<u64>,
    from_server: Cell<u64>,
}

/// Why a relay ended.
#[derive(Debug)]
pub enum Ending {
    /// Both directions ended in order.
    Closed,
    /// Nothing moved for too long.
    Idle,
    /// The client's side broke.
    Client(io::Error),
    /// The server's side broke.
    Server(io::Error),
    /// The given condition came true.
    Cancelled,
}

enum Broken {
    Reader(io::Error),
    Writer(io::Error),
}

// One direction.
#[derive(Default)]
struct Pipe {
    // Bytes that the writer has not taken yet.
    waiting: Vec<u8>,
    start: usize,
    carried: u64,
    ended: bool,
    done: bool,
    unflushed: bool,
}

/// Carries bytes both ways until both directions end, one side breaks, nothing moves for too
/// long, or `cancelled` resolves. The end of one direction is passed on (half-close); the other
/// goes on. A direction is read only as fast as its bytes are taken.
pub async fn relay(
    client: &mut Stream,
    server: &mut Stream,
    limits: RelayLimits,
    meter: &RelayMeter,
    cancelled: impl Future<Output = ()>,
) -> Ending {
    let mut up = Pipe::default();
    let mut down = Pipe::default();
    let mut cancelled = pin!(cancelled);
    let mut timer = pin!(tokio::time::sleep(limits.idle));
    let mut moved = false;
    let mut half_closed = false;
    poll_fn(|cx| {
        if cancelled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ending::Cancelled);
        }
        let before = up.carried + down.carried;
        let upward = up.poll(cx, client, server);
        let downward = down.poll(cx, server, client);
        meter.from_client.set(up.carried);
        meter.from_server.set(down.carried);
        match (upward, downward) {
            (Err(Broken::Reader(e)), _) | (_, Err(Broken::Writer(e))) => {
                return Poll::Ready(Ending::Client(e));
            }
            (Err(Broken::Writer(e)), _) | (_, Err(Broken::Reader(e))) => {
                return Poll::Ready(Ending::Server(e));
            }
            (Ok(true), Ok(true)) => return Poll::Ready(Ending::Closed),
            (Ok(one), Ok(other)) => {
                if (one || other) && !half_closed {
                    half_closed = true;
                    timer
                        .as_mut()
                        .reset(tokio::time::Instant::now() + limits.half_closed);
                }
            }
        }
        moved |= up.carried + down.carried != before;
        // The clock is read once per period, not once per read: silence is noticed after one
        // to two periods.
        while timer.as_mut().poll(cx).is_ready() {
            if !moved {
                return Poll::Ready(Ending::Idle);
            }
            moved = false;
            let period = if half_closed {
                limits.half_closed
            } else {
                limits.idle
            };
            timer.as_mut().reset(tokio::time::Instant::now() + period);
        }
        Poll::Pending
    })
    .await
}

// === impl RelayMeter ===

impl RelayMeter {
    /// Bytes from the client.
    pub fn from_client(&self) -> u64 {
        self.from_client.get()
    }

    /// Bytes from the server.
    pub fn from_server(&self) -> u64 {
        self.from_server.get()
    }
}

// === impl Pipe ===

impl Pipe {
    // Ok(true) once the direction has ended and its end was passed on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Result<bool, Broken> {
        if self.done {
            return Ok(true);
        }
        loop {
            if !self.drain(cx, to)? {
                return Ok(false);
            }
            if self.ended {
                return match Pin::new(&mut *to).poll_shutdown(cx) {
                    Poll::Pending => Ok(false),
                    // The peer may be gone already: its half is closed, then.
                    Poll::Ready(_) => {
                        self.done = true;
                        Ok(true)
                    }
                };
            }
            let more = SCRATCH.with_borrow_mut(|scratch| self.move_chunk(cx, from, to, scratch))?;
            if !more {
                return Ok(false);
            }
        }
    }

    // Writes what waits; false if the writer is not ready.
    fn drain(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Result<bool, Broken> {
        while let Some(rest) = self
            .waiting
            .get(self.start..)
            .filter(|rest| !rest.is_empty())
        {
            match Pin::new(&mut *to).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(Broken::Writer(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.start += count,
                Poll::Ready(Err(error)) => return Err(Broken::Writer(error)),
                Poll::Pending => return Ok(false),
            }
        }
        if !self.waiting.is_empty() {
            self.waiting = Vec::new();
            self.start = 0;
        }
        Ok(true)
    }

    // Reads once and writes what came; false if there is nothing to read now.
    fn move_chunk(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        scratch: &mut [u8],
    ) -> Result<bool, Broken> {
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(from).poll_read(cx, &mut buffer) {
            Poll::Pending => {
                if self.unflushed {
                    match Pin::new(to).poll_flush(cx) {
                        Poll::Ready(Ok(())) => self.unflushed = false,
                        Poll::Ready(Err(error)) => return Err(Broken::Writer(error)),
                        Poll::Pending => {}
                    }
                }
                return Ok(false);
            }
            Poll::Ready(Err(error)) => return Err(Broken::Reader(error)),
            Poll::Ready(Ok(())) => {}
        }
        let mut rest = buffer.filled();
        if rest.is_empty() {
            self.ended = true;
            return Ok(true);
        }
        self.carried += rest.len() as u64;
        self.unflushed = true;
        while !rest.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(Broken::Writer(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => rest = rest.get(count..).unwrap_or_default(),
                Poll::Ready(Err(error)) => return Err(Broken::Writer(error)),
                Poll::Pending => {
                    self.waiting.extend_from_slice(rest);
                    break;
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    const LIMITS: RelayLimits = RelayLimits {
        idle: Duration::from_secs(3600),
        half_closed: Duration::from_secs(600),
    };

    fn pair() -> (UnixStream, Stream) {
        let (far, near) = UnixStream::pair().unwrap();
        (far, Stream::from(near))
    }

    #[tokio::test]
    async fn half_close_is_passed_on_and_the_other_half_lives() {
        let (mut client, mut near) = pair();
        let (mut server, mut far) = pair();
        let meter = RelayMeter::default();
        let carry = relay(&mut near, &mut far, LIMITS, &meter, pending());
        let talk = async move {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut asked = String::new();
            server.read_to_string(&mut asked).await.unwrap();
            assert_eq!(asked, "question");
            server.write_all(b"answer").await.unwrap();
            drop(server);
            let mut answered = String::new();
            client.read_to_string(&mut answered).await.unwrap();
            assert_eq!(answered, "answer");
        };
        let (ending, ()) = tokio::join!(carry, talk);
        assert_eq!((meter.from_client(), meter.from_server()), (8, 6));
        assert!(matches!(ending, Ending::Closed));
    }

    #[tokio::test]
    async fn megabytes_pass_both_ways_at_once() {
        const SIZE: usize = 3 << 20;
        let (client, mut near) = pair();
        let (server, mut far) = pair();
        async fn both(stream: UnixStream, fill: u8) -> Vec<u8> {
            let (mut read, mut write) = stream.into_split();
            let mut got = Vec::new();
            let send = async move {
                write.write_all(&vec![fill; SIZE]).await.unwrap();
                write.shutdown().await.unwrap();
                write
            };
            let receive = async {
                read.read_to_end(&mut got).await.unwrap();
            };
            let _ = tokio::join!(send, receive);
            got
        }
        let meter = RelayMeter::default();
        let carry = relay(&mut near, &mut far, LIMITS, &meter, pending());
        let (_, at_client, at_server) = tokio::join!(carry, both(client, 1), both(server, 2));
        assert_eq!(
            (meter.from_client(), meter.from_server()),
            (SIZE as u64, SIZE as u64)
        );
        assert!(at_client.iter().all(|b| *b == 2) && at_server.iter().all(|b| *b == 1));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it() {
        let (_client, mut near) = pair();
        let (_server, mut far) = pair();
        let ending = relay(
            &mut near,
            &mut far,
            LIMITS,
            &RelayMeter::default(),
            pending(),
        )
        .await;
        assert!(matches!(ending, Ending::Idle));
    }

    #[tokio::test]
    async fn a_condition_ends_it() {
        let (_client, mut near) = pair();
        let (_server, mut far) = pair();
        let ending = relay(&mut near, &mut far, LIMITS, &RelayMeter::default(), async {
        })
        .await;
        assert!(matches!(ending, Ending::Cancelled));
    }
}
