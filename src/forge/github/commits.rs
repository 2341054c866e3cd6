//! Commits made through the API, which GitHub signs for Apps, and refs that move only from where they were seen.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::client::{Ask, segment};
use super::{GithubForge, Repository, wire};
use crate::app::forge::{ForgeError, ForgeErrorClass, ForgeResult};

const READ: &str = "contents: read";
const WRITE: &str = "contents: write";
/// Largest file that is sent; GitHub refuses more than 100 MB, and manifests are far from either.
const FILE_LIMIT: usize = 16 << 20;
/// Most files of one commit.
const MOST_FILES: usize = 200;

/// A file as a commit is to have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Path from the root, with `/`.
    pub path: String,
    /// The whole new content; `None` removes the file.
    pub content: Option<Vec<u8>>,
    /// Mode 100755.
    pub executable: bool,
}

/// A commit to be made through the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCommit {
    /// Branch, without `refs/heads/`.
    pub branch: String,
    /// The commit that the change is made on.
    pub base: String,
    /// What changes.
    pub files: Vec<FileChange>,
    /// Message with trailers.
    pub message: String,
    /// Where the branch was seen last; `None` where there was none. It moves from nowhere else.
    pub seen: Option<String>,
}

/// A commit that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Id.
    pub id: String,
    /// GitHub signed it. It does so for Apps, GitHub Actions among them, and not for personal tokens.
    pub verified: bool,
}

impl GithubForge {
    /// Makes a commit and moves the branch to it. A branch that has the same change on the same base already is left
    /// as it is, so that this can be done twice.
    ///
    /// # Errors
    /// [`ForgeErrorClass::Conflict`] where the branch is not where it was seen; otherwise as every request.
    pub async fn commit_through_api(&self, commit: &ApiCommit) -> ForgeResult<Committed> {
        let repository = self.repository().await?;
        let total: usize = commit.files.iter().filter_map(|file| file.content.as_ref()).map(Vec::len).sum();
        if commit.files.is_empty() || commit.files.len() > MOST_FILES || total > FILE_LIMIT {
            return Err(ForgeError {
                class: ForgeErrorClass::Permanent,
                message: format!(
                    "cannot commit {} files with {total} bytes to `{}` through the API",
                    commit.files.len(),
                    commit.branch
                ),
                hint: Some("push commits with Git (`commits.through_api: false`)".to_owned()),
            });
        }
        let doing = format!("commit to `{}` in `{}`", commit.branch, repository.full_name());
        let base = self.wire_commit(repository, &commit.base, &doing).await?;
        let tree = self.write_tree(repository, &base.tree.sha, &commit.files, &doing).await?;

        let head = self.branch_head(&commit.branch).await?;
        if let Some(head) = &head {
            let known = self.wire_commit(repository, head, &doing).await?;
            let is_on_base = matches!(&known.parents[..], [only] if only.sha == commit.base);
            if known.tree.sha == tree && is_on_base && known.message.trim() == commit.message.trim() {
                return Ok(Committed { id: known.sha, verified: is_verified(known.verification) });
            }
        }
        if head != commit.seen {
            return Err(moved(&commit.branch, head.as_deref()));
        }
        // No author, no committer, no signature: only then GitHub signs
        // (GitHub docs, "About commit signature verification", bots).
        let body = json!({"message": commit.message, "tree": tree, "parents": [commit.base]});
        let ask = Ask::post(repository.path("git/commits"), body, doing.clone(), WRITE).repeatable();
        let made: wire::Commit = self.client.json(&ask).await?;
        let is_forward = head.as_ref().is_some_and(|head| *head == commit.base);
        match &commit.seen {
            None => self.create_branch(repository, &commit.branch, &made.sha, doing).await?,
            Some(_) if is_forward => {
                self.forward_branch(repository, &commit.branch, &made.sha, doing).await?
            }
            // The base moved, and the branch is made anew on it.
            Some(seen) => self.update_ref(&commit.branch, seen, &made.sha, doing).await?,
        }
        Ok(Committed { id: made.sha, verified: is_verified(made.verification) })
    }

    /// The commit of a branch; `None` where there is no such branch.
    ///
    /// # Errors
    /// As every request.
    pub async fn branch_head(&self, branch: &str) -> ForgeResult<Option<String>> {
        let repository = self.repository().await?;
        let doing = format!("look at the branch `{branch}` of `{}`", repository.full_name());
        let target = repository.path(&format!("git/ref/heads/{}", path_of(branch)));
        match self.client.json::<wire::Reference>(&Ask::get(target, doing, READ)).await {
            Ok(found) => Ok(Some(found.object.sha)),
            Err(refusal) if refusal.status == Some(404) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn wire_commit(&self, repository: &Repository, id: &str, doing: &str) -> ForgeResult<wire::Commit> {
        let target = repository.path(&format!("git/commits/{}", segment(id)));
        Ok(self.client.json(&Ask::get(target, doing.to_owned(), READ)).await?)
    }

    /// Objects are named by their content: writing them twice writes them once.
    async fn write_tree(
        &self,
        repository: &Repository,
        base: &str,
        files: &[FileChange],
        doing: &str,
    ) -> ForgeResult<String> {
        let mut entries = Vec::with_capacity(files.len());
        for file in files {
            let blob = match &file.content {
                Some(content) => json!(self.write_blob(repository, content, doing).await?),
                None => Value::Null,
            };
            let mode = if file.executable { "100755" } else { "100644" };
            entries.push(json!({"path": file.path, "mode": mode, "type": "blob", "sha": blob}));
        }
        let body = json!({"base_tree": base, "tree": entries});
        let ask = Ask::post(repository.path("git/trees"), body, doing.to_owned(), WRITE).repeatable();
        Ok(self.client.json::<wire::Object>(&ask).await?.sha)
    }

    async fn write_blob(&self, repository: &Repository, content: &[u8], doing: &str) -> ForgeResult<String> {
        let body = json!({"content": STANDARD.encode(content), "encoding": "base64"});
        let ask = Ask::post(repository.path("git/blobs"), body, doing.to_owned(), WRITE).repeatable();
        let written: wire::Object = self.client.json(&ask).await?;
        if blob_id(content).is_some_and(|id| id != written.sha) {
            return Err(ForgeError {
                class: ForgeErrorClass::Permanent,
                message: format!("cannot {doing}: GitHub stored another content than it was sent"),
                hint: None,
            });
        }
        Ok(written.sha)
    }

    async fn create_branch(
        &self,
        repository: &Repository,
        branch: &str,
        commit: &str,
        doing: String,
    ) -> ForgeResult<()> {
        let body = json!({"ref": format!("refs/heads/{branch}"), "sha": commit});
        // One that exists refuses the next request, which is how a lost answer shows.
        let ask = Ask::post(repository.path("git/refs"), body, doing, WRITE).repeatable();
        match self.client.send(&ask).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.says(422, "already exists") => self.is_at(branch, commit).await,
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn forward_branch(
        &self,
        repository: &Repository,
        branch: &str,
        commit: &str,
        doing: String,
    ) -> ForgeResult<()> {
        let target = repository.path(&format!("git/refs/heads/{}", path_of(branch)));
        let body = json!({"sha": commit, "force": false});
        // Not forced: GitHub refuses where somebody added a commit meanwhile.
        match self.client.send(&Ask::set(Method::PATCH, target, Some(body), doing, WRITE)).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.status == Some(422) => self.is_at(branch, commit).await,
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Moves a branch from `before` and from nowhere else, which REST cannot do
    /// (GraphQL reference, `updateRefs`).
    async fn update_ref(&self, branch: &str, before: &str, after: &str, doing: String) -> ForgeResult<()> {
        let repository = self.repository().await?;
        let query = "mutation ($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }";
        let update = json!({
            "name": format!("refs/heads/{branch}"), "beforeOid": before, "afterOid": after, "force": true,
        });
        let input = json!({"repositoryId": repository.node_id, "refUpdates": [update]});
        let asked: ForgeResult<Value> = self.graphql(query, json!({"input": input}), doing, WRITE).await;
        match asked {
            Ok(_) => Ok(()),
            // Somebody was faster, or an answer of ours was lost.
            Err(error) if matches!(error.class, ForgeErrorClass::Conflict | ForgeErrorClass::Permanent) => {
                let now = self.branch_head(branch).await?;
                match now.as_deref() {
                    Some(now) if now == after => Ok(()),
                    Some(now) if now == before => Err(error),
                    other => Err(moved(branch, other)),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn is_at(&self, branch: &str, commit: &str) -> ForgeResult<()> {
        let now = self.branch_head(branch).await?;
        if now.as_deref() == Some(commit) { Ok(()) } else { Err(moved(branch, now.as_deref())) }
    }
}

fn is_verified(verification: Option<wire::Verification>) -> bool {
    verification.is_some_and(|verification| verification.verified)
}

fn moved(branch: &str, now: Option<&str>) -> ForgeError {
    let now = now.map_or_else(|| "is gone".to_owned(), |now| format!("is at {now} now"));
    ForgeError {
        class: ForgeErrorClass::Conflict,
        message: format!("cannot move the branch `{branch}`: somebody else did, it {now}"),
        hint: None,
    }
}

/// A branch in a path: its slashes stay.
fn path_of(branch: &str) -> String {
    branch.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The name that Git gives to a content.
fn blob_id(content: &[u8]) -> Option<String> {
    let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, content).ok()?;
    let mut text = String::with_capacity(40);
    for byte in id.as_slice() {
        write!(text, "{byte:02x}").ok()?;
    }
    Some(text)
}
