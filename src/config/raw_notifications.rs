//! The part of the configuration file that says who is told what, as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::words::words;

/// Who is told what, and where.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `channels` and `holds`")]
#[schemars(rename = "Notifications")]
pub(super) struct RawNotifications {
    /// Places that messages go to, by a name of at most 32 lower-case letters, digits and `-`. At most 10.
    /// Default: none.
    pub(super) channels: BTreeMap<String, RawChannel>,
    /// Holds that nobody acknowledges. Default: see its keys.
    pub(super) holds: RawHolds,
    /// Longest time for one message, retries apart. Default: `10s`, at most `2m`.
    pub(super) timeout: Option<String>,
}

/// A place that messages go to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with `type`")]
#[schemars(rename = "Channel")]
pub(super) struct RawChannel {
    /// `webhook` (JSON), `slack` (an incoming webhook; Mattermost and Rocket.Chat take the same), `discord`, `ntfy` or
    /// `email`. No default.
    #[serde(rename = "type")]
    pub(super) kind: RawChannelType,
    /// Where messages are sent: `https://…`; for `ntfy` the server and topic (`https://ntfy.sh/my-topic`), for
    /// `email` the server that sends (`smtps://mail.example.com`, `smtp://mail.example.com:587` for STARTTLS).
    /// Addresses that are a secret themselves (`slack`, `discord`) do not belong into a file that lies in the
    /// repository: use `url_env`. A token, or user name and password, is that of the host in `upstreams.hosts`.
    /// Default: none; one of `url`, `url_env` and `url_file` is needed.
    pub(super) url: Option<String>,
    /// Environment variable that holds the address. In a file that lies in the repository itself the name must be
    /// `GITOPS_UPDATER_NOTIFY_<NAME>_URL`, with the channel's name in upper case and `_` for `-`. Default: none.
    pub(super) url_env: Option<String>,
    /// File that holds the address (only in a file outside the repository, named with `--config`). Default: none.
    pub(super) url_file: Option<String>,
    /// `webhook`: environment variable that holds the key with which each message is signed (header
    /// `X-Gitops-Updater-Signature: sha256=…`, HMAC-SHA256 of the body). In a file that lies in the repository itself
    /// the name must be `GITOPS_UPDATER_NOTIFY_<NAME>_SECRET`. Default: messages are not signed.
    pub(super) secret_env: Option<String>,
    /// `webhook`: file that holds the key (only in a file outside the repository, named with `--config`).
    /// Default: none.
    pub(super) secret_file: Option<String>,
    /// `email`: who it is from. No default.
    pub(super) from: Option<String>,
    /// `email`: who gets it. No default.
    #[serde(default)]
    pub(super) to: Vec<String>,
    /// How urgent an event must be: `regular` (everything), `warning`, `critical`, or `escalation` (nothing but holds
    /// that nobody acknowledged for long). Default: `warning`.
    pub(super) at_least: Option<RawUrgency>,
    /// Kinds of events, of those that are urgent enough; critical ones are sent whatever stands here. Default: all.
    pub(super) events: Option<Vec<RawEventKind>>,
    /// Component kinds, ids and patterns that it is for; events that are not about a component are sent all the same.
    /// Default: all.
    #[serde(default)]
    pub(super) components: Vec<String>,
}

words! {
    /// Kinds of channel.
    RawChannelType as "ChannelType", "type of channel" {
        /// JSON by POST.
        Webhook = "webhook",
        /// An incoming webhook of Slack, or of what takes the same.
        Slack = "slack",
        /// A webhook of Discord.
        Discord = "discord",
        /// A topic of ntfy.
        Ntfy = "ntfy",
        /// E-mail, where the program was built with it.
        Email = "email",
    }
}

words! {
    /// How urgent an event must be.
    RawUrgency as "Urgency", "urgency" {
        /// Everything.
        Regular = "regular",
        /// What somebody should look at.
        Warning = "warning",
        /// What needs a person.
        Critical = "critical",
        /// Holds that nobody acknowledged for long.
        Escalation = "escalation",
    }
}

words! {
    /// Kinds of events.
    RawEventKind as "EventKind", "kind of event" {
        /// A pull request was opened.
        Proposed = "proposed",
        /// It was merged.
        Merged = "merged",
        /// The cluster is healthy with it.
        Verified = "verified",
        /// It was reverted (critical).
        Reverted = "reverted",
        /// It could not be reverted (critical).
        RevertFailed = "revert_failed",
        /// It was stopped (critical).
        Held = "held",
        /// A hold that nobody acknowledged (critical).
        HoldUnacknowledged = "hold_unacknowledged",
        /// Its pull request was closed without being merged, or replaced.
        Abandoned = "abandoned",
        /// There is a newer version.
        UpdateFound = "update_found",
        /// A newer version fixes a known vulnerability (critical).
        SecurityUpdate = "security_update",
        /// So much was reverted that nothing more is proposed (critical).
        CircuitBreaker = "circuit_breaker",
        /// A backup of data failed (warning).
        BackupFailed = "backup_failed",
        /// Proposing and merging were stopped.
        MaintenanceBegan = "maintenance_began",
        /// Proposing and merging go on.
        MaintenanceEnded = "maintenance_ended",
        /// The program itself failed (warning).
        BotFailed = "bot_failed",
    }
}

/// Holds that nobody acknowledges (`gitops-updater acknowledge`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `repeat_every` and `escalate_after`")]
#[schemars(rename = "Holds")]
pub(super) struct RawHolds {
    /// They are told again every so often; `0s` is never. Default: `24h`, at least `10m`, at most `30d`.
    pub(super) repeat_every: Option<String>,
    /// After this time they go to the channels of `escalate_to`, too; `0s` is never. Default: `48h`, at most
    /// `30d`.
    pub(super) escalate_after: Option<String>,
    /// Names of channels. Default: those with `at_least: escalation`.
    pub(super) escalate_to: Option<Vec<String>>,
}

/// Numbers about passes, for Prometheus.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `push`")]
#[schemars(rename = "Metrics")]
pub(super) struct RawMetrics {
    /// Base URL of a Pushgateway that each pass sends its numbers to, such as `http://pushgateway.monitoring:9091`.
    /// Credentials are those of the host in `upstreams.hosts`. Default: none.
    pub(super) push: Option<String>,
    /// Name of the job there. Default: `gitops-updater`.
    pub(super) job: Option<String>,
}
