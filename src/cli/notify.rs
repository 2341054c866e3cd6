//! `notify`, `acknowledge`, and the channels as configuration and environment have them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

use super::access::Access;
use super::error::{CommandError, Outcome};
use super::form;
use super::identity::git_credentials;
use super::opened::{block_on, runtime};
use super::updates::update;
use super::workplace::{PlaceArgs, Workplace, blocking};
use super::{GlobalArgs, environment};
use crate::app::effects::Witness;
use crate::app::notify::{self, Delivered, Event, Kind, Telling};
use crate::app::pass::{Failure, chain};
use crate::config::{self, Config, Secret};
use crate::domain::notice::Acknowledged;
use crate::domain::state::{Stage, State};
use crate::notify::{Address, Channel, ChannelKind, Channels};
use crate::repo::printable;
use crate::state::Transition;
use crate::upstream::retry::Policy;

/// Most bytes of a file that holds a secret.
const SECRET_LIMIT: u64 = 16 << 10;
/// The longest wait that a channel may ask for before the next pass is left to try again.
const LONGEST_PAUSE: std::time::Duration = std::time::Duration::from_secs(20);

/// Try the channels that people are told by
#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    Test(TestArgs),
}

/// Send a test message to channels of the configuration; nothing is recorded
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// Name of a channel (repeatable) [default: all]
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
}

/// Say that you have seen held updates, so that nobody is told of them again
#[derive(Debug, Args)]
pub(super) struct AcknowledgeArgs {
    /// Update id, as `gitops-updater status` shows it
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,

    /// Repository
    #[arg(short = 'C', long = "repository", value_name = "PATH", default_value = ".")]
    path: PathBuf,

    /// Remote by name, URL or path instead of the configured one; `.` is the repository itself
    #[arg(long, value_name = "REMOTE", env = "GITOPS_UPDATER_REMOTE", hide_env = true)]
    remote: Option<String>,

    /// Take TIME for now, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", env = "GITOPS_UPDATER_NOW", hide_env = true)]
    now: Option<Timestamp>,

    /// Who says so [default: `user.name` of Git]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the configuration has no channels")]
    NoChannels,
    #[error("there is no channel `{0}`")]
    Unknown(String),
    #[error("update `{0}` is not held")]
    NotHeld(String),
    #[error("cannot read the {part} of channel `{channel}`: {fault}")]
    Secret { channel: String, part: Part, fault: Fault },
    #[error("cannot set up HTTP for the channels")]
    Http(#[source] crate::upstream::http::Error),
}

/// What of a channel is secret.
#[derive(Debug, Clone, Copy)]
enum Part {
    Address,
    Key,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Key => "key",
        })
    }
}

/// What is wrong with a secret: where it should be, never what it is.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("`${variable}` is not set")]
    Unset { variable: String },
    #[error("`${variable}` holds no address")]
    Variable { variable: String },
    #[error("`{}` is empty", path.display())]
    Empty { path: PathBuf },
    #[error("`{}` holds no address", path.display())]
    File { path: PathBuf },
    #[error("`{}`: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
}

impl Error {
    /// What to do next, where that is known.
    fn next(&self) -> Option<&'static str> {
        let Self::Secret { part, fault, .. } = self else { return None };
        Some(match (part, fault) {
            (Part::Address, Fault::Unset { .. }) => "set it, or name a file with `url_file`",
            (Part::Key, Fault::Unset { .. }) => "set it, or name a file with `secret_file`",
            (_, Fault::Empty { .. } | Fault::Read { .. }) => "check that the secret is mounted, and readable",
            (_, Fault::Variable { .. } | Fault::File { .. }) => "write the whole URL that the service gave",
        })
    }
}

/// As scripts read it.
#[derive(Serialize)]
struct Shown {
    schema: &'static str,
    channels: Vec<Tried>,
}

#[derive(Serialize)]
struct Tried {
    channel: String,
    sent: bool,
    reason: Option<String>,
}

pub(super) fn run(command: &NotifyCommand, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    match command {
        NotifyCommand::Test(args) => test(args, global),
    }
}

fn test(args: &TestArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let runtime = runtime()?;
    let place = runtime.block_on(args.place.open(global))?;
    let known: Vec<&str> =
        place.config.notifications.channels.iter().map(|channel| channel.name.as_str()).collect();
    if known.is_empty() {
        return Err(CommandError::failed(Error::NoChannels)
            .hint("name them under `notifications.channels` in the configuration"));
    }
    for wanted in &args.channels {
        if !known.contains(&wanted.as_str()) {
            return Err(CommandError::usage(Error::Unknown(wanted.clone()))
                .hint(format!("there are: {}", known.join(", "))));
        }
    }
    let chosen: Vec<&str> = known
        .into_iter()
        .filter(|name| args.channels.is_empty() || args.channels.iter().any(|wanted| wanted == name))
        .collect();
    let (channels, missing) = channels(&place.config, &place)?;
    let tried = notify::test(&channels, &chosen, &runtime, place.now());
    let channels: Vec<Tried> = tried
        .into_iter()
        .map(|(channel, sent)| {
            let reason = missing.iter().find(|(name, _)| *name == channel).map(|(_, reason)| reason.clone());
            Tried {
                sent: sent.is_ok(),
                reason: sent.err().map(|error| reason.unwrap_or(error.reason)),
                channel,
            }
        })
        .collect();
    let all = channels.iter().all(|tried| tried.sent);
    let shown = Shown { schema: "gitops-updater/notify-test/v1", channels };
    let text = || {
        let line = |tried: &Tried| match &tried.reason {
            None => format!("{}: sent\n", tried.channel),
            Some(reason) => format!("{}: not sent: {}\n", tried.channel, printable(reason)),
        };
        shown.channels.iter().map(line).collect()
    };
    form::write(global, &shown, text)?;
    Ok(if all { Outcome::Done } else { Outcome::Incomplete })
}

pub(super) fn acknowledge(args: &AcknowledgeArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    #[derive(Serialize)]
    struct Shown<'a> {
        schema: &'static str,
        acknowledged: &'a [String],
        by: &'a str,
    }
    form::check(global)?;
    block_on(async {
        let (path, remote) = (args.path.clone(), args.remote.clone());
        let place = PlaceArgs { path, remote, now: args.now, is_quiet: false }.open(global).await?;
        let by = args.by.clone().unwrap_or_else(|| place.person().name);
        let (store, now) = (place.state(), place.now());
        let loaded = {
            let store = store.clone();
            blocking(move || store.load()).await?
        };
        loaded.may_build()?;
        // All or none, as far as can be known before.
        for id in &args.ids {
            if update(&loaded.state, id)?.stage != Stage::Held {
                return Err(CommandError::failed(Error::NotHeld(id.clone()))
                    .hint("only what is held asks for a person: `gitops-updater status` shows it"));
            }
        }
        let (ids, who) = (args.ids.clone(), by.clone());
        blocking(move || {
            store.change(now, |state| {
                let mut changed = false;
                for id in ids.iter().filter(|id| state.updates.contains_key(*id)) {
                    let since = state.updates.get(id).map(|update| update.changed_at);
                    // Saying it again changes nothing.
                    if state.told.acknowledged.get(id).is_some_and(|known| Some(known.at) >= since) {
                        continue;
                    }
                    let acknowledged = Acknowledged { by: who.clone(), at: now };
                    state.told.acknowledged.insert(id.clone(), acknowledged);
                    changed = true;
                }
                changed.then(|| {
                    Transition::new(format!("Acknowledge {}", ids.join(", "))).because(format!("by {who}"))
                })
            })
        })
        .await?;
        let shown = Shown { schema: "gitops-updater/acknowledge/v1", acknowledged: &args.ids, by: &by };
        let text = || {
            let line = |id: &String| format!("{} is acknowledged by {}\n", printable(id), printable(&by));
            args.ids.iter().map(line).collect()
        };
        form::write(global, &shown, text)
    })
}

/// What failed for single updates, but for what `events` tell already by an event of its own.
pub(super) fn of_failures(failures: &[Failure], events: &[Event], now: Timestamp) -> Vec<Event> {
    let is_told = |component: &str| {
        let of_it =
            |event: &&Event| event.subject.as_ref().is_some_and(|subject| subject.component == component);
        events.iter().filter(of_it).any(|event| matches!(event.kind, Kind::BackupFailed | Kind::RevertFailed))
    };
    let untold = failures.iter().filter(|failed| !is_told(&failed.component));
    let event = |failed: &Failure| {
        let said = format!("{}: {}", failed.component, chain(&failed.error));
        failure(&failed.component, said, failed.error.hint(), now)
    };
    untold.map(event).collect()
}

/// A pass failed as a whole.
pub(super) fn of_error(error: &CommandError, now: Timestamp) -> Event {
    let said = format!("a pass failed: {}", chain(error.source.as_ref()));
    failure("pass", said, error.hints.first().cloned(), now)
}

fn failure(name: &str, said: String, hint: Option<String>, now: Timestamp) -> Event {
    // The same failure again the same day is no news.
    let day = now.strftime("%Y-%m-%d");
    Event::new(Kind::BotFailed, &format!("{name}/{day}"), said, now).then(hint)
}

/// The people that a pass tells of what became of updates.
pub(super) struct People<'a> {
    pub(super) config: &'a Config,
    pub(super) place: &'a Workplace,
    pub(super) runtime: &'a tokio::runtime::Runtime,
    pub(super) witness: &'a dyn Witness,
}

impl People<'_> {
    /// Tells what the state and a pass have to tell, each event once. `links` are the pages of pull requests.
    pub(super) fn tell(
        &self,
        state: &State,
        events: Vec<Event>,
        links: &BTreeMap<u64, String>,
    ) -> Result<Delivered, CommandError> {
        if self.config.notifications.channels.is_empty() {
            return Ok(Delivered::default());
        }
        let (channels, _) = channels(self.config, self.place)?;
        let telling = Telling {
            config: &self.config.notifications,
            messenger: &channels,
            store: &self.place.state(),
            witness: self.witness,
            runtime: self.runtime,
            begun: self.place.begun,
            now: self.place.now(),
        };
        telling.tell(state, events, links).map_err(CommandError::failed)
    }
}

/// Channels, and those that cannot be sent to with the reason: one that lacks its secret must not keep the others, let
/// alone a pass, from their work.
pub(super) fn channels(
    config: &Config,
    place: &Workplace,
) -> Result<(Channels, Vec<(String, String)>), CommandError> {
    let settings = &config.notifications;
    let mut list = Vec::new();
    let mut missing = Vec::new();
    for channel in &settings.channels {
        match one(channel) {
            Ok(channel) => list.push(channel),
            Err(error) => {
                let next = error.next().map(|next| format!("; {next}")).unwrap_or_default();
                let reason = format!("{error}{next}");
                tracing::warn!(channel = channel.name.as_str(), reason, "channel cannot be used");
                missing.push((channel.name.clone(), reason));
            }
        }
    }
    let access = Access::from_environment(&config.upstreams, None);
    let credentials = git_credentials(config, &access)?;
    let retry = Policy { longest_pause: LONGEST_PAUSE, ..Policy::times(config.upstreams.retries) };
    let repository = repository_name(place);
    let channels = Channels::new(list, credentials, repository, settings.timeout, Some(retry))
        .map_err(|source| CommandError::failed(Error::Http(source)))?;
    Ok((channels, missing))
}

fn one(channel: &config::NotifyChannel) -> Result<Channel, Error> {
    let wrong = |part, fault| Error::Secret { channel: channel.name.clone(), part, fault };
    let secret = |part, secret: &Secret| read(secret).map_err(|fault| wrong(part, fault));
    let address = match &channel.address {
        config::Address::Plain(url) => url.clone(),
        config::Address::Secret(named) => {
            let text = secret(Part::Address, named)?;
            config::channel_address(&channel.kind, text.trim())
                .map_err(|_| wrong(Part::Address, unfit(named)))?
        }
    };
    let kind = match &channel.kind {
        config::ChannelKind::Webhook { secret: key } => ChannelKind::Webhook {
            // Without its key a message would go out unsigned.
            secret: key.as_ref().map(|key| secret(Part::Key, key)).transpose()?.map(SecretString::from),
        },
        config::ChannelKind::Slack => ChannelKind::Slack,
        config::ChannelKind::Discord => ChannelKind::Discord,
        config::ChannelKind::Ntfy => ChannelKind::Ntfy,
        #[cfg(feature = "email")]
        config::ChannelKind::Email { from, to } => ChannelKind::Email { from: from.clone(), to: to.clone() },
    };
    Ok(Channel { name: channel.name.clone(), kind, address: Address::from(address) })
}

/// The text of a secret, without line ends.
fn read(secret: &Secret) -> Result<String, Fault> {
    let text = match secret {
        Secret::Variable(name) => environment::read(name).unwrap_or_default(),
        Secret::File(path) => file(path)?,
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if !text.is_empty() {
        return Ok(text.to_owned());
    }
    Err(match secret {
        Secret::Variable(variable) => Fault::Unset { variable: variable.clone() },
        Secret::File(path) => Fault::Empty { path: path.clone() },
    })
}

fn file(path: &Path) -> Result<String, Fault> {
    let failed = |source| Fault::Read { path: path.to_owned(), source };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_LIMIT).read_to_string(&mut text))
        .map_err(failed)?;
    Ok(text)
}

fn unfit(secret: &Secret) -> Fault {
    match secret {
        Secret::Variable(variable) => Fault::Variable { variable: variable.clone() },
        Secret::File(path) => Fault::File { path: path.clone() },
    }
}

/// `owner/name`, or the name of the folder.
fn repository_name(place: &Workplace) -> String {
    let shown = place.repo.remote().shown();
    let of_url = url::Url::parse(&shown).ok().filter(url::Url::has_host);
    let name = match of_url {
        Some(url) => url.path().trim_matches('/').to_owned(),
        None => {
            let folder = place.repo.work_dir().unwrap_or_else(|| place.repo.git_dir());
            folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
    };
    name.strip_suffix(".git").map(str::to_owned).unwrap_or(name)
}
