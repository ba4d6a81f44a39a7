//! The whole of it: packets in, events out.
//!
//! [`Engine`] composes what stands before it: it takes packets apart, follows connections, tracks what is spoken on them,
//! has sessions judged when they are over ([`judge`]), and tells a [`Sink`]. Live and from files it is the same; its only
//! clock is the packets.

pub mod adoption;
pub mod attempts;
pub mod completion;
pub mod dialling;
pub mod encrypted;
pub mod event;
pub mod joins;
pub mod judge;
pub mod late_joins;
pub mod multiplex;
pub mod partners;
pub mod protocol;
mod recognition;
pub mod remade;
pub mod snapshot;
pub mod strays;
pub mod tracker;
pub mod tunnels;

use std::io;

use zeroize::Zeroizing;

pub use event::{Event, Sink, Summary, Wants};
pub use snapshot::Snapshot;

use crate::engine::event::{IgnoredCounts, Loss};
use crate::engine::judge::{Courier, Judge, Matter, Rest};
use crate::engine::late_joins::JoinedLate;
use crate::engine::tracker::{Stream, Tracker, Watch};
use crate::limits::Limits;
use crate::packet::Packet;
use crate::session::SessionId;
use crate::session::neighbours::Note;
use crate::tcp::Table;
use crate::time::Timestamp;
use crate::tls::Origin;
use crate::tls::secrets::ClientRandom;
use crate::wire::{Dissected, Dissector, Headers};

/// What a courier takes at once: enough that waking who waits for it costs little a session.
const LOAD: usize = 1024;

/// Room for a load, and for what one packet adds to it last.
const ROOM: usize = LOAD + LOAD / 8;

/// How an engine behaves, limits aside.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineOptions {
    /// Tell of each session when it is over. Else sessions are kept, within limits, to be judged with knowledge of all
    /// others, and told in order of their start.
    pub live: bool,
    /// Somebody chose these packets with a filter: connections that failed are what is asked for.
    pub filtered: bool,
}

/// Packets in, events out.
pub struct Engine {
    dissector: Dissector,
    table: Table<Stream>,
    tracker: Tracker,
    options: EngineOptions,
    bench: Bench,
    /// How many sessions that are over may wait for the others: live none, until the capture is over.
    kept: usize,
    /// How many matters may wait to be handed over.
    held: usize,
    now: Timestamp,
    /// Where among the encrypted connections the next snapshot goes on.
    looked_at: usize,
    /// When encrypted connections were told of last.
    told_encrypted: Timestamp,
    /// When it was asked last whether packets were dropped: live.
    asked_for_drops: Timestamp,
    first: Option<Timestamp>,
    /// The greatest time of a packet.
    last: Timestamp,
    packets: u64,
    bytes: u64,
    ignored: IgnoredCounts,
    loss: Loss,
}

/// Where sessions are judged.
enum Bench {
    Here(Box<Judge>),
    Elsewhere(Box<dyn Courier>),
}

impl Engine {
    /// With these bounds; for a sink that wants these events.
    pub fn new(limits: &Limits, options: EngineOptions, wants: Wants) -> Engine {
        Engine::with_bench(limits, options, wants, Bench::Here(Box::new(Judge::new(limits))))
    }

    /// As [`new`](Engine::new), with a judge elsewhere: the sinks of its calls hear no sessions, findings and summary.
    pub fn with_courier(limits: &Limits, options: EngineOptions, wants: Wants, courier: Box<dyn Courier>) -> Engine {
        Engine::with_bench(limits, options, wants, Bench::Elsewhere(courier))
    }

    fn with_bench(limits: &Limits, options: EngineOptions, wants: Wants, bench: Bench) -> Engine {
        Engine {
            dissector: Dissector::new(limits),
            table: Table::new(limits),
            tracker: Tracker::new(limits, wants, options.live),
            options,
            kept: if options.live { 0 } else { limits.sessions },
            held: if matches!(bench, Bench::Here(_)) { 0 } else { LOAD },
            bench,
            now: Timestamp::ZERO,
            looked_at: 0,
            told_encrypted: Timestamp::ZERO,
            asked_for_drops: Timestamp::ZERO,
            first: None,
            last: Timestamp::ZERO,
            packets: 0,
            bytes: 0,
            ignored: IgnoredCounts::default(),
            loss: Loss::default(),
        }
    }

    /// Takes the next packet.
    pub fn packet(&mut self, packet: &Packet<'_>, sink: &mut dyn Sink) -> io::Result<()> {
        let headers = Headers::read(packet.link, packet.length, packet.data);
        self.packet_behind(headers.as_ref(), packet, sink)
    }

    /// Takes the next packets. With each come its headers, which were read before, unless it is not a usual one.
    pub fn packets<'a>(
        &mut self,
        packets: impl Iterator<Item = (Packet<'a>, Option<&'a Headers>)>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        for (packet, headers) in packets {
            self.packet_behind(headers, &packet, sink)?;
        }
        Ok(())
    }

    /// Takes the next packet, of which these headers were read before; `None` where it is not a usual one.
    #[inline]
    pub fn packet_behind(
        &mut self,
        headers: Option<&Headers>,
        packet: &Packet<'_>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        self.packets += 1;
        self.bytes += u64::from(packet.length);
        self.first.get_or_insert(packet.at);
        self.last = self.last.max(packet.at);
        self.now = self.now.max(packet.at);
        match headers {
            Some(headers) => {
                let mut watch = Watch::new(&mut self.tracker, sink, self.now);
                // The table takes the time from the segment.
                self.table.handle(&headers.segment(packet), &mut watch);
                watch.result()?;
            }
            None => self.unusual(packet, sink)?,
        }
        self.release(sink)
    }

    /// Takes a packet that is more than a segment behind plain headers, or something else.
    #[inline(never)]
    fn unusual(&mut self, packet: &Packet<'_>, sink: &mut dyn Sink) -> io::Result<()> {
        let mut watch = Watch::new(&mut self.tracker, sink, self.now);
        match self.dissector.dissect(packet) {
            Dissected::Tcp(segment) => self.table.handle(&segment, &mut watch),
            Dissected::Icmp(error) => self.table.icmp(&error, &mut watch),
            Dissected::Dns(message) => {
                self.table.advance(self.now, &mut watch);
                watch.tracker.note(Note::Dns(message));
            }
            Dissected::Ignored(reason) => {
                self.table.advance(self.now, &mut watch);
                self.ignored.count(reason);
            }
        }
        watch.result()
    }

    /// Takes TLS secrets in NSS key log format; a line may come in pieces.
    pub fn secrets(&mut self, origin: Origin, text: &[u8], sink: &mut dyn Sink) -> io::Result<()> {
        let mut watch = Watch::new(&mut self.tracker, sink, self.now);
        watch.secrets(origin, text);
        watch.result()
    }

    /// No more TLS secrets come from there: records that waited for one are given up, and their sessions say that it
    /// is missing.
    pub fn secrets_end(&mut self, origin: Origin, sink: &mut dyn Sink) -> io::Result<()> {
        let mut watch = Watch::new(&mut self.tracker, sink, self.now);
        watch.secrets_end(origin);
        watch.result()
    }

    /// The TLS secrets of connections, by the random values of their ClientHellos, in NSS key log format.
    pub fn key_log(&self, client_randoms: &[ClientRandom]) -> Zeroizing<Vec<u8>> {
        self.tracker.secrets.as_ref().map(|secrets| secrets.key_log(client_randoms)).unwrap_or_default()
    }

    /// Takes the time of a silent line.
    pub fn advance(&mut self, now: Timestamp, sink: &mut dyn Sink) -> io::Result<()> {
        self.now = self.now.max(now);
        let mut watch = Watch::new(&mut self.tracker, sink, self.now);
        self.table.advance(self.now, &mut watch);
        watch.result()?;
        self.release(sink)
    }

    /// What was lost outside until now, in all: by the kernel and the interface, live. `at` is when that was counted: what
    /// was captured may not have got here yet.
    pub fn lost(&mut self, kernel: u64, interface: u64, at: Option<Timestamp>) {
        let more = kernel + interface > self.loss.kernel + self.loss.interface;
        let now = at.map_or(self.now, |at| at.max(self.now));
        if more && self.options.live {
            self.tracker.matters.push(Matter::Dropped(self.asked_for_drops, now));
        }
        self.asked_for_drops = now;
        self.loss.kernel = kernel;
        self.loss.interface = interface;
    }

    /// Packets that a filter did not select.
    pub fn filtered(&mut self, packets: u64) {
        self.ignored.filtered = packets;
    }

    /// The capture is over: tells of everything that was kept, and the summary.
    pub fn finish(&mut self, sink: &mut dyn Sink) -> io::Result<Summary> {
        self.kept = self.tracker.limits.sessions;
        self.tracker.note(Note::Span(self.first.unwrap_or_default(), self.now));
        for place in self.table.places() {
            let mut watch = Watch::new(&mut self.tracker, sink, self.now);
            self.table.finish_one(place, &mut watch);
            watch.result()?;
            self.release(sink)?;
        }
        if !self.options.live {
            self.tracker.join_late();
            self.tracker.join_remade();
            for JoinedLate { into, from, reason } in std::mem::take(&mut self.tracker.joined_late) {
                sink.event(&Event::Joined { into, from, reason })?;
            }
        }
        let rest = self.rest();
        let matters = std::mem::take(&mut self.tracker.matters);
        match &mut self.bench {
            Bench::Here(judge) => {
                judge.hear(matters, sink)?;
                judge.close(rest, sink)
            }
            Bench::Elsewhere(courier) => {
                courier.bring(matters)?;
                courier.close(rest)
            }
        }
    }

    /// Whether sessions are told of when they are over.
    pub fn is_live(&self) -> bool {
        self.options.live
    }

    /// The greatest time that packets or silence have told.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What is known so far, in numbers. Of sessions and findings only what was judged here.
    pub fn summary(&self) -> Summary {
        let mut summary = self.counts();
        if let Bench::Here(judge) = &self.bench {
            judge.add_to(&mut summary);
        }
        summary
    }

    /// What is counted here.
    fn counts(&self) -> Summary {
        let mut ignored = self.ignored;
        ignored.not_websocket = self.tracker.not_websocket;
        ignored.cut_bytes = self.table.counters().cut_bytes;
        ignored.duplicates = self.table.duplicates();
        let fragments = self.dissector.counts();
        ignored.fragments = fragments.fragments_expired + fragments.fragments_evicted;
        let mut loss = self.loss;
        let limits = self.bounds();
        loss.wsflow = limits.iter().map(|(_, count)| count).sum();
        let forgotten = self.forgotten();
        Summary {
            packets: self.packets,
            bytes: self.bytes,
            connections: self.table.connections_seen(),
            ignored,
            loss,
            limits,
            forgotten,
            first: self.first,
            last: self.first.map(|_| self.last),
            duration: self.first.map(|first| self.last.since(first)).unwrap_or_default(),
            ..Summary::default()
        }
    }

    /// The bounds that were reached at the cost of something, and how often.
    fn bounds(&self) -> Vec<(&'static str, u64)> {
        let mut bounds = self.tracker.bounds.clone();
        bounds.extend(self.table.bounds());
        bounds
    }

    /// What made room for newer of its kind.
    fn forgotten(&self) -> Vec<(&'static str, u64)> {
        let Tracker { strays, partners, joiner, sightings, .. } = &self.tracker;
        let mut forgotten = vec![
            ("connections without a session", strays.overflows),
            ("encrypted legs", partners.overflows),
            ("attempts", joiner.overflows),
            ("frames of legs joined in mid-stream", sightings.overflows),
            ("ended TCP connections", self.table.counters().evicted_ended),
        ];
        forgotten.retain(|(_, count)| *count > 0);
        forgotten
    }

    /// Hands over what is to be judged, when there is enough of it.
    #[inline(always)]
    fn release(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        let Tracker { completed, matters, .. } = &self.tracker;
        if completed.len() > self.kept || matters.len() > self.held { self.hand_over(sink) } else { Ok(()) }
    }

    #[inline(never)]
    fn hand_over(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        self.release_sessions();
        let matters = &mut self.tracker.matters;
        match &mut self.bench {
            Bench::Here(judge) => judge.hear(matters.drain(..), sink),
            Bench::Elsewhere(_) if matters.len() <= self.held => Ok(()),
            Bench::Elsewhere(courier) => courier.bring(std::mem::replace(matters, Vec::with_capacity(ROOM))),
        }
    }

    /// Sessions that are over: live at once; else, and at the end, when more are kept than the limits allow, the oldest
    /// first. At the end what explains a session may be on a connection that is put down after its own.
    fn release_sessions(&mut self) {
        while self.tracker.completed.len() > self.kept
            && let Some(id) = self.tracker.completed.pop_first()
        {
            if !self.options.live {
                self.tracker.bound("sessions kept");
            }
            self.tracker.count_endings();
            self.put_down_attempts_of(id);
            self.tracker.claim_strays(&[id]);
            self.due(id);
        }
    }

    /// The judgement of a session is due.
    fn due(&mut self, id: SessionId) {
        if let Some(record) = self.tracker.records.take(id) {
            self.tracker.matters.push(Matter::Session(id, record));
        }
    }

    /// What is left when everything is put down and joined.
    fn rest(&mut self) -> Rest {
        self.tracker.count_endings();
        let completed: Vec<SessionId> = std::mem::take(&mut self.tracker.completed).iter().collect();
        self.tracker.claim_strays(&completed);
        Rest {
            sessions: completed.into_iter().filter_map(|id| Some((id, self.tracker.records.take(id)?))).collect(),
            unclaimed: self.tracker.strays.take(self.tracker.joiner.hosts()),
            filtered: self.options.filtered,
            last: self.tracker.records.last(),
            summary: self.counts(),
        }
    }
}
