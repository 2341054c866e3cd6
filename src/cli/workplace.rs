//! The repository that a command writes to: its remote, its forge, and who acts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;

use super::access::Access;
use super::error::{CommandError, ErrorKind};
use super::identity::{PUBLIC, git_credentials, github, no_github, with_github};
use super::opened::configuration;
use super::{GlobalArgs, switch};
use crate::app::forge::ForgeError;
use crate::app::ports::Clock as _;
use crate::backup::{self, Backups};
use crate::clock::AnyClock;
use crate::config::{self, Config, ForgeKind};
use crate::domain::message::BRANCH_PREFIX;
use crate::domain::policy::circumstances::KillSwitch;
use crate::forge::AnyForge;
use crate::forge::github::Place;
use crate::forge::local::LocalForge;
use crate::repo;
use crate::repo::write::{self, HttpLimits, Person, Remote, WriteRepo, configured_url, https_form};
use crate::state::{self, StateStore};
use crate::telemetry::EVEN_QUIET;

/// Which repository, and which of its remotes.
#[derive(Debug, Clone, Args)]
pub(super) struct PlaceArgs {
    /// Repository; in a folder of it, the whole repository is meant
    #[arg(default_value = ".", value_name = "PATH")]
    pub(super) path: PathBuf,

    /// Remote by name, URL or path instead of the configured one; `.` is the repository itself
    #[arg(long, value_name = "REMOTE", env = "GITOPS_UPDATER_REMOTE", hide_env = true)]
    pub(super) remote: Option<String>,

    /// Take TIME for now, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", env = "GITOPS_UPDATER_NOW", hide_env = true)]
    pub(super) now: Option<Timestamp>,

    /// Nobody needs to be told where pull requests are kept.
    #[arg(skip)]
    pub(super) is_quiet: bool,
}

/// Why a command could not begin.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot open `{}`", path.display())]
    Path { path: PathBuf, source: std::io::Error },
    #[error("there is no remote `{0}`")]
    NoRemote(String),
}

/// A repository to write to, and all that is kept beside it.
pub(super) struct Workplace {
    /// The top of its work tree; where there is none, as given.
    pub(super) path: PathBuf,
    /// The repository and its remote.
    pub(super) repo: Arc<WriteRepo>,
    /// Where pull requests live.
    pub(super) forge: AnyForge,
    /// The configuration.
    pub(super) config: Config,
    /// Who the bot commits as.
    pub(super) author: Person,
    /// The clock of the machine, or the moment given by `--now`.
    pub(super) clock: AnyClock,
    /// When it was opened, in whole seconds.
    pub(super) begun: Timestamp,
    /// What of this clone, of the command line or of the environment stops everything.
    pub(super) stopped: Option<KillSwitch>,
}

impl Workplace {
    /// The state at the remote.
    pub(super) fn state(&self) -> StateStore {
        StateStore::new(self.repo.clone(), self.author.clone())
    }

    /// The backup points at the remote.
    pub(super) fn backups(&self) -> Backups {
        Backups::new(self.repo.clone(), self.author.clone())
    }

    /// Now, in whole seconds: it is written into records and read by people.
    pub(super) fn now(&self) -> Timestamp {
        in_seconds(self.clock.now())
    }

    /// The branch that pull requests are made for.
    pub(super) fn base_branch(&self, refs: &write::RemoteRefs) -> Option<String> {
        self.config.forge.base_branch.clone().or_else(|| refs.default_branch.clone())
    }

    /// The person at the keyboard as Git knows them, for what is done by hand; else the bot.
    pub(super) fn person(&self) -> Person {
        self.repo.configured_person().unwrap_or_else(|| self.author.clone())
    }

    /// The local forge, used by a person; `None` where pull requests live elsewhere.
    pub(super) fn local_forge(&self) -> Option<LocalForge> {
        matches!(self.forge, AnyForge::Local(_))
            .then(|| LocalForge::new(self.repo.clone(), self.person(), Arc::new(self.clock)))
    }
}

impl PlaceArgs {
    /// The clock of the machine, or the moment given by `--now`.
    pub(super) fn clock(&self) -> AnyClock {
        self.now.map_or(AnyClock::System, AnyClock::Fixed)
    }

    /// Looks at a repository for a command that does not write to it; without the network only at the clone itself.
    pub(super) fn quietly(path: &Path, now: Timestamp, offline: bool) -> Self {
        let remote = offline.then(|| ".".to_owned());
        Self { path: path.to_owned(), remote, now: Some(now), is_quiet: true }
    }

    /// Opens the repository, its remote and its forge as arguments, configuration and environment have them.
    pub(super) async fn open(&self, global: &GlobalArgs) -> Result<Workplace, CommandError> {
        self.opened(global, false).await
    }

    /// The same for what must work without a forge: with the remote `.` nothing but the repository itself is used,
    /// whatever is configured, and also where the configuration cannot be read.
    pub(super) async fn open_without_forge(&self, global: &GlobalArgs) -> Result<Workplace, CommandError> {
        self.opened(global, self.remote.as_deref() == Some(".")).await
    }

    async fn opened(&self, global: &GlobalArgs, alone: bool) -> Result<Workplace, CommandError> {
        let given = self.path.as_path();
        given
            .metadata()
            .map_err(|source| CommandError::failed(Error::Path { path: given.to_owned(), source }))?;
        // What is recorded, and what is proposed next, is a matter of the whole repository.
        let top = repo::top(given).map_err(CommandError::failed)?;
        let path = top.as_path();
        let repository = repo::open(path, None).map_err(CommandError::failed)?;
        let config = match configuration(path, global, &repository) {
            // Whoever works with the repository alone needs none: nothing leaves it.
            Err(error) if alone && global.config.is_none() && error.kind == ErrorKind::Configuration => {
                let first = error.details.first().cloned().unwrap_or_else(|| error.source.to_string());
                tracing::warn!(
                    target: EVEN_QUIET,
                    reason = first,
                    "the configuration cannot be read, and none is used: branch and remote are those of this clone; \
                     `--config FILE` names another one"
                );
                Config::default()
            }
            read => read?,
        };
        drop(repository);
        let access = Access::from_environment(&config.upstreams, None);
        let clock = self.now.map_or(AnyClock::System, AnyClock::Fixed);
        let begun = in_seconds(clock.now());
        let author = Person { name: config.commits.name.clone(), email: config.commits.email.clone() };
        let url = self.remote_url(&config.forge, path)?;
        let github = url.as_deref().and_then(|url| github(&config.forge, &access, url));
        let kind = if alone { ForgeKind::Local } else { config.forge.kind };
        // Who names a remote means it, be it by the flag or in the configuration. Without a token, GitHub itself is
        // no place to push to.
        let is_public = |url: &String| Place::of_remote(url).is_some_and(|place| place.host == PUBLIC);
        let is_meant = self.remote.is_some()
            || config.forge.remote_is_named
                && (config.forge.kind == ForgeKind::Local || !url.as_ref().is_some_and(is_public));
        let elsewhere = url.clone().filter(|_| !is_meant);
        let (remote, forge) = match (kind, github, is_meant, url) {
            (ForgeKind::Github, None, _, url) => return Err(no_github(&config.forge, url)),
            (ForgeKind::Auto | ForgeKind::Github, Some(options), _, Some(url)) => {
                let (remote, forge) = with_github(options, &url, &config)?;
                (remote, Some(forge))
            }
            (_, _, true, Some(url)) => {
                let remote = Remote::read(&url, git_credentials(&config, &access)?, HttpLimits::default());
                (remote.map_err(CommandError::from)?, None)
            }
            _ => (Remote::own(), None),
        };
        if let (Some(elsewhere), None, false) = (&elsewhere, &forge, self.is_quiet) {
            let name = &config.forge.remote;
            let next = match &config.forge.api_url {
                // The usual variables are for the usual API.
                Some(_) => {
                    "`forge: {token_env: NAME}` names the variable of the token for `api_url`".to_owned()
                }
                None => format!("`--remote {name}` or `forge: {{remote: {name}}}` keeps them there"),
            };
            tracing::warn!(
                target: EVEN_QUIET,
                remote = %crate::upstream::redact::redact_text(elsewhere),
                "pull requests are kept in this clone alone: `{name}` is not a GitHub that there is a token for; {next}"
            );
        }
        let repo = Arc::new(WriteRepo::open(path, remote).map_err(CommandError::from)?);
        let forge = match forge {
            Some(forge) => AnyForge::Github(Box::new(forge)),
            None => AnyForge::Local(LocalForge::new(repo.clone(), author.clone(), Arc::new(clock))),
        };
        if !self.is_quiet && config.forge.base_branch.is_none() && repo.remote().is_own() {
            tell_other_branch(&repo)?;
        }
        tracing::debug!(remote = %repo.remote().shown(), "the remote that refs are moved at");
        // Without a work tree it is the configuration of a branch as it was when that was fetched last. Whether it stops
        // anything today, the base branch at the remote says. In a work tree a person who switches everything off need not
        // know which file the program is given.
        let stopped = match repo.work_dir() {
            None if global.config.is_none() => switch::by_environment(),
            None => switch::pulled(&config, global, KillSwitch::WorkTree),
            Some(folder) => match switch::pulled(&config, global, KillSwitch::WorkTree) {
                None if global.config.is_some() => switch::by_work_tree(folder),
                stopped => stopped,
            },
        };
        Ok(Workplace { path: top, repo, forge, config, author, clock, begun, stopped })
    }

    /// URL or path of the remote; `None` = the repository itself.
    fn remote_url(&self, forge: &config::Forge, path: &Path) -> Result<Option<String>, CommandError> {
        let url = |name: &str| configured_url(path, name).map_err(CommandError::from);
        match self.remote.as_deref() {
            Some(".") => Ok(None),
            Some(text) if text.contains(['/', ':']) => Ok(Some(https_form(text))),
            Some(name) => match url(name)? {
                Some(url) => Ok(Some(https_form(&url))),
                None => Err(CommandError::failed(Error::NoRemote(name.to_owned()))
                    .hint("`git remote -v` lists them; a path needs a `/` in it")),
            },
            None if forge.kind == ForgeKind::Local && !forge.remote_is_named => Ok(None),
            None => Ok(url(&forge.remote)?.map(|url| https_form(&url))),
        }
    }
}

/// Pull requests stay for the branch that they were made for, whatever a person looks at meanwhile.
fn tell_other_branch(repo: &WriteRepo) -> Result<(), CommandError> {
    let Some(shown) = repo.checked_out().filter(|name| !name.starts_with(BRANCH_PREFIX)) else {
        return Ok(());
    };
    if let Some(base) = repo.refs().map_err(CommandError::from)?.default_branch.filter(|base| *base != shown)
    {
        tracing::warn!(
            target: EVEN_QUIET,
            base = base.as_str(),
            checked_out = shown.as_str(),
            "pull requests are for another branch than the one that is checked out; `forge: {{base_branch: …}}` in the \
             configuration names one"
        );
    }
    Ok(())
}

/// Makes `path` a bare clone of `url`. Who we are there is said by the environment and a configuration that is named
/// with `--config`: the repository's own is not here yet.
pub(super) async fn clone(path: &Path, url: &str, global: &GlobalArgs) -> Result<(), CommandError> {
    let config = match &global.config {
        Some(file) => super::load_named(file, path)?,
        None => Config::default(),
    };
    let access = Access::from_environment(&config.upstreams, None);
    let url = https_form(url);
    let remote = match github(&config.forge, &access, &url) {
        Some(options) => with_github(options, &url, &config)?.0,
        None => Remote::read(&url, git_credentials(&config, &access)?, HttpLimits::default())
            .map_err(CommandError::from)?,
    };
    let (path, branch) = (path.to_owned(), config.forge.base_branch.clone());
    // As it may be read by whoever sees the folder.
    let origin = crate::upstream::redact::redact_text(&url);
    blocking(move || write::clone_bare(&path, &origin, remote, branch.as_deref())).await
}

fn in_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn hinted(error: CommandError, hint: Option<String>) -> CommandError {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

impl From<write::Error> for CommandError {
    fn from(error: write::Error) -> Self {
        let hint = error.hint();
        hinted(Self::failed(error), hint)
    }
}

impl From<state::Error> for CommandError {
    fn from(error: state::Error) -> Self {
        let hint = error.hint();
        hinted(Self::failed(error), hint)
    }
}

impl From<backup::Error> for CommandError {
    fn from(error: backup::Error) -> Self {
        let hint = error.hint();
        let error = match error {
            backup::Error::Id { .. } => Self::usage(error),
            _ => Self::failed(error),
        };
        hinted(error, hint)
    }
}

impl From<ForgeError> for CommandError {
    fn from(error: ForgeError) -> Self {
        let hint = error.hint.clone();
        hinted(Self::failed(error), hint)
    }
}

/// Lets work that may block be done where it may.
pub(super) async fn blocking<T: Send + 'static, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, CommandError>
where
    E: Send + 'static,
    CommandError: From<E>,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(CommandError::from),
        Err(_) => Err(CommandError::failed(
            "cannot finish: the work was given up; this is a defect, please report it",
        )),
    }
}
