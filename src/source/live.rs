//! Live capture: packets as the kernel hands them out, from one interface or several.
//!
//! The ring of the kernel is the only queue: packets are parsed where they lie. Devices are read without blocking and
//! waited for with `poll`, because a blocked libpcap yields no time and hears no signal while a line is silent.
//!
//! Packets are taken one by one: `pcap_dispatch` would hand out a whole block for one call, and save some 15 ns of the 75 that
//! a packet costs up to here (benches/README.md). But it calls back, and who reads files and devices alike must ask: a
//! packet's way through the engine is many times that.

mod device;
mod line;
mod order;

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pcap::{Active, Capture};

use device::{GATHER_MS, cannot_capture, open_device, reason_of};
pub use device::{LiveOptions, link_type, list, list_links};
use line::{Line, has_nothing, record};
use order::{LATE, Turn, turn};

use crate::packet::InterfaceId;
use crate::source::packets::Record;
use crate::source::{Drops, FilterError, Input, Interface, Packets, Source, SourceCounts, SourceError};
use crate::time::Timestamp;

/// How long a silent line is waited for: a stop is heard within this time, and time goes on for those who count it.
const PATIENCE_MS: i32 = 100;

/// How long packets are still fetched after a stop: Ctrl-C should be felt.
const DRAIN: Duration = Duration::from_millis(200);

/// How often the kernel is asked what it dropped, and whether interfaces are up.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Packets that are held until other lines were asked again are handed out so many milliseconds at a time.
const BATCH_MS: i32 = 5;

/// A capture from one interface or several.
pub struct Live {
    lines: Vec<Line>,
    interfaces: Vec<Interface>,
    /// Room for what is waited for.
    waits: Vec<libc::pollfd>,
    stop: Arc<AtomicBool>,
    packets: u64,
    /// No line had anything when it was asked last.
    silent: bool,
    /// The line whose packet was handed out last, where there are several.
    used: Option<usize>,
    /// Lines that are gone and were not told of yet, and why.
    gone: Vec<(usize, String)>,
    /// Whether to go on when all interfaces are gone.
    patient: bool,
    /// When the kernel was asked last what it dropped.
    asked: Timestamp,
    /// It is time to ask again.
    due: bool,
    /// Interfaces that went down or came up, and those that lost packets, as they are to be told.
    changes: VecDeque<Input<'static>>,
    stopped: Option<Timestamp>,
    received: u64,
    /// The packet that was handed out last.
    record: Option<Record>,
}

impl Live {
    /// Opens the interfaces; `filter` is a pcap expression. `stop` ends the capture.
    ///
    /// # Errors
    ///
    /// When an interface does not exist, the privilege is missing, or the filter is wrong: one line that says what to do.
    pub fn open(
        names: &[String],
        filter: Option<&str>,
        options: &LiveOptions,
        stop: Arc<AtomicBool>,
    ) -> Result<Live, SourceError> {
        let mut live = Live {
            lines: Vec::new(),
            interfaces: Vec::new(),
            waits: Vec::new(),
            stop,
            packets: 0,
            silent: false,
            used: None,
            gone: Vec::new(),
            patient: options.patient,
            asked: now(),
            due: false,
            changes: VecDeque::new(),
            stopped: None,
            received: 0,
            record: None,
        };
        for name in names {
            let mut capture = open_device(name, options)?;
            if let Some(filter) = filter {
                let wrong =
                    |error| FilterError::Expression { expression: filter.to_owned(), reason: reason_of(&error) };
                capture.filter(filter, true).map_err(wrong)?;
            }
            let capture = capture.setnonblock().map_err(|error| cannot_capture(name, &error))?;
            live.add(name, capture, options);
        }
        Ok(live)
    }

    fn add(&mut self, name: &str, capture: Capture<Active>, options: &LiveOptions) {
        let line = Line::new(name, capture, InterfaceId(self.interfaces.len() as u32), options.promiscuous);
        let (name, drops) = (Some(name.to_owned()), Drops::default());
        self.interfaces.push(Interface { name, link: line.link, snap_length: options.snap_length, drops });
        self.lines.push(line);
    }

    /// Whether what the kernel had gathered until the stop was handed out, or enough time was spent on that.
    fn is_drained(&mut self) -> bool {
        let now = now();
        match self.stopped {
            None => {
                self.stopped = Some(now);
                false
            }
            Some(stopped) => {
                let gathered = now.since(stopped) >= Duration::from_millis(5 * GATHER_MS as u64);
                (gathered && self.silent) || now.since(stopped) >= DRAIN
            }
        }
    }

    /// Asks the kernel what it counted since the last time.
    fn ask_for_drops(&mut self) {
        for (line, interface) in self.lines.iter_mut().zip(&mut self.interfaces) {
            self.received += line.ask_for_drops(&mut interface.drops);
        }
    }

    /// What was dropped, and which interfaces went up or down.
    fn look_around(&mut self) {
        (self.asked, self.due) = (now(), false);
        let dropped = |interface: &Interface| interface.drops.kernel + interface.drops.interface;
        let before: Vec<u64> = self.interfaces.iter().map(dropped).collect();
        self.ask_for_drops();
        for ((before, interface), line) in before.into_iter().zip(&self.interfaces).zip(&self.lines) {
            let packets = dropped(interface) - before;
            if packets > 0 {
                self.changes.push_back(Input::Dropped { id: line.id, packets });
            }
        }
        for (line, interface) in self.lines.iter_mut().zip(&self.interfaces) {
            if let Some(change) = line.look_around(interface) {
                self.changes.push_back(Input::Interface { id: line.id, change });
            }
        }
    }

    /// What is told of a line that is gone. Where it was the last one the capture is over.
    fn tell_gone(&mut self, index: usize, reason: String) -> SourceError {
        let name = self.interfaces[index].name.clone().unwrap_or_default();
        let goes_on = self.patient || self.lines.iter().any(|line| !line.gone);
        if !goes_on {
            self.stop.store(true, Ordering::Relaxed);
        }
        SourceError::Gone { name, reason, goes_on }
    }

    /// Waits until a line has something that is not held already, or for so many milliseconds.
    fn wait(&mut self, patience: i32) -> Timestamp {
        // poll(2) passes over what is negative.
        let fd = |line: &Line| if line.may_have_more() { line.capture.as_raw_fd() } else { -1 };
        self.waits.clear();
        self.waits.extend(self.lines.iter().map(|line| libc::pollfd {
            fd: fd(line),
            events: libc::POLLIN,
            revents: 0,
        }));
        poll(&mut self.waits, if self.stopped.is_some() { patience.min(GATHER_MS) } else { patience });
        let now = now();
        self.due = now.since(self.asked) >= LOOK_AROUND;
        now
    }

    /// The next packet of the only line, where it lies.
    fn next_of_one(&mut self) -> Input<'_> {
        if std::mem::take(&mut self.silent) {
            return Input::Idle(self.wait(PATIENCE_MS));
        }
        let Live { lines, packets, silent, gone, asked, due, record: slot, .. } = self;
        let line = &mut lines[0];
        if line.gone {
            *silent = true;
            return Input::Idle(now());
        }
        match line.capture.next_packet() {
            Ok(packet) => {
                *packets += 1;
                let record = slot.insert(record(&packet, line.link));
                *due = record.at.since(*asked) >= LOOK_AROUND; // a line that is never silent
                let (records, interfaces) = (slice::from_ref(&*record).iter(), slice::from_ref(&line.id));
                Input::Packets(Packets { records, bytes: packet.data, number: *packets, interfaces, ahead: 0 })
            }
            Err(error) => {
                *silent = true;
                if !has_nothing(&error) {
                    (line.gone, line.up) = (true, false);
                    gone.push((0, reason_of(&error)));
                }
                Input::Idle(now())
            }
        }
    }

    /// The next packet of several lines, in order of time.
    fn next_of_several(&mut self) -> Input<'_> {
        if let Some(used) = self.used.take() {
            self.ask(used..used + 1);
        }
        let mut next = turn(self.lines.iter().map(Line::front));
        if !matches!(next, Turn::Of(_)) {
            self.ask(0..self.lines.len());
            next = turn(self.lines.iter().map(Line::front));
        }
        match next {
            Turn::Of(index) => self.hand_out(index),
            Turn::Held(index, at) if now() < at => self.hand_out(index), // the clock was set back
            Turn::Held(_, at) => {
                let left = LATE.saturating_sub(now().since(at)).as_millis() as i32;
                self.wait(left.max(BATCH_MS));
                Input::Idle(at) // no later: the packet is still to come
            }
            Turn::Nobody => {
                let now = self.wait(PATIENCE_MS);
                self.silent = true;
                Input::Idle(now)
            }
        }
    }

    /// Lets these lines hold their next packets.
    fn ask(&mut self, lines: Range<usize>) {
        for index in lines {
            if let Err(reason) = self.lines[index].ask() {
                self.gone.push((index, reason));
            }
        }
    }

    /// The packet that this line holds.
    fn hand_out(&mut self, index: usize) -> Input<'_> {
        let line = &mut self.lines[index];
        self.record = line.held.take();
        self.packets += 1;
        (self.used, self.silent) = (Some(index), false);
        self.due = self.record.is_some_and(|record| record.at.since(self.asked) >= LOOK_AROUND);
        let (records, interfaces) = (self.record.as_slice().iter(), slice::from_ref(&line.id));
        Input::Packets(Packets { records, bytes: &line.bytes, number: self.packets, interfaces, ahead: 0 })
    }
}

impl Source for Live {
    fn next(&mut self, _most: usize) -> Result<Option<Input<'_>>, SourceError> {
        if self.stop.load(Ordering::Relaxed) && self.is_drained() {
            self.ask_for_drops();
            return Ok(None);
        }
        if let Some((index, reason)) = self.gone.pop() {
            return Err(self.tell_gone(index, reason));
        }
        if self.due {
            self.look_around();
        }
        if let Some(change) = self.changes.pop_front() {
            return Ok(Some(change));
        }
        Ok(Some(if self.lines.len() == 1 { self.next_of_one() } else { self.next_of_several() }))
    }

    fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    fn counts(&mut self) -> SourceCounts {
        self.ask_for_drops();
        let mut drops = Drops::default();
        for interface in &self.interfaces {
            drops.kernel += interface.drops.kernel;
            drops.interface += interface.drops.interface;
        }
        SourceCounts { filtered: 0, received: Some(self.received), drops, at: Some(now()) }
    }
}

/// Waits until a device has something, or for so many milliseconds.
#[allow(unsafe_code, reason = "poll(2) has no safe binding in the crates that are used")]
fn poll(waits: &mut [libc::pollfd], patience: libc::c_int) {
    let count = waits.len() as libc::nfds_t;
    // SAFETY: the pointer and the count are those of one slice. A signal ends the wait early, which is what is wanted.
    unsafe {
        libc::poll(waits.as_mut_ptr(), count, patience);
    }
}

/// The time of the clock.
#[expect(clippy::disallowed_methods, reason = "a silent line has no other time than the clock's")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_parts(since.as_secs(), since.subsec_nanos())
}
