//! Merging: now, or by GitHub itself when its rules allow it.

use http::Method;
use serde_json::json;

use super::client::Ask;
use super::refusal::Refusal;
use super::{GithubForge, Repository, segment, wire};
use crate::app::forge::{
    ForgeError, ForgeErrorClass, ForgeResult, MergeMethod, Merging, Number, PullRequestState,
};

/// What merging takes.
const WRITE: &str = "contents: write";
/// The key of the configuration that names the method.
const METHOD_KEY: &str = "pull_requests.merge_method";

impl GithubForge {
    /// Merges; where GitHub's rules stand in the way, asks it to merge as soon as they allow it: branches with a merge
    /// queue, or that require checks or reviews, are merged so by people, too (GitHub docs, "Automatically merging a
    /// pull request").
    pub(super) async fn merge_or_ask_for_it(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> ForgeResult<Merging> {
        let refusal = match self.merged(number, head, method, message).await {
            Ok(commit) => return Ok(Merging::Done { commit }),
            Err(refusal) => refusal,
        };
        if refusal.says(405, "not allowed on this repository") {
            return Err(self.method_refused(refusal.error, method).await);
        }
        // A head that moved (409), a conflict or a draft are for the next pass, or a person, to look at.
        let by_rules = ["queue", "required", "expected", "review", "protected", "rule"];
        if refusal.status != Some(405) || !by_rules.iter().any(|word| refusal.says(405, word)) {
            return Err(refusal.into());
        }
        match self.ask_for_merge(number, head, method, message).await {
            Ok(()) => {
                tracing::info!(pr = number, "GitHub merges it when its rules allow it");
                Ok(Merging::WhenReady { reason: reason(&refusal.error) })
            }
            Err(error) => Err(ForgeError {
                message: format!("{}; and {}", refusal.error.message, error.message),
                hint: error.hint.or(refusal.error.hint),
                class: refusal.error.class,
            }),
        }
    }

    async fn ask_for_merge(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> ForgeResult<()> {
        let repository = self.repository().await?;
        let pull = self.wire_pull(repository, number).await?;
        if pull.auto_merge.is_some() {
            return Ok(());
        }
        let doing = format!("let #{number} of `{}` be merged when it is ready", repository.full_name());
        let Some(node_id) = pull.node_id else {
            let hint = Some("merge it yourself".to_owned());
            let message = format!("cannot {doing}: GitHub gives it no id");
            return Err(ForgeError { class: ForgeErrorClass::Permanent, message, hint });
        };
        let mut input = json!({
            "pullRequestId": node_id,
            "expectedHeadOid": head,
            "mergeMethod": word(method).to_uppercase(),
        });
        // A rebase keeps the commits' own messages.
        if let (true, Some(input)) = (method != MergeMethod::Rebase, input.as_object_mut()) {
            let (title, rest) = message.split_once('\n').unwrap_or((message, ""));
            input.insert("commitHeadline".to_owned(), json!(title.trim()));
            input.insert("commitBody".to_owned(), json!(rest.trim()));
        }
        let query = "mutation($input: EnablePullRequestAutoMergeInput!) { \
                     enablePullRequestAutoMerge(input: $input) { clientMutationId } }";
        let asked: ForgeResult<serde::de::IgnoredAny> =
            self.graphql(query, json!({"input": input}), doing.clone(), WRITE).await;
        let error = match asked {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let says = |words: &str| error.message.to_ascii_lowercase().contains(words);
        // All is there but its turn in the merge queue.
        if says("clean status") {
            let query = "mutation($input: EnqueuePullRequestInput!) { \
                         enqueuePullRequest(input: $input) { clientMutationId } }";
            let input = json!({"pullRequestId": node_id, "expectedHeadOid": head});
            let queued = self.graphql::<serde::de::IgnoredAny>(query, json!({"input": input}), doing, WRITE);
            return queued.await.map(drop);
        }
        let hint = says("not allowed for this repository").then(|| {
            "allow auto-merge in the settings of the repository (General, Pull Requests), or merge it yourself"
                .to_owned()
        });
        Err(ForgeError { hint: hint.or(error.hint), ..error })
    }

    /// The configured method is not one that the repository has.
    async fn method_refused(&self, error: ForgeError, method: MergeMethod) -> ForgeError {
        let place = &self.client.options().place;
        let target = format!("/repos/{}/{}", segment(&place.owner), segment(&place.name));
        let doing = format!("look at the repository `{}`", place.full_name());
        let ask = Ask::get(target, doing, "metadata: read");
        let settings: Result<wire::Repository, _> = self.client.json(&ask).await;
        let allowed: Vec<&str> = settings.as_ref().map_or_else(
            |_| Vec::new(),
            |settings| {
                let methods = [
                    (settings.allow_merge_commit, MergeMethod::Merge),
                    (settings.allow_squash_merge, MergeMethod::Squash),
                    (settings.allow_rebase_merge, MergeMethod::Rebase),
                ];
                let of = |(allowed, method): (Option<bool>, MergeMethod)| {
                    (allowed == Some(true)).then(|| word(method))
                };
                methods.into_iter().filter_map(of).collect()
            },
        );
        let other = match allowed.as_slice() {
            [] => "another one".to_owned(),
            words => format!("`{}`", words.join("` or `")),
        };
        let hint = format!("`{METHOD_KEY}: {}` is not allowed there; set it to {other}", word(method));
        // Not a matter of time.
        ForgeError { class: ForgeErrorClass::Permanent, hint: Some(hint), ..error }
    }

    /// Merges, or finds it merged.
    pub(super) async fn merge_pull(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> ForgeResult<String> {
        self.merged(number, head, method, message).await.map_err(ForgeError::from)
    }

    async fn merged(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> Result<String, Refusal> {
        let repository = self.repository().await.map_err(Refusal::of)?;
        let mut body = json!({
            "sha": head,
            "merge_method": word(method),
        });
        // A rebase keeps the commits' own messages.
        if let (true, Some(body)) =
            (method != MergeMethod::Rebase && !message.trim().is_empty(), body.as_object_mut())
        {
            let (title, rest) = message.split_once('\n').unwrap_or((message, ""));
            body.insert("commit_title".to_owned(), json!(title.trim()));
            body.insert("commit_message".to_owned(), json!(rest.trim()));
        }
        let doing = format!("merge #{number} of `{}`", repository.full_name());
        let target = repository.path(&format!("pulls/{number}/merge"));
        // Sent again only after a look: a merge whose answer was lost is a merge.
        let ask =
            Ask { repeatable: false, ..Ask::set(Method::PUT, target, Some(body), doing, "contents: write") };
        let mut tries = 0;
        loop {
            let refusal = match self.client.json::<wire::Merged>(&ask).await {
                Ok(merged) if merged.merged => {
                    tracing::info!(pr = number, commit = %merged.sha, "pull request merged");
                    return Ok(merged.sha);
                }
                Ok(_) => {
                    return Err(Refusal::of(ForgeError {
                        class: ForgeErrorClass::Conflict,
                        message: format!("cannot {}: GitHub says that it is not merged", ask.doing),
                        hint: None,
                    }));
                }
                Err(refusal) => refusal,
            };
            // Whatever the reason: it may be merged already, by a person or by a request whose answer was lost.
            let has_reason = matches!(
                refusal.error.class,
                ForgeErrorClass::Conflict | ForgeErrorClass::Permanent | ForgeErrorClass::Transient
            );
            if has_reason
                && let Some(commit) = self.merged_as(repository, number, head).await.map_err(Refusal::of)?
            {
                return Ok(commit);
            }
            if !refusal.is_unclear() || !self.client.pause(tries).await {
                return Err(refusal);
            }
            tries += 1;
        }
    }

    /// The commit by which `head` was merged, where it was.
    async fn merged_as(
        &self,
        repository: &Repository,
        number: Number,
        head: &str,
    ) -> ForgeResult<Option<String>> {
        let pull = self.wire_pull(repository, number).await?;
        Ok(pull.into_pull_request().filter(|pull| pull.head == head).and_then(|pull| match pull.state {
            PullRequestState::Merged { commit, .. } => Some(commit),
            PullRequestState::Open | PullRequestState::Closed => None,
        }))
    }
}

/// As the API calls it.
fn word(method: MergeMethod) -> &'static str {
    match method {
        MergeMethod::Merge => "merge",
        MergeMethod::Squash => "squash",
        MergeMethod::Rebase => "rebase",
    }
}

/// GitHub's words out of the whole message.
fn reason(error: &ForgeError) -> String {
    let said = error.message.rsplit_once(": ").map_or(error.message.as_str(), |(_, said)| said);
    format!("GitHub merges it when its rules allow it ({})", said.trim_end_matches('.'))
}
