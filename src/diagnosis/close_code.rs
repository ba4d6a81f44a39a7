//! Closes that say why: the first Close frame of a session and its code.

use std::time::Duration;

use crate::diagnosis::ending::{named, who};
use crate::diagnosis::wording::{Span, quote};
use crate::diagnosis::{Evidence, Facts, Severity};
use crate::packet::Moment;
use crate::session::{Leg, Session, Who};
use crate::stream::Role;
use crate::ws::facts::Close;

/// Evidence for the first Close frame, when `is_meant` picks its code.
pub fn by_code(facts: &Facts<'_>, is_meant: impl Fn(u16) -> bool) -> Option<Evidence> {
    let session = facts.session;
    let (leg, role, close) = facts.first_close()?;
    let code = close.code.filter(|&code| is_meant(code))?;
    let said = said(session, leg, role, close, code);
    let age = Span(age(&session.legs[leg], close));
    // Jetty and others close with 1001, and say why.
    let is_idle = close.reason.to_ascii_lowercase().contains("idle");
    let fix = is_idle
        .then(|| "send a ping more often than that time, or raise the idle timeout of whoever closed".to_owned());
    let evidence = Evidence::on(leg, said.clone())
        .packet(close.moment, "the Close frame")
        .fix_if(fix)
        .verdict(format!("{said} after {age}"));
    let may_be_the_clients = match role {
        // Behind a leg of which bytes are missing the proxy may have passed on what its client sent.
        Role::Client => session.legs[leg].behind.is_some_and(|front| session.legs[front].has_holes()),
        // The client's Close is among the bytes that are missing: it may have come first.
        Role::Server => {
            let unseen = |leg: &Leg| leg.tunnel.as_ref().is_none_or(|tunnel| tunnel.sides.client.close.is_none());
            let lost = |leg: &Leg| leg.half(Role::Client).gap_bytes > 0 || !leg.both_directions_seen();
            session.legs.iter().all(unseen) && session.legs.iter().any(lost)
        }
    };
    Some(match (code, who(session, leg, role)) {
        // A page that was left, a tab that was closed.
        (1001, who) if who == Who::Client || may_be_the_clients => evidence.severity(Severity::Note).not_cause(),
        _ => evidence,
    })
}

/// The Close by which a backend says that it does not know its client: it opens the WebSocket, looks who came, and closes it.
/// When, and how that was said.
pub fn turned_away(facts: &Facts<'_>) -> Option<(Moment, String)> {
    const AT_ONCE: Duration = Duration::from_secs(5);
    let session = facts.session;
    let (leg, role, close) = facts.first_close()?;
    let code = close.code.filter(|code| matches!(code, 1008 | 3000 | 3003 | 4401 | 4403))?;
    let by_backend = role == Role::Server && who(session, leg, role) == Who::Server;
    let at_once = age(&session.legs[leg], close) <= AT_ONCE;
    (by_backend && at_once).then(|| (close.moment, said(session, leg, role, close, code)))
}

/// How long the WebSocket had been open when it was closed.
fn age(leg: &Leg, close: &Close) -> Duration {
    leg.tunnel.as_ref().map_or(Duration::ZERO, |tunnel| close.moment.at.since(tunnel.opened.at))
}

/// `the server 10.0.0.1:80 closed with 1008 policy violation "no token"`.
fn said(session: &Session, leg: usize, role: Role, close: &Close, code: u16) -> String {
    let reason = match quote(&close.reason) {
        reason if reason.is_empty() => String::new(),
        reason => format!(" \"{reason}\""),
    };
    format!("{} closed with {code}{}{reason}", named(session, leg, role), meaning(code))
}

/// What a code stands for (RFC 6455 §7.4.1 and the registry of IANA), with a space in front.
pub fn meaning(code: u16) -> &'static str {
    match code {
        1000 => " normal closure",
        1001 => " going away",
        1002 => " protocol error",
        1003 => " unsupported data",
        1007 => " invalid payload data",
        1008 => " policy violation",
        1009 => " message too big",
        1010 => " missing extension",
        1011 => " internal error",
        1012 => " service restart",
        1013 => " try again later",
        1014 => " bad gateway",
        3000 => " unauthorized",
        3003 => " forbidden",
        3008 => " timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    #[test]
    fn code_and_reason_are_quoted() {
        for code in [1001, 1002, 1003, 1007, 1008, 1010, 1011, 1012, 1013, 1014, 3000, 4401] {
            let diagnosis = closed_with(code, "shutting down").diagnose();
            let said = format!("closed with {code}{} \"shutting down\" after", super::meaning(code));
            assert!(diagnosis.cause().is_some(), "{code}");
            assert!(diagnosis.verdict.contains(&said), "{}", diagnosis.verdict);
        }
        assert_eq!(closed_with(1000, "done").cause(), None);
    }

    #[test]
    fn a_page_that_was_left_behind_a_hole_is_no_failure() {
        let left = |leg: TestLeg| leg.open().messages(Role::Client, 2);
        let told = |gap: u64| {
            session()
                .client_leg(|leg| {
                    left(leg.request(ASKED).response(SWITCHED)).with(|leg| leg.tcp.halves.originator.gap_bytes = gap)
                })
                .backend_leg(|leg| left(leg.request(FORWARDED).response(SWITCHED)).close(Role::Client, 1001, ""))
        };
        assert_eq!(told(8).cause(), None);
        assert_eq!(told(0).cause(), Some("close-going-away"));
    }

    #[test]
    fn the_answer_to_a_close_that_is_missing_is_no_failure() {
        let told = |gap: u64| {
            session().client_leg(|leg| {
                let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 2);
                leg.with(|leg| leg.tcp.halves.originator.gap_bytes = gap).close(Role::Server, 1001, "")
            })
        };
        assert_eq!(told(8).cause(), None);
        assert_eq!(told(0).cause(), Some("close-going-away"));
    }
}
