//! Files whose interfaces are not in order of time: who captures on several gathers packets of each by itself for a while (a
//! quarter of a second with dumpcap), and writes what it has of one behind what it has of the other. Read so, the
//! answer of a backend comes before the request of its proxy. Each interface is in order by itself, so each is read by a
//! lane of its own, and the lanes are merged.

use std::path::Path;

use super::block::{Block, Other};
use super::file::File;
use crate::time::Timestamp;

/// So many blocks are looked at, 16 MiB: where interfaces are gathered, it shows within a second.
const LOOKED_AT: usize = 256;

/// Files with more interfaces are read as they are: each one costs another reading of the file.
const INTERFACES: u32 = 8;

/// The packets of a file that a lane takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takes {
    All,
    /// Those of the interface of this index.
    Of(u32),
    /// Those of this one, and of all that are told of later.
    From(u32),
}

impl Takes {
    /// Whether it takes packets of this interface.
    #[inline]
    pub(super) fn takes(self, interface: u32) -> bool {
        match self {
            Takes::All => true,
            Takes::Of(only) => interface == only,
            Takes::From(first) => interface >= first,
        }
    }

    /// Whether the lane speaks for its file: of what is wrong with it one of them tells.
    pub(super) fn is_first(self) -> bool {
        matches!(self, Takes::All | Takes::Of(0))
    }
}

/// By which lanes a file is read. What is wrong with it is told when it is opened again.
pub(super) fn lanes(path: &Path) -> Vec<Takes> {
    let interfaces = path.is_file().then(|| File::open(path, false).ok()).flatten().and_then(turned);
    match interfaces.and_then(|interfaces| interfaces.checked_sub(1)) {
        Some(last) if (1..INTERFACES).contains(&last) => (0..last).map(Takes::Of).chain([Takes::From(last)]).collect(),
        _ => vec![Takes::All],
    }
}

/// How many interfaces a file has, where a packet of one stands behind a later one of another.
fn turned(mut file: File) -> Option<u32> {
    let (mut block, mut interfaces, mut turned) = (Block::default(), 0, false);
    let mut latest = (Timestamp::ZERO, 0);
    for _ in 0..LOOKED_AT {
        block = match file.next(block) {
            Some(Ok(block)) => block,
            _ => break,
        };
        interfaces += block.others.iter().filter(|(_, other)| matches!(other, Other::Interface(_))).count() as u32;
        if interfaces < 2 && !block.packets.is_empty() {
            return None; // that is so in most files
        }
        for packet in &block.packets {
            if packet.at >= latest.0 {
                latest = (packet.at, packet.interface);
            } else {
                turned |= packet.interface != latest.1;
            }
        }
    }
    turned.then_some(interfaces)
}
