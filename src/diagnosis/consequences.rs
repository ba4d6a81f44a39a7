//! Each finding where it is not the cause: tests only.
//!
//! A finding that explains a session in one capture is a consequence, or beside the point, in another. Every rule is shown
//! so: by the story of another rule's cause, by a story here, or by a reason why nothing comes before it.

mod stories;

use std::collections::BTreeSet;

use crate::diagnosis::Rule;
use crate::diagnosis::consequences::stories::*;
use crate::diagnosis::rules::{RULES, examples, find};
use crate::diagnosis::test_session::*;
use crate::session::Leg;
use crate::session::leg::FirstBytes;
use crate::stream::Role;
use crate::ws::facts::{Violation, ViolationKind};

/// A finding, the cause beside which it is made, and how that comes.
type Story = (&'static str, &'static str, fn() -> TestSession);

const STORIES: &[Story] = &[
    // The request never got to one who reads it.
    ("connection-header-replaced", "plain-to-tls-port", || to_tls_port(&closed())),
    ("upstream-http10", "plain-to-tls-port", || to_tls_port(&FORWARDED.replace("HTTP/1.1", "HTTP/1.0"))),
    ("wrong-method", "plain-to-tls-port", || answered(HTTPS_PORT).client_leg(|leg| leg.request(&head_of(ASKED)))),
    ("request-incomplete", "proxy-protocol-missing", cut_off_by_a_server_that_wants_a_proxy_header),
    ("proxy-out-of-connections", "proxy-protocol-missing", reset_by_a_server_that_wants_a_proxy_header),
    ("plain-to-tls-port", "proxy-protocol-missing", plain_where_others_send_a_proxy_header_and_tls),
    ("tls-to-plain-port", "proxy-protocol-unexpected", tls_behind_a_proxy_header),
    ("client-gave-up", "upstream-connect-timeout", left_while_the_proxy_was_connecting),
    // The proxy went on to another backend, and what came of that is what its client got.
    ("proxy-protocol-unexpected", "upstream-refused", || then_refused(|leg| hung_up(leg.proxy_header(1)))),
    ("proxy-protocol-missing", "upstream-refused", || others_send_a_proxy_header(then_refused(hung_up), 1)),
    ("certificate-untrusted", "upstream-refused", || then_refused(|leg| certificate(leg, 48))),
    ("certificate-expired", "upstream-refused", || then_refused(|leg| certificate(leg, 45))),
    ("certificate-name-mismatch", "endpoint-not-found", || then_not_found(|leg| certificate(leg, 46))),
    ("tls-version-mismatch", "upstream-refused", || then_refused(|leg| sent_away(leg, 70))),
    ("tls-no-shared-cipher", "endpoint-not-found", || then_not_found(|leg| sent_away(leg, 40))),
    ("tls-name-unrecognized", "upstream-refused", || then_refused(|leg| sent_away(leg, 112))),
    ("client-certificate-required", "endpoint-not-found", || then_not_found(|leg| sent_away(leg, 116))),
    // The request was wrong from the start.
    ("upgrade-headers-stripped", "wrong-method", a_proxy_that_passes_no_upgrade_of_a_head),
    ("unsupported-websocket-version", "invalid-websocket-key", two_mistakes_by_hand),
    // What a proxy made of the request.
    ("invalid-websocket-key", "upgrade-headers-stripped", a_key_that_nobody_looked_at),
    ("duplicate-upgrade-header", "connection-header-replaced", || {
        refused_as(&with_field(&closed(), "Upgrade: websocket"))
    }),
    ("websocket-key-stripped", "connection-header-replaced", || {
        refused_as(&replaced(&closed(), "Sec-WebSocket-Key", ""))
    }),
    ("upgrade-ignored", "upgrade-headers-stripped", a_page_in_place_of_an_error),
    ("upstream-premature-close", "upgrade-headers-stripped", || stripped(|leg| leg.after_ms(3).fin(Role::Server))),
    ("upstream-response-timeout", "upgrade-headers-stripped", || {
        stripped(|leg| leg.after_ms(60_000).fin(Role::Client))
    }),
    ("upstream-header-too-large", "upgrade-headers-stripped", || stripped(|leg| leg.response(&large_page()))),
    ("upstream-keepalive-race", "upgrade-headers-stripped", || stripped(|leg| used(leg).fin(Role::Server))),
    ("wrong-upstream-protocol", "upgrade-headers-stripped", || {
        stripped(|leg| used(leg).odd_answer(FirstBytes::Text, "hello"))
    }),
    ("upstream-not-dialled", "upgrade-headers-stripped", || {
        answered(NGINX_502).client_leg(|leg| leg.request(STRIPPED))
    }),
    // What was answered, and when.
    ("invalid-upgrade-response", "client-gave-up", || too_late(&replaced(SWITCHED, "Upgrade", ""))),
    ("extension-answer-stripped", "invalid-upgrade-response", an_answer_without_upgrade_and_extension),
    ("accept-mismatch", "invalid-upgrade-response", || copied(&replaced(&copied_101(), "Upgrade", ""))),
    ("subprotocol-mismatch", "accept-mismatch", || copied(&with_field(&copied_101(), "Sec-WebSocket-Protocol: chat"))),
    ("extension-mismatch", "accept-mismatch", || copied(&with_field(&copied_101(), DEFLATE))),
    ("client-rejected-answer", "extension-answer-stripped", a_client_that_insists_on_compression),
    // Frames, and the end.
    ("reserved-bits-set", "extension-answer-stripped", compressed_frames_that_the_client_did_not_agree_to),
    ("reserved-opcode", "unmasked-client-frame", frames_that_are_read_askew),
    ("slow-consumer", "send-timeout", a_proxy_that_waited_for_a_slow_reader),
];

/// Findings that are no consequence of anything, and why.
const NOTHING_COMES_BEFORE: &[(&str, &str)] = &[
    (
        "connect-refused",
        "the client's own connection did not come up: there is no leg on which anything happened before",
    ),
    (
        "connect-timeout",
        "the client's own connection did not come up: there is no leg on which anything happened before",
    ),
    (
        "extended-connect-unsupported",
        "it is not said of a proxy that asked on, and whom nobody asked on has judged the CONNECT alone",
    ),
    ("request-header-too-large", "a server whose buffer is full says so before it looks at what the head says"),
    ("upstream-refused", "nobody read the request, so nothing that is wrong in it has had an effect"),
    ("upstream-connect-timeout", "nobody read the request, so nothing that is wrong in it has had an effect"),
    ("upstream-unreachable", "nobody read the request, so nothing that is wrong in it has had an effect"),
];

#[test]
fn every_rule_is_seen_as_a_consequence_or_says_why_not() {
    let told: BTreeSet<&str> = STORIES.iter().map(|(id, ..)| *id).collect();
    let first: BTreeSet<&str> = NOTHING_COMES_BEFORE.iter().map(|(id, _)| *id).collect();
    let seen = seen_beside_the_causes_of_others();
    for Rule { id, .. } in RULES {
        let shown = told.contains(id) || seen.contains(id);
        assert!(
            shown || first.contains(id),
            "{id} is nowhere shown as a consequence: tell a story, or why there is none"
        );
        assert!(!(shown && first.contains(id)), "something does come before {id}");
    }
    for id in told.union(&first) {
        assert!(find(id).is_some(), "{id} is no rule");
    }
}

#[test]
fn stories() {
    for (id, cause, tell) in STORIES {
        let session = tell();
        let ids = session.ids();
        assert!(session.check(find(id).unwrap()).is_some(), "{id} is silent beside {cause}, found {ids:?}");
        assert_eq!(session.cause(), Some(*cause), "{id}: found {ids:?}");
    }
}

#[test]
fn no_story_has_one_of_the_first_behind_its_cause() {
    for (id, _, tell) in STORIES {
        let session = tell();
        for (first, _) in NOTHING_COMES_BEFORE {
            let behind = follows(find(first).unwrap(), &session);
            assert!(!behind, "{first} is a consequence in the story of {id}");
        }
    }
}

fn follows(rule: &Rule, session: &TestSession) -> bool {
    session.check(rule).is_some() && session.cause() != Some(rule.id)
}

/// Rules that speak, and are not the cause: beside the causes of other examples, behind a frame that broke the protocol,
/// behind a proxy that stripped the request.
fn seen_beside_the_causes_of_others() -> BTreeSet<&'static str> {
    let examples = examples();
    let seen = examples.iter().filter(|(rule, example)| {
        let beside = examples.iter().any(|(other, example)| other.id != rule.id && follows(rule, example));
        let stripped = || example.session.first_leg().tcp.came_up().then(|| behind_a_stripped_request(example));
        beside || follows(rule, &behind_a_bad_frame(example)) || stripped().is_some_and(|story| follows(rule, &story))
    });
    seen.map(|(rule, _)| rule.id).collect()
}

/// The same session, and its client's first frame had a reserved opcode.
fn behind_a_bad_frame(example: &TestSession) -> TestSession {
    let mut session = example.clone();
    for leg in &mut session.session.legs {
        if let Some(tunnel) = &mut leg.tunnel {
            let violation = Violation { kind: ViolationKind::ReservedOpcode(3), moment: tunnel.opened };
            tunnel.sides.client.violations.insert(0, violation);
        }
    }
    session
}

/// The same session behind a proxy that did not pass Upgrade on.
fn behind_a_stripped_request(example: &TestSession) -> TestSession {
    let first = example.session.first_leg().clone();
    let session = session().client_leg(|leg| leg.request(ASKED)).backend_leg(|leg| leg.request(STRIPPED));
    let mut session = session.outcome(example.session.outcome);
    session.neighbours = example.neighbours.clone();
    for (index, leg) in session.session.legs.iter_mut().enumerate() {
        let (request, behind, client, server) = (leg.request.take(), leg.behind, leg.client, leg.server);
        *leg = Leg { behind, client, server, role: leg.role, joined_by: leg.joined_by, ..first.clone() };
        if index > 0 || leg.request.is_none() {
            leg.request = request;
        }
    }
    session
}
