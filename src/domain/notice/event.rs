//! Events, and how urgent they are.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::component::bare_id;
use crate::domain::state::Update;

/// Most bytes of one detail line that are kept.
const DETAIL_LIMIT: usize = 600;
/// Most detail lines of one event.
const MOST_DETAILS: usize = 30;

/// How urgent an event is. Greater is more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The usual course of things: told where somebody asked for it.
    Regular,
    /// Somebody should look, not at once.
    Warning,
    /// A person is needed: always told.
    Critical,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A pull request was opened.
    Proposed,
    /// It was merged.
    Merged,
    /// The cluster is healthy with it.
    Verified,
    /// It was reverted.
    Reverted,
    /// It should have been reverted and could not be.
    RevertFailed,
    /// It was stopped; a person is needed.
    Held,
    /// A hold that nobody acknowledged.
    HoldUnacknowledged,
    /// Its pull request was closed without being merged, or was replaced.
    Abandoned,
    /// There is a newer version.
    UpdateFound,
    /// A newer version fixes a known vulnerability.
    SecurityUpdate,
    /// So much was reverted that nothing more is proposed.
    CircuitBreaker,
    /// A backup of data failed, so that nothing was merged.
    BackupFailed,
    /// Proposing and merging were stopped.
    MaintenanceBegan,
    /// Proposing and merging go on.
    MaintenanceEnded,
    /// A pass of the program itself failed, whole or for one component.
    BotFailed,
    /// `notify test`.
    Test,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::Proposed,
        Self::Merged,
        Self::Verified,
        Self::Reverted,
        Self::RevertFailed,
        Self::Held,
        Self::HoldUnacknowledged,
        Self::Abandoned,
        Self::UpdateFound,
        Self::SecurityUpdate,
        Self::CircuitBreaker,
        Self::BackupFailed,
        Self::MaintenanceBegan,
        Self::MaintenanceEnded,
        Self::BotFailed,
        Self::Test,
    ];

    /// The word in configurations, keys and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Merged => "merged",
            Self::Verified => "verified",
            Self::Reverted => "reverted",
            Self::RevertFailed => "revert_failed",
            Self::Held => "held",
            Self::HoldUnacknowledged => "hold_unacknowledged",
            Self::Abandoned => "abandoned",
            Self::UpdateFound => "update_found",
            Self::SecurityUpdate => "security_update",
            Self::CircuitBreaker => "circuit_breaker",
            Self::BackupFailed => "backup_failed",
            Self::MaintenanceBegan => "maintenance_began",
            Self::MaintenanceEnded => "maintenance_ended",
            Self::BotFailed => "bot_failed",
            Self::Test => "test",
        }
    }

    /// Whether it tells how things are, for as long as they are so, rather than what happened once.
    pub fn is_of_the_present(self) -> bool {
        matches!(
            self,
            Self::Proposed
                | Self::Held
                | Self::HoldUnacknowledged
                | Self::CircuitBreaker
                | Self::SecurityUpdate
                | Self::MaintenanceBegan
        )
    }

    /// How urgent it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Proposed
            | Self::Merged
            | Self::Verified
            | Self::Abandoned
            | Self::UpdateFound
            | Self::MaintenanceBegan
            | Self::MaintenanceEnded
            | Self::Test => Severity::Regular,
            Self::BotFailed | Self::BackupFailed => Severity::Warning,
            Self::Reverted
            | Self::RevertFailed
            | Self::Held
            | Self::HoldUnacknowledged
            | Self::SecurityUpdate
            | Self::CircuitBreaker => Severity::Critical,
        }
    }

    /// The word for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Proposed => "Update proposed",
            Self::Merged => "Update merged",
            Self::Verified => "Update verified",
            Self::Reverted => "Update reverted",
            Self::RevertFailed => "Revert failed",
            Self::Held => "Update held",
            Self::HoldUnacknowledged => "Held update still needs a person",
            Self::Abandoned => "Update abandoned",
            Self::UpdateFound => "Update available",
            Self::SecurityUpdate => "Security update available",
            Self::CircuitBreaker => "Updates stopped",
            Self::BackupFailed => "Backup failed",
            Self::MaintenanceBegan => "Maintenance began",
            Self::MaintenanceEnded => "Maintenance ended",
            Self::BotFailed => "gitops-updater failed",
            Self::Test => "Test message",
        }
    }
}

impl Severity {
    /// The word in configurations and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The component that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Component id.
    pub component: String,
    /// Version before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// Version after.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
    /// Update, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub update_id: Option<String>,
    /// Number of its pull request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pull_request: Option<u64>,
}

/// Something that people may want to know. Text in it may come from strangers (release notes, error messages, status
/// messages of the cluster); each channel makes it harmless in its own way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What makes it the same event in another pass: it is told once. Plain characters only, see
    /// [`Event::new`].
    pub key: String,
    /// What happened.
    pub kind: Kind,
    /// How urgent it is; usually [`Kind::severity`].
    pub severity: Severity,
    /// What it is about; `None` = the program or the cluster as a whole.
    pub subject: Option<Subject>,
    /// One sentence.
    pub summary: String,
    /// Evidence, one line each; the most telling first.
    pub details: Vec<String>,
    /// What a person should do, one line each.
    pub steps: Vec<String>,
    /// Where there is more: the pull request, a release.
    pub link: Option<String>,
    /// When it happened.
    pub at: Timestamp,
    /// It goes to the escalation channels, too.
    pub escalated: bool,
}

impl Event {
    /// An event that is not about one component. `name` tells it from others of its kind.
    pub fn new(kind: Kind, name: &str, summary: impl Into<String>, at: Timestamp) -> Self {
        let name: String = name
            .chars()
            .take(160)
            .map(|letter| match letter.to_ascii_lowercase() {
                fine if fine.is_ascii_alphanumeric()
                    || matches!(fine, '/' | '.' | ':' | '-' | '_' | '@' | '+') =>
                {
                    fine
                }
                _ => '-',
            })
            .collect();
        Self {
            key: format!("{kind}/{name}"),
            kind,
            severity: kind.severity(),
            subject: None,
            summary: summary.into(),
            details: Vec::new(),
            steps: Vec::new(),
            link: None,
            at,
            escalated: false,
        }
    }

    /// An event in the life of an update; there is one of each kind for each update.
    pub fn of_update(kind: Kind, update: &Update, at: Timestamp) -> Self {
        let summary = format!("{} {} -> {}", update.component, update.from, update.to);
        let event = Self::new(kind, &update.update_id, summary, at);
        let event = event.about(Subject {
            component: update.component.clone(),
            from: Some(update.from.clone()),
            to: Some(update.to.clone()),
            update_id: Some(update.update_id.clone()),
            pull_request: update.pull_request,
        });
        event.because(update.reason.iter().cloned())
    }

    /// The same event, about this.
    #[must_use]
    pub fn about(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// With evidence.
    #[must_use]
    pub fn because(mut self, details: impl IntoIterator<Item = String>) -> Self {
        bounded(&mut self.details, details);
        self
    }

    /// With what a person should do.
    #[must_use]
    pub fn then(mut self, steps: impl IntoIterator<Item = String>) -> Self {
        bounded(&mut self.steps, steps);
        self
    }

    /// With a place where there is more.
    #[must_use]
    pub fn at_link(mut self, link: Option<String>) -> Self {
        self.link = link.filter(|link| is_link(link));
        self
    }

    /// Kind of the component (`helm` of `staging:helm/apps/podinfo`); `None` where it is about none.
    pub fn component_kind(&self) -> Option<&str> {
        self.subject.as_ref().map(|subject| kind_of(&subject.component))
    }

    /// Title for people: what happened, and to what.
    pub fn title(&self) -> String {
        match &self.subject {
            Some(subject) => format!("{}: {}", self.kind.title(), subject.component),
            None => self.kind.title().to_owned(),
        }
    }
}

/// The kind of a component, as its id has it (`[cluster:]kind[/…]`).
pub fn kind_of(component: &str) -> &str {
    let id = bare_id(component);
    id.split('/').next().unwrap_or(id)
}

fn bounded(lines: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    let room = MOST_DETAILS.saturating_sub(lines.len());
    lines.extend(more.into_iter().filter(|line| !line.trim().is_empty()).take(room).map(|mut line| {
        line.truncate(line.floor_char_boundary(DETAIL_LIMIT));
        line
    }));
}

/// Whether a text is a plain web address that can stand in any channel.
pub(super) fn is_link(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.len() <= 1000
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'`\\|()[]{}*~^".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn words_of_kinds_are_those_of_their_serialisation() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for severity in [Severity::Regular, Severity::Warning, Severity::Critical] {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
    }

    #[test]
    fn keys_hold_nothing_but_plain_characters() {
        let event = Event::new(Kind::BotFailed, "Image/ghcr.io/\u{1b}[31mX Y\n", "x", now());
        assert_eq!(event.key, "bot_failed/image/ghcr.io/--31mx-y-");
    }

    #[test]
    fn only_plain_web_addresses_are_links() {
        for (link, fine) in [
            ("https://github.com/acme/ops/pull/7", true),
            ("http://forge.lan:3000/acme/ops/pulls/7?a=b#c", true),
            ("javascript:alert(1)", false),
            ("https://x)[click](https://evil", false),
            ("https://x|evil>", false),
            ("https:///etc", false),
            ("https://exa mple", false),
        ] {
            let event = Event::new(Kind::Test, "x", "x", now()).at_link(Some(link.to_owned()));
            assert_eq!(event.link.is_some(), fine, "{link}");
        }
    }

    #[test]
    fn details_are_bounded() {
        let lines = (0..100).map(|_| "ü".repeat(1000));
        let event = Event::new(Kind::Test, "x", "x", now()).because(lines);
        assert_eq!(event.details.len(), MOST_DETAILS);
        assert!(event.details.iter().all(|line| line.len() <= DETAIL_LIMIT));
    }
}
