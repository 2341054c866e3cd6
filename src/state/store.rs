//! Loads the state and moves it, one transition at a time.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::files::{self, Broken, SCHEMA};
use super::transition::Transition;
use crate::domain::problem::Problem;
use crate::domain::state::State;
use crate::domain::upstream::FailureClass;
use crate::repo::write::{self, Id, Person, Pushed, RefUpdate, Remote, RemoteRefs, Words, WriteRepo};

/// The chain of transitions.
pub const STATE_REF: &str = "refs/gitops-updater/state";
/// A transition that the chain is known to have had.
pub const SEEN_REF: &str = "refs/gitops-updater/state-seen";

/// Most transitions of a chain that are walked through.
const LONGEST_CHAIN: usize = 200_000;
/// How often a chain that looks rewritten is looked at.
const LOOKS: usize = 3;
/// How often a transition is made anew after somebody else was faster.
const MOST_ATTEMPTS: usize = 30;
/// Trailer of the transition by which a person takes a rewritten chain for right.
const ACCEPTS: &str = "Accepts-Rewritten";

/// Why the state could not be read or moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository or the remote failed.
    #[error("cannot read or move the state in `{STATE_REF}`")]
    Git(#[from] write::Error),
    /// Another version of this program wrote it, or something else did.
    #[error("cannot read the state at `{}`: its schema is `{found}`, known is `{SCHEMA}`", .tip.short())]
    Schema {
        /// The commit.
        tip: Id,
        /// What it says; empty where it says nothing.
        found: String,
    },
    /// Files of it are broken, so nothing may be built on it.
    #[error("cannot build on the state at `{}`: {}", .tip.short(), list(.broken))]
    Broken {
        /// The commit.
        tip: Id,
        /// The files.
        broken: Vec<Broken>,
    },
    /// The chain is not the one that was seen before.
    #[error("cannot build on `{STATE_REF}`: somebody rewrote it; it {}, and `{}` was seen before", now(.tip), .seen.short())]
    Rewritten {
        /// Where it is now; `None` = it is gone.
        tip: Option<Id>,
        /// What it is known to have had.
        seen: Id,
    },
    /// An id that cannot be the name of a file.
    #[error("cannot keep `{id}` in the state: ids have lower case letters, digits and hyphens")]
    Id {
        /// The id.
        id: String,
    },
    /// A value that cannot be written as YAML; a defect.
    #[error("cannot write the state as YAML")]
    Unwritable {
        /// What was wrong.
        source: serde_yaml::Error,
    },
    /// A file would be too large to be read again.
    #[error("cannot keep `{path}` in the state: it would have {size} bytes, and {limit} are read")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size, in bytes.
        size: usize,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// Others were faster again and again.
    #[error("cannot record the transition: others were faster {MOST_ATTEMPTS} times")]
    Crowded {
        /// What the last attempt came to.
        source: write::Error,
    },
}

impl Error {
    /// What asking again is good for.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Git(error) => error.class(),
            Self::Crowded { .. } => FailureClass::Transient,
            _ => FailureClass::Permanent,
        }
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            // Nothing of this program's: the ref was set to something else.
            Self::Schema { found, .. } if found.is_empty() => Some(put_back(SEEN_REF)),
            Self::Schema { .. } => {
                Some("use the version of this program that wrote it, or a newer one".to_owned())
            }
            Self::Broken { tip, .. } => Some(format!(
                "look at it with `git log -p {}`, and push a commit on top that repairs the file",
                tip.short()
            )),
            Self::Rewritten { seen, .. } => Some(format!(
                "{}; or say that the new one is right: `gitops-updater status --accept-rewritten`",
                put_back(&seen.to_string())
            )),
            _ => None,
        }
    }
}

/// What a person does to have the state as it was.
fn put_back(seen: &str) -> String {
    format!(
        "put back what was seen: `git push REMOTE +{seen}:{STATE_REF}`, or `git update-ref {STATE_REF} {seen}` where this \
         clone itself keeps it"
    )
}

fn list(broken: &[Broken]) -> String {
    let first = broken.first().map(|file| format!("`{}`: {}", file.path, file.why)).unwrap_or_default();
    if broken.len() > 1 { format!("{first}; and {} more", broken.len() - 1) } else { first }
}

fn now(tip: &Option<Id>) -> String {
    tip.map_or_else(|| "is gone".to_owned(), |tip| format!("is at `{}`", tip.short()))
}

/// Whether the chain is the one that was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// It goes on where it was.
    Intact,
    /// It does not hold what it is known to have had.
    Rewritten {
        /// What it had.
        seen: Id,
    },
}

/// The state as it was at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What could be read.
    pub state: State,
    /// The newest transition; `None` = there is none yet.
    pub tip: Option<Id>,
    /// Whether it can be trusted to be all.
    pub history: History,
    /// Files that cannot be read; what they hold is missing in `state`.
    pub broken: Vec<Broken>,
    /// All refs of the remote at that moment.
    pub refs: RemoteRefs,
}

impl Loaded {
    /// What a report says about the state itself.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self
            .tip
            .map(|tip| self.broken.iter().map(|file| file.problem(tip)).collect())
            .unwrap_or_default();
        if let Err(error @ Error::Rewritten { .. }) = self.may_build() {
            let hint = error.hint().unwrap_or_default();
            problems.push(Problem::in_file(STATE_REF, None, format!("{error}; {hint}")));
        }
        problems
    }

    /// Whether anything may be built on it.
    ///
    /// # Errors
    ///
    /// [`Error::Rewritten`], [`Error::Broken`].
    pub fn may_build(&self) -> Result<(), Error> {
        if let History::Rewritten { seen } = self.history {
            return Err(Error::Rewritten { tip: self.tip, seen });
        }
        match self.tip {
            Some(tip) if !self.broken.is_empty() => Err(Error::Broken { tip, broken: self.broken.clone() }),
            _ => Ok(()),
        }
    }
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The state after it.
    pub loaded: Loaded,
    /// The transition that was recorded; `None` where there was nothing to change, or another run recorded the very same
    /// one at the same time.
    pub transition: Option<Id>,
}

/// Where the state is kept. Every method may block (see [`WriteRepo`]).
#[derive(Debug, Clone)]
pub struct StateStore {
    repo: Arc<WriteRepo>,
    author: Person,
}

impl StateStore {
    /// The state at the remote of `repo`; transitions are written by `author`.
    pub fn new(repo: Arc<WriteRepo>, author: Person) -> Self {
        Self { repo, author }
    }

    /// Reads the state as it is at the remote now.
    ///
    /// # Errors
    ///
    /// The remote cannot be asked, or the state is of another schema.
    pub fn load(&self) -> Result<Loaded, Error> {
        let (refs, history) = self.look()?;
        let tip = refs.refs.get(STATE_REF).copied();
        let (state, broken) = match tip {
            Some(tip) => files::read(&self.repo, tip)?,
            None => Default::default(),
        };
        Ok(Loaded { state, tip, history, broken, refs })
    }

    /// The refs, and whether the chain holds what it is known to have had. Refs are read one after the other, and other
    /// runs move them meanwhile: what looks rewritten is looked at again.
    fn look(&self) -> Result<(RemoteRefs, History), Error> {
        for _ in 1..LOOKS {
            let (refs, history) = self.look_once()?;
            if history == History::Intact {
                return Ok((refs, history));
            }
        }
        self.look_once()
    }

    fn look_once(&self) -> Result<(RemoteRefs, History), Error> {
        // What is remembered first was there before what is fetched after it.
        let own = self.repo.own_ref(&self.tracking_ref())?;
        let refs = self.repo.fetch(|name| name == STATE_REF || name == SEEN_REF)?;
        let tip = refs.refs.get(STATE_REF).copied();
        let history = self.history(&refs, own, tip)?;
        Ok((refs, history))
    }

    /// Makes a transition. `decide` changes the state and says why, or returns `None` where there is nothing to be
    /// done; it is asked again with the newer state whenever somebody else was faster, so it must look for what it
    /// wants to add (and then adopts what the winner recorded).
    ///
    /// # Errors
    ///
    /// The state is broken or was rewritten, the remote cannot be reached or refuses.
    pub fn change(
        &self,
        now: Timestamp,
        decide: impl Fn(&mut State) -> Option<Transition>,
    ) -> Result<Changed, Error> {
        let mut lost = None;
        for _ in 0..MOST_ATTEMPTS {
            let loaded = self.load()?;
            loaded.may_build()?;
            let mut state = loaded.state.clone();
            let Some(transition) = decide(&mut state) else {
                return Ok(Changed { loaded, transition: None });
            };
            let changes = files::changes(&loaded.state, &state)?;
            if changes.is_empty() {
                return Ok(Changed { loaded, transition: None });
            }
            let words = Words { message: &transition.message(), author: &self.author, time: now };
            let commit = match loaded.tip {
                Some(tip) => self.repo.commit(tip, &changes, words)?,
                None => {
                    let files = files::layout().into_iter().chain(changes).collect();
                    let tree = self.repo.tree_of_files(&files)?;
                    self.repo.commit_tree(tree, &[], words)?
                }
            };
            match self.moved(&loaded, commit)? {
                Ok((refs, pushed)) => {
                    tracing::debug!(transition = transition.subject(), commit = %commit, "state moved");
                    let history = History::Intact;
                    let loaded = Loaded { state, tip: Some(commit), history, broken: vec![], refs };
                    // What two runs do at the same second is the same commit, and one of them made it.
                    let transition = (pushed == Pushed::Moved).then_some(commit);
                    return Ok(Changed { loaded, transition });
                }
                // Not a race but a lock that was left behind, or a very slow owner: both need a person.
                Err(error @ write::Error::Refs { .. }) => return Err(error.into()),
                Err(error) => lost = Some(error),
            }
        }
        let source = lost.expect("invariant: there is at least one attempt, and each that goes on was lost");
        Err(Error::Crowded { source })
    }

    /// Moves the ref to `commit`; the inner error = somebody else was faster, with another one.
    fn moved(
        &self,
        loaded: &Loaded,
        commit: Id,
    ) -> Result<Result<(RemoteRefs, Pushed), write::Error>, Error> {
        let mut updates = vec![RefUpdate::replace(STATE_REF, loaded.tip, commit)];
        let seen = loaded.refs.refs.get(SEEN_REF).copied();
        if let Some(tip) = loaded.tip.filter(|tip| seen != Some(*tip)) {
            // Only to what the state was when we looked: whoever wins, this is right.
            updates.push(RefUpdate::replace(SEEN_REF, seen, tip));
        }
        let mut refs = loaded.refs.clone();
        let pushed = match self.repo.push(&updates) {
            Ok(pushed) => {
                for update in updates {
                    refs.refs.extend(update.new.map(|new| (update.name, new)));
                }
                pushed
            }
            Err(error) => {
                // The answer may have been lost after the deed, and of two refs one may have been refused.
                let lost_race = error.lost_race();
                match self.repo.refs() {
                    Ok(now) if now.refs.get(STATE_REF) == Some(&commit) => {
                        refs = now;
                        if lost_race { Pushed::AlreadyThere } else { Pushed::Moved }
                    }
                    _ if lost_race => return Ok(Err(error)),
                    _ => return Err(error.into()),
                }
            }
        };
        self.remember(commit);
        Ok(Ok((refs, pushed)))
    }

    /// Moves the witness at the remote to the newest transition. For the end of a pass: it closes the gap of one
    /// transition that would not be missed.
    ///
    /// # Errors
    ///
    /// The state was rewritten, or the remote cannot be reached. That somebody else was faster is none.
    pub fn confirm(&self) -> Result<(), Error> {
        let loaded = self.load()?;
        if let History::Rewritten { seen } = loaded.history {
            return Err(Error::Rewritten { tip: loaded.tip, seen });
        }
        let seen = loaded.refs.refs.get(SEEN_REF).copied();
        let Some(tip) = loaded.tip else { return Ok(()) };
        self.remember(tip);
        if seen == Some(tip) {
            return Ok(());
        }
        match self.repo.push(&[RefUpdate::replace(SEEN_REF, seen, tip)]) {
            Err(error) if error.lost_race() => Ok(()),
            pushed => Ok(pushed.map(|_| ())?),
        }
    }

    /// Takes a rewritten chain for right, as a transition that names what was lost. Returns `None` where it is intact.
    ///
    /// # Errors
    ///
    /// The remote cannot be reached or refuses, or somebody else was faster.
    pub fn accept(&self, now: Timestamp, by: &str) -> Result<Option<Id>, Error> {
        let loaded = self.load()?;
        let History::Rewritten { .. } = loaded.history else { return Ok(None) };
        let mut transition =
            Transition::new("Accept the rewritten state").because(format!("accepted by {by}"));
        let own = self.repo.own_ref(&self.tracking_ref())?;
        for lost in witnesses(&loaded.refs, own) {
            if !self.holds(loaded.tip, lost)? {
                transition = transition.trailer(ACCEPTS, lost.to_string());
            }
        }
        let words = Words { message: &transition.message(), author: &self.author, time: now };
        let (tree, parents) = match loaded.tip {
            Some(tip) => (self.repo.commit_info(tip)?.tree, vec![tip]),
            None => (self.repo.tree_of_files(&files::layout())?, vec![]),
        };
        let commit = self.repo.commit_tree(tree, &parents, words)?;
        let seen = loaded.refs.refs.get(SEEN_REF).copied();
        let mut updates = vec![RefUpdate::replace(STATE_REF, loaded.tip, commit)];
        if seen != Some(commit) {
            updates.push(RefUpdate::replace(SEEN_REF, seen, commit));
        }
        self.repo.push(&updates)?;
        self.remember(commit);
        Ok(Some(commit))
    }

    fn history(&self, refs: &RemoteRefs, own: Option<Id>, tip: Option<Id>) -> Result<History, Error> {
        for seen in witnesses(refs, own) {
            if !self.holds(tip, seen)? && !self.is_accepted(tip, seen)? {
                return Ok(History::Rewritten { seen });
            }
        }
        Ok(History::Intact)
    }

    /// Whether the chain that ends in `tip` has `seen`.
    fn holds(&self, tip: Option<Id>, seen: Id) -> Result<bool, Error> {
        match tip {
            // What is not even here is no part of a chain that was fetched whole.
            Some(tip) if self.repo.has(seen) => Ok(self.repo.is_ancestor(seen, tip)?),
            _ => Ok(false),
        }
    }

    /// Whether a person said that the chain is right without `lost`. Looked for only where something is missing.
    fn is_accepted(&self, tip: Option<Id>, lost: Id) -> Result<bool, Error> {
        let Some(tip) = tip else { return Ok(false) };
        let wanted = format!("{ACCEPTS}: {lost}");
        let chain = self.repo.commits_since(None, tip, LONGEST_CHAIN)?;
        // Trailers are the last paragraph; what stands before it may be the words of strangers.
        let trailers =
            |message: &str| message.trim_end().rsplit("\n\n").next().unwrap_or_default().to_owned();
        Ok(chain.iter().any(|commit| trailers(&commit.message).lines().any(|line| line == wanted)))
    }

    /// This clone's own memory of a remote's state. Losing it loses nothing but a witness.
    fn tracking_ref(&self) -> String {
        let remote: &Remote = self.repo.remote();
        let digest = Sha256::digest(remote.shown().as_bytes());
        let name: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("refs/remotes/gitops-updater/state-{name}")
    }

    fn remember(&self, tip: Id) {
        let name = self.tracking_ref();
        let remembered = self.repo.with_remote(Remote::own()).and_then(|own| {
            let before = own.own_ref(&name)?;
            if before == Some(tip) {
                return Ok(());
            }
            own.push(&[RefUpdate::replace(name.as_str(), before, tip)]).map(|_| ())
        });
        if let Err(error) = remembered {
            // A clone that cannot be written to, or that another run of ours writes to: the remote has its own witness.
            tracing::debug!(reason = %error, "the clone does not remember the state");
        }
    }
}

/// What the chain is known to have had: at the remote, and in this clone.
fn witnesses(refs: &RemoteRefs, own: Option<Id>) -> Vec<Id> {
    let mut witnesses: Vec<Id> = refs.refs.get(SEEN_REF).copied().into_iter().chain(own).collect();
    witnesses.dedup();
    witnesses
}
