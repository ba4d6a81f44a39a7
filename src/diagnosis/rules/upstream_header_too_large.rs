//! The backend's answer has a head that the proxy cannot hold.

use crate::diagnosis::upstream::{LastAttempt, last_attempts};
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Leg;
use crate::session::leg::Response;
use crate::stream::Role;
use crate::tcp::EndKind;

/// `upstream-header-too-large`.
pub const RULE: Rule = Rule {
    id: "upstream-header-too-large",
    severity: Severity::Error,
    stage: Stage::Upstream,
    title: "The backend's response headers are too large for the proxy",
    explanation: "A proxy reads the head of an answer into one buffer (nginx: 4 or 8 KiB). Large cookies or tokens in the \
        101 do not fit, and the proxy throws the answer away. nginx logs \"upstream sent too big header\".",
    signature: "behind the proxy: an answer whose head has 4 KiB or more; in front: 502",
    fix: "Make the cookies in the answer smaller.\n\
        in the nginx location: proxy_buffer_size 32k; proxy_busy_buffers_size 64k; proxy_buffers 8 32k;\n\
        HAProxy: in global: tune.bufsize 32768\n\
        Apache: add responsefieldsize=32768 to ProxyPass",
    look_alikes: "Large frames never meet these buffers: after the 101 they do not matter.",
    reference: "nginx: proxy_buffer_size",
    check,
};

/// The smallest default buffer of a proxy: a page of memory, for nginx.
const BUFFER: u32 = 4096;

/// The smallest buffer that anybody sets.
const LEAST: u32 = 1000;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let (attempt, response) =
        last_attempts(facts.session).find_map(|attempt| Some((attempt, thrown_away(&attempt)?)))?;
    let (status, bytes) = (response.head.status, response.head_bytes);
    let largest = response.head.fields.iter().max_by_key(|field| field.value.len());
    let largest = match largest {
        Some(field) => format!("; the largest header is {} with {} bytes", quote(field.name), field.value.len()),
        None => String::new(),
    };
    Some(
        Evidence::on(
            attempt.back_index,
            format!("the backend answered {status} with {bytes} bytes of headers{largest}"),
        )
        .packet(response.begun, "the backend's answer begins")
        .packet(response.moment, "its head ends")
        .packet_if(attempt.answered(), "the proxy's answer")
        .verdict(format!(
            "{} threw the answer of {} away: {status} with {bytes} bytes of headers; {}{largest}",
            attempt.proxy(),
            attempt.back.server,
            attempt.outcome()
        )),
    )
}

fn thrown_away<'a>(attempt: &LastAttempt<'a>) -> Option<&'a Response> {
    let response = attempt.back.response.as_deref()?;
    let refused = attempt.front.status() == Some(502) && response.head.status != 502;
    let large =
        response.head_bytes >= BUFFER - 1 || (response.head_bytes >= LEAST && was_not_read(attempt.back, response));
    (refused && large).then_some(response)
}

/// Whether the proxy had not read all of a head behind which nothing came: only then does its close send an RST (RFC 1122
/// §4.2.2.13).
fn was_not_read(back: &Leg, response: &Response) -> bool {
    let reset = back.first_end().is_some_and(|end| end.by == Role::Client && end.kind == EndKind::Rst);
    reset && back.tls.is_none() && back.half(Role::Server).bytes == u64::from(response.head_bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn answered_with(bytes: usize) -> TestSession {
        let large = with_field(SWITCHED, &format!("Set-Cookie: {}", "c".repeat(bytes)));
        session()
            .client_leg(|leg| leg.request(ASKED).response(NGINX_502))
            .backend_leg(|leg| leg.request(FORWARDED).response(&large))
    }

    pub(crate) fn example() -> TestSession {
        answered_with(9000)
    }

    #[test]
    fn outranks_the_status() {
        assert_eq!(example().ids(), [RULE.id]);
    }

    #[test]
    fn a_reset_shows_that_a_smaller_buffer_was_full() {
        let left = |rst: bool| {
            answered_with(3000).backend_leg(|leg| {
                let leg = if rst { leg.rst(Role::Client) } else { leg.fin(Role::Client) };
                leg.with(|leg| {
                    let side = leg.side(Role::Server);
                    leg.tcp.halves[side].bytes = leg.response.as_ref().unwrap().head_bytes.into();
                })
            })
        };
        assert_eq!(left(true).cause(), Some(RULE.id));
        assert_eq!(left(false).cause(), Some("handshake-rejected"));
    }

    #[test]
    fn is_silent_about_small_heads_and_where_the_proxy_did_not_mind() {
        assert!(answered_with(100).check(&RULE).is_none());
        let passed = example().client_leg(|leg| leg.response(SWITCHED).open());
        assert!(passed.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
