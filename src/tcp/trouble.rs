//! What most connections never need: made on first use, and boxed.

use std::time::Duration;

use crate::packet::Moment;
use crate::stream::Pair;
use crate::tcp::assembler::Assembler;
use crate::tcp::connection::Mark;
use crate::tcp::duplicates::Window;
use crate::tcp::ends::Ends;
use crate::tcp::facts::ZeroWindow;
use crate::tcp::seq::SeqNumber;
use crate::time::Timestamp;
use crate::wire::IcmpError;

/// Of a connection: how it ends, and what is out of the ordinary.
#[derive(Default)]
pub(super) struct Rare {
    pub(super) ends: Ends,
    pub(super) halves: Pair<Option<Box<Trouble>>>,
    pub(super) odd: Option<Box<Odd>>,
}

/// Of a connection: what few have, even of those that have ended.
#[derive(Default)]
pub(super) struct Odd {
    /// The SYN, when it was not the first packet.
    pub(super) syn: Option<Moment>,
    pub(super) syn_retransmissions: u32,
    /// The first few ICMP errors about it.
    pub(super) icmp: Vec<IcmpError>,
    /// Moments too late for their packed form.
    pub(super) marks: Vec<(Mark, Moment)>,
}

impl Odd {
    /// ICMP errors kept of one connection.
    const ICMP: usize = 4;

    /// Notes an ICMP error if there is room.
    pub(super) fn note_icmp(&mut self, error: &IcmpError) {
        if self.icmp.len() < Self::ICMP {
            self.icmp.push(*error);
        }
    }
}

impl Rare {
    pub(super) fn odd_mut(&mut self) -> &mut Odd {
        self.odd.get_or_insert_default()
    }
}

/// Bytes that the peer acknowledged before the capture saw them.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// Up to here.
    pub(super) seq: SeqNumber,
    /// The packet that said so.
    pub(super) moment: Moment,
}

/// Of one direction: loss, disorder, a slow receiver.
#[derive(Default)]
pub(super) struct Trouble {
    /// Packets, in units of 2^32.
    pub(super) packets_carry: u32,
    pub(super) retransmissions: u32,
    pub(super) out_of_order: u32,
    pub(super) duplicates: u32,
    pub(super) keep_alives: u32,
    pub(super) conflicts: u32,
    pub(super) late: u32,
    pub(super) gap_bytes: u64,
    pub(super) cut_bytes: u64,
    /// Times the oldest outstanding bytes were sent again since the peer was last heard of.
    pub(super) unanswered: u32,
    pub(super) longest_recovery: Duration,
    /// Bytes that wait for a hole to fill.
    pub(super) held: Assembler,
    /// A FIN that waits likewise.
    pub(super) fin: Option<Ahead>,
    /// Whether a deadline for the hole is set.
    pub(super) hole_timer: bool,
    /// The first and the last acknowledgment that ran ahead of the capture.
    pub(super) ahead: Option<[Ahead; 2]>,
    /// Whether a deadline for those is set.
    pub(super) ahead_timer: bool,
    /// An acknowledgment that was not believed.
    pub(super) doubted: Option<SeqNumber>,
    /// The last gap: from, to.
    pub(super) gap: Option<(SeqNumber, SeqNumber)>,
    /// A byte that was sent to try a window of zero.
    pub(super) probe: Option<SeqNumber>,
    /// What was sent again and is not acknowledged.
    resent: Vec<Resent>,
    /// Windows of zero up to now, and since when it is shut.
    pub(super) zero_window: ZeroWindow,
    pub(super) shut_at: Timestamp,
    /// More packets to recognise those that come twice.
    pub(super) recent: Window,
}

/// A segment that was sent again and is not acknowledged.
#[derive(Clone, Copy)]
struct Resent {
    seq: SeqNumber,
    length: u32,
    /// How often in this length.
    times: u32,
    first_sent: Timestamp,
    last_sent: Timestamp,
}

impl Trouble {
    /// Segments whose retransmissions are followed at a time: a sender repairs one or two holes at once.
    const RESENT: usize = 8;

    /// Bytes were sent again that the peer has not acknowledged.
    pub(super) fn note_resent(&mut self, seq: SeqNumber, length: u32, first_sent: Option<Moment>, now: Timestamp) {
        if let Some(known) = self.resent.iter_mut().find(|resent| resent.seq == seq) {
            let times = if known.length == length { known.times + 1 } else { 1 };
            *known = Resent { length, times, last_sent: now, ..*known };
        } else if self.resent.len() < Self::RESENT
            && let Some(first) = first_sent
        {
            self.resent.push(Resent { seq, length, times: 1, first_sent: first.at, last_sent: now });
        }
    }

    /// Everything before `ack` has arrived: what was sent again has got through.
    pub(super) fn recover(&mut self, ack: SeqNumber) {
        let longest = &mut self.longest_recovery;
        self.resent.retain(|resent| {
            let arrived = ack.distance(resent.seq.plus(resent.length)) >= 0;
            if arrived {
                *longest = resent.last_sent.since(resent.first_sent).max(*longest);
            }
            !arrived
        });
    }

    /// The largest payload that was sent again at least twice and is still not acknowledged, and how often it was sent again.
    pub(super) fn largest_lost(&self) -> (u32, u32) {
        let lost = self.resent.iter().filter(|resent| resent.times >= 2);
        lost.map(|resent| (resent.length, resent.times)).max().unwrap_or((0, 0))
    }

    /// Where the first waiting thing is, and the packet that brought it.
    pub(super) fn first_waiting(&self) -> Option<Ahead> {
        self.held.first().map(|piece| Ahead { seq: piece.seq, moment: piece.moment }).or(self.fin)
    }

    /// Its windows of zero, the present one included.
    pub(super) fn zero_window(&self, shut: bool, now: Timestamp) -> ZeroWindow {
        let mut zero_window = self.zero_window;
        if shut {
            zero_window.open = true;
            zero_window.add(now.since(self.shut_at));
        }
        zero_window
    }
}

impl ZeroWindow {
    /// One more time that is over, or goes on, of this length.
    pub(super) fn add(&mut self, duration: Duration) {
        self.total = self.total.saturating_add(duration);
        self.longest = self.longest.max(duration);
    }
}
