//! The proxy accepts connections only to drop them.

use crate::diagnosis::parties;
use crate::diagnosis::wording::{Count, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::{Confidence, Outcome};
use crate::stream::Role;
use crate::tcp::EndKind;

/// `proxy-out-of-connections`.
pub const RULE: Rule = Rule {
    id: "proxy-out-of-connections",
    severity: Severity::Error,
    stage: Stage::Upstream,
    title: "The server drops every new connection with a reset",
    explanation: "The kernel completes the TCP handshake, the program behind it has no room for another connection and \
        resets it. nginx logs \"worker_connections are not enough\". A proxied WebSocket needs two for as long as it lives.",
    signature: "SYN-ACK, request, then RST without a byte of HTTP and without a leg behind; for several clients",
    fix: "Look at the server's limit of connections and of open files.\n\
        in the nginx events block: worker_connections 8192;\n\
        in the nginx main block: worker_rlimit_nofile 20000;\n\
        HAProxy: raise maxconn in global, and ulimit-n",
    look_alikes: "A single reset is no-answer. A server that wants a PROXY header drops connections without one too.",
    reference: "nginx: worker_connections",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let leg = session.first_leg();
    if session.legs.len() > 1 || leg.outcome != Outcome::Unanswered || leg.half(Role::Server).bytes > 0 {
        return None;
    }
    let request = leg.request.as_deref()?;
    let end = leg.first_end().filter(|end| end.by == Role::Server && end.kind == EndKind::Rst)?;
    let others = u64::from(facts.neighbours.endings.dropped(leg.server).saturating_sub(1));
    if others == 0 || leg.has_holes() {
        return None;
    }
    let server = parties::server_of(session, 0)?;
    let after = Span(end.moment.at.since(request.moment.at));
    let like = Count(others, "other session");
    Some(
        Evidence::on(0, format!("RST {after} after the request, without HTTP; the same happened to {like}"))
            .packet(request.moment, "the request")
            .packet(end.moment, "RST")
            .confidence(Confidence::Medium)
            .verdict(format!(
                "{server} accepts connections and resets them after the request ({after}), {like} too, as a program does \
                 that is out of connections or files"
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::SessionId;
    use crate::session::neighbours::Ending;

    fn dropped() -> TestSession {
        session().client_leg(|leg| leg.request(ASKED).rst(Role::Server))
    }

    pub(crate) fn example() -> TestSession {
        let session = dropped();
        let other = Ending { session: SessionId(2), ended_by: Some(Role::Server), ..ending(&session.session) };
        session.neighbours(|neighbours| _ = neighbours.endings.add(&other))
    }

    #[test]
    fn outranks_no_answer() {
        assert_eq!(example().ids(), [RULE.id]);
    }

    #[test]
    fn is_silent_about_a_single_reset_and_about_a_fin() {
        assert!(dropped().check(&RULE).is_none());
        assert_eq!(dropped().cause(), Some("no-answer"));
        let others = example().neighbours;
        let mut closed = session().client_leg(|leg| leg.request(ASKED).fin(Role::Server));
        closed.neighbours = others;
        assert!(closed.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
