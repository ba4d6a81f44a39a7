//! permessage-deflate (RFC 7692): from the payload of compressed messages to their application bytes.
//!
//! Inflaters are large (about 48 KiB) and few, so all directions share a [`Pool`] of them. What a direction keeps between
//! messages is its [`Window`] of at most 32 KiB, and only with context takeover. A direction that finds the inflater of
//! its last message still its own goes on with it; else another one is given the window as its dictionary.
//!
//! Bytes of the window that are not known (after a gap, or before the capture began) are [`UNKNOWN`]. What is copied from
//! there comes out as `UNKNOWN` again, so that every byte of the output is either right or known to be unknown.

use flate2::{Decompress, FlushDecompress, Status};

use crate::ws::facts::Opcode;

/// The largest LZ77 window (RFC 7692 §7.1.2). Inflating with the largest reads what was made with any.
const WINDOW: usize = 1 << 15;
const WINDOW_BITS: u8 = 15;

/// Stands for a byte that is not known. No UTF-8 has it; in binary messages it may be taken for what it is not.
pub const UNKNOWN: u8 = 0xFF;

/// What a sender took off the end of each message (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Why a message is not inflated to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// It is not DEFLATE, or reaches behind its window.
    Corrupt,
    /// It became longer than the bound.
    TooLong,
    /// Its inflater had to be given to another direction.
    Displaced,
    /// It builds on bytes that are not known.
    Unknown,
}

/// One direction's side of permessage-deflate.
#[derive(Debug)]
pub struct Inflation {
    takeover: bool,
    /// The output of earlier messages; stays empty without takeover.
    window: Window,
    /// Output bytes since the last one that is not known; at [`WINDOW`] and above the whole window is known.
    clean: usize,
    ticket: Ticket,
    message: State,
    /// Output of the message that is under way.
    produced: u64,
}

/// How the message that is under way stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// There is none.
    Idle,
    /// No byte of it has come.
    Empty,
    /// Inside a DEFLATE stream.
    Inside,
    /// A block with BFINAL has ended the stream; what follows is a new one (RFC 7692 §7.2.3.4).
    Ended,
    /// It cannot go on.
    Broken,
}

impl Inflation {
    /// For a direction from its beginning, or (`known` false) from somewhere in its middle.
    pub fn new(takeover: bool, known: bool) -> Inflation {
        let clean = if known || !takeover { WINDOW } else { 0 };
        Inflation {
            takeover,
            window: Window::default(),
            clean,
            ticket: Ticket::default(),
            message: State::Idle,
            produced: 0,
        }
    }

    /// Whether all that an inflater can reach back to is known.
    fn is_certain(&self) -> bool {
        self.clean >= WINDOW
    }

    /// A message begins.
    pub fn begin(&mut self, pool: &mut Pool) {
        self.message = State::Empty;
        self.produced = 0;
        if !self.takeover || !pool.is_held(self.ticket) {
            self.ticket = pool.assign();
            if !self.takeover {
                self.clean = WINDOW;
            }
            self.restart(pool);
        }
        pool.set_busy(self.ticket, true);
    }

    /// The next payload bytes of the message. `out` gets what they inflate to, in pieces no longer than `room`, and
    /// whether a piece is certain; else it may have [`UNKNOWN`] bytes.
    pub fn push(
        &mut self,
        mut input: &[u8],
        pool: &mut Pool,
        room: &mut [u8],
        mut out: impl FnMut(&[u8], bool),
    ) -> Result<(), Trouble> {
        while !input.is_empty() {
            match self.message {
                State::Idle | State::Broken => return Ok(()),
                State::Ended => self.begin_again(pool),
                State::Empty | State::Inside => {}
            }
            self.message = State::Inside;
            input = match self.inflate(input, pool, room, &mut out) {
                Ok(rest) => rest,
                Err(trouble) => return Err(self.give_up(trouble, pool)),
            };
        }
        Ok(())
    }

    /// The message is complete.
    pub fn finish(&mut self, pool: &mut Pool, room: &mut [u8], out: impl FnMut(&[u8], bool)) -> Result<(), Trouble> {
        let mut result = Ok(());
        if self.message == State::Inside {
            // A stream that was whole has nothing more to say: the tail is an empty block (RFC 7692 §7.2.2).
            let before = self.produced;
            result = self.push(&TAIL, pool, room, out);
            if result.is_ok() && self.produced != before {
                result = Err(self.give_up(Trouble::Corrupt, pool));
            }
        } else if self.message == State::Ended && self.takeover {
            self.begin_again(pool);
        }
        self.message = State::Idle;
        if self.takeover {
            pool.set_busy(self.ticket, false);
        } else {
            pool.release(self.ticket);
        }
        result
    }

    /// Bytes of a compressed message are lost: it cannot go on, and with takeover nothing of the window is known.
    pub fn lose(&mut self, pool: &mut Pool) {
        pool.release(self.ticket);
        if self.message != State::Idle {
            self.message = State::Broken;
        }
        if self.takeover {
            self.window = Window::default();
            self.clean = 0;
        }
    }

    /// The rest of the message is not inflated.
    fn give_up(&mut self, trouble: Trouble, pool: &mut Pool) -> Trouble {
        let certain = self.is_certain();
        self.lose(pool);
        if trouble == Trouble::Corrupt && !certain { Trouble::Unknown } else { trouble }
    }

    /// A new DEFLATE stream in the same message. Its blocks may reach back into the output before it.
    fn begin_again(&mut self, pool: &mut Pool) {
        if !self.takeover {
            // No window is kept then: what is copied from before the end of the stream is not known.
            self.clean = 0;
        }
        self.restart(pool);
    }

    /// Makes the inflater begin a stream with the window as its history.
    fn restart(&mut self, pool: &mut Pool) {
        let unknown = if self.is_certain() { 0 } else { WINDOW - self.window.bytes.len() };
        pool.restart(self.ticket, unknown, &self.window);
    }

    /// Inflates until the input is used up, or the stream has ended; gives what input is left.
    fn inflate<'a>(
        &mut self,
        mut input: &'a [u8],
        pool: &mut Pool,
        room: &mut [u8],
        out: &mut impl FnMut(&[u8], bool),
    ) -> Result<&'a [u8], Trouble> {
        let bound = pool.bound;
        let stream = pool.stream(self.ticket).ok_or(Trouble::Displaced)?;
        loop {
            let (used, made) = (stream.total_in(), stream.total_out());
            let result = stream.decompress(input, room, FlushDecompress::Sync);
            let (used, made) = ((stream.total_in() - used) as usize, (stream.total_out() - made) as usize);
            input = &input[used..];
            // What came out before an error, or up to the bound, is right.
            let allowed = usize::try_from(bound - self.produced).unwrap_or(usize::MAX);
            self.note(&room[..made.min(allowed)], out);
            match result {
                Err(_) => return Err(Trouble::Corrupt),
                Ok(_) if made > allowed => return Err(Trouble::TooLong),
                Ok(Status::StreamEnd) => {
                    self.message = State::Ended;
                    return Ok(input);
                }
                Ok(_) if input.is_empty() && made < room.len() => return Ok(input),
                Ok(_) if used == 0 && made == 0 => return Err(Trouble::Corrupt),
                Ok(_) => {}
            }
        }
    }

    /// Counts, keeps and hands out what was inflated.
    fn note(&mut self, output: &[u8], out: &mut impl FnMut(&[u8], bool)) {
        let certain = self.is_certain();
        if !certain {
            match memchr::memrchr(UNKNOWN, output) {
                Some(position) => self.clean = output.len() - position - 1,
                None => self.clean += output.len(),
            }
        }
        self.produced += output.len() as u64;
        if self.takeover {
            self.window.push(output);
        }
        out(output, certain);
    }
}

/// Whether a frame with this opcode may begin a compressed message (RFC 7692 §6).
pub const fn may_be_compressed(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::TEXT | Opcode::BINARY)
}

/// The last output of a direction, at most [`WINDOW`] bytes: a ring once it is full.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    /// Where the oldest byte is, once it is full.
    oldest: usize,
}

impl Window {
    fn push(&mut self, output: &[u8]) {
        let output = &output[output.len().saturating_sub(WINDOW)..];
        let (grow, wrap) = output.split_at(output.len().min(WINDOW - self.bytes.len()));
        self.bytes.extend_from_slice(grow);
        let (first, second) = wrap.split_at(wrap.len().min(WINDOW - self.oldest));
        self.bytes[self.oldest..self.oldest + first.len()].copy_from_slice(first);
        self.bytes[..second.len()].copy_from_slice(second);
        self.oldest = (self.oldest + wrap.len()) % WINDOW;
    }

    /// Older part, younger part.
    fn parts(&self) -> [&[u8]; 2] {
        let (younger, older) = self.bytes.split_at(self.oldest);
        [older, younger]
    }
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// The inflaters that all directions share.
#[derive(Debug)]
pub struct Pool {
    slots: Vec<Slot>,
    /// Slots that nobody holds.
    free: Vec<u32>,
    capacity: usize,
    /// Bytes that one message may inflate to.
    bound: u64,
    /// Counts assignments and uses: the owner's number, and the age of a slot.
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    /// The assignment that it belongs to; 0 for none.
    owner: u64,
    /// Whether it is in the middle of a message: without it, the rest of that cannot be read.
    busy: bool,
    /// When it was last used.
    used: u64,
    stream: Decompress,
}

/// A claim on a slot. It holds until the slot is given to somebody else.
#[derive(Clone, Copy, Debug, Default)]
struct Ticket {
    slot: u32,
    owner: u64,
}

impl Pool {
    /// At most `capacity` inflaters (at least one), each for messages of at most `bound` bytes.
    pub fn new(capacity: usize, bound: u64) -> Pool {
        Pool { slots: Vec::new(), free: Vec::new(), capacity: capacity.max(1), bound, clock: 0 }
    }

    fn is_held(&self, ticket: Ticket) -> bool {
        ticket.owner != 0 && self.slots.get(ticket.slot as usize).is_some_and(|slot| slot.owner == ticket.owner)
    }

    /// The inflater of this ticket, if it is still its own.
    fn stream(&mut self, ticket: Ticket) -> Option<&mut Decompress> {
        if !self.is_held(ticket) {
            return None;
        }
        self.clock += 1;
        let slot = &mut self.slots[ticket.slot as usize];
        slot.used = self.clock;
        Some(&mut slot.stream)
    }

    fn set_busy(&mut self, ticket: Ticket, busy: bool) {
        if self.is_held(ticket) {
            self.slots[ticket.slot as usize].busy = busy;
        }
    }

    /// A free slot, a new one, or the one that was not used for the longest time.
    fn assign(&mut self) -> Ticket {
        self.clock += 1;
        let slot = match self.free.pop() {
            Some(slot) => slot as usize,
            None if self.slots.len() < self.capacity => {
                let stream = Decompress::new_with_window_bits(false, WINDOW_BITS);
                self.slots.push(Slot { owner: 0, busy: false, used: 0, stream });
                self.slots.len() - 1
            }
            None => {
                (0..self.slots.len()).min_by_key(|&slot| (self.slots[slot].busy, self.slots[slot].used)).unwrap_or(0)
            }
        };
        self.slots[slot].owner = self.clock;
        self.slots[slot].used = self.clock;
        Ticket { slot: slot as u32, owner: self.clock }
    }

    /// Gives the slot back.
    fn release(&mut self, ticket: Ticket) {
        if self.is_held(ticket) {
            self.slots[ticket.slot as usize].owner = 0;
            self.free.push(ticket.slot);
        }
    }

    /// Makes the ticket's inflater begin a stream with this history: so many unknown bytes, then the window.
    fn restart(&mut self, ticket: Ticket, unknown: usize, window: &Window) {
        let Some(stream) = self.stream(ticket) else { return };
        stream.reset(false);
        let [older, younger] = window.parts();
        for dictionary in [&[UNKNOWN; WINDOW][..unknown], older, younger] {
            if !dictionary.is_empty() {
                // Fails only for streams with a zlib header.
                let _ = stream.set_dictionary(dictionary);
            }
        }
    }
}
