//! Arguments of every command that looks at a repository, and what they open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::builder::FalseyValueParser;
use jiff::Timestamp;

use super::access::{Access, default_cache_dir};
use super::error::CommandError;
use super::{GlobalArgs, adapters, load_named, repository_root, switch};
use crate::app::detect::{self, DetectRequest, Found};
use crate::app::ports::{Clock, Progress};
use crate::clock::AnyClock;
use crate::config::{self, Config, Origin, Trust};
use crate::domain::policy::circumstances::KillSwitch;
use crate::repo;
use crate::upstream::client::UpstreamClient;

/// What is looked at, and from where upstreams answer.
#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    /// Repository or folder
    #[arg(default_value = ".", value_name = "PATH")]
    pub(super) path: PathBuf,

    /// Read this revision (branch, tag, commit) instead of the working tree
    #[arg(long, value_name = "REV")]
    pub(super) rev: Option<String>,

    #[command(flatten)]
    cache: CacheArgs,

    /// Take TIME for now, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", env = "GITOPS_UPDATER_NOW", hide_env = true)]
    now: Option<Timestamp>,
}

/// Where answers of upstreams are kept.
#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    /// Keep answers of upstreams in DIR [default: ~/.cache/gitops-updater]
    #[arg(long, value_name = "DIR", env = "GITOPS_UPDATER_CACHE_DIR", hide_env = true)]
    cache_dir: Option<PathBuf>,

    /// Keep no answers and use none that were kept, whatever --cache-dir says
    #[arg(long, env = "GITOPS_UPDATER_NO_CACHE", hide_env = true, value_parser = FalseyValueParser::new())]
    no_cache: bool,
}

/// Why a command could not begin.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot open `{}`", path.display())]
    Path { path: PathBuf, source: std::io::Error },
    #[error("cannot start the threads that ask upstreams")]
    Runtime { source: std::io::Error },
}

/// A repository with its configuration, and the way to the upstreams.
#[derive(Debug)]
pub(super) struct Opened {
    /// As given, for messages.
    pub(super) path: PathBuf,
    /// What is read.
    pub(super) repository: repo::Repo,
    /// What is looked for.
    pub(super) request: DetectRequest,
    /// The clock of the machine, or the moment given by `--now`.
    pub(super) clock: AnyClock,
    access: Access,
}

impl ReadArgs {
    /// Opens the repository and reads its configuration.
    pub(super) fn open(&self, global: &GlobalArgs, deep: bool) -> Result<Opened, CommandError> {
        self.path
            .metadata()
            .map_err(|source| CommandError::failed(Error::Path { path: self.path.clone(), source }))?;
        let repository = repo::open(&self.path, self.rev.as_deref()).map_err(CommandError::failed)?;
        let clock = self.now.map_or(AnyClock::System, AnyClock::Fixed);
        let config = configuration(&self.path, global, &repository)?;
        let request = DetectRequest {
            path: self.path.clone(),
            rev: self.rev.clone(),
            config,
            offline: global.offline,
            components: global.components.clone(),
            deep,
            now: clock.now(),
        };
        self.cache.opened(repository, request, clock)
    }
}

impl CacheArgs {
    /// The way to the upstreams, for a repository and what is looked for in it.
    pub(super) fn opened(
        &self,
        repository: repo::Repo,
        request: DetectRequest,
        clock: AnyClock,
    ) -> Result<Opened, CommandError> {
        if self.no_cache && request.offline {
            return Err(CommandError::usage("--no-cache and --offline cannot be used together")
                .hint("--offline answers from the cache; leave --no-cache out"));
        }
        let cache_dir = if self.no_cache { None } else { self.cache_dir.clone().or_else(default_cache_dir) };
        let mut access = Access::from_environment(&request.config.upstreams, cache_dir);
        access.cache_is_named = self.cache_dir.is_some();
        for variable in &access.unset {
            tracing::warn!(
                variable = variable.as_str(),
                "environment variable named by the configuration is not set"
            );
        }
        Ok(Opened { path: request.path.clone(), repository, request, clock, access })
    }
}

impl Opened {
    /// What stops everything, as the configuration that is read or the environment has it.
    pub(super) fn kill_switch(&self, args: &ReadArgs, global: &GlobalArgs) -> Option<KillSwitch> {
        let read_from = match (&args.rev, self.repository.location()) {
            (Some(_), _) => KillSwitch::Revision,
            (None, repo::Location::Revision { .. }) => KillSwitch::BaseBranch,
            (None, _) => KillSwitch::WorkTree,
        };
        switch::pulled(&self.request.config, global, read_from)
    }

    /// Reads the repository on as many threads as there are cores.
    pub(super) fn read(&self) -> Result<Found, CommandError> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        detect::read(&self.repository, &self.request, threads).map_err(CommandError::failed)
    }

    /// The upstreams as configuration and environment have them.
    pub(super) fn upstreams(&self, progress: Arc<dyn Progress>) -> Result<UpstreamClient, CommandError> {
        adapters::upstreams(&self.request.config, self.request.offline, &self.access, self.clock, progress)
    }
}

/// Runs what waits for answers.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    runtime()?.block_on(work)
}

/// What waits for answers. Asking waits, it does not compute: large answers are read on threads of their own.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CommandError::failed(Error::Runtime { source }))
}

/// The configuration that `--config` names, else that of the folder, else that of the repository around it. Where a
/// revision is read (always so in a bare repository), it is that of the revision.
pub(super) fn configuration(
    path: &Path,
    global: &GlobalArgs,
    repository: &repo::Repo,
) -> Result<Config, CommandError> {
    if let Some(file) = &global.config {
        return load_named(file, path);
    }
    if let repo::Location::Revision { prefix, .. } = repository.location() {
        return configuration_of_revision(path, repository, prefix);
    }
    let root = repository_root(path);
    let folders: Vec<&Path> = [Some(path), root.as_deref()].into_iter().flatten().collect();
    match config::find(&folders) {
        Some(file) => Ok(config::load(&file, Some(root.as_deref().unwrap_or(path)))?),
        None => Ok(Config::default()),
    }
}

/// The configuration of the revision that is read, whatever file `--config` names.
pub(super) fn configuration_of_base(path: &Path, repository: &repo::Repo) -> Result<Config, CommandError> {
    match repository.location() {
        repo::Location::Revision { prefix, .. } => configuration_of_revision(path, repository, prefix),
        _ => Ok(Config::default()),
    }
}

/// The configuration that the revision itself holds, in the folder that is read or at its top. Only one that is not
/// there is as good as none: one that cannot be read may have said what must not be done. Folders that it names are those
/// of the work tree at `path`.
fn configuration_of_revision(
    path: &Path,
    repository: &repo::Repo,
    prefix: &str,
) -> Result<Config, CommandError> {
    // A bare repository in the work tree of another one has nothing there.
    let top = repo::top(path).ok().and_then(|top| top.canonicalize().ok());
    let root = top.filter(|top| top.join(".git").symlink_metadata().is_ok());
    let in_folder = format!("{prefix}/{}", config::FILE_NAME);
    let names = if prefix.is_empty() { vec![config::FILE_NAME] } else { vec![&in_folder, config::FILE_NAME] };
    for name in names {
        match repository.read(name) {
            Ok(bytes) => {
                let root = root.as_deref();
                let folder = root.map(|root| root.join(name.trim_end_matches(config::FILE_NAME)));
                let origin =
                    Origin { name, trust: Trust::Repository, folder: folder.as_deref(), repository: root };
                return Ok(config::from_bytes(bytes, &origin)?);
            }
            Err(repo::Error::Missing { .. }) => {}
            Err(error) => return Err(CommandError::configuration(error)),
        }
    }
    Ok(Config::default())
}
