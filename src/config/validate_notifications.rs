//! Says what the `notifications` and `metrics` blocks mean, and what a configuration that lies in the repository may
//! not ask for.

use std::collections::BTreeSet;

use super::Trust;
use super::notifications::{Address, Channel, ChannelKind, Metrics, Notifications, Secret};
use super::raw_notifications::{
    RawChannel, RawChannelType, RawEventKind, RawHolds, RawMetrics, RawNotifications, RawUrgency,
};
use super::tree::{Path, Step, shorten};
use super::upstreams::{is_variable, web_url};
use super::validate::{Checker, MAX_LIST, key};
use super::validate_upstreams::OUTSIDE;
use crate::domain::notice::{Kind, Reminders, Severity};

/// Most channels: what was told is kept for each of them.
const MAX_CHANNELS: usize = 10;
/// Most recipients of e-mail.
#[cfg(feature = "email")]
const MAX_RECIPIENTS: usize = 20;

impl Checker<'_> {
    pub(super) fn notifications(&mut self, raw: RawNotifications) -> Notifications {
        let top = key(&[], "notifications");
        let defaults = Notifications::default();
        let path = key(&top, "channels");
        if raw.channels.len() > MAX_CHANNELS {
            self.wrong(&path, format!("more than {MAX_CHANNELS} channels"));
            return defaults;
        }
        let names: BTreeSet<String> = raw.channels.keys().cloned().collect();
        let mut channels = vec![];
        for (name, raw) in raw.channels {
            let path = key(&path, &name);
            if !is_name(&name) {
                self.wrong(&path, "not a name of at most 32 lower-case letters, digits and `-`");
                continue;
            }
            channels.extend(self.channel(&path, name, raw));
        }
        let reminders = self.holds(&key(&top, "holds"), raw.holds, &names, &mut channels);
        let timeout = self.duration(&key(&top, "timeout"), raw.timeout.as_deref(), "2m");
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            self.wrong(&key(&top, "timeout"), "no time at all");
        }
        Notifications { channels, reminders, timeout: timeout.unwrap_or(defaults.timeout) }
    }

    fn channel(&mut self, path: &Path, name: String, raw: RawChannel) -> Option<Channel> {
        let prefix = format!("GITOPS_UPDATER_NOTIFY_{}_", name.to_ascii_uppercase().replace('-', "_"));
        let url = raw.url.and_then(|text| {
            let path = key(path, "url");
            let url = self.checked(&path, address(raw.kind, &text))?;
            if matches!(raw.kind, RawChannelType::Slack | RawChannelType::Discord)
                && self.origin.trust == Trust::Repository
            {
                // Who knows it can write there: it is not for everybody who reads the repository.
                self.wrong(&path, format!("an address that is a secret; name `{prefix}URL` as `url_env`"));
                return None;
            }
            Some(Address::Plain(url))
        });
        let from_variable = self.notify_secret(
            path,
            ("url_env", raw.url_env),
            ("url_file", raw.url_file),
            &format!("{prefix}URL"),
        );
        let address = match (url, from_variable.map(Address::Secret)) {
            (Some(_), Some(_)) => {
                self.wrong(path, "give one of `url`, `url_env` and `url_file`");
                None
            }
            (Some(address), None) | (None, Some(address)) => Some(address),
            (None, None) => {
                let given =
                    ["url", "url_env", "url_file"].iter().any(|field| self.is_given(&key(path, field)));
                if !given {
                    self.wrong(path, "`url`, `url_env` or `url_file` is missing");
                }
                None
            }
        };
        let signs = raw.secret_env.is_some() || raw.secret_file.is_some();
        let secret = self.notify_secret(
            path,
            ("secret_env", raw.secret_env),
            ("secret_file", raw.secret_file),
            &format!("{prefix}SECRET"),
        );
        if signs && raw.kind != RawChannelType::Webhook {
            self.wrong(path, "only messages to a `webhook` are signed");
        }
        let kind = match raw.kind {
            RawChannelType::Webhook => ChannelKind::Webhook { secret },
            RawChannelType::Slack => ChannelKind::Slack,
            RawChannelType::Discord => ChannelKind::Discord,
            RawChannelType::Ntfy => ChannelKind::Ntfy,
            RawChannelType::Email => self.email(path, raw.from.clone(), raw.to.clone())?,
        };
        if raw.kind != RawChannelType::Email {
            for (field, given) in [("from", raw.from.is_some()), ("to", !raw.to.is_empty())] {
                if given {
                    self.wrong(&key(path, field), "only for `email`");
                }
            }
        }
        let at_least = match raw.at_least.unwrap_or(RawUrgency::Warning) {
            RawUrgency::Regular => Some(Severity::Regular),
            RawUrgency::Warning => Some(Severity::Warning),
            RawUrgency::Critical => Some(Severity::Critical),
            RawUrgency::Escalation => None,
        };
        let selectors = key(path, "components");
        if raw.components.len() > MAX_LIST {
            self.wrong(&selectors, format!("more than {MAX_LIST} components"));
            return None;
        }
        let paths = self.item_paths(&selectors, raw.components.len());
        let named = raw.components.len();
        let components: Vec<_> =
            raw.components.iter().zip(&paths).filter_map(|(name, path)| self.selector(path, name)).collect();
        // A channel for components that were not understood must not become one for all.
        if components.len() != named {
            return None;
        }
        Some(Channel {
            name,
            kind,
            address: address?,
            at_least,
            events: raw.events.map(|events| events.into_iter().map(event_kind).collect()),
            components,
            escalation: at_least.is_none(),
        })
    }

    /// A secret by variable or by file. A configuration in the repository may only name the variable that the operator
    /// set for this very channel, and no file of the machine.
    fn notify_secret(
        &mut self,
        path: &Path,
        (env_field, variable): (&str, Option<String>),
        (file_field, file): (&str, Option<String>),
        own: &str,
    ) -> Option<Secret> {
        if variable.is_some() && file.is_some() {
            self.wrong(path, format!("give `{env_field}` or `{file_field}`, not both"));
            return None;
        }
        if let Some(file) = file {
            let path = key(path, file_field);
            match self.origin.folder {
                _ if self.origin.trust == Trust::Repository => {
                    self.wrong(&path, format!("reads a file of the machine; {OUTSIDE}"));
                    None
                }
                Some(folder) if !file.is_empty() && !file.contains('\0') => {
                    Some(Secret::File(folder.join(file)))
                }
                _ => {
                    self.wrong(&path, "not a file");
                    None
                }
            }
        } else {
            let name = variable?;
            let path = key(path, env_field);
            if !is_variable(&name) {
                self.wrong(
                    &path,
                    "not the name of an environment variable (the name, not the secret itself)",
                );
                None
            } else if self.origin.trust == Trust::Repository && name != own {
                self.wrong(
                    &path,
                    format!("a configuration in the repository may only name `{own}` here; {OUTSIDE}"),
                );
                None
            } else {
                Some(Secret::Variable(name))
            }
        }
    }

    #[cfg(not(feature = "email"))]
    fn email(&mut self, path: &Path, _: Option<String>, _: Vec<String>) -> Option<ChannelKind> {
        self.wrong(&key(path, "type"), "this program was built without e-mail (cargo feature `email`)");
        None
    }

    #[cfg(feature = "email")]
    fn email(&mut self, path: &Path, from: Option<String>, to: Vec<String>) -> Option<ChannelKind> {
        let Some(from) = from else {
            self.wrong(path, "`from` is missing");
            return None;
        };
        if !is_mailbox(&from) {
            self.wrong(&key(path, "from"), format!("`{}` is not an e-mail address", shorten(&from)));
        }
        if to.is_empty() || to.len() > MAX_RECIPIENTS {
            self.wrong(&key(path, "to"), format!("not 1 to {MAX_RECIPIENTS} e-mail addresses"));
            return None;
        }
        let paths = self.item_paths(&key(path, "to"), to.len());
        for (mailbox, path) in to.iter().zip(paths) {
            if !is_mailbox(mailbox) {
                self.wrong(&path, format!("`{}` is not an e-mail address", shorten(mailbox)));
            }
        }
        Some(ChannelKind::Email { from, to })
    }

    fn holds(
        &mut self,
        path: &Path,
        raw: RawHolds,
        names: &BTreeSet<String>,
        channels: &mut [Channel],
    ) -> Reminders {
        let defaults = Notifications::default().reminders;
        let repeat_every = self.duration(&key(path, "repeat_every"), raw.repeat_every.as_deref(), "30d");
        if repeat_every.is_some_and(|time| !time.is_zero() && time.as_secs() < 600) {
            self.wrong(&key(path, "repeat_every"), "shorter than `10m` (`0s` is never)");
        }
        let escalate_after =
            self.duration(&key(path, "escalate_after"), raw.escalate_after.as_deref(), "30d");
        if let Some(wanted) = raw.escalate_to {
            let list = key(path, "escalate_to");
            if wanted.len() > MAX_CHANNELS {
                self.wrong(&list, format!("more than {MAX_CHANNELS} channels"));
                return defaults;
            }
            let paths = self.item_paths(&list, wanted.len());
            for (name, path) in wanted.iter().zip(paths) {
                if !names.contains(name) {
                    self.wrong(&path, format!("there is no channel `{}`", shorten(name)));
                }
            }
            for channel in channels {
                channel.escalation = wanted.contains(&channel.name);
            }
        }
        Reminders {
            repeat_every: repeat_every.unwrap_or(defaults.repeat_every),
            escalate_after: escalate_after.unwrap_or(defaults.escalate_after),
        }
    }

    pub(super) fn metrics(&mut self, raw: RawMetrics) -> Metrics {
        let top = key(&[], "metrics");
        let push = raw.push.and_then(|text| {
            let path = key(&top, "push");
            let mut url = self.checked(&path, web_url(&text))?;
            if url.query().is_some() {
                self.wrong(&path, "a base URL without `?`");
                return None;
            }
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty();
            }
            Some(url)
        });
        let job = raw.job.filter(|job| {
            let plain = job.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            let fine = plain && !job.is_empty() && job.len() <= 100;
            if !fine {
                self.wrong(&key(&top, "job"), "not a name of letters, digits, `-`, `_` and `.`");
            }
            fine
        });
        Metrics { push, job: job.unwrap_or_else(|| Metrics::default().job) }
    }

    fn is_given(&self, path: &[Step]) -> bool {
        self.root
            .as_ref()
            .and_then(|root| super::validate::value_at(root, path))
            .is_some_and(|node| !node.is_null())
    }
}

/// The address of a channel that comes from the environment or a file.
pub(super) fn address_of(kind: &ChannelKind, text: &str) -> Result<url::Url, String> {
    let kind = match kind {
        ChannelKind::Webhook { .. } => RawChannelType::Webhook,
        ChannelKind::Slack => RawChannelType::Slack,
        ChannelKind::Discord => RawChannelType::Discord,
        ChannelKind::Ntfy => RawChannelType::Ntfy,
        #[cfg(feature = "email")]
        ChannelKind::Email { .. } => RawChannelType::Email,
    };
    address(kind, text)
}

/// The address of a channel.
fn address(kind: RawChannelType, text: &str) -> Result<url::Url, String> {
    if kind != RawChannelType::Email {
        let url = web_url(text)?;
        let no_topic = url.path_segments().is_none_or(|mut parts| parts.all(str::is_empty));
        if kind == RawChannelType::Ntfy && no_topic {
            return Err("no topic: write `https://ntfy.sh/my-topic`".to_owned());
        }
        return Ok(url);
    }
    let wrong = "not an address such as `smtps://mail.example.com` or `smtp://mail.example.com:587`";
    let url = url::Url::parse(text).map_err(|_| wrong.to_owned())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    match url.scheme() {
        "smtp" | "smtps" if plain && url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
        "smtp" | "smtps" if !plain => {
            Err("credentials in a URL; name environment variables under `upstreams.hosts` instead".to_owned())
        }
        _ => Err(wrong.to_owned()),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 32
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(feature = "email")]
fn is_mailbox(text: &str) -> bool {
    let fine = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>()[],;:\\\"@".contains(&b))
    };
    text.len() <= 200 && text.split_once('@').is_some_and(|(user, host)| fine(user) && fine(host))
}

fn event_kind(kind: RawEventKind) -> Kind {
    match kind {
        RawEventKind::Proposed => Kind::Proposed,
        RawEventKind::Merged => Kind::Merged,
        RawEventKind::Verified => Kind::Verified,
        RawEventKind::Reverted => Kind::Reverted,
        RawEventKind::RevertFailed => Kind::RevertFailed,
        RawEventKind::Held => Kind::Held,
        RawEventKind::HoldUnacknowledged => Kind::HoldUnacknowledged,
        RawEventKind::Abandoned => Kind::Abandoned,
        RawEventKind::UpdateFound => Kind::UpdateFound,
        RawEventKind::SecurityUpdate => Kind::SecurityUpdate,
        RawEventKind::CircuitBreaker => Kind::CircuitBreaker,
        RawEventKind::BackupFailed => Kind::BackupFailed,
        RawEventKind::MaintenanceBegan => Kind::MaintenanceBegan,
        RawEventKind::MaintenanceEnded => Kind::MaintenanceEnded,
        RawEventKind::BotFailed => Kind::BotFailed,
    }
}

#[cfg(test)]
mod tests;
