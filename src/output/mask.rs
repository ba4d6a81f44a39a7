//! Secrets in what is shown: names stay, values give way to their length, `[masked:36]`.
//!
//! Credentials travel in a handshake in four ways: fields (Authorization, Cookie), query parameters (`?token=`), subprotocols
//! (`bearer, eyJ...`), and messages. The session ids of engine.io (`sid`) and SignalR (`id`) stay readable: they are
//! what a missing sticky session is recognised by.

use std::borrow::Cow;

use crate::output::phrase::push_number;

/// Whether secrets are masked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mask {
    /// They are.
    Secrets,
    /// They are shown.
    Nothing,
}

impl Mask {
    /// The value of a header field.
    pub fn field<'a>(self, name: &str, value: &'a str) -> Cow<'a, str> {
        if self == Mask::Nothing {
            return Cow::Borrowed(value);
        }
        let lower = Lowered::new(name);
        match lower.as_str() {
            "authorization" | "proxy-authorization" => Cow::Owned(credentials(value)),
            "cookie" => Cow::Owned(cookies(value)),
            "set-cookie" => Cow::Owned(set_cookie(value)),
            "sec-websocket-protocol" => subprotocols(value),
            name if is_secret_field(name) => Cow::Owned(masked(value)),
            _ => text(value),
        }
    }

    /// One subprotocol, as offered or selected. `before` is the one before it in the offer: in `bearer, eyJ...` the
    /// second is the token.
    pub fn subprotocol<'a>(self, before: Option<&str>, subprotocol: &'a str) -> Cow<'a, str> {
        match self {
            Mask::Secrets => mask_subprotocol(before, subprotocol),
            Mask::Nothing => Cow::Borrowed(subprotocol),
        }
    }

    /// A sentence that may quote the wire.
    pub fn sentence(self, sentence: Cow<'_, str>) -> Cow<'_, str> {
        match sentence {
            Cow::Borrowed(sentence) => self.text(sentence),
            Cow::Owned(sentence) => Cow::Owned(self.text(&sentence).into_owned()),
        }
    }

    /// A request target, or any text that may quote one: details, verdicts, bodies, messages.
    pub fn text(self, wire: &str) -> Cow<'_, str> {
        match self {
            Mask::Secrets => text(wire),
            Mask::Nothing => Cow::Borrowed(wire),
        }
    }

    /// The same in `room`, where something is masked: for those who show one text after the other.
    pub fn text_in<'a>(self, room: &'a mut String, wire: &'a str) -> &'a str {
        room.clear();
        if self == Mask::Secrets && mask_text(room, wire) { room } else { wire }
    }
}

/// What stands in place of a secret.
fn masked(secret: &str) -> String {
    let mut out = String::new();
    push_masked(&mut out, secret);
    out
}

fn push_masked(out: &mut String, secret: &str) {
    if !secret.is_empty() {
        out.push_str("[masked:");
        push_number(out, secret.len() as u64);
        out.push(']');
    }
}

/// `Bearer eyJ...` (RFC 9110 §11.4): the scheme stays.
fn credentials(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, secret)) => format!("{scheme} {}", masked(secret.trim_start())),
        None => masked(value),
    }
}

/// `name=value; name=value` (RFC 6265 §4.2.1): the names stay.
fn cookies(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for (index, pair) in value.split(';').enumerate() {
        out.push_str(if index > 0 { "; " } else { "" });
        match pair.trim().split_once('=') {
            Some((name, secret)) => {
                out.push_str(name);
                out.push('=');
                push_masked(&mut out, secret);
            }
            None => push_masked(&mut out, pair.trim()),
        }
    }
    out
}

/// `name=value; Path=/; HttpOnly` (RFC 6265 §4.1.1): the name and the attributes stay.
fn set_cookie(value: &str) -> String {
    let (pair, attributes) = value.split_at(value.find(';').unwrap_or(value.len()));
    cookies(pair) + attributes
}

fn subprotocols(value: &str) -> Cow<'_, str> {
    let (mut out, mut before, mut changed) = (String::with_capacity(value.len()), None, false);
    for (index, element) in value.split(',').map(str::trim).enumerate() {
        let shown = mask_subprotocol(before, element);
        changed |= matches!(shown, Cow::Owned(_));
        out.push_str(if index > 0 { ", " } else { "" });
        out.push_str(&shown);
        before = Some(element);
    }
    if changed { Cow::Owned(out) } else { Cow::Borrowed(value) }
}

/// Words that announce a token as the next subprotocol, or as the rest of this one.
const TOKEN_PREFIXES: [&str; 8] =
    ["bearer", "access_token", "accesstoken", "token", "jwt", "authorization", "auth", "apikey"];

fn mask_subprotocol<'a>(before: Option<&str>, subprotocol: &'a str) -> Cow<'a, str> {
    let announced =
        before.is_some_and(|before| TOKEN_PREFIXES.iter().any(|prefix| before.eq_ignore_ascii_case(prefix)));
    if announced && subprotocol.len() >= 8 {
        return Cow::Owned(masked(subprotocol));
    }
    // `base64url.bearer.authorization.k8s.io.TOKEN`, `Bearer-TOKEN`
    let mut tokens = subprotocol.match_indices(['.', '-', '_', ':']).map(|(at, _)| at).filter(|&at| {
        let head = &subprotocol[..at];
        let word = head.rsplit(['.', '-', '_', ':']).next().unwrap_or(head);
        let announced = TOKEN_PREFIXES.iter().any(|prefix| word.eq_ignore_ascii_case(prefix))
            || head.ends_with("bearer.authorization.k8s.io");
        announced && looks_random(&subprotocol[at + 1..])
    });
    if let Some(at) = tokens.next_back() {
        return Cow::Owned(format!("{}{}", &subprotocol[..=at], masked(&subprotocol[at + 1..])));
    }
    // `header-eyJ...`
    if let Some(at) = subprotocol.find("eyJ").filter(|&at| subprotocol.len() - at >= JWT_LENGTH) {
        return Cow::Owned(format!("{}{}", &subprotocol[..at], masked(&subprotocol[at..])));
    }
    if subprotocol.len() >= 20 && looks_random(subprotocol) {
        return Cow::Owned(masked(subprotocol));
    }
    Cow::Borrowed(subprotocol)
}

/// Whether it has the mixture that words do not have: eight characters at least, digits and letters of both cases or
/// hexadecimal digits.
fn looks_random(text: &str) -> bool {
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    let lower = text.bytes().any(|byte| byte.is_ascii_lowercase());
    let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    text.len() >= 8 && (digits && upper && lower || digits && hexadecimal || upper && lower && text.len() >= 24)
}

/// A JSON Web Token is not shorter than this.
const JWT_LENGTH: usize = 20;

fn text(wire: &str) -> Cow<'_, str> {
    let mut out = String::new();
    if mask_text(&mut out, wire) { Cow::Owned(out) } else { Cow::Borrowed(wire) }
}

/// Masks what is recognised in free text: query parameters, credentials with their scheme, JSON Web Tokens, members of
/// JSON, passwords in URLs. Appends nothing and returns false where nothing is.
fn mask_text(out: &mut String, wire: &str) -> bool {
    let bytes = wire.as_bytes();
    let (mut copied, mut at) = (0, 0);
    while let Some(next) = next_that_may_tell(bytes, at) {
        at = next;
        let secret = match bytes[at] {
            b'?' | b'&' => query_parameter(wire, at + 1),
            b'J' if bytes[..at].ends_with(b"ey") => json_web_token(wire, at - 2),
            b'B' | b'b' => scheme_credentials(wire, at),
            b':' if bytes[at..].starts_with(b"://") => url_password(wire, at + 3),
            b':' => json_member(wire, at).or_else(|| quoted_field(wire, at)),
            _ => None,
        };
        match secret.filter(|&(start, _)| start >= copied) {
            Some((start, end)) if end > start => {
                out.push_str(&wire[copied..start]);
                push_masked(out, &wire[start..end]);
                (copied, at) = (end, end);
            }
            _ => at += 1,
        }
    }
    if copied > 0 {
        out.push_str(&wire[copied..]);
    }
    copied > 0
}

/// Where the next byte is by which something is recognised that holds a secret.
fn next_that_may_tell(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Without branches, so that all of these are compared at once.
    let may_tell =
        |byte: u8| (byte == b'?') | (byte == b'&') | (byte == b'J') | (byte == b'B') | (byte == b'b') | (byte == b':');
    while let Some(next) = bytes[at..].first_chunk::<16>()
        && !next.iter().fold(false, |any, &byte| any | may_tell(byte))
    {
        at += next.len();
    }
    bytes[at..].iter().position(|&byte| may_tell(byte)).map(|skipped| at + skipped)
}

/// Where a secret begins and ends in its text.
type Span = (usize, usize);

/// The end of the run of bytes that satisfy `within`, from `start`.
fn run(wire: &str, start: usize, within: impl Fn(u8) -> bool) -> usize {
    wire.as_bytes()[start..].iter().position(|&byte| !within(byte)).map_or(wire.len(), |length| start + length)
}

/// `name=value` behind `?` or `&`.
fn query_parameter(wire: &str, start: usize) -> Option<Span> {
    let equals = run(wire, start, |byte| byte.is_ascii_alphanumeric() || b"_-.[]%~".contains(&byte));
    if wire.as_bytes().get(equals) != Some(&b'=') || !is_secret_parameter(&wire[start..equals]) {
        return None;
    }
    let end = run(wire, equals + 1, |byte| byte > b' ' && !b"&#\"'<>`\\".contains(&byte));
    Some((equals + 1, end))
}

/// `"name":"value"`; `colon` is where its colon stands.
fn json_member(wire: &str, colon: usize) -> Option<Span> {
    let bytes = wire.as_bytes();
    let opening = run(wire, colon + 1, |byte| byte == b' ');
    if bytes.get(opening) != Some(&b'"') {
        return None;
    }
    let name_end = bytes[..colon].iter().rposition(|&byte| byte != b' ').filter(|&closing| bytes[closing] == b'"')?;
    let name_start = bytes[..name_end].iter().rposition(|&byte| !is_name(byte)).map_or(0, |before| before + 1);
    if !is_secret_name(&wire[name_start..name_end]) {
        return None;
    }
    let mut end = opening + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    let mut end = end.min(bytes.len());
    while !wire.is_char_boundary(end) {
        end += 1;
    }
    Some((opening + 1, end))
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// `eyJ...`: the base64 of `{"`.
fn json_web_token(wire: &str, start: usize) -> Option<Span> {
    let within = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=+/".contains(&byte);
    let begins = start == 0 || !wire.as_bytes()[start - 1].is_ascii_alphanumeric();
    let end = run(wire, start, within);
    (begins && end - start >= JWT_LENGTH).then_some((start, end))
}

/// `Bearer TOKEN`, `Basic TOKEN` (RFC 9110 §11.4), but not the challenge `Bearer realm="x"`.
fn scheme_credentials(wire: &str, at: usize) -> Option<Span> {
    let start = ["bearer ", "basic "].iter().find_map(|scheme| {
        let head = wire.as_bytes().get(at..at + scheme.len())?;
        head.eq_ignore_ascii_case(scheme.as_bytes()).then_some(at + scheme.len())
    })?;
    let end = run(wire, start, |byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    let token = &wire[start..end];
    let mixed = token.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    (token.len() >= 6 && mixed && wire.as_bytes().get(end) != Some(&b'"')).then_some((start, end))
}

/// The password of `scheme://user:password@host`.
fn url_password(wire: &str, start: usize) -> Option<Span> {
    let end = run(wire, start, |byte| byte > b' ' && !b"/?#\"'<>".contains(&byte));
    let at = start + wire[start..end].rfind('@')?;
    let colon = start + wire[start..at].find(':')?;
    Some((colon + 1, at))
}

/// `Cookie: a=b` in the middle of a sentence; `colon` is where its colon stands.
fn quoted_field(wire: &str, colon: usize) -> Option<Span> {
    if wire.as_bytes().get(colon + 1) != Some(&b' ') {
        return None;
    }
    let name_start = wire[..colon].bytes().rposition(|byte| !is_name(byte)).map_or(0, |before| before + 1);
    let name = Lowered::new(&wire[name_start..colon]);
    let quoted = matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie" | "set-cookie")
        || name.as_str().starts_with("x-") && is_secret_field(name.as_str());
    let start = colon + 2;
    let length = ["\n", "\r", "  ", ", "].iter().filter_map(|stop| wire[start..].find(stop)).min();
    quoted.then_some((start, length.map_or(wire.len(), |length| start + length)))
}

/// Whether a field of that name, in lower case, carries a secret.
fn is_secret_field(name: &str) -> bool {
    // The keys of the handshake are no secrets (RFC 6455 §10.7), and neither are challenges (RFC 9110 §11.6).
    !name.starts_with("sec-websocket-")
        && !name.starts_with("access-control-")
        && !name.contains("authenticat")
        && is_secret_parameter(name)
}

/// Whether a query parameter of that name carries a secret.
fn is_secret_parameter(name: &str) -> bool {
    is_secret_name(name) || has_word(name, &["key", "code"])
}

/// Whether a thing of that name is a secret wherever it stands.
fn is_secret_name(name: &str) -> bool {
    const AS_WORD: [&str; 8] = ["sig", "pwd", "pass", "sess", "hmac", "otp", "csrf", "xsrf"];
    name.as_bytes().windows(2).enumerate().any(|(at, two)| is_secret_at(two, &name.as_bytes()[at..]))
        || has_word(name, &AS_WORD)
}

/// Whether a name has a word for a secret right here; `two` are the first bytes of the rest.
fn is_secret_at(two: &[u8], rest: &[u8]) -> bool {
    let begins = |word: &str| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    // In lower case, if they are letters.
    match [two[0] | 0x20, two[1] | 0x20] {
        [b'a', b'p'] => begins("apikey"),
        [b'a', b's'] => begins("assertion"),
        // An author is none, and neither is an authority.
        [b'a', b'u'] => begins("auth") && (!begins("author") || begins("authori")) && !begins("authority"),
        [b'c', b'r'] => begins("credential"),
        [b'j', b'w'] => begins("jwt"),
        [b'p', b'a'] => begins("passw"),
        [b's', b'e'] => begins("secret") || begins("session") || begins("sessid"),
        [b's', b'i'] => begins("signature"),
        [b't', b'i'] => begins("ticket"),
        [b't', b'o'] => begins("token"),
        _ => false,
    }
}

/// Whether a word of `snake_case`, `kebab-case`, `camelCase` or `list[index]` is one of these.
fn has_word(name: &str, words: &[&str]) -> bool {
    let bytes = name.as_bytes();
    let is_word =
        |word: &[u8]| words.iter().any(|one| one.len() == word.len() && word.eq_ignore_ascii_case(one.as_bytes()));
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let between = !byte.is_ascii_alphanumeric();
        let hump = at > start && byte.is_ascii_uppercase() && bytes[at - 1].is_ascii_lowercase();
        if between || hump {
            if is_word(&bytes[start..at]) {
                return true;
            }
            start = at + usize::from(between);
        }
    }
    is_word(&bytes[start..])
}

/// A name in lower case, its first 64 bytes, without an allocation.
struct Lowered {
    bytes: [u8; 64],
    length: usize,
}

impl Lowered {
    fn new(name: &str) -> Lowered {
        let mut bytes = [0; 64];
        let length = name.len().min(bytes.len());
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            // Names are ASCII; what is not cannot be one of ours.
            *to = if from.is_ascii() { from.to_ascii_lowercase() } else { b'?' };
        }
        Lowered { bytes, length }
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

    #[test]
    fn fields() {
        let cases = [
            ("Authorization", "Bearer abcDEF123", "Bearer [masked:9]"),
            ("proxy-authorization", "Basic dXNlcjpwYXNz", "Basic [masked:12]"),
            ("Authorization", "raw-token", "[masked:9]"),
            ("Cookie", "sid=s%3Aabc; theme=dark", "sid=[masked:7]; theme=[masked:4]"),
            ("Set-Cookie", "io=Hx1; Path=/; HttpOnly", "io=[masked:3]; Path=/; HttpOnly"),
            ("X-Api-Key", "k-123", "[masked:5]"),
            ("X-Auth-Token", "abc", "[masked:3]"),
            ("X-Amz-Security-Token", "abc", "[masked:3]"),
            ("Cf-Access-Jwt-Assertion", "abc", "[masked:3]"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("WWW-Authenticate", "Bearer realm=\"api\"", "Bearer realm=\"api\""),
            ("Access-Control-Allow-Credentials", "true", "true"),
            (":authority", "example.com", "example.com"),
            ("Referer", "https://a.example/?access_token=123&x=1", "https://a.example/?access_token=[masked:3]&x=1"),
            ("X-Request-Id", "2f1c", "2f1c"),
            ("Host", "app.example:8080", "app.example:8080"),
        ];
        for (name, value, shown) in cases {
            assert_eq!(Mask::Secrets.field(name, value), shown, "{name}");
            assert_eq!(Mask::Nothing.field(name, value), value);
        }
    }

    #[test]
    fn subprotocols_that_carry_tokens() {
        let field = |value: &str| Mask::Secrets.field("Sec-WebSocket-Protocol", value).into_owned();
        assert_eq!(field("graphql-transport-ws, graphql-ws"), "graphql-transport-ws, graphql-ws");
        assert_eq!(field("v12.stomp, v11.stomp"), "v12.stomp, v11.stomp");
        assert_eq!(
            field("actioncable-v1-json, actioncable-unsupported"),
            "actioncable-v1-json, actioncable-unsupported"
        );
        assert_eq!(field("mqtt"), "mqtt");
        assert_eq!(field("v4.channel.k8s.io"), "v4.channel.k8s.io");
        assert_eq!(field(&format!("bearer, {JWT}")), format!("bearer, [masked:{}]", JWT.len()));
        assert_eq!(field("access_token, 0123456789abcdef"), "access_token, [masked:16]");
        assert_eq!(
            field("base64url.bearer.authorization.k8s.io.ZXlKaGJHYzE2, v4.channel.k8s.io"),
            "base64url.bearer.authorization.k8s.io.[masked:12], v4.channel.k8s.io"
        );
        assert_eq!(field("graphql-ws, header-eyJob3N0IjoiYS5leGFtcGxlIn0"), "graphql-ws, header-[masked:27]");
        assert_eq!(field("chat, Ab3dEf6hIj9kLm2nOp5q"), "chat, [masked:20]");
    }

    #[test]
    fn targets() {
        let cases = [
            ("/ws?token=abc&EIO=4", "/ws?token=[masked:3]&EIO=4"),
            (
                "/socket.io/?EIO=4&transport=websocket&sid=lv_VI97HAXpY6yYWAAAC",
                "/socket.io/?EIO=4&transport=websocket&sid=lv_VI97HAXpY6yYWAAAC",
            ),
            ("/hub?id=9-2fKq&access_token=xyz", "/hub?id=9-2fKq&access_token=[masked:3]"),
            (
                "/s?X-Amz-Signature=ff00&X-Amz-Credential=AKIA%2F1",
                "/s?X-Amz-Signature=[masked:4]&X-Amz-Credential=[masked:8]",
            ),
            ("/p?apiKey=1&sessionId=2&authToken=3", "/p?apiKey=[masked:1]&sessionId=[masked:1]&authToken=[masked:1]"),
            ("/p?key=1&monkey=2&keyboard=us&code=4", "/p?key=[masked:1]&monkey=2&keyboard=us&code=[masked:1]"),
            ("/p?author=bob&token=", "/p?author=bob&token="),
            ("/plain/token/path", "/plain/token/path"),
        ];
        for (target, shown) in cases {
            assert_eq!(Mask::Secrets.text(target), shown);
        }
    }

    #[test]
    fn free_text() {
        let cases = [
            ("the proxy sent 400, close code=1006", "the proxy sent 400, close code=1006"),
            (
                "redirected to https://a.example/login?ticket=ST-1 (302)",
                "redirected to https://a.example/login?ticket=[masked:4] (302)",
            ),
            (
                r#"{"type":"connection_init","payload":{"Authorization":"Bearer abc123","n":"key"}}"#,
                r#"{"type":"connection_init","payload":{"Authorization":"[masked:13]","n":"key"}}"#,
            ),
            (r#"{"password" : "a\"b","user":"x"}"#, r#"{"password" : "[masked:4]","user":"x"}"#),
            ("client sent Cookie: sid=1; a=2, upstream got none", "client sent Cookie: [masked:10], upstream got none"),
            ("Basic auth failed", "Basic auth failed"),
            ("wss://bob:hunter2@a.example/ws", "wss://bob:[masked:7]@a.example/ws"),
            (r#"{"code":"invalid_token","key":"Enter"}"#, r#"{"code":"invalid_token","key":"Enter"}"#),
            ("a closed b: nothing", "a closed b: nothing"),
            ("\"token\":\"cut off", "\"token\":\"[masked:7]"),
        ];
        for (wire, shown) in cases {
            assert_eq!(Mask::Secrets.text(wire), shown);
        }
        assert_eq!(
            Mask::Secrets.text(&format!("42[\"auth\",\"{JWT}\"]")),
            format!("42[\"auth\",\"[masked:{}]\"]", JWT.len())
        );
    }

    proptest! {
        #[test]
        fn any_text_is_taken(wire: String, name: String) {
            let _ = Mask::Secrets.text(&wire);
            let _ = Mask::Secrets.field(&name, &wire);
            let _ = Mask::Secrets.subprotocol(Some(&name), &wire);
        }

        #[test]
        fn whatever_quotes_a_secret(before in "[a-z\"?&:=B /]{0,12}", after in "[\"é\\\\ &]{0,6}") {
            let _ = Mask::Secrets.text(&format!("{before}?token=é{after}\"key\":\"ü\\{after}"));
        }
    }
}
