//! The answer that refused a handshake, and who made it.

use std::fmt;
use std::time::Duration;

use crate::diagnosis::backends::{self, Meaning, Reading};
use crate::diagnosis::hops;
use crate::diagnosis::parties::{self, Name};
use crate::diagnosis::proxies::{self, Software};
use crate::diagnosis::wording::quote;
use crate::http::head::Version;
use crate::packet::Moment;
use crate::session::leg::{Request, Response};
use crate::session::{Leg, Session};
use crate::stream::Role;
use crate::tcp::EndKind;

/// An answer that is no WebSocket, as the client got it.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// The session.
    pub session: &'a Session,
    /// The leg nearest to the client on which it can be read.
    pub leg: usize,
    /// The leg on which it was made: the last one that has it.
    pub made_on: usize,
    /// It, on the leg where it was made.
    pub response: &'a Response,
    /// The request that it answers there.
    pub request: Option<&'a Request>,
}

/// The refusal of a session's request; `None` when it was not answered, or with a WebSocket.
pub fn refusal(session: &Session) -> Option<Refusal<'_>> {
    let (mut leg, mut response) = first_response(session)?;
    if opens_tunnel(&session.legs[leg], response) {
        let behind = parties::behind(session, leg)?;
        if !was_promised_in_vain(&session.legs[leg], &session.legs[behind]) {
            return None;
        }
        (leg, response) = (behind, session.legs[behind].response.as_deref()?);
    }
    let (made_on, response) = made_on(session, leg, response);
    Some(Refusal { session, leg, made_on, response, request: session.legs[made_on].request.as_deref() })
}

/// The answer that is nearest to the client: legs in front of it may be encrypted.
fn first_response(session: &Session) -> Option<(usize, &Response)> {
    let mut index = 0;
    loop {
        let leg = session.legs.get(index)?;
        if let Some(response) = &leg.response {
            return (!came_too_late(leg, response)).then_some((index, response));
        }
        // An answer that a proxy got and did not pass on is none.
        if session.legs[index].request.is_some() {
            return None;
        }
        index = parties::behind(session, index).filter(|&behind| behind > index)?;
    }
}

/// Whether the client had given up before this answer began: it never saw it. A client that half-closes right behind its
/// request still waits; one that sent frames saw it, whatever the times of the packets say.
pub fn came_too_late(leg: &Leg, response: &Response) -> bool {
    const WAITED: Duration = Duration::from_millis(100);
    if leg.tunnel.as_ref().is_some_and(|tunnel| tunnel.sides.client.last_frame.is_some()) {
        return false;
    }
    let Some(end) = leg.first_end().filter(|end| end.by == Role::Client && end.moment < response.begun) else {
        return false;
    };
    let asked = leg.request.as_ref().map_or(leg.tcp.first.at, |request| request.moment.at);
    end.kind == EndKind::Rst || end.moment.at.since(asked) >= WAITED
}

/// Who got the request last and hung up on it at once, without an answer, and when: the leg that leads furthest. Some servers
/// do so to a handshake that is flawed.
pub fn hung_up_at_once(session: &Session) -> Option<(usize, Moment)> {
    const AT_ONCE: Duration = Duration::from_secs(1);
    let asked = session.legs.iter().enumerate().rev().filter(|(_, leg)| !leg.is_aside);
    let (index, leg, request) = asked.filter_map(|(index, leg)| Some((index, leg, leg.request.as_deref()?))).next()?;
    let end = leg.first_end().filter(|end| end.by == Role::Server)?.moment;
    let silent =
        leg.response.is_none() && !leg.answer_begun() && leg.is_readable() && !leg.half(Role::Server).has_holes();
    (silent && !request.cut && end.at.since(request.moment.at) <= AT_ONCE).then_some((index, end))
}

/// Whether an answer says yes and nothing else.
pub fn is_bare_yes(response: &Response) -> bool {
    (200..300).contains(&response.head.status) && response.body.is_empty()
}

/// Whether an answer makes a WebSocket: a 101, or a 2xx to an extended CONNECT (RFC 8441 §5).
pub fn opens_tunnel(leg: &Leg, response: &Response) -> bool {
    response.head.status == 101
        || (leg.request.as_deref().is_some_and(is_extended_connect) && (200..300).contains(&response.head.status))
}

/// Whether a proxy that speaks WebSocket itself opened one before it asked its backend, and then got none.
pub fn was_promised_in_vain(front: &Leg, back: &Leg) -> bool {
    let failed = front.tunnel.as_deref().is_some_and(|tunnel| tunnel.failed_from_the_start().is_some());
    failed && back.tunnel.is_none() && back.tls.is_none()
}

/// Whether a server ended its WebSocket in the moment it had opened it, and sent no frame: it took the request for one after
/// which the connection is closed.
pub fn was_dropped_at_once(leg: &Leg) -> bool {
    const AT_ONCE: Duration = Duration::from_millis(100);
    let Some((tunnel, end)) = leg.tunnel.as_deref().zip(leg.first_end()) else { return false };
    let silent =
        tunnel.handshake_seen && tunnel.sides.server.first_frame.is_none() && !leg.half(Role::Server).has_holes();
    silent && end.by == Role::Server && end.moment.at.since(tunnel.opened.at) <= AT_ONCE
}

/// Whether a request is an extended CONNECT (RFC 8441 §4).
pub fn is_extended_connect(request: &Request) -> bool {
    request.head.version().is_some_and(|version| version.major >= 2) && request.head.method() == "CONNECT"
}

/// A proxy passes an answer on with its status; one that makes a handshake of its own says in its own words that this was
/// refused. So the last leg that has it is where it was made.
fn made_on<'a>(session: &'a Session, leg: usize, response: &'a Response) -> (usize, &'a Response) {
    let (mut made_on, mut made) = (leg, response);
    while let Some(behind) = parties::behind(session, made_on).filter(|&behind| behind > made_on)
        && let Some(response) = &session.legs[behind].response
        && (response.head.status == made.head.status || is_retold(session, (made_on, made), (behind, response)))
    {
        (made_on, made) = (behind, response);
    }
    (made_on, made)
}

/// Whether a proxy answered that its own handshake was refused.
fn is_retold(session: &Session, (front, told): (usize, &Response), (back, heard): (usize, &Response)) -> bool {
    let both_refuse = told.head.status >= 400 && heard.head.status >= 400;
    both_refuse && hops::makes_own_handshake(&session.legs[front], &session.legs[back])
}

impl<'a> Refusal<'a> {
    /// Its status.
    pub fn status(&self) -> u16 {
        self.response.head.status
    }

    /// What its words mean.
    pub fn reading(&self) -> Option<Reading> {
        backends::read(self.response)
    }

    /// What its words mean.
    pub fn meaning(&self) -> Option<Meaning> {
        self.reading().map(|reading| reading.meaning)
    }

    /// Whether its words mean this, or nothing that is known.
    pub fn may_mean(&self, meaning: Meaning) -> bool {
        self.meaning().is_none_or(|said| said == meaning)
    }

    /// Whether a proxy made it: there is a leg behind it that has another answer or none, or it is a proxy's own page.
    pub fn by_proxy(&self) -> bool {
        let behind = parties::behind(self.session, self.made_on).map(|behind| &self.session.legs[behind]);
        // What the capture lacks of a leg, or nobody can read, may be this very answer.
        let has_other = |leg: &Leg| {
            let unread = leg.tls.as_deref().is_some_and(|tls| tls.decrypted_by.is_none() && tls.bytes.server > 0);
            leg.response.is_some() || (leg.half(Role::Server).gap_bytes == 0 && !unread)
        };
        behind.is_some_and(has_other) || proxies::error_page(self.response).is_some()
    }

    /// The status that the proxy got from its backend when it made this answer instead.
    pub fn behind_it(&self) -> Option<u16> {
        self.session.legs[parties::behind(self.session, self.made_on)?].status()
    }

    /// The software whose own page it is.
    pub fn page_of(&self) -> Option<Software> {
        proxies::error_page(self.response)
    }

    /// Whether the request that it answers was a complete opening handshake: then the request is not to blame.
    pub fn request_was_intact(&self) -> bool {
        self.request.is_some_and(|request| request.offer.is_complete() || is_extended_connect(request))
    }

    /// Who made it.
    pub fn maker(&self) -> Maker<'a> {
        let name = parties::server_of(self.session, self.made_on);
        let software = match proxies::named_by(self.response) {
            Some(fingerprint) => Some(fingerprint.software.name()),
            None => backends::name(self.response),
        };
        let itself = self.by_proxy() && self.session.legs.len() > 1;
        let in_time = |leg: &Leg| leg.response.as_deref().is_some_and(|leave| leave.moment <= self.response.moment);
        let asked = |leg: &&Leg| leg.is_aside && leg.behind == Some(self.made_on) && in_time(leg);
        Maker { name, software, itself, authorization: self.session.legs.iter().find(asked) }
    }

    /// Status, reason and words: `403 Forbidden, "invalid Origin header: x"`.
    pub fn said(&self) -> String {
        said(self.response)
    }
}

/// Status, reason and the first words of the body.
pub fn said(response: &Response) -> String {
    let head = &response.head;
    let body = spoken(response);
    let reason = quote(head.reason());
    let mut text = head.status.to_string();
    if !reason.is_empty() {
        text.push(' ');
        text.push_str(&reason);
    }
    if has_words(response) {
        text.push_str(", \"");
        text.push_str(&body);
        text.push('"');
    }
    text
}

/// The first words of an answer; those of a JSON string without its quotes.
fn spoken(response: &Response) -> String {
    let words = backends::words(response);
    quote(words.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(words))
}

/// Whether its body says more than its status: a page and a repeated reason do not.
pub fn has_words(response: &Response) -> bool {
    let body = spoken(response);
    !body.is_empty() && !body.starts_with('<') && body != quote(response.head.reason())
}

/// Who made an answer: `the proxy 10.0.0.1:80 itself (nginx)`.
#[derive(Clone, Copy, Debug)]
pub struct Maker<'a> {
    name: Option<Name>,
    software: Option<&'a str>,
    itself: bool,
    /// Where the proxy asked for leave before.
    authorization: Option<&'a Leg>,
}

impl Maker<'_> {
    /// `proxy`, `backend` or `server`.
    pub fn word(&self) -> &'static str {
        self.name.map_or("server", |name| name.word)
    }
}

impl fmt::Display for Maker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "{name}")?,
            None => f.write_str("the server")?,
        }
        if self.itself {
            f.write_str(" itself")?;
        }
        if let Some(software) = self.software {
            write!(f, " ({software})")?;
        }
        match self.authorization.and_then(|leg| Some((leg.server, leg.status()?))) {
            Some((server, status)) => write!(f, ", whose authorization request to {server} was answered {status},"),
            None => Ok(()),
        }
    }
}

/// What came back on a leg, for the end of a sentence about what was sent there: `the backend answered 426`.
pub fn reaction(session: &Session, index: usize) -> String {
    let Some(leg) = session.legs.get(index) else { return String::new() };
    let word = parties::server_of(session, index).map_or("server", |name| name.word);
    match (&leg.response, leg.first_end()) {
        (Some(response), Some(end)) if was_dropped_at_once(leg) => {
            format!("the {word} answered {} and then {}", response.head.status, end.deed())
        }
        (Some(response), _) => format!("the {word} answered {}", response.head.status),
        (None, _) if leg.half(Role::Server).has_holes() || !leg.both_directions_seen() => {
            format!("what the {word} answered was not captured")
        }
        (None, Some(end)) if end.by == Role::Server => format!("the {word} closed without an answer"),
        (None, _) => format!("the {word} gave no answer"),
    }
}

/// The version of a request as the wire has it.
pub fn version_of(request: &Request) -> String {
    request.head.version().map_or_else(|| "no HTTP version".to_owned(), |version: Version| version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn maker(session: &TestSession) -> String {
        refusal(&session.session).unwrap().maker().to_string()
    }

    #[test]
    fn the_last_leg_that_has_an_answer_made_it() {
        let answer = "HTTP/1.1 403 Forbidden\n\n";
        assert_eq!(maker(&refused_with(answer)), "the backend 127.0.0.1:9000");
        let chain = refused_with(answer).leg(2, |leg| leg.request(FORWARDED).response(answer));
        assert_eq!(maker(&chain), "the backend 127.0.0.1:9001");
        let by_proxy = refused_with(NGINX_502).backend_leg(|leg| leg.response("HTTP/1.1 200 OK\n\n"));
        assert_eq!(maker(&by_proxy), "the proxy 10.0.0.1:80 itself (nginx)");
        assert_eq!(maker(&answered(NGINX_502)), "the server 10.0.0.1:80 (nginx)");
    }

    #[test]
    fn who_sent_frames_has_seen_the_answer_whatever_the_times_say() {
        let shuffled = |frames: bool| {
            session().client_leg(|leg| {
                let leg = leg.request(ASKED).response(SWITCHED).open().after_ms(500);
                let leg = if frames { leg.messages(Role::Client, 1) } else { leg };
                let leg = leg.fin(Role::Client).after_ms(500);
                let now = leg.now();
                leg.with(|leg| leg.response.as_mut().unwrap().begun = now)
            })
        };
        let gave_up = |session: TestSession| session.ids().contains(&"client-gave-up");
        assert!(!gave_up(shuffled(true)));
        assert!(gave_up(shuffled(false)));
    }

    #[test]
    fn an_answer_that_the_client_never_got_is_none() {
        let session = session()
            .client_leg(|leg| leg.request(ASKED))
            .backend_leg(|leg| leg.request(FORWARDED).response("HTTP/1.1 403 Forbidden\n\n"));
        assert!(refusal(&session.session).is_none());
    }

    #[test]
    fn behind_an_encrypted_leg_the_next_one_is_read() {
        let session = session()
            .client_leg(|leg| leg.tls(|_| {}))
            .backend_leg(|leg| leg.request(FORWARDED).response("HTTP/1.1 403 Forbidden\n\n"));
        assert_eq!(refusal(&session.session).map(|refusal| refusal.leg), Some(1));
    }

    #[test]
    fn what_was_said_is_quoted_once() {
        let said = |answer| super::said(answered(answer).session.legs[0].response.as_deref().unwrap());
        assert_eq!(said("HTTP/1.1 403 Forbidden\n\nForbidden"), "403 Forbidden");
        assert_eq!(said("HTTP/1.1 400 Bad Request\n\nno\nmore"), "400 Bad Request, \"no\"");
        assert_eq!(said("HTTP/1.1 404 Not Found\n\n<html>x"), "404 Not Found");
        assert_eq!(said("HTTP/1.1 400 \n\n"), "400");
        assert_eq!(said("HTTP/1.1 400 Bad Request\n\n\"Not connected\""), "400 Bad Request, \"Not connected\"");
        assert_eq!(said("HTTP/1.1 403 Forbidden\nX-WebSocket-Reject-Reason: full\n\n"), "403 Forbidden, \"full\"");
    }

    #[test]
    fn what_the_capture_lacks_may_be_the_backends_answer() {
        let unanswered = |hole: u64| {
            let answer = "HTTP/1.1 404 Not Found\n\n";
            let front = session().client_leg(|leg| leg.request(ASKED).response(answer));
            maker(&front.backend_leg(|leg| leg.request(FORWARDED).hole(Role::Server, hole)))
        };
        assert_eq!(unanswered(62), "the proxy 10.0.0.1:80");
        assert_eq!(unanswered(0), "the proxy 10.0.0.1:80 itself");
    }

    #[test]
    fn what_nobody_can_read_may_be_the_backends_answer() {
        let encrypted = |answer: u64| {
            let front = session().client_leg(|leg| leg.request(ASKED).response("HTTP/1.1 401 Unauthorized\n\n"));
            maker(&front.backend_leg(|leg| leg.tls(|tls| tls.bytes.server = answer)))
        };
        assert_eq!(encrypted(120), "the proxy 10.0.0.1:80");
        assert_eq!(encrypted(0), "the proxy 10.0.0.1:80 itself");
    }
}
