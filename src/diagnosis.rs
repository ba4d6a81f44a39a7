//! Judgement: rules turn the facts of a session into findings, ranking chooses the cause, a verdict tells it.
//!
//! A rule is data and one pure function; each has a file in [`rules`], which lists them in the order of the catalogue.
//! [`diagnose`] runs them all. What many rules ask is answered once, beside them: [`answer`] knows who made a refusal,
//! [`backends`] and [`proxies`] know software by what it writes, [`parties`] names the ends of a leg.

pub mod agreement;
pub mod answer;
pub mod backends;
pub mod certificates;
pub mod close_code;
pub mod complaint;
pub mod ending;
pub mod evidence;
pub mod facts;
pub mod fix;
pub mod groups;
pub mod hops;
pub mod nearby;
pub mod origin;
pub mod parties;
pub mod proxies;
pub mod ranking;
pub mod rules;
pub mod scope;
pub mod timers;
pub mod tls_failure;
pub mod upstream;
pub mod verdict;
pub mod violation;
pub mod wording;

#[cfg(test)]
mod consequences;
#[cfg(test)]
pub mod test_session;

mod doubt;

use std::borrow::Cow;

pub use doubt::weigh_drops;
pub use evidence::Evidence;
pub use facts::Facts;

use crate::diagnosis::ranking::Found;
use crate::diagnosis::scope::Scope;
use crate::session::Session;

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
    /// What to do, in general: one line for each proxy, see [`fix`].
    pub fix: &'static str,
    /// What looks like it and is not.
    pub look_alikes: &'static str,
    /// The standard or the manual that says so.
    pub reference: &'static str,
    /// Judges one session.
    pub check: fn(&Facts<'_>) -> Option<Evidence>,
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
    pub fix: Cow<'static, str>,
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
}

impl Diagnosis {
    /// The finding that explains the failure.
    pub fn cause(&self) -> Option<&Finding> {
        self.cause.and_then(|index| self.findings.get(index))
    }

    /// One sentence on the session for a person, without a full stop. It is made when it is asked for: few outputs tell
    /// it of sessions that are well.
    pub fn verdict<'a>(&'a self, session: &Session) -> Cow<'a, str> {
        verdict::verdict(session, self.cause())
    }

    /// The worst severity of all findings.
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// A judgement on several sessions at once.
#[derive(Clone, Debug)]
pub struct GroupFinding {
    /// The judgement; its evidence names no leg, and counts all sessions.
    pub finding: Finding,
    /// The sessions, the first thousand.
    pub sessions: Vec<crate::session::SessionId>,
}

/// Judges one session.
pub fn diagnose(facts: &Facts<'_>) -> Diagnosis {
    let session = facts.session;
    let scope = Scope::of(session);
    let mut found = Vec::new();
    for rule in rules::within(scope) {
        if let Some(evidence) = (rule.check)(facts) {
            found.push(Found { rule, evidence: doubt::weigh(session, rule, evidence) });
        }
    }
    debug_assert_eq!(spared_in_error(facts, scope), None, "a stage was spared that has something to say");
    let cause = ranking::rank(session, &mut found);
    let findings = found.into_iter().map(|found| finding(session, found)).collect();
    Diagnosis { findings, cause }
}

/// A rule out of scope that would have spoken: there is none.
fn spared_in_error(facts: &Facts<'_>, scope: Scope) -> Option<&'static str> {
    let spared = rules::RULES.iter().filter(|rule| !scope.has(rule.stage));
    spared.map(|rule| (rule.id, (rule.check)(facts))).find_map(|(id, evidence)| evidence.map(|_| id))
}

fn finding(session: &Session, found: Found) -> Finding {
    let Found { rule, mut evidence } = found;
    let fix = evidence.fix.take().map_or_else(|| fix::for_session(rule.fix, session, evidence.leg), Cow::Owned);
    Finding {
        id: rule.id,
        severity: evidence.severity.unwrap_or(rule.severity),
        title: rule.title,
        evidence,
        fix,
        reference: rule.reference,
    }
}
