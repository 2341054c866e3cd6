//! Commits that stopped a rollout, whoever made them: known by their trailer, or by what they change.

use std::collections::BTreeSet;

use super::stop_rollout::{FILE_LIMIT, begin_anew, wanted};
use crate::app::forge::Forge;
use crate::app::pass::{Error, UnderWay};
use crate::domain::edit::apply;
use crate::domain::edit::concurrency::{self, Stopping, Wanted};
use crate::domain::message::Stops;
use crate::domain::settle::record::RolloutStop;
use crate::domain::state::{Stage, Update};
use crate::repo::write::{self, CommitInfo, Id};

/// Most commits after a merge that are looked at.
const MOST_COMMITS: usize = 5_000;
/// Most files that a stop changes: Plans are few.
const MOST_STOPPED: usize = 50;
/// Most commits since it was decided, the newest first, that are looked into for a stop that was merged under other words.
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
        // What was proposed may have been merged under other words. What was there when it was decided is an earlier
        // stop, which a person has ended since.
        let decided_on = stop.decided_on.as_deref().and_then(|text| text.parse::<Id>().ok());
        let Some(decided_on) = decided_on.filter(|decided_on| git.has(*decided_on)) else { return Ok(None) };
        for commit in git.newest_since(Some(decided_on), self.world.base, MOST_LOOKED_INTO)? {
            let Some(parent) = commit.parents.first().filter(|parent| git.has(**parent)) else { continue };
            if Stops::parse(&commit.message).is_none()
                && self.does_stop(update, stop, &commit, &git.changed_paths(*parent, commit.id)?)?
            {
                // It may have been taken back before anybody looked.
                let now = self.stopping_at(update, stop, self.world.base)?;
                let stands = now.is_some_and(|now| now.replacements.is_empty() && !now.stopped.is_empty());
                return Ok(stands.then(|| commit.id.to_string()));
            }
        }
        Ok(None)
    }

    /// Updates under way whose rollout a commit stops, and does nothing else.
    pub(super) fn stopped_updates(
        &self,
        commit: &CommitInfo,
        files: &[String],
    ) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        let is_open = |update: &&Update| matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Held);
        for update in self.world.state.updates.values().filter(is_open) {
            if self.is_stop_of(update, commit, files)? {
                found.push(update.update_id.clone());
            }
        }
        Ok(found)
    }

    /// Whether a commit, which changed these files, stops the rollout of an update that is to be stopped, or was before
    /// a person took it up again, and does nothing else: by its trailer, or by what it changes. A forge that squashes a
    /// pull request writes a message of its own.
    pub(super) fn is_stop_of(
        &self,
        update: &Update,
        commit: &CommitInfo,
        files: &[String],
    ) -> Result<bool, Error> {
        let settling = &update.settling;
        let mut stops = settling.stop.iter().chain(&settling.earlier_stops).peekable();
        if stops.peek().is_none() {
            return Ok(false);
        }
        if let Some((id, _)) = Stops::parse(&commit.message) {
            return Ok(id == update.update_id);
        }
        for stop in stops {
            if self.does_stop(update, stop, commit, files)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a commit changes what stopping the rollout changes, had that been decided right before it, and nothing
    /// else. Plans of the same name that another cluster has are in other files.
    fn does_stop(
        &self,
        update: &Update,
        stop: &RolloutStop,
        commit: &CommitInfo,
        files: &[String],
    ) -> Result<bool, Error> {
        let git = &self.pass.git;
        let parent = commit.parents.first().copied().filter(|parent| git.has(*parent));
        let Some(parent) = parent.filter(|_| (1..=MOST_STOPPED).contains(&files.len())) else {
            return Ok(false);
        };
        let mut texts = Vec::new();
        for file in files {
            match self.text(parent, file)?.zip(self.text(commit.id, file)?) {
                // Most commits change something else; nothing more is read for those.
                Some((before, after)) if before.contains("Plan") && before.contains("concurrency") => {
                    texts.push((file, before, after));
                }
                _ => return Ok(false),
            }
        }
        let Some(stopping) = self.stopping_at(update, stop, parent)? else { return Ok(false) };
        if stopping.replacements.iter().any(|one| !files.contains(&one.file)) {
            return Ok(false);
        }
        for (file, before, after) in &texts {
            let edits: Vec<_> =
                stopping.replacements.iter().filter(|one| one.file == **file).cloned().collect();
            let edited = match edits.is_empty() {
                true => return Ok(false),
                false => apply(file, before.as_bytes(), &edits),
            };
            match edited {
                Ok(edited) if edited == after.as_bytes() => {}
                Ok(_) => return Ok(false),
                // What cannot be changed was not changed by us.
                Err(error) => {
                    let commit = commit.id.short();
                    tracing::debug!(commit, file, reason = %error, "not taken for the stop of a rollout");
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// What stops the rollout at a commit, by what is on record as decided; `None` where too much is there to look
    /// through.
    fn stopping_at(&self, update: &Update, stop: &RolloutStop, at: Id) -> Result<Option<Stopping>, Error> {
        let left: BTreeSet<String> = begin_anew(stop).collect();
        let plans = stop.plans.iter().filter(|(key, _)| !left.contains(*key));
        let plans: Vec<Wanted> = plans.filter_map(|(key, count)| wanted(key, *count)).collect();
        let files = match self.manifests(at) {
            Err(Error::Git(write::Error::TooLarge { .. })) => return Ok(None),
            files => files?,
        };
        let files = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        Ok(Some(concurrency::stop(files, &self.paths_of(update)?.into_iter().collect(), &plans)))
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
