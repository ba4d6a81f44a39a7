//! How a leg went, by sizes and times alone: a proxy passes on what it gets, so both of its legs go alike, also where
//! one of them, or each, is encrypted.
//!
//! The opening exchange differs, for proxies change its heads; what comes behind it is the same to the byte. Records of
//! the two legs need not be: a proxy passes on what it has read so far. So sums are compared, not records.

use std::time::Duration;

use crate::stream::{ByRole, Role};
use crate::time::Timestamp;
use crate::tls::Sizes;

/// A proxy passes a request on within this time, or begins to dial its backend.
pub const FORWARDING: Duration = Duration::from_millis(500);

/// Captures on several interfaces are not in order: a leg still waits for so long after its answer's time, and clocks of one
/// host differ by no more.
pub const TOLERANCE: Duration = Duration::from_millis(2);

/// An answer, and what is sent last, is passed on within this time.
const PASSING: Duration = Duration::from_secs(1);

/// Records that the head of an answer may come in.
const HEAD_RECORDS: usize = 4;

/// The head of an answer that opens a WebSocket is no longer, cookies included.
const HEAD: u64 = 8 << 10;

/// By how much a proxy may lengthen or shorten the head of an answer.
const HEAD_CHANGE: u64 = 512;

/// No request for a WebSocket is shorter, with the fields that it must have (RFC 6455 §4.1).
const REQUEST: u64 = 100;

/// One leg's course.
#[derive(Clone, Debug)]
pub struct Course {
    opened: Timestamp,
    /// Whether its beginning was seen: else it was there before `opened`.
    dialled: bool,
    /// When its request was sent; `None` when TLS never came so far.
    asked: Option<Timestamp>,
    /// Whether nothing is missing in front of that: else it may have asked earlier.
    first_asked: bool,
    answered: Option<Timestamp>,
    /// When it began to end.
    ended: Option<Timestamp>,
    /// What was sent behind the opening exchange; `None` when there was none, or it cannot be told.
    behind: Option<Behind>,
    /// What is known to have come of the attempt: a WebSocket or not.
    established: Option<bool>,
    /// When each side sent something for the last time.
    last: ByRole<Option<Timestamp>>,
}

/// What was sent behind the opening exchange, in bytes.
#[derive(Clone, Copy, Debug)]
struct Behind {
    client: u64,
    /// The size of the client's first record, where there are records.
    first: Option<u64>,
    /// One number when it is known where the answer ends, else one for each record in which it may.
    server: [Option<u64>; HEAD_RECORDS],
    /// The length of the answer's head, where it was read.
    head: Option<u64>,
    /// All that the server sent, where the end of the answer's head is not known.
    all: Option<u64>,
    /// By how much the true numbers may be smaller, for padding hides them.
    slack: ByRole<u64>,
}

/// How alike two legs are that may meet in a proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Likeness {
    /// They do not belong together.
    Contradicted,
    /// Nothing speaks against it, and times alone speak for it.
    Possible,
    /// What one side sent adds up to the same on both legs, and the other side's may.
    Half(Closeness),
    /// What both sides sent does.
    Whole(Closeness),
}

/// How close together in time the same things happened on two legs: the greatest is the closest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Closeness(std::cmp::Reverse<Duration>);

impl Likeness {
    /// Whether sizes say so.
    pub fn is_by_sizes(self) -> bool {
        self >= Likeness::Half(Closeness(std::cmp::Reverse(Duration::MAX)))
    }

    /// Whether it says more than another one: sizes that agree on more, or times that are clearly closer.
    pub fn is_clearly_above(self, other: Likeness) -> bool {
        /// Who is busy is late by about so much.
        const JITTER: Duration = Duration::from_millis(1);
        match (self, other) {
            (Likeness::Whole(one), Likeness::Whole(other)) | (Likeness::Half(one), Likeness::Half(other)) => {
                one.0.0 + one.0.0 / 2 + JITTER < other.0.0
            }
            _ => self > other,
        }
    }
}

/// What is known of a leg in clear.
#[derive(Clone, Copy, Debug)]
pub struct InClear {
    /// The first packet.
    pub opened: Timestamp,
    /// Whether that began the connection.
    pub dialled: bool,
    /// When its request was complete.
    pub asked: Timestamp,
    /// When its answer began, and the length of its head.
    pub answered: Option<(Timestamp, u32)>,
    /// When it began to end.
    pub ended: Option<Timestamp>,
    /// What each side sent in the tunnel, and when the last frame began.
    pub tunnel: Option<ByRole<(u64, Option<Timestamp>)>>,
}

impl Course {
    /// Of a leg whose bytes are known.
    pub fn in_clear(leg: &InClear) -> Course {
        let behind = leg.tunnel.map(|tunnel| Behind {
            client: tunnel.client.0,
            first: None,
            server: [Some(tunnel.server.0), None, None, None],
            head: leg.answered.map(|(_, length)| length.into()),
            all: None,
            slack: ByRole::default(),
        });
        Course {
            opened: leg.opened,
            dialled: leg.dialled,
            asked: Some(leg.asked),
            first_asked: true,
            answered: leg.answered.map(|(at, _)| at),
            ended: leg.ended,
            behind,
            established: leg.answered.map(|_| leg.tunnel.is_some()),
            last: leg
                .tunnel
                .map(|tunnel| ByRole { client: tunnel.client.1, server: tunnel.server.1 })
                .unwrap_or_default(),
        }
    }

    /// Of an encrypted leg; `None` when it cannot be one on which somebody asks for a WebSocket.
    /// `dialled`: whether its first packet began the connection. `ended`: when it began to end.
    pub fn encrypted(opened: Timestamp, dialled: bool, ended: Option<Timestamp>, sizes: &Sizes<'_>) -> Option<Course> {
        if !sizes.may_be_http || sizes.asked.is_some() && sizes.request < REQUEST {
            return None;
        }
        let last = ByRole { client: last_said(sizes, Role::Client), server: last_said(sizes, Role::Server) };
        let behind = (sizes.whole && sizes.answered.is_some()).then(|| Behind::encrypted(sizes));
        Some(Course {
            opened,
            dialled,
            asked: sizes.asked,
            first_asked: sizes.first_asked,
            answered: sizes.answered,
            ended,
            behind,
            established: None,
            last,
        })
    }

    /// When its first packet came.
    pub fn opened(&self) -> Timestamp {
        self.opened
    }

    /// When its request was sent.
    pub fn asked(&self) -> Option<Timestamp> {
        self.asked
    }

    /// Whether an answer was seen.
    pub fn is_answered(&self) -> bool {
        self.answered.is_some()
    }

    /// Whether both sides said something behind the opening exchange.
    pub fn is_two_way(&self) -> bool {
        self.behind.is_some_and(|behind| behind.client > 0 && behind.server.iter().flatten().any(|&bytes| bytes > 0))
    }

    /// How alike they are if this leg is in front of a proxy and `back` behind it. `settled`: nothing is on its way from
    /// one to the other any more.
    pub fn likeness(&self, back: &Course, settled: bool) -> Likeness {
        let Some(opening) = self.opening(back) else { return Likeness::Contradicted };
        if self.is_other_than(back, settled) || self.is_behind(back) {
            return Likeness::Contradicted;
        }
        let (Some(ours), Some(theirs)) = (&self.behind, &back.behind) else { return Likeness::Possible };
        let client = passed_on(ours.client, ours.slack.client, theirs.client, theirs.slack.client);
        let (server, passed) = theirs.server_to(ours);
        let said = ByRole { client: theirs.client > 0, server: passed > 0 };
        let times = (self.apart(back, Role::Client), self.apart(back, Role::Server));
        match (client, server) {
            (Passed::TooMuch, _) | (_, Passed::TooMuch) => Likeness::Contradicted,
            (Passed::All, Passed::All) if said.client || said.server => match times {
                (Some(client), Some(server)) => Likeness::Whole(closeness(opening + client + server)),
                _ => Likeness::Contradicted,
            },
            (Passed::All, Passed::All) => Likeness::Possible,
            (Passed::All, Passed::Some) if said.client => match times.0 {
                Some(client) => Likeness::Half(closeness(opening + client)),
                None => Likeness::Contradicted,
            },
            (Passed::Some, Passed::All) if said.server => match times.1 {
                Some(server) => Likeness::Half(closeness(opening + server)),
                None => Likeness::Contradicted,
            },
            _ if settled => Likeness::Contradicted,
            _ => Likeness::Possible,
        }
    }

    /// Whether it is rather the other way round: the leg in front asks first and is answered last. What captures on
    /// several interfaces do to one of the two times they do to the other as well.
    fn is_behind(&self, back: &Course) -> bool {
        let nanos = |at: Timestamp| i128::from(at.as_nanos());
        let (Some(ours), Some(theirs)) = (self.asked, back.asked) else { return false };
        let asked = nanos(theirs) - nanos(ours);
        let answered = match (back.answered, self.answered) {
            (Some(theirs), Some(ours)) => nanos(ours) - nanos(theirs),
            _ => 0,
        };
        asked + answered < 0
    }

    /// Whether a WebSocket came of one of the two, and none of the other.
    fn is_other_than(&self, back: &Course, settled: bool) -> bool {
        // Behind an answer that refuses comes nothing more, or another request.
        let says_more = self.behind.and_then(|behind| behind.first).is_some_and(|size| size < REQUEST);
        match (self.established, back.established) {
            (Some(true), Some(false)) | (Some(false), Some(true)) => true,
            (Some(true), None) => !back.is_answered(),
            (None, Some(true)) => settled && !self.is_answered(),
            (None, Some(false)) => says_more,
            _ => false,
        }
    }

    /// How much later the opening exchange happened on the leg behind, all in all; `None` when the two do not fit.
    fn opening(&self, back: &Course) -> Option<Duration> {
        let asked = self.asked?;
        // A connection that the proxy dialled for this request, else one that it had already.
        let begun = match back.dialled && back.opened.plus(TOLERANCE) >= asked {
            true => back.opened,
            false => back.asked.filter(|_| back.first_asked)?,
        };
        if self.ended.is_some_and(|ended| ended.plus(TOLERANCE) < begun) {
            return None; // nobody waited any more
        }
        let mut apart = later(asked, begun, FORWARDING)?;
        apart += match (back.answered, self.answered) {
            (Some(theirs), Some(ours)) => later(theirs, ours, PASSING)?,
            // The proxy answered by itself, but not before it had asked.
            (None, Some(ours)) => {
                later(back.asked.unwrap_or(back.opened), ours, Duration::MAX)?;
                Duration::ZERO
            }
            (_, None) => Duration::ZERO,
        };
        Some(apart)
    }

    /// How much later than the first of the two legs the second got what `role` sent last; `None` when that does not fit.
    fn apart(&self, back: &Course, role: Role) -> Option<Duration> {
        let (first, second) = match role {
            Role::Client => (self.last.client, back.last.client),
            Role::Server => (back.last.server, self.last.server),
        };
        // Of a leg in clear the beginning of the last frame is known, which may be a long one.
        let apart = first.zip(second).map_or(Duration::ZERO, |(first, second)| first.distance(second));
        (apart <= PASSING).then_some(apart)
    }
}

impl Behind {
    fn encrypted(sizes: &Sizes<'_>) -> Behind {
        let mut server = [None; HEAD_RECORDS];
        let mut rest = sizes.bytes.server;
        for (place, &(_, size)) in server.iter_mut().zip(&sizes.records.server) {
            rest = rest.saturating_sub(size.into());
            if sizes.bytes.server - rest > HEAD {
                break;
            }
            *place = Some(rest);
        }
        Behind {
            client: sizes.bytes.client.saturating_sub(sizes.request),
            first: sizes.records.client.iter().find(|(at, _)| sizes.answered < Some(*at)).map(|&(_, size)| size.into()),
            server,
            head: None,
            all: Some(sizes.bytes.server),
            slack: sizes.slack,
        }
    }

    /// Whether what the server sent on this leg, the one behind, was passed on to `front`; and how much that was.
    fn server_to(&self, front: &Behind) -> (Passed, u64) {
        let mut best = (Passed::TooMuch, 0);
        for &theirs in self.server.iter().flatten() {
            for &ours in front.server.iter().flatten() {
                if !is_head(self.head, front.all, ours) || !is_head(front.head, self.all, theirs) {
                    continue;
                }
                let passed = passed_on(theirs, self.slack.server, ours, front.slack.server);
                best = best.max((passed, theirs.min(ours)));
            }
        }
        // The answer and the first frames may have come to the client in one record.
        let coalesced = self.head.is_some() && self.server[0].is_some_and(|ours| is_head(self.head, front.all, ours));
        if best.0 != Passed::All && coalesced {
            best = best.max((Passed::Some, 0));
        }
        best
    }
}

/// When a side said something for the last time; `None` when that cannot be told. A record of two bytes at the end is taken
/// for a close_notify (RFC 8446 §6.1), which belongs to this leg alone.
fn last_said(sizes: &Sizes<'_>, role: Role) -> Option<Timestamp> {
    let (moment, size) = sizes.last[role]?;
    if size != 2 {
        return Some(moment.at);
    }
    match &sizes.records[role][..] {
        [.., (before, _), (last, _)] if *last == moment.at => Some(*before),
        _ => None,
    }
}

/// Whether the head of an answer may be what is left of `all` without what is `behind` it, when on the other leg it has
/// `head` bytes.
fn is_head(head: Option<u64>, all: Option<u64>, behind: u64) -> bool {
    match (head, all) {
        (Some(head), Some(all)) => all.checked_sub(behind).is_some_and(|ours| ours.abs_diff(head) <= HEAD_CHANGE),
        _ => true,
    }
}

/// What a proxy did with what it got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Passed {
    /// It cannot have been that: more came out than went in.
    TooMuch,
    /// Not all of it came out, so far.
    Some,
    /// All of it did.
    All,
}

fn passed_on(got: u64, got_slack: u64, sent: u64, sent_slack: u64) -> Passed {
    if sent.saturating_sub(sent_slack) > got {
        Passed::TooMuch
    } else if sent >= got.saturating_sub(got_slack) {
        Passed::All
    } else {
        Passed::Some
    }
}

/// How much later `second` is than `first`; `None` when it is earlier, or later than that.
fn later(first: Timestamp, second: Timestamp, most: Duration) -> Option<Duration> {
    let apart = second.since(first);
    (second.plus(TOLERANCE) >= first && apart <= most).then_some(apart)
}

fn closeness(apart: Duration) -> Closeness {
    Closeness(std::cmp::Reverse(apart))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Timestamp = Timestamp::from_parts(1, 0);

    fn in_clear(asked: Timestamp) -> Course {
        Course::in_clear(&InClear { opened: asked, dialled: true, asked, answered: None, ended: None, tunnel: None })
    }

    fn encrypted(dialled: bool, first_asked: bool) -> Course {
        let none = ByRole::default();
        let sizes = Sizes {
            asked: Some(SECOND.plus(Duration::from_millis(10))),
            first_asked,
            request: 200,
            answered: None,
            records: &ByRole::default(),
            bytes: ByRole::default(),
            slack: ByRole::default(),
            count: 1,
            last: none,
            whole: first_asked,
            may_be_http: true,
        };
        Course::encrypted(SECOND.plus(Duration::from_millis(1)), dialled, None, &sizes).expect("it may be a leg")
    }

    #[test]
    fn a_connection_was_dialled_for_a_request_only_if_its_beginning_was_seen() {
        let front = in_clear(SECOND);
        assert_eq!(front.likeness(&encrypted(true, false), true), Likeness::Possible);
        assert_eq!(front.likeness(&encrypted(false, true), true), Likeness::Possible, "one that the proxy had already");
        assert_eq!(front.likeness(&encrypted(false, false), true), Likeness::Contradicted, "it may have asked before");
    }

    #[test]
    fn nobody_dials_for_a_leg_that_is_over() {
        let front = |ended: u64| Course { ended: Some(SECOND.plus(Duration::from_millis(ended))), ..in_clear(SECOND) };
        let back = encrypted(false, true); // asks 10 ms later
        assert_eq!(front(20).likeness(&back, true), Likeness::Possible);
        assert_eq!(front(5).likeness(&back, true), Likeness::Contradicted);
    }
}
