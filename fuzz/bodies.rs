//! What each fuzz target does with its input. `tests/fuzz.rs` does the same with the seeds, without a fuzzer.
//!
//! What an input means is said at each body. Seeds were written by hand from these descriptions, or made with the `script`
//! module, and are kept small: each is tried cut at every place.
#![allow(dead_code, reason = "each target is a crate of its own and uses one of these")]

use std::io::{Cursor, Read};

use wsflow::limits::Limits;
use wsflow::packet::{InterfaceId, LinkType, Moment, Packet, PacketNumber};
use wsflow::source::{Input, Savefiles, Source};
use wsflow::stream::Role;
use wsflow::time::Timestamp;
use wsflow::tls::{Observer, Origin, SecretStore, TlsOutput};
use wsflow::wire::{Dissected, Dissector};

#[path = "bodies/streams.rs"]
mod streams;
#[path = "bodies/whole.rs"]
mod whole;

/// What a target does with its input. It panics when something is wrong.
pub type Body = fn(&[u8]);

/// Every body by the name of its target.
pub const BODIES: [(&str, Body); 8] = [
    ("savefile", savefile),
    ("wire", wire),
    ("reassembly", streams::reassembly),
    ("tls", tls),
    ("http", streams::http),
    ("h2", streams::h2),
    ("ws", streams::ws),
    ("engine", whole::engine),
];

/// The input is a savefile. Whole or in small pieces, it must yield the same packets and the same end.
pub fn savefile(data: &[u8]) {
    let (packets, error) = read_all(Savefiles::read("it", Cursor::new(data.to_vec())));
    let (packets_of_pieces, error_of_pieces) = read_all(Savefiles::read("it", Pieces(Cursor::new(data.to_vec()))));
    if error.as_ref().is_some_and(|error| error.contains("compression")) {
        // How far a broken stream can be unpacked depends on the pieces.
        assert!(packets.iter().zip(&packets_of_pieces).all(|(one, other)| one == other));
    } else {
        assert_eq!((packets, error), (packets_of_pieces, error_of_pieces));
    }
}

/// The input is packets: a link type, a length on the wire, the bytes that were captured, and so on.
pub fn wire(mut data: &[u8]) {
    let mut dissector = Dissector::new(&Limits::default());
    let mut number = 0;
    while let Some(([link @ .., a, b, size], rest)) = data.split_first_chunk::<5>() {
        let (captured, rest) = rest.split_at(rest.len().min(usize::from(*size)));
        number += 1;
        let packet = Packet {
            number: PacketNumber(number),
            at: Timestamp::from_parts(number, 0),
            interface: InterfaceId(0),
            link: LinkType(u16::from_be_bytes(*link)),
            length: u16::from_be_bytes([*a, *b]).into(),
            data: captured,
        };
        if let Dissected::Tcp(segment) = dissector.dissect(&packet) {
            assert!(segment.payload.len() <= segment.payload_length as usize);
            segment.options();
        }
        data = rest;
    }
    assert!(dissector.fragments_held() <= number as usize);
}

/// The input is a key log, a zero, and what happens on a connection: a byte of flags, a length of two bytes, the bytes.
/// Flags: 1 the server, 2 so many bytes are missing, 4 the key log is read now, 8 this side ends.
pub fn tls(data: &[u8]) {
    let split = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (keys, mut data) = data.split_at(split);
    let limits = Limits { tls_held_bytes: 1 << 10, ..Limits::default() };
    let mut secrets = SecretStore::new(&limits);
    secrets.expect(Origin::KeyLog);
    let mut observer = Observer::new(&limits);
    let (mut given, mut read) = (0, 0);
    data = data.get(1..).unwrap_or_default();
    while let Some(([flags, high, low], rest)) = data.split_first_chunk() {
        let role = if flags & 1 == 0 { Role::Client } else { Role::Server };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let moment = Moment::default();
        let mut out = |_: Role, _: Moment, output: TlsOutput<'_>| {
            if let TlsOutput::Plain(bytes) = output {
                read += bytes.len();
            }
        };
        if flags & 4 != 0 {
            secrets.feed(Origin::KeyLog, keys);
            secrets.end(Origin::KeyLog);
            observer.retry(&secrets, &mut out);
        }
        data = rest;
        if flags & 2 != 0 {
            observer.gap(role, length as u64, moment, &secrets, &mut out);
        } else {
            let (bytes, rest) = rest.split_at(length.min(rest.len()));
            given += bytes.len();
            observer.handle(role, bytes, moment, &secrets, &mut out);
            data = rest;
        }
        if flags & 8 != 0 {
            observer.finish(role, moment, &secrets, &mut out);
            observer.give_up(moment, &secrets, &mut out);
        }
    }
    assert!(read <= given && !format!("{secrets:?} {:?}", observer.facts()).is_empty());
}

/// Everything that a source yields, in words, and what was wrong at the end.
fn read_all(mut source: Savefiles) -> (Vec<String>, Option<String>) {
    let mut seen = Vec::new();
    let mut wrong = None;
    loop {
        match source.next(usize::MAX) {
            Ok(Some(Input::Packets(packets))) => seen.extend(packets.map(|packet| format!("{packet:?}"))),
            Ok(Some(input)) => seen.push(format!("{input:?}")),
            Ok(None) => return (seen, wrong),
            Err(error) => assert!(wrong.replace(error.to_string()).is_none(), "a file is damaged once"),
        }
    }
}

/// A stream that gives seven bytes at a time.
struct Pieces(Cursor<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let length = out.len().min(7);
        self.0.read(&mut out[..length])
    }
}
