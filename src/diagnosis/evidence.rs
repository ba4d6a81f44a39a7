//! What a rule has found.

use std::borrow::Cow;

use crate::diagnosis::Severity;
use crate::diagnosis::groups::Shared;
use crate::packet::{Moment, PacketNumber};
use crate::session::Confidence;

/// What a rule found: the reasons of a finding.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The leg that shows it: its index from the client on; for a proxy's deed the leg behind the proxy.
    pub leg: Option<usize>,
    /// What was seen, in one line with names and numbers.
    pub detail: String,
    /// The packets that show it.
    pub packets: Vec<(PacketNumber, Cow<'static, str>)>,
    /// Another severity than the rule's usual one.
    pub severity: Option<Severity>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Whether it may be the cause of the session's failure: false for what is only worth knowing.
    pub may_be_cause: bool,
    /// A fix that fits this case better than the rule's general one.
    pub fix: Option<String>,
    /// What it shares with the findings of other sessions.
    pub shared: Option<Shared>,
    /// A sentence for the verdict, without the final full stop; else one is made of title and detail.
    pub verdict: Option<String>,
}

impl Evidence {
    /// Evidence on one leg, with high confidence.
    pub fn on(leg: usize, detail: impl Into<String>) -> Evidence {
        Evidence {
            leg: Some(leg),
            detail: detail.into(),
            packets: Vec::new(),
            severity: None,
            confidence: Confidence::High,
            may_be_cause: true,
            fix: None,
            shared: None,
            verdict: None,
        }
    }

    /// With a packet that shows it.
    #[must_use]
    pub fn packet(mut self, moment: Moment, note: impl Into<Cow<'static, str>>) -> Evidence {
        self.packets.push((moment.packet, note.into()));
        self
    }

    /// With a packet that shows it, if there is one.
    #[must_use]
    pub fn packet_if(self, moment: Option<Moment>, note: impl Into<Cow<'static, str>>) -> Evidence {
        match moment {
            Some(moment) => self.packet(moment, note),
            None => self,
        }
    }

    /// Sure to this degree.
    #[must_use]
    pub fn confidence(mut self, confidence: Confidence) -> Evidence {
        self.confidence = confidence;
        self
    }

    /// As severe as this.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Evidence {
        self.severity = Some(severity);
        self
    }

    /// Not what the session failed of.
    #[must_use]
    pub fn not_cause(mut self) -> Evidence {
        self.may_be_cause = false;
        self
    }

    /// With this fix.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Evidence {
        self.fix = Some(fix.into());
        self
    }

    /// With this fix, if there is one.
    #[must_use]
    pub fn fix_if(self, fix: Option<String>) -> Evidence {
        match fix {
            Some(fix) => self.fix(fix),
            None => self,
        }
    }

    /// Shared with other sessions.
    #[must_use]
    pub fn shared(mut self, shared: Shared) -> Evidence {
        self.shared = Some(shared);
        self
    }

    /// With this sentence as the verdict.
    #[must_use]
    pub fn verdict(mut self, verdict: impl Into<String>) -> Evidence {
        self.verdict = Some(verdict.into());
        self
    }
}
