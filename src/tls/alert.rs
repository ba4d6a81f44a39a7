//! The descriptions of alerts (RFC 8446 §6, RFC 5246 §7.2, RFC 7301 §3.2, RFC 4279 §6).

/// close_notify: the sender sends nothing more.
pub const CLOSE_NOTIFY: u8 = 0;

/// The name of an alert's description, as the RFC spells it.
pub const fn name(description: u8) -> Option<&'static str> {
    Some(match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => return None,
    })
}

/// What an alert means for the person who has to repair it.
pub const fn meaning(description: u8) -> Option<&'static str> {
    Some(match description {
        0 => "the sender closed TLS in order",
        20 | 21 | 51 => "a record or a signature did not verify: broken in transit, or a fault of one side",
        40 => "the two sides have no parameters in common: cipher suites, groups, signature algorithms",
        42 => "the certificate is damaged, or its signature or name does not fit",
        43 => "the certificate is of a kind that the receiver does not support",
        44 => "the certificate was revoked by its authority",
        45 => "the certificate has expired or is not valid yet",
        46 => "the certificate was not accepted, for a reason of the receiver's own",
        48 => "the certificate's authority is not known to the receiver, or the chain is incomplete",
        49 => "the certificate is valid, access was denied all the same",
        70 => "the protocol version that the client offered is not supported",
        71 => "the server demands stronger cipher suites than the client offered",
        80 => "the sender failed for a reason of its own",
        86 => "the client tried again with a lower version than the server supports",
        90 => "the handshake was cancelled",
        112 => "the server has no site of the name that the client asked for",
        116 => "the server demands a client certificate",
        120 => "the two sides have no application protocol in common (ALPN)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_has_a_name() {
        for description in 0..=255 {
            assert!(meaning(description).is_none() || name(description).is_some(), "{description}");
        }
        assert_eq!(name(48), Some("unknown_ca"));
        assert_eq!(name(1), None);
    }
}
