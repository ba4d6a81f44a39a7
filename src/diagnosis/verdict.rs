//! One sentence on a session, as a colleague would say it: who, what, where, with numbers.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::diagnosis::Finding;
use crate::diagnosis::ending::ending_without_close;
use crate::diagnosis::parties;
use crate::diagnosis::wording::{Count, Messages, Span, quote};
use crate::session::leg::{Counted, Tunnel};
use crate::session::{Leg, Outcome, Session, Via, Who};
use crate::stream::Role;

/// The sentence, without a full stop.
pub fn verdict<'a>(session: &Session, cause: Option<&'a Finding>) -> Cow<'a, str> {
    match cause {
        Some(finding) => match &finding.evidence.verdict {
            Some(verdict) => Cow::Borrowed(verdict),
            None => Cow::Owned(format!("{}: {}", finding.title, finding.evidence.detail)),
        },
        None => Cow::Owned(Unexplained(session).to_string()),
    }
}

/// What became of a session that no finding explains, or that needs no explanation.
struct Unexplained<'a>(&'a Session);

impl Display for Unexplained<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let session = self.0;
        let age = Span(session.end.since(session.start));
        match session.outcome {
            Outcome::Closed => {
                closed_by(session, f)?;
                write!(f, " after {age}")?;
                talk(session, f)
            }
            Outcome::Open => {
                write!(f, "still open after {age}")?;
                talk(session, f)?;
                quiet(session, f)
            }
            Outcome::Aborted => {
                how_it_ended(session, f)?;
                write!(f, " after {age}")?;
                talk(session, f)
            }
            Outcome::Rejected => {
                request(session, f)?;
                match session.legs.iter().find_map(Leg::status) {
                    Some(status) => write!(f, " was answered {status}"),
                    None => f.write_str(" was refused"),
                }
            }
            Outcome::Unanswered => {
                request(session, f)?;
                f.write_str(" got no answer that the capture shows")
            }
            Outcome::Unreachable => match parties::server_of(session, 0) {
                Some(server) => write!(f, "no connection to {server} came up"),
                None => f.write_str("no connection came up"),
            },
            Outcome::Encrypted => encrypted(session, age, f),
        }
    }
}

fn closed_by(session: &Session, f: &mut Formatter<'_>) -> fmt::Result {
    let first = tunnels(session).find_map(|tunnel| tunnel.first_close.map(|role| (role, tunnel)));
    let Some((role, tunnel)) = first else { return f.write_str("closed normally") };
    let who = match session.ended_by {
        Some(ended) if ended.via == Via::CloseFrame && ended.who != Who::Unknown => ended.who.name(),
        _ => role.name(),
    };
    match tunnel.sides[role].close.as_ref().and_then(|close| close.code) {
        Some(1000) | None => write!(f, "closed normally by the {who}"),
        Some(1001) => write!(f, "closed by the {who} with 1001 going away"),
        Some(code) => write!(f, "closed by the {who} with {code}"),
    }
}

/// `ended by the client (fin)`, and what of a closing handshake there was.
fn how_it_ended(session: &Session, f: &mut Formatter<'_>) -> fmt::Result {
    if tunnels(session).any(|tunnel| tunnel.first_close.is_some()) {
        closed_by(session, f)?;
        return f.write_str(", which was not answered,");
    }
    f.write_str(match ending_without_close(session) {
        Some(_) => "ended without a Close frame ",
        None => "ended ",
    })?;
    ended_by(session, f)
}

fn ended_by(session: &Session, f: &mut Formatter<'_>) -> fmt::Result {
    match session.ended_by {
        Some(ended) if ended.who != Who::Unknown => write!(f, "by the {} ({})", ended.who.name(), ended.via.name()),
        _ => f.write_str("by nobody knows whom"),
    }
}

/// `, 12 messages each way`.
fn talk(session: &Session, f: &mut Formatter<'_>) -> fmt::Result {
    let legs = || session.legs.iter().filter_map(|leg| Some((leg, leg.tunnel.as_deref()?)));
    let Some((leg, tunnel)) = legs().next() else { return Ok(()) };
    let all_counted = Role::BOTH.into_iter().all(|role| leg.counted(role) == Counted::All);
    match (tunnel.messages(Role::Client), tunnel.messages(Role::Server)) {
        _ if !all_counted => write!(f, "{}", Messages(leg, tunnel))?,
        (0, 0) => f.write_str(", no messages")?,
        (client, server) if client == server => write!(f, ", {} each way", Count(client, "message"))?,
        (client, server) => {
            write!(f, ", {} from the client and {server} from the server", Count(client, "message"))?;
        }
    }
    let began_before = legs().all(|(leg, tunnel)| leg.request.is_none() && !tunnel.handshake_seen);
    if began_before { f.write_str("; it was open before the capture began") } else { Ok(()) }
}

/// The silence at the end, when it is long.
fn quiet(session: &Session, f: &mut Formatter<'_>) -> fmt::Result {
    let last = session.legs.iter().filter_map(Leg::last_data).max();
    match last.map(|last| session.end.since(last.at)) {
        Some(silence) if silence > Duration::from_secs(5) => write!(f, ", silent for the last {}", Span(silence)),
        _ => Ok(()),
    }
}

fn request(session: &Session, f: &mut Formatter<'_>) -> fmt::Result {
    match session.legs.iter().find_map(|leg| leg.request.as_deref()) {
        Some(request) => write!(f, "the request for {}", quote(request.head.path())),
        None => f.write_str("the request"),
    }
}

fn encrypted(session: &Session, age: Span, f: &mut Formatter<'_>) -> fmt::Result {
    let leg = session.first_leg();
    let (client, server) = (leg.half(Role::Client).bytes, leg.half(Role::Server).bytes);
    let likely = leg.tls.as_ref().is_some_and(|tls| !tls.likely_websocket.is_empty());
    let what = if likely { "TLS without keys, likely a WebSocket" } else { "TLS without keys" };
    write!(f, "{what}: {client} bytes from the client and {server} from the server in {age}")
}

fn tunnels(session: &Session) -> impl Iterator<Item = &Tunnel> {
    session.legs.iter().filter_map(|leg| leg.tunnel.as_deref())
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::test_session::*;
    use crate::session::Outcome;
    use crate::stream::Role;

    fn said(session: &TestSession) -> String {
        session.diagnose().verdict
    }

    #[test]
    fn a_session_that_needs_no_explanation_is_told_in_short() {
        assert_eq!(said(&healthy()), "closed normally by the client after 3.3 s, 12 messages each way");
        let away = healthy().client_leg(|leg| {
            leg.with(|leg| {
                let tunnel = leg.tunnel.as_mut().unwrap();
                tunnel.sides.client.close.as_mut().unwrap().code = Some(1001);
                tunnel.sides.server.messages.text = 3;
            })
        });
        assert_eq!(
            said(&away),
            "closed by the client with 1001 going away after 3.3 s, 12 messages from the client and 3 from the server"
        );
        let open = session().client_leg(|leg| leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 1));
        assert_eq!(said(&open), "still open after 30 ms, 1 message from the client and 0 from the server");
    }

    #[test]
    fn a_session_that_nothing_explains_is_told_as_it_is() {
        let short = session().client_leg(|leg| leg.request(ASKED).after_ms(5));
        assert_eq!(said(&short), "the request for /ws got no answer that the capture shows");
        let unseen = session().outcome(Outcome::Unreachable);
        assert_eq!(said(&unseen), "no connection to the server 10.0.0.1:80 came up");
    }

    #[test]
    fn what_the_capture_lacks_is_not_counted() {
        let talked = |leg: TestLeg| leg.messages(Role::Client, 2).messages(Role::Server, 3);
        let open = || session().client_leg(|leg| talked(leg.request(ASKED).response(SWITCHED).open()));
        let counted = |session: TestSession| said(&session).split_once(", ").unwrap().1.to_owned();
        let holes = open().client_leg(|leg| leg.hole(Role::Server, 10));
        assert_eq!(counted(holes), "2 messages from the client, at least 3 from the server");
        let unseen = open().client_leg(|leg| leg.unseen(Role::Client));
        assert_eq!(counted(unseen), "what the client sent was not captured, 3 messages from the server");
        let left =
            open().client_leg(|leg| leg.close(Role::Client, 1001, "").fin(Role::Client)).outcome(Outcome::Aborted);
        assert!(said(&left).starts_with("closed by the client with 1001 going away, which was not answered, after "));
    }

    #[test]
    fn secrets_in_the_query_are_not_told() {
        let asked = ASKED.replace("/ws ", "/ws?token=secret ");
        let session = session().client_leg(|leg| leg.request(&asked).after_ms(5));
        assert!(!said(&session).contains("secret"));
    }
}
