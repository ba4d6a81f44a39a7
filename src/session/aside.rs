//! Requests that a proxy makes aside. They carry the fields of the client's request, its key too, and are no way to a backend.
//!
//! By one kind it asks another service whether it may pass a request on (auth_request of nginx, forward_auth of Caddy,
//! ForwardAuth of Traefik): what comes back decides. The other is a copy for another service (mirror of nginx): what comes back
//! is thrown away.

use crate::http::handshake::Upgrade;
use crate::http::head::Fields;
use crate::packet::Moment;
use crate::session::Leg;
use crate::session::course::TOLERANCE;
use crate::session::leg::{Request, Response};
use crate::stream::Role;

/// Whether the leg at `index` is such a request.
pub fn is_aside(legs: &[Leg], index: usize) -> bool {
    let leg = &legs[index];
    let Some(aside) = leg.request.as_deref().filter(|_| leg.tunnel.is_none()) else { return false };
    let front = leg.behind.and_then(|front| legs.get(front));
    match front.and_then(|front| front.request.as_deref().map(|asked| (front, asked))) {
        Some((front, asked)) => {
            let other_path = asked.head.path() != aside.head.path();
            let gave_leave = || leg.response.as_deref().is_some_and(|answer| decided(legs, index, front, answer));
            let is_about = || is_forward_auth(aside) && names(aside, asked.head.target());
            let lost = lost_upgrade(aside);
            (other_path && (is_about() || lost && gave_leave()))
                || (lost && !lost_upgrade(asked) && (is_copy(leg, aside, front) || was_not_needed(legs, index, front)))
        }
        // The request that it asks about cannot be read.
        None => names_another(aside) && (is_forward_auth(aside) || lost_upgrade(aside)),
    }
}

/// Whether a proxy acted on an answer and did not pass it on: after a yes it asked the backend; a no it told in words of its
/// own, or as a redirect to a login; anything else it told as its own error.
fn decided(legs: &[Leg], index: usize, front: &Leg, answer: &Response) -> bool {
    let said = answer.head.status;
    if (200..300).contains(&said) {
        // The request that it then made may be missing from the capture; what came of it is not.
        return front.tunnel.is_some() || legs[index + 1..].iter().any(|other| other.behind == legs[index].behind);
    }
    let Some(told) = front.response.as_deref().filter(|_| !front.has_holes() && !legs[index].has_holes()) else {
        return false;
    };
    let is_other = told.head.status != said || told.body != answer.body;
    is_other && (matches!(said, 401 | 403) || told.head.status == 500)
}

/// Whether a proxy sent this for nothing but to send it (mirror of nginx): its client had the answer before this went out, or
/// before it was answered.
fn is_copy(leg: &Leg, aside: &Request, front: &Leg) -> bool {
    let Some(told) = front.response.as_deref().filter(|_| front.tunnel.is_none()) else { return false };
    let left_before = |answer: Moment| leg.first_end().is_some_and(|end| end.by == Role::Client && end.moment < answer);
    let answered_late =
        |answer: &Response| answer.moment.at > told.moment.at.plus(TOLERANCE) && !left_before(answer.moment);
    aside.moment > told.moment || leg.response.as_deref().is_some_and(answered_late)
}

/// Whether the WebSocket does not come of this: the proxy opened it without an answer that could, or asked another server for it
/// meanwhile. Who tries again waits until an attempt has failed.
fn was_not_needed(legs: &[Leg], index: usize, front: &Leg) -> bool {
    let works = front.tunnel.as_deref().is_some_and(|tunnel| tunnel.failed_from_the_start().is_none());
    let this = &legs[index];
    let beside = |other: &Leg| {
        let kept = other.request.as_deref().is_some_and(|request| !lost_upgrade(request));
        kept && other.behind == this.behind && waited_for(other, this) && waited_for(this, other)
    };
    works || legs.iter().any(beside)
}

/// Whether `one` was asked before `other` was answered or over.
fn waited_for(one: &Leg, other: &Leg) -> bool {
    one.request.as_deref().is_some_and(|request| other.settled().is_none_or(|settled| request.moment < settled))
}

fn lost_upgrade(request: &Request) -> bool {
    matches!(request.offer.upgrade, Upgrade::Absent | Upgrade::Other)
}

/// Whether a request says by its fields that it asks for leave: it names the method and the target of another one.
fn is_forward_auth(request: &Request) -> bool {
    let fields = &request.head.fields;
    (fields.has("X-Forwarded-Method") && fields.has("X-Forwarded-Uri"))
        || (fields.has("X-Original-Method") && original(fields).is_some())
}

/// The target, or the whole URL, that a request says it is about.
fn original(fields: &Fields) -> Option<&str> {
    ["X-Forwarded-Uri", "X-Original-URI", "X-Original-URL", "X-Auth-Request-Redirect"]
        .into_iter()
        .find_map(|name| fields.first(name))
}

fn names(request: &Request, target: &str) -> bool {
    original(&request.head.fields).is_some_and(|named| named.ends_with(target))
}

/// Whether a request says that it is about another path than its own.
fn names_another(request: &Request) -> bool {
    let Some(named) = original(&request.head.fields) else { return false };
    let path = named.split_once("://").map_or(named, |(_, rest)| rest.find('/').map_or("/", |slash| &rest[slash..]));
    path.split('?').next() != Some(request.head.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    const ASIDE: &str = "GET /verify HTTP/1.0\nHost: 127.0.0.1:9100\nConnection: close\nSec-WebSocket-Version: 13\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n";
    const NO: &str = "HTTP/1.1 401 Unauthorized\n\nlog in first";

    /// A session whose proxy asked `aside` and was answered so, when it had answered its client `told`.
    fn asked(aside: &str, answer: &str, told: &str) -> TestSession {
        session()
            .client_leg(|leg| leg.request(ASKED).response(told))
            .backend_leg(|leg| leg.request(aside).response(answer).fin(Role::Server))
    }

    fn second_is_aside(session: &TestSession) -> bool {
        is_aside(&session.session.legs, 1)
    }

    #[test]
    fn a_proxy_tells_a_no_in_its_own_words() {
        let own = "HTTP/1.1 401 Unauthorized\nServer: nginx\n\n<html>401 Authorization Required</html>";
        assert!(second_is_aside(&asked(ASIDE, NO, own)));
        assert!(second_is_aside(&asked(ASIDE, NO, "HTTP/1.1 302 Found\nLocation: /login\n\n")));
        assert!(!second_is_aside(&asked(ASIDE, NO, NO)), "passed on: the answer of a backend");
    }

    #[test]
    fn what_is_neither_yes_nor_no_is_an_error() {
        let missing = "HTTP/1.1 404 Not Found\n\nno such page";
        assert!(second_is_aside(&asked(ASIDE, missing, "HTTP/1.1 500 Internal Server Error\n\n<html>")));
        assert!(!second_is_aside(&asked(ASIDE, missing, missing)));
        assert!(!second_is_aside(&asked(ASIDE, missing, NGINX_502)));
    }

    #[test]
    fn what_is_answered_when_the_client_had_its_answer_is_a_copy() {
        let copy = ASIDE.replace("/verify", "/ws");
        let late = |milliseconds: u64| {
            session()
                .client_leg(|leg| leg.request(ASKED).after_ms(20).response("HTTP/1.1 403 Forbidden\n\n"))
                .backend_leg(|leg| leg.request(&copy).after_ms(milliseconds).response("HTTP/1.1 200 OK\n\n"))
        };
        assert!(second_is_aside(&late(90)));
        assert!(!second_is_aside(&late(1)), "the proxy may have waited for it");
    }

    #[test]
    fn what_went_out_beside_the_request_is_a_copy() {
        let copy = ASIDE.replace("/verify", "/ws");
        let missing = "HTTP/1.1 404 Not Found\n\n";
        let beside = |answered: u64, asked: u64| {
            session()
                .client_leg(|leg| leg.request(ASKED).after_ms(90).response(missing))
                .backend_leg(|leg| leg.request(&copy).after_ms(answered).response(missing))
                .attempt(|leg| leg.after_ms(asked).request(FORWARDED).after_ms(20).response(missing))
        };
        assert!(second_is_aside(&beside(30, 5)));
        assert!(!second_is_aside(&beside(30, 60)), "a second attempt");
        let works = session()
            .client_leg(|leg| leg.request(ASKED).open().messages(Role::Client, 1))
            .backend_leg(|leg| leg.request(&copy).response(missing));
        assert!(second_is_aside(&works), "the 101 was not captured, frames were");
    }

    #[test]
    fn after_a_yes_the_backend_is_asked() {
        let yes = "HTTP/1.1 204 No Content\n\n";
        assert!(!second_is_aside(&asked(ASIDE, yes, yes)));
        let went_on = asked(ASIDE, yes, SWITCHED).attempt(|leg| leg.request(FORWARDED).response(SWITCHED).open());
        assert!(second_is_aside(&went_on));
        assert!(!is_aside(&went_on.session.legs, 2));
        let alone = asked(ASIDE, yes, SWITCHED).client_leg(|leg| leg.open());
        assert!(second_is_aside(&alone), "the leg behind was not captured");
    }

    #[test]
    fn fields_may_say_it() {
        let forward_auth = with_field(&with_field(FORWARDED, "X-Forwarded-Method: GET"), "X-Forwarded-Uri: /ws");
        let forward_auth = forward_auth.replace("GET /ws", "GET /verify");
        assert!(second_is_aside(&asked(&forward_auth, NO, NO)), "the answer is passed on as it is");
        let alone = session().client_leg(|leg| leg.request(&forward_auth).response(NO));
        assert!(is_aside(&alone.session.legs, 0));
        assert!(!second_is_aside(&asked(
            &forward_auth.replace("X-Forwarded-Uri: /ws", "X-Forwarded-Uri: /other"),
            NO,
            NO
        )));
    }

    #[test]
    fn a_request_for_the_same_path_is_passed_on() {
        let same = ASIDE.replace("/verify", "/ws");
        assert!(!second_is_aside(&asked(&same, NO, "HTTP/1.1 302 Found\n\n")));
        assert!(!is_aside(&healthy().session.legs, 1));
    }
}
