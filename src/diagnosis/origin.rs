//! Whether a request's Origin fits its Host, as backends that guard against other sites compare them.

use crate::session::leg::Request;

/// Whether an Origin (RFC 6454 §6.2) names this host and port.
pub fn fits(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let bare = |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).len();
    authority[..bare(authority)].eq_ignore_ascii_case(&host[..bare(host)])
}

/// Whether a request comes from a page of another host. False when it does not say from where.
pub fn is_foreign(request: &Request) -> bool {
    let origin = request.head.fields.first("Origin");
    origin.is_some_and(|origin| request.head.host().is_some_and(|host| !fits(origin, host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_go_without_saying_do_not_matter() {
        assert!(fits("https://app.example", "app.example:443") && fits("http://APP.example:80", "app.example"));
        assert!(!fits("https://app.example:8443", "app.example") && !fits("null", "app.example"));
    }
}
