//! What a row says of its session: the proxy, the target, and why it is as it is.

use crate::diagnosis::Diagnosis;
use crate::diagnosis::proxies;
use crate::diagnosis::wording::Span as Words;
use crate::session::{Session, Via, Who};

/// The software between the first two legs, or in front of a leg that a proxy made.
pub(super) fn proxy_of(session: &Session) -> Option<&'static str> {
    let proxy = session.proxies().last()?;
    Some(proxies::between(proxy.front, proxy.back).map_or("proxy", |fingerprint| fingerprint.software.name()))
}

/// Host and path; the name in the ClientHello where there is no request.
pub(super) fn target(session: &Session) -> String {
    match session.legs.iter().find_map(|leg| leg.request.as_deref()) {
        Some(request) => {
            let host = request.head.host().unwrap_or_default();
            let target = request.head.target();
            if target.starts_with('/') { format!("{host}{target}") } else { target.to_owned() }
        }
        None => {
            let name = session.legs.iter().find_map(|leg| leg.tls.as_ref()?.sni.clone());
            name.unwrap_or_default()
        }
    }
}

/// `probably a WebSocket, ping 25 s`
pub(super) fn encrypted(session: &Session) -> String {
    let heartbeat = session.first_leg().tls.as_ref().and_then(|tls| tls.heartbeat);
    let heartbeat = heartbeat.map(|every| format!(", heartbeat every {}", Words(every))).unwrap_or_default();
    format!("probably a WebSocket, no keys{heartbeat}")
}

/// The status and the cause; where nothing failed, how it ended or what is worth knowing.
pub(super) fn why(session: &Session, diagnosis: &Diagnosis) -> String {
    let status = session.first_leg().status().filter(|status| *status != 101);
    let finding = diagnosis.cause().or_else(|| diagnosis.findings.iter().max_by_key(|finding| finding.severity));
    let words = match finding {
        Some(finding) => finding.id.to_owned(),
        None => ended(session),
    };
    match status {
        Some(status) if words.is_empty() => status.to_string(),
        Some(status) => format!("{status} {words}"),
        None => words,
    }
}

/// `1000 by the client`, `FIN by the server`.
fn ended(session: &Session) -> String {
    let Some(ended) = session.ended_by else { return String::new() };
    let tunnels = session.legs.iter().filter_map(|leg| leg.tunnel.as_deref());
    let code = tunnels.flat_map(|tunnel| tunnel.first_close.and_then(|role| tunnel.sides[role].close.as_ref())).next();
    let how = match (ended.via, code) {
        (Via::CloseFrame, Some(close)) => close.code.map_or_else(|| "Close".to_owned(), |code| code.to_string()),
        (via, _) => via.name().to_owned(),
    };
    match ended.who {
        Who::Unknown => how,
        who => format!("{how} by the {}", who.name()),
    }
}
