//! Moving refs at the remote, each only from where it was expected.

use std::cell::RefCell;

use git2::{Direction, PushOptions, RemoteCallbacks, Repository};

use super::http::{HttpRemote, session_remote};
use super::remote::{Place, listed, not_understood};
use super::{Error, Id, RemoteRefs, WriteRepo, local};

/// Most bytes that are kept of what a server says beside its answer.
const SAID_LIMIT: usize = 4096;

/// One ref to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Full name (`refs/heads/…`).
    pub name: String,
    /// Where it must be now; `None` = it must not exist.
    pub expected: Option<Id>,
    /// Where it goes; `None` = it is deleted.
    pub new: Option<Id>,
}

impl RefUpdate {
    /// A ref that must not exist yet.
    pub fn create(name: impl Into<String>, new: Id) -> Self {
        Self { name: name.into(), expected: None, new: Some(new) }
    }

    /// A ref that is moved from one place to another.
    pub fn replace(name: impl Into<String>, expected: Option<Id>, new: Id) -> Self {
        Self { name: name.into(), expected, new: Some(new) }
    }

    /// A ref that is taken away.
    pub fn delete(name: impl Into<String>, expected: Id) -> Self {
        Self { name: name.into(), expected: Some(expected), new: None }
    }
}

/// What a push did; both are success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// At least one ref was moved.
    Moved,
    /// Every ref was already where it should go.
    AlreadyThere,
}

impl WriteRepo {
    /// Moves refs at the remote and sends the objects that it lacks.
    ///
    /// Each ref is moved only if it is where the update expects it, which the remote itself compares again at the
    /// moment of moving it; a ref that is already where it should go is left and counts as done, so that a push that was
    /// cut off can be made again. On this machine all of the refs move or none; a server over HTTP decides for each.
    ///
    /// # Errors
    ///
    /// [`Error::Moved`] where a ref is elsewhere, [`Error::Refused`] where the server does not want it moved (with its
    /// words), [`Error::CheckedOut`], [`Error::RefName`], or the remote cannot be reached.
    pub fn push(&self, updates: &[RefUpdate]) -> Result<Pushed, Error> {
        for update in updates {
            check_name(&update.name)?;
        }
        match &self.remote.0 {
            Place::Own => local::update(&self.lock(), &local::open(self.git_dir())?, updates),
            Place::Path(path) => local::update(&self.lock(), &local::open(path)?, updates),
            Place::Http(remote) => over_http(&self.lock(), remote, updates),
        }
    }
}

/// A name below `refs/` that Git takes.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let is_good = name.starts_with("refs/") && name.len() < 1024 && git2::Reference::is_valid_name(name);
    if is_good { Ok(()) } else { Err(Error::RefName { name: name.to_owned() }) }
}

/// Which updates remain to be done, given where refs are.
pub(super) fn remaining(
    updates: &[RefUpdate],
    place: impl Fn(&str) -> Option<Id>,
) -> Result<Vec<&RefUpdate>, Error> {
    let mut left = Vec::new();
    for update in updates {
        let found = place(&update.name);
        if found == update.new {
            continue;
        }
        if found != update.expected {
            return Err(Error::Moved { name: update.name.clone(), expected: update.expected, found });
        }
        left.push(update);
    }
    Ok(left)
}

/// What came of the conversation, beside libgit2's own errors.
#[derive(Default)]
struct Heard {
    /// Set where a lease is broken.
    moved: Option<Error>,
    refused: Vec<(String, String)>,
    accepted: Vec<String>,
    said: Vec<u8>,
}

fn over_http(repository: &Repository, remote: &HttpRemote, updates: &[RefUpdate]) -> Result<Pushed, Error> {
    let heard = RefCell::new(Heard::default());
    let result = remote
        .session(|| converse(repository, updates, &heard), |error| not_understood("push to", remote, &error));
    let heard = heard.into_inner();
    if let Some(moved) = heard.moved {
        return Err(moved);
    }
    let said = String::from_utf8_lossy(&heard.said).lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let said = said.trim().to_owned();
    if !heard.refused.is_empty() {
        return Err(Error::Refused { refused: heard.refused, said });
    }
    let moved = result.map_err(|error| with_words(error, &said))?;
    if moved.is_empty() {
        return Ok(Pushed::AlreadyThere);
    }
    // A server that does not report a ref has not moved it, as far as anybody knows.
    let silent: Vec<(String, String)> = moved
        .into_iter()
        .filter(|name| !heard.accepted.contains(name))
        .map(|name| (name, "the server did not say that it moved it".to_owned()))
        .collect();
    if silent.is_empty() { Ok(Pushed::Moved) } else { Err(Error::Refused { refused: silent, said }) }
}

/// The error with what the server said, where it said something.
fn with_words(error: Error, said: &str) -> Error {
    match error {
        Error::Remote { class, message, hint } if !said.is_empty() => {
            let message = format!("{message}; it said: {}", crate::repo::printable(said));
            Error::Remote { class, message, hint }
        }
        error => error,
    }
}

/// Returns the names of the refs that were sent.
fn converse(
    repository: &Repository,
    updates: &[RefUpdate],
    heard: &RefCell<Heard>,
) -> Result<Vec<String>, git2::Error> {
    let mut remote = session_remote(repository)?;
    let mut connection = remote.connect_auth(Direction::Push, None, None)?;
    let refs: RemoteRefs = listed(&connection)?;
    let left = match remaining(updates, |name| refs.refs.get(name).copied()) {
        Ok(left) => left,
        Err(moved) => {
            heard.borrow_mut().moved = Some(moved);
            return Err(git2::Error::from_str("a ref is not where it was expected"));
        }
    };
    if left.is_empty() {
        return Ok(vec![]);
    }
    // Forced, because the lease is what decides: a branch of ours may be rebuilt on another base.
    let specs: Vec<String> = left
        .iter()
        .map(|update| match update.new {
            Some(new) => format!("+{new}:{}", update.name),
            None => format!(":{}", update.name),
        })
        .collect();
    let mut callbacks = RemoteCallbacks::new();
    callbacks.push_negotiation(|commands| {
        for command in commands {
            let name = command.dst_refname().unwrap_or_default();
            let found = Id::known(command.src());
            let Some(update) = left.iter().find(|update| update.name == name) else { continue };
            if found != update.expected {
                let expected = update.expected;
                heard.borrow_mut().moved = Some(Error::Moved { name: name.to_owned(), expected, found });
                return Err(git2::Error::from_str("a ref is not where it was expected"));
            }
        }
        Ok(())
    });
    callbacks.push_update_reference(|name, refusal| {
        let mut heard = heard.borrow_mut();
        match refusal {
            Some(words) => heard.refused.push((name.to_owned(), words.to_owned())),
            None => heard.accepted.push(name.to_owned()),
        }
        Ok(())
    });
    callbacks.sideband_progress(|bytes| {
        let said = &mut heard.borrow_mut().said;
        let room = SAID_LIMIT.saturating_sub(said.len());
        said.extend_from_slice(&bytes[..bytes.len().min(room)]);
        true
    });
    let mut options = PushOptions::new();
    options.remote_callbacks(callbacks);
    connection.remote().push(&specs, Some(&mut options))?;
    drop(options);
    Ok(left.iter().map(|update| update.name.clone()).collect())
}
