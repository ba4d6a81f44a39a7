//! Nobody answers where the client knocks.

use crate::diagnosis::parties;
use crate::diagnosis::wording::{Count, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;
use crate::stream::Role;

/// `connect-timeout`.
pub const RULE: Rule = Rule {
    id: "connect-timeout",
    severity: Severity::Error,
    stage: Stage::Connect,
    title: "The connection attempt was not answered",
    explanation: "The SYN went out again and again, and nothing came back: a firewall or security group drops it, the host \
        is down, the address is wrong, or the server's queue of new connections is full.",
    signature: "SYN retransmitted, no SYN-ACK, no RST, no ICMP error",
    fix: "Check the address, and the firewalls and security groups on the way; on the server, that something listens \
        (ss -ltn) and that its queue is not full (nstat -az TcpExtListenOverflows).",
    look_alikes: "An RST in answer is connect-refused. In a capture of one direction an answer cannot be seen: then this \
        finding is not made.",
    reference: "RFC 9293 §3.8.3",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let leg = facts.session.first_leg();
    let tcp = &leg.tcp;
    let syn = tcp.syn?;
    let silent = !tcp.came_up() && tcp.refused.is_none() && tcp.icmp.is_empty() && leg.half(Role::Server).packets == 0;
    if !silent || tcp.syn_retransmissions == 0 || leg.half(Role::Client).bytes > 0 {
        return None;
    }
    let server = leg.server;
    let again = Count(u64::from(tcp.syn_retransmissions), "retransmission");
    let waited = Span(tcp.last.at.since(syn.at));
    let use_of_it = facts.neighbours.servers.get(&server).filter(|used| used.connections > 0);
    let alive = if use_of_it.is_some() { "; the port answers others, so its queue may be full" } else { "" };
    let client = parties::client_of(facts.session, 0)?;
    Some(
        Evidence::on(0, format!("no answer to the SYN in {waited}, {again}{alive}"))
            .packet(syn, "the first SYN")
            .confidence(Confidence::High)
            .verdict(format!("{client} got no answer from {server} to its SYN in {waited} ({again}){alive}")),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::session::neighbours::ServerUse;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| leg.unanswered_syn(3))
    }

    #[test]
    fn says_when_the_port_answers_others() {
        let server = example().session.legs[0].server;
        let used = ServerUse { connections: 2, failures: 1, http: true, ..ServerUse::default() };
        let session = example().neighbours(|neighbours| _ = neighbours.servers.insert(server, used));
        assert!(session.diagnose().verdict.ends_with("its queue may be full"));
    }

    #[test]
    fn is_silent_while_one_syn_waits_and_where_one_direction_is_seen() {
        assert!(session().client_leg(|leg| leg.unanswered_syn(0)).check(&RULE).is_none());
        let one_way = example().client_leg(|leg| leg.request(ASKED));
        assert!(one_way.check(&RULE).is_none(), "the client would not send a request to nobody");
        assert!(healthy().check(&RULE).is_none());
    }

    #[test]
    fn is_no_finding_about_a_refusal() {
        assert!(session().client_leg(|leg| leg.refused()).check(&RULE).is_none());
    }
}
