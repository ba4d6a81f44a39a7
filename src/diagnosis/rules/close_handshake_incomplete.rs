//! A Close frame was not answered.

use std::time::Duration;

use crate::diagnosis::ending::{named, who};
use crate::diagnosis::wording::Span;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Who;
use crate::stream::Role;

/// `close-handshake-incomplete`.
pub const RULE: Rule = Rule {
    id: "close-handshake-incomplete",
    severity: Severity::Warning,
    stage: Stage::Closing,
    title: "The closing handshake was not completed",
    explanation: "One side sent a Close frame and the other ended the connection, or kept it open, without a Close \
        of its own; or both closed and nobody ended the connection. Programs wait for the answer: ws for \
        30 s.",
    signature: "one Close frame, and an end by the other side without one, or no end for five seconds; or both, \
        and TCP open ten seconds later",
    fix: "Let the side that did not answer reply to a Close with a Close before it ends the connection.",
    look_alikes: "A browser that leaves a page sends Close and FIN at once and does not wait: that is no fault.",
    reference: "RFC 6455 §7.1.2",
    check,
};

/// An answer takes a round trip and a moment; this is long for both.
const ANSWER: Duration = Duration::from_secs(5);

/// After both Close frames the server ends the connection at once.
const LEFT_OPEN: Duration = Duration::from_secs(10);

/// Whoever leaves sooner after its own Close did not wait for the answer.
const WAITED: Duration = Duration::from_secs(1);

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (leg, by, close) = facts.first_close()?;
    let this = &session.legs[leg];
    let tunnel = this.tunnel.as_deref().filter(|_| this.both_directions_seen() && !this.has_holes())?;
    // A Close from before the capture would be its answer, or its cause.
    if !tunnel.handshake_seen && tunnel.sides[by.peer()].frames.total() == 0 {
        return None;
    }
    let over = facts.neighbours.span.1.max(this.tcp.last.at);
    let sender = || named(session, leg, by);
    let peer = || named(session, leg, by.peer());
    let what = match &tunnel.sides[by.peer()].close {
        Some(_) => {
            let open = this.first_end().is_none() && over.since(close.moment.at) >= LEFT_OPEN;
            open.then(|| {
                format!(
                    "both sides sent Close, and nobody ended the connection for {}",
                    Span(over.since(close.moment.at))
                )
            })
        }
        None => match this.first_end().filter(|end| end.moment >= close.moment) {
            None => (over.since(close.moment.at) >= ANSWER).then(|| {
                format!("{} did not answer the Close of {} for {}", peer(), sender(), Span(over.since(close.moment.at)))
            }),
            Some(end) if end.by == by => {
                let waited = end.moment.at.since(close.moment.at);
                (waited >= WAITED).then(|| {
                    format!("{} did not answer the Close of {}, which left after {}", peer(), sender(), Span(waited))
                })
            }
            // A proxy that ends both legs did not get the Close to pass on an answer.
            Some(_) if by == Role::Client && who(session, leg, by.peer()) == Who::Proxy => None,
            Some(end) => Some(format!(
                "{} ended the connection {} after the Close of {}, without one of its own",
                peer(),
                Span(end.moment.at.since(close.moment.at)),
                sender()
            )),
        },
    }?;
    Some(Evidence::on(leg, what.clone()).packet(close.moment, "the Close frame").verdict(what))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::Outcome;

    pub(crate) fn example() -> TestSession {
        session()
            .client_leg(|leg| {
                let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Server, 1);
                leg.close(Role::Client, 1000, "").after_ms(1500).fin(Role::Client)
            })
            .outcome(Outcome::Aborted)
    }

    #[test]
    fn is_the_cause_when_nothing_else_is() {
        assert_eq!(example().cause(), Some(RULE.id));
    }

    #[test]
    fn is_silent_when_the_one_who_closed_did_not_wait() {
        let page = session().client_leg(|leg| {
            let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Server, 1);
            leg.close(Role::Client, 1001, "").fin(Role::Client).fin(Role::Server)
        });
        assert!(page.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
