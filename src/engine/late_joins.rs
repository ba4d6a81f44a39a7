//! Legs that were not known to belong together while they were followed, joined when the capture is over.
//!
//! The key joins legs while the client waits. That fails where the files of two interfaces stand one behind the other, where
//! the snap length cut the keys off, and where the capture began later than the WebSocket. What is left then: the times of
//! one handshake lie within those of the other; and a proxy passes the bytes of a tunnel on as they are.

use std::time::Duration;

use hashbrown::HashMap;

use crate::engine::tracker::Tracker;
use crate::session::SessionId;
use crate::session::course::TOLERANCE;
use crate::session::leg::JoinReason;
use crate::session::neighbours::ending::Ended;
use crate::session::over::Over;
use crate::session::records::EntryState;
use crate::stream::Role;
use crate::time::Timestamp;
use crate::wire::Endpoint;

type Groups<K> = HashMap<K, Vec<Loose>, foldhash::fast::RandomState>;

/// A proxy passes bytes on within this time, in either direction.
const PASSING_ON: Duration = Duration::from_millis(250);

/// A session that became legs of another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct JoinedLate {
    pub(super) into: SessionId,
    pub(super) from: SessionId,
    pub(super) reason: JoinReason,
}

/// A session of one leg.
#[derive(Clone, Copy, Debug)]
struct Loose {
    id: SessionId,
    client: Endpoint,
    server: Endpoint,
    /// When it began to speak: its request, or the first frame from its client.
    asked: Timestamp,
    /// When it was answered, or spoken on last.
    until: Timestamp,
}

/// The same bytes in a tunnel: how many each side sent, and the first ones of the client. They are masked, by chance alone.
#[derive(PartialEq, Eq, Hash)]
struct SameBytes {
    counts: [u64; 2],
    first: Box<str>,
}

impl Tracker {
    /// Joins sessions that are over and stand alone.
    pub(super) fn join_late(&mut self) {
        let (mut by_key, mut by_bytes) = (Groups::<[u8; 16]>::default(), Groups::<SameBytes>::default());
        for id in self.completed.iter() {
            let Some(leg) = self.only_leg(id) else { continue };
            let request = leg.request().filter(|request| !request.cut);
            match request.map(|request| (request.head.nonce(), request.moment.at)) {
                Some((Some(key), asked)) => {
                    let Some(until) = leg.answered().map(|answered| answered.at) else { continue };
                    let loose = Loose { id, client: leg.client(), server: leg.server(), asked, until };
                    by_key.entry(key).or_default().push(loose);
                }
                Some(_) => {}
                None => {
                    if let Some((bytes, loose)) = in_tunnel(id, leg) {
                        by_bytes.entry(bytes).or_default().push(loose);
                    }
                }
            }
        }
        by_key.into_values().for_each(|group| self.chain(group, TOLERANCE, JoinReason::Key));
        by_bytes.into_values().for_each(|group| self.chain(group, PASSING_ON, JoinReason::TunnelBytes));
    }

    /// Puts each one behind the latest that began before it and ended after it, or less than `slack` before.
    fn chain(&mut self, mut group: Vec<Loose>, slack: Duration, reason: JoinReason) {
        group.sort_by_key(|loose| (loose.asked, loose.id));
        for (index, back) in group.iter().enumerate().skip(1).rev() {
            let front = group[..index].iter().rev().find(|front| self.may_be_behind(front, back, slack));
            if let Some(front) = front {
                self.put_behind((front.id, 0), back.id, reason);
            }
        }
    }

    /// Makes the session `from` legs behind one of another.
    pub(super) fn put_behind(&mut self, (into, leg): (SessionId, usize), from: SessionId, reason: JoinReason) {
        self.records.merge(into, leg, from, reason);
        self.completed.remove(from);
        if self.wants.progress {
            self.joined_late.push(JoinedLate { into, from, reason });
        }
    }

    fn may_be_behind(&self, front: &Loose, back: &Loose, slack: Duration) -> bool {
        front.server != back.server
            && front.client != back.client
            && back.asked <= front.until.plus(TOLERANCE)
            && back.until <= front.until.plus(slack)
            && self.joiner.hosts().may_be_one(front.server.ip, back.client.ip)
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

/// What went through a tunnel whose handshake was not read whole; `None` when too little did to recognise it.
fn in_tunnel(id: SessionId, leg: &Over) -> Option<(SameBytes, Loose)> {
    /// The shortest frame of a client: the bytes of its mask differ from connection to connection.
    const LEAST: u64 = 6;
    let tunnel = leg.tunnel()?;
    let sides = &tunnel.sides;
    let counts = Role::BOTH.map(|role| sides[role].bytes);
    let (asked, until) = (sides.client.first_frame.or(sides.client.last_frame)?.at, tunnel.last_byte?.at);
    let loose = Loose { id, client: leg.client(), server: leg.server(), asked, until };
    (sides.client.bytes >= LEAST).then(|| (SameBytes { counts, first: sides.client.first_bytes.clone() }, loose))
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
