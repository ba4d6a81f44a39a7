//! Proxies by what they write: into the requests that they pass on, into the answers that they make.
//!
//! Software is named by its own marks only. Where two kinds leave the same marks, nobody is named.

use std::fmt;

use crate::http::head::{Fields, Version};
use crate::session::Leg;
use crate::session::leg::{Request, Response};

/// Software that stands between a client and a backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Software {
    /// nginx.
    Nginx,
    /// ingress-nginx for Kubernetes.
    IngressNginx,
    /// HAProxy.
    HaProxy,
    /// Apache httpd.
    Apache,
    /// Caddy.
    Caddy,
    /// Traefik.
    Traefik,
    /// Varnish.
    Varnish,
    /// lighttpd.
    Lighttpd,
    /// Envoy.
    Envoy,
}

impl Software {
    /// All that is known.
    pub const ALL: [Software; 9] = [
        Software::Nginx,
        Software::IngressNginx,
        Software::HaProxy,
        Software::Apache,
        Software::Caddy,
        Software::Traefik,
        Software::Varnish,
        Software::Lighttpd,
        Software::Envoy,
    ];

    /// Its name, as its makers write it.
    pub const fn name(self) -> &'static str {
        match self {
            Software::Nginx => "nginx",
            Software::IngressNginx => "ingress-nginx",
            Software::HaProxy => "HAProxy",
            Software::Apache => "Apache",
            Software::Caddy => "Caddy",
            Software::Traefik => "Traefik",
            Software::Varnish => "Varnish",
            Software::Lighttpd => "lighttpd",
            Software::Envoy => "Envoy",
        }
    }
}

/// Recognised software, with its version where it says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint<'a> {
    /// Which.
    pub software: Software,
    /// Its version. Wire text.
    pub version: Option<&'a str>,
}

impl fmt::Display for Fingerprint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{} {version}", self.software.name()),
            None => f.write_str(self.software.name()),
        }
    }
}

/// The proxy between two legs.
pub fn between<'a>(front: &'a Leg, back: &'a Leg) -> Option<Fingerprint<'a>> {
    let named = front.response.as_deref().and_then(named_by);
    if let (Some(asked), Some(forwarded)) = (&front.request, &back.request)
        && let Some(software) = marks_in_request(asked, forwarded)
        && !(software == Software::HaProxy && adds_date(front, back))
    {
        let version = named.filter(|named| named.software == software).and_then(|named| named.version);
        return Some(Fingerprint { software, version });
    }
    // What it was asked is encrypted. The last one in Via is the nearest.
    if front.request.is_none() && back.request.as_deref().is_some_and(|forwarded| is_via_caddy(&forwarded.head.fields))
    {
        return Some(Fingerprint { software: Software::Caddy, version: None });
    }
    // A proxy that leaves Server alone passes on what its backend wrote there: that names somebody further back.
    let behind = back.response.as_deref().and_then(named_by);
    let named = named.filter(|named| behind.is_none_or(|behind| behind.software != named.software));
    named.or_else(|| old_nginx(back))
}

/// The proxy, if it is one, that made or passed on the answer of a leg behind which nothing was captured.
pub fn answering(leg: &Leg) -> Option<Fingerprint<'_>> {
    named_by(leg.response.as_deref()?)
}

/// Who made the error page in an answer: it names itself in the page or in the fields.
pub fn named_by(response: &Response) -> Option<Fingerprint<'_>> {
    named_by_server_field(&response.head.fields).or_else(|| {
        let software = error_page(response)?;
        Some(Fingerprint { software, version: None })
    })
}

fn named_by_server_field(fields: &Fields) -> Option<Fingerprint<'_>> {
    let server = fields.first("Server")?;
    let product = server.split_ascii_whitespace().next()?;
    let (name, version) = match product.split_once('/') {
        Some((name, version)) => (name, Some(version)),
        None => (product, None),
    };
    let known = [
        ("nginx", Software::Nginx),
        ("freenginx", Software::Nginx),
        ("openresty", Software::Nginx),
        ("Tengine", Software::Nginx),
        ("Angie", Software::Nginx),
        ("Apache", Software::Apache),
        ("Caddy", Software::Caddy),
        ("lighttpd", Software::Lighttpd),
        ("envoy", Software::Envoy),
        ("istio-envoy", Software::Envoy),
        ("Varnish", Software::Varnish),
        ("Vinyl-Cache", Software::Varnish),
    ];
    let (known, software) = known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    // What is built on nginx is configured as nginx is, and counts its versions in its own way.
    let is_built_on_it = software == Software::Nginx && known != "nginx";
    Some(Fingerprint { software, version: version.filter(|_| !is_built_on_it) })
}

/// The last line of error pages of nginx, and of what is built on it.
const NGINX_PAGES: [&str; 5] =
    ["<hr><center>nginx", "<hr><center>freenginx", "<hr><center>openresty", "<hr><center>tengine", "<hr><center>Angie"];

/// The software whose own error page the body is.
pub fn error_page(response: &Response) -> Option<Software> {
    let body = &*response.body;
    let fields = &response.head.fields;
    if NGINX_PAGES.iter().any(|page| body.contains(page)) {
        return Some(Software::Nginx);
    }
    // HAProxy's pages begin with the status as a heading, and come with lower-case fields and no Server.
    if body.starts_with("<html><body><h1>") && !fields.has("Server") {
        return Some(Software::HaProxy);
    }
    if body.starts_with("<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN")
        || body.starts_with("<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN")
    {
        return Some(Software::Apache);
    }
    if body.starts_with("upstream connect error or disconnect/reset before headers")
        || &*response.body == "no healthy upstream"
        || &*response.body == "upgrade_failed"
    {
        return Some(Software::Envoy);
    }
    if body.is_empty() && response.head.status >= 500 && fields.first("Server") == Some("Caddy") {
        return Some(Software::Caddy);
    }
    if body.contains("Guru Meditation") {
        return Some(Software::Varnish);
    }
    None
}

/// What a proxy adds to the requests that it passes on, or how it writes them.
fn marks_in_request(asked: &Request, forwarded: &Request) -> Option<Software> {
    let (before, after) = (&asked.head.fields, &forwarded.head.fields);
    let added = |name: &str| after.has(name) && !before.has(name);
    // Vinyl Cache is what Varnish Cache is called since its version 9.
    if added("X-Varnish") || added("X-Vinyl") {
        return Some(Software::Varnish);
    }
    if added("X-Forwarded-Scheme") && added("X-Scheme") {
        return Some(Software::IngressNginx);
    }
    if after.iter().any(|field| starts_with_ignoring_case(field.name, "x-envoy-")) {
        return Some(Software::Envoy);
    }
    if added("X-Forwarded-Server") {
        // Both add it; only Traefik adds the address as X-Real-Ip too.
        return Some(if added("X-Real-Ip") { Software::Traefik } else { Software::Apache });
    }
    if added("X-Host") && added("X-Forwarded-For") {
        return Some(Software::Lighttpd);
    }
    if is_via_caddy(after) && !is_via_caddy(before) {
        return Some(Software::Caddy);
    }
    if is_lower_case(after) && !is_lower_case(before) {
        let envoy = added("x-request-id") && added("x-forwarded-proto");
        return Some(if envoy { Software::Envoy } else { Software::HaProxy });
    }
    None
}

/// Whether the answer got its date on the way. What is built on hyper adds one, and writes names in lower case as HAProxy does.
fn adds_date(front: &Leg, back: &Leg) -> bool {
    let has_date = |leg: &Leg| leg.response.as_deref().map(|response| response.head.fields.has("Date"));
    (has_date(front), has_date(back)) == (Some(true), Some(false))
}

/// Caddy names itself behind the version of what it got, since 2.10.
fn is_via_caddy(fields: &Fields) -> bool {
    fields.all("Via").last().is_some_and(|via| via.trim().ends_with(" Caddy"))
}

/// nginx before 1.29.7 asks like nobody else as long as it is not told otherwise.
fn old_nginx(back: &Leg) -> Option<Fingerprint<'_>> {
    let request = &back.request.as_deref()?.head;
    let default = request.version() == Some(Version::HTTP_10) && request.fields.has_token("Connection", "close");
    let keeps_case = !is_lower_case(&request.fields);
    (default && keeps_case).then_some(Fingerprint { software: Software::Nginx, version: None })
}

fn is_lower_case(fields: &Fields) -> bool {
    !fields.iter().any(|field| field.name.bytes().any(|byte| byte.is_ascii_uppercase()))
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.len() >= prefix.len() && text.as_bytes()[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
}

/// A program that a person tests with, by User-Agent.
pub fn is_curl(request: &Request) -> bool {
    request.head.fields.first("User-Agent").is_some_and(|agent| starts_with_ignoring_case(agent, "curl/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::test_session::{ASKED, session};

    fn software(forwarded: &str, answer: &str) -> Option<Software> {
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(answer))
            .backend_leg(|leg| leg.request(forwarded))
            .session;
        between(&session.legs[0], &session.legs[1]).map(|fingerprint| fingerprint.software)
    }

    #[test]
    fn a_proxy_is_known_by_the_request_it_writes() {
        let no_name = "HTTP/1.1 426 Upgrade Required\n\n";
        let lower = "GET /ws HTTP/1.1\nhost: app.example\nupgrade: websocket\nconnection: Upgrade\n\n";
        assert_eq!(software(lower, no_name), Some(Software::HaProxy));
        let varnish = "GET /ws HTTP/1.1\nHost: app.example\nX-Varnish: 2\n\n";
        assert_eq!(software(varnish, no_name), Some(Software::Varnish));
        assert_eq!(software(&varnish.replace("Varnish", "Vinyl"), no_name), Some(Software::Varnish));
        let apache = "GET /ws HTTP/1.1\nHost: a\nX-Forwarded-For: 10.0.0.1\nX-Forwarded-Server: a\n\n";
        assert_eq!(software(apache, "HTTP/1.1 426 x\nServer: nginx/1.22.1\n\n"), Some(Software::Apache));
        let nginx = "GET /ws HTTP/1.0\nHost: b:9000\nConnection: close\n\n";
        assert_eq!(software(nginx, no_name), Some(Software::Nginx));
        assert_eq!(software("GET /ws HTTP/1.1\nHost: b:9000\n\n", no_name), None);
    }

    #[test]
    fn lower_case_alone_is_not_haproxy() {
        let forwarded = "GET /ws HTTP/1.1\nhost: app.example\nupgrade: websocket\nconnection: upgrade\n\n";
        let software = |told: &str| {
            let session = session()
                .client_leg(|leg| leg.request(ASKED).response(told))
                .backend_leg(|leg| leg.request(forwarded).response("HTTP/1.1 401 Unauthorized\n\n"))
                .session;
            between(&session.legs[0], &session.legs[1]).map(|fingerprint| fingerprint.software)
        };
        assert_eq!(software("HTTP/1.1 401 Unauthorized\n\n"), Some(Software::HaProxy));
        assert_eq!(software("HTTP/1.1 401 Unauthorized\ndate: Sun, 22 Nov 2026 08:31:04 GMT\n\n"), None);
    }

    #[test]
    fn caddy_names_itself_in_via() {
        let no_name = "HTTP/1.1 404 Not Found\nServer: uvicorn\nVia: 1.1 Caddy\n\n";
        let forwarded = "GET / HTTP/1.1\nHost: a\nVia: 1.1 Caddy\nX-Forwarded-For: 10.0.0.7\n\n";
        assert_eq!(software(forwarded, no_name), Some(Software::Caddy));
        assert_eq!(software("GET / HTTP/1.1\nHost: a\nVia: 1.1 varnish\n\n", no_name), None);
        let encrypted = session().client_leg(|leg| leg.tls(|_| {})).backend_leg(|leg| leg.request(forwarded)).session;
        let named = between(&encrypted.legs[0], &encrypted.legs[1]);
        assert_eq!(named.map(|fingerprint| fingerprint.software), Some(Software::Caddy));
    }

    #[test]
    fn what_is_built_on_nginx_is_nginx_without_its_version() {
        for (server, page) in
            [("openresty/1.25.3.1", "openresty/1.25.3.1"), ("Tengine", "tengine"), ("Angie/1.6.0", "Angie/1.6.0")]
        {
            let answer =
                format!("HTTP/1.1 502 Bad Gateway\nServer: {server}\n\n<h1>502</h1>\n<hr><center>{page}</center>");
            let session = session().client_leg(|leg| leg.request(ASKED).response(&answer)).session;
            let response = session.legs[0].response.as_deref().unwrap();
            assert_eq!(error_page(response), Some(Software::Nginx), "{server}");
            let nginx = Fingerprint { software: Software::Nginx, version: None };
            assert_eq!(named_by(response), Some(nginx), "{server}");
        }
    }

    #[test]
    fn a_server_field_that_the_backend_wrote_names_nobody_between() {
        let answer = "HTTP/1.1 404 Not Found\nServer: nginx/1.22.1\n\n";
        let forwarded = "GET /ws HTTP/1.1\nHost: b:9000\n\n";
        let session = session()
            .client_leg(|leg| leg.request(ASKED).response(answer))
            .backend_leg(|leg| leg.request(forwarded).response(answer))
            .session;
        assert_eq!(between(&session.legs[0], &session.legs[1]), None);
        let fingerprint = answering(&session.legs[1]).map(|fingerprint| fingerprint.to_string());
        assert_eq!(fingerprint.as_deref(), Some("nginx 1.22.1"));
    }

    #[test]
    fn an_error_page_names_its_maker() {
        let page = |text| {
            let session = session().client_leg(|leg| leg.request(ASKED).response(text)).session;
            session.legs[0].response.as_deref().and_then(error_page)
        };
        let haproxy = "HTTP/1.1 503 Service Unavailable\ncache-control: no-cache\n\n<html><body><h1>503 Service Unavailable</h1>\nNo server is available";
        assert_eq!(page(haproxy), Some(Software::HaProxy));
        assert_eq!(
            page("HTTP/1.1 502 x\n\n<center><h1>502</h1></center>\n<hr><center>nginx</center>"),
            Some(Software::Nginx)
        );
        assert_eq!(page("HTTP/1.1 404 Not Found\n\n404 page not found"), None);
    }
}
