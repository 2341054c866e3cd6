//! Where an open pull request stands: what the branches say of it, and what of that is written down.
//!
//! Git tells nobody that a branch was merged or moved. What is seen of it is written down together with whatever else
//! is written of the pull request, and where [`Inner::note`] is asked to.

use jiff::Timestamp;

use super::record::{Kind, Record, Stage, Thread, head_ref};
use super::{Inner, failed};
use crate::app::forge::{ForgeResult, Number};
use crate::repo::write::{Id, RefUpdate, RemoteRefs};

/// How far back a merge by hand is looked for.
const MOST_MERGES: usize = 2000;
/// What is attempted.
const LOOK: &str = "look whether a pull request is merged";

/// Where a pull request stands, as far as the branches say.
pub(super) struct Standing {
    pub(super) head: Option<Id>,
    /// The commit that brought it into the base branch, and when.
    pub(super) merged: Option<(String, Timestamp)>,
}

/// What is to be written down of an open pull request.
pub(super) struct Noted {
    pub(super) record: Record,
    pub(super) updates: Vec<RefUpdate>,
    pub(super) subject: String,
}

/// The head that was written down last.
pub(super) fn kept_head(refs: &RemoteRefs, record: &Record) -> Option<Id> {
    let kept = refs.refs.get(&head_ref(record.number)).copied();
    kept.or_else(|| record.head.as_deref()?.parse().ok())
}

impl Inner {
    /// Writes down where a pull request stands.
    pub(super) fn note(&self, number: Number) -> ForgeResult<()> {
        self.update(number, &format!("look at pull request {number}"), |refs, thread| {
            Ok(self.noted(refs, thread)?.map(|noted| (noted.subject, vec![])))
        })
    }

    /// Where a pull request stands that nobody wrote down as over.
    ///
    /// One whose head came into the base branch is merged, and stays so wherever its branch goes from then on: what is
    /// pushed there later is for another pull request, as on GitHub.
    pub(super) fn standing(&self, refs: &RemoteRefs, record: &Record) -> ForgeResult<Standing> {
        let tip = refs.branch(&record.branch);
        let kept = kept_head(refs, record);
        let merged = |head: Option<Id>| match head {
            Some(head) => self.merged_by_hand(refs, &record.base, head),
            None => Ok(None),
        };
        let tip_merged = merged(tip)?;
        let kept_merged = if kept == tip { tip_merged.clone() } else { merged(kept)? };
        // Commits that somebody added before all of it was merged belong to it.
        let goes_on = match (kept, tip) {
            (Some(kept), Some(tip)) if kept_merged.is_some() && tip_merged.is_some() => {
                self.repo.is_ancestor(kept, tip).map_err(|error| failed(LOOK, &error))?
            }
            _ => false,
        };
        Ok(match kept_merged.is_some() && !goes_on {
            true => Standing { head: kept, merged: kept_merged },
            false => Standing { head: tip.or(kept), merged: tip_merged },
        })
    }

    /// What is to be written down of an open pull request besides what it says: where its branch is, or that it is
    /// merged. `None` where that is written down already.
    pub(super) fn noted(&self, refs: &RemoteRefs, thread: &Thread) -> ForgeResult<Option<Noted>> {
        let Record { kind, state, number, .. } = thread.record;
        if (kind, state) != (Kind::PullRequest, Stage::Open) {
            return Ok(None);
        }
        let Standing { head, merged } = self.standing(refs, &thread.record)?;
        let mut record = Record { head: head.map(|head| head.to_string()), ..thread.record.clone() };
        if record.head.is_none() {
            record.head.clone_from(&thread.record.head);
        }
        let subject = match merged {
            Some((commit, at)) => {
                let subject =
                    format!("See that {number} was merged as {}", commit.get(..7).unwrap_or(&commit));
                (record.state, record.merge_commit, record.ended_at) =
                    (Stage::Merged, Some(commit), Some(at));
                subject
            }
            None => format!("See where the branch of {number} is"),
        };
        let updates = self.keep_head(refs, number, head);
        let is_new = record != thread.record || !updates.is_empty();
        Ok(is_new.then_some(Noted { record, updates, subject }))
    }

    /// The commit that brought `head` into the base branch, where somebody did that with Git alone, and when.
    fn merged_by_hand(
        &self,
        refs: &RemoteRefs,
        base: &str,
        head: Id,
    ) -> ForgeResult<Option<(String, Timestamp)>> {
        let told = |error| failed(LOOK, &error);
        let Some(mut commit) = refs.branch(base) else { return Ok(None) };
        // What is not here (beyond the border of a shallow clone) has not been fetched with the base.
        if !self.repo.has(head) || !self.repo.is_ancestor(head, commit).map_err(told)? {
            return Ok(None);
        }
        let mut info = self.repo.commit_info(commit).map_err(told)?;
        for _ in 0..MOST_MERGES {
            let Some(parent) = info.parents.first().copied().filter(|parent| self.repo.has(*parent)) else {
                break;
            };
            if commit == head || !self.repo.is_ancestor(head, parent).map_err(told)? {
                break;
            }
            commit = parent;
            info = self.repo.commit_info(commit).map_err(told)?;
        }
        Ok(Some((commit.to_string(), info.time)))
    }

    /// Moves the kept head to where the branch is now.
    pub(super) fn keep_head(&self, refs: &RemoteRefs, number: Number, head: Option<Id>) -> Vec<RefUpdate> {
        let name = head_ref(number);
        let kept = refs.refs.get(&name).copied();
        head.filter(|head| kept != Some(*head))
            .map(|head| RefUpdate::replace(name, kept, head))
            .into_iter()
            .collect()
    }
}
