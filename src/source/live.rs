//! Live capture: packets as the kernel hands them out, from one interface or several.
//!
//! The ring of the kernel is the only queue: packets are parsed where they lie. Devices are read without blocking and
//! waited for with `poll`, because a blocked libpcap yields no time and hears no signal while a line is silent.
//!
//! Packets are taken one by one: `pcap_dispatch` would hand out a whole block for one call, and save some 15 ns of the 75 that
//! a packet costs up to here (benches/README.md). But it calls back, and who reads files and devices alike must ask: a
//! packet's way through the engine is many times that.

mod device;

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pcap::{Active, Capture};

use device::{GATHER_MS, bind_again, cannot_capture, is_up, kind, open_device, reason_of};
pub use device::{LiveOptions, link_type, list, list_links};

use crate::packet::{InterfaceId, LinkType};
use crate::source::packets::Record;
use crate::source::{Change, Drops, FilterError, Input, Interface, Packets, Source, SourceCounts, SourceError};
use crate::time::Timestamp;
use crate::wire::Headers;

/// How long a silent line is waited for: a stop is heard within this time, and time goes on for those who count it.
const PATIENCE_MS: i32 = 100;

/// How long packets are still fetched after a stop: Ctrl-C should be felt.
const DRAIN: Duration = Duration::from_millis(200);

/// How often the kernel is asked what it dropped, and whether interfaces are up.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// A capture from one interface or several.
pub struct Live {
    devices: Vec<OpenDevice>,
    interfaces: Vec<Interface>,
    waits: Vec<libc::pollfd>,
    stop: Arc<AtomicBool>,
    packets: u64,
    next: usize,
    silent: usize,
    open: usize,
    /// Whether to go on when all interfaces are gone.
    patient: bool,
    /// When the kernel was asked last.
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

struct OpenDevice {
    capture: Capture<Active>,
    id: InterfaceId,
    link: LinkType,
    /// What kind of link it has, where that is known.
    kind: Option<u32>,
    promiscuous: bool,
    /// The interface went away.
    gone: bool,
    /// It was up when it was looked at last.
    up: bool,
    /// Counters of libpcap have 32 bits and wrap.
    last: (u32, u32, u32),
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
            devices: Vec::new(),
            interfaces: Vec::new(),
            waits: Vec::new(),
            stop,
            packets: 0,
            next: 0,
            silent: 0,
            open: 0,
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
        let link = LinkType(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX));
        let id = InterfaceId(self.interfaces.len() as u32);
        let snap_length = options.snap_length;
        self.waits.push(libc::pollfd { fd: capture.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        let (up, kind) = (is_up(name).unwrap_or(true), kind(name));
        let promiscuous = options.promiscuous && name != "any";
        let (name, drops) = (Some(name.to_owned()), Drops::default());
        self.interfaces.push(Interface { name, link, snap_length, drops });
        self.devices.push(OpenDevice { capture, id, link, kind, promiscuous, gone: false, up, last: (0, 0, 0) });
        self.open += 1;
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
                (gathered && self.silent >= self.devices.len()) || now.since(stopped) >= DRAIN
            }
        }
    }

    /// Asks the kernel what it counted since the last time.
    fn ask_for_drops(&mut self) {
        for (device, interface) in self.devices.iter_mut().zip(&mut self.interfaces) {
            let Ok(stat) = device.capture.stats() else { continue };
            let (received, kernel, driver) = device.last;
            self.received += u64::from(stat.received.wrapping_sub(received));
            interface.drops.kernel += u64::from(stat.dropped.wrapping_sub(kernel));
            interface.drops.interface += u64::from(stat.if_dropped.wrapping_sub(driver));
            device.last = (stat.received, stat.dropped, stat.if_dropped);
        }
    }

    /// What was dropped, and which interfaces went up or down.
    fn look_around(&mut self) {
        (self.asked, self.due) = (now(), false);
        let dropped = |interface: &Interface| interface.drops.kernel + interface.drops.interface;
        let before: Vec<u64> = self.interfaces.iter().map(dropped).collect();
        self.ask_for_drops();
        for ((before, interface), device) in before.into_iter().zip(&self.interfaces).zip(&self.devices) {
            let packets = dropped(interface) - before;
            if packets > 0 {
                self.changes.push_back(Input::Dropped { id: device.id, packets });
            }
        }
        for ((device, interface), wait) in self.devices.iter_mut().zip(&self.interfaces).zip(&mut self.waits) {
            let name = interface.name.as_deref().unwrap_or_default();
            if let Some(change) = device.change(name, is_up(name)) {
                if change == Change::Back {
                    (self.open, wait.fd) = (self.open + 1, device.capture.as_raw_fd());
                }
                self.changes.push_back(Input::Interface { id: device.id, change });
            }
        }
    }
}

impl OpenDevice {
    /// What is new of its interface, which is up, down, or not to be seen.
    fn change(&mut self, name: &str, up: Option<bool>) -> Option<Change> {
        // Of one that is gone, being down is as good as not being there.
        let now = if self.gone { up == Some(true) } else { up.unwrap_or(self.up) };
        let before = std::mem::replace(&mut self.up, now);
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

impl Source for Live {
    fn next(&mut self, _most: usize) -> Result<Option<Input<'_>>, SourceError> {
        if self.stop.load(Ordering::Relaxed) && self.is_drained() {
            self.ask_for_drops();
            return Ok(None);
        }
        if self.due {
            self.look_around();
        }
        if let Some(change) = self.changes.pop_front() {
            return Ok(Some(change));
        }
        if self.silent >= self.devices.len() {
            wait(&mut self.waits, if self.stopped.is_some() { GATHER_MS } else { PATIENCE_MS });
            self.silent = 0;
            let now = now();
            self.due = now.since(self.asked) >= LOOK_AROUND;
            return Ok(Some(Input::Idle(now)));
        }
        let index = self.next;
        let count = self.devices.len();
        let Live { devices, interfaces, waits, stop, packets, next, silent, open, patient, asked, due, record, .. } =
            self;
        let OpenDevice { capture, id, link, gone, up, .. } = &mut devices[index];
        if *gone {
            (*next, *silent) = ((index + 1) % count, *silent + 1);
            return Ok(Some(Input::Idle(now())));
        }
        match capture.next_packet() {
            Ok(packet) => {
                *packets += 1;
                *silent = 0;
                // With nanosecond precision the field that is called microseconds holds nanoseconds.
                let (seconds, nanos) = (packet.header.ts.tv_sec, packet.header.ts.tv_usec);
                let at = Timestamp::from_parts(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
                *due = at.since(*asked) >= LOOK_AROUND; // a line that is never silent
                let (length, bytes) = (packet.header.len, packet.data);
                let (headers, end) = (Headers::read(*link, length, bytes), bytes.len() as u32);
                let record = record.insert(Record { at, begin: 0, end, length, interface: 0, link: *link, headers });
                let (records, interfaces) = (slice::from_ref(&*record).iter(), slice::from_ref(&*id));
                Ok(Some(Input::Packets(Packets { records, bytes, number: *packets, interfaces, ahead: 0 })))
            }
            // Nothing there now: a normal value.
            Err(pcap::Error::TimeoutExpired | pcap::Error::NoMorePackets) => {
                (*next, *silent) = ((index + 1) % count, *silent + 1);
                Ok(Some(Input::Idle(now())))
            }
            Err(error) => {
                (*gone, *up) = (true, false);
                *open -= 1;
                waits[index].fd = -1; // poll(2) passes it over
                let name = interfaces[index].name.clone().unwrap_or_default();
                let goes_on = *open > 0 || *patient;
                if !goes_on {
                    stop.store(true, Ordering::Relaxed);
                }
                Err(SourceError::Gone { name, reason: reason_of(&error), goes_on })
            }
        }
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
fn wait(waits: &mut [libc::pollfd], patience: libc::c_int) {
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
