//! The backend's address does not answer.

use crate::diagnosis::upstream::{LastAttempt, last_attempts};
use crate::diagnosis::wording::{Count, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;

/// `upstream-connect-timeout`.
pub const RULE: Rule = Rule {
    id: "upstream-connect-timeout",
    severity: Severity::Error,
    stage: Stage::Upstream,
    title: "The backend did not answer the proxy's connection attempt",
    explanation: "The proxy's SYN went out again and again, and nothing came back. A firewall or security group drops it, the \
        host is down, the address is wrong, or the backend's queue of new connections is full.",
    signature: "behind the proxy: SYN retransmitted without any answer; in front: 504 or 503",
    fix: "Check the address of the backend, and the firewalls between proxy and backend.\n\
        nginx: proxy_connect_timeout 5s; in the location makes the failure quick, and does not cure it\n\
        HAProxy: timeout connect 5s makes the failure quick, and does not cure it",
    look_alikes: "An RST in answer is upstream-refused, an ICMP error upstream-unreachable. A capture that does not see the \
        answers has no packet of the backend on any connection.",
    reference: "RFC 9293 §3.8.3",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let attempt = last_attempts(facts.session).find(is_unanswered)?;
    let tcp = &attempt.back.tcp;
    let syn = tcp.syn?;
    let given_up = attempt.answered();
    let left = attempt.front.first_end().map(|end| end.moment);
    let waited = Span(given_up.or(left).unwrap_or(tcp.last).at.since(syn.at));
    let again = Count(u64::from(tcp.syn_retransmissions), "retransmission");
    let server = attempt.back.server;
    let alive = facts.neighbours.servers.get(&server).is_some_and(|used| used.connections > 0);
    let queue = match alive {
        true => "; the port answers other connections, so its queue of new ones may be full",
        false => "",
    };
    Some(
        Evidence::on(
            attempt.back_index,
            format!("no answer to the SYN in {waited}, {again}{queue}; {}", attempt.outcome()),
        )
        .packet(syn, "the proxy's SYN")
        .packet_if(given_up, "the proxy's answer")
        .fix_if(alive.then(|| {
            "let the backend accept faster or raise its backlog: the listen() argument, and net.core.somaxconn"
                .to_owned()
        }))
        .verdict(format!(
            "{} got no answer from {server} to its SYN in {waited} ({again}){queue}; {}",
            attempt.proxy(),
            attempt.outcome()
        )),
    )
}

fn is_unanswered(attempt: &LastAttempt<'_>) -> bool {
    let tcp = &attempt.back.tcp;
    let given_up = matches!(attempt.front.status(), Some(502..=504));
    !tcp.came_up()
        && tcp.refused.is_none()
        && tcp.icmp.is_empty()
        && attempt.back.half(Role::Server).packets == 0
        && (tcp.syn_retransmissions > 0 || given_up)
        && !attempt.gave_up_at_once()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::neighbours::ServerUse;

    pub(crate) fn example() -> TestSession {
        let page = NGINX_502.replace("502 Bad Gateway", "504 Gateway Time-out");
        session()
            .client_leg(|leg| leg.request(ASKED).after_ms(3000).response(&page).fin(Role::Client))
            .backend_leg(|leg| leg.unanswered_syn(2))
    }

    #[test]
    fn outranks_the_status_and_a_client_that_left() {
        assert_eq!(example().ids(), [RULE.id]);
        let left = session()
            .client_leg(|leg| leg.request(ASKED).after_ms(2000).fin(Role::Client))
            .backend_leg(|leg| leg.unanswered_syn(1));
        assert_eq!(left.cause(), Some(RULE.id));
    }

    #[test]
    fn a_port_that_is_alive_for_others_has_a_full_queue() {
        let server = example().session.legs[1].server;
        let used = ServerUse { connections: 3, failures: 1, http: true, ..ServerUse::default() };
        let session = example().neighbours(|neighbours| _ = neighbours.servers.insert(server, used));
        assert!(session.diagnose().verdict.contains("queue of new ones may be full"));
    }

    #[test]
    fn is_silent_when_the_answer_was_refusal_or_came() {
        let refused = example().backend_leg(|leg| leg.refused());
        assert!(refused.check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
