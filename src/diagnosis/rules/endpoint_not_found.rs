//! There is no WebSocket under this path.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::backends;
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;

/// `endpoint-not-found`.
pub const RULE: Rule = Rule {
    id: "endpoint-not-found",
    severity: Severity::Error,
    stage: Stage::Response,
    title: "Nothing answers WebSockets under this path",
    explanation: "The request arrived intact, and whoever answered has no WebSocket under its path. Not everybody says 404: \
        the ws library answers 400 Bad Request, Starlette an empty 403. A proxy says 404 itself when no location fits.",
    signature: "404, or a backend's own way to say wrong path, with the request intact",
    fix: "Compare the path with the route in the application; mind prefixes and slashes at the end.\n\
        nginx: add a location for this path: location /ws { proxy_pass http://BACKEND; proxy_http_version 1.1; \
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; }\n\
        Traefik: add a router whose rule matches this path\n\
        ingress-nginx: add the path to the Ingress, with pathType: Prefix",
    look_alikes: "A proxy that changed the path is path-rewritten; a 404 of a backend that never saw Upgrade is \
        upgrade-headers-stripped.",
    reference: "RFC 6455 §4.2.2, RFC 9110 §15.5.5",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    let confidence = refusal.complains_about(Complaint::NotFound)?;
    let path = quote(refusal.request.map_or("", |request| request.head.path()));
    let said = refusal.said();
    let by_shape = confidence == Confidence::Low;
    let lacks_library = may_lack_a_library(&refusal);
    let doubt = match (by_shape, lacks_library) {
        (true, _) => "; Starlette answers so for an unknown route, and when the application refuses",
        (_, true) => "; uvicorn answers so too where it has no WebSocket library",
        _ => "",
    };
    let alone = match facts.session.legs.len() == 1 && refusal.by_proxy() {
        true => "; no request to a backend was captured while it waited",
        false => "",
    };
    let verdict = match whose(&refusal) {
        Whose::Proxy => format!("{} has nothing under {path}: it answered {said} itself{alone}", refusal.maker()),
        Whose::Server if by_shape => format!("{} answered {path} with an empty 403{doubt}", refusal.maker()),
        Whose::Server => format!("{} has no WebSocket under {path}: it answered {said}{doubt}", refusal.maker()),
    };
    Some(
        Evidence::on(refusal.made_on, format!("{path} was answered {said}{doubt}{alone}"))
            .packet_if(refusal.request.map(|request| request.moment), "the request")
            .packet(refusal.response.moment, "the answer")
            .confidence(if lacks_library { confidence.lowered() } else { confidence })
            .fix_if(lacks_library.then(|| {
                "compare the path with the route in the application; or give uvicorn a WebSocket library: pip install \
                 'uvicorn[standard]'"
                    .to_owned()
            }))
            .verdict(verdict),
    )
}

/// uvicorn with a WebSocket library refuses an unknown route with 403. Without one it takes the request for one of a page.
fn may_lack_a_library(refusal: &Refusal<'_>) -> bool {
    let is_uvicorn = backends::name(refusal.response) == Some("uvicorn");
    is_uvicorn && refusal.status() == 404 && refusal.request_was_intact()
}

enum Whose {
    Proxy,
    Server,
}

fn whose(refusal: &Refusal<'_>) -> Whose {
    if refusal.by_proxy() { Whose::Proxy } else { Whose::Server }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        answered(
            "HTTP/1.1 404 Not Found\nServer: nginx/1.22.1\nContent-Type: text/html\n\n\
             <html>\n<center><h1>404 Not Found</h1></center>\n<hr><center>nginx/1.22.1</center>\n</html>",
        )
    }

    #[test]
    fn knows_the_ways_of_backends() {
        let ws =
            "HTTP/1.1 400 Bad Request\nConnection: close\nContent-Type: text/html\nContent-Length: 11\n\nBad Request";
        assert_eq!(refused_with(ws).cause(), Some(RULE.id));
        let starlette = "HTTP/1.1 403 Forbidden\nContent-Type: text/plain\nConnection: close\n\n";
        let session = refused_with(starlette);
        assert_eq!(session.cause(), Some(RULE.id));
        assert_eq!(session.finding(RULE.id).unwrap().evidence.confidence, Confidence::Low);
    }

    #[test]
    fn a_404_of_uvicorn_may_be_for_lack_of_a_library() {
        let session = refused_with("HTTP/1.1 404 Not Found\nserver: uvicorn\n\n{\"detail\":\"Not Found\"}");
        let finding = session.finding(RULE.id).unwrap();
        assert!(finding.fix.contains("uvicorn[standard]"), "{}", finding.fix);
        assert_eq!(finding.evidence.confidence, Confidence::Medium);
        let stripped = session.backend_leg(|leg| leg.request(&replaced(FORWARDED, "Upgrade", "")));
        assert_eq!(stripped.cause(), Some("upgrade-headers-stripped"), "then it was asked for a page");
    }

    #[test]
    fn is_dropped_when_the_proxy_is_the_reason() {
        let rewritten = FORWARDED.replace("/ws ", "/ ");
        let session = refused_with("HTTP/1.1 404 Not Found\n\n").backend_leg(|leg| leg.request(&rewritten));
        assert_eq!(session.ids(), ["path-rewritten"]);
    }

    #[test]
    fn is_silent_about_a_404_that_means_another_thing() {
        assert!(refused_with("HTTP/1.1 404 Not Found\n\nNo Connection with that ID").check(&RULE).is_none());
        assert!(refused_with("HTTP/1.1 400 Bad Request\n\nBad Request").check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
