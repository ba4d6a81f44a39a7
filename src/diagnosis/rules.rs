//! The rules: one file each, in the order of the catalogue.
//!
//! To add one: write its file, name it in the list of modules and in the list below. A rule is asked about every
//! session, and nearly all sessions are well: a check begins with what is cheapest to know, and allocates nothing
//! before it has found something.

pub mod accept_mismatch;
pub mod authentication_required;
pub mod capture_cut;
pub mod capture_loss;
pub mod capture_one_direction;
pub mod certificate_expired;
pub mod certificate_name_mismatch;
pub mod certificate_untrusted;
pub mod client_certificate_required;
pub mod client_gave_up;
pub mod client_rejected_answer;
pub mod close_application_code;
pub mod close_going_away;
pub mod close_handshake_incomplete;
pub mod close_internal_error;
pub mod close_policy_violation;
pub mod close_protocol_error;
pub mod close_service_restart;
pub mod close_try_again_later;
pub mod close_unsupported_data;
pub mod connect_refused;
pub mod connect_timeout;
pub mod connection_header_replaced;
pub mod control_frame_violated;
pub mod corrupt_compressed_message;
pub mod credentials_lost;
pub mod duplicate_packets;
pub mod duplicate_upgrade_header;
pub mod encrypted_no_keys;
pub mod endpoint_not_found;
pub mod engine_io_error;
pub mod extended_connect_unsupported;
pub mod extension_answer_stripped;
pub mod extension_mismatch;
pub mod extension_offer_stripped;
pub mod fin_without_close;
pub mod forbidden;
pub mod forwarded_proto_missing;
pub mod fragmentation_violated;
pub mod handshake_rejected;
pub mod heartbeat_races_timer;
pub mod host_rewritten;
pub mod http_in_tunnel;
pub mod idle_timeout;
pub mod invalid_close_payload;
pub mod invalid_upgrade_response;
pub mod invalid_utf8;
pub mod invalid_websocket_key;
pub mod joined_mid_stream;
pub mod lifetime_cap;
pub mod masked_server_frame;
pub mod mass_close;
pub mod message_too_big;
pub mod middlebox_reset;
pub mod mtu_black_hole;
pub mod no_answer;
pub mod no_keepalive;
pub mod origin_rejected;
pub mod packet_loss;
pub mod path_rewritten;
pub mod peer_vanished;
pub mod ping_unanswered;
pub mod plain_to_tls_port;
pub mod proxy_closed;
pub mod proxy_out_of_connections;
pub mod proxy_protocol_missing;
pub mod proxy_protocol_unexpected;
pub mod query_lost;
pub mod rate_limited;
pub mod reconnect_storm;
pub mod redirected;
pub mod request_header_too_large;
pub mod request_incomplete;
pub mod reserved_bits_set;
pub mod reserved_opcode;
pub mod reset_without_close;
pub mod send_timeout;
pub mod slow_consumer;
pub mod slow_handshake;
pub mod stale_connection_reset;
pub mod static_connection_upgrade;
pub mod sticky_session_missing;
pub mod subprotocol_mismatch;
pub mod tls_handshake_failed;
pub mod tls_name_unrecognized;
pub mod tls_no_shared_cipher;
pub mod tls_to_plain_port;
pub mod tls_version_mismatch;
pub mod truncated_frame;
pub mod unmasked_client_frame;
pub mod unsupported_websocket_version;
pub mod upgrade_headers_stripped;
pub mod upgrade_ignored;
pub mod upstream_connect_timeout;
pub mod upstream_header_too_large;
pub mod upstream_http10;
pub mod upstream_keepalive_race;
pub mod upstream_leg_not_seen;
pub mod upstream_not_dialled;
pub mod upstream_premature_close;
pub mod upstream_refused;
pub mod upstream_response_timeout;
pub mod upstream_retried;
pub mod upstream_unreachable;
pub mod websocket_key_stripped;
pub mod wrong_method;
pub mod wrong_upstream_protocol;

use std::sync::LazyLock;

use crate::diagnosis::scope::Scope;
use crate::diagnosis::{Rule, Stage};

macro_rules! list {
    ($($module:ident)*) => {
        /// All rules, in the order of the catalogue.
        pub static RULES: &[&Rule] = &[$(&$module::RULE),*];

        /// The session that shows a rule's finding best, for each rule.
        #[cfg(test)]
        pub(super) fn examples() -> Vec<(&'static Rule, crate::diagnosis::test_session::TestSession)> {
            vec![$((&$module::RULE, $module::tests::example())),*]
        }
    };
}

list! {
    // The proxy changed the request.
    upgrade_headers_stripped
    connection_header_replaced
    upstream_http10
    static_connection_upgrade
    duplicate_upgrade_header
    websocket_key_stripped
    path_rewritten
    query_lost
    host_rewritten
    forwarded_proto_missing
    credentials_lost
    extension_offer_stripped
    extension_answer_stripped
    // The client's request.
    invalid_websocket_key
    unsupported_websocket_version
    wrong_method
    request_header_too_large
    request_incomplete
    client_gave_up
    // The answer.
    redirected
    upgrade_ignored
    endpoint_not_found
    authentication_required
    origin_rejected
    forbidden
    rate_limited
    handshake_rejected
    sticky_session_missing
    engine_io_error
    invalid_upgrade_response
    accept_mismatch
    subprotocol_mismatch
    extension_mismatch
    client_rejected_answer
    no_answer
    extended_connect_unsupported
    slow_handshake
    // The proxy could not get an answer from its backend.
    upstream_refused
    upstream_connect_timeout
    upstream_unreachable
    upstream_premature_close
    upstream_response_timeout
    upstream_header_too_large
    upstream_not_dialled
    proxy_out_of_connections
    upstream_keepalive_race
    upstream_retried
    wrong_upstream_protocol
    // TLS and listeners.
    plain_to_tls_port
    tls_to_plain_port
    certificate_untrusted
    certificate_expired
    certificate_name_mismatch
    tls_version_mismatch
    tls_no_shared_cipher
    tls_name_unrecognized
    client_certificate_required
    tls_handshake_failed
    proxy_protocol_unexpected
    proxy_protocol_missing
    encrypted_no_keys
    // Connecting.
    connect_refused
    connect_timeout
    // Frames.
    unmasked_client_frame
    masked_server_frame
    reserved_bits_set
    reserved_opcode
    fragmentation_violated
    control_frame_violated
    invalid_utf8
    invalid_close_payload
    corrupt_compressed_message
    message_too_big
    http_in_tunnel
    truncated_frame
    // The end.
    idle_timeout
    lifetime_cap
    send_timeout
    proxy_closed
    mass_close
    fin_without_close
    reset_without_close
    ping_unanswered
    peer_vanished
    stale_connection_reset
    middlebox_reset
    close_handshake_incomplete
    close_going_away
    close_policy_violation
    close_internal_error
    close_service_restart
    close_try_again_later
    close_unsupported_data
    close_protocol_error
    close_application_code
    reconnect_storm
    // Network and capture.
    slow_consumer
    mtu_black_hole
    packet_loss
    heartbeat_races_timer
    no_keepalive
    capture_loss
    capture_one_direction
    capture_cut
    joined_mid_stream
    duplicate_packets
    upstream_leg_not_seen
}

/// The rules of each stage, in the order of decision.
static BY_STAGE: LazyLock<Vec<(Stage, Vec<&'static Rule>)>> = LazyLock::new(|| {
    let mut stages: Vec<(Stage, Vec<&'static Rule>)> = Vec::new();
    let mut rules = RULES.to_vec();
    rules.sort_by_key(|rule| rule.stage);
    for rule in rules {
        match stages.last_mut().filter(|(stage, _)| *stage == rule.stage) {
            Some((_, rules)) => rules.push(rule),
            None => stages.push((rule.stage, vec![rule])),
        }
    }
    stages
});

/// The rules that must be asked about a session.
pub fn within(scope: Scope) -> impl Iterator<Item = &'static Rule> {
    BY_STAGE.iter().filter(move |(stage, _)| scope.has(*stage)).flat_map(|(_, rules)| rules.iter().copied())
}

/// The rule of that id.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id).copied()
}

/// A rule's place in the catalogue.
pub fn position(id: &str) -> usize {
    RULES.iter().position(|rule| rule.id == id).unwrap_or(RULES.len())
}

/// All rules as a Markdown table, for the README.
pub fn markdown_table() -> String {
    let mut table = String::from("| finding | severity | what it says |\n| --- | --- | --- |\n");
    for rule in RULES {
        table.push_str(&format!("| `{}` | {} | {} |\n", rule.id, rule.severity.name(), rule.title.replace('|', "\\|")));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;
    use crate::diagnosis::Evidence;
    use crate::diagnosis::Severity;
    use crate::diagnosis::test_session::{ASKED, TestLeg, healthy, session};
    use crate::stream::Role;

    /// The public ids. They never change: scripts and habits hang on them.
    const CATALOGUE: &[&str] = &[
        // The proxy changed the request.
        "upgrade-headers-stripped",
        "connection-header-replaced",
        "upstream-http10",
        "static-connection-upgrade",
        "duplicate-upgrade-header",
        "websocket-key-stripped",
        "path-rewritten",
        "query-lost",
        "host-rewritten",
        "forwarded-proto-missing",
        "credentials-lost",
        "extension-offer-stripped",
        "extension-answer-stripped",
        // The client's request.
        "invalid-websocket-key",
        "unsupported-websocket-version",
        "wrong-method",
        "request-header-too-large",
        "request-incomplete",
        "client-gave-up",
        // The answer.
        "redirected",
        "upgrade-ignored",
        "endpoint-not-found",
        "authentication-required",
        "origin-rejected",
        "forbidden",
        "rate-limited",
        "handshake-rejected",
        "sticky-session-missing",
        "engine-io-error",
        "invalid-upgrade-response",
        "accept-mismatch",
        "subprotocol-mismatch",
        "extension-mismatch",
        "client-rejected-answer",
        "no-answer",
        "extended-connect-unsupported",
        "slow-handshake",
        // The proxy could not get an answer from its backend.
        "upstream-refused",
        "upstream-connect-timeout",
        "upstream-unreachable",
        "upstream-premature-close",
        "upstream-response-timeout",
        "upstream-header-too-large",
        "upstream-not-dialled",
        "proxy-out-of-connections",
        "upstream-keepalive-race",
        "upstream-retried",
        "wrong-upstream-protocol",
        // TLS and listeners.
        "plain-to-tls-port",
        "tls-to-plain-port",
        "certificate-untrusted",
        "certificate-expired",
        "certificate-name-mismatch",
        "tls-version-mismatch",
        "tls-no-shared-cipher",
        "tls-name-unrecognized",
        "client-certificate-required",
        "tls-handshake-failed",
        "proxy-protocol-unexpected",
        "proxy-protocol-missing",
        "encrypted-no-keys",
        // Connecting.
        "connect-refused",
        "connect-timeout",
        // Frames.
        "unmasked-client-frame",
        "masked-server-frame",
        "reserved-bits-set",
        "reserved-opcode",
        "fragmentation-violated",
        "control-frame-violated",
        "invalid-utf8",
        "invalid-close-payload",
        "corrupt-compressed-message",
        "message-too-big",
        "http-in-tunnel",
        "truncated-frame",
        // The end.
        "idle-timeout",
        "lifetime-cap",
        "send-timeout",
        "proxy-closed",
        "mass-close",
        "fin-without-close",
        "reset-without-close",
        "ping-unanswered",
        "peer-vanished",
        "stale-connection-reset",
        "middlebox-reset",
        "close-handshake-incomplete",
        "close-going-away",
        "close-policy-violation",
        "close-internal-error",
        "close-service-restart",
        "close-try-again-later",
        "close-unsupported-data",
        "close-protocol-error",
        "close-application-code",
        "reconnect-storm",
        // Network and capture.
        "slow-consumer",
        "mtu-black-hole",
        "packet-loss",
        "heartbeat-races-timer",
        "no-keepalive",
        "capture-loss",
        "capture-one-direction",
        "capture-cut",
        "joined-mid-stream",
        "duplicate-packets",
        "upstream-leg-not-seen",
    ];

    /// A rule that never is the cause: it only says what is worth knowing.
    const NEVER_THE_CAUSE: &[&str] = &[
        "static-connection-upgrade",
        "extension-offer-stripped",
        "slow-handshake",
        "upstream-retried",
        "encrypted-no-keys",
        "reconnect-storm",
        "packet-loss",
        "heartbeat-races-timer",
        "no-keepalive",
        "capture-loss",
        "capture-one-direction",
        "capture-cut",
        "joined-mid-stream",
        "duplicate-packets",
        "upstream-leg-not-seen",
    ];

    #[test]
    fn folder_list_and_catalogue_agree() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diagnosis/rules");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().replace('_', "-"))
            .collect();
        let listed: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(files, listed.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>());
        let known: Vec<&str> = CATALOGUE.iter().copied().filter(|id| listed.contains(id)).collect();
        assert_eq!(listed, known, "in the order of the catalogue, and nothing that it does not have");
    }

    #[test]
    fn every_rule_is_written_out() {
        for rule in RULES {
            let texts = [rule.title, rule.explanation, rule.signature, rule.fix, rule.look_alikes, rule.reference];
            assert!(texts.iter().all(|text| !text.trim().is_empty()), "{} lacks a text", rule.id);
            assert!(rule.title.len() <= 72 && !rule.title.ends_with('.'), "{}: {}", rule.id, rule.title);
            assert!(!rule.title.contains('\n') && !rule.signature.contains('\n'), "{}", rule.id);
        }
    }

    #[test]
    fn every_example_is_found_by_its_rule() {
        for (rule, example) in examples() {
            let diagnosis = example.diagnose();
            let ids: Vec<&str> = diagnosis.findings.iter().map(|finding| finding.id).collect();
            assert!(ids.contains(&rule.id), "{} is silent on its own example, found {ids:?}", rule.id);
            if !NEVER_THE_CAUSE.contains(&rule.id) {
                assert_eq!(diagnosis.cause().map(|cause| cause.id), Some(rule.id), "found {ids:?}");
            }
        }
    }

    #[test]
    fn every_finding_shows_packets_and_speaks_plainly() {
        for (rule, example) in examples() {
            let finding = example.finding(rule.id).unwrap();
            let Evidence { detail, packets, verdict, .. } = &finding.evidence;
            assert!(!packets.is_empty(), "{} shows no packet", rule.id);
            assert!(!finding.fix.is_empty() && !detail.is_empty(), "{}", rule.id);
            for text in [Some(detail), verdict.as_ref()].into_iter().flatten() {
                assert!(!text.ends_with('.') && !text.contains("  ") && !text.contains('\n'), "{}: {text:?}", rule.id);
            }
        }
    }

    /// What is spared for speed must have had nothing to say.
    #[test]
    fn no_rule_is_spared_that_would_have_spoken() {
        for (_, example) in examples() {
            let scope = Scope::of(&example.session);
            let spared = RULES.iter().filter(|rule| !scope.has(rule.stage));
            let speaking: Vec<&str> = spared.filter(|rule| example.check(rule).is_some()).map(|rule| rule.id).collect();
            assert!(speaking.is_empty(), "{speaking:?}");
        }
    }

    /// The examples of its own stage are what a rule is most easily taken for: it is silent on some of them, and on all
    /// that is well.
    #[test]
    fn rules_are_silent_on_what_looks_alike() {
        let examples = examples();
        for rule in RULES {
            let alike: Vec<_> =
                examples.iter().filter(|(other, _)| other.stage == rule.stage && other.id != rule.id).collect();
            let silent = alike.iter().filter(|(_, example)| example.check(rule).is_none()).count();
            assert!(silent > 0 || alike.is_empty(), "{} speaks on every example of its stage", rule.id);
            assert!(healthy().check(rule).is_none(), "{} speaks of a healthy session", rule.id);
        }
    }

    #[test]
    fn a_healthy_session_has_no_findings() {
        assert_eq!(healthy().ids(), [""; 0]);
        assert_eq!(healthy().diagnose().verdict, "closed normally by the client after 3.3 s, 12 messages each way");
    }

    #[test]
    fn what_the_capture_cut_off_was_not_left_out() {
        let cut = |leg: TestLeg| {
            let leg = leg.request("GET /ws HTTP/1.1\nUpgrade: websocket\n\n").response("HTTP/1.1 101 x\n\n").open();
            leg.messages(Role::Client, 1).fin(Role::Client).with(|leg| {
                leg.request.as_mut().unwrap().cut = true;
                leg.response.as_mut().unwrap().cut = true;
            })
        };
        let session = session().client_leg(|leg| leg.request(ASKED)).client_leg(cut).backend_leg(cut);
        let about_the_handshake = |id: &&str| find(id).unwrap().stage < Stage::Frames;
        assert_eq!(session.ids().into_iter().find(about_the_handshake), None);
    }

    #[test]
    fn the_readme_table_has_every_rule() {
        assert_eq!(markdown_table().lines().count(), RULES.len() + 2);
        assert!(RULES.iter().any(|rule| rule.severity == Severity::Note));
    }

    /// All verdicts and fixes, to be read by a person.
    #[test]
    fn verdicts() {
        let mut text = String::new();
        for (rule, example) in examples() {
            let diagnosis = example.diagnose();
            let finding = example.finding(rule.id).unwrap();
            let confidence = finding.evidence.confidence.name();
            writeln!(text, "## {} ({}, {confidence})", rule.id, finding.severity.name()).unwrap();
            writeln!(text, "verdict: {}", diagnosis.verdict).unwrap();
            writeln!(text, "detail:  {}", finding.evidence.detail).unwrap();
            writeln!(text, "fix:     {}", finding.fix.replace('\n', "\n         ")).unwrap();
            let others: Vec<&str> =
                diagnosis.findings.iter().map(|other| other.id).filter(|id| *id != rule.id).collect();
            if !others.is_empty() {
                writeln!(text, "also:    {}", others.join(", ")).unwrap();
            }
            text.push('\n');
        }
        insta::assert_snapshot!(text);
    }
}
