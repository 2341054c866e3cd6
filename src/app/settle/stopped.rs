//! Commits that stopped a rollout, whoever made them: known by their trailer, or by what they change.

use super::stop_rollout::{FILE_LIMIT, wanted};
use crate::app::forge::Forge;
use crate::app::pass::{Error, UnderWay};
use crate::domain::edit::apply;
use crate::domain::edit::concurrency::{self, Wanted};
use crate::domain::message::Stops;
use crate::domain::state::Update;
use crate::repo::write::{self, CommitInfo, Id};

/// Most commits after a merge that are looked at.
const MOST_COMMITS: usize = 5_000;
/// Most files that a stop changes: Plans are few.
const MOST_STOPPED: usize = 50;
/// Most commits, the newest first, that are looked into for a stop that was merged under other words.
const MOST_LOOKED_INTO: usize = 500;

impl<F: Forge> UnderWay<'_, F> {
    /// The commit that carried out what is on record as decided, whoever made it.
    pub(super) fn stopped_by(&self, update: &Update) -> Result<Option<String>, Error> {
        let merge = update.merge_commit.as_deref().and_then(|text| text.parse::<Id>().ok());
        let Some((stop, merge)) = update.settling.stop.as_ref().zip(merge) else { return Ok(None) };
        let git = &self.pass.git;
        if !git.has(merge) || !git.is_ancestor(merge, self.world.base)? {
            return Ok(None);
        }
        let later = match git.commits_since(Some(merge), self.world.base, MOST_COMMITS) {
            Err(write::Error::TooLarge { .. }) => return Ok(None),
            later => later?,
        };
        let ours = (update.update_id.clone(), stop.decided_at);
        let said = later.iter().find(|commit| Stops::parse(&commit.message).as_ref() == Some(&ours));
        if let Some(said) = said {
            return Ok(Some(said.id.to_string()));
        }
        // What was proposed may have been merged under other words.
        for commit in later.iter().take(MOST_LOOKED_INTO).filter(|_| stop.branch.is_some()) {
            let Some(parent) = commit.parents.first().filter(|parent| git.has(**parent)) else { continue };
            if self.is_stop_of(update, commit, &git.changed_paths(*parent, commit.id)?)? {
                return Ok(Some(commit.id.to_string()));
            }
        }
        Ok(None)
    }

    /// Updates whose rollout a commit stops, and does nothing else.
    pub(super) fn stopped_updates(
        &self,
        commit: &CommitInfo,
        files: &[String],
    ) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for update in self.world.state.updates.values() {
            if self.is_stop_of(update, commit, files)? {
                found.push(update.update_id.clone());
            }
        }
        Ok(found)
    }

    /// Whether a commit, which changed these files, carries out what was decided about the rollout of an update: by its
    /// trailer, or by what it changes. A forge that squashes a pull request writes a message of its own.
    pub(super) fn is_stop_of(
        &self,
        update: &Update,
        commit: &CommitInfo,
        files: &[String],
    ) -> Result<bool, Error> {
        let Some(stop) = &update.settling.stop else { return Ok(false) };
        let ours = (update.update_id.as_str(), stop.decided_at);
        if Stops::parse(&commit.message).is_some_and(|(id, at)| (id.as_str(), at) == ours) {
            return Ok(true);
        }
        let git = &self.pass.git;
        let parent = commit.parents.first().copied().filter(|parent| git.has(*parent));
        let Some(parent) = parent.filter(|_| (1..=MOST_STOPPED).contains(&files.len())) else {
            return Ok(false);
        };
        let mut texts = Vec::new();
        for file in files {
            match self.text(parent, file)?.zip(self.text(commit.id, file)?) {
                Some((before, after)) => texts.push((file, before, after)),
                None => return Ok(false),
            }
        }
        let plans: Vec<Wanted> = stop.plans.iter().filter_map(|(key, count)| wanted(key, *count)).collect();
        let before = texts.iter().map(|(file, before, _)| (file.as_str(), before.as_str()));
        let stopping = concurrency::stop(before, &files.iter().cloned().collect(), &plans);
        for (file, before, after) in &texts {
            let edits: Vec<_> =
                stopping.replacements.iter().filter(|one| one.file == **file).cloned().collect();
            if edits.is_empty() || apply(file, before.as_bytes(), &edits)? != after.as_bytes() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A manifest at a commit; `None` where there is none, or none that is looked into.
    fn text(&self, commit: Id, file: &str) -> Result<Option<String>, Error> {
        match self.pass.git.read_file(commit, file, FILE_LIMIT) {
            Ok(bytes) => Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok())),
            Err(write::Error::TooLarge { .. } | write::Error::Path { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
