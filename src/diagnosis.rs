//! Judgement: rules turn the facts of a session into findings, ranking chooses the cause, a verdict tells it.

use std::borrow::Cow;

use crate::packet::{Moment, PacketNumber};
use crate::session::{Confidence, Neighbours, Session};

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Works now, will bite.
    Warning,
    /// Broken.
    Error,
}

impl Severity {
    /// Its word in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// What a rule may look at.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The session to judge.
    pub session: &'a Session,
    /// The rest of the capture.
    pub neighbours: &'a Neighbours,
}

/// Where in the order of decision a finding stands: an earlier stage explains a later one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// TCP did not come up.
    Connect,
    /// A PROXY header where none belongs, or none where one belongs.
    ProxyHeader,
    /// TLS did not come up.
    Tls,
    /// The client's request.
    Request,
    /// What a proxy made of the request.
    RequestDiff,
    /// The proxy's way to its backend.
    Upstream,
    /// The answer.
    Response,
    /// What a proxy made of the answer.
    ResponseDiff,
    /// What the two agreed to.
    Negotiation,
    /// Frames.
    Frames,
    /// Who closed, and how.
    Closing,
    /// Timers.
    Timers,
    /// The network between.
    Network,
    /// The capture itself: never a cause.
    Capture,
}

/// A kind of finding: data, and one pure function.
pub struct Rule {
    /// Its public, stable id, in kebab-case.
    pub id: &'static str,
    /// Its usual severity.
    pub severity: Severity,
    /// Its place in the order of decision.
    pub stage: Stage,
    /// One line: what is wrong.
    pub title: &'static str,
    /// What it means, for a person who has never met it.
    pub explanation: &'static str,
    /// How it looks on the wire.
    pub signature: &'static str,
    /// What to do, in general: for nginx as lines to paste, in one sentence for the others.
    pub fix: &'static str,
    /// What looks like it and is not.
    pub look_alikes: &'static str,
    /// The standard or the manual that says so.
    pub reference: &'static str,
    /// Judges one session.
    pub check: fn(&Facts<'_>) -> Option<Evidence>,
}

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

    /// With this sentence as the verdict.
    #[must_use]
    pub fn verdict(mut self, verdict: impl Into<String>) -> Evidence {
        self.verdict = Some(verdict.into());
        self
    }
}

/// One judgement on a session.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule's id.
    pub id: &'static str,
    /// How bad.
    pub severity: Severity,
    /// The rule's title.
    pub title: &'static str,
    /// Where, how sure, by which packets.
    pub evidence: Evidence,
    /// What to do.
    pub fix: String,
    /// The standard or the manual that says so.
    pub reference: &'static str,
}

/// The judgement on one session.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// All findings, the cause first, then by severity and stage.
    pub findings: Vec<Finding>,
    /// The index of the finding that explains the failure.
    pub cause: Option<usize>,
    /// One sentence for a person.
    pub verdict: String,
}

impl Diagnosis {
    /// The finding that explains the failure.
    pub fn cause(&self) -> Option<&Finding> {
        self.cause.and_then(|index| self.findings.get(index))
    }

    /// The worst severity of all findings.
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// A judgement on several sessions at once.
#[derive(Clone, Debug)]
pub struct GroupFinding {
    /// The judgement; its evidence names no leg.
    pub finding: Finding,
    /// The sessions.
    pub sessions: Vec<crate::session::SessionId>,
}

/// stub
pub fn diagnose(_facts: &Facts<'_>) -> Diagnosis {
    Diagnosis::default()
}

/// stub
pub fn judge_together(_neighbours: &Neighbours) -> Vec<GroupFinding> {
    Vec::new()
}
