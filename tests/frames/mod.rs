//! Frames made by hand, and a listener that writes down what it hears.
#![allow(dead_code)]

use flate2::{Compress, Compression, FlushCompress};
use wsflow::limits::Limits;
use wsflow::packet::{Moment, PacketNumber, When};
use wsflow::stream::Role;
use wsflow::time::Timestamp;
use wsflow::ws::facts::{DirectionFacts, Opcode, Violation, ViolationKind};
use wsflow::ws::{Agreed, Control, Decoder, DeflateDirection, FrameListener, Message, Scratch};

/// The opening handshake was seen, and no extension agreed.
pub const PLAIN: Agreed = Agreed { deflate: None, handshake_seen: true };
/// permessage-deflate with context takeover.
pub const TAKEOVER: Agreed =
    Agreed { deflate: Some(DeflateDirection { no_context_takeover: false }), handshake_seen: true };
/// permessage-deflate without it.
pub const NO_TAKEOVER: Agreed =
    Agreed { deflate: Some(DeflateDirection { no_context_takeover: true }), handshake_seen: true };
/// The capture began later.
pub const UNSEEN: Agreed = Agreed { deflate: None, handshake_seen: false };

/// The masking key of RFC 6455 §5.7.
pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Packet `number`, captured so many milliseconds after the first.
pub fn moment(number: u64) -> Moment {
    Moment { at: Timestamp::from_nanos(1_000_000_000 + number * 1_000_000), packet: PacketNumber(number) }
}

/// The same, relative to the first.
pub fn when(number: u64) -> When {
    When::new(moment(0), moment(number))
}

/// A frame, to be changed before it is sent.
#[derive(Clone, Debug)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
    pub key: Option<[u8; 4]>,
}

/// A final frame of a server.
pub fn frame(opcode: Opcode, payload: impl AsRef<[u8]>) -> Frame {
    Frame { first: 0x80 | opcode.0, payload: payload.as_ref().to_vec(), key: None }
}

/// A text message of a server.
pub fn text(payload: impl AsRef<[u8]>) -> Frame {
    frame(Opcode::TEXT, payload)
}

impl Frame {
    /// More fragments follow.
    pub fn not_final(mut self) -> Frame {
        self.first &= 0x7F;
        self
    }

    /// With RSV1.
    pub fn compressed(mut self) -> Frame {
        self.first |= 0x40;
        self
    }

    /// With these of the three reserved bits.
    pub fn reserved(mut self, bits: u8) -> Frame {
        self.first |= bits << 4;
        self
    }

    /// As a client sends it.
    pub fn masked(mut self) -> Frame {
        self.key = Some(KEY);
        self
    }

    /// As `sender` sends it.
    pub fn by(self, sender: Role) -> Frame {
        if sender == Role::Client { self.masked() } else { self }
    }

    /// On the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mask = if self.key.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![self.first];
        match self.payload.len() {
            short @ 0..=125 => bytes.push(mask | short as u8),
            medium @ 126..=0xFFFF => {
                bytes.push(mask | 126);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(mask | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        let key = self.key.unwrap_or_default();
        bytes.extend(self.key.iter().flatten());
        bytes.extend(self.payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
        bytes
    }
}

/// All frames on the wire, one behind the other.
pub fn stream<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Vec<u8> {
    frames.into_iter().flat_map(Frame::bytes).collect()
}

/// A sender with context takeover.
pub struct Deflater(Compress);

impl Deflater {
    pub fn new() -> Deflater {
        Deflater(Compress::new(Compression::default(), false))
    }

    /// A compressed message of one frame (§7.2.1).
    pub fn text(&mut self, content: &str) -> Frame {
        text(self.payload(content.as_bytes())).compressed()
    }

    pub fn payload(&mut self, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(content.len() + 1024);
        self.0.compress_vec(content, &mut out, FlushCompress::Sync).expect("a compressor with room does not fail");
        assert!(out.ends_with(&[0, 0, 0xFF, 0xFF]), "room for all of it");
        out.truncate(out.len() - 4);
        out
    }
}

/// What a listener was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    Message {
        opcode: Opcode,
        bytes: u64,
        compressed: bool,
        fragments: u32,
        preview: String,
        truncated: bool,
        holes: bool,
    },
    Control {
        opcode: Opcode,
        payload: String,
        length: u64,
        whole: bool,
    },
    Violation(ViolationKind),
    Lost(u64),
    Resynchronised,
}

/// A whole message of one frame, as it is heard.
pub fn message(opcode: Opcode, preview: &str) -> Heard {
    Heard::Message {
        opcode,
        bytes: preview.len() as u64,
        compressed: false,
        fragments: 1,
        preview: preview.to_owned(),
        truncated: false,
        holes: false,
    }
}

/// A whole control frame, as it is heard.
pub fn control(opcode: Opcode, payload: &str) -> Heard {
    Heard::Control { opcode, payload: payload.to_owned(), length: payload.len() as u64, whole: true }
}

impl Heard {
    pub fn compressed(mut self) -> Heard {
        if let Heard::Message { compressed, .. } = &mut self {
            *compressed = true;
        }
        self
    }

    pub fn fragments(mut self, count: u32) -> Heard {
        if let Heard::Message { fragments, .. } = &mut self {
            *fragments = count;
        }
        self
    }

    pub fn with_holes(mut self) -> Heard {
        if let Heard::Message { holes, .. } = &mut self {
            *holes = true;
        }
        self
    }
}

/// Writes down what it hears.
#[derive(Debug, Default)]
pub struct Record {
    pub preview: usize,
    pub heard: Vec<Heard>,
    pub moments: Vec<Moment>,
}

impl FrameListener for Record {
    fn preview(&self) -> usize {
        self.preview
    }

    fn control(&mut self, control: Control<'_>) {
        let Control { opcode, payload, length, whole, moment, .. } = control;
        self.heard.push(Heard::Control { opcode, payload: printed(payload), length, whole });
        self.moments.push(moment);
    }

    fn message(&mut self, message: Message<'_>) {
        let Message { opcode, bytes, compressed, fragments, preview, truncated, holes, moment, .. } = message;
        let preview = printed(preview);
        self.heard.push(Heard::Message { opcode, bytes, compressed, fragments, preview, truncated, holes });
        self.moments.push(moment);
    }

    fn violation(&mut self, violation: Violation) {
        self.heard.push(Heard::Violation(violation.kind));
        self.moments.push(violation.moment);
    }

    fn lost(&mut self, bytes: u64, moment: Moment) {
        self.heard.push(Heard::Lost(bytes));
        self.moments.push(moment);
    }

    fn resynchronised(&mut self, moment: Moment) {
        self.heard.push(Heard::Resynchronised);
        self.moments.push(moment);
    }
}

fn printed(bytes: &[u8]) -> String {
    bytes.utf8_chunks().map(|chunk| format!("{}{}", chunk.valid(), chunk.invalid().escape_ascii())).collect()
}

/// One direction under test.
pub struct Direction {
    pub decoder: Decoder,
    pub scratch: Scratch,
    pub record: Record,
    pub packet: u64,
}

impl Direction {
    pub fn new(role: Role, agreed: Agreed) -> Direction {
        let record = Record { preview: 1 << 20, ..Record::default() };
        let limits = Limits::default();
        Direction { decoder: Decoder::new(role, agreed), scratch: Scratch::new(&limits), record, packet: 0 }
    }

    /// One packet.
    pub fn packet(&mut self, bytes: &[u8]) -> &mut Direction {
        self.packet += 1;
        self.decoder.handle(bytes, when(self.packet), &mut self.scratch, &mut self.record);
        self
    }

    /// One packet with this frame, as the direction's sender sends it.
    pub fn frame(&mut self, frame: Frame) -> &mut Direction {
        let bytes = frame.by(self.decoder.role()).bytes();
        self.packet(&bytes)
    }

    pub fn gap(&mut self, bytes: u64) -> &mut Direction {
        self.packet += 1;
        self.decoder.gap(bytes, when(self.packet), &mut self.scratch, &mut self.record);
        self
    }

    pub fn lose_place(&mut self, bytes: u64) -> &mut Direction {
        self.packet += 1;
        self.decoder.lose_place(bytes, when(self.packet), &mut self.scratch, &mut self.record);
        self
    }

    pub fn finish(&mut self) -> &mut Direction {
        self.decoder.finish(moment(0), &mut self.scratch, &mut self.record);
        self
    }

    pub fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.record.heard)
    }

    pub fn facts(&self) -> DirectionFacts {
        self.decoder.facts(moment(0))
    }

    pub fn violations(&self) -> Vec<ViolationKind> {
        self.facts().violations.iter().map(|violation| violation.kind).collect()
    }
}

/// What is heard of these bytes when all come in one packet, and what is known then.
pub fn decode(role: Role, agreed: Agreed, bytes: &[u8]) -> (Vec<Heard>, DirectionFacts) {
    let mut direction = Direction::new(role, agreed);
    direction.packet(bytes);
    (direction.heard(), direction.facts())
}
