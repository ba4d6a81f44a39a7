//! The whole of it: packets in, events out.
//!
//! [`Engine`] composes what stands before it: it takes packets apart, follows connections, tracks what is spoken on them,
//! judges sessions when they are over, and tells a [`Sink`]. Live and from files it is the same; its only clock is the
//! packets.

pub mod attempts;
pub mod completion;
pub mod dialling;
pub mod encrypted;
pub mod event;
pub mod late_joins;
pub mod multiplex;
pub mod partners;
pub mod remade;
pub mod snapshot;
pub mod strays;
pub mod tracker;
pub mod tunnels;

use std::collections::BTreeMap;
use std::io;

use zeroize::Zeroizing;

pub use event::{Event, Sink, Summary, Wants};
pub use snapshot::Snapshot;

use crate::diagnosis::groups::Groups;
use crate::diagnosis::{self, Facts, Severity};
use crate::engine::event::{IgnoredCounts, Loss};
use crate::engine::tracker::{Stream, Tracker, Watch};
use crate::limits::Limits;
use crate::packet::Packet;
use crate::session::spare::Spare;
use crate::session::{Outcome, Session, SessionId, records};
use crate::stream::Side;
use crate::tcp::Table;
use crate::time::Timestamp;
use crate::tls::Origin;
use crate::tls::secrets::ClientRandom;
use crate::wire::{Dissected, Dissector, Ignored};

/// Times of loss that are told apart; more are taken for one.
const DROPS: usize = 1024;

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
    tally: Tally,
    spare: Spare,
    groups: Groups,
    now: Timestamp,
    /// Where among the encrypted connections the next snapshot goes on.
    looked_at: usize,
    /// When encrypted connections were told of last.
    told_encrypted: Timestamp,
    /// From when until when packets were dropped, as far as can be told: live.
    drops: Vec<(Timestamp, Timestamp)>,
    asked_for_drops: Timestamp,
    /// The capture is over.
    ending: bool,
    first: Option<Timestamp>,
    /// The greatest time of a packet.
    last: Timestamp,
    packets: u64,
    bytes: u64,
    ignored: IgnoredCounts,
    loss: Loss,
}

impl Engine {
    /// With these bounds; for a sink that wants these events.
    pub fn new(limits: &Limits, options: EngineOptions, wants: Wants) -> Engine {
        Engine {
            dissector: Dissector::new(limits),
            table: Table::new(limits),
            tracker: Tracker::new(limits, wants, options.live),
            options,
            tally: Tally::default(),
            spare: Spare::default(),
            groups: Groups::default(),
            now: Timestamp::ZERO,
            looked_at: 0,
            told_encrypted: Timestamp::ZERO,
            drops: Vec::new(),
            asked_for_drops: Timestamp::ZERO,
            ending: false,
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
        self.packets += 1;
        self.bytes += u64::from(packet.length);
        self.first.get_or_insert(packet.at);
        self.last = self.last.max(packet.at);
        self.now = self.now.max(packet.at);
        let mut watch = Watch::new(&mut self.tracker, sink, self.now);
        match self.dissector.dissect(packet) {
            // The table takes the time from the segment.
            Dissected::Tcp(segment) => self.table.handle(&segment, &mut watch),
            Dissected::Icmp(error) => self.table.icmp(&error, &mut watch),
            Dissected::Dns(message) => {
                self.table.advance(self.now, &mut watch);
                watch.tracker.recorder.dns(message);
            }
            Dissected::Ignored(reason) => {
                self.table.advance(self.now, &mut watch);
                self.ignored.count(reason);
            }
        }
        watch.result()?;
        if self.tracker.completed.len() > self.kept() { self.release(sink) } else { Ok(()) }
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
            let full = self.drops.len() == DROPS;
            match self.drops.last_mut() {
                Some((_, until)) if full || *until == self.asked_for_drops => *until = now,
                _ => self.drops.push((self.asked_for_drops, now)),
            }
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
        self.ending = true;
        self.tracker.recorder.span(self.first.unwrap_or_default(), self.now);
        for place in self.table.places() {
            let mut watch = Watch::new(&mut self.tracker, sink, self.now);
            self.table.finish_one(place, &mut watch);
            watch.result()?;
            self.release(sink)?;
        }
        if !self.options.live {
            self.tracker.join_late();
            self.tracker.join_remade();
        }
        self.tracker.count_endings();
        self.tell_failures();
        self.release_all(sink)?;
        for finding in std::mem::take(&mut self.groups).into_findings() {
            sink.event(&Event::Finding(&finding))?;
        }
        let summary = self.summary();
        sink.event(&Event::Summary(&summary))?;
        Ok(summary)
    }

    /// The greatest time that packets or silence have told.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What is known so far, in numbers.
    pub fn summary(&self) -> Summary {
        let mut ignored = self.ignored;
        ignored.not_websocket = self.tracker.not_websocket;
        ignored.duplicates = self.table.duplicates();
        let fragments = self.dissector.counts();
        ignored.fragments = fragments.fragments_expired + fragments.fragments_evicted;
        let mut loss = self.loss;
        loss.gap_bytes = self.tally.gap_bytes;
        let limits = self.bounds();
        loss.wsflow = limits.iter().map(|(_, count)| count).sum();
        Summary {
            packets: self.packets,
            bytes: self.bytes,
            connections: self.table.connections_seen(),
            sessions: self.tally.outcomes.iter().map(|(outcome, count)| (outcome.name(), *count)).collect(),
            findings: self.tally.findings.iter().map(|(id, count)| (*id, *count)).collect(),
            worst: self.tally.worst,
            ignored,
            loss,
            limits,
            first: self.first,
            last: self.first.map(|_| self.last),
            duration: self.first.map(|first| self.last.since(first)).unwrap_or_default(),
        }
    }

    /// The bounds that were reached, and how often.
    fn bounds(&self) -> Vec<(&'static str, u64)> {
        let mut bounds = self.tracker.bounds.clone();
        bounds.push(("neighbours remembered", self.tracker.recorder.overflows));
        bounds.push(("failed connections remembered", self.tracker.strays.overflows));
        bounds.push(("encrypted legs compared", self.tracker.partners.overflows));
        bounds.push(("attempts waiting", self.tracker.joiner.overflows));
        bounds.extend(self.table.bounds());
        bounds.retain(|(_, count)| *count > 0);
        bounds
    }

    /// Tells of sessions that are over: live at once; else, and at the end, when more are kept than the limits allow, the
    /// oldest first. At the end what explains a session may be on a connection that is put down after its own.
    fn release(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        while self.tracker.completed.len() > self.kept()
            && let Some(id) = self.tracker.completed.pop_first()
        {
            if !self.options.live {
                self.tracker.bound("sessions kept");
            }
            self.tracker.count_endings();
            self.put_down_attempts_of(id);
            self.tracker.claim_strays(&[id]);
            self.judge(id, sink)?;
        }
        Ok(())
    }

    /// How many sessions that are over may wait for the others.
    #[inline]
    fn kept(&self) -> usize {
        if self.options.live && !self.ending { 0 } else { self.tracker.limits.sessions }
    }

    /// Tells of all sessions, in order of their start.
    fn release_all(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        self.tracker.count_endings();
        let mut ids: Vec<SessionId> = std::mem::take(&mut self.tracker.completed).iter().collect();
        self.tracker.claim_strays(&ids);
        ids.sort_by_key(|&id| (self.tracker.records.find(id).map(|record| record.start), id));
        ids.into_iter().try_for_each(|id| self.judge(id, sink))
    }

    fn judge(&mut self, id: SessionId, sink: &mut dyn Sink) -> io::Result<()> {
        let Some(record) = self.tracker.records.take(id) else { return Ok(()) };
        let Some(session) = records::complete(id, record, &mut self.spare) else { return Ok(()) };
        let mut diagnosis =
            diagnosis::diagnose(&Facts { session: &session, neighbours: self.tracker.recorder.neighbours() });
        if !self.drops.is_empty() {
            diagnosis::weigh_drops(&session, &self.drops, &mut diagnosis);
        }
        self.tally.session(&session);
        self.groups.add(session.id, &diagnosis);
        for finding in &diagnosis.findings {
            self.tally.finding(finding.id, finding.severity);
        }
        sink.event(&Event::Session(&session, &diagnosis))?;
        self.spare.take_back(session);
        Ok(())
    }

    /// Connections that never came up and that no session claims: sessions of their own where somebody asked for them,
    /// where sessions lead to the same server, or where there is nothing else to tell.
    fn tell_failures(&mut self) {
        let ids: Vec<SessionId> = self.tracker.completed.iter().collect();
        self.tracker.claim_strays(&ids);
        let alone = self.tally.outcomes.is_empty() && ids.is_empty();
        for leg in self.tracker.strays.take() {
            let failed = !leg.tcp.came_up();
            let half_seen = alone && leg.response.is_some();
            let elsewhere = self.tracker.came_up_elsewhere(&leg);
            let known = self.tracker.recorder.neighbours().endings.know(leg.server);
            if half_seen || (failed && !elsewhere && (self.options.filtered || alone || known)) {
                let start = leg.tcp.first.at;
                self.tracker.open_done(None, *leg, start);
            }
        }
    }
}

/// What is counted of sessions and findings.
#[derive(Debug, Default)]
struct Tally {
    outcomes: BTreeMap<Outcome, u64>,
    findings: BTreeMap<&'static str, u64>,
    worst: Option<Severity>,
    gap_bytes: u64,
}

impl Tally {
    fn session(&mut self, session: &Session) {
        *self.outcomes.entry(session.outcome).or_default() += 1;
        for leg in &session.legs {
            self.gap_bytes += Side::BOTH.into_iter().map(|side| leg.tcp.halves[side].gap_bytes).sum::<u64>();
        }
    }

    fn finding(&mut self, id: &'static str, severity: Severity) {
        *self.findings.entry(id).or_default() += 1;
        self.worst = self.worst.max(Some(severity));
    }
}

impl IgnoredCounts {
    fn count(&mut self, reason: Ignored) {
        match reason {
            Ignored::NotIp => self.not_ip += 1,
            Ignored::NotTcp => self.not_tcp += 1,
            Ignored::CutHeader => self.cut += 1,
            Ignored::Malformed => self.malformed += 1,
            Ignored::UnknownLink => self.unknown_link += 1,
            Ignored::Fragment => {}
        }
    }
}
