//! What a file that is no capture looks like.

use super::compression::Compression;

/// As much of a file is looked at.
pub(super) const BEGINNING: usize = 512;

/// Says in words what begins like this, and what to do about it.
pub(super) fn describe(bytes: &[u8], compression: Option<Compression>) -> String {
    let beginning = &bytes[..bytes.len().min(BEGINNING)];
    let what = if beginning.is_empty() {
        "it is empty; tcpdump writes when its buffer is full or it ends, with -U at once".to_owned()
    } else if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| beginning.starts_with(magic)) {
        (*what).to_owned()
    } else if looks_like_html(beginning) {
        "it is a web page; was it downloaded without being logged in?".to_owned()
    } else if beginning.starts_with(b"{") || beginning.starts_with(b"[") {
        "it is JSON; a HAR file has no packets".to_owned()
    } else if is_text(beginning) {
        "it is text; tcpdump needs -w to write packets".to_owned()
    } else {
        let octets: Vec<String> = beginning.iter().take(4).map(|octet| format!("{octet:02x}")).collect();
        format!("it begins with {}, which is neither pcap nor pcapng", octets.join(" "))
    };
    match compression {
        Some(format) => format!("inside its {format} compression, {what}"),
        None => what,
    }
}

/// Beginnings of files that are mistaken for captures, and of captures that cannot be read here.
const KNOWN: [(&[u8], &str); 16] = [
    (b"\xD4\xC3\xB2\xA1", CUT_HEADER),
    (b"\xA1\xB2\xC3\xD4", CUT_HEADER),
    (b"\x4D\x3C\xB2\xA1", CUT_HEADER),
    (b"\xA1\xB2\x3C\x4D", CUT_HEADER),
    (b"\x0A\x0D\x0D\x0A", "its pcapng section header is cut off or broken"),
    (b"\xFD7zXZ\0", "it is compressed with xz; unpack it first: xz -d"),
    (b"BZh", "it is compressed with bzip2; unpack it first: bunzip2"),
    (b"PK\x03\x04", "it is a zip archive; unpack it first: unzip"),
    (b"7z\xBC\xAF", "it is a 7-Zip archive; unpack it first: 7z x"),
    (b"snoop\0\0\0", "it is a snoop capture; convert it first: editcap -F pcapng FILE out.pcapng"),
    (b"GMBU", "it is a Network Monitor capture; convert it first: editcap -F pcapng FILE out.pcapng"),
    (b"RTSS", "it is a Network Monitor capture; convert it first: editcap -F pcapng FILE out.pcapng"),
    (b"\x00\x00\x00\x01\x00\x00\x00\x00", "it may be a Windows trace (ETL); convert it first: etl2pcapng"),
    (b"\x7FELF", "it is a program"),
    (b"CLIENT_", "it is a TLS key log; pass it with --keylog"),
    (b"# SSL/TLS secrets log", "it is a TLS key log; pass it with --keylog"),
];

const CUT_HEADER: &str = "its pcap header is cut off; the capture had hardly begun";

fn looks_like_html(beginning: &[u8]) -> bool {
    let text = beginning.trim_ascii_start();
    [&b"<!doctype"[..], b"<html", b"<head", b"<?xml"]
        .iter()
        .any(|tag| text.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag)))
}

/// Whether the beginning is printable; UTF-8 that is cut at its end counts.
fn is_text(beginning: &[u8]) -> bool {
    let valid = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    valid.chars().all(|character| !character.is_control() || character.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::super::samples::{savefiles, yields};

    #[test]
    fn what_is_no_capture_says_what_it_looks_like() {
        for (bytes, appearance) in [
            (&b""[..], "it is empty; tcpdump writes when its buffer is full or it ends, with -U at once"),
            (b"\xD4\xC3\xB2\xA1\x02\0", "its pcap header is cut off; the capture had hardly begun"),
            (b"\x0A\x0D\x0D\x0A\x1C\0\0\0", "its pcapng section header is cut off or broken"),
            (
                b"  <!DOCTYPE html><title>Sign in</title>",
                "it is a web page; was it downloaded without being logged in?",
            ),
            (b"{\"log\": {}}", "it is JSON; a HAR file has no packets"),
            ("10:00:00.0 IP 10.0.0.1 → ü".as_bytes(), "it is text; tcpdump needs -w to write packets"),
            (b"CLIENT_RANDOM 00 00", "it is a TLS key log; pass it with --keylog"),
            (b"\xDE\xAD\xBE\xEF\x01", "it begins with de ad be ef, which is neither pcap nor pcapng"),
        ] {
            let (lines, errors) = yields(&mut savefiles(&[bytes]));
            assert!(lines.is_empty());
            assert_eq!(errors[0].to_string(), format!("0 is not a capture file: {appearance}"));
        }
    }
}
