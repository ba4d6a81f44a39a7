//! Frames that break RFC 6455: where a violation was born, and how it is told.

use crate::diagnosis::ending::named;
use crate::diagnosis::{Evidence, Facts, hops, parties};
use crate::packet::Moment;
use crate::session::Session;
use crate::stream::Role;
use crate::ws::facts::{Violation, ViolationKind};

/// A violation with its place: the leg where its bytes were born.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The leg.
    pub leg: usize,
    /// Who sent it on that leg.
    pub by: Role,
    /// What was done.
    pub violation: Violation,
    /// How often this side did things of that kind, as far as it was kept.
    pub count: usize,
}

/// The first violation that `wanted` picks. On a chain of legs the bytes of a frame are the same on each, so the leg
/// nearest to the sender tells who did it: if it is not there, the proxy behind that leg did. What a side sends behind its
/// own Close frame is for nobody (§5.5.1).
pub fn find(session: &Session, wanted: impl Fn(Role, ViolationKind) -> bool) -> Option<Found> {
    let on = |leg: usize, by: Role| {
        let side = &session.legs[leg].tunnel.as_ref()?.sides[by];
        let closed = side.close.as_ref().map(|close| close.moment);
        // Where HTTP begins nothing more is read: a Close frame that was, was before it.
        let is_http = |violation: &Violation| violation.kind == ViolationKind::Http;
        let heard =
            |violation: &&Violation| closed.is_none_or(|closed| violation.moment <= closed && !is_http(violation));
        let picked = || side.violations.iter().filter(heard).filter(|violation| wanted(by, violation.kind));
        Some(Found { leg, by, violation: *picked().next()?, count: picked().count() })
    };
    let mut legs = 0..session.legs.len();
    let from_client = legs.clone().find_map(|leg| on(leg, Role::Client));
    from_client.or_else(|| legs.rfind(|&leg| on(leg, Role::Server).is_some()).and_then(|leg| on(leg, Role::Server)))
}

/// Evidence for a violation: who sent what, and how the peer took it.
pub fn evidence(facts: &Facts<'_>, found: &Found, what: &str) -> Evidence {
    let session = facts.session;
    let sender = named(session, found.leg, found.by);
    let again = if found.count > 1 { format!(", {} times in all", found.count) } else { String::new() };
    let reaction = reaction(session, found);
    Evidence::on(found.leg, format!("{sender} sent {what}{again}"))
        .packet(found.violation.moment, "the frame")
        .verdict(format!("{sender} sent {what}{reaction}"))
}

/// The leg that the frame reached last, and when: a proxy that passes bytes on passes on what the one at its end does about it.
fn reached(session: &Session, found: &Found) -> (usize, Moment) {
    let legs = &session.legs;
    let onward = |&(leg, _): &(usize, Moment)| {
        let (next, front, back) = match found.by {
            Role::Client => parties::behind(session, leg).map(|behind| (behind, leg, behind))?,
            Role::Server => legs[leg].behind.map(|front| (front, front, leg))?,
        };
        let violations = &legs[next].tunnel.as_ref()?.sides[found.by].violations;
        let passed = violations.iter().find(|violation| violation.kind == found.violation.kind)?;
        (!hops::makes_own_handshake(&legs[front], &legs[back])).then_some((next, passed.moment))
    };
    let born = (found.leg, found.violation.moment);
    std::iter::successors(Some(born), onward).take(legs.len()).last().unwrap_or(born)
}

/// `; the server 10.0.0.1:9000 closed with 1002 "bad MASK"`.
fn reaction(session: &Session, found: &Found) -> String {
    let ((leg, read), peer) = (reached(session, found), found.by.peer());
    let Some(tunnel) = &session.legs[leg].tunnel else { return String::new() };
    let name = named(session, leg, peer);
    match &tunnel.sides[peer].close {
        Some(close) if close.moment >= read => match (close.code, &*close.reason) {
            (Some(code), "") => format!("; {name} closed with {code}"),
            (Some(code), reason) => {
                format!("; {name} closed with {code} \"{}\"", crate::diagnosis::wording::quote(reason))
            }
            (None, _) => format!("; {name} closed"),
        },
        // It had said goodbye before.
        Some(_) => String::new(),
        None => match session.legs[leg].ends().find(|end| end.by == peer) {
            Some(end) if end.moment >= read => format!("; {name} left without a Close frame"),
            _ => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    #[test]
    fn a_proxy_that_passes_bytes_on_does_not_judge_them() {
        let broken = |leg: TestLeg, request: &str, answer: &str| {
            let leg = leg.request(request).response(answer).open();
            leg.violation(Role::Client, ViolationKind::ReservedBits(4)).close(Role::Server, 1002, "")
        };
        let (key, accept) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let remade = ("AQIDBAUGBwgJCgsMDQ4PEA==", "C/0nmHhBztSRGR1CwL6Tf4ZjwpY=");
        let chain = |behind: (&str, &str)| {
            let (request, answer) = (FORWARDED.replace(key, behind.0), SWITCHED.replace(accept, behind.1));
            let session = session().client_leg(|leg| broken(leg, ASKED, SWITCHED));
            session.backend_leg(|leg| broken(leg, &request, &answer)).diagnose().verdict
        };
        let (passed_on, own) = (chain((key, accept)), chain(remade));
        assert!(passed_on.ends_with("; the backend 127.0.0.1:9000 closed with 1002"), "{passed_on}");
        assert!(own.ends_with("; the proxy 10.0.0.1:80 closed with 1002"), "{own}");
    }

    #[test]
    fn tells_who_did_it_how_often_and_how_the_peer_took_it() {
        for by in Role::BOTH {
            let mut broken = violated(by, ViolationKind::ReservedBits(4));
            let violations = &mut broken.session.legs[0].tunnel.as_mut().unwrap().sides[by].violations;
            violations.push(violations[0]);
            let found = find(&broken.session, |_, _| true).unwrap();
            let facts = Facts::new(&broken.session, &broken.neighbours);
            let told = evidence(&facts, &found, "it");
            let (sender, peer) = (named(&broken.session, 0, by), named(&broken.session, 0, by.peer()));
            assert_eq!(told.detail, format!("{sender} sent it, 2 times in all"));
            assert_eq!(told.verdict, Some(format!("{sender} sent it; {peer} closed with 1002")));
        }
    }
}
