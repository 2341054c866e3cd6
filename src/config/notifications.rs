//! The `notifications` and `metrics` blocks, validated. Names of secrets only, never secrets.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::detection::Selector;
use crate::domain::notice::{Event, Kind, Reminders, Severity};

/// Who is told what, and where.
#[derive(Debug, Clone)]
pub struct Notifications {
    /// By name.
    pub channels: Vec<Channel>,
    /// When holds are told again.
    pub reminders: Reminders,
    /// Longest time for one message, retries apart.
    pub timeout: Duration,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            channels: vec![],
            reminders: Reminders {
                repeat_every: Duration::from_secs(24 * 3600),
                escalate_after: Duration::from_secs(48 * 3600),
            },
            timeout: Duration::from_secs(10),
        }
    }
}

/// A place that messages go to.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What is there.
    pub kind: ChannelKind,
    /// Where it is.
    pub address: Address,
    /// How urgent an event must be; `None` = only what is escalated.
    pub at_least: Option<Severity>,
    /// Kinds of events that are not critical; `None` = all.
    pub events: Option<BTreeSet<Kind>>,
    /// Components; empty = all.
    pub components: Vec<Selector>,
    /// It gets holds that nobody acknowledged for long.
    pub escalation: bool,
}

/// What is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelKind {
    /// JSON by POST.
    Webhook {
        /// Key for signing.
        secret: Option<Secret>,
    },
    /// Slack.
    Slack,
    /// Discord.
    Discord,
    /// ntfy.
    Ntfy,
    /// E-mail.
    #[cfg(feature = "email")]
    Email {
        /// Sender.
        from: String,
        /// Recipients.
        to: Vec<String>,
    },
}

impl ChannelKind {
    /// The word in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Ntfy => "ntfy",
            #[cfg(feature = "email")]
            Self::Email { .. } => "email",
        }
    }
}

/// Where a channel is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Known to whoever reads the configuration.
    Plain(Url),
    /// A secret.
    Secret(Secret),
}

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// In this environment variable.
    Variable(String),
    /// In this file.
    File(PathBuf),
}

impl Channel {
    /// Whether an event is for this channel.
    pub fn wants(&self, event: &Event) -> bool {
        if event.escalated && self.escalation {
            return true;
        }
        let Some(at_least) = self.at_least else { return false };
        let concerns = match (&event.subject, event.component_kind()) {
            (Some(subject), Some(kind)) if !self.components.is_empty() => {
                self.components.iter().any(|selector| selector.matches(&subject.component, kind))
            }
            _ => true,
        };
        let listed = event.severity == Severity::Critical
            || self.events.as_ref().is_none_or(|events| events.contains(&event.kind));
        event.severity >= at_least && concerns && listed
    }
}

/// Numbers about passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Base URL of a Pushgateway.
    pub push: Option<Url>,
    /// Name of the job there.
    pub job: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { push: None, job: "gitops-updater".to_owned() }
    }
}
