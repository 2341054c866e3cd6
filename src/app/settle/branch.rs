//! What the base branch says of a merged update: whether it still stands as it was merged.

use std::collections::BTreeSet;

use crate::app::forge::Forge;
use crate::app::pass::{Error, UnderWay};
use crate::domain::message::{Reverts, Stops};
use crate::domain::notice::kind_of;
use crate::domain::settle::line;
use crate::domain::settle::pins::{self, Stands};
use crate::domain::state::{Stage, Update};
use crate::repo::write::{self, CommitInfo, Id, Landed, Standing};

/// Most commits after a merge that are looked at.
const MOST_COMMITS: usize = 5_000;
/// Largest file whose versions are compared, in bytes.
const PINNED_LIMIT: usize = 1 << 20;
/// Longest name of an author that is told, in characters.
const LONGEST_NAME: usize = 60;
/// Most commits that the judge is told of.
const MOST_TOLD: usize = 500;

/// What became of an update on the base branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OnBranch {
    /// It is there; what it brought in is known.
    Landed {
        /// The range.
        landed: Landed,
        /// Files that it changed, sorted.
        paths: Vec<String>,
        /// Files that are not as it left them.
        changed: Vec<String>,
    },
    /// Its files are as they were before it, or a commit of ours says that it is reverted.
    Reverted {
        /// The commit by which.
        commit: Id,
        /// It is ours.
        ours: bool,
    },
    /// Somebody put other versions where it put its own.
    Replaced {
        /// The commit by which.
        commit: Id,
    },
    /// The base branch does not have the merge any more.
    Lost,
    /// It is there; what it brought in cannot be told.
    Unclear {
        /// Why, for people.
        reason: String,
        /// Files that the merge changed, sorted.
        paths: Vec<String>,
    },
}

impl<F: Forge> UnderWay<'_, F> {
    /// What became of an update until the base branch as it was seen.
    pub(super) fn on_branch(&self, update: &Update) -> Result<OnBranch, Error> {
        let git = &self.pass.git;
        let mut tip = self.world.base;
        let Some(merge) = update.merge_commit.as_deref().and_then(|text| text.parse::<Id>().ok()) else {
            return Ok(OnBranch::Unclear {
                reason: "it is not known which commit merged it".to_owned(),
                paths: Vec::new(),
            });
        };
        if !git.has(merge) || !git.is_ancestor(merge, tip)? {
            // It may have been merged after the branch was looked at, and before the pull requests were.
            let name = format!("refs/heads/{}", self.world.base_branch);
            match git.fetch(|known| known == name)?.branch(&self.world.base_branch) {
                Some(now) if git.has(merge) && git.is_ancestor(merge, now)? => tip = now,
                _ => return Ok(OnBranch::Lost),
            }
        }
        let later = match git.commits_since(Some(merge), tip, MOST_COMMITS) {
            Ok(later) => later,
            Err(write::Error::TooLarge { .. }) => {
                let reason = format!("more than {MOST_COMMITS} commits came after its merge");
                return Ok(OnBranch::Unclear { reason, paths: Vec::new() });
            }
            Err(error) => return Err(error.into()),
        };
        let own =
            later.iter().find(|commit| Reverts::parse(&commit.message).as_deref() == Some(&update.update_id));
        let landed = self.landed(update, merge)?;
        let Some(landed) = landed else {
            if let Some(own) = own {
                return Ok(OnBranch::Reverted { commit: own.id, ours: true });
            }
            let paths = self.merged_paths(merge)?;
            let reason = format!("what `{}` merged is not what its pull request had", merge.short());
            return Ok(OnBranch::Unclear { reason, paths });
        };
        let paths = git.landed_paths(landed)?;
        let changed = match (git.standing(landed, tip)?, own) {
            (Standing::Untouched, None) => Vec::new(),
            // Reverted by us, and put in again by somebody: that is a change of theirs.
            (Standing::Untouched, Some(_)) => paths.clone(),
            (Standing::Changed(changed), Some(own)) => match self.pins(landed, &paths, tip)? {
                // As above, beside other changes.
                Stands::New => changed,
                _ => return Ok(OnBranch::Reverted { commit: own.id, ours: true }),
            },
            // Of what nodes or data follow the cluster tells.
            (Standing::Changed(changed), None) if stays_in_cluster(update) => changed,
            (Standing::Changed(changed), None) => match self.pins(landed, &paths, tip)? {
                Stands::Old => {
                    let commit = last_touching(&later, git, &paths)?.unwrap_or(tip);
                    return Ok(OnBranch::Reverted { commit, ours: false });
                }
                Stands::Other => {
                    let commit = last_touching(&later, git, &paths)?.unwrap_or(tip);
                    return Ok(OnBranch::Replaced { commit });
                }
                Stands::New | Stands::Unclear => changed,
            },
            (Standing::Reverted, own) => {
                let commit = match own {
                    Some(own) => own.id,
                    None => last_touching(&later, git, &paths)?.unwrap_or(tip),
                };
                return Ok(OnBranch::Reverted { commit, ours: own.is_some() });
            }
        };
        Ok(OnBranch::Landed { landed, paths, changed })
    }

    /// Whether a commit has other versions where an update put its own; `None` where that cannot be told.
    pub(in crate::app) fn has_gone(&self, update: &Update, merge: Id, at: Id) -> Result<Option<bool>, Error> {
        let Some(landed) = self.landed(update, merge)? else { return Ok(None) };
        let paths = self.pass.git.landed_paths(landed)?;
        Ok(match self.pass.git.standing(landed, at)? {
            Standing::Untouched => Some(false),
            Standing::Reverted => Some(true),
            Standing::Changed(_) => match self.pins(landed, &paths, at)? {
                Stands::Old | Stands::Other => Some(true),
                Stands::New => Some(false),
                Stands::Unclear => None,
            },
        })
    }

    /// The newest commit until `at` that changed what an update had merged, and whom Git names as its author; `None` where
    /// it cannot be told, or the bot itself is named.
    pub(in crate::app) fn taken_out_by(
        &self,
        update: &Update,
        merge: Id,
        at: Id,
    ) -> Result<Option<String>, Error> {
        let git = &self.pass.git;
        let Some(landed) = self.landed(update, merge)? else { return Ok(None) };
        let later = match git.commits_since(Some(merge), at, MOST_COMMITS) {
            Ok(later) => later,
            Err(write::Error::TooLarge { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let commit = last_touching(&later, git, &git.landed_paths(landed)?)?;
        commit.map_or(Ok(None), |commit| self.author_of(commit))
    }

    /// A commit with whom Git names as its author, for people; `None` where that is the bot itself.
    pub(super) fn author_of(&self, commit: Id) -> Result<Option<String>, Error> {
        let author = self.pass.git.commit_info(commit)?.author;
        let name: String = author.name.chars().take(LONGEST_NAME).collect();
        let is_known = author.email != self.pass.author.email && !name.trim().is_empty();
        Ok(is_known.then(|| format!("{} by {}", commit.short(), name.trim())))
    }

    /// What stands at a commit where an update put its versions, whatever else changed around them.
    fn pins(&self, landed: Landed, paths: &[String], at: Id) -> Result<Stands, Error> {
        let git = &self.pass.git;
        let text = |commit: Id, path: &String| match git.read_file(commit, path, PINNED_LIMIT) {
            Ok(bytes) => Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok())),
            // No file any more, or a very large one: nothing can be told of it.
            Err(write::Error::TooLarge { .. } | write::Error::Path { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        let mut all: Option<Stands> = None;
        for path in paths {
            let (before, after, now) =
                (text(landed.before, path)?, text(landed.after, path)?, text(at, path)?);
            let here = match (before, after, now) {
                (Some(before), Some(after), Some(now)) => pins::stands(&before, &after, &now),
                _ => Stands::Unclear,
            };
            all = Some(all.map_or(here, |all| all.and(here)));
        }
        Ok(all.unwrap_or(Stands::Unclear))
    }

    /// What an update brought in.
    fn landed(&self, update: &Update, merge: Id) -> Result<Option<Landed>, Error> {
        let id = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Id>().ok());
        let pull = self.pull_of(update);
        let head = pull.and_then(|pull| pull.head.parse::<Id>().ok()).or_else(|| id(&update.head));
        let git = &self.pass.git;
        if let Some(head) = head.filter(|head| !git.has(*head)) {
            // The branch of a merged pull request is usually gone; forges keep its head under another name.
            let kept = update.pull_request.map(|number| format!("refs/pull/{number}/head"));
            let refs = git.fetch(|name| Some(name) == kept.as_deref())?;
            tracing::debug!(head = %head, found = refs.refs.contains_key(&kept.unwrap_or_default()), "head of the pull request");
        }
        Ok(git.landed(merge, id(&update.base).zip(head))?)
    }

    /// Files that an update changed, as far as its merge tells.
    pub(in crate::app) fn paths_of(&self, update: &Update) -> Result<Vec<String>, Error> {
        let git = &self.pass.git;
        let merge = update.merge_commit.as_deref().and_then(|text| text.parse::<Id>().ok());
        let Some(merge) = merge.filter(|merge| git.has(*merge)) else { return Ok(Vec::new()) };
        match self.landed(update, merge)? {
            Some(landed) => Ok(git.landed_paths(landed)?),
            None => self.merged_paths(merge),
        }
    }

    /// Files that a merge changed.
    fn merged_paths(&self, merge: Id) -> Result<Vec<String>, Error> {
        let git = &self.pass.git;
        let first = git.commit_info(merge)?.parents.first().copied().filter(|first| git.has(*first));
        Ok(first.map(|first| git.changed_paths(first, merge)).transpose()?.unwrap_or_default())
    }

    /// Commits after `landed` that changed its files and belong to no update of ours.
    pub(super) fn strangers(
        &self,
        update: &Update,
        landed: Landed,
        paths: &[String],
    ) -> Result<Vec<CommitInfo>, Error> {
        let git = &self.pass.git;
        let tip = self.world.base;
        let mut strangers = git.commits_touching(landed.after, tip, paths, MOST_COMMITS)?;
        if strangers.is_empty() {
            return Ok(strangers);
        }
        for other in self.world.state.updates.values().filter(|other| other.update_id != update.update_id) {
            let Some(merge) = other.merge_commit.as_deref().and_then(|text| text.parse::<Id>().ok()) else {
                continue;
            };
            if !git.has(merge) || !git.is_ancestor(merge, tip)? || git.is_ancestor(merge, landed.after)? {
                continue;
            }
            let Some(range) = self.landed(other, merge)? else { continue };
            let own = git.commits_since(Some(range.before), range.after, MOST_COMMITS)?;
            strangers.retain(|commit| own.iter().all(|own| own.id != commit.id));
        }
        // A revert of another update of ours is no stranger's either, and no stop of a rollout.
        let mut unknown = Vec::new();
        for commit in strangers {
            let stops = Stops::parse(&commit.message).map(|(id, _)| id);
            let ours = Reverts::parse(&commit.message).or(stops);
            if ours.is_some_and(|id| self.world.state.updates.contains_key(&id)) {
                continue;
            }
            let parent = commit.parents.first().filter(|parent| git.has(**parent));
            let files = parent.map(|parent| git.changed_paths(*parent, commit.id)).transpose()?;
            if !self.is_stop_of(update, &commit, &files.unwrap_or_default())? {
                unknown.push(commit);
            }
        }
        Ok(unknown)
    }

    /// Commits of the base branch from `since` to `until`, as the judge is told of them, oldest first, without those that
    /// were `told` before.
    pub(super) fn told_commits(
        &self,
        since: Option<Id>,
        until: Id,
        told: &BTreeSet<String>,
    ) -> Result<Vec<line::Commit>, Error> {
        let git = &self.pass.git;
        let commits = match git.commits_since(since, until, MOST_TOLD) {
            Ok(commits) => commits,
            // The newest tell most; which commit comes after which is asked of Git where it matters.
            Err(write::Error::TooLarge { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let new: Vec<&CommitInfo> =
            commits.iter().rev().filter(|commit| !told.contains(&commit.id.to_string())).collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let landings = self.landings();
        new.into_iter().map(|commit| self.told(commit, &landings)).collect()
    }

    /// What merged updates brought in, by id; what cannot be told of one says nothing of the others.
    fn landings(&self) -> Vec<(String, Landed, Vec<String>)> {
        let of = |update: &Update| -> Result<Option<(String, Landed, Vec<String>)>, Error> {
            let merge = update.merge_commit.as_deref().and_then(|text| text.parse::<Id>().ok());
            let is_open = matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Held);
            let Some(merge) = merge.filter(|merge| is_open && self.pass.git.has(*merge)) else {
                return Ok(None);
            };
            let Some(landed) = self.landed(update, merge)? else { return Ok(None) };
            Ok(Some((update.update_id.clone(), landed, self.pass.git.landed_paths(landed)?)))
        };
        let updates = self.world.state.updates.values().filter(|update| !stays_in_cluster(update));
        let known = updates.filter_map(|update| {
            of(update).unwrap_or_else(|error| {
                tracing::warn!(component = update.component, reason = %error, "cannot tell what was merged");
                None
            })
        });
        known.collect()
    }

    fn told(
        &self,
        commit: &CommitInfo,
        landings: &[(String, Landed, Vec<String>)],
    ) -> Result<line::Commit, Error> {
        let files = match commit.parents.first() {
            // Beyond the border of a shallow clone nobody knows.
            Some(parent) if self.pass.git.has(*parent) => self.pass.git.changed_paths(*parent, commit.id)?,
            _ => Vec::new(),
        };
        let mut told = line::Commit {
            id: commit.id.to_string(),
            parents: commit.parents.iter().map(ToString::to_string).collect(),
            message: commit.message.chars().take(4_000).collect(),
            reverts: Reverts::parse(&commit.message).into_iter().collect(),
            ..line::Commit::default()
        };
        for (id, landed, paths) in landings {
            let is_touched = files.iter().any(|file| paths.contains(file));
            let is_later = commit.id != landed.after
                && is_touched
                && self.pass.git.is_ancestor(landed.after, commit.id)?;
            if !is_later {
                continue;
            }
            match self.pins(*landed, paths, commit.id)? {
                Stands::Old if !told.reverts.contains(id) => told.reverts.push(id.clone()),
                Stands::Other => told.replaces.push(id.clone()),
                // Only where that is news.
                Stands::New if self.had_gone(*landed, paths, commit)? => told.restores.push(id.clone()),
                Stands::New | Stands::Old | Stands::Unclear => {}
            }
        }
        told.stops = self.stopped_updates(commit, &files)?;
        told.files = files;
        Ok(told)
    }

    /// Whether the pins of an update were not all there right before a commit: of several files some may have been put
    /// in again before.
    fn had_gone(&self, landed: Landed, paths: &[String], commit: &CommitInfo) -> Result<bool, Error> {
        match commit.parents.first() {
            Some(parent) if self.pass.git.has(*parent) => {
                Ok(self.pins(landed, paths, *parent)? != Stands::New)
            }
            _ => Ok(false),
        }
    }
}

/// Nodes or data follow it, and do not go back with Git.
fn stays_in_cluster(update: &Update) -> bool {
    matches!(kind_of(&update.component), "k3s" | "longhorn")
}

fn last_touching(
    later: &[CommitInfo],
    git: &write::WriteRepo,
    paths: &[String],
) -> Result<Option<Id>, Error> {
    for commit in later {
        let Some(parent) = commit.parents.first() else { continue };
        if git.changed_paths(*parent, commit.id)?.iter().any(|path| paths.contains(path)) {
            return Ok(Some(commit.id));
        }
    }
    Ok(None)
}
