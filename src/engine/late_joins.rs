//! Legs that were not known to belong together while they were followed, joined when the capture is over.
//!
//! The key joins legs while the client waits. That fails where the files of two interfaces stand one behind the other, where
//! the snap length cut the keys off, and where the capture began later than the WebSocket. What is left then: the times of
//! one handshake lie within those of the other; and a proxy passes the bytes of a tunnel on as they are. Which they are the
//! client's masking keys tell, the last one or, where the capture does not have that on both sides, the first. Where those
//! are not chosen by chance, or the proxy makes frames of its own, or the client is silent, as many bytes at the same time
//! are enough, if they are nobody else's.

use std::cmp::Reverse;
use std::hash::Hash;
use std::time::Duration;

use hashbrown::HashMap;

use crate::engine::tracker::Tracker;
use crate::session::SessionId;
use crate::session::course::TOLERANCE;
use crate::session::joiner;
use crate::session::leg::JoinReason;
use crate::session::neighbours::ending::Ended;
use crate::session::over::Over;
use crate::session::records::EntryState;
use crate::stream::Role;
use crate::time::Timestamp;
use crate::wire::Endpoint;
use crate::ws::mask::MaskingKey;
use crate::ws::masks::{Masked, Masks};

/// Sessions that are looked at to find one's partner: those with one sign are few, but for test tools and storms.
const LOOKED_AT: usize = 512;

/// A session that became legs of another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct JoinedLate {
    pub(super) into: SessionId,
    pub(super) from: SessionId,
    pub(super) reason: JoinReason,
}

/// By what legs are known to belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    /// One Sec-WebSocket-Key.
    Key,
    /// One Sec-WebSocket-Accept, which is made of the key (RFC 6455 §4.2.2).
    Accept,
    /// One frame, by its masking key.
    Frame,
    /// As many bytes in both directions, at the same time.
    Counts,
    /// The same, where only the server speaks.
    Pushed,
}

/// A session of one leg.
#[derive(Clone, Copy, Debug)]
struct Loose {
    id: SessionId,
    client: Endpoint,
    server: Endpoint,
    /// When the sign was seen: the request, the frame, or the first frame from its client.
    from: Timestamp,
    /// The answer, the frame, or the last byte.
    until: Timestamp,
}

impl Sign {
    const fn reason(self) -> JoinReason {
        match self {
            Sign::Key | Sign::Accept => JoinReason::Key,
            Sign::Frame | Sign::Counts | Sign::Pushed => JoinReason::TunnelBytes,
        }
    }

    /// How much later than the leg in front a leg may be through with it: a proxy asks while its client waits, and passes
    /// on what comes in a tunnel, late where its backend is slow to take it or a segment is lost.
    const fn slack(self) -> Duration {
        match self {
            Sign::Key | Sign::Accept => TOLERANCE,
            Sign::Frame => Duration::from_secs(1),
            Sign::Counts | Sign::Pushed => Duration::from_millis(20),
        }
    }

    /// Whether it comes from the backend, and is seen behind a proxy first.
    const fn comes_from_behind(self) -> bool {
        matches!(self, Sign::Accept | Sign::Pushed)
    }

    /// Whether it says no more than that two may belong together.
    const fn is_weak(self) -> bool {
        matches!(self, Sign::Counts | Sign::Pushed)
    }
}

impl Tracker {
    /// Joins sessions that are over and stand alone.
    pub(super) fn join_late(&mut self) {
        let is_asked =
            |id: &SessionId| self.only_leg(*id).is_some_and(|leg| leg.request().is_some_and(|request| !request.cut));
        let alone = self.completed.iter().filter(|&id| self.only_leg(id).is_some());
        let (asked, keyless): (Vec<_>, Vec<_>) = alone.partition(is_asked);
        self.join_by(Sign::Key, &asked, in_request);
        if keyless.iter().any(|&id| self.only_leg(id).is_some_and(|leg| leg.status() == Some(101))) {
            self.join_by(Sign::Accept, &[&*asked, &*keyless].concat(), in_answer);
        }
        self.join_by(Sign::Frame, &keyless, |id, leg| in_frame(id, leg, |masks| masks.last));
        self.join_by(Sign::Frame, &keyless, |id, leg| in_frame(id, leg, |masks| masks.first));
        self.join_by(Sign::Counts, &keyless, |id, leg| in_counts(id, leg, Role::Client));
        self.join_by(Sign::Pushed, &keyless, |id, leg| in_counts(id, leg, Role::Server));
    }

    /// Joins those of these sessions that still stand alone and bear one sign.
    fn join_by<K: Hash + Eq>(
        &mut self,
        sign: Sign,
        sessions: &[SessionId],
        read: impl Fn(SessionId, &Over) -> Option<(K, Loose)>,
    ) {
        let mut groups: HashMap<K, Vec<Loose>, foldhash::fast::RandomState> = HashMap::default();
        for &id in sessions {
            if let Some((key, loose)) = self.only_leg(id).and_then(|leg| read(id, leg)) {
                groups.entry(key).or_default().push(loose);
            }
        }
        let mut groups: Vec<Vec<Loose>> = groups.into_values().filter(|group| group.len() > 1).collect();
        groups.sort_unstable_by_key(|group| group[0].id);
        groups.into_iter().for_each(|group| self.chain(group, sign));
    }

    /// Puts each one behind the latest that it may be behind.
    fn chain(&mut self, mut group: Vec<Loose>, sign: Sign) {
        sort(&mut group, sign);
        if sign == Sign::Frame {
            self.set_copies_aside(&mut group);
        }
        // The servers that are asked from each one on: nobody asks one twice on the way to a backend.
        let mut servers: Vec<Vec<Endpoint>> = group.iter().map(|loose| vec![loose.server]).collect();
        for (index, back) in group.iter().enumerate().skip(1).rev() {
            let is_free = |front: usize| sign.reason() == JoinReason::Key || servers[front].len() == 1;
            let may_be_front = |&front: &usize| is_free(front) && !servers[index].contains(&group[front].server);
            let Some(front) = self.loose_fronts(&group, index, sign).find(may_be_front) else { continue };
            if sign.is_weak() && !self.is_only_pair(&group, (front, index), sign) {
                continue;
            }
            let behind = std::mem::take(&mut servers[index]);
            servers[front].extend(behind);
            if sign == Sign::Frame {
                self.joiner.learn_host(group[front].server.ip, back.client.ip);
            }
            self.put_behind((group[front].id, 0), back.id, sign.reason());
        }
    }

    /// Those that one may be behind, the latest first.
    fn loose_fronts<'a>(&'a self, group: &'a [Loose], index: usize, sign: Sign) -> impl Iterator<Item = usize> + 'a {
        let before = (0..index).rev().take(LOOKED_AT);
        before.filter(move |&front| self.may_be_behind(&group[front], &group[index], sign, sign.slack()))
    }

    /// Whether no other one that leads to the same server comes near to being in front, or behind.
    fn is_only_pair(&self, group: &[Loose], (front, back): (usize, usize), sign: Sign) -> bool {
        const NEAR: Duration = Duration::from_millis(100);
        let around = |index: usize| index.saturating_sub(LOOKED_AT)..group.len().min(index + LOOKED_AT);
        let other_front = around(back).filter(|&other| other != front).any(|other| {
            group[other].server == group[front].server && self.may_be_behind(&group[other], &group[back], sign, NEAR)
        });
        let other_back = around(front).filter(|&other| other != back).any(|other| {
            group[other].server == group[back].server && self.may_be_behind(&group[front], &group[other], sign, NEAR)
        });
        !other_front && !other_back
    }

    /// A connection that was captured before an address of it was translated and after that is one: the copy that was
    /// seen first is told of.
    fn set_copies_aside(&mut self, group: &mut Vec<Loose>) {
        let mut seen: Vec<Loose> = Vec::new();
        group.retain(|loose| {
            let mut before = seen.iter().rev().take(LOOKED_AT);
            let first = before.find(|first| first.client == loose.client && first.server != loose.server);
            let Some(&Loose { id: into, .. }) = first else {
                seen.push(*loose);
                return true;
            };
            self.records.take(loose.id);
            self.not_websocket += 1;
            self.now_part_of(into, loose.id, JoinReason::TunnelBytes);
            false
        });
    }

    /// Makes the session `from` legs behind one of another.
    pub(super) fn put_behind(&mut self, (into, leg): (SessionId, usize), from: SessionId, reason: JoinReason) {
        self.records.merge(into, leg, from, reason);
        self.now_part_of(into, from, reason);
    }

    fn now_part_of(&mut self, into: SessionId, from: SessionId, reason: JoinReason) {
        self.completed.remove(from);
        if self.wants.progress {
            self.joined_late.push(JoinedLate { into, from, reason });
        }
    }

    fn may_be_behind(&self, front: &Loose, back: &Loose, sign: Sign, slack: Duration) -> bool {
        let at_once = back.from.distance(front.from) <= slack && back.until.distance(front.until) <= slack;
        front.client != back.client
            && front.server != back.server
            && back.until <= front.until.plus(slack)
            && (at_once || !sign.is_weak())
            && (sign == Sign::Frame || self.joiner.hosts().may_be_one(front.server.ip, back.client.ip))
    }

    fn only_leg(&self, id: SessionId) -> Option<&Over> {
        match &*self.records.find(id)?.entries {
            [entry] => match &entry.state {
                EntryState::Done(leg) => Some(leg),
                EntryState::Live(_) => None,
            },
            _ => None,
        }
    }
}

/// In the order of time. Where clocks or interfaces may have turned two around, addresses tell.
fn sort(group: &mut [Loose], sign: Sign) {
    match sign.comes_from_behind() {
        true => group.sort_by_key(|loose| (Reverse(loose.from), loose.id)),
        false => group.sort_by_key(|loose| (loose.from, loose.id)),
    }
    for index in 1..group.len() {
        let (one, other) = (group[index - 1], group[index]);
        let are_turned = joiner::are_turned((one.client, one.server), (other.client, other.server));
        if are_turned && other.from.distance(one.from) <= TOLERANCE {
            group.swap(index - 1, index);
        }
    }
}

fn in_request(id: SessionId, leg: &Over) -> Option<([u8; 16], Loose)> {
    let request = leg.request()?;
    let (from, until) = (request.moment.at, leg.answered()?.at);
    Some((request.head.nonce()?, loose(id, leg, from, until)))
}

fn in_answer(id: SessionId, leg: &Over) -> Option<(Box<str>, Loose)> {
    let response = leg.response()?;
    let accept = response.head.fields.first("Sec-WebSocket-Accept")?;
    Some((accept.into(), loose(id, leg, response.moment.at, response.moment.at)))
}

/// One frame of a client whose keys are chosen by chance.
fn in_frame(id: SessionId, leg: &Over, which: fn(&Masks) -> Masked) -> Option<(MaskingKey, Loose)> {
    let masks = leg.tunnel()?.sides.client.masks.filter(Masks::are_telling)?;
    let Masked { key, moment } = which(&masks);
    Some((key, loose(id, leg, moment.at, moment.at)))
}

/// How much each side sent, where `first` is the side to go by: the client where it speaks. `None` when that is too little.
fn in_counts(id: SessionId, leg: &Over, first: Role) -> Option<([u64; 2], Loose)> {
    /// Two pings and their pongs.
    const LEAST: u64 = 16;
    let tunnel = leg.tunnel()?;
    let sides = &tunnel.sides;
    let counts = Role::BOTH.map(|role| sides[role].bytes);
    let speaks = if sides.client.bytes > 0 { Role::Client } else { Role::Server };
    let (from, until) = (sides[first].first_frame.or(sides[first].last_frame)?.at, tunnel.last_byte?.at);
    (speaks == first && counts.iter().sum::<u64>() >= LEAST).then(|| (counts, loose(id, leg, from, until)))
}

fn loose(id: SessionId, leg: &Over, from: Timestamp, until: Timestamp) -> Loose {
    Loose { id, client: leg.client(), server: leg.server(), from, until }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::rc::Rc;

    use crate::engine::judge::{Courier, Judge, Matter, Rest};
    use crate::engine::{Engine, EngineOptions, Event, Sink, Summary, Wants};
    use crate::limits::Limits;
    use crate::script::{Script, text};
    use crate::session::neighbours::Endings;
    use crate::wire::Endpoint;

    struct Deaf;

    impl Sink for Deaf {
        fn wants(&self) -> Wants {
            Wants::default()
        }

        fn event(&mut self, _event: &Event<'_>) -> io::Result<()> {
            Ok(())
        }
    }

    const FRONT: ([u8; 4], u16) = ([10, 0, 0, 1], 80);
    const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 7], 40_001);
    const DIAL: ([u8; 4], u16) = ([10, 0, 0, 1], 50_001);
    const BACKEND: ([u8; 4], u16) = ([10, 0, 0, 9], 9000);

    /// A judge that can be asked afterwards.
    #[derive(Clone, Default)]
    struct Asked(Rc<RefCell<Judge>>);

    impl Courier for Asked {
        fn bring(&mut self, matters: Vec<Matter>) -> io::Result<()> {
            self.0.borrow_mut().hear(matters, &mut Deaf)
        }

        fn close(&mut self, rest: Rest) -> io::Result<Summary> {
            self.0.borrow_mut().close(rest, &mut Deaf)
        }
    }

    fn endings_of(script: &Script) -> Endings {
        let (limits, asked) = (Limits::default(), Asked::default());
        let (options, courier) = (EngineOptions::default(), Box::new(asked.clone()));
        let mut engine = Engine::with_courier(&limits, options, Wants::default(), courier);
        for packet in &script.packets() {
            engine.packet(&packet.packet(), &mut Deaf).unwrap();
        }
        engine.finish(&mut Deaf).unwrap();
        asked.0.borrow().endings().clone()
    }

    fn server((ip, port): ([u8; 4], u16)) -> Endpoint {
        Endpoint { ip: ip.into(), port }
    }

    #[test]
    fn two_sessions_that_are_one_count_once_among_the_others() {
        let script = Script::new().leg(CLIENT, FRONT).mid_stream().leg(DIAL, BACKEND).mid_stream();
        let script = script.leg(CLIENT, FRONT).client(text("hello")).leg(DIAL, BACKEND).client(text("hello"));
        let script = script.server(text("noted")).leg(CLIENT, FRONT).server(text("noted")).after_ms(3000);
        let endings = endings_of(&script.leg(DIAL, BACKEND).client_fin().leg(CLIENT, FRONT).server_fin());
        assert_eq!((endings.cut(server(FRONT)), endings.lead_on(server(FRONT))), (1, true));
        assert!(!endings.know(server(BACKEND)), "nobody asked it but the proxy");
        assert_eq!(endings.idle_limits(server(FRONT)).len(), 1, "the proxy ended both");
    }
}
