//! One file of several, or one interface of it, on its way through its blocks.

use super::ahead::Blocks;
use super::block::{Block, Other};
use super::file::File;
use super::interfaces::Takes;
use crate::packet::InterfaceId;
use crate::source::packets::Record;
use crate::source::{Input, Interface, Packets, SourceError};
use crate::time::Timestamp;

/// A file, and how far it was read.
pub(super) struct Lane {
    pub(super) name: String,
    /// The number of its file among those that are read.
    pub(super) file: usize,
    /// What it takes of the file.
    pub(super) takes: Takes,
    blocks: Blocks,
    /// The packets of the file before this block.
    read: u64,
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
    pub(super) fn new(number: usize, file: File, takes: Takes) -> Lane {
        Lane {
            name: file.name().to_owned(),
            file: number,
            takes,
            blocks: Blocks::of(file),
            read: 0,
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
            let (other, end) = (self.block.others.get(self.others), self.end_of_packets());
            self.from = self.to + self.left_out(self.to, end);
            self.to = self.from;
            if self.from < end {
                self.to += self.wanted(self.from, end.min(self.from.saturating_add(most)));
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
                    self.read += self.block.packets.len() as u64;
                    self.before = self.block.packets.last().map_or(self.before, |packet| packet.at);
                    match self.blocks.next(std::mem::take(&mut self.block))? {
                        Ok(block) => self.block = block,
                        Err(error) if self.takes.is_first() => return Some(Err(error)),
                        Err(_) => return None,
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

    /// How many packets of the block from here on are not taken.
    fn left_out(&self, from: usize, end: usize) -> usize {
        match self.takes {
            Takes::All => 0,
            takes => self.part(from, end).iter().take_while(|packet| !takes.takes(packet.interface)).count(),
        }
    }

    /// How many are.
    fn wanted(&self, from: usize, end: usize) -> usize {
        match self.takes {
            Takes::All => end - from,
            takes => self.part(from, end).iter().take_while(|packet| takes.takes(packet.interface)).count(),
        }
    }

    fn part(&self, from: usize, end: usize) -> &[Record] {
        self.block.packets.get(from..end).unwrap_or_default()
    }

    /// Takes packets behind the one that was taken last, as long as their times are such; `most` in all.
    pub(super) fn extend(&mut self, most: usize, goes_on: impl Fn(Timestamp) -> bool) {
        if self.packets() == 0 {
            return;
        }
        let rest = self.part(self.to, self.end_of_packets().min(self.from.saturating_add(most)));
        let goes_on = |packet: &&Record| goes_on(self.moved(packet.at)) && self.takes.takes(packet.interface);
        self.to += rest.iter().take_while(goes_on).count();
    }

    /// Of the packets that were taken last, leaves `keep` behind the first `skip`. What is behind them is taken again.
    pub(super) fn narrow(&mut self, skip: usize, keep: usize) {
        self.from += skip;
        self.to = self.from + keep;
    }

    /// The number in its file of the first packet that was taken last.
    pub(super) fn number(&self) -> u64 {
        self.read + self.from as u64 + 1
    }

    /// What the file told of the interfaces whose packets it takes.
    pub(super) fn own_interfaces(&self) -> impl Iterator<Item = &Interface> {
        let own = |(index, _): &(usize, &Interface)| self.takes.takes(*index as u32);
        self.interfaces.iter().enumerate().filter(own).map(|(_, interface)| interface)
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
                for (index, interface) in self.interfaces.iter().enumerate().skip(numbered) {
                    self.ids.push(InterfaceId(all.len() as u32)); // that of the next one, where it is not taken
                    if self.takes.takes(index as u32) {
                        all.push(interface.clone());
                    }
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
        self.part(self.from, self.to)
    }
}
