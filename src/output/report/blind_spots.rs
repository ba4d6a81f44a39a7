//! What the capture could not show, and the command that would show it.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use crate::diagnosis::Diagnosis;
use crate::engine::event::Summary;
use crate::output::phrase;
use crate::output::report::markdown::push_block;
use crate::session::{Outcome, Session};

/// Ports named in a filter; with more, the filter is left out.
const PORTS: usize = 12;

/// What was not seen, over all sessions.
#[derive(Debug, Default)]
pub(super) struct BlindSpots {
    ports: BTreeSet<u16>,
    encrypted: u64,
    one_direction: u64,
    joined_late: u64,
    backend_leg: u64,
    cut: u64,
}

impl BlindSpots {
    /// Takes a session into account.
    pub(super) fn session(&mut self, session: &Session, diagnosis: &Diagnosis) {
        if self.ports.len() <= PORTS {
            self.ports.extend(session.legs.iter().map(|leg| leg.server.port));
        }
        let found = |id: &str| u64::from(diagnosis.findings.iter().any(|finding| finding.id == id));
        self.encrypted += u64::from(session.legs.iter().any(|leg| leg.outcome == Outcome::Encrypted));
        self.one_direction += u64::from(session.legs.iter().any(|leg| !leg.both_directions_seen()));
        self.joined_late += found("joined-mid-stream");
        self.backend_leg += found("upstream-leg-not-seen");
        self.cut += found("capture-cut");
    }

    /// Appends the section, if there is something to say.
    pub(super) fn write(&self, page: &mut String, summary: &Summary) -> fmt::Result {
        let gaps = summary.loss.gap_bytes > 0;
        let drops = summary.loss.kernel > 0 || summary.loss.interface > 0;
        let nothing = summary.sessions.iter().all(|(_, count)| *count == 0);
        let remarks = [
            (
                self.encrypted,
                "encrypted, and no keys: give them with `--keylog`, or capture behind the proxy that ends TLS",
            ),
            (
                self.backend_leg,
                "failed behind a leg that was not captured: capture on the proxy itself, on all interfaces",
            ),
            (self.one_direction, "with one direction only: the other one takes another way, or another interface"),
            (self.joined_late, "open before the capture began: the opening handshake is not known"),
            (self.cut, "cut by the snap length: capture whole packets, `-s 0`"),
        ];
        let remarks: Vec<_> = remarks.iter().filter(|(count, _)| *count > 0).collect();
        if remarks.is_empty() && !gaps && !drops && !nothing {
            return Ok(());
        }
        writeln!(page, "\n## What was not seen\n")?;
        for (count, what) in remarks {
            writeln!(page, "- {}: {what}.", phrase::count(*count, "session"))?;
        }
        if gaps {
            writeln!(page, "- {} of TCP streams are missing.", phrase::bytes(summary.loss.gap_bytes))?;
        }
        if drops {
            writeln!(page, "- Packets were dropped while capturing: a larger buffer helps, `-B 65536`.")?;
        }
        if nothing {
            writeln!(page, "- No WebSocket at all: is it another interface, another host, another port?")?;
        }
        writeln!(page, "\nOn the machine of the proxy this captures both of its sides:\n")?;
        push_block(page, "sh", std::iter::once(self.command().as_str()));
        Ok(())
    }

    fn command(&self) -> String {
        let mut command = "sudo tcpdump -i any -s 0 -B 65536 -w websocket.pcap".to_owned();
        if (1..=PORTS).contains(&self.ports.len()) {
            let ports: Vec<String> = self.ports.iter().map(|port| format!("port {port}")).collect();
            command += &format!(" '{}'", ports.join(" or "));
        }
        command
    }
}
