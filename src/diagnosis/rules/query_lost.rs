//! The proxy dropped what stood behind the question mark.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::backends::Meaning;
use crate::diagnosis::close_code::turned_away;
use crate::diagnosis::hops::{self, Hop};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;

/// `query-lost`.
pub const RULE: Rule = Rule {
    id: "query-lost",
    severity: Severity::Warning,
    stage: Stage::RequestDiff,
    title: "The proxy dropped the query string",
    explanation: "Tokens and parameters of a WebSocket travel in the query, since a browser cannot set headers. A \
        proxy_pass with a variable or a captured group takes the target as it is written there, without the query.",
    signature: "the client's target has a query, the proxy's target for the same key has none",
    fix: "in the nginx location, append $is_args$args: proxy_pass http://BACKEND/$1$is_args$args;\n\
        HAProxy: http-request set-path and replace-path keep the query; set-pathq, replace-pathq, set-uri and replace-uri do \
        not\n\
        Apache: take the question mark off the end of the RewriteRule's target, and the flag QSD out\n\
        Caddy: rewrite keeps the query unless its target has one: append ?{query} to that",
    look_alikes: "A query that the client never sent is not on its own request either.",
    reference: "RFC 9110 §7.7",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let hop = hops::hops(session).find(is_lost)?;
    let names: Vec<&str> =
        hop.asked.head.query().unwrap_or_default().split('&').filter_map(|part| part.split('=').next()).collect();
    let names = crate::diagnosis::wording::quote(&names.join(", "));
    // The values may be secrets: only the names are told.
    let evidence = Evidence::on(hop.back_index, format!("client sent the parameters {names}; upstream got none"))
        .packet(hop.asked.moment, "target with a query")
        .packet(hop.forwarded.moment, "target without");
    let (evidence, confidence, reaction) = match (answer::refusal(session).filter(explains), turned_away(facts)) {
        (Some(refusal), _) => (evidence, confidence(&refusal), hop.reaction()),
        (None, Some((close, said))) => (evidence.packet(close, "the Close frame"), Confidence::Medium, said),
        (None, None) => return Some(evidence.not_cause()),
    };
    Some(evidence.severity(Severity::Error).confidence(confidence).verdict(format!(
        "{} dropped the query ({names}) on the way to {}; {reaction}",
        hop.proxy(),
        hop.back.server
    )))
}

/// Whether a refusal may be for lack of what the query said.
fn explains(refusal: &Refusal<'_>) -> bool {
    let about_it = match refusal.meaning() {
        None | Some(Meaning::Authentication | Meaning::Path) => true,
        Some(meaning) => matches!(meaning, Meaning::EngineIo(_) | Meaning::UnknownSession),
    };
    about_it && matches!(refusal.status(), 400 | 401 | 403 | 404)
}

fn confidence(refusal: &Refusal<'_>) -> Confidence {
    let sure = refusal.meaning().is_some() || refusal.status() == 401;
    if sure { Confidence::High } else { Confidence::Medium }
}

fn is_lost(hop: &Hop<'_>) -> bool {
    hop.asked.head.target() != hop.forwarded.head.target()
        && hop.asked.head.query().is_some_and(|query| !query.is_empty())
        && hop.forwarded.head.query().is_none_or(str::is_empty)
        && hop.is_sure()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    fn asked() -> String {
        ASKED.replace("/ws ", "/ws?token=secret&room=1 ")
    }

    pub(crate) fn example() -> TestSession {
        refused_with("HTTP/1.1 401 Unauthorized\n\n").client_leg(|leg| leg.request(&asked()))
    }

    #[test]
    fn names_the_parameters_and_keeps_their_values() {
        let diagnosis = example().diagnose();
        assert!(diagnosis.verdict.contains("(token, room)") && !diagnosis.verdict.contains("secret"));
    }

    #[test]
    fn explains_what_engine_io_says() {
        let session = example().client_leg(|leg| leg.response("HTTP/1.1 400 Bad Request\n\nTransport unknown"));
        let session = session.backend_leg(|leg| leg.response("HTTP/1.1 400 Bad Request\n\nTransport unknown"));
        assert_eq!(session.cause(), Some(RULE.id));
    }

    #[test]
    fn explains_a_backend_that_opens_and_closes_at_once() {
        let closed = |leg: TestLeg| {
            leg.open().close(Role::Server, 1008, "no token").close(Role::Client, 1008, "").fin(Role::Server)
        };
        let session = session()
            .client_leg(|leg| closed(leg.request(&asked()).response(SWITCHED)))
            .backend_leg(|leg| closed(leg.request(FORWARDED).response(SWITCHED)));
        assert_eq!(session.cause(), Some(RULE.id));
        assert_eq!(session.finding(RULE.id).unwrap().severity, Severity::Error);
    }

    #[test]
    fn is_a_warning_while_it_works() {
        let session = healthy().client_leg(|leg| leg.request(&asked()));
        assert_eq!((session.cause(), session.finding(RULE.id).unwrap().severity), (None, Severity::Warning));
    }

    #[test]
    fn is_silent_about_a_changed_query() {
        let session = example().backend_leg(|leg| leg.request(&FORWARDED.replace("/ws ", "/ws?room=1 ")));
        assert!(session.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
