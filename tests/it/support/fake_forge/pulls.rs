//! Pull requests.

use std::collections::BTreeSet;

use gitops_updater::forge::github::Time as _;
use serde_json::{Value, json};

use super::answer::Answer;
use super::people::{Account, Level};
use super::request::{Asked, Kind};
use super::routes::Caller;
use super::state::{Github, Issue, Pull, PullState};

impl Github {
    pub(super) fn list_pulls(&self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["pull_requests"], Level::Read)?;
        let state = asked.query("state").unwrap_or("open");
        let mut found: Vec<&Issue> = self
            .issues
            .values()
            .filter(|issue| {
                let Some(pull) = &issue.pull else { return false };
                // A filter without owner is ignored, as the real one does.
                let head = asked.query("head").and_then(|head| head.split_once(':'));
                (state == "all" || issue.open == (state == "open"))
                    && asked.query("base").is_none_or(|base| base == pull.base)
                    && head.is_none_or(|(owner, branch)| {
                        let from =
                            if pull.head_repository == Some(self.id) { &self.owner } else { "stranger" };
                        from.eq_ignore_ascii_case(owner) && branch == pull.head
                    })
            })
            .collect();
        match asked.query("sort").unwrap_or("created") {
            "created" => found.sort_by_key(|issue| (issue.created_at, issue.number)),
            "updated" => found.sort_by_key(|issue| (issue.updated_at, issue.number)),
            other => panic!("sort={other} is not written yet"),
        }
        if asked.query("direction").unwrap_or("desc") == "desc" {
            found.reverse();
        }
        let found: Vec<Value> = found.into_iter().map(|issue| self.pull_json(issue)).collect();
        Ok(self.plain_page(asked, &found))
    }

    pub(super) fn open_pull(&mut self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["pull_requests"], Level::Write)?;
        let body = asked.body(&[
            ("title", Kind::Text, true),
            ("head", Kind::Text, true),
            ("base", Kind::Text, true),
            ("body", Kind::Text, false),
            ("draft", Kind::Flag, false),
            ("maintainer_can_modify", Kind::Flag, false),
        ])?;
        if caller.account.login == "github-actions[bot]" && !self.actions_may_open {
            let words = "GitHub Actions is not permitted to create or approve pull requests.";
            return Err(Answer::refuse(403, words));
        }
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (title, head, base) = (text("title"), text("head"), text("base"));
        let head = head.strip_prefix(&format!("{}:", self.owner)).unwrap_or(&head).to_owned();
        if title.trim().is_empty() {
            return Err(Answer::invalid("PullRequest", "title", "missing_field", None));
        }
        too_long("PullRequest", &text("body"))?;
        if body["draft"] == json!(true) && !self.has_drafts {
            return Err(Answer::refuse(422, "Draft pull requests are not supported in this repository."));
        }
        let Some(base_sha) = self.branch(&base) else {
            return Err(Answer::invalid("PullRequest", "base", "invalid", None));
        };
        let Some(head_sha) = self.branch(&head) else {
            return Err(Answer::invalid("PullRequest", "head", "invalid", None));
        };
        let is_same = |issue: &Issue| {
            let is_it =
                |pull: &Pull| pull.head == head && pull.base == base && pull.head_repository == Some(self.id);
            issue.open && issue.pull.as_ref().is_some_and(is_it)
        };
        if self.issues.values().any(is_same) {
            let words = format!("A pull request already exists for {}:{head}.", self.owner);
            return Err(Answer::custom("PullRequest", &words));
        }
        if self.git_line(&["rev-list", "--count", &format!("{base_sha}..{head_sha}")]).unwrap() == "0" {
            let words = format!("No commits between {base} and {head}");
            return Err(Answer::custom("PullRequest", &words));
        }
        let number = self.add_issue(caller.account.clone(), title.trim(), &text("body"));
        let merge_commit = "7".repeat(40);
        self.issue(number).pull = Some(Pull {
            head,
            head_sha,
            base,
            base_sha,
            draft: body["draft"] == json!(true),
            merge_commit,
            merged_at: None,
            head_repository: Some(self.id),
            reviewers: BTreeSet::new(),
            teams: BTreeSet::new(),
            approvals: Vec::new(),
            auto_merge: None,
            is_queued: false,
            asked_by: None,
        });
        Ok(Answer::new(201, self.pull_json(&self.issues[&number])))
    }

    fn known_pull(&self, number: u64) -> Result<&Issue, Answer> {
        self.issues.get(&number).filter(|issue| issue.pull.is_some()).ok_or_else(Answer::not_found)
    }

    pub(super) fn get_pull(&self, number: u64, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["pull_requests"], Level::Read)?;
        Ok(Answer::new(200, self.pull_json(self.known_pull(number)?)))
    }

    pub(super) fn patch_pull(
        &mut self,
        asked: &Asked,
        number: u64,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&["pull_requests"], Level::Write)?;
        let body = asked.body(&[
            ("title", Kind::Text, false),
            ("body", Kind::Text, false),
            ("state", Kind::Text, false),
            ("base", Kind::Text, false),
            ("maintainer_can_modify", Kind::Flag, false),
        ])?;
        let state = self.known_pull(number)?.state();
        match body["state"].as_str() {
            Some("open") if state == PullState::Merged => {
                return Err(Answer::custom(
                    "PullRequest",
                    "state cannot be changed. The pull request is merged.",
                ));
            }
            Some(wanted @ ("open" | "closed")) => self.set_open(number, wanted == "open"),
            Some(_) => return Err(Answer::invalid("PullRequest", "state", "invalid", None)),
            None => {}
        }
        assert!(body.get("base").is_none(), "changing the base is not written yet");
        self.set_texts(number, &body)?;
        Ok(Answer::new(200, self.pull_json(&self.issues[&number])))
    }

    /// Title and body of issues and pull requests.
    pub(super) fn set_texts(&mut self, number: u64, body: &Value) -> Result<(), Answer> {
        let now = self.time.now();
        if let Some(text) = body["body"].as_str() {
            too_long("Issue", text)?;
            self.issue(number).body = text.to_owned();
        }
        if let Some(title) = body["title"].as_str() {
            self.issue(number).title = title.trim().to_owned();
        }
        self.issue(number).updated_at = now;
        Ok(())
    }

    pub(super) fn put_merge(
        &mut self,
        asked: &Asked,
        number: u64,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&["contents"], Level::Write)?;
        let body = asked.body(&[
            ("sha", Kind::Text, false),
            ("merge_method", Kind::Text, false),
            ("commit_title", Kind::Text, false),
            ("commit_message", Kind::Text, false),
        ])?;
        let issue = self.known_pull(number)?;
        let pull = issue.pull.clone().unwrap();
        let refused = |words: &str| Answer::refuse(405, words);
        if !issue.open {
            return Err(refused("Pull Request is not mergeable"));
        }
        if pull.draft {
            return Err(refused("Pull Request is still a draft"));
        }
        if body["sha"].as_str().is_some_and(|sha| sha != pull.head_sha) {
            return Err(Answer::refuse(409, "Head branch was modified. Review and try the merge again."));
        }
        let method = body["merge_method"].as_str().unwrap_or("merge").to_owned();
        if self.forbidden_methods.contains(&method.as_str()) {
            let what = match method.as_str() {
                "merge" => "Merge commits are",
                "squash" => "Squash merges are",
                _ => "Rebase merges are",
            };
            return Err(refused(&format!("{what} not allowed on this repository.")));
        }
        self.protected(&pull)?;
        let title = body["commit_title"].as_str().unwrap_or(&issue.title).to_owned();
        let message = format!("{title}\n\n{}", body["commit_message"].as_str().unwrap_or_default());
        let sha = self.merge(number, &method, &message)?;
        let words = "Pull Request successfully merged";
        Ok(Answer::new(200, json!({"sha": sha, "merged": true, "message": words})))
    }

    /// The pull request that GraphQL knows by this id.
    fn pull_by_node(&self, id: &str) -> Result<(u64, Pull), (&'static str, String)> {
        let number: Option<u64> = id.strip_prefix("PR_").and_then(|id| id.parse().ok());
        let found = number.and_then(|number| Some((number, self.issues.get(&number)?.pull.clone()?)));
        found.ok_or(("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'")))
    }

    /// What GraphQL tells of a pull request's place in the merge queue; a bot's login is without `[bot]` there.
    pub(super) fn queue_entry(&self, id: &str) -> Value {
        let Ok((number, pull)) = self.pull_by_node(id) else { return Value::Null };
        let login = |account: &Account| json!({"login": account.login.trim_end_matches("[bot]")});
        let entry = pull.is_queued.then(|| json!({"enqueuer": pull.asked_by.as_ref().map(login)}));
        json!({"author": login(&self.issues[&number].author), "mergeQueueEntry": entry})
    }

    /// `disablePullRequestAutoMerge` and `dequeuePullRequest`.
    pub(super) fn merge_not(&mut self, query: &str, input: &Value) -> Result<(), (&'static str, String)> {
        let refused = |words: &str| Err(("UNPROCESSABLE", words.to_owned()));
        let is_queue = query.contains("dequeuePullRequest");
        let id = input[if is_queue { "id" } else { "pullRequestId" }].as_str().unwrap_or_default();
        let (number, pull) = self.pull_by_node(id)?;
        if is_queue && !pull.is_queued {
            return refused("Pull request is not in the merge queue");
        }
        if !is_queue && pull.auto_merge.is_none() {
            return refused("Can't disable auto-merge for this pull request.");
        }
        let pull = self.issue(number).pull.as_mut().unwrap();
        (pull.auto_merge, pull.is_queued, pull.asked_by) = (None, false, None);
        Ok(())
    }

    /// `enablePullRequestAutoMerge` and `enqueuePullRequest`.
    pub(super) fn merge_later(
        &mut self,
        query: &str,
        input: &Value,
        caller: &Account,
    ) -> Result<(), (&'static str, String)> {
        let refused = |words: &str| Err(("UNPROCESSABLE", words.to_owned()));
        let (number, pull) = self.pull_by_node(input["pullRequestId"].as_str().unwrap_or_default())?;
        if input["expectedHeadOid"].as_str().is_some_and(|sha| sha != pull.head_sha) {
            return refused("Head branch is out of date. Review and try the merge again.");
        }
        let blocked = self.protected(&pull).is_err();
        let only_queue = self.protection.by_queue && {
            let by_queue = std::mem::replace(&mut self.protection.by_queue, false);
            let rest = self.protected(&pull).is_ok();
            self.protection.by_queue = by_queue;
            rest
        };
        if query.contains("enqueuePullRequest") {
            if !only_queue {
                return refused("Pull request is not ready to be queued");
            }
            let pull = self.issue(number).pull.as_mut().unwrap();
            (pull.is_queued, pull.asked_by) = (true, Some(caller.clone()));
            return Ok(());
        }
        let method = input["mergeMethod"].as_str().unwrap_or("MERGE");
        if !["MERGE", "SQUASH", "REBASE"].contains(&method) {
            return refused("Argument 'mergeMethod' has an invalid value");
        }
        if !self.auto_merge_allowed {
            return refused("Pull request Auto merge is not allowed for this repository");
        }
        if !blocked || only_queue {
            return refused("Pull request Pull request is in clean status");
        }
        if self.forbidden_methods.contains(&method.to_lowercase().as_str()) && !self.protection.by_queue {
            return refused("Pull request merge method is not allowed");
        }
        let pull = self.issue(number).pull.as_mut().unwrap();
        (pull.auto_merge, pull.asked_by) = (Some(method.to_lowercase()), Some(caller.clone()));
        Ok(())
    }

    fn protected(&self, pull: &Pull) -> Result<(), Answer> {
        if pull.base != self.default_branch {
            return Ok(());
        }
        let refused = |words: &str| Err(Answer::refuse(405, words));
        if self.protection.by_queue {
            return refused("Changes must be made through the merge queue");
        }
        if pull.approvals.len() < self.protection.approvals {
            return refused("At least 1 approving review is required by reviewers with write access.");
        }
        for context in &self.protection.contexts {
            let is_green = |status: &&Value| status["context"] == json!(context);
            let latest = self.statuses.get(&pull.head_sha).and_then(|all| all.iter().rev().find(is_green));
            if latest.is_none_or(|status| status["state"] != "success") {
                return refused(&format!("Required status check \"{context}\" is expected."));
            }
        }
        Ok(())
    }

    /// Merges, as the API or a person does.
    pub(crate) fn merge(&mut self, number: u64, method: &str, message: &str) -> Result<String, Answer> {
        let pull = self.issues[&number].pull.clone().unwrap();
        let (base, head) = (self.branch(&pull.base).unwrap(), pull.head_sha.clone());
        let conflict = || Answer::refuse(405, "Pull Request is not mergeable");
        let tree = self.git_line(&["merge-tree", "--write-tree", &base, &head]).ok_or_else(conflict)?;
        let commit = |tree: &str, parents: &[&str], message: &str| {
            let parents = parents.iter().flat_map(|parent| ["-p", parent]);
            let arguments: Vec<&str> = ["commit-tree", tree, "-F", "-"].into_iter().chain(parents).collect();
            let made = self.try_git(&arguments, message.as_bytes()).unwrap();
            String::from_utf8(made).unwrap().trim_end().to_owned()
        };
        let sha = match method {
            "merge" => commit(&tree, &[&base, &head], message),
            "squash" => commit(&tree, &[&base], message),
            _ => {
                // The bot's branches have one commit; more are replayed as one tree each.
                let range = format!("{base}..{head}");
                let commits = self.git_line(&["rev-list", "--reverse", &range]).unwrap();
                let mut tip = base.clone();
                for original in commits.lines() {
                    let merged = self
                        .git_line(&["merge-tree", "--write-tree", &tip, original])
                        .ok_or_else(conflict)?;
                    let text = self.git_line(&["log", "-1", "--format=%B", original]).unwrap();
                    tip = commit(&merged, &[&tip], &text);
                }
                tip
            }
        };
        self.git_line(&["update-ref", &format!("refs/heads/{}", pull.base), &sha, &base]).unwrap();
        let now = self.time.now();
        let pull = self.issue(number).pull.as_mut().unwrap();
        pull.merged_at = Some(now);
        pull.merge_commit = sha.clone();
        self.set_open(number, false);
        Ok(sha)
    }

    pub(super) fn list_reviews(&self, asked: &Asked, number: u64, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["pull_requests"], Level::Read)?;
        let pull = self.known_pull(number)?.pull.as_ref().unwrap();
        let review =
            |login: &String| json!({"id": 1, "state": "APPROVED", "user": {"id": 1, "login": login}});
        let reviews: Vec<Value> = pull.approvals.iter().map(review).collect();
        Ok(self.plain_page(asked, &reviews))
    }

    pub(super) fn request_reviewers(
        &mut self,
        asked: &Asked,
        number: u64,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&["pull_requests"], Level::Write)?;
        let body =
            asked.body(&[("reviewers", Kind::Texts, false), ("team_reviewers", Kind::Texts, false)])?;
        let author = self.known_pull(number)?.author.login.clone();
        let names = |field: &str| -> Vec<String> {
            let list = body[field].as_array().into_iter().flatten();
            list.map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let (people, teams) = (names("reviewers"), names("team_reviewers"));
        if people.contains(&author) {
            return Err(Answer::refuse(422, "Review cannot be requested from pull request author."));
        }
        if people.iter().any(|login| !self.collaborators.contains(login)) {
            let words = format!(
                "Reviews may only be requested from collaborators. One or more of the users or teams you specified is \
                 not a collaborator of the {}/{} repository.",
                self.owner, self.name
            );
            return Err(Answer::refuse(422, &words));
        }
        if teams.iter().any(|team| !self.teams.contains(team)) {
            return Err(Answer::refuse(422, "Could not resolve to a node with the global id of 'team'."));
        }
        let pull = self.issue(number).pull.as_mut().unwrap();
        pull.reviewers.extend(people);
        pull.teams.extend(teams);
        Ok(Answer::new(201, self.pull_json(&self.issues[&number])))
    }

    /// A pull request of somebody, from a branch of this repository or of a fork, as it is listed.
    pub(crate) fn add_pull(&mut self, author: Account, head: &str, from_fork: bool) -> u64 {
        let base = self.default_branch.clone();
        let base_sha = self.branch(&base).unwrap();
        let number = self.add_issue(author, head, "");
        self.issue(number).pull = Some(Pull {
            head: head.to_owned(),
            head_sha: base_sha.clone(),
            base,
            base_sha,
            draft: false,
            merge_commit: "7".repeat(40),
            merged_at: None,
            head_repository: if from_fork { None } else { Some(self.id) },
            reviewers: BTreeSet::new(),
            teams: BTreeSet::new(),
            approvals: Vec::new(),
            auto_merge: None,
            is_queued: false,
            asked_by: None,
        });
        number
    }

    fn pull_json(&self, issue: &Issue) -> Value {
        let pull = issue.pull.as_ref().unwrap();
        let user = |login: &String| json!({"id": 5, "login": login, "type": "User"});
        let named = |name: &String| json!({"name": name, "color": self.labels.get(name)});
        let repository = |id: Option<u64>| id.map(|id| json!({"id": id, "full_name": "acme/home-ops"}));
        json!({
            "node_id": format!("PR_{}", issue.number),
            "auto_merge": pull.auto_merge.as_ref().map(|method| json!({
                "merge_method": method, "enabled_by": pull.asked_by.as_ref().map(Account::to_json),
            })),
            "number": issue.number, "title": issue.title, "body": issue.body, "draft": pull.draft,
            "html_url": format!("https://github.com/{}/{}/pull/{}", self.owner, self.name, issue.number),
            "state": if issue.open { "open" } else { "closed" }, "user": issue.author.to_json(),
            "created_at": issue.created_at.to_string(), "updated_at": issue.updated_at.to_string(),
            "closed_at": issue.closed_at.map(|at| at.to_string()),
            "merged_at": pull.merged_at.map(|at| at.to_string()), "merge_commit_sha": pull.merge_commit,
            "head": {"ref": pull.head, "sha": pull.head_sha, "repo": repository(pull.head_repository)},
            "base": {"ref": pull.base, "sha": pull.base_sha, "repo": repository(Some(self.id))},
            "labels": issue.labels.iter().map(named).collect::<Vec<_>>(),
            "assignees": issue.assignees.iter().map(user).collect::<Vec<_>>(),
            "requested_reviewers": pull.reviewers.iter().map(user).collect::<Vec<_>>(),
            "requested_teams": pull.teams.iter().map(|team| json!({"slug": team})).collect::<Vec<_>>(),
        })
    }
}

/// Bodies of issues, pull requests and comments have a longest length.
pub(super) fn too_long(resource: &str, text: &str) -> Result<(), Answer> {
    if text.chars().count() > 65536 {
        let words = "body is too long (maximum is 65536 characters)";
        return Err(Answer::invalid(resource, "body", "custom", Some(words)));
    }
    Ok(())
}
