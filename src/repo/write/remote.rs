//! The remote: which refs it has, and bringing their objects here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{AutotagOption, Direction, FetchOptions, Repository};
use url::Url;

use super::http::{HttpLimits, HttpRemote, SuppliesToken, session_remote};
use super::{Error, Id, WriteRepo, local};
use crate::domain::upstream::FailureClass;
use crate::repo::printable;
use crate::upstream::credentials::Credentials;
use crate::upstream::redact::redact_text;

/// Where refs are moved.
#[derive(Clone)]
pub struct Remote(pub(super) Place);

#[derive(Clone)]
pub(super) enum Place {
    /// The repository itself.
    Own,
    /// Another repository on this machine.
    Path(PathBuf),
    Http(HttpRemote),
}

/// The refs of a remote as they were at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteRefs {
    /// Name of the default branch without `refs/heads/`, where the remote says one.
    pub default_branch: Option<String>,
    /// Full names and what they point to: commits, or tag objects where tags are annotated.
    pub refs: BTreeMap<String, Id>,
}

impl RemoteRefs {
    /// Where a branch is.
    pub fn branch(&self, name: &str) -> Option<Id> {
        self.refs.get(&format!("refs/heads/{name}")).copied()
    }

    /// Refs whose full name begins with `prefix`, with what comes after it.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, Id)> {
        self.refs
            .range(prefix.to_owned()..)
            .map_while(move |(name, id)| Some((name.strip_prefix(prefix)?, *id)))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.shown()).finish()
    }
}

impl Remote {
    /// The repository itself: what is pushed is there.
    pub fn own() -> Self {
        Self(Place::Own)
    }

    /// Another repository on this machine.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self(Place::Path(path.into()))
    }

    /// A remote over HTTP; `credentials` are sent to the hosts that they are for, a user in the URL is not.
    pub fn http(url: Url, credentials: Credentials, limits: HttpLimits) -> Self {
        Self(Place::Http(HttpRemote::new(url, credentials, limits)))
    }

    /// The same, where what is sent to the remote is asked for anew with each conversation.
    pub fn supplied(url: Url, tokens: Arc<dyn SuppliesToken>, limits: HttpLimits) -> Self {
        Self(Place::Http(HttpRemote::new(url, Credentials::new(), limits).supplied_by(tokens)))
    }

    /// What people write as a remote: an `http` or `https` URL, a `file` URL, or a path.
    ///
    /// # Errors
    ///
    /// Other schemes, `ssh` among them: there is no key agent in a pipeline, and a token does for `https`.
    pub fn read(text: &str, credentials: Credentials, limits: HttpLimits) -> Result<Self, Error> {
        let refused = |why| Error::RemoteName { remote: redact_text(text), why };
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Ok(Self::http(url, credentials, limits))
            }
            Ok(url) if url.scheme() == "file" => {
                url.to_file_path().map(Self::path).map_err(|()| refused("it names no folder of this machine"))
            }
            Ok(url) if url.has_host() => {
                Err(refused("only http, https and file URLs and paths are; use the https form"))
            }
            _ if is_scp(text) => Err(refused("ssh is not spoken here; use the https form")),
            _ if text.is_empty() => Err(refused("it is empty")),
            _ => Ok(Self::path(text)),
        }
    }

    /// Whether this is the repository itself.
    pub fn is_own(&self) -> bool {
        matches!(self.0, Place::Own)
    }

    /// Whether the refs of one push move together or not at all. A server over HTTP decides for each.
    pub fn is_atomic(&self) -> bool {
        matches!(self.0, Place::Own | Place::Path(_))
    }

    /// The URL, where it is one over HTTP; without user.
    pub fn url(&self) -> Option<&Url> {
        match &self.0 {
            Place::Http(remote) => Some(remote.url()),
            Place::Own | Place::Path(_) => None,
        }
    }

    /// For people; without credentials.
    pub fn shown(&self) -> String {
        match &self.0 {
            Place::Own => "the repository itself".to_owned(),
            Place::Path(path) => path.display().to_string(),
            Place::Http(remote) => remote.shown(),
        }
    }
}

/// `user@host:path`, as ssh is written for Git.
fn is_scp(text: &str) -> bool {
    match (text.find(':'), text.find('/')) {
        (Some(colon), Some(slash)) => colon < slash,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// The web form of a remote that is reached by ssh: `git@host:owner/name.git` and `ssh://git@host/owner/name.git` become
/// `https://host/owner/name.git`; any other text stays.
pub fn https_form(text: &str) -> String {
    if let Ok(url) = Url::parse(text) {
        return match (url.scheme(), url.host_str()) {
            ("ssh" | "git+ssh" | "ssh+git", Some(host)) => format!("https://{host}{}", url.path()),
            _ => text.to_owned(),
        };
    }
    match text.split_once(':') {
        Some((host, path)) if is_scp(text) && !path.is_empty() => {
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("https://{host}/{}", path.trim_start_matches('/'))
        }
        _ => text.to_owned(),
    }
}

/// The URL of a remote as the repository's own configuration has it; `None` where there is no such remote.
///
/// # Errors
///
/// The repository cannot be opened.
pub fn configured_url(path: &Path, remote: &str) -> Result<Option<String>, Error> {
    super::http::prepare()?;
    let repository = super::store::open_at(path)?;
    let url = repository.config().and_then(|config| config.open_level(git2::ConfigLevel::Local)).and_then(
        |mut config| config.snapshot()?.get_str(&format!("remote.{remote}.url")).map(str::to_owned),
    );
    Ok(url.ok())
}

impl WriteRepo {
    /// The refs of the remote as they are now.
    ///
    /// # Errors
    ///
    /// The remote cannot be asked.
    pub fn refs(&self) -> Result<RemoteRefs, Error> {
        self.fetch(|_| false)
    }

    /// Remembers the branch that pull requests are for, where the remote is a work tree on this machine: there the branch
    /// that is checked out may be another one tomorrow. What is remembered already stays while that branch is there.
    ///
    /// # Errors
    ///
    /// The ref cannot be written.
    pub fn remember_base(&self, branch: &str) -> Result<(), Error> {
        match &self.remote.0 {
            Place::Own => {
                local::remember_base(&local::open(self.work_dir().unwrap_or(self.git_dir()))?, branch)
            }
            Place::Path(path) => local::remember_base(&local::open(path)?, branch),
            Place::Http(_) => Ok(()),
        }
    }

    /// The branch that is checked out in this repository itself; `None` where there is none.
    pub fn checked_out(&self) -> Option<String> {
        local::checked_out(&self.lock())
    }

    /// The commit that is checked out in this repository itself; `None` where there is none yet.
    pub fn head(&self) -> Option<Id> {
        let repository = self.lock();
        let commit = repository.head().ok()?.peel_to_commit().ok()?;
        Some(Id::from(commit.id()))
    }

    /// The refs of the remote as they are now; the objects of those that are `wanted`, by full name, are brought here.
    /// No ref of this repository is written.
    ///
    /// # Errors
    ///
    /// The remote cannot be asked, or objects cannot be written.
    pub fn fetch(&self, wanted: impl Fn(&str) -> bool) -> Result<RemoteRefs, Error> {
        match &self.remote.0 {
            Place::Own => local::refs(&local::open(self.git_dir())?),
            Place::Path(path) => {
                let target = local::open(path)?;
                let refs = local::refs(&target)?;
                let ids: Vec<Id> =
                    refs.refs.iter().filter(|(name, _)| wanted(name)).map(|(_, id)| *id).collect();
                local::transfer(&target, &self.lock(), &ids)?;
                Ok(refs)
            }
            Place::Http(remote) => {
                let repository = self.lock();
                let otherwise = |error: git2::Error| not_understood("fetch from", remote, &error);
                remote.session(|| fetch(&repository, &wanted), otherwise)
            }
        }
    }
}

fn fetch(repository: &Repository, wanted: &dyn Fn(&str) -> bool) -> Result<RemoteRefs, git2::Error> {
    let mut remote = session_remote(repository)?;
    let mut connection = remote.connect_auth(Direction::Fetch, None, None)?;
    let refs = listed(&connection)?;
    let odb = repository.odb()?;
    let missing: Vec<&str> = refs
        .refs
        .iter()
        .filter(|(name, id)| wanted(name) && !odb.exists(id.oid()))
        .map(|(name, _)| name.as_str())
        .collect();
    if !missing.is_empty() {
        let mut options = FetchOptions::new();
        options.download_tags(AutotagOption::None).update_fetchhead(false);
        connection.remote().download(&missing, Some(&mut options))?;
    }
    Ok(refs)
}

/// What a connected remote has.
pub(super) fn listed(connection: &git2::RemoteConnection<'_, '_, '_>) -> Result<RemoteRefs, git2::Error> {
    let mut found = RemoteRefs::default();
    for head in connection.list()? {
        let name = head.name();
        if name == "HEAD" {
            found.default_branch =
                head.symref_target().and_then(|target| target.strip_prefix("refs/heads/")).map(str::to_owned);
        } else if name.starts_with("refs/")
            && !name.ends_with("^{}")
            && let Some(id) = Id::known(head.oid())
        {
            found.refs.insert(name.to_owned(), id);
        }
    }
    Ok(found)
}

/// A failure that libgit2 saw and not we.
pub(super) fn not_understood(attempt: &str, remote: &HttpRemote, error: &git2::Error) -> Error {
    let shown = remote.shown();
    let (class, hint) = match error.class() {
        // What it stumbles over on the wire may be whole next time.
        git2::ErrorClass::Net | git2::ErrorClass::Zlib | git2::ErrorClass::Indexer => {
            (FailureClass::Transient, None)
        }
        git2::ErrorClass::Os => {
            (FailureClass::Permanent, Some("check that the repository's folder can be written to".to_owned()))
        }
        _ => (FailureClass::Permanent, None),
    };
    Error::Remote {
        class,
        message: format!("cannot {attempt} `{shown}`: {}", printable(error.message())),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_read_as_people_write_them() {
        let read = |text: &str| Remote::read(text, Credentials::new(), HttpLimits::default());
        for (text, shown) in [
            ("https://github.com/o/r.git", "https://github.com/o/r.git"),
            ("https://me:secret@github.com/o/r.git", "https://github.com/o/r.git"),
            ("http://git.lan:3000/o/r/", "http://git.lan:3000/o/r"),
            ("/srv/git/r.git", "/srv/git/r.git"),
            ("../r", "../r"),
            ("./a:b", "./a:b"),
            ("file:///srv/git/r.git", "/srv/git/r.git"),
        ] {
            assert_eq!(read(text).unwrap().shown(), shown, "{text}");
        }
        for text in
            ["git@github.com:o/r.git", "ssh://git@github.com/o/r", "git://github.com/o/r", "", "host:r"]
        {
            assert!(matches!(read(text), Err(Error::RemoteName { .. })), "{text}");
        }
        let error = read("ssh://me:secret@github.com/o/r").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn ssh_remotes_have_a_web_form() {
        for (text, form) in [
            ("git@github.com:o/r.git", "https://github.com/o/r.git"),
            ("ssh://git@ghes.example:2222/o/r.git", "https://ghes.example/o/r.git"),
            ("https://github.com/o/r", "https://github.com/o/r"),
            ("/srv/git/r", "/srv/git/r"),
        ] {
            assert_eq!(https_form(text), form);
        }
    }
}
