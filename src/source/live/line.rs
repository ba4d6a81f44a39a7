//! A device while it is captured on.

use std::mem;

use pcap::{Active, Capture, Packet};

use super::device::{bind_again, is_up, kind, reason_of};
use super::now;
use super::order::Front;
use crate::packet::{InterfaceId, LinkType};
use crate::source::packets::Record;
use crate::source::{Change, Drops, Interface};
use crate::time::Timestamp;
use crate::wire::Headers;

/// A device, and what it is known to have.
pub(super) struct Line {
    pub(super) capture: Capture<Active>,
    pub(super) id: InterfaceId,
    pub(super) link: LinkType,
    /// What kind of link it has, where that is known.
    kind: Option<u32>,
    promiscuous: bool,
    /// The interface went away.
    pub(super) gone: bool,
    /// It was up when it was looked at last.
    pub(super) up: bool,
    /// Counters of libpcap have 32 bits and wrap.
    last: (u32, u32, u32),
    /// Its next packet, where it waits for those of other devices.
    pub(super) held: Option<Record>,
    pub(super) bytes: Vec<u8>,
    /// When it was found to have no packet.
    asked: Timestamp,
}

impl Line {
    /// Nothing was read yet. It is not waited for when it is read.
    pub(super) fn new(name: &str, capture: Capture<Active>, id: InterfaceId, promiscuous: bool) -> Line {
        Line {
            link: LinkType(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX)),
            capture,
            id,
            kind: kind(name),
            promiscuous: promiscuous && name != "any",
            gone: false,
            up: is_up(name).unwrap_or(true),
            last: (0, 0, 0),
            held: None,
            bytes: Vec::new(),
            asked: Timestamp::ZERO,
        }
    }

    /// What is known of its next packet.
    pub(super) fn front(&self) -> Front {
        match &self.held {
            Some(record) => Front::Packet(record.at),
            None if self.gone => Front::Gone,
            None => Front::Silent(self.asked),
        }
    }

    /// Takes its next packet and holds it, where there is one. Why it is gone, if that is so now.
    pub(super) fn ask(&mut self) -> Result<(), String> {
        if !self.may_have_more() {
            return Ok(());
        }
        match self.capture.next_packet() {
            Ok(packet) => {
                self.bytes.clear();
                self.bytes.extend_from_slice(packet.data);
                self.held = Some(record(&packet, self.link));
            }
            Err(error) if has_nothing(&error) => self.asked = now(),
            Err(error) => {
                (self.gone, self.up) = (true, false);
                return Err(reason_of(&error));
            }
        }
        Ok(())
    }

    /// Whether there may be more than what is held.
    pub(super) fn may_have_more(&self) -> bool {
        !self.gone && self.held.is_none()
    }

    /// Asks the kernel what it counted since the last time; so much more was received.
    pub(super) fn ask_for_drops(&mut self, drops: &mut Drops) -> u64 {
        let Ok(stat) = self.capture.stats() else { return 0 };
        let (received, kernel, driver) = mem::replace(&mut self.last, (stat.received, stat.dropped, stat.if_dropped));
        drops.kernel += u64::from(stat.dropped.wrapping_sub(kernel));
        drops.interface += u64::from(stat.if_dropped.wrapping_sub(driver));
        u64::from(stat.received.wrapping_sub(received))
    }

    /// What is new of its interface.
    pub(super) fn look_around(&mut self, interface: &Interface) -> Option<Change> {
        let name = interface.name.as_deref().unwrap_or_default();
        self.change(name, is_up(name))
    }

    /// What is new of its interface, which is up, down, or not to be seen.
    fn change(&mut self, name: &str, up: Option<bool>) -> Option<Change> {
        // Of one that is gone, being down is as good as not being there.
        let now = if self.gone { up == Some(true) } else { up.unwrap_or(self.up) };
        let before = mem::replace(&mut self.up, now);
        match (before, now) {
            (false, true) if self.gone => Some(self.come_back(name)),
            (false, true) => Some(Change::Up),
            (true, false) if !self.gone => Some(Change::Down),
            _ => None,
        }
    }

    /// There is one of its name again. Another kind of link would have other headers than those that are known.
    fn come_back(&mut self, name: &str) -> Change {
        self.gone = kind(name) != self.kind || !bind_again(name, &self.capture, self.promiscuous);
        if self.gone { Change::Another } else { Change::Back }
    }
}

/// A packet without its bytes.
pub(super) fn record(packet: &Packet<'_>, link: LinkType) -> Record {
    // With nanosecond precision the field that is called microseconds holds nanoseconds.
    let (seconds, nanos) = (packet.header.ts.tv_sec, packet.header.ts.tv_usec);
    let at = Timestamp::from_parts(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
    let (length, end) = (packet.header.len, packet.data.len() as u32);
    Record { at, begin: 0, end, length, interface: 0, link, headers: Headers::read(link, length, packet.data) }
}

/// Whether there is no packet now: a normal value.
pub(super) fn has_nothing(error: &pcap::Error) -> bool {
    matches!(error, pcap::Error::TimeoutExpired | pcap::Error::NoMorePackets)
}
