//! Withdrawing the wish that GitHub merges a pull request by itself, also out of its merge queue.

use serde::Deserialize;
use serde_json::json;

use super::{GithubForge, wire};
use crate::app::forge::{ForgeError, ForgeErrorClass, ForgeResult, Number};

/// What both mutations take.
const WRITE: &str = "contents: write";

/// What GitHub was asked for and has not done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Merge it when the rules allow it (GitHub docs, "Automatically merging a pull request").
    AutoMerge,
    /// Merge it when its turn comes (GitHub docs, "Merging a pull request with a merge queue").
    Queue,
}

#[derive(Debug, Deserialize)]
struct Answer {
    node: Option<Queued>,
}

/// Each is absent for what is no pull request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queued {
    #[serde(default)]
    author: Option<Actor>,
    #[serde(default)]
    merge_queue_entry: Option<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    enqueuer: Option<Actor>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Actor {
    login: String,
}

impl GithubForge {
    /// What the account that opened an open pull request asked for; `None` also for what somebody else asked for.
    pub(super) async fn own_wish(&self, number: Number) -> ForgeResult<Option<Wish>> {
        let repository = self.repository().await?;
        let pull = self.wire_pull(repository, number).await?;
        self.wish_of(&pull).await
    }

    async fn wish_of(&self, pull: &wire::Pull) -> ForgeResult<Option<Wish>> {
        if pull.state != "open" {
            return Ok(None);
        }
        if let Some(asked) = &pull.auto_merge {
            let id = |user: &Option<wire::User>| user.as_ref().map(|user| user.id);
            let own = id(&asked.enabled_by).is_some() && id(&asked.enabled_by) == id(&pull.user);
            return Ok(own.then_some(Wish::AutoMerge));
        }
        Ok(self.is_queued(pull).await?.then_some(Wish::Queue))
    }

    /// Whether its author put it into the merge queue, which REST does not tell.
    async fn is_queued(&self, pull: &wire::Pull) -> ForgeResult<bool> {
        let Some(id) = &pull.node_id else { return Ok(false) };
        let doing = format!("look for #{} in the merge queue", pull.number);
        let query = "query($id: ID!) { node(id: $id) { ... on PullRequest { \
                     author { login } mergeQueueEntry { enqueuer { login } } } } }";
        let answer: ForgeResult<Answer> =
            self.graphql(query, json!({"id": id}), doing, "pull-requests: read").await;
        let found = match answer {
            Ok(answer) => answer.node,
            // An Enterprise Server that knows no merge queues yet.
            Err(error)
                if error.class == ForgeErrorClass::Permanent && error.message.contains("exist on type") =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let Some(Queued { author: Some(author), merge_queue_entry: Some(entry) }) = found else {
            return Ok(false);
        };
        Ok(entry.enqueuer.as_ref() == Some(&author))
    }

    /// Takes the wish back; where it came true meanwhile, or somebody else reverted it, that is found by a look.
    pub(super) async fn withdraw_wish(&self, number: Number) -> ForgeResult<()> {
        let repository = self.repository().await?;
        let pull = self.wire_pull(repository, number).await?;
        let Some(wish) = self.wish_of(&pull).await? else { return Ok(()) };
        let doing = format!("keep #{number} of `{}` from being merged", repository.full_name());
        let Some(id) = &pull.node_id else {
            let message = format!("cannot {doing}: GitHub gives it no id");
            let hint = Some("disable auto-merge on its page".to_owned());
            return Err(ForgeError { class: ForgeErrorClass::Permanent, message, hint });
        };
        let (mutation, input) = match wish {
            Wish::AutoMerge => (
                "mutation($input: DisablePullRequestAutoMergeInput!) { \
                 disablePullRequestAutoMerge(input: $input) { clientMutationId } }",
                json!({"pullRequestId": id}),
            ),
            Wish::Queue => (
                "mutation($input: DequeuePullRequestInput!) { \
                 dequeuePullRequest(input: $input) { clientMutationId } }",
                json!({"id": id}),
            ),
        };
        let done =
            self.graphql::<serde::de::IgnoredAny>(mutation, json!({"input": input}), doing, WRITE).await;
        let Err(error) = done else {
            tracing::info!(pr = number, wish = ?wish, "withdrawn");
            return Ok(());
        };
        match self.own_wish(number).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => {
                let hint = "disable auto-merge, or take it out of the merge queue, on its page".to_owned();
                Err(ForgeError { hint: error.hint.clone().or(Some(hint)), ..error })
            }
        }
    }
}
