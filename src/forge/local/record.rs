//! What is kept of a pull request, as files of a commit.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::standing::{Standing, kept_head};
use super::{Inner, crowded, failed, not_found};
use crate::app::forge::{ForgeError, ForgeErrorClass, ForgeResult, Number, PullRequest, PullRequestState};
use crate::repo::write::{Change, Error, Id, RefUpdate, RemoteRefs, Words};

pub(super) const PULLS: &str = "refs/gitops-updater/pulls/";
const SCHEMA: &str = "gitops-updater/pull/v1";
const RECORD: &str = "pull.yaml";
const BODY: &str = "body.md";
const COMMENTS: &str = "comments/";

/// Most bytes of a record, body or comment; GitHub takes 65,536 characters for a body.
const TEXT_LIMIT: usize = 1 << 20;
/// Most files of one record.
const MOST_FILES: usize = 10_000;
/// How often a change is made anew after somebody else was faster.
const MOST_ATTEMPTS: usize = 30;

/// What a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A pull request.
    PullRequest,
    /// The dashboard.
    Dashboard,
}

/// Where it is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    Open,
    Merged,
    Closed,
}

/// The content of `pull.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) schema: String,
    pub(super) kind: Kind,
    pub(super) number: Number,
    pub(super) title: String,
    pub(super) state: Stage,
    pub(super) branch: String,
    pub(super) base: String,
    /// The head when it was written last.
    pub(super) head: Option<String>,
    pub(super) draft: bool,
    pub(super) labels: Vec<String>,
    pub(super) reviewers: Vec<String>,
    pub(super) assignees: Vec<String>,
    pub(super) opened_at: Timestamp,
    pub(super) merge_commit: Option<String>,
    pub(super) merged_by: Option<String>,
    /// When it was merged or closed.
    pub(super) ended_at: Option<Timestamp>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Number within the thread.
    pub number: u32,
    /// Text.
    pub body: String,
}

/// A pull request with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// What it is.
    pub kind: Kind,
    /// As the port has it.
    pub pull: PullRequest,
    /// Oldest first.
    pub comments: Vec<Comment>,
    /// Asked to review.
    pub reviewers: Vec<String>,
    /// Responsible.
    pub assignees: Vec<String>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Who merged it.
    pub merged_by: Option<String>,
    /// Paths that its commits change, sorted.
    pub paths: Vec<String>,
    /// First lines of its commits' messages, newest first.
    pub commits: Vec<(String, String)>,
}

/// A thread as it is at the remote.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thread {
    pub(super) meta: Id,
    pub(super) record: Record,
    pub(super) body: String,
    pub(super) comments: BTreeMap<u32, String>,
}

impl Record {
    pub(super) fn new(kind: Kind, title: &str, opened_at: Timestamp) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            kind,
            number: NO_NUMBER,
            title: title.to_owned(),
            state: Stage::Open,
            branch: String::new(),
            base: String::new(),
            head: None,
            draft: false,
            labels: vec![],
            reviewers: vec![],
            assignees: vec![],
            opened_at,
            merge_commit: None,
            merged_by: None,
            ended_at: None,
        }
    }
}

/// Stands for the dashboard, which is no pull request and takes no number from them.
pub(super) const NO_NUMBER: Number = 0;
/// Where the dashboard is.
const DASHBOARD: &str = "refs/gitops-updater/dashboard";

pub(super) fn meta_ref(number: Number) -> String {
    match number {
        NO_NUMBER => DASHBOARD.to_owned(),
        _ => format!("{PULLS}{number}/meta"),
    }
}

pub(super) fn head_ref(number: Number) -> String {
    format!("{PULLS}{number}/head")
}

/// Numbers that are given, ascending.
pub(super) fn numbers(refs: &RemoteRefs) -> Vec<Number> {
    let mut numbers: Vec<Number> = refs
        .below(PULLS)
        .filter_map(|(rest, _)| rest.strip_suffix("/meta")?.parse().ok())
        .filter(|number| *number != NO_NUMBER)
        .collect();
    numbers.sort_unstable();
    numbers
}

impl Inner {
    /// The refs of the remote, with the objects of everything that pull requests are about.
    pub(super) fn refs(&self, attempt: &str) -> ForgeResult<RemoteRefs> {
        let wanted =
            |name: &str| name.starts_with(PULLS) || name.starts_with("refs/heads/") || name == DASHBOARD;
        self.repo.fetch(wanted).map_err(|error| failed(attempt, &error))
    }

    pub(super) fn thread(&self, refs: &RemoteRefs, number: Number) -> ForgeResult<Thread> {
        let attempt = format!("read pull request {number}");
        let broken = |why: String| ForgeError {
            class: ForgeErrorClass::Permanent,
            message: format!("cannot {attempt}: `{}` is broken: {why}", meta_ref(number)),
            hint: Some(format!("its history is in `git log -p {}`", meta_ref(number))),
        };
        let meta = *refs.refs.get(&meta_ref(number)).ok_or_else(|| not_found(number))?;
        let text = |path: &str| -> ForgeResult<Option<String>> {
            let bytes =
                self.repo.read_file(meta, path, TEXT_LIMIT).map_err(|error| failed(&attempt, &error))?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let record = text(RECORD)?.ok_or_else(|| broken(format!("there is no `{RECORD}`")))?;
        let record: Record = serde_yaml::from_str(&record).map_err(|error| broken(error.to_string()))?;
        if record.schema != SCHEMA || record.number != number {
            return Err(broken(format!("it is `{}` number {}", record.schema, record.number)));
        }
        let files = self.repo.files(meta, COMMENTS.trim_end_matches('/'), MOST_FILES);
        let files = files.map_err(|error| failed(&attempt, &error))?;
        let mut comments = BTreeMap::new();
        for path in files.into_keys() {
            let name = path.strip_prefix(COMMENTS).and_then(|name| name.strip_suffix(".md"));
            if let Some(index) = name.and_then(|name| name.parse().ok()) {
                comments.insert(index, text(&path)?.unwrap_or_default());
            }
        }
        Ok(Thread { meta, record, body: text(BODY)?.unwrap_or_default(), comments })
    }

    /// As the port has it: where nobody wrote down that it is over, the head and the state are as the branches say.
    pub(super) fn pull(&self, refs: &RemoteRefs, thread: &Thread) -> ForgeResult<PullRequest> {
        let Thread { record, body, .. } = thread;
        let (head, state) = match (record.state, &record.merge_commit, record.ended_at) {
            (Stage::Open, ..) => match self.standing(refs, record)? {
                Standing { head, merged: Some((commit, at)) } => {
                    (head, PullRequestState::Merged { commit, at })
                }
                Standing { head, merged: None } => (head, PullRequestState::Open),
            },
            (Stage::Merged, Some(commit), Some(at)) => {
                let state = PullRequestState::Merged { commit: commit.clone(), at };
                (kept_head(refs, record), state)
            }
            _ => (kept_head(refs, record), PullRequestState::Closed),
        };
        Ok(PullRequest {
            number: record.number,
            url: String::new(),
            title: record.title.clone(),
            body: body.clone(),
            branch: record.branch.clone(),
            head: head.map(|head| head.to_string()).or_else(|| record.head.clone()).unwrap_or_default(),
            base: record.base.clone(),
            state,
            draft: record.draft,
            labels: record.labels.clone(),
            merges_itself: false,
        })
    }

    pub(super) fn details(&self, number: Number) -> ForgeResult<Details> {
        let attempt = format!("read pull request {number}");
        let refs = self.refs(&attempt)?;
        let thread = self.thread(&refs, number)?;
        let pull = self.pull(&refs, &thread)?;
        let (paths, commits) = self.range(&refs, &pull).map_err(|error| failed(&attempt, &error))?;
        let Thread { record, comments, .. } = thread;
        let comments = comments.into_iter().map(|(number, body)| Comment { number, body }).collect();
        Ok(Details {
            kind: record.kind,
            pull,
            comments,
            reviewers: record.reviewers,
            assignees: record.assignees,
            opened_at: record.opened_at,
            merged_by: record.merged_by,
            paths,
            commits,
        })
    }

    /// What the pull request changes, and its commits.
    #[expect(clippy::type_complexity, reason = "two lists, taken apart at once")]
    fn range(
        &self,
        refs: &RemoteRefs,
        pull: &PullRequest,
    ) -> Result<(Vec<String>, Vec<(String, String)>), Error> {
        let before = match &pull.state {
            // The base has the commits now; before the merge it had not.
            PullRequestState::Merged { commit, .. } => {
                let commit = commit.parse().ok();
                let parents =
                    commit.map(|commit| self.repo.commit_info(commit)).transpose()?.map(|info| info.parents);
                parents.and_then(|parents| parents.first().copied())
            }
            _ => refs.branch(&pull.base),
        };
        let (Some(before), Some(head)) = (before, pull.head.parse::<Id>().ok()) else {
            return Ok(Default::default());
        };
        if !self.repo.has(head) || !self.repo.has(before) {
            return Ok(Default::default());
        }
        let Some(fork) = self.repo.merge_base(before, head)? else { return Ok(Default::default()) };
        let commits = self.repo.commits_since(Some(fork), head, 250)?;
        let commits = commits
            .into_iter()
            .map(|commit| (commit.id.short(), commit.message.lines().next().unwrap_or_default().to_owned()))
            .collect();
        Ok((self.repo.changed_paths(fork, head)?, commits))
    }

    /// Writes a new thread, a pull request under the next free number, with what must be pushed beside it.
    ///
    /// `taken` is asked after every lost race; what it returns is there already and is taken instead.
    pub(super) fn create<T>(
        &self,
        attempt: &str,
        record: &Record,
        body: &str,
        head: impl Fn(&RemoteRefs) -> ForgeResult<Option<Id>>,
        taken: impl Fn(&RemoteRefs) -> ForgeResult<Option<T>>,
        made: impl Fn(&RemoteRefs, &Thread) -> ForgeResult<T>,
    ) -> ForgeResult<T> {
        let mut last = None;
        for _ in 0..MOST_ATTEMPTS {
            let mut refs = self.refs(attempt)?;
            if let Some(taken) = taken(&refs)? {
                return Ok(taken);
            }
            let number = match record.kind {
                Kind::PullRequest => numbers(&refs).last().map_or(1, |last| last + 1),
                Kind::Dashboard => NO_NUMBER,
            };
            let head = head(&refs)?;
            let record = Record { number, head: head.map(|id| id.to_string()), ..record.clone() };
            let subject = match record.kind {
                Kind::PullRequest => format!("Open pull request {number}: {}", record.title),
                Kind::Dashboard => format!("Open the dashboard: {}", record.title),
            };
            let comments = BTreeMap::new();
            let meta = self.written(attempt, None, (&record, body, &comments), &subject)?;
            let thread = Thread { meta, record, body: body.to_owned(), comments };
            let mut updates = vec![RefUpdate::create(meta_ref(number), meta)];
            // A creation that was cut off may have left one behind.
            let left = refs.refs.get(&head_ref(number)).copied();
            updates.extend(head.map(|head| RefUpdate::replace(head_ref(number), left, head)));
            match self.repo.push(&updates) {
                Ok(_) => {
                    refs.refs
                        .extend(updates.into_iter().filter_map(|update| Some((update.name, update.new?))));
                    return made(&refs, &thread);
                }
                // A lock that was left behind is no race: it needs a person.
                Err(error) if error.lost_race() && !matches!(error, Error::Refs { .. }) => last = Some(error),
                Err(error) => return Err(failed(attempt, &error)),
            }
        }
        Err(crowded(attempt, last))
    }

    /// Changes a thread by compare-and-swap; `change` says in words what it did, or `None` where nothing is to be done.
    /// With it, other refs can be moved in the same push. Where an open pull request stands is written down with it.
    pub(super) fn update(
        &self,
        number: Number,
        attempt: &str,
        change: impl Fn(&RemoteRefs, &mut Thread) -> ForgeResult<Option<(String, Vec<RefUpdate>)>>,
    ) -> ForgeResult<()> {
        let mut last = None;
        for _ in 0..MOST_ATTEMPTS {
            let refs = self.refs(attempt)?;
            let old = self.thread(&refs, number)?;
            let mut new = old.clone();
            let Some((subject, mut updates)) = change(&refs, &mut new)? else { return Ok(()) };
            if let Some(noted) = self.noted(&refs, &new)? {
                new.record = noted.record;
                updates.extend(noted.updates);
            }
            let content = (&new.record, new.body.as_str(), &new.comments);
            let meta = self.written(attempt, Some(old.meta), content, &subject)?;
            let record = RefUpdate::replace(meta_ref(number), Some(old.meta), meta);
            let pushed = if self.repo.remote().is_atomic() || updates.is_empty() {
                updates.push(record);
                self.repo.push(&updates)
            } else {
                // First the deed, then the record of it: what is cut off between is recognised by its content.
                self.repo.push(&updates).and_then(|_| self.repo.push(&[record]))
            };
            match pushed {
                Ok(_) => return Ok(()),
                // A lock that was left behind is no race: it needs a person.
                Err(error) if error.lost_race() && !matches!(error, Error::Refs { .. }) => last = Some(error),
                Err(error) => return Err(failed(attempt, &error)),
            }
        }
        Err(crowded(attempt, last))
    }

    /// The commit that holds a thread.
    fn written(
        &self,
        attempt: &str,
        parent: Option<Id>,
        (record, body, comments): (&Record, &str, &BTreeMap<u32, String>),
        subject: &str,
    ) -> ForgeResult<Id> {
        let record = serde_yaml::to_string(record).map_err(|error| ForgeError {
            class: ForgeErrorClass::Permanent,
            message: format!("cannot {attempt}: cannot write the record as YAML: {error}"),
            hint: Some("this is a defect, please report it".to_owned()),
        })?;
        let mut files = BTreeMap::from([
            (RECORD.to_owned(), Change::Write(record.into_bytes())),
            (BODY.to_owned(), Change::Write(body.as_bytes().to_vec())),
        ]);
        for (index, text) in comments {
            files.insert(format!("{COMMENTS}{index:04}.md"), Change::Write(text.as_bytes().to_vec()));
        }
        let subject: String =
            subject.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
        let words = Words { message: &subject, author: &self.author, time: self.now() };
        let tree = self.repo.tree_of_files(&files).map_err(|error| failed(attempt, &error))?;
        let parents: Vec<Id> = parent.into_iter().collect();
        self.repo.commit_tree(tree, &parents, words).map_err(|error| failed(attempt, &error))
    }
}
