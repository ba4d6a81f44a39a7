//! Two requests side by side: what a proxy got and what it sent on.

use std::collections::HashSet;

use crate::output::phrase;
use crate::session::leg::Request;

/// What became of a part of a request on its way through a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It went on as it came.
    Same,
    /// It went on with another value.
    Changed,
    /// It was not forwarded.
    Dropped,
    /// The proxy put it in.
    Added,
    /// The capture lacks the part of the other head in which it may stand.
    NotSeen,
}

impl Change {
    /// A sign for a narrow column.
    pub const fn sign(self) -> &'static str {
        match self {
            Change::Same => "=",
            Change::Changed => "≠",
            Change::Dropped => "-",
            Change::Added => "+",
            Change::NotSeen => "?",
        }
    }
}

/// One part of both requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row<'a> {
    /// The field's name; empty for the request line.
    pub name: &'a str,
    /// What came: of a field that came several times all values, with commas between them (RFC 9110 §5.3).
    pub front: Option<String>,
    /// What went on.
    pub back: Option<String>,
    /// It is missing on one side, where the capture lacks a part of the head.
    not_seen: bool,
}

impl Row<'_> {
    /// What became of it.
    pub fn change(&self) -> Change {
        match (&self.front, &self.back) {
            (Some(front), Some(back)) if front == back => Change::Same,
            (Some(_), Some(_)) => Change::Changed,
            _ if self.not_seen => Change::NotSeen,
            (_, None) => Change::Dropped,
            (None, _) => Change::Added,
        }
    }
}

/// The request line, the fields that came in their order, then those that were put in. What HTTP/2 has in pseudo-header
/// fields stands where HTTP/1 has it.
pub fn compare<'a>(front: &'a Request, back: &'a Request) -> Vec<Row<'a>> {
    let (came, went) = (Some(request_line(front)), Some(request_line(back)));
    let mut rows = vec![Row { name: "", front: came, back: went, not_seen: false }];
    let mut seen = HashSet::new();
    for field in front.head.fields.iter().chain(back.head.fields.iter()) {
        let name = match field.name {
            ":authority" => "Host",
            name if name.starts_with(':') => continue, // the request line has it
            name => name,
        };
        if seen.insert(name.to_ascii_lowercase()) {
            let (came, went) = (values(front, name), values(back, name));
            let not_seen = came.is_none() && front.cut || went.is_none() && back.cut;
            rows.push(Row { name, front: came, back: went, not_seen });
        }
    }
    rows
}

/// `GET /ws HTTP/1.1`.
pub fn request_line(request: &Request) -> String {
    let head = &request.head;
    match head.version() {
        Some(version) => format!("{} {} {}", head.method(), head.target(), phrase::version(version)),
        None => format!("{} {}", head.method(), head.target()),
    }
}

fn values(request: &Request, name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case("Host") {
        return request.head.host().map(str::to_owned);
    }
    let values: Vec<&str> = request.head.fields.all(name).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn what_a_bare_nginx_does() {
        let (session, _) = samples::stripped();
        let request = |leg: usize| session.legs[leg].request.as_deref().expect("the sample has requests");
        let rows = compare(request(0), request(1));
        let signs: Vec<_> = rows.iter().map(|row| (row.name, row.change().sign())).collect();
        assert_eq!(
            signs,
            [
                ("", "≠"),
                ("Host", "≠"),
                ("Sec-WebSocket-Version", "="),
                ("Sec-WebSocket-Key", "="),
                ("Connection", "≠"),
                ("Upgrade", "-"),
                ("Cookie", "="),
            ]
        );
        assert_eq!(rows[0].back.as_deref(), Some("GET /ws HTTP/1.0"));
        assert_eq!(compare(request(1), request(0))[6].change(), Change::Added);
    }

    #[test]
    fn what_the_capture_lacks_is_not_dropped() {
        let (session, _) = samples::stripped();
        let request = |leg: usize| session.legs[leg].request.clone().expect("the sample has requests");
        let cut = Request { cut: true, ..*request(1) };
        let rows = compare(session.legs[0].request.as_deref().expect("see above"), &cut);
        let upgrade = rows.iter().find(|row| row.name == "Upgrade").expect("the client asks for it");
        assert_eq!(upgrade.change(), Change::NotSeen);
    }
}
