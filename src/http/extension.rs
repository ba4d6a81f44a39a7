//! Sec-WebSocket-Extensions: offers and answers (RFC 6455 §9.1), and permessage-deflate in them (RFC 7692 §7.1).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::http::field_lines::Known;
use crate::http::fields::Fields;
use crate::http::handshake::PermessageDeflate;

/// One extension of a list, with its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extension<'a> {
    /// As it stands in the list: `permessage-deflate; client_max_window_bits`.
    pub text: &'a str,
}

impl<'a> Extension<'a> {
    /// Its name.
    pub fn name(self) -> &'a str {
        let end = memchr(b';', self.text.as_bytes()).unwrap_or(self.text.len());
        self.text[..end].trim_ascii()
    }

    /// Its parameters in order.
    pub fn parameters(self) -> impl Iterator<Item = Parameter<'a>> {
        split(self.text, b';').skip(1).map(Parameter::read)
    }

    /// Whether it is permessage-deflate.
    pub fn is_deflate(self) -> bool {
        self.name().eq_ignore_ascii_case("permessage-deflate")
    }
}

/// A parameter of an extension.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value without quotes, if it has one.
    pub value: Option<Cow<'a, str>>,
}

impl<'a> Parameter<'a> {
    fn read(text: &'a str) -> Parameter<'a> {
        match memchr(b'=', text.as_bytes()) {
            Some(equals) => {
                let value = unquote(text[equals + 1..].trim_ascii());
                Parameter { name: text[..equals].trim_ascii(), value: Some(value) }
            }
            None => Parameter { name: text.trim_ascii(), value: None },
        }
    }
}

/// All elements of the Sec-WebSocket-Extensions fields, in order: several fields are one list (RFC 6455 §9.1).
pub fn extensions(fields: &Fields) -> impl Iterator<Item = Extension<'_>> {
    fields.values(Known::WebSocketExtensions).flat_map(extensions_in)
}

/// The elements of one field.
pub(super) fn extensions_in(value: &str) -> impl Iterator<Item = Extension<'_>> {
    split(value, b',').map(|text| Extension { text: text.trim_ascii() }).filter(|extension| !extension.text.is_empty())
}

/// What an answer's extensions say of the negotiation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Agreement {
    /// permessage-deflate as agreed: also where the answer had no right to it, for the frames will show it.
    pub(super) deflate: Option<PermessageDeflate>,
    /// Whether the answer names what was not offered or does not exist.
    pub(super) mismatch: bool,
}

/// Holds the extensions of an answer against those offered; without an offer, only against the standard.
pub(super) fn negotiate(answer: &Fields, offer: Option<&Fields>) -> Agreement {
    let mut agreement = Agreement::default();
    for extension in extensions(answer) {
        let offered = |fits: &dyn Fn(Extension<'_>) -> bool| offer.is_none_or(|fields| extensions(fields).any(fits));
        if extension.is_deflate() {
            let answered = DeflateParameters::read(extension);
            // RFC 7692 §5: the same compression twice makes no sense; the first is taken.
            agreement.mismatch |= agreement.deflate.is_some() || !answered.is_answer();
            agreement.mismatch |=
                !offered(&|offered| offered.is_deflate() && DeflateParameters::read(offered).allows(&answered));
            agreement.deflate.get_or_insert(answered.agreed());
        } else {
            agreement.mismatch |= !offered(&|offered| offered.name().eq_ignore_ascii_case(extension.name()));
        }
    }
    agreement
}

/// The parameters of permessage-deflate that every offer has and the answer leaves out. It may not (RFC 7692 §7.1.1.1, §7.1.2.1);
/// most clients take it, some leave.
pub fn withheld(answer: &Fields, offer: &Fields) -> Vec<&'static str> {
    let deflate = |fields| extensions(fields).filter(|extension| extension.is_deflate()).map(DeflateParameters::read);
    let Some(answered) = deflate(answer).next() else { return Vec::new() };
    let offers: Vec<DeflateParameters> = deflate(offer).collect();
    let mut withheld = Vec::new();
    if offers.is_empty() {
        return withheld;
    }
    if offers.iter().all(|offer| offer.server_no_context_takeover) && !answered.server_no_context_takeover {
        withheld.push("server_no_context_takeover");
    }
    let bounds_its_window = |parameters: &DeflateParameters| parameters.server_max_window_bits.is_some();
    if offers.iter().all(bounds_its_window) && !bounds_its_window(&answered) {
        withheld.push("server_max_window_bits");
    }
    withheld
}

/// The parameters of one permessage-deflate element (RFC 7692 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct DeflateParameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// An offer may name it without a value (§7.1.2.2).
    client_max_window_bits: Option<Option<u8>>,
    /// Unknown parameters, parameters given twice, values that are wrong: such an offer must be declined, such an
    /// answer fails the connection (§7.1).
    broken: bool,
}

impl DeflateParameters {
    fn read(extension: Extension<'_>) -> DeflateParameters {
        let mut read = DeflateParameters::default();
        for Parameter { name, value } in extension.parameters() {
            let bits = value.as_deref().and_then(window_bits);
            let (again, wrong) = match name {
                "server_no_context_takeover" => {
                    (std::mem::replace(&mut read.server_no_context_takeover, true), value.is_some())
                }
                "client_no_context_takeover" => {
                    (std::mem::replace(&mut read.client_no_context_takeover, true), value.is_some())
                }
                "server_max_window_bits" => {
                    let again = read.server_max_window_bits.is_some();
                    read.server_max_window_bits = bits;
                    (again, bits.is_none())
                }
                "client_max_window_bits" => {
                    let again = read.client_max_window_bits.is_some();
                    read.client_max_window_bits = Some(bits);
                    (again, value.is_some() && bits.is_none())
                }
                _ => (false, true),
            };
            read.broken |= again || wrong;
        }
        read
    }

    /// Whether an answer may look like this, whatever was offered: here the client's window needs a value (§7.1.2.2).
    fn is_answer(&self) -> bool {
        !self.broken && self.client_max_window_bits != Some(None)
    }

    /// Whether this offer lets the server give that answer.
    ///
    /// An answer that leaves out what was offered breaks §7.1.1.1 and §7.1.2.1 too, but common servers do so and
    /// common clients take it: it names nothing that was not offered.
    fn allows(&self, answer: &DeflateParameters) -> bool {
        let server_bits = match (self.server_max_window_bits, answer.server_max_window_bits) {
            (Some(offered), Some(answered)) => answered <= offered,
            _ => true, // §7.1.2.1: a server may limit its own window unasked.
        };
        let client_bits = match (self.client_max_window_bits, answer.client_max_window_bits) {
            (None, Some(_)) => false, // §7.1.2.2: the client may not understand it.
            (Some(Some(offered)), Some(Some(answered))) => answered <= offered,
            _ => true,
        };
        !self.broken && server_bits && client_bits
    }

    /// What is agreed if this is the answer.
    fn agreed(&self) -> PermessageDeflate {
        PermessageDeflate {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.unwrap_or(15),
            client_max_window_bits: self.client_max_window_bits.flatten().unwrap_or(15),
        }
    }
}

/// 8 to 15 without leading zeros (RFC 7692 §7.1.2.1).
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok()?;
    ((8..=15).contains(&bits) && !value.starts_with(['0', '+'])).then_some(bits)
}

/// Splits at an ASCII separator that is not inside a quoted string (RFC 9110 §5.6.4).
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = find_unquoted(text.as_bytes(), separator);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

fn find_unquoted(bytes: &[u8], separator: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(separator, b'"', &bytes[at..])?;
        if bytes[at] == separator {
            return Some(at);
        }
        at += 1;
        let mut escaped = false;
        at += 1 + bytes[at..].iter().position(|&byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        })?;
    }
}

/// The content of a quoted string; anything else as it is.
fn unquote(value: &str) -> Cow<'_, str> {
    let Some(content) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.into() };
    if !content.contains('\\') {
        return content.into();
    }
    let mut escaped = false;
    let keep = |character: &char| {
        escaped = *character == '\\' && !escaped;
        !escaped
    };
    content.chars().filter(keep).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(values: &[&str]) -> Fields {
        let lines: String = values.iter().map(|value| format!("Sec-WebSocket-Extensions: {value}\r\n")).collect();
        Fields::new(&lines)
    }

    fn agree(offer: &[&str], answer: &[&str]) -> (Option<(bool, bool, u8, u8)>, bool) {
        let Agreement { deflate, mismatch } = negotiate(&fields(answer), Some(&fields(offer)));
        let short = |deflate: PermessageDeflate| {
            (
                deflate.server_no_context_takeover,
                deflate.client_no_context_takeover,
                deflate.server_max_window_bits,
                deflate.client_max_window_bits,
            )
        };
        (deflate.map(short), mismatch)
    }

    const PLAIN: Option<(bool, bool, u8, u8)> = Some((false, false, 15, 15));

    /// The examples of RFC 6455 §9.1: three fields that mean the same.
    #[test]
    fn rfc6455_9_1_lists() {
        let names = |values: &[&str]| {
            extensions(&fields(values)).map(|extension| extension.text.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["foo", "bar; baz=2"]), ["foo", "bar; baz=2"]);
        assert_eq!(names(&["foo, bar; baz=2"]), ["foo", "bar; baz=2"]);
        assert_eq!(names(&["deflate-stream", ", mux; max-channels=4; flow-control ,,"]).len(), 2);
        let fields = fields(&[r#"private-extension; note="a,b;c\"d"; x = y, other"#]);
        let first = extensions(&fields).next().unwrap();
        assert_eq!(first.name(), "private-extension");
        let parameters: Vec<_> = first.parameters().collect();
        assert_eq!(parameters[0], Parameter { name: "note", value: Some("a,b;c\"d".into()) });
        assert_eq!(parameters[1], Parameter { name: "x", value: Some("y".into()) });
        assert_eq!(extensions(&fields).count(), 2);
    }

    /// RFC 7692 §7.1.3, its examples in order.
    #[test]
    fn rfc7692_7_1_3_examples() {
        assert_eq!(agree(&["permessage-deflate"], &["permessage-deflate"]), (PLAIN, false));
        let offer = ["permessage-deflate; client_max_window_bits; server_max_window_bits=10"];
        assert_eq!(
            agree(&offer, &["permessage-deflate; server_max_window_bits=10"]),
            (Some((false, false, 10, 15)), false)
        );
        let offer = ["permessage-deflate; client_max_window_bits; server_max_window_bits=10, \
            permessage-deflate; client_max_window_bits"];
        assert_eq!(agree(&offer, &["permessage-deflate"]), (PLAIN, false));
        assert_eq!(
            agree(&offer, &["permessage-deflate; server_max_window_bits=12; client_max_window_bits=11"]),
            (Some((false, false, 12, 11)), false)
        );
    }

    #[test]
    fn answers_beyond_the_offer() {
        let bare = ["permessage-deflate"];
        assert_eq!(agree(&[], &bare), (PLAIN, true));
        assert!(agree(&bare, &["permessage-deflate; client_max_window_bits=10"]).1);
        assert!(
            agree(
                &["permessage-deflate; client_max_window_bits=9"],
                &["permessage-deflate; client_max_window_bits=10"]
            )
            .1
        );
        assert!(
            agree(
                &["permessage-deflate; server_max_window_bits=9"],
                &["permessage-deflate; server_max_window_bits=10"]
            )
            .1
        );
        assert!(agree(&bare, &["permessage-deflate", "permessage-deflate"]).1);
        assert!(agree(&bare, &["x-webkit-deflate-frame"]).1);
        // RFC 7692 §7.1.1.2, §7.1.2.1: these may come unasked.
        assert!(!agree(&bare, &["permessage-deflate; client_no_context_takeover; server_no_context_takeover"]).1);
        assert!(!agree(&bare, &["permessage-deflate; server_max_window_bits=8"]).1);
        assert!(!agree(&["x-webkit-deflate-frame"], &["X-WebKit-deflate-frame; no_context_takeover"]).1);
        // Common clients offer a window, common servers do not mind it: it works.
        assert!(!agree(&["permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"], &bare).1);
    }

    #[test]
    fn what_every_offer_asks_for_may_not_be_left_out() {
        let withheld = |offer: &str, answer: &str| super::withheld(&fields(&[answer]), &fields(&[offer]));
        let strict = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10";
        assert_eq!(withheld(strict, "permessage-deflate"), ["server_no_context_takeover", "server_max_window_bits"]);
        assert_eq!(withheld(strict, "permessage-deflate; server_max_window_bits=9"), ["server_no_context_takeover"]);
        let with_another = format!("{strict}, permessage-deflate");
        assert!(withheld(&with_another, "permessage-deflate").is_empty(), "the second offer is taken");
        assert!(
            withheld(strict, "x-foo").is_empty() && withheld("permessage-deflate", "permessage-deflate").is_empty()
        );
    }

    #[test]
    fn answers_that_make_no_sense() {
        let offer = ["permessage-deflate; client_max_window_bits"];
        for broken in [
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=+9",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits",
            "client_no_context_takeover=1",
            "client_no_context_takeover; client_no_context_takeover",
            "mystery",
            "",
        ] {
            let (deflate, mismatch) = agree(&offer, &[&format!("permessage-deflate; {broken}")]);
            assert!(deflate.is_some() && mismatch, "{broken}");
        }
        assert_eq!(
            agree(&offer, &[r#"permessage-deflate; server_max_window_bits="10""#]),
            (Some((false, false, 10, 15)), false)
        );
        // Nobody saw the offer: only the answer itself is judged.
        assert!(!negotiate(&fields(&["permessage-deflate; client_max_window_bits=10"]), None).mismatch);
        assert!(negotiate(&fields(&["permessage-deflate; mystery"]), None).mismatch);
    }
}
