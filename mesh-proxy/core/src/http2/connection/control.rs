//! What the peer says of windows, settings and ends.

use std::time::Instant;

use super::super::frame::{self, Head, MAX_31, flag, setting};
use super::super::{ConnectionError, ErrorCode};
use super::receive::Result;
use super::{Connection, Event, GoingAway, SHUT_DOWN, StreamId};

// === impl Connection ===

impl<T: Clone + Default> Connection<T> {
    pub(super) fn on_reset(
        &mut self,
        id: StreamId,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Event<T>>> {
        let wrong = ConnectionError::size("RST_STREAM of a wrong size");
        let code = frame::number(payload)
            .filter(|_| payload.len() == 4)
            .ok_or(wrong)?;
        self.known(id)?;
        let Some(stream) = self.streams.remove(&id) else {
            return Ok(None);
        };
        let code = ErrorCode(code);
        // A server that is done may say so; everything else is work for nothing.
        if self.is_server {
            self.waste(now)?;
        }
        Ok(Some(Event::Reset {
            data: stream.data,
            code,
            by_us: false,
        }))
    }

    pub(super) fn on_window(
        &mut self,
        id: StreamId,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Event<T>>> {
        let wrong = ConnectionError::size("WINDOW_UPDATE of a wrong size");
        let more = frame::number(payload)
            .filter(|_| payload.len() == 4)
            .ok_or(wrong)?
            & MAX_31;
        if id.0 == 0 {
            if more == 0 {
                return Err(ConnectionError::protocol("WINDOW_UPDATE of nothing"));
            }
            let overflow =
                ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, "the window is too large");
            self.send_window
                .give(i64::from(more))
                .map_err(|_| overflow)?;
            return Ok(Some(Event::Windows));
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            return self.known(id).map(|()| None);
        };
        if more == 0 {
            return self.end_stream(id, ErrorCode::PROTOCOL_ERROR, now);
        }
        if stream.send_window.give(i64::from(more)).is_err() {
            return self.end_stream(id, ErrorCode::FLOW_CONTROL_ERROR, now);
        }
        let data = stream.data.clone();
        Ok(Some(Event::Window { data }))
    }

    pub(super) fn on_settings(&mut self, head: Head, payload: &[u8]) -> Result<Option<Event<T>>> {
        if head.has(flag::ACK) {
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(ConnectionError::size("an acknowledgement with content"))
            };
        }
        if !std::mem::replace(&mut self.peer.is_known, true) {
            // What the first settings do not limit is not limited.
            self.peer.max_streams = u32::MAX;
        }
        self.apply_settings(payload)?;
        frame::put_settings_ack(&mut self.out);
        Ok(Some(Event::Windows))
    }

    pub(super) fn apply_settings(&mut self, payload: &[u8]) -> Result<()> {
        let (settings, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(ConnectionError::size("SETTINGS of a wrong size"));
        }
        for [a, b, c, d, e, f] in settings {
            let parameter = u16::from_be_bytes([*a, *b]);
            let value = u32::from_be_bytes([*c, *d, *e, *f]);
            self.on_setting(parameter, value)?;
        }
        Ok(())
    }

    fn on_setting(&mut self, parameter: u16, value: u32) -> Result<()> {
        match parameter {
            setting::HEADER_TABLE_SIZE => self.encoder.set_allowed(value as usize),
            setting::ENABLE_PUSH if value > 1 || !self.is_server && value == 1 => {
                return Err(ConnectionError::protocol("a setting of a wrong value"));
            }
            setting::MAX_CONCURRENT_STREAMS => self.peer.max_streams = value,
            setting::INITIAL_WINDOW_SIZE => {
                let overflow =
                    ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, "the window is too large");
                if value > MAX_31 {
                    return Err(overflow);
                }
                let change = i64::from(value) - i64::from(self.peer.initial_window);
                self.peer.initial_window = value;
                for stream in self.streams.values_mut() {
                    stream
                        .send_window
                        .give(change)
                        .map_err(|_| overflow.clone())?;
                }
            }
            // Larger frames are no use: one stream would hold up the others.
            setting::MAX_FRAME_SIZE if !(16_384..=16_777_215).contains(&value) => {
                return Err(ConnectionError::protocol("a setting of a wrong value"));
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn on_ping(&mut self, head: Head, payload: &[u8]) -> Result<Option<Event<T>>> {
        let wrong = ConnectionError::size("PING of a wrong size");
        let payload = <[u8; 8]>::try_from(payload).map_err(|_| wrong)?;
        if !head.has(flag::ACK) {
            frame::put_ping(true, payload, &mut self.out);
            return Ok(None);
        }
        if payload == SHUT_DOWN && self.going_away == GoingAway::Announced {
            // Everything that the peer sent before it knew is here.
            self.going_away = GoingAway::Final(self.last_theirs);
            frame::put_go_away(self.last_theirs, ErrorCode::NO_ERROR, "", &mut self.out);
        }
        Ok(Some(Event::Pong))
    }

    pub(super) fn on_go_away(&mut self, payload: &[u8]) -> Result<Option<Event<T>>> {
        let wrong = ConnectionError::size("GOAWAY of a wrong size");
        let last = frame::number(payload).ok_or(wrong.clone())? & MAX_31;
        let code = payload.get(4..).and_then(frame::number).ok_or(wrong)?;
        let before = self.their_last.unwrap_or(MAX_31);
        self.their_last = Some(last.min(before));
        Ok(Some(Event::GoAway {
            code: ErrorCode(code),
        }))
    }
}
