//! What a refusal complains about: by its words where they are known, else by its status and the request.
//!
//! Each refusal has one complaint, so two rules never tell two stories about one answer.

use crate::diagnosis::answer::{self, Refusal};
use crate::diagnosis::backends::{self, Meaning};
use crate::diagnosis::{hops, origin};
use crate::session::Confidence;
use crate::session::leg::Request;

/// Why a handshake was refused, as far as the answer tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Complaint {
    /// Look elsewhere.
    Redirect,
    /// Nothing was wrong, only the upgrade was not made.
    UpgradeIgnored,
    /// There is nothing under this path.
    NotFound,
    /// Say who you are.
    Authentication,
    /// Your page is not welcome.
    Origin,
    /// No, for a reason that is not told.
    Forbidden,
    /// Too many of you.
    TooMany,
    /// The session that the request goes on with is not known here.
    UnknownSession,
    /// engine.io's own complaint.
    EngineIo,
    /// The head of the request is too large.
    HeadTooLarge,
    /// Something else.
    Other,
}

impl Refusal<'_> {
    /// What it complains about, and how sure that is.
    pub fn complaint(&self) -> (Complaint, Confidence) {
        // A proxy that turned the backend's 101 into something else has its reason in that 101.
        if self.behind_it() == Some(101) {
            return (Complaint::Other, Confidence::High);
        }
        match self.meaning() {
            Some(meaning) => (by_words(meaning), Confidence::High),
            None => self.by_status(),
        }
    }

    /// Whether it complains about this.
    pub fn complains_about(&self, complaint: Complaint) -> Option<Confidence> {
        let (said, confidence) = self.complaint();
        (said == complaint).then_some(confidence)
    }

    fn by_status(&self) -> (Complaint, Confidence) {
        let fields = &self.response.head.fields;
        match self.status() {
            301 | 302 | 303 | 307 | 308 if fields.has("Location") => (Complaint::Redirect, Confidence::High),
            400 | 401 | 403 if self.names_the_origin() => (Complaint::Origin, Confidence::Medium),
            200..=299 if self.asked_properly() => (Complaint::UpgradeIgnored, Confidence::High),
            400 if self.has_large_request() => (Complaint::HeadTooLarge, Confidence::Medium),
            401 | 407 => (Complaint::Authentication, Confidence::High),
            403 => self.why_forbidden(),
            404 if self.is_action_cable() && self.has_foreign_origin() => (Complaint::Origin, Confidence::Medium),
            404 | 410 => (Complaint::NotFound, Confidence::High),
            414 | 431 => (Complaint::HeadTooLarge, Confidence::High),
            429 => (Complaint::TooMany, Confidence::High),
            _ => (Complaint::Other, Confidence::High),
        }
    }

    /// A 403 alone says nothing. The shape of some backends' 403 does, together with the request.
    fn why_forbidden(&self) -> (Complaint, Confidence) {
        let foreign = self.has_foreign_origin();
        let without = self.request.is_some_and(|request| !request.cut && !request.head.fields.has("Origin"));
        let is_daphne = self.response.head.reason().starts_with("Access denied");
        if (foreign && backends::is_ws(self.response)) || (is_daphne && (foreign || without)) {
            return (Complaint::Origin, Confidence::Medium);
        }
        // Starlette closes before it accepts: an unknown route and a refusal by the application look alike.
        let fields = &self.response.head.fields;
        let is_starlette = self.response.body.is_empty()
            && fields.first("Content-Type").is_some_and(|kind| kind.starts_with("text/plain"))
            && fields.has_token("Connection", "close");
        match is_starlette {
            true => (Complaint::NotFound, Confidence::Low),
            false => (Complaint::Forbidden, Confidence::High),
        }
    }

    /// Whether it speaks of the origin, in whatever words, to a request that has one. Pages of proxies speak of origin servers.
    fn names_the_origin(&self) -> bool {
        let has_origin =
            hops::first_request(self.session).is_some_and(|(_, request)| request.head.fields.has("Origin"));
        let words = backends::words(self.response).to_ascii_lowercase();
        let mut words =
            words.split(|character: char| !character.is_ascii_alphanumeric()).skip_while(|word| *word != "origin");
        has_origin
            && answer::has_words(self.response)
            && words.next().is_some()
            && !matches!(words.next(), Some("server" | "web"))
    }

    /// Whether nothing is wrong with the request but its size: at 8 KiB the bounds of servers begin.
    fn has_large_request(&self) -> bool {
        const LARGE: usize = 8_000;
        let size = |request: &Request| {
            let fields = request.head.fields.iter().map(|field| field.name.len() + field.value.len() + 4);
            request.head.target().len() + fields.sum::<usize>()
        };
        self.request_was_intact() && self.request.is_some_and(|request| size(request) >= LARGE)
    }

    fn is_action_cable(&self) -> bool {
        self.response.body.trim() == "Page not found"
    }

    /// As the client sent it: a Host that a proxy replaced makes every Origin foreign.
    fn has_foreign_origin(&self) -> bool {
        hops::first_request(self.session).is_some_and(|(_, request)| origin::is_foreign(request))
    }

    fn asked_properly(&self) -> bool {
        self.request.is_some_and(|request| hops::asks_for_websocket(request) && request.offer.connection_upgrade)
    }
}

fn by_words(meaning: Meaning) -> Complaint {
    match meaning {
        Meaning::Path => Complaint::NotFound,
        Meaning::Origin => Complaint::Origin,
        Meaning::Authentication => Complaint::Authentication,
        Meaning::UnknownSession => Complaint::UnknownSession,
        Meaning::EngineIo(_) => Complaint::EngineIo,
        Meaning::HeadTooLarge => Complaint::HeadTooLarge,
        Meaning::Busy => Complaint::TooMany,
        _ => Complaint::Other,
    }
}
