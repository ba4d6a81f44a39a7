//! Legs of proxies that speak WebSocket themselves: they make a handshake of their own towards the backend, with another
//! key, and frame every message anew. Gateways and development servers do so, and programs that copy messages between two
//! sockets.
//!
//! Nothing on the wire names such a pair. What they cannot but share is its course: the proxy dials when it was asked, for
//! the same target, and passes on no more than it got. They are joined when the capture is over, and only where each fits
//! no other leg as well.

use std::cmp::Ordering;
use std::time::Duration;

use hashbrown::HashMap;

use crate::engine::tracker::Tracker;
use crate::packet::Moment;
use crate::session::SessionId;
use crate::session::course::{FORWARDING, TOLERANCE};
use crate::session::leg::{Direction, JoinReason, LegEnd, Request};
use crate::session::neighbours::ending::Ended;
use crate::session::over::Over;
use crate::session::records::{EntryState, Record};
use crate::stream::Role;
use crate::time::Timestamp;
use crate::ws::facts::MessageCounts;

/// A leg in front waits no longer for its proxy to dial.
const WAIT: Duration = Duration::from_secs(10);

/// Legs in front that are looked at for one behind: more do not ask for one target at a time but in a storm.
const LOOKED_AT: usize = 256;

/// A proxy tells its client of a failure within this time.
const TELLING: Duration = Duration::from_millis(250);

/// Messages that may be lost on their way through a proxy when it ends.
const UNDER_WAY: u64 = 2;

/// A leg with none behind it, or none in front, by its place.
#[derive(Clone, Copy, Debug)]
struct Loose {
    session: SessionId,
    entry: usize,
    asked: Timestamp,
    /// The first packet of its connection.
    opened: Timestamp,
}

/// How surely two legs meet in a proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fit {
    /// Nothing speaks against it.
    Consistent,
    /// One refusal on both, with the same words.
    SameAnswer,
    /// The same messages went over both, in number and in length.
    SameMessages,
}

/// A leg, by its session and its place there.
type Place = (SessionId, usize);

/// Two legs that may meet in a proxy.
#[derive(Clone, Copy, Debug)]
struct Pair {
    fit: Fit,
    front: Loose,
    back: Loose,
    /// Whether the one behind was answered.
    answered: bool,
}

impl Pair {
    fn places(&self) -> [Place; 2] {
        [self.front, self.back].map(|leg| (leg.session, leg.entry))
    }
}

/// The ends of the sessions that ask for one target.
#[derive(Debug, Default)]
struct Group {
    fronts: Vec<Loose>,
    backs: Vec<Loose>,
}

impl Tracker {
    /// Joins what a proxy made anew to what it was made of.
    pub(super) fn join_remade(&mut self) {
        let mut pairs: Vec<Pair> = Vec::new();
        for group in self.groups_by_target() {
            for back in &group.backs {
                let until = group.fronts.partition_point(|front| front.asked <= back.opened.plus(TOLERANCE));
                let near = group.fronts[..until].iter().rev().take(LOOKED_AT);
                let near = near.take_while(|front| back.opened.since(front.asked) <= WAIT);
                let answered = self.leg_at(back).is_some_and(|leg| leg.answered().is_some());
                let pair =
                    |front: &Loose| Some(Pair { fit: self.fit(front, back)?, front: *front, back: *back, answered });
                pairs.extend(near.filter_map(pair));
            }
        }
        let mut pairs = clear_pairs(pairs);
        // What is behind moves first: its own place is not known any more once its session was put behind another one.
        pairs.sort_unstable_by_key(|(_, back)| std::cmp::Reverse(back.asked));
        for (front, back) in pairs {
            self.put_behind((front.session, front.entry), back.session, JoinReason::Request);
        }
    }

    /// The ends of complete sessions, in order of asking, where there is more than one server to ask.
    fn groups_by_target(&self) -> Vec<Group> {
        let mut groups: HashMap<&str, Group, foldhash::fast::RandomState> = HashMap::default();
        let mut server = None;
        let mut servers_differ = false;
        for session in self.completed.iter() {
            let Some(record) = self.records.find(session) else { continue };
            let ends = [(0, true), (last_of(record), false)];
            for (entry, is_back) in ends {
                let Some(EntryState::Done(leg)) = record.entries.get(entry).map(|entry| &entry.state) else { continue };
                let Some((line, asked)) = leg.whole_line().zip(leg.asked()) else { continue };
                servers_differ |= *server.get_or_insert(leg.server()) != leg.server();
                let loose = Loose { session, entry, asked: asked.at, opened: leg.first().at };
                let group = groups.entry(line.target()).or_default();
                if is_back { group.backs.push(loose) } else { group.fronts.push(loose) }
            }
        }
        let mut groups: Vec<Group> = if servers_differ { groups.into_values().collect() } else { Vec::new() };
        groups.iter_mut().for_each(|group| group.fronts.sort_unstable_by_key(|front| (front.asked, front.session)));
        groups
    }

    fn leg_at(&self, place: &Loose) -> Option<&Over> {
        match &self.records.find(place.session)?.entries.get(place.entry)?.state {
            EntryState::Done(leg) => Some(leg),
            EntryState::Live(_) => None,
        }
    }

    fn fit(&self, front: &Loose, back: &Loose) -> Option<Fit> {
        if front.session == back.session {
            return None;
        }
        let (front, back) = (self.leg_at(front)?, self.leg_at(back)?);
        let (asked, remade) = (&*front.request()?, &*back.request()?);
        let elsewhere = front.server() != back.server() && front.client() != back.client();
        if !elsewhere || remade.moment <= asked.moment || share_a_key(asked, remade) {
            return None;
        }
        let told = remade.head.fields.name_client(front.client().ip);
        let other_maker = told || !is_of_one_make(asked, remade);
        // One program that asks two servers at once makes the same request twice: then every packet must be in order.
        let slack = if other_maker { TOLERANCE } else { Duration::ZERO };
        // Some proxies promise their client a WebSocket before they have one themselves.
        let early = front.answered().is_some_and(|answered| answered.at < remade.moment.at);
        let in_time = match front.answered() {
            Some(answered) if early => remade.moment.at.since(answered.at) <= FORWARDING,
            Some(answered) => back.answered().unwrap_or(back.last()).at <= answered.at.plus(slack),
            None => remade.moment.at <= front.last().at.plus(slack),
        };
        let dialled = asked.moment.at <= back.first().at.plus(slack) && back.first().at <= end_of(front).plus(slack);
        let fit = (in_time && dialled).then(|| fate(front, back, slack)).flatten()?;
        let one_host = self.joiner.hosts().may_be_one(front.server().ip, back.client().ip);
        let strangers = front.client().ip != back.client().ip;
        let enough = match fit {
            _ if told && one_host => true,
            Fit::SameMessages => one_host || strangers && other_maker,
            Fit::SameAnswer => other_maker && !early && (one_host || strangers),
            Fit::Consistent if early => {
                one_host && (fails_with(front, back) || other_maker && passes_a_dialogue(front, back))
            }
            Fit::Consistent => one_host && other_maker,
        };
        enough.then_some(fit)
    }
}

/// The leg that leads furthest.
fn last_of(record: &Record) -> usize {
    (0..record.entries.len()).max_by_key(|&index| record.depth(index)).unwrap_or_default()
}

/// How well what became of both can be what became of one session; `None` when it cannot.
fn fate(front: &Over, back: &Over, slack: Duration) -> Option<Fit> {
    match (front.tunnel(), back.tunnel()) {
        (Some(front), Some(back)) => {
            let there = follows(&front.sides.client, &back.sides.client, slack);
            if !there || !follows(&back.sides.server, &front.sides.server, slack) {
                return None;
            }
            let (asked, passed) = (front.sides.client.messages, back.sides.client.messages);
            let (answered, returned) = (back.sides.server.messages, front.sides.server.messages);
            if (asked, answered) == (passed, returned) && number_of(asked) > 0 && number_of(answered) > 0 {
                return Some(Fit::SameMessages);
            }
            (may_pass(asked, passed) && may_pass(answered, returned)).then_some(Fit::Consistent)
        }
        // The proxy has promised too much: its client hears nothing.
        (Some(front), None) => (number_of(front.sides.server.messages) == 0).then_some(Fit::Consistent),
        // The client left before it could be told.
        (None, Some(_)) => front.answered().is_none().then_some(Fit::Consistent),
        (None, None) => match (front.response(), back.response()) {
            (Some(told), Some(heard)) if told.head.status == heard.head.status => {
                let same = !told.body.is_empty() && told.body == heard.body;
                Some(if same { Fit::SameAnswer } else { Fit::Consistent })
            }
            // Or it is told as the failure of a gateway (RFC 9110 §15.6.3), or in the proxy's own words at once.
            (Some(told), Some(heard)) if told.head.status < 500 => {
                let refused = told.head.status >= 400 && heard.head.status >= 400;
                let at_once = told.moment.at.since(heard.moment.at) <= TELLING;
                (refused && at_once).then_some(Fit::Consistent)
            }
            (told, _) => told.is_none_or(|told| told.head.status >= 500).then_some(Fit::Consistent),
        },
    }
}

/// Whether a proxy that got these messages may have sent those: no more, and nearly all.
fn may_pass(got: MessageCounts, sent: MessageCounts) -> bool {
    let fewer = number_of(sent) <= number_of(got) && sent.bytes <= got.bytes;
    fewer && number_of(got) - number_of(sent) <= UNDER_WAY
}

/// Whether the first and the last message of one side of a proxy come out of it soon after they went in.
fn follows(got: &Direction, sent: &Direction, slack: Duration) -> bool {
    let soon = |got: Option<Moment>, sent: Option<Moment>| match (got, sent) {
        (Some(got), Some(sent)) => got.at <= sent.at.plus(slack) && sent.at.since(got.at) <= FORWARDING,
        _ => true,
    };
    // The last one may be lost on its way.
    let whole = number_of(got.messages) == number_of(sent.messages);
    soon(got.first_frame, sent.first_frame) && (!whole || soon(got.last_message, sent.last_message))
}

fn number_of(counts: MessageCounts) -> u64 {
    counts.text + counts.binary
}

/// The first FIN or RST.
fn first_end(leg: &Over) -> Option<LegEnd> {
    let mut first = None;
    leg.each_end(|end| _ = first.get_or_insert(end));
    first
}

/// When the first side said that it is done, or the last packet.
fn end_of(leg: &Over) -> Timestamp {
    first_end(leg).map_or(leg.last(), |end| end.moment).at
}

/// Whether several messages went through each way, and those that did not may have been under way at the end.
fn passes_a_dialogue(front: &Over, back: &Over) -> bool {
    const SEVERAL: u64 = 4;
    let Some((front, back)) = front.tunnel().zip(back.tunnel()) else { return false };
    number_of(back.sides.client.messages).min(number_of(front.sides.server.messages)) >= SEVERAL
}

/// Whether a WebSocket was closed from the server's side right after the proxy had found none behind it.
fn fails_with(front: &Over, back: &Over) -> bool {
    let failed = back.answered().or(first_end(back).map(|end| end.moment)).unwrap_or(back.last()).at;
    let closed = front.tunnel().and_then(|tunnel| Some(tunnel.sides.server.close.as_ref()?.moment.at));
    let ended = first_end(front).filter(|end| end.by == Role::Server).map(|end| end.moment.at);
    back.opened().is_none() && closed.or(ended).is_some_and(|told| failed <= told && told.since(failed) <= TELLING)
}

/// Whether both have a valid key, and it is one.
fn share_a_key(one: &Request, other: &Request) -> bool {
    one.head.nonce().is_some_and(|nonce| other.head.nonce() == Some(nonce))
}

/// Whether one program may have made both: the same fields in the same order, and the same name of it.
fn is_of_one_make(one: &Request, other: &Request) -> bool {
    let (one, other) = (&one.head.fields, &other.head.fields);
    one.first("User-Agent") == other.first("User-Agent")
        && one.iter().map(|field| field.name).eq(other.iter().map(|field| field.name))
}

/// Those pairs of which each leg fits the other clearly better than any other leg. Attempts of one proxy that were not
/// answered, but for the last, all go with the leg in front.
fn clear_pairs(mut pairs: Vec<Pair>) -> Vec<(Loose, Loose)> {
    let mut best: [HashMap<Place, (Fit, u32), foldhash::fast::RandomState>; 2] = Default::default();
    for pair in &pairs {
        for (best, place) in best.iter_mut().zip(pair.places()) {
            let (most, count) = best.entry(place).or_insert((pair.fit, 0));
            match pair.fit.cmp(most) {
                Ordering::Greater => (*most, *count) = (pair.fit, 1),
                Ordering::Equal => *count += 1,
                Ordering::Less => {}
            }
        }
    }
    let mut answered: HashMap<Place, u32, foldhash::fast::RandomState> = HashMap::default();
    for pair in &pairs {
        *answered.entry(pair.places()[0]).or_default() += u32::from(pair.answered);
    }
    pairs.retain(|pair| {
        let [front, back] = pair.places();
        let alone = |best: &HashMap<Place, (Fit, u32), _>, place| best.get(place) == Some(&(pair.fit, 1));
        let retried = pair.fit == Fit::Consistent && answered.get(&front).is_none_or(|&count| count <= 1);
        alone(&best[1], &back) && (alone(&best[0], &front) || retried)
    });
    pairs.into_iter().map(|pair| (pair.front, pair.back)).collect()
}
