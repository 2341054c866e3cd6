//! The repository that a command writes to: its remote, its forge, and who acts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use super::access::{Access, Credential};
use super::error::CommandError;
use super::opened::configuration;
use super::{GlobalArgs, environment, switch};
use crate::app::forge::{ForgeError, ForgeErrorClass};
use crate::app::ports::Clock as _;
use crate::backup::{self, Backups};
use crate::clock::AnyClock;
use crate::config::{self, Config, ForgeKind, Host};
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::upstream::FailureClass;
use crate::forge::AnyForge;
use crate::forge::github::{Auth, GithubForge, GithubOptions, MachineTime, Place, TokenSupply, http};
use crate::forge::local::LocalForge;
use crate::repo;
use crate::repo::write::{
    self, HttpLimits, Person, Remote, SuppliesToken, WriteRepo, configured_url, https_form,
};
use crate::state::{self, StateStore};
use crate::telemetry::EVEN_QUIET;
use crate::upstream::credentials::{self, Credentials};

/// Where the API of github.com is.
const PUBLIC_API: &str = "api.github.com";
const PUBLIC: &str = "github.com";

/// Which repository, and which of its remotes.
#[derive(Debug, Args)]
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
    #[error("remote `{0}` is not a repository on GitHub")]
    NotOnGithub(String),
    #[error("there is no token for GitHub")]
    NoToken,
    #[error("cannot use the credentials for `{host}`")]
    Credentials { host: String, source: credentials::Error },
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
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
        let now = self.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
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
    /// whatever is configured.
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
        let config = configuration(path, global, &repository)?;
        drop(repository);
        let access = Access::from_environment(&config.upstreams, None);
        let clock = self.now.map_or(AnyClock::System, AnyClock::Fixed);
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
        // A bare repository has no configuration but that of its branch.
        let read_from = repo.work_dir().map_or(KillSwitch::BaseBranch, |_| KillSwitch::WorkTree);
        let stopped = switch::pulled(&config, global, read_from);
        Ok(Workplace { path: top, repo, forge, config, author, clock, stopped })
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
    let Some(shown) = repo.checked_out().filter(|name| !name.starts_with("gitops-updater/")) else {
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

fn no_github(forge: &config::Forge, url: Option<String>) -> CommandError {
    match url {
        None => CommandError::failed(Error::NoRemote(forge.remote.clone())),
        Some(url) if Place::of_remote(&url).is_none() => {
            let url = crate::upstream::redact::redact_text(&url);
            CommandError::failed(Error::NotOnGithub(url))
                .hint("use `forge: {kind: local}` in the configuration")
        }
        Some(_) => CommandError::failed(Error::NoToken)
            .hint("set `GITHUB_TOKEN`, or the variable that the configuration names"),
    }
}

/// What GitHub needs to be told; `None` where the remote is not there or nobody gave a token.
fn github(forge: &config::Forge, access: &Access, url: &str) -> Option<GithubOptions> {
    let of_remote = Place::of_remote(url)?;
    let place = match &forge.repository {
        Some((owner, name)) => Place { owner: owner.clone(), name: name.clone(), ..of_remote },
        None => of_remote,
    };
    let api_of_environment = access.github.as_ref().map(|(base, _)| base);
    // An Enterprise host is known by the API that the configuration, or GitHub Actions, names.
    let api = match (&forge.api_url, api_of_environment) {
        (Some(url), _) => Some(url.clone()),
        (None, Some(base)) if is_api_of(base, &place.host) => Some(base.clone()),
        _ if place.host == PUBLIC => None,
        _ => return None,
    };
    let auth = auth(forge, access, &place)?;
    let mut options = GithubOptions::new(place, auth)?;
    if let Some(api) = api {
        options.api = api;
    }
    Some(options)
}

fn is_api_of(base: &Url, host: &str) -> bool {
    match base.host_str() {
        Some(PUBLIC_API) => host == PUBLIC,
        Some(name) => {
            let authority = base.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
            authority == host
        }
        None => false,
    }
}

fn auth(forge: &config::Forge, access: &Access, place: &Place) -> Option<Auth> {
    let own = |variable: &str| environment::read(variable).map(SecretString::from);
    match &forge.identity {
        config::Identity::Token { variable: Some(variable) } => own(variable).map(Auth::Token),
        // The usual variables are for the usual API, not for whatever a repository names in its place.
        config::Identity::Token { variable: None } if !forge.trusts_api_url => None,
        config::Identity::Token { variable: None } => {
            let of_host = Host::read(&place.host).ok().and_then(|host| access.credentials.get(&host));
            match (of_host, &access.github) {
                (Some(Credential::Token(token)), _) => Some(Auth::Token(token.clone())),
                (_, Some((base, token))) if is_api_of(base, &place.host) => Some(Auth::Token(token.clone())),
                _ => None,
            }
        }
        config::Identity::App { private_key: None, .. } if !forge.trusts_api_url => None,
        config::Identity::App { id, installation, private_key } => {
            let variable = private_key.as_deref().unwrap_or("GITOPS_UPDATER_GITHUB_PRIVATE_KEY");
            let private_key = own(variable)?;
            Some(Auth::App { id: id.to_string(), private_key, installation: *installation })
        }
    }
}

/// The forge, and the remote that its token is good for.
fn with_github(
    options: GithubOptions,
    url: &str,
    config: &Config,
) -> Result<(Remote, GithubForge), CommandError> {
    let place = options.place.clone();
    let http = http().map_err(|error| CommandError::failed(Error::Client(error)))?;
    let forge = GithubForge::new(&http, Arc::new(MachineTime), options).map_err(CommandError::from)?;
    // A token in clear is only for hosts that the user said so of.
    let in_clear = Host::read(&place.host)
        .is_ok_and(|host| config.upstreams.hosts.get(&host).is_some_and(|host| host.credentials_by_http));
    let scheme = if in_clear && url.starts_with("http://") { "http" } else { "https" };
    let text = format!("{scheme}://{}/{}.git", place.host, place.full_name());
    let url = Url::parse(&text).map_err(|_| CommandError::failed(Error::NotOnGithub(text)))?;
    let tokens = Arc::new(GitTokens(forge.token_supply()));
    Ok((Remote::supplied(url, tokens, HttpLimits::default()), forge))
}

/// What the forge is asked with, for Git.
struct GitTokens(TokenSupply);

impl SuppliesToken for GitTokens {
    fn token(&self) -> Result<SecretString, write::Error> {
        self.0.token().map_err(|error| write::Error::Remote {
            class: match error.class {
                ForgeErrorClass::Transient => FailureClass::Transient,
                ForgeErrorClass::Permanent | ForgeErrorClass::Conflict => FailureClass::Permanent,
                ForgeErrorClass::NotFound => FailureClass::NotFound,
                ForgeErrorClass::Denied { .. } => FailureClass::Denied,
                ForgeErrorClass::RateLimited { reset } => FailureClass::RateLimited { reset },
            },
            message: error.message,
            hint: error.hint,
        })
    }
}

/// Credentials of the hosts that the configuration names, for a remote that a person named.
pub(super) fn git_credentials(config: &Config, access: &Access) -> Result<Credentials, CommandError> {
    let mut credentials = Credentials::new();
    for (host, credential) in &access.credentials {
        let by_http = config.upstreams.hosts.get(host).is_some_and(|settings| settings.credentials_by_http);
        let schemes: &[&str] = if by_http { &["https", "http"] } else { &["https"] };
        let credential = match credential {
            Credential::Token(token) => credentials::Credential::Bearer(token.clone()),
            Credential::Basic { username, password } => {
                credentials::Credential::Basic { username: username.clone(), password: password.clone() }
            }
        };
        for scheme in schemes {
            credentials.add(&format!("{scheme}://{host}"), credential.clone()).map_err(|source| {
                CommandError::configuration(Error::Credentials { host: host.to_string(), source })
            })?;
        }
    }
    Ok(credentials)
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
