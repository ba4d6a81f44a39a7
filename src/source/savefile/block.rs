//! A piece of a savefile, and what was found in it.

use crate::packet::LinkType;
use crate::source::packets::Record;
use crate::source::{Interface, SecretsFormat};
use crate::time::Timestamp;
use crate::wire::Headers;

/// Bytes of a file, and what is whole in them.
#[derive(Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// The packets, in order.
    pub(super) packets: Vec<Record>,
    /// What is no packet, in order, and how many of the packets come before it.
    pub(super) others: Vec<(usize, Other)>,
}

/// What a file holds beside packets.
#[derive(Clone, Debug)]
pub(super) enum Other {
    /// Secrets, and where their bytes are.
    Secrets { format: SecretsFormat, begin: u32, end: u32 },
    /// There is another interface.
    Interface(Interface),
    /// Packets that were dropped on an interface until now, as far as is said.
    Drops { interface: usize, by_interface: Option<u64>, by_kernel: Option<u64> },
}

/// Where a packet was captured, and how much there was of it.
#[derive(Clone, Copy)]
pub(super) struct Captured {
    pub(super) at: Timestamp,
    /// The index of its interface in the file.
    pub(super) interface: u32,
    pub(super) link: LinkType,
    /// Its length on the wire.
    pub(super) length: u32,
}

impl Block {
    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty() && self.others.is_empty()
    }

    /// Forgets what was found. Its room stays.
    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.others.clear();
    }

    /// Adds a packet, whose bytes are these from `begin` to `end`.
    #[inline(always)]
    pub(super) fn packet(&mut self, captured: Captured, bytes: &[u8], begin: usize, end: usize) {
        let Captured { at, interface, link, length } = captured;
        let headers = bytes.get(begin..end).and_then(|data| Headers::read(link, length, data));
        self.packets.push(Record { at, begin: begin as u32, end: end as u32, length, interface, link, headers });
    }

    /// Adds something else.
    pub(super) fn other(&mut self, other: Other) {
        self.others.push((self.packets.len(), other));
    }

    /// The bytes from `begin` to `end`.
    pub(super) fn part(&self, begin: u32, end: u32) -> &[u8] {
        self.bytes.get(begin as usize..end as usize).unwrap_or_default()
    }
}
