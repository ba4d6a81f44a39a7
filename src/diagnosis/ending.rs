//! How an open WebSocket came to its end, over all legs: who ended it first, after which silence.

use std::borrow::Cow;
use std::time::Duration;

use crate::diagnosis::parties::{self, Name};
use crate::diagnosis::proxies::{self, Fingerprint, Software};
use crate::diagnosis::timers;
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts};
use crate::h2::ErrorCode;
use crate::packet::Moment;
use crate::session::leg::{Direction, EndOf, LegEnd, Tunnel};
use crate::session::{Leg, Outcome, Session, Who, closing};
use crate::stream::Role;
use crate::tcp::EndKind;
use crate::ws::facts::Close;

/// Whoever closes ends the connection within this time.
const RIGHT_BEFORE: Duration = Duration::from_millis(100);

/// How an open WebSocket ended: its first FIN or RST on any leg, and what came before.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// The session.
    pub session: &'a Session,
    /// The leg on which the first FIN or RST was sent.
    pub leg: usize,
    /// That FIN or RST.
    pub end: LegEnd,
    /// Who sent it.
    pub who: Who,
    /// When the WebSocket was opened on the leg nearest to the client.
    pub opened: Moment,
    /// The last byte of any tunnel before the end.
    pub last_byte: Moment,
    /// The first Close frame before the end, and who sent it on which leg.
    pub close: Option<(usize, Role, &'a Close)>,
}

/// The end of a session whose WebSocket was open; `None` while it still is.
pub fn ending(session: &Session) -> Option<Ending<'_>> {
    let open = || session.legs.iter().enumerate().filter_map(|(index, leg)| Some((index, leg, leg.tunnel.as_deref()?)));
    let (_, _, nearest) = open().next()?;
    // Frames that cannot be read pass over an encrypted leg all the same, and its end is one.
    let (leg, end) = closing::first_end_of(&session.legs, |leg, end| {
        leg.tunnel.is_some() || (leg.outcome == Outcome::Encrypted && end.moment > nearest.opened)
    })?;
    let (opened, mut last_byte, mut close) = (nearest.opened, nearest.opened, None::<(usize, Role, &Close)>);
    for (index, _, tunnel) in open() {
        last_byte = tunnel.last_bytes().filter(|moment| *moment <= end.moment).fold(last_byte, Moment::max);
        for role in Role::BOTH {
            if let Some(this) = &tunnel.sides[role].close
                && (this.moment <= end.moment || (index == leg && end.is_behind(role, this.moment)))
                && close.is_none_or(|(_, _, first)| this.moment < first.moment)
            {
                close = Some((index, role, this));
            }
        }
    }
    Some(Ending { session, leg, end, who: who(session, leg, end.by), opened, last_byte, close })
}

/// The end of a session that ended without a Close frame. Rules ask their [`Facts`] for it.
pub fn ending_without_close(session: &Session) -> Option<Ending<'_>> {
    // Nearly all sessions close in good order. Each side of such a leg sends its Close before its FIN.
    if session.legs.iter().all(|leg| matches!(leg.outcome, Outcome::Open | Outcome::Closed)) {
        return None;
    }
    ending(session).filter(Ending::without_close)
}

/// Evidence that the client or the server, not a proxy between them, was the first to leave, in this way and without a Close
/// frame.
pub fn left_without_close(facts: &Facts<'_>, kind: EndKind) -> Option<Evidence> {
    let end = facts.ending_without_close().filter(|end| end.end.kind == kind && end.who != Who::Proxy)?;
    let (who, flag, idle, age) = (end.name(), end.sent(), Span(end.idle()), Span(end.age()));
    let timer = end.timer_in_between();
    let hint = timer.map(|(seconds, whose)| format!("; {seconds} s of silence is also when {whose} would end it"));
    let hint = hint.unwrap_or_default();
    let fix = timer.map(|(seconds, _)| {
        format!("look for a proxy or a load balancer with a timer of {seconds} s in front of the server; send a ping more often than half of that")
    });
    Some(
        Evidence::on(end.leg, format!("{who} sent {flag} {idle} after the last byte, and no Close frame{hint}"))
            .packet(end.last_byte, "the last byte")
            .packet(end.end.moment, format!("the {flag}"))
            .fix_if(fix)
            .verdict(format!(
                "{who} ended the session with {flag} after {age}, {idle} after the last byte, without a Close frame{hint}"
            )),
    )
}

/// The first Close frame of a session, by whom, on the leg where it was born. Rules ask their [`Facts`] for it.
pub fn first_close(session: &Session) -> Option<(usize, Role, &Close)> {
    closing::first_close(&session.legs).map(|(party, close)| (party.leg, party.role, close))
}

/// Whether one side spoke and not one frame of it could be told: nobody knows where they began.
fn is_unread(side: &Direction) -> bool {
    side.lost_bytes > 0 && side.frames.total() == 0
}

/// Who the end of a leg is: the outer ends are client and server, all others are proxies.
pub fn who(session: &Session, leg: usize, role: Role) -> Who {
    match role {
        Role::Client if session.legs[leg].behind.is_none() => Who::Client,
        Role::Server if parties::behind(session, leg).is_none() => Who::Server,
        _ => Who::Proxy,
    }
}

/// What the end of a leg is called.
pub fn name(session: &Session, leg: usize, role: Role) -> Option<Name> {
    match role {
        Role::Client => parties::client_of(session, leg),
        Role::Server => parties::server_of(session, leg),
    }
}

/// The name of an end of a leg, or its role where it has none.
pub fn named(session: &Session, leg: usize, role: Role) -> String {
    name(session, leg, role).map_or_else(|| format!("the {}", role.name()), Name::in_words)
}

impl<'a> Ending<'a> {
    /// How long nothing had been said when it ended, in either direction on any leg.
    pub fn idle(&self) -> Duration {
        self.end.moment.at.since(self.last_byte.at)
    }

    /// The usual timer that the silence fits, and whose it is, where the server ended the session: what stands between cannot
    /// be told from it. `None` when a longer silence was survived.
    fn timer_in_between(&self) -> Option<(u64, &'static str)> {
        let fit = timers::fit(self.idle(), self.talk(), None).filter(|_| self.who == Who::Server)?;
        (self.survived() <= self.idle()).then_some((fit.seconds, fit.known?))
    }

    /// How long bytes had come, without a pause of a second, when the silence before the end began: those of the opening
    /// handshake too. What the capture lacks may have come at any time.
    pub fn talk(&self) -> Duration {
        let leg = self.on();
        let resumed = self.tunnel().and_then(|tunnel| tunnel.last_silence).map(|(_, resumed)| resumed);
        let asked = leg.request.as_deref().map(|request| request.moment);
        match resumed.or(asked).filter(|_| !leg.has_holes()) {
            Some(began) => self.last_byte.at.since(began.at),
            None => Duration::MAX,
        }
    }

    /// How long it had been open.
    pub fn age(&self) -> Duration {
        self.end.moment.at.since(self.opened.at)
    }

    /// The end of a leg that took nothing more when the session ended: its window stood at zero since before. With the leg,
    /// and when its window was at zero first.
    pub fn shut(&self) -> Option<(usize, Role, Moment)> {
        self.session.legs.iter().enumerate().find_map(|(index, leg)| {
            Role::BOTH.into_iter().find_map(|role| {
                let window = leg.zero_window(role);
                let first = window.first.filter(|&first| window.open && first < self.end.moment)?;
                Some((index, role, first))
            })
        })
    }

    /// Whether no Close frame was sent before.
    pub fn without_close(&self) -> bool {
        self.close.is_none() && !self.close_was_missed()
    }

    /// Whether the Close frame may be among the bytes that the capture lacks: it comes right before the end; or one came
    /// out behind a proxy, and proxies make none of their own; or no frame could be read at all; or the other side, whose
    /// packets were not captured, sent it. On an encrypted leg none can be read.
    fn close_was_missed(&self) -> bool {
        let passed_on = |leg: &Leg| leg.tunnel.as_ref().is_some_and(|tunnel| tunnel.sides[self.end.by].close.is_some());
        // A hole is told when a later packet shows it: that may be behind the end.
        let late = self.tunnel().is_some_and(|tunnel| tunnel.last_byte > Some(self.end.moment));
        let room = self.on().half(self.end.by).gap_bytes > 0 && (late || self.idle() < RIGHT_BEFORE);
        let unread = self.tunnel().is_some_and(|tunnel| is_unread(&tunnel.sides[self.end.by]));
        let hidden = self.tunnel().is_none() || self.on().has_holes();
        let unseen = !self.on().both_directions_seen();
        room || unread || unseen || (hidden && self.session.legs.iter().any(passed_on))
    }

    /// The leg of the first FIN or RST.
    pub fn on(&self) -> &'a Leg {
        &self.session.legs[self.leg]
    }

    /// The tunnel on that leg.
    pub fn tunnel(&self) -> Option<&'a Tunnel> {
        self.on().tunnel.as_deref()
    }

    /// What the one who ended it is called.
    pub fn name(&self) -> String {
        named(self.session, self.leg, self.end.by)
    }

    /// The software of the proxy that ended it, by its fingerprint.
    pub fn software(&self) -> Option<Software> {
        let legs = &self.session.legs;
        let named = |print: Option<Fingerprint<'_>>| print.map(|print| print.software);
        let between = match self.end.by {
            Role::Client => self.on().behind.and_then(|front| named(proxies::between(&legs[front], self.on()))),
            Role::Server => {
                let back = legs.iter().find(|leg| leg.behind == Some(self.leg));
                back.and_then(|back| named(proxies::between(self.on(), back)))
            }
        };
        between.or_else(|| named(proxies::answering(self.on())))
    }

    /// `FIN` or `RST`, or what stands for it on a stream of HTTP/2.
    pub fn flag(&self) -> &'static str {
        self.end.flag()
    }

    /// The same with the error that it names: `RST_STREAM (CANCEL)`.
    pub fn sent(&self) -> Cow<'static, str> {
        let error = self.on().h2.as_ref().and_then(|h2| h2.reset).filter(|(.., moment)| *moment == self.end.moment);
        match error.filter(|_| self.end.of != EndOf::Connection && self.end.kind == EndKind::Rst) {
            Some((_, code, _)) => format!("{} ({})", self.flag(), ErrorCode(code)).into(),
            None => self.flag().into(),
        }
    }

    /// The longest silence that the session survived, on the leg nearest to the client.
    pub fn survived(&self) -> Duration {
        let silences = self.session.legs.iter().filter_map(|leg| leg.tunnel.as_ref()).map(|tunnel| tunnel.longest_idle);
        silences.min().unwrap_or_default()
    }

    /// The other legs' first ends after this one: what was passed on, and when.
    pub fn echoes(&self) -> impl Iterator<Item = (usize, LegEnd)> + 'a {
        let (session, first) = (self.session, self.leg);
        session
            .legs
            .iter()
            .enumerate()
            .filter(move |(index, leg)| *index != first && leg.tunnel.is_some())
            .filter_map(|(index, leg)| Some((index, leg.first_end()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    /// A Close on both legs, as if each were told a moment earlier or later than it was sent.
    fn closed(client_leg: &[(Role, u64)], backend_leg: &[(Role, u64)]) -> TestSession {
        let told = |leg: TestLeg, closes: &[(Role, u64)]| {
            closes.iter().fold(leg.open(), |leg, &(by, ms)| leg.after_ms(ms).close(by, 1001, ""))
        };
        session()
            .client_leg(|leg| told(leg.request(ASKED).response(SWITCHED), client_leg))
            .backend_leg(|leg| told(leg.request(FORWARDED).response(SWITCHED), backend_leg))
    }

    fn closer(session: &TestSession) -> Who {
        let (leg, role, _) = first_close(&session.session).unwrap();
        who(&session.session, leg, role)
    }

    #[test]
    fn a_fin_is_behind_the_close_of_its_sender_wherever_the_capture_has_it() {
        let closed = |by: Role| {
            session().client_leg(|leg| {
                let leg = leg.request(ASKED).response(SWITCHED).open().after_ms(100).fin(by);
                leg.after_ms(1).close(Role::Client, 1001, "")
            })
        };
        assert!(ending_without_close(&closed(Role::Client).session).is_none());
        assert!(ending_without_close(&closed(Role::Server).session).is_some());
    }

    #[test]
    fn who_ended_tls_left_first() {
        let session = session().client_leg(|leg| {
            let leg = leg.tls(|tls| tls.decrypted_by = Some("keylog")).request(ASKED).response(SWITCHED).open();
            let leg = leg.after_ms(100);
            let now = leg.now();
            leg.tls(|tls| tls.close_notify.client = Some(now)).after_ms(1).fin(Role::Server).fin(Role::Client)
        });
        let end = super::ending(&session.session).unwrap();
        assert_eq!((end.end.by, end.flag()), (Role::Client, "close_notify"));
    }

    #[test]
    fn a_close_that_was_passed_on_is_its_senders_though_the_capture_has_it_later() {
        assert_eq!(closer(&closed(&[(Role::Client, 105), (Role::Server, 3)], &[(Role::Client, 100)])), Who::Client);
        assert_eq!(closer(&closed(&[(Role::Server, 100)], &[(Role::Server, 105), (Role::Client, 3)])), Who::Server);
    }

    /// The client of a leg without keys leaves; its proxy passes that on, and what it said last.
    fn leaves_encrypted(close: bool) -> TestSession {
        let front = |leg: TestLeg| {
            let leg = leg.tls(|_| {}).server_hello("TLS 1.3").tls(|_| {}).after_ms(700);
            let done = leg.now();
            leg.tls(|tls| tls.handshake_done = Some(done)).fin(Role::Client)
        };
        let back = |leg: TestLeg| {
            let leg = leg.request(FORWARDED).response(SWITCHED).open().after_ms(900);
            let leg = if close { leg.close(Role::Client, 1001, "") } else { leg };
            leg.fin(Role::Client)
        };
        session().client_leg(front).backend_leg(back)
    }

    #[test]
    fn the_end_of_an_encrypted_leg_is_one_too() {
        let dropped = leaves_encrypted(false);
        assert_eq!(dropped.session.legs[0].outcome, Outcome::Encrypted);
        let end = ending_without_close(&dropped.session).expect("it ended without a Close");
        assert_eq!((end.leg, end.who), (0, Who::Client));
        let mut polite = leaves_encrypted(false);
        let front = &mut polite.session.legs[0];
        let fin = std::mem::take(&mut front.tcp.ends)[0];
        let later =
            crate::tcp::End { side: fin.side.peer(), moment: Moment { at: fin.moment.at, ..fin.moment }, ..fin };
        front.tcp.ends.push(later);
        front.tls.as_mut().unwrap().close_notify.client =
            Some(Moment { packet: fin.moment.packet, at: fin.moment.at.minus(Duration::from_millis(1)) });
        assert_eq!(ending_without_close(&polite.session).unwrap().who, Who::Client, "its close_notify came before");
        assert!(ending_without_close(&leaves_encrypted(true).session).is_none(), "its Close came out behind the proxy");
    }

    #[test]
    fn a_proxy_that_closes_both_legs_is_answered_on_both() {
        let both = closed(&[(Role::Server, 101), (Role::Client, 2)], &[(Role::Client, 100), (Role::Server, 2)]);
        assert_eq!(closer(&both), Who::Proxy);
        let long_before = closed(&[(Role::Client, 150)], &[(Role::Client, 100)]);
        assert_eq!(closer(&long_before), Who::Proxy);
    }
}
