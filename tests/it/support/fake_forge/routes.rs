//! Which request is what, and what is the same for all: who asks, limits, pages, ETags.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use gitops_updater::forge::github::Time as _;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::answer::Answer;
use super::people::{Account, Level};
use super::request::Asked;
use super::state::Github;

/// Who asks, in what.
pub(super) struct Caller {
    pub(super) account: Account,
}

impl Caller {
    /// Refuses who lacks all of these permissions, as GitHub does, naming them in a header.
    pub(super) fn needs(&self, any: &[&str], level: Level) -> Result<(), Answer> {
        if any.iter().any(|permission| self.account.may(permission, level)) {
            return Ok(());
        }
        let whom = if self.account.is_bot { "integration" } else { "personal access token" };
        let level = if level == Level::Write { "write" } else { "read" };
        let accepted: Vec<String> = any.iter().map(|permission| format!("{permission}={level}")).collect();
        Err(Answer::refuse(403, &format!("Resource not accessible by {whom}"))
            .header("x-accepted-github-permissions", accepted.join("; ")))
    }
}

impl Github {
    pub(super) fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.header("user-agent").is_none() {
            return Answer::refuse(403, "Request forbidden by administrative rules.");
        }
        let now = self.time.now();
        if now >= self.limits.reset {
            self.limits.remaining = 5000;
            self.limits.reset = now + SignedDuration::from_hours(1);
        }
        let answer = match self.limited(asked) {
            Some(refused) => refused,
            None => self.routed(asked).unwrap_or_else(|refused| refused),
        };
        let answer = self.conditional(asked, answer);
        if answer.status != 304 {
            self.limits.remaining = self.limits.remaining.saturating_sub(1);
        }
        answer
            .header("x-ratelimit-limit", 5000)
            .header("x-ratelimit-remaining", self.limits.remaining)
            .header("x-ratelimit-reset", self.limits.reset.as_second())
    }

    /// Primary and secondary limits.
    fn limited(&mut self, asked: &Asked) -> Option<Answer> {
        let now = self.time.now();
        if self.limits.remaining == 0 {
            return Some(Answer::refuse(403, "API rate limit exceeded for user ID 1."));
        }
        if asked.method == "GET" {
            return None;
        }
        let words =
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        if let Some((until, status, retry_after)) = self.limits.slow_until
            && now < until
        {
            let answer = Answer::refuse(status, words);
            return Some(match retry_after {
                Some(seconds) => answer.header("retry-after", seconds),
                None => answer,
            });
        }
        // GitHub docs, "Rate limits for the REST API": 80 content-generating requests a minute.
        self.limits.created.retain(|at| now.duration_since(*at) < SignedDuration::from_secs(60));
        if asked.method == "POST" {
            if self.limits.created.len() >= 80 {
                return Some(Answer::refuse(403, words).header("retry-after", 60));
            }
            self.limits.created.push(now);
        }
        None
    }

    fn caller(&self, asked: &Asked) -> Result<Option<Caller>, Answer> {
        let Some(given) = asked.header("authorization") else { return Ok(None) };
        let token = given.strip_prefix("Bearer ").or(given.strip_prefix("token "));
        let account = token.and_then(|token| self.accounts.get(token));
        match account {
            Some(account) if account.expires_at.is_none_or(|at| at > self.time.now()) => {
                Ok(Some(Caller { account: account.clone() }))
            }
            _ => Err(Answer::refuse(401, "Bad credentials")),
        }
    }

    fn routed(&mut self, asked: &Asked) -> Result<Answer, Answer> {
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method.as_str(), &path[..]) {
            // These two are the App's own.
            ("GET", ["repos", owner, name, "installation"]) => {
                self.is_here(owner, name)?;
                return self.installation(asked);
            }
            ("POST", ["app", "installations", id, "access_tokens"]) => return self.access_token(asked, id),
            _ => {}
        }
        let Some(caller) = self.caller(asked)? else {
            let private = path.first() == Some(&"repos");
            let (status, words) = if private { (404, "Not Found") } else { (401, "Requires authentication") };
            return Err(Answer::refuse(status, words));
        };
        match (asked.method.as_str(), &path[..]) {
            ("GET", ["user"]) if caller.account.is_bot => {
                Err(Answer::refuse(403, "Resource not accessible by integration"))
            }
            ("GET", ["user"]) => Ok(Answer::new(200, caller.account.to_json())),
            ("POST", ["graphql"]) => self.graphql(asked, &caller),
            (_, ["repos", owner, name, below @ ..]) => {
                let full = format!("{owner}/{name}");
                if self.former.iter().any(|former| former.eq_ignore_ascii_case(&full)) {
                    return Ok(self.moved(asked, below));
                }
                self.is_here(owner, name)?;
                self.in_repository(asked, &caller, below)
            }
            (_, ["repositories", id, below @ ..]) if *id == self.id.to_string() => {
                self.in_repository(asked, &caller, below)
            }
            _ => Err(Answer::not_found()),
        }
    }

    fn is_here(&self, owner: &str, name: &str) -> Result<(), Answer> {
        let is_it = owner.eq_ignore_ascii_case(&self.owner) && name.eq_ignore_ascii_case(&self.name);
        if is_it { Ok(()) } else { Err(Answer::not_found()) }
    }

    /// A repository that was renamed: reads move for good, writes are to be repeated.
    fn moved(&self, asked: &Asked, below: &[&str]) -> Answer {
        let status = if asked.method == "GET" { 301 } else { 307 };
        let below = below.iter().map(|part| format!("/{part}")).collect::<String>();
        let url = format!("{}repositories/{}{below}", self.base, self.id);
        Answer::new(status, json!({"message": "Moved Permanently", "url": url})).header("location", url)
    }

    fn in_repository(&mut self, asked: &Asked, caller: &Caller, below: &[&str]) -> Result<Answer, Answer> {
        caller.needs(&["metadata"], Level::Read)?;
        if asked.method != "GET" {
            self.writable()?;
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| Answer::not_found());
        match (asked.method.as_str(), below) {
            ("GET", []) => Ok(Answer::new(200, self.repository_json(&caller.account))),
            ("GET", ["pulls"]) => self.list_pulls(asked, caller),
            ("POST", ["pulls"]) => self.open_pull(asked, caller),
            ("GET", ["pulls", n]) => self.get_pull(number(n)?, caller),
            ("PATCH", ["pulls", n]) => self.patch_pull(asked, number(n)?, caller),
            ("PUT", ["pulls", n, "merge"]) => self.put_merge(asked, number(n)?, caller),
            ("GET", ["pulls", n, "reviews"]) => self.list_reviews(asked, number(n)?, caller),
            ("POST", ["pulls", n, "requested_reviewers"]) => {
                self.request_reviewers(asked, number(n)?, caller)
            }
            ("GET", ["issues"]) => self.list_issues(asked, caller),
            ("POST", ["issues"]) => self.post_issue(asked, caller),
            ("PATCH", ["issues", "comments", id]) => self.patch_comment(asked, number(id)?, caller),
            ("GET", ["issues", n]) => self.get_issue(number(n)?, caller),
            ("PATCH", ["issues", n]) => self.patch_issue(asked, number(n)?, caller),
            ("GET", ["issues", n, "comments"]) => self.list_comments(asked, number(n)?, caller),
            ("POST", ["issues", n, "comments"]) => self.post_comment(asked, number(n)?, caller),
            ("POST", ["issues", n, "labels"]) => self.add_labels(asked, number(n)?, caller),
            ("DELETE", ["issues", n, "labels", name]) => self.remove_label(asked, number(n)?, name, caller),
            ("POST", ["issues", n, "assignees"]) => self.add_assignees(asked, number(n)?, caller),
            ("GET", ["labels", name]) => self.get_label(name, caller),
            ("POST", ["labels"]) => self.post_label(asked, caller),
            ("GET", ["commits", sha, "check-runs"]) => self.list_check_runs(asked, sha, caller),
            ("GET", ["commits", sha, "status"]) => self.combined_status(asked, sha, caller),
            ("POST", ["statuses", sha]) => self.post_status(asked, sha, caller),
            ("GET", ["git", "ref", name @ ..]) => self.get_ref(&name.join("/"), caller),
            ("POST", ["git", "refs"]) => self.post_ref(asked, caller),
            ("PATCH", ["git", "refs", name @ ..]) => self.patch_ref(asked, &name.join("/"), caller),
            ("POST", ["git", "blobs"]) => self.post_blob(asked, caller),
            ("POST", ["git", "trees"]) => self.post_tree(asked, caller),
            ("POST", ["git", "commits"]) => self.post_commit(asked, caller),
            ("GET", ["git", "commits", sha]) => self.get_commit(sha, caller),
            _ => Err(Answer::not_found()),
        }
    }

    /// One page of a list, with links to the others; `wrap` makes the body of the page and the number of all entries.
    pub(super) fn page(
        &self,
        asked: &Asked,
        all: &[Value],
        wrap: impl Fn(Vec<Value>, usize) -> Value,
    ) -> Answer {
        let number = |name, default| asked.query(name).map_or(default, |text| text.parse::<usize>().unwrap());
        let per_page = number("per_page", 30).clamp(1, 100);
        let page = number("page", 1).max(1);
        let shown: Vec<Value> = all.iter().skip((page - 1) * per_page).take(per_page).cloned().collect();
        let answer = Answer::new(200, wrap(shown, all.len()));
        if page * per_page >= all.len() {
            return answer;
        }
        // `/repos/OWNER/NAME/…` or, on later pages, `/repositories/ID/…`.
        let skip = if asked.path[0] == "repos" { 3 } else { 2 };
        let below = asked.path[skip..].join("/");
        let link = |page: usize, rel| {
            let mut url = self.base.join(&format!("repositories/{}/{below}", self.id)).unwrap();
            let kept = asked.query.iter().filter(|(name, _)| name != "page");
            url.query_pairs_mut().extend_pairs(kept).append_pair("page", &page.to_string());
            format!("<{url}>; rel=\"{rel}\"")
        };
        let last = all.len().div_ceil(per_page);
        answer.header("link", format!("{}, {}", link(page + 1, "next"), link(last, "last")))
    }

    pub(super) fn plain_page(&self, asked: &Asked, all: &[Value]) -> Answer {
        self.page(asked, all, |page, _| Value::Array(page))
    }

    /// Answers 304 where the asker has it already.
    fn conditional(&self, asked: &Asked, answer: Answer) -> Answer {
        if asked.method != "GET" || answer.status != 200 {
            return answer;
        }
        let mut hasher = DefaultHasher::new();
        answer.body.as_ref().unwrap().to_string().hash(&mut hasher);
        let etag = format!("W/\"{:x}\"", hasher.finish());
        if asked.header("if-none-match") == Some(&etag) {
            return Answer::empty(304).header("etag", etag);
        }
        answer.header("etag", etag)
    }
}
