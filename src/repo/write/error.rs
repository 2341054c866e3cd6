//! Why a repository could not be written, or its remote not be asked.

use std::path::PathBuf;

use super::Id;
use crate::domain::upstream::FailureClass;
use crate::repo::printable;

/// Why a write, a push or a fetch failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Git repository.
    #[error("cannot find a git repository at `{}`", .path.display())]
    NoRepository {
        /// As given.
        path: PathBuf,
    },
    /// A folder that should become a repository holds something else.
    #[error("cannot make `{}` a clone: it is neither a repository nor empty", .path.display())]
    NotEmpty {
        /// As given.
        path: PathBuf,
    },
    /// The remote has no branch that could be cloned.
    #[error("cannot find the branch to clone at {remote}")]
    NoBranch {
        /// Without credentials.
        remote: String,
    },
    /// There is one that cannot be used.
    #[error("cannot open the git repository of `{}`", .path.display())]
    Open {
        /// As given.
        path: PathBuf,
        /// What libgit2 said.
        source: git2::Error,
    },
    /// The text given as a remote is none that can be used.
    #[error("cannot use `{}` as a remote: {why}", printable(.remote))]
    RemoteName {
        /// Redacted.
        remote: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An object is missing, damaged, of another kind, or too large.
    #[error("cannot read {what}")]
    Object {
        /// Such as ``commit `3f2c1ab` `` or ``file `a.yaml` of `3f2c1ab` ``.
        what: String,
        /// What libgit2 said.
        source: git2::Error,
    },
    /// A file of a commit has more bytes than allowed.
    #[error("cannot read {what}: it has more than {limit} bytes")]
    TooLarge {
        /// The file.
        what: String,
        /// Bytes allowed.
        limit: usize,
    },
    /// Objects cannot be written (read-only file system, full disk).
    #[error("cannot write {what} into the git repository")]
    Write {
        /// Such as `a commit`.
        what: &'static str,
        /// What libgit2 said.
        source: git2::Error,
    },
    /// A path that cannot stand in a tree, or that is not a file there.
    #[error("cannot change `{}`: {why}", printable(.path))]
    Path {
        /// As given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The changes change nothing.
    #[error("cannot make a commit on `{}`: it would change nothing", .base.short())]
    NothingChanged {
        /// Commit that the changes were for.
        base: Id,
    },
    /// The text is no name of a ref that may be written.
    #[error("cannot use `{}` as the name of a ref", printable(.name))]
    RefName {
        /// As given.
        name: String,
    },
    /// A ref is not where the update expected it: somebody else was faster. Nothing was written.
    #[error("cannot move `{name}`: it is at {}, expected was {}", place(.found), place(.expected))]
    Moved {
        /// The ref.
        name: String,
        /// Where it was expected; `None` = nowhere.
        expected: Option<Id>,
        /// Where it is; `None` = nowhere.
        found: Option<Id>,
    },
    /// The server took the objects and refused to move refs.
    #[error("the remote refused {}{}", refusals(.refused), also_said(.said))]
    Refused {
        /// Refs that were not moved, with the server's reason for each.
        refused: Vec<(String, String)>,
        /// What the server said beside that.
        said: String,
    },
    /// The base branch is checked out and cannot be moved without touching somebody's work.
    #[error("cannot move `{branch}`, which is checked out in `{}`: {why}", .folder.display())]
    CheckedOut {
        /// Full name of the ref.
        branch: String,
        /// The work tree.
        folder: PathBuf,
        /// What is in the way.
        why: String,
    },
    /// Two histories cannot be brought together without a person.
    #[error("cannot merge `{}` into `{}`: both change {}", .theirs.short(), .ours.short(), list(.paths))]
    Conflict {
        /// Tip that is merged into.
        ours: Id,
        /// Tip that is merged.
        theirs: Id,
        /// Files in conflict, sorted.
        paths: Vec<String>,
    },
    /// The remote could not be asked, or did not do what it was asked.
    #[error("{message}")]
    Remote {
        /// What kind of failure.
        class: FailureClass,
        /// Redacted; what was attempted, on what, what happened.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The refs of a repository on this machine cannot be read or written.
    #[error("cannot {attempt} in `{}`", .folder.display())]
    Refs {
        /// Such as ``move `refs/heads/main` ``.
        attempt: String,
        /// The repository.
        folder: PathBuf,
        /// What libgit2 said.
        source: git2::Error,
    },
}

impl Error {
    /// What asking again is good for.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Remote { class, .. } => class.clone(),
            Self::NoRepository { .. } => FailureClass::NotFound,
            Self::Moved { .. } => FailureClass::Transient,
            Self::Refs { source, .. } if source.code() == git2::ErrorCode::Locked => FailureClass::Transient,
            _ => FailureClass::Permanent,
        }
    }

    /// Whether somebody else was faster, so that reading again and deciding anew is right.
    pub fn lost_race(&self) -> bool {
        match self {
            Self::Moved { .. } => true,
            Self::Refs { source, .. } => source.code() == git2::ErrorCode::Locked,
            // The server compared between our look and our push. The texts are Git's own and those of the large forges.
            Self::Refused { refused, .. } => refused.iter().all(|(_, words)| is_race(words)),
            _ => false,
        }
    }

    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Remote { hint, .. } => hint.clone(),
            Self::Refused { refused, said } => refusal_hint(refused, said),
            Self::CheckedOut { .. } => {
                Some("commit or stash what is in the way, or check out another branch".to_owned())
            }
            Self::Refs { source, folder, .. } if source.code() == git2::ErrorCode::Locked => Some(format!(
                "another process holds it; if none runs, one was killed: remove the file ending in `.lock` below `{}`",
                folder.display()
            )),
            Self::NoRepository { .. } => {
                Some("run it in a clone of the repository, or name one in its place".to_owned())
            }
            Self::Write { .. } => {
                Some("check that the disk has room and `.git` may be written to".to_owned())
            }
            Self::Open { source, .. } if source.message().contains("extension") => Some(
                "a partial clone (`--filter`) cannot be written to; use a full or a shallow one".to_owned(),
            ),
            _ => None,
        }
    }

    pub(super) fn object(what: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        move |source| Self::Object { what: what.into(), source }
    }

    pub(super) fn write(what: &'static str) -> impl FnOnce(git2::Error) -> Self {
        move |source| Self::Write { what, source }
    }
}

fn is_race(words: &str) -> bool {
    [
        "failed to update ref",
        "cannot lock ref",
        "failed to lock",
        "fetch first",
        "reference already exists",
        "incorrect old value",
        "stale info",
    ]
    .iter()
    .any(|race| words.contains(race))
}

fn refusal_hint(refused: &[(String, String)], said: &str) -> Option<String> {
    let all = refused.iter().map(|(_, words)| words.as_str()).chain([said]).collect::<Vec<_>>().join("\n");
    let all = all.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| all.contains(word));
    let hint = if has(&["workflow"]) && has(&["permission", "scope"]) {
        "the token needs `workflows: write` for files in `.github/workflows`"
    } else if has(&["protected branch", "gh006", "gh013", "rule violations", "deny updating"]) {
        "the ref is protected: allow the bot to write `refs/gitops-updater/*` and `gitops-updater/*`"
    } else if has(&["hook declined", "pre-receive"]) {
        "a hook of the server refused it; what it said stands above"
    } else if has(&["hidden ref"]) {
        "the server hides this ref; it must allow `refs/gitops-updater/*`"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

fn place(id: &Option<Id>) -> String {
    id.map_or_else(|| "nothing".to_owned(), |id| format!("`{}`", id.short()))
}

fn refusals(refused: &[(String, String)]) -> String {
    refused
        .iter()
        .map(|(name, words)| format!("`{}` ({})", printable(name), printable(words)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn also_said(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {}", printable(said)) }
}

fn list(paths: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text =
        paths.iter().take(SHOWN).map(|path| format!("`{}`", printable(path))).collect::<Vec<_>>().join(", ");
    if paths.len() > SHOWN {
        text.push_str(&format!(" and {} more", paths.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &str, said: &str) -> Error {
        Error::Refused {
            refused: vec![("refs/heads/main".to_owned(), words.to_owned())],
            said: said.to_owned(),
        }
    }

    #[test]
    fn servers_words_decide_what_to_do() {
        for (words, text, race, hint) in [
            ("failed to update ref", "", true, None),
            (
                "protected branch hook declined",
                "error: GH006: Protected branch update failed",
                false,
                Some("protected"),
            ),
            ("pre-receive hook declined", "no", false, Some("hook of the server")),
            ("deny updating a hidden ref", "", false, Some("protected")),
            (
                "refusing to allow a GitHub App to update workflow without `workflows` permission",
                "",
                false,
                Some("workflows: write"),
            ),
            ("non-fast-forward", "", false, None),
        ] {
            let error = refused(words, text);
            assert_eq!(error.lost_race(), race, "{words}");
            match hint {
                Some(hint) => assert!(error.hint().unwrap().contains(hint), "{words}"),
                None => assert_eq!(error.hint(), None, "{words}"),
            }
        }
    }

    #[test]
    fn text_of_the_server_cannot_forge_a_line() {
        let text = refused("no\nerror: forged", "a\u{1b}[31m").to_string();
        assert_eq!(text, "the remote refused `refs/heads/main` (no\\nerror: forged); it said: a\\u{1b}[31m");
    }
}
