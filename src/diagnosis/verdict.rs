//! One sentence on a session, as a colleague would say it: who, what, where, with numbers.

use std::time::Duration;

use crate::diagnosis::parties;
use crate::diagnosis::ranking::Found;
use crate::diagnosis::wording::{Count, Span};
use crate::session::leg::Tunnel;
use crate::session::{Leg, Outcome, Session, Via, Who};
use crate::stream::Role;

/// The sentence, without a full stop.
pub fn verdict(session: &Session, cause: Option<&Found>) -> String {
    match cause {
        Some(found) => match &found.evidence.verdict {
            Some(verdict) => verdict.clone(),
            None => format!("{}: {}", found.rule.title, found.evidence.detail),
        },
        None => unexplained(session),
    }
}

/// What became of a session that no finding explains, or that needs no explanation.
fn unexplained(session: &Session) -> String {
    let age = Span(session.end.since(session.start));
    match session.outcome {
        Outcome::Closed => format!("closed {} after {age}{}", closed_by(session), talk(session)),
        Outcome::Open => format!("still open after {age}{}{}", talk(session), quiet(session)),
        Outcome::Aborted => format!("ended without a Close frame {} after {age}{}", ended_by(session), talk(session)),
        Outcome::Rejected => refused(session),
        Outcome::Unanswered => format!("{} got no answer that the capture shows", request(session)),
        Outcome::Unreachable => match parties::server_of(session, 0) {
            Some(server) => format!("no connection to {server} came up"),
            None => "no connection came up".to_owned(),
        },
        Outcome::Encrypted => encrypted(session, age),
    }
}

fn closed_by(session: &Session) -> String {
    let first = tunnels(session).find_map(|tunnel| tunnel.first_close.map(|role| (role, tunnel)));
    let Some((role, tunnel)) = first else { return "normally".to_owned() };
    let who = match session.ended_by {
        Some(ended) if ended.via == Via::CloseFrame && ended.who != Who::Unknown => ended.who.name(),
        _ => role.name(),
    };
    match tunnel.sides[role].close.as_ref().and_then(|close| close.code) {
        Some(1000) | None => format!("normally by the {who}"),
        Some(1001) => format!("by the {who} with 1001 going away"),
        Some(code) => format!("by the {who} with {code}"),
    }
}

fn ended_by(session: &Session) -> String {
    match session.ended_by {
        Some(ended) if !matches!(ended.who, Who::Unknown) => {
            format!("by the {} ({})", ended.who.name(), ended.via.name())
        }
        _ => "by nobody knows whom".to_owned(),
    }
}

/// `, 12 messages each way`.
fn talk(session: &Session) -> String {
    let Some(tunnel) = tunnels(session).next() else { return String::new() };
    let messages = |role| {
        let side = &tunnel.sides[role];
        side.messages.text + side.messages.binary
    };
    let (client, server) = (messages(Role::Client), messages(Role::Server));
    let mut text = match (client, server) {
        (0, 0) => ", no messages".to_owned(),
        _ if client == server => format!(", {} each way", Count(client, "message")),
        _ => format!(", {} from the client and {server} from the server", Count(client, "message")),
    };
    if !tunnel.handshake_seen {
        text.push_str("; it was open before the capture began");
    }
    text
}

/// The silence at the end, when it is long.
fn quiet(session: &Session) -> String {
    let last = session.legs.iter().filter_map(Leg::last_data).max();
    match last.map(|last| session.end.since(last.at)) {
        Some(silence) if silence > Duration::from_secs(5) => format!(", silent for the last {}", Span(silence)),
        _ => String::new(),
    }
}

fn refused(session: &Session) -> String {
    let request = request(session);
    match session.legs.iter().find_map(Leg::status) {
        Some(status) => format!("{request} was answered {status}"),
        None => format!("{request} was refused"),
    }
}

fn request(session: &Session) -> String {
    match session.legs.iter().find_map(|leg| leg.request.as_ref()) {
        Some(request) => format!("the request for {}", crate::diagnosis::wording::quote(&request.head.target)),
        None => "the request".to_owned(),
    }
}

fn encrypted(session: &Session, age: Span) -> String {
    let leg = session.first_leg();
    let (client, server) = (leg.half(Role::Client).bytes, leg.half(Role::Server).bytes);
    let likely = leg.tls.as_ref().is_some_and(|tls| !tls.likely_websocket.is_empty());
    let what = if likely { "TLS without keys, likely a WebSocket" } else { "TLS without keys" };
    format!("{what}: {client} bytes from the client and {server} from the server in {age}")
}

fn tunnels(session: &Session) -> impl Iterator<Item = &Tunnel> {
    session.legs.iter().filter_map(|leg| leg.tunnel.as_deref())
}
