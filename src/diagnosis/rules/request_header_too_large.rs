//! The request has grown too large, mostly by its cookies.

use crate::diagnosis::answer;
use crate::diagnosis::complaint::Complaint;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::http::head::Fields;
use crate::session::Confidence;

/// `request-header-too-large`.
pub const RULE: Rule = Rule {
    id: "request-header-too-large",
    severity: Severity::Error,
    stage: Stage::Request,
    title: "The request's headers are too large",
    explanation: "Servers bound the head of a request: nginx 8 KiB a line, node 16 KiB in all. A WebSocket request carries \
        all cookies of its site, and those grow.",
    signature: "400 Request Header Or Cookie Too Large, 431, or 414 for the target; a 400 without another reason to a request of more \
        than 8,000 bytes",
    fix: "Make the cookies or the token smaller.\n\
        in the nginx server: large_client_header_buffers 4 32k;\n\
        HAProxy: in global: tune.bufsize 32768\n\
        Apache: LimitRequestFieldSize 32768\n\
        Envoy: max_request_headers_kb: 96 in the HTTP connection manager\n\
        Node: --max-http-header-size=32768",
    look_alikes: "A 400 with another text has another reason.",
    reference: "RFC 6585 §5",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let refusal = answer::refusal(facts.session)?;
    let confidence = refusal.complains_about(Complaint::HeadTooLarge)?;
    let largest = refusal.request.and_then(|request| largest_field(&request.head.fields));
    let size = match largest {
        Some((name, bytes)) => format!("; the largest header is {} with {bytes} bytes", quote(name)),
        None => String::new(),
    };
    let (maker, said) = (refusal.maker(), refusal.said());
    Some(
        Evidence::on(refusal.made_on, format!("answered {said}{size}"))
            .packet_if(refusal.request.map(|request| request.moment), "the request")
            .packet(refusal.response.moment, "the refusal")
            .confidence(confidence)
            .verdict(match confidence {
                Confidence::High => format!("{maker} refused the request as too large ({}){size}", refusal.status()),
                _ => format!("{maker} refused the request with {said}, most likely for its size{size}"),
            }),
    )
}

fn largest_field(fields: &Fields) -> Option<(&str, usize)> {
    fields.iter().map(|field| (field.name, field.value.len())).max_by_key(|(_, bytes)| *bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        let request = with_field(ASKED, &format!("Cookie: {}", "c".repeat(9000)));
        let page = "HTTP/1.1 400 Bad Request\nServer: nginx/1.22.1\n\n<html><head><title>400 Request Header Or Cookie Too \
            Large</title></head><center>Request Header Or Cookie Too Large</center>\n<hr><center>nginx/1.22.1</center>";
        answered(page).client_leg(|leg| leg.request(&request))
    }

    #[test]
    fn knows_431() {
        assert_eq!(refused_with("HTTP/1.1 431 Request Header Fields Too Large\n\n").cause(), Some(RULE.id));
    }

    #[test]
    fn is_the_only_story_about_its_answer() {
        assert_eq!(example().ids(), [RULE.id]);
    }

    #[test]
    fn a_bare_400_to_a_large_request_is_likely_about_its_size() {
        let bare = "HTTP/1.1 400 Bad request\n\n<html><body><h1>400 Bad request</h1>";
        let cause = |answer: &str, bytes: usize| {
            let request = with_field(ASKED, &format!("Cookie: {}", "c".repeat(bytes)));
            let session = answered(answer).client_leg(|leg| leg.request(&request));
            session.cause().map(|id| (id, session.finding(id).unwrap().evidence.confidence))
        };
        assert_eq!(cause(bare, 9_000), Some((RULE.id, Confidence::Medium)));
        assert_eq!(cause(bare, 4_000).map(|(id, _)| id), Some("handshake-rejected"));
        let aiohttp = "HTTP/1.1 400 Bad Request\n\nGot more than 8190 bytes when reading: b'Cookie: ccc...'";
        assert_eq!(cause(aiohttp, 9_000), Some((RULE.id, Confidence::High)));
        assert_eq!(cause("HTTP/1.1 403 Forbidden\n\n", 9_000).map(|(id, _)| id), Some("forbidden"));
    }

    #[test]
    fn is_silent_about_other_refusals() {
        assert!(answered("HTTP/1.1 400 Bad Request\n\n").check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
