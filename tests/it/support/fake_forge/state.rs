//! What GitHub remembers.

use std::collections::{BTreeMap, BTreeSet};

use gitops_updater::forge::github::Time as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use url::Url;

use super::VirtualTime;
use super::answer::Answer;
use super::app::App;
use super::people::Account;
use crate::support::git::Git;

/// Where a pull request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullState {
    Open,
    Closed,
    Merged,
}

/// What only a pull request has; the rest is an issue with the same number.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) head: String,
    pub(crate) head_sha: String,
    pub(crate) base: String,
    pub(crate) base_sha: String,
    pub(crate) draft: bool,
    /// The test merge until it is merged, as with the real one.
    pub(crate) merge_commit: String,
    pub(crate) merged_at: Option<Timestamp>,
    /// Comes from a repository of this number.
    pub(crate) head_repository: Option<u64>,
    pub(crate) reviewers: BTreeSet<String>,
    pub(crate) teams: BTreeSet<String>,
    pub(crate) approvals: Vec<String>,
    /// GitHub merges it when it can; by this method.
    pub(crate) auto_merge: Option<String>,
    pub(crate) is_queued: bool,
    /// Who asked for either.
    pub(crate) asked_by: Option<Account>,
}

/// An issue, or what a pull request has of one.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) open: bool,
    pub(crate) author: Account,
    pub(crate) labels: Vec<String>,
    pub(crate) assignees: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) closed_at: Option<Timestamp>,
    pub(crate) pull: Option<Pull>,
}

impl Issue {
    pub(crate) fn state(&self) -> PullState {
        match (self.open, &self.pull) {
            (true, _) => PullState::Open,
            (false, Some(Pull { merged_at: Some(_), .. })) => PullState::Merged,
            (false, _) => PullState::Closed,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) issue: u64,
    pub(crate) author: Account,
    pub(crate) body: String,
}

/// What protects the default branch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Protection {
    pub(crate) approvals: usize,
    pub(crate) contexts: Vec<String>,
    pub(crate) by_queue: bool,
}

/// Rate limits as they stand.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) remaining: u32,
    pub(crate) reset: Timestamp,
    /// Until when writes are told to slow down, the status they get, and the seconds in `retry-after`.
    pub(crate) slow_until: Option<(Timestamp, u16, Option<u64>)>,
    /// When content was created in the last minute.
    pub(crate) created: Vec<Timestamp>,
}

/// Everything. Tests read and change it between requests.
pub(crate) struct Github {
    pub(super) base: Url,
    pub(crate) git: Git,
    pub(crate) time: VirtualTime,
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    /// Former `owner/name`s.
    pub(crate) former: Vec<String>,
    pub(crate) default_branch: String,
    pub(crate) archived: bool,
    pub(crate) has_issues: bool,
    pub(crate) has_drafts: bool,
    /// `Settings, General: allow auto-merge`.
    pub(crate) auto_merge_allowed: bool,
    /// Methods that the settings forbid.
    pub(crate) forbidden_methods: Vec<&'static str>,
    /// `Settings, Actions: allow GitHub Actions to create pull requests`.
    pub(crate) actions_may_open: bool,
    pub(crate) protection: Protection,
    /// By token.
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) app: Option<App>,
    /// Who can be assigned and asked for reviews, and the teams.
    pub(crate) collaborators: BTreeSet<String>,
    pub(crate) teams: BTreeSet<String>,
    pub(crate) issues: BTreeMap<u64, Issue>,
    pub(crate) comments: Vec<Comment>,
    /// Name to colour.
    pub(crate) labels: BTreeMap<String, String>,
    /// By commit, the latest last.
    pub(crate) statuses: BTreeMap<String, Vec<Value>>,
    /// By commit: name, status, conclusion.
    pub(crate) check_runs: BTreeMap<String, Vec<(String, String, Option<String>)>>,
    pub(crate) limits: Limits,
    next_id: u64,
}

impl Github {
    pub(super) fn new(base: Url, git: Git, time: VirtualTime) -> Self {
        let reset = time.now() + SignedDuration::from_hours(1);
        Self {
            base,
            git,
            time,
            id: 1,
            owner: "acme".to_owned(),
            name: "home-ops".to_owned(),
            former: Vec::new(),
            default_branch: "main".to_owned(),
            archived: false,
            has_issues: true,
            has_drafts: true,
            auto_merge_allowed: false,
            forbidden_methods: Vec::new(),
            actions_may_open: true,
            protection: Protection::default(),
            accounts: BTreeMap::new(),
            app: None,
            collaborators: BTreeSet::new(),
            teams: BTreeSet::new(),
            issues: BTreeMap::new(),
            comments: Vec::new(),
            labels: BTreeMap::from([("bug".to_owned(), "d73a4a".to_owned())]),
            statuses: BTreeMap::new(),
            check_runs: BTreeMap::new(),
            limits: Limits { remaining: 5000, reset, slow_until: None, created: Vec::new() },
            next_id: 1000,
        }
    }

    /// Accepts a token.
    pub(crate) fn account(&mut self, token: &str, account: Account) {
        self.accounts.insert(token.to_owned(), account);
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn next_number(&self) -> u64 {
        self.issues.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    /// The numbers of the pull requests in this state.
    pub(crate) fn pulls(&self, state: PullState) -> Vec<u64> {
        let pulls = self.issues.values().filter(|issue| issue.pull.is_some() && issue.state() == state);
        pulls.map(|issue| issue.number).collect()
    }

    pub(crate) fn issue(&mut self, number: u64) -> &mut Issue {
        self.issues.get_mut(&number).unwrap()
    }

    /// A new issue of somebody.
    pub(crate) fn add_issue(&mut self, author: Account, title: &str, body: &str) -> u64 {
        let (number, now) = (self.next_number(), self.time.now());
        let issue = Issue {
            number,
            title: title.to_owned(),
            body: body.to_owned(),
            open: true,
            author,
            labels: Vec::new(),
            assignees: Vec::new(),
            created_at: now,
            updated_at: now,
            closed_at: None,
            pull: None,
        };
        self.issues.insert(number, issue);
        number
    }

    pub(crate) fn set_open(&mut self, number: u64, open: bool) {
        let now = self.time.now();
        let issue = self.issue(number);
        if issue.open != open {
            issue.open = open;
            issue.closed_at = (!open).then_some(now);
            issue.updated_at = now;
        }
    }

    /// Runs `git`, which may fail.
    pub(super) fn try_git(&self, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let output = self.git.feed(arguments, input);
        output.status.success().then_some(output.stdout)
    }

    /// What `git` prints, on one line.
    pub(super) fn git_line(&self, arguments: &[&str]) -> Option<String> {
        let output = self.try_git(arguments, b"")?;
        Some(String::from_utf8(output).unwrap().trim_end().to_owned())
    }

    /// The commit of a branch.
    pub(crate) fn branch(&self, name: &str) -> Option<String> {
        // Most are files, and reading one is quicker than asking `git`.
        match std::fs::read_to_string(self.git.dir().join("refs/heads").join(name)) {
            Ok(loose) => Some(loose.trim_end().to_owned()),
            Err(_) => self.git_line(&["rev-parse", "--verify", "--quiet", &format!("refs/heads/{name}")]),
        }
    }

    /// Sees what was pushed since: heads that moved, and branches that are gone, whose pull requests GitHub closes.
    pub(crate) fn refresh(&mut self) {
        let open: Vec<(u64, String, String)> = self
            .issues
            .values()
            .filter(|issue| issue.open)
            .filter_map(|issue| {
                let pull = issue.pull.as_ref().filter(|pull| pull.head_repository == Some(self.id))?;
                Some((issue.number, pull.head.clone(), pull.base.clone()))
            })
            .collect();
        for (number, head, base) in open {
            let Some(sha) = self.branch(&head) else {
                self.set_open(number, false);
                continue;
            };
            let base_sha = self.branch(&base).unwrap_or_default();
            let now = self.time.now();
            let issue = self.issue(number);
            let pull = issue.pull.as_mut().unwrap();
            if pull.head_sha != sha {
                pull.head_sha = sha;
                issue.updated_at = now;
            }
            issue.pull.as_mut().unwrap().base_sha = base_sha;
        }
    }

    pub(super) fn repository_json(&self, account: &Account) -> Value {
        let can_push = account.may("contents", super::Level::Write);
        json!({
            "id": self.id, "node_id": format!("R_{}", self.id), "name": self.name,
            "full_name": format!("{}/{}", self.owner, self.name), "private": true,
            "owner": {"id": 9, "login": self.owner, "type": "Organization"},
            "allow_merge_commit": !self.forbidden_methods.contains(&"merge"),
            "allow_squash_merge": !self.forbidden_methods.contains(&"squash"),
            "allow_rebase_merge": !self.forbidden_methods.contains(&"rebase"),
            "default_branch": self.default_branch, "archived": self.archived, "has_issues": self.has_issues,
            // Installation tokens are told that they may not push, whatever they may.
            "permissions": {"admin": false, "push": can_push && !account.is_bot, "pull": true},
        })
    }

    /// Refuses where the repository is read-only.
    pub(super) fn writable(&self) -> Result<(), Answer> {
        if self.archived {
            return Err(Answer::refuse(403, "Repository was archived so is read-only."));
        }
        Ok(())
    }
}
