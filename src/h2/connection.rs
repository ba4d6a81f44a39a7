//! One HTTP/2 connection, heard from outside.

mod blocks;

use blocks::Block;

use crate::h2::event::{Bound, Event, StreamEnd};
use crate::h2::frame::{ErrorCode, Flags, FrameHeader, FrameType, Setting, StreamId, USUAL_PAYLOAD};
use crate::h2::hpack;
use crate::h2::reader::{Piece, Reader};
use crate::h2::streams::{Kind, Streams};
use crate::h2::windows::Windows;
use crate::limits::Limits;
use crate::packet::Moment;
use crate::stream::{ByRole, GapCause, Role, StreamEvent};

/// Who hears what is said.
pub type Listener<'l> = &'l mut dyn FnMut(Event<'_>);

/// The state of one connection, both directions.
#[derive(Debug)]
pub struct Connection {
    readers: ByRole<Reader>,
    speech: Speech,
}

/// What is made of the frames.
#[derive(Debug)]
struct Speech {
    halves: ByRole<Half>,
    streams: Streams,
    windows: Windows,
    /// Requests so far.
    requests: u32,
    /// Whether requests may have been missed.
    lost: bool,
    bounds: Bounds,
}

/// One direction.
#[derive(Debug)]
struct Half {
    hpack: hpack::Decoder,
    /// A block of fields that is not complete.
    block: Option<Box<Block>>,
    settings_seen: bool,
    connect_protocol: bool,
    /// Payload bytes that this side allows in a frame, if it said so.
    largest: u32,
    /// Bytes that could not be read because it was not known where frames begin.
    unread: u64,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    head_bytes: usize,
    head_fields: usize,
    early_bytes: usize,
}

/// What a call brings along: the packet, and who listens.
struct Call<'c> {
    moment: Moment,
    listener: Listener<'c>,
}

impl Call<'_> {
    fn tell(&mut self, event: Event<'_>) {
        (self.listener)(event);
    }
}

impl Connection {
    /// A connection from its beginning.
    pub fn new(limits: &Limits) -> Connection {
        let reader = |preface| Reader::new(preface, limits.head_bytes);
        Connection {
            readers: ByRole { client: reader(true), server: reader(false) },
            speech: Speech::new(limits, true),
        }
    }

    /// A connection that was open before the capture began.
    pub fn mid_stream(limits: &Limits) -> Connection {
        let reader = || Reader::mid_stream(limits.head_bytes);
        let mut speech = Speech::new(limits, false);
        for role in Role::BOTH {
            speech.halves[role].hpack.forget();
        }
        Connection { readers: ByRole { client: reader(), server: reader() }, speech }
    }

    /// Takes what a stream says: the one that `role` sends. `moment` is that of the packet which carried it.
    pub fn handle(&mut self, role: Role, event: StreamEvent<'_>, moment: Moment, listener: Listener<'_>) {
        let call = &mut Call { moment, listener };
        let (reader, speech) = (&mut self.readers[role], &mut self.speech);
        reader.largest = speech.halves[role.peer()].largest;
        match event {
            StreamEvent::Data(bytes) => reader.handle(bytes, &mut |piece| speech.piece(role, piece, call)),
            StreamEvent::Gap(missing, cause) => {
                let mut take = |piece: Piece<'_>| speech.piece(role, piece, call);
                match cause.is_exact() {
                    true => reader.gap(missing, &mut take),
                    false => reader.lose_place(missing, &mut take),
                }
            }
            StreamEvent::Finished | StreamEvent::Reset => speech.ended(role, event, call),
        }
    }

    /// Whether the client has not said a byte, of a connection from its beginning.
    pub fn awaits_client(&self) -> bool {
        self.readers.client.awaits_preface()
    }

    /// Whether the server takes an extended CONNECT (RFC 8441 §3); `None` when its SETTINGS were not seen.
    pub fn connect_protocol_enabled(&self) -> Option<bool> {
        let server = &self.speech.halves.server;
        server.settings_seen.then_some(server.connect_protocol)
    }

    /// Requests that were made on it.
    pub fn requests(&self) -> u32 {
        self.speech.requests
    }

    /// Bytes of this side that were not read, because bytes are missing where frames begin.
    pub fn unread(&self, role: Role) -> u64 {
        self.speech.halves[role].unread + self.readers[role].unread()
    }
}

impl Speech {
    fn new(limits: &Limits, from_the_beginning: bool) -> Speech {
        let half = || Half {
            hpack: hpack::Decoder::new(limits.h2_table_bytes),
            block: None,
            settings_seen: false,
            connect_protocol: false,
            largest: USUAL_PAYLOAD,
            unread: 0,
        };
        Speech {
            halves: ByRole { client: half(), server: half() },
            streams: Streams::new(limits.h2_streams),
            windows: Windows::new(from_the_beginning),
            requests: 0,
            lost: !from_the_beginning,
            bounds: Bounds {
                head_bytes: limits.head_bytes,
                head_fields: limits.head_fields,
                early_bytes: limits.early_bytes,
            },
        }
    }

    fn piece(&mut self, role: Role, piece: Piece<'_>, call: &mut Call<'_>) {
        match piece {
            Piece::Frame(header, payload, missing) => self.frame(role, header, payload, missing, call),
            Piece::DataBegins(header) => {
                self.interrupt_block(role);
                self.windows.sent(role, header.stream, header.length, call.moment);
            }
            Piece::Data(header, bytes) => self.data(role, header.stream, StreamEvent::Data(bytes), call),
            Piece::DataGap(header, missing) => {
                self.data(role, header.stream, StreamEvent::Gap(missing, GapCause::NotCaptured), call);
            }
            Piece::DataEnds(header) => {
                if header.flags.has(Flags::END_STREAM) {
                    self.end_stream(role, header.stream, call);
                }
            }
            Piece::Lost => self.lose(role),
            Piece::Found(unread) => self.found(role, unread, call),
        }
    }

    fn frame(&mut self, role: Role, header: FrameHeader, payload: &[u8], missing: u64, call: &mut Call<'_>) {
        if header.kind != FrameType::CONTINUATION {
            self.interrupt_block(role);
        }
        match header.kind {
            FrameType::HEADERS | FrameType::PUSH_PROMISE => self.begin_block(role, header, payload, missing, call),
            FrameType::CONTINUATION => self.continue_block(role, header, payload, missing, call),
            FrameType::SETTINGS if !header.flags.has(Flags::ACK) => self.settings(role, payload, call),
            FrameType::RST_STREAM => {
                if let Some(&code) = payload.first_chunk() {
                    let code = ErrorCode(u32::from_be_bytes(code));
                    self.close(role, header.stream, StreamEnd::Reset(code), call);
                }
            }
            FrameType::GOAWAY => self.go_away(role, payload, call),
            FrameType::WINDOW_UPDATE => {
                if let Some(&bytes) = payload.first_chunk() {
                    let (bytes, sender) = (u32::from_be_bytes(bytes), role.peer());
                    let moment = call.moment;
                    let mut tell = |stream, stall| call.tell(Event::Stalled(stream, sender, stall));
                    self.windows.update(sender, header.stream, bytes, moment, &mut tell);
                }
            }
            // PING, PRIORITY and what is not known say nothing of a stream.
            _ => {}
        }
    }

    fn settings(&mut self, role: Role, payload: &[u8], call: &mut Call<'_>) {
        self.halves[role].settings_seen = true;
        for (setting, value) in Setting::all(payload) {
            match setting {
                Setting::ENABLE_CONNECT_PROTOCOL => self.halves[role].connect_protocol = value == 1,
                Setting::MAX_FRAME_SIZE => self.halves[role].largest = value.clamp(USUAL_PAYLOAD, (1 << 24) - 1),
                Setting::INITIAL_WINDOW_SIZE => {
                    let (sender, moment) = (role.peer(), call.moment);
                    let mut tell = |stream, stall| call.tell(Event::Stalled(stream, sender, stall));
                    self.windows.resize(sender, value.min(i32::MAX as u32), moment, &mut tell);
                }
                _ => {}
            }
        }
    }

    /// The peer's streams above the last one were not begun; with an error, all streams are over (RFC 9113 §6.8).
    fn go_away(&mut self, role: Role, payload: &[u8], call: &mut Call<'_>) {
        let Some((&[l1, l2, l3, l4, e1, e2, e3, e4], _)) = payload.split_first_chunk::<8>() else { return };
        let last = StreamId(u32::from_be_bytes([l1, l2, l3, l4]) & 0x7fff_ffff);
        let code = ErrorCode(u32::from_be_bytes([e1, e2, e3, e4]));
        for id in self.streams.ids() {
            let by_peer = (id.0 % 2 == 1) == (role == Role::Server);
            if code != ErrorCode::NO_ERROR || (by_peer && id > last) {
                self.close(role, id, StreamEnd::GoAway(code), call);
            }
        }
    }

    /// The next bytes of a stream, or a hole in it.
    fn data(&mut self, role: Role, id: StreamId, event: StreamEvent<'_>, call: &mut Call<'_>) {
        let Some(stream) = self.streams.find(id) else {
            // Only a client whose packets are not captured can have begun it.
            let begun_unseen = self.lost || !self.halves.client.settings_seen;
            if begun_unseen && id.0 % 2 == 1 {
                self.open(id, Kind::Unknown, call);
                call.tell(Event::Unknown(id, role, call.moment, event));
            }
            return;
        };
        // A client waits for the server's SETTINGS before an extended CONNECT, and for the answer before frames (RFC 8441
        // §3, §5): where neither was seen they were not captured.
        if let Kind::Asked(asked) = &stream.kind
            && role == Role::Client
            && asked.extended_connect
            && !self.halves.server.settings_seen
        {
            stream.kind = Kind::Unknown;
        }
        match (&mut stream.kind, event) {
            (Kind::Tunnel, _) => call.tell(Event::TunnelStream(id, role, call.moment, event)),
            (Kind::Unknown, _) => call.tell(Event::Unknown(id, role, call.moment, event)),
            (Kind::Asked(asked), _) if role == Role::Client && asked.extended_connect => {
                let kept = asked.early.keep(event, call.moment, self.bounds.early_bytes);
                if !kept {
                    call.tell(Event::Limit(Bound::EarlyBytes));
                }
            }
            (Kind::Answered, StreamEvent::Data(bytes)) if role == Role::Server => call.tell(Event::Body(id, bytes)),
            _ => {}
        }
    }

    /// A stream becomes known.
    fn open(&mut self, id: StreamId, kind: Kind, call: &mut Call<'_>) {
        if let Some(evicted) = self.streams.open(id, kind) {
            self.forget(evicted, call);
            call.tell(Event::Limit(Bound::Streams));
        }
    }

    /// This side has said everything on a stream.
    fn end_stream(&mut self, role: Role, id: StreamId, call: &mut Call<'_>) {
        self.data(role, id, StreamEvent::Finished, call);
        let Some(stream) = self.streams.find(id) else { return };
        stream.ended[role] = true;
        let over = stream.ended.client && stream.ended.server;
        call.tell(Event::End(id, role, StreamEnd::EndStream, call.moment));
        if over {
            self.streams.close(id);
            self.forget(id, call);
        }
    }

    /// A stream is over at once.
    fn close(&mut self, role: Role, id: StreamId, end: StreamEnd, call: &mut Call<'_>) {
        if self.streams.find(id).is_none() {
            return;
        }
        self.data(role, id, StreamEvent::Reset, call);
        call.tell(Event::End(id, role, end, call.moment));
        self.streams.close(id);
        self.forget(id, call);
    }

    /// A stream is not followed any more.
    fn forget(&mut self, id: StreamId, call: &mut Call<'_>) {
        for (role, stall) in self.windows.end(id) {
            call.tell(Event::Stalled(id, role, stall));
        }
    }

    /// This side ended the connection.
    fn ended(&mut self, role: Role, event: StreamEvent<'_>, call: &mut Call<'_>) {
        for id in self.streams.tunnels() {
            self.data(role, id, event, call);
        }
        for id in self.streams.ids() {
            self.forget(id, call);
        }
    }

    /// Frames were missed: what they added to the table of fields is not known, nor which windows they opened.
    fn lose(&mut self, role: Role) {
        self.lost = true;
        self.halves[role].block = None;
        self.halves[role].hpack.forget();
        self.windows.lose();
    }

    /// Frames are read again: every tunnel may have lost something.
    fn found(&mut self, role: Role, unread: u64, call: &mut Call<'_>) {
        self.halves[role].unread += unread;
        if unread > 0 {
            for id in self.streams.tunnels() {
                self.data(role, id, StreamEvent::Gap(unread, GapCause::Estimated), call);
            }
        }
    }
}

#[cfg(test)]
mod tests;
