//! The opening handshake of a connection: what was asked, and what was answered.
//!
//! A WebSocket keeps it for life, and a hundred thousand may be open: most of their handshakes differ in nothing but the
//! request line, key, accept value and times. That is kept of each ([`Packed`]), and the rest once for all ([`Kinds`]).

use std::borrow::Cow;
use std::sync::Arc;

use crate::http::head::RequestLine;
use crate::packet::{Later, Moment};
use crate::session::leg::{Request, Response};

/// A request and its answer, as far as they were seen.
pub enum Opening {
    /// As they were read.
    Spelled {
        /// The request that matters: an attempt at a WebSocket, or the latest one.
        request: Option<Box<Request>>,
        /// Its answer.
        response: Option<Box<Response>>,
    },
    /// Both, and they opened a WebSocket.
    Packed(Box<Packed>),
}

/// A whole handshake as it is spelled out.
pub type Both = (Box<Request>, Box<Response>);

impl Default for Opening {
    fn default() -> Opening {
        Opening::Spelled { request: None, response: None }
    }
}

impl Opening {
    /// A request that has no answer yet.
    pub fn of(request: Request) -> Opening {
        Opening::Spelled { request: Some(Box::new(request)), response: None }
    }

    /// The request is answered.
    pub fn answer(&mut self, answer: Response) {
        if let Opening::Spelled { response, .. } = self {
            *response = Some(Box::new(answer));
        }
    }

    /// The answer, while it is being read.
    pub fn response_mut(&mut self) -> Option<&mut Response> {
        match self {
            Opening::Spelled { response, .. } => response.as_deref_mut(),
            Opening::Packed(_) => None,
        }
    }

    /// Whether there is a request.
    pub fn is_asked(&self) -> bool {
        !matches!(self, Opening::Spelled { request: None, .. })
    }

    /// Whether there is an answer.
    pub fn is_answered(&self) -> bool {
        !matches!(self, Opening::Spelled { response: None, .. })
    }

    /// Whether the capture lacks a part of the request's head.
    pub fn is_cut(&self) -> bool {
        matches!(self, Opening::Spelled { request: Some(request), .. } if request.cut)
    }

    /// The line of the request.
    pub fn line(&self) -> Option<&RequestLine> {
        match self {
            Opening::Spelled { request, .. } => request.as_ref().map(|request| request.head.line()),
            Opening::Packed(packed) => Some(&packed.line),
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> Option<u16> {
        let response = match self {
            Opening::Spelled { response, .. } => response.as_deref()?,
            Opening::Packed(packed) => &packed.kind.response,
        };
        Some(response.head.status)
    }

    /// The request. `opened`, here as below, is when the WebSocket was opened, if it was: by the packet that completed the
    /// answer.
    pub fn request(&self, opened: Moment) -> Option<Cow<'_, Request>> {
        match self {
            Opening::Spelled { request, .. } => request.as_deref().map(Cow::Borrowed),
            Opening::Packed(packed) => Some(Cow::Owned(packed.request(opened))),
        }
    }

    /// Its answer.
    pub fn response(&self, opened: Moment) -> Option<Cow<'_, Response>> {
        match self {
            Opening::Spelled { response, .. } => response.as_deref().map(Cow::Borrowed),
            Opening::Packed(packed) => Some(Cow::Owned(packed.response(opened))),
        }
    }

    /// When the request was complete.
    pub fn asked(&self, opened: Moment) -> Option<Moment> {
        match self {
            Opening::Spelled { request, .. } => request.as_ref().map(|request| request.moment),
            Opening::Packed(packed) => packed.asked.moment(opened),
        }
    }

    /// When its answer was.
    pub fn answered(&self, opened: Moment) -> Option<Moment> {
        match self {
            Opening::Spelled { response, .. } => response.as_ref().map(|response| response.moment),
            Opening::Packed(_) => Some(opened),
        }
    }

    /// Both, spelled out; what was packed in the place of one of its kind, if there is one.
    pub fn spell(self, opened: Moment, spelled: &mut ByKind<Both>) -> (Option<Box<Request>>, Option<Box<Response>>) {
        match self {
            Opening::Spelled { request, response } => (request, response),
            Opening::Packed(packed) => {
                let (mut request, mut response) = packed.kind.both(spelled);
                packed.put_request(&mut request, opened);
                packed.put_response(&mut response, opened);
                (Some(request), Some(response))
            }
        }
    }
}

/// A handshake that opened a WebSocket, by what of it is not like in others of its kind. Moments are relative to when it
/// was opened, which who has the WebSocket knows.
pub struct Packed {
    line: RequestLine,
    kind: Arc<Kind>,
    key: [u8; KEY],
    accept: [u8; ACCEPT],
    begun: Later,
    asked: Later,
    answer_begun: Later,
}

/// The length of a key that is one (RFC 6455 §4.1), and of the value that accepts it (§4.2.2).
const KEY: usize = 24;
const ACCEPT: usize = 28;

impl Packed {
    fn request(&self, opened: Moment) -> Request {
        let mut request = self.kind.request.clone();
        self.put_request(&mut request, opened);
        request
    }

    fn response(&self, opened: Moment) -> Response {
        let mut response = self.kind.response.clone();
        self.put_response(&mut response, opened);
        response
    }

    /// Makes this request of another one of its kind.
    fn put_request(&self, request: &mut Request, opened: Moment) {
        request.head.put(&self.line, &self.key);
        request.begun = self.begun.moment(opened).unwrap_or(opened);
        request.moment = self.asked.moment(opened).unwrap_or(opened);
    }

    fn put_response(&self, response: &mut Response, opened: Moment) {
        response.head.fields.put_aside(&self.accept);
        response.begun = self.answer_begun.moment(opened).unwrap_or(opened);
        response.moment = opened;
    }
}

/// What handshakes of one kind have in common: all but what is [`Packed`].
struct Kind {
    request: Request,
    response: Response,
}

impl Kind {
    /// One that is of it: of those that were spelled out before, or a new one.
    fn both(&self, spelled: &mut ByKind<Both>) -> Both {
        let place = spelled.place(&self.request, &self.response);
        let known = place.and_then(|place| place.take_if(|(request, response)| self.is_of(request, response)));
        known.unwrap_or_else(|| (self.request.clone().into(), self.response.clone().into()))
    }

    /// Whether these two differ from it in nothing but what is packed.
    fn is_of(&self, request: &Request, response: &Response) -> bool {
        let (known, answered) = (&self.request, &self.response);
        request.head.fields.shares_with(&known.head.fields)
            && response.head.shares_with(&answered.head)
            && request.offer == known.offer
            && response.answer == answered.answer
            && response.head_bytes == answered.head_bytes
            && !(request.cut || response.cut)
            && response.body.is_empty()
    }
}

/// Something for each kind of handshake; what is new takes the place of what another kind has there.
pub struct ByKind<T>(Vec<Option<T>>);

impl<T> Default for ByKind<T> {
    fn default() -> ByKind<T> {
        ByKind(Vec::new())
    }
}

impl<T> ByKind<T> {
    /// A server has a few kinds of clients; a proxy may stamp a date on its answers.
    const PLACES: usize = 1 << 8;
    /// Longer field lines are of no kind: with their cookies and tokens they are all different.
    const LONGEST: usize = 4 << 10;

    /// What is in the place of these two, if anything ever was in any.
    pub fn place(&mut self, request: &Request, response: &Response) -> Option<&mut Option<T>> {
        self.0.get_mut(Self::index(request, response))
    }

    /// Their place, to put something there; `None` when they are of no kind.
    pub fn place_for(&mut self, request: &Request, response: &Response) -> Option<&mut Option<T>> {
        if request.head.fields.length() > Self::LONGEST || response.head.fields.length() > Self::LONGEST {
            return None;
        }
        if self.0.is_empty() {
            self.0.resize_with(Self::PLACES, || None);
        }
        self.place(request, response)
    }

    /// Heads that say the same share their memory: where that is tells the kind.
    fn index(request: &Request, response: &Response) -> usize {
        let [asked, answered] = [&request.head.fields, &response.head.fields].map(|fields| fields.address() as u64);
        // The highest bits of a product depend on all bits of what it is made of.
        let hash = (asked ^ answered.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> 56) as usize
    }
}

/// The kinds of handshakes that were seen lately.
#[derive(Default)]
pub struct Kinds(ByKind<Arc<Kind>>);

impl Kinds {
    /// Packs a handshake that opened a WebSocket, if one of its kind came before.
    pub fn pack(&mut self, opening: &mut Opening) {
        if let Opening::Spelled { request: Some(request), response: Some(response) } = opening
            && let Some(packed) = self.packed(request, response)
        {
            *opening = Opening::Packed(Box::new(packed));
        }
    }

    fn packed(&mut self, request: &Request, response: &Response) -> Option<Packed> {
        let key = request.head.fields.value_aside().try_into().ok()?;
        let accept = response.head.fields.value_aside().try_into().ok()?;
        let kind = self.kind(request, response)?;
        let later = |moment| Later::new(response.moment, moment);
        let (begun, asked, answer_begun) = (later(request.begun), later(request.moment), later(response.begun));
        Some(Packed { line: request.head.line().clone(), kind, key, accept, begun, asked, answer_begun })
    }

    /// The kind of these two; one that is new is known the next time.
    fn kind(&mut self, request: &Request, response: &Response) -> Option<Arc<Kind>> {
        let known = self.0.place_for(request, response)?;
        if let Some(kind) = known.as_ref().filter(|kind| kind.is_of(request, response)) {
            return Some(kind.clone());
        }
        if !request.cut && !response.cut && response.body.is_empty() {
            *known = Some(Arc::new(Kind { request: request.clone(), response: response.clone() }));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::handshake::{Answer, Offer, accept_value};
    use crate::http::head::{RequestHead, ResponseHead, Version};
    use crate::packet::PacketNumber;
    use crate::time::Timestamp;

    const OPENED: Moment = Moment { at: Timestamp::from_nanos(1_790_000_000_000_000_000), packet: PacketNumber(70) };

    fn before(packets: u64) -> Moment {
        let at = Timestamp::from_nanos(OPENED.at.as_nanos() - packets * 1_000_003);
        Moment { at, packet: PacketNumber(OPENED.packet.0 - packets) }
    }

    /// Heads as a store shares them: those of `like`, or new ones.
    fn handshake(like: Option<&Both>, target: &str, key: &str) -> Both {
        let lines = format!("Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n");
        let mut asked = RequestHead::new("GET", target, Some(Version::HTTP_11), &lines);
        let lines =
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let mut answered = ResponseHead::new(Version::HTTP_11, 101, "Switching Protocols", lines);
        if let Some((request, response)) = like {
            let line = asked.line().clone();
            (asked, answered) = (request.head.clone(), response.head.clone());
            asked.put(&line, key.as_bytes());
        }
        answered.fields.put_aside(accept_value(key).as_bytes());
        let (offer, answer) = (Offer::read(&asked), Answer::read(&answered, Some(&asked)));
        let request = Request { head: asked, offer, begun: before(9), moment: before(7), cut: false };
        let (begun, moment, body) = (before(2), OPENED, Box::default());
        let response = Response { head: answered, answer, begun, moment, body, head_bytes: 129, cut: false };
        (Box::new(request), Box::new(response))
    }

    fn packed(kinds: &mut Kinds, (request, response): &Both) -> Opening {
        let mut opening = Opening::Spelled { request: Some(request.clone()), response: Some(response.clone()) };
        kinds.pack(&mut opening);
        opening
    }

    #[test]
    fn a_handshake_of_a_kind_that_came_before_is_packed_and_comes_back_as_it_was() {
        let mut kinds = Kinds::default();
        let first = handshake(None, "/a", "dGhlIHNhbXBsZSBub25jZQ==");
        let second = handshake(Some(&first), "/b?c=d", "AAAAAAAAAAAAAAAAAAAAAA==");
        assert!(matches!(packed(&mut kinds, &first), Opening::Spelled { .. }));
        let (mut with_first, none) = (ByKind::default(), ByKind::default());
        *with_first.place_for(&first.0, &first.1).unwrap() = Some(first.clone());
        for mut room in [none, with_first] {
            let opening = packed(&mut kinds, &second);
            assert!(matches!(opening, Opening::Packed(_)) && opening.is_asked() && opening.is_answered());
            assert_eq!((opening.status(), opening.line()), (Some(101), Some(second.0.head.line())));
            let heads = (opening.request(OPENED).unwrap().into_owned(), opening.response(OPENED).unwrap().into_owned());
            let (request, response) = opening.spell(OPENED, &mut room);
            let (request, response) = (request.unwrap(), response.unwrap());
            for (request, response) in [(&heads.0, &heads.1), (&*request, &*response)] {
                assert_eq!(format!("{request:?} {response:?}"), format!("{:?} {:?}", second.0, second.1));
            }
        }
    }

    #[test]
    fn what_is_unlike_the_others_is_kept_as_it_was_read() {
        let mut kinds = Kinds::default();
        let first = handshake(None, "/", "dGhlIHNhbXBsZSBub25jZQ==");
        packed(&mut kinds, &first);
        assert!(
            matches!(packed(&mut kinds, &handshake(Some(&first), "/", "dGVzdA==")), Opening::Spelled { .. }),
            "a short key"
        );
        let other = || handshake(Some(&first), "/", "AAAAAAAAAAAAAAAAAAAAAA==");
        let (mut cut, mut long, mut wrong) = (other(), other(), other());
        (cut.0.cut, long.1.head_bytes) = (true, 130);
        wrong.1.answer.accept = crate::http::handshake::Accept::Wrong;
        for unlike in [cut, long, wrong] {
            assert!(matches!(packed(&mut kinds, &unlike), Opening::Spelled { .. }));
        }
    }

    #[test]
    fn what_an_open_websocket_keeps_of_its_handshake_is_small() {
        assert_eq!((size_of::<Packed>(), size_of::<Opening>()), (112, 24));
    }
}
