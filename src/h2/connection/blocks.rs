//! Blocks of fields: HEADERS and the CONTINUATION frames behind it are one block (RFC 9113 §4.3).

use crate::h2::connection::{Call, Speech};
use crate::h2::event::{Bound, Event};
use crate::h2::frame::{Flags, FrameHeader, FrameType, StreamId, field_block};
use crate::h2::head::OpenHead;
use crate::h2::streams::{Asked, Kind};
use crate::http;
use crate::packet::Moment;
use crate::stream::{Role, StreamEvent};

/// A block that is not complete.
#[derive(Debug)]
pub(super) struct Block {
    /// The header of its first frame.
    header: FrameHeader,
    bytes: Vec<u8>,
    begun: Moment,
    /// Whether bytes of it are missing: then what comes behind them cannot be read.
    cut: bool,
}

/// A head that was read, and how it came.
struct Read {
    head: OpenHead,
    begun: Moment,
    bytes: u32,
}

impl Speech {
    /// HEADERS, or PUSH_PROMISE: its block counts for the table of fields.
    pub(super) fn begin_block(
        &mut self,
        role: Role,
        header: FrameHeader,
        payload: &[u8],
        missing: u64,
        call: &mut Call<'_>,
    ) {
        // Without its end the length of the padding makes no sense.
        let header = match missing {
            0 => header,
            _ => FrameHeader { flags: Flags(header.flags.0 & !Flags::PADDED.0), ..header },
        };
        let Some(bytes) = field_block(header, payload) else { return self.halves[role].hpack.forget() };
        if header.flags.has(Flags::END_HEADERS) {
            let block = Block { header, bytes: Vec::new(), begun: call.moment, cut: missing > 0 };
            return self.block(role, &block, bytes, call);
        }
        let block = Block { header, bytes: bytes.to_vec(), begun: call.moment, cut: missing > 0 };
        self.halves[role].block = Some(Box::new(block));
    }

    pub(super) fn continue_block(
        &mut self,
        role: Role,
        header: FrameHeader,
        payload: &[u8],
        missing: u64,
        call: &mut Call<'_>,
    ) {
        let most = self.bounds.head_bytes;
        let Some(block) = &mut self.halves[role].block else { return self.halves[role].hpack.forget() };
        if !block.cut {
            let kept = payload.len().min(most.saturating_sub(block.bytes.len()));
            block.bytes.extend_from_slice(&payload[..kept]);
            block.cut = missing > 0 || kept < payload.len();
            if kept < payload.len() {
                call.tell(Event::Limit(Bound::HeadBytes));
            }
        }
        if header.flags.has(Flags::END_HEADERS)
            && let Some(mut block) = self.halves[role].block.take()
        {
            let bytes = std::mem::take(&mut block.bytes);
            self.block(role, &block, &bytes, call);
        }
    }

    /// Another frame stands where the block should go on: it never will (RFC 9113 §6.10).
    pub(super) fn interrupt_block(&mut self, role: Role) {
        let half = &mut self.halves[role];
        if half.block.take().is_some() {
            half.hpack.forget();
        }
    }

    /// A block is complete, or as complete as it will be.
    fn block(&mut self, role: Role, block: &Block, bytes: &[u8], call: &mut Call<'_>) {
        let mut head = OpenHead::default();
        let bounds = self.bounds;
        let hpack = &mut self.halves[role].hpack;
        let overflows = hpack.overflows();
        let broken =
            hpack.decode(bytes, &mut |field| head.field(field, bounds.head_bytes, bounds.head_fields)).is_err();
        if block.cut {
            hpack.forget();
        }
        let overflown = hpack.overflows() > overflows;
        head.cut |= broken || block.cut;
        for (reached, bound) in [
            (overflown, Bound::TableBytes),
            (head.too_many_bytes, Bound::HeadBytes),
            (head.too_many_fields, Bound::HeadFields),
        ] {
            if reached {
                call.tell(Event::Limit(bound));
            }
        }
        if block.header.kind == FrameType::HEADERS {
            let id = block.header.stream;
            let read = Read { head, begun: block.begun, bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
            match role {
                Role::Client => self.request(id, &read, call),
                Role::Server => self.response(id, &read, call),
            }
            if block.header.flags.has(Flags::END_STREAM) {
                self.end_stream(role, id, call);
            }
        }
    }

    fn request(&mut self, id: StreamId, read: &Read, call: &mut Call<'_>) {
        if self.streams.find(id).is_some_and(|stream| !matches!(stream.kind, Kind::Unknown)) {
            return; // trailers
        }
        let Some(head) = read.head.request() else {
            if read.head.cut {
                self.lost = true;
            }
            return;
        };
        let extended_connect = head.is_extended_connect();
        let index = self.requests;
        self.requests = self.requests.saturating_add(1);
        let asked = Asked { index, extended_connect, early: Default::default() };
        self.open(id, Kind::Asked(Box::new(asked)), call);
        if extended_connect {
            self.windows.watch(id);
        }
        let (begun, moment, head_bytes, cut) = (read.begun, call.moment, read.bytes, read.head.cut);
        call.tell(Event::Request(id, http::Request { index, head, begun, moment, head_bytes, cut }));
    }

    fn response(&mut self, id: StreamId, read: &Read, call: &mut Call<'_>) {
        let Some(head) = read.head.response() else { return };
        let Some(stream) = self.streams.find(id) else { return };
        let Kind::Asked(asked) = &stream.kind else { return };
        let interim = head.status < 200;
        let tunnel = asked.extended_connect && (200..300).contains(&head.status);
        let (request, begun, moment, cut) = (Some(asked.index), read.begun, call.moment, read.head.cut);
        let head_bytes = read.bytes;
        if interim {
            let response = http::Response { request, interim, head, begun, moment, head_bytes, cut };
            return call.tell(Event::Response(id, response));
        }
        let kind = if tunnel { Kind::Tunnel } else { Kind::Answered };
        let asked = std::mem::replace(&mut stream.kind, kind);
        call.tell(Event::Response(id, http::Response { request, interim, head, begun, moment, head_bytes, cut }));
        if tunnel && let Kind::Asked(asked) = asked {
            call.tell(Event::Tunnel(id));
            asked.early.replay(|moment, event| call.tell(Event::TunnelStream(id, Role::Client, moment, event)));
            if let Some(stream) = self.streams.find(id)
                && stream.ended.client
            {
                call.tell(Event::TunnelStream(id, Role::Client, moment, StreamEvent::Finished));
            }
        }
    }
}
