//! Which files change so that components are at older versions.

use std::collections::BTreeMap;

use super::Error;
use crate::domain::component::Component;
use crate::domain::edit::{self, Diff, Draft, Generated, Options, Ranges};
use crate::domain::upstream::Candidate;
use crate::repo::write::{Change, Id, WriteRepo};

/// Largest file that is changed, in bytes.
const FILE_LIMIT: usize = 16 << 20;

/// A component that goes back.
#[derive(Debug, Clone, Copy)]
pub struct Back<'a> {
    /// As the base branch has it.
    pub component: &'a Component,
    /// Version to go back to, as Git had it.
    pub to: &'a str,
    /// The component at that version, and a commit that has it so.
    pub then: Option<(&'a Component, Id)>,
}

/// Files that change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edited {
    /// By path.
    pub changes: BTreeMap<String, Change>,
    /// As unified diffs, where single bytes change.
    pub diff: String,
    /// Files that come back whole, with all that others changed in them since.
    pub whole: Vec<String>,
    /// Places that stay, with the reason.
    pub left_alone: Vec<String>,
}

/// Which files of `base` change so that components are at older versions. Only versions and their digests change, but
/// for files that cannot be changed so: these come back whole, where it is known how they were.
///
/// # Errors
///
/// A file cannot be changed so that exactly the version is meant.
pub fn edit_back(git: &WriteRepo, base: Id, backs: &[Back<'_>]) -> Result<Edited, Error> {
    let mut edited = Edited::default();
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    for back in backs {
        let digest = back.then.and_then(|(then, _)| {
            then.pins.iter().find_map(|pin| pin.digest.as_ref()).map(|digest| digest.text.clone())
        });
        let candidate = Candidate { version: back.to.to_owned(), digest, ..Candidate::default() };
        let options = Options { ranges: Ranges::Leave, generated: Generated::Elsewhere };
        let changes = match (edit::replacements(back.component, None, &candidate, options), back.then) {
            (Ok(changes), _) => changes,
            (Err(error), None) => return Err(error.into()),
            (Err(_), Some((then, commit))) => {
                for pin in &then.pins {
                    bring_back(git, commit, &pin.file, &mut edited)?;
                }
                continue;
            }
        };
        for file in &changes.generated {
            let Some((_, commit)) = back.then else {
                return Err(Error::Generated { file: file.clone() });
            };
            bring_back(git, commit, file, &mut edited)?;
        }
        edited.left_alone.extend(
            changes.left_alone.iter().map(|left| format!("{}:{}: {}", left.file, left.line, left.reason)),
        );
        let mut files: Vec<&str> = changes.replacements.iter().map(|one| one.file.as_str()).collect();
        files.dedup();
        for file in files {
            let of_file: Vec<_> =
                changes.replacements.iter().filter(|one| one.file == file).cloned().collect();
            if !drafts.contains_key(file) {
                let bytes = git.read_file(base, file, FILE_LIMIT)?.unwrap_or_default();
                drafts.insert(file.to_owned(), Draft::new(file, &bytes)?);
            }
            if let Some(draft) = drafts.get_mut(file) {
                let before = draft.text();
                draft.apply(&of_file)?;
                edited.diff.push_str(&Diff::of(file, &before, &draft.text()).to_string());
            }
        }
    }
    for (file, draft) in drafts {
        // What comes back whole has the version already.
        if !edited.whole.contains(&file) {
            edited.changes.insert(file, Change::Write(draft.text().into_bytes()));
        }
    }
    Ok(edited)
}

fn bring_back(git: &WriteRepo, commit: Id, file: &str, edited: &mut Edited) -> Result<(), Error> {
    let entry = git.entry(commit, file)?;
    edited.changes.insert(file.to_owned(), entry.map_or(Change::Delete, Change::Restore));
    if !edited.whole.iter().any(|known| known == file) {
        edited.whole.push(file.to_owned());
    }
    Ok(())
}
