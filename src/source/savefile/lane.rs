//! One file of several, on its way through its blocks.

use super::ahead::Blocks;
use super::block::{Block, Other};
use super::file::File;
use crate::packet::InterfaceId;
use crate::source::packets::Record;
use crate::source::{Input, Interface, Packets, SourceError};
use crate::time::Timestamp;

/// A file, and how far it was read.
pub(super) struct Lane {
    pub(super) name: String,
    blocks: Blocks,
    /// What was read last.
    block: Block,
    /// The packets of the block that were taken last.
    from: usize,
    to: usize,
    /// So much of what is no packet was taken.
    others: usize,
    /// Whether what was taken last waits to be yielded.
    pub(super) waits: bool,
    /// What the file told of its interfaces until there.
    pub(super) interfaces: Vec<Interface>,
    /// The numbers of its interfaces among those of all files, as far as its packets have come to them.
    ids: Vec<InterfaceId>,
    /// By how many nanoseconds its clock is ahead.
    pub(super) ahead: i64,
    /// When the last packet before this block was captured.
    before: Timestamp,
}

impl Lane {
    /// Nothing of it was taken yet.
    pub(super) fn new(file: File) -> Lane {
        Lane {
            name: file.name().to_owned(),
            blocks: Blocks::of(file),
            block: Block::default(),
            from: 0,
            to: 0,
            others: 0,
            waits: false,
            interfaces: Vec::new(),
            ids: Vec::new(),
            ahead: 0,
            before: Timestamp::ZERO,
        }
    }

    /// Takes the next packets, `most` of them at most, or what else comes next; `None` at the end. What was taken before is
    /// gone. Where nothing has come for a while nothing is taken.
    pub(super) fn advance(&mut self, most: usize) -> Option<Result<(), Box<SourceError>>> {
        loop {
            self.from = self.to;
            let (other, end) = (self.block.others.get(self.others), self.end_of_packets());
            if self.to < end {
                self.to = end.min(self.to.saturating_add(most));
                return Some(Ok(()));
            }
            self.others += 1;
            match other {
                Some((_, Other::Secrets { .. })) => return Some(Ok(())),
                Some((_, Other::Interface(interface))) => self.interfaces.push(interface.clone()),
                Some((_, Other::Drops { interface, by_interface, by_kernel })) => {
                    if let Some(Interface { drops, .. }) = self.interfaces.get_mut(*interface) {
                        drops.interface = by_interface.unwrap_or(drops.interface);
                        drops.kernel = by_kernel.unwrap_or(drops.kernel);
                    }
                }
                None => {
                    (self.from, self.to, self.others) = (0, 0, 0);
                    self.before = self.block.packets.last().map_or(self.before, |packet| packet.at);
                    match self.blocks.next(std::mem::take(&mut self.block))? {
                        Ok(block) => self.block = block,
                        Err(error) => return Some(Err(error)),
                    }
                    if self.block.is_empty() {
                        return Some(Ok(()));
                    }
                }
            }
        }
    }

    /// Where the packets of the block end, or something else is told between them.
    fn end_of_packets(&self) -> usize {
        self.block.others.get(self.others).map_or(self.block.packets.len(), |(packets, _)| *packets)
    }

    /// Takes packets behind the one that was taken last, as long as their times are such; `most` in all.
    pub(super) fn extend(&mut self, most: usize, goes_on: impl Fn(Timestamp) -> bool) {
        if self.packets() == 0 {
            return;
        }
        let end = self.end_of_packets();
        let rest = self.block.packets.get(self.to..end.min(self.from.saturating_add(most))).unwrap_or_default();
        self.to += rest.iter().take_while(|packet| goes_on(self.moved(packet.at))).count();
    }

    /// Of the packets that were taken last, leaves `keep` behind the first `skip`. What is behind them is taken again.
    pub(super) fn narrow(&mut self, skip: usize, keep: usize) {
        self.from += skip;
        self.to = self.from + keep;
    }

    /// Gives numbers to the interfaces that were told of, when packets come to one that has none: `all` has those of all
    /// files. Of what was taken, the packets before it are kept.
    pub(super) fn number_interfaces(&mut self, all: &mut Vec<Interface>) {
        if self.ids.len() == self.interfaces.len() {
            return;
        }
        let numbered = self.ids.len();
        let first = self.taken().iter().position(|packet| packet.interface as usize >= numbered);
        match first {
            Some(0) => {
                for interface in &self.interfaces[numbered..] {
                    self.ids.push(InterfaceId(all.len() as u32));
                    all.push(interface.clone());
                }
            }
            Some(packets) => self.to = self.from + packets,
            None => {}
        }
    }

    /// How many packets were taken last; none where it was something else.
    pub(super) fn packets(&self) -> usize {
        self.to - self.from
    }

    /// When the first of what was taken last was captured, by the clock of all. Secrets come before all: they are needed as
    /// soon as they are there. So does that nothing was taken: what comes may come first.
    pub(super) fn at(&self) -> Timestamp {
        self.moved(self.taken().first().map_or(Timestamp::ZERO, |packet| packet.at))
    }

    fn moved(&self, at: Timestamp) -> Timestamp {
        if self.ahead == 0 { at } else { at.moved(self.ahead.saturating_neg()) }
    }

    /// What was taken last; the first of its packets has this number.
    pub(super) fn input(&self, number: u64) -> Input<'_> {
        let other = self.others.checked_sub(1).and_then(|index| self.block.others.get(index));
        match other {
            Some((_, Other::Secrets { format, begin, end })) if self.taken().is_empty() => {
                Input::Secrets { format: *format, data: self.block.part(*begin, *end) }
            }
            _ if self.taken().is_empty() => Input::Idle(self.moved(self.before)),
            _ => Input::Packets(self.run(number)),
        }
    }

    /// The packets that were taken last; the first of them has this number.
    pub(super) fn run(&self, number: u64) -> Packets<'_> {
        let (records, bytes) = (self.taken().iter(), &*self.block.bytes);
        Packets { records, bytes, number, interfaces: &self.ids, ahead: self.ahead }
    }

    fn taken(&self) -> &[Record] {
        self.block.packets.get(self.from..self.to).unwrap_or_default()
    }
}
