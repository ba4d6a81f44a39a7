//! The proxy dropped what stood behind the question mark.

use crate::diagnosis::backends::Meaning;
use crate::diagnosis::hops::{self, Hop};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage, answer};
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
        HAProxy: use http-request replace-pathq instead of replace-path with the query cut off\n\
        Apache: add the flag QSA to the RewriteRule\n\
        Caddy: write rewrite * /path?{query}",
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
    let Some(refusal) = answer::refusal(session).filter(|refusal| matches!(refusal.status(), 400 | 401 | 403 | 404))
    else {
        return Some(evidence.not_cause());
    };
    let explains = match refusal.meaning() {
        None | Some(Meaning::Authentication | Meaning::Path) => true,
        Some(meaning) => matches!(meaning, Meaning::EngineIo(_) | Meaning::UnknownSession),
    };
    if !explains {
        return Some(evidence.not_cause());
    }
    let confidence =
        if refusal.meaning().is_some() || refusal.status() == 401 { Confidence::High } else { Confidence::Medium };
    Some(evidence.severity(Severity::Error).confidence(confidence).verdict(format!(
        "{} dropped the query ({names}) on the way to {}; {}",
        hop.proxy(),
        hop.back.server,
        hop.reaction()
    )))
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
