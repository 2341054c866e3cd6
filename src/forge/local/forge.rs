//! The port, implemented over records.

use std::cell::Cell;

use super::record::{Kind, NO_NUMBER, Record, Stage, Thread, meta_ref, numbers};
use super::{Inner, LocalForge, conflict, failed, not_found};
use crate::app::effects::Came;
use crate::app::forge::{
    Checks, CommitStatus, Dashboard, Forge, ForgeError, ForgeErrorClass, ForgeResult, MergeMethod,
    NewPullRequest, Number, PullRequest, PullRequestChange, PullRequestState,
};
use crate::domain::message::BRANCH_PREFIX;
use crate::repo::write::RemoteRefs;

impl Forge for LocalForge {
    async fn pull_requests(&self) -> ForgeResult<Vec<PullRequest>> {
        self.run(Inner::pull_requests).await
    }

    async fn pull_request(&self, number: Number) -> ForgeResult<PullRequest> {
        self.run(move |inner| {
            let refs = inner.refs(&format!("read pull request {number}"))?;
            let thread = inner.pull_request(&refs, number)?;
            inner.pull(&refs, &thread)
        })
        .await
    }

    async fn open_or_find(&self, new: &NewPullRequest) -> ForgeResult<Came<PullRequest>> {
        let new = new.clone();
        self.run(move |inner| inner.open(&new)).await
    }

    async fn note(&self, number: Number) -> ForgeResult<()> {
        self.run(move |inner| inner.note(number)).await
    }

    async fn change(&self, current: &PullRequest, change: &PullRequestChange) -> ForgeResult<()> {
        let (number, change) = (current.number, change.clone());
        self.run(move |inner| {
            inner.update(number, &format!("change pull request {number}"), |_, thread| {
                Ok(changed(thread, &change).map(|subject| (subject, vec![])))
            })
        })
        .await
    }

    async fn comment(&self, number: Number, marker: &str, body: &str) -> ForgeResult<()> {
        let (marker, body) = (marker.to_owned(), body.to_owned());
        self.run(move |inner| {
            inner.update(number, &format!("comment on pull request {number}"), |_, thread| {
                Ok(commented(thread, &marker, &body).map(|subject| (subject, vec![])))
            })
        })
        .await
    }

    async fn own_comment(&self, number: Number, marker: &str) -> ForgeResult<Option<String>> {
        let marker = marker.to_owned();
        let comments = self.run(move |inner| inner.details(number)).await?.comments;
        Ok(comments.into_iter().map(|comment| comment.body).find(|body| body.contains(&marker)))
    }

    async fn close(&self, number: Number) -> ForgeResult<()> {
        self.run(move |inner| inner.close(number)).await
    }

    async fn merge(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> ForgeResult<String> {
        let (head, message) = (head.to_owned(), message.to_owned());
        self.run(move |inner| inner.merge(number, &head, method, &message)).await
    }

    async fn checks(&self, commit: &str) -> ForgeResult<Checks> {
        let commit = commit.to_owned();
        self.run(move |inner| inner.checks(&commit)).await
    }

    async fn set_status(&self, commit: &str, status: &CommitStatus) -> ForgeResult<()> {
        let (commit, status) = (commit.to_owned(), status.clone());
        self.run(move |inner| inner.set_status(&commit, &status)).await
    }

    async fn statuses(&self, commit: &str) -> ForgeResult<Vec<CommitStatus>> {
        let commit = commit.to_owned();
        self.run(move |inner| inner.list_statuses(&commit)).await
    }

    async fn dashboard(&self) -> ForgeResult<Option<Dashboard>> {
        self.run(|inner| {
            let refs = inner.refs("read the dashboard")?;
            Ok(inner.dashboard(&refs)?.map(|thread| dashboard(&thread)))
        })
        .await
    }

    async fn write_dashboard(
        &self,
        seen: Option<&Dashboard>,
        title: &str,
        body: &str,
    ) -> ForgeResult<Came<()>> {
        let (seen, title, body) = (seen.cloned(), title.to_owned(), body.to_owned());
        self.run(move |inner| inner.write_dashboard(seen.as_ref(), &title, &body)).await
    }
}

impl Inner {
    fn pull_requests(&self) -> ForgeResult<Vec<PullRequest>> {
        let refs = self.refs("list the pull requests")?;
        let mut pulls = Vec::new();
        for number in numbers(&refs).into_iter().rev() {
            let thread = self.thread(&refs, number)?;
            if thread.record.kind == Kind::PullRequest && thread.record.branch.starts_with(BRANCH_PREFIX) {
                pulls.push(self.pull(&refs, &thread)?);
            }
        }
        Ok(pulls)
    }

    pub(super) fn pull_request(&self, refs: &RemoteRefs, number: Number) -> ForgeResult<Thread> {
        let thread = self.thread(refs, number)?;
        if thread.record.kind == Kind::PullRequest { Ok(thread) } else { Err(not_found(number)) }
    }

    fn open(&self, new: &NewPullRequest) -> ForgeResult<Came<PullRequest>> {
        let attempt = format!("open a pull request for `{}`", new.branch);
        let refused = |why: &str| ForgeError {
            class: ForgeErrorClass::Permanent,
            message: format!("cannot {attempt}: {why}"),
            hint: None,
        };
        let record = Record {
            branch: new.branch.clone(),
            base: new.base.clone(),
            draft: new.draft,
            labels: sorted(new.labels.clone()),
            reviewers: new.reviewers.clone(),
            assignees: new.assignees.clone(),
            ..Record::new(Kind::PullRequest, &new.title, self.now())
        };
        let head = |refs: &RemoteRefs| {
            let Some(head) = refs.branch(&new.branch) else { return Err(refused("there is no such branch")) };
            let Some(base) = refs.branch(&new.base) else {
                return Err(refused(&format!("there is no branch `{}` to merge into", new.base)));
            };
            match self.repo.is_ancestor(head, base) {
                Ok(true) => Err(refused(&format!("`{}` has all of it", new.base))),
                Ok(false) => Ok(Some(head)),
                Err(error) => Err(failed(&attempt, &error)),
            }
        };
        let taken = |refs: &RemoteRefs| {
            for number in numbers(refs).into_iter().rev() {
                let thread = self.thread(refs, number)?;
                let Record { kind, state, branch, base, .. } = &thread.record;
                let is_it = *kind == Kind::PullRequest && *state == Stage::Open;
                if is_it && (branch, base) == (&new.branch, &new.base) {
                    let pull = self.pull(refs, &thread)?;
                    if pull.state == PullRequestState::Open {
                        return Ok(Some(Came::Found(pull)));
                    }
                }
            }
            Ok(None)
        };
        self.repo.remember_base(&new.base).map_err(|error| failed(&attempt, &error))?;
        let came = self.create(&attempt, &record, &new.body, head, taken, |refs, thread| {
            Ok(Came::Done(self.pull(refs, thread)?))
        })?;
        let Came::Found(found) = came else { return Ok(came) };
        // Whoever opened it may have been cut off before it had all that belongs to it.
        self.update(found.number, &attempt, |refs, thread| match furnished(thread, new) {
            Some(subject) => Ok(Some((subject, vec![]))),
            None => Ok(self.noted(refs, thread)?.map(|noted| (noted.subject, vec![]))),
        })?;
        let refs = self.refs(&attempt)?;
        let thread = self.pull_request(&refs, found.number)?;
        Ok(Came::Found(self.pull(&refs, &thread)?))
    }

    fn close(&self, number: Number) -> ForgeResult<()> {
        let attempt = format!("close pull request {number}");
        self.update(number, &attempt, |refs, thread| {
            if thread.record.state == Stage::Closed {
                return Ok(None);
            }
            if thread.record.kind == Kind::PullRequest
                && matches!(self.pull(refs, thread)?.state, PullRequestState::Merged { .. })
            {
                return Err(conflict(format!("cannot {attempt}: it is merged")));
            }
            thread.record.state = Stage::Closed;
            thread.record.ended_at = Some(self.now());
            let head = refs.branch(&thread.record.branch);
            thread.record.head = head.map(|head| head.to_string()).or(thread.record.head.take());
            Ok(Some((format!("Close pull request {number}"), self.keep_head(refs, number, head))))
        })
    }

    fn dashboard(&self, refs: &RemoteRefs) -> ForgeResult<Option<Thread>> {
        if !refs.refs.contains_key(&meta_ref(NO_NUMBER)) {
            return Ok(None);
        }
        self.thread(refs, NO_NUMBER).map(Some)
    }

    fn write_dashboard(&self, seen: Option<&Dashboard>, title: &str, body: &str) -> ForgeResult<Came<()>> {
        const ATTEMPT: &str = "write the dashboard";
        let changed = || conflict(format!("cannot {ATTEMPT}: somebody changed it meanwhile"));
        let Some(seen) = seen else {
            let record = Record::new(Kind::Dashboard, title, self.now());
            let taken = |refs: &RemoteRefs| match self.dashboard(refs)? {
                Some(thread) if thread.body == body => Ok(Some(Came::Found(()))),
                Some(_) => Err(changed()),
                None => Ok(None),
            };
            return self.create(ATTEMPT, &record, body, |_| Ok(None), taken, |_, _| Ok(Came::Done(())));
        };
        let is_so = Cell::new(false);
        self.update(seen.number, ATTEMPT, |_, thread| {
            is_so.set(thread.body == body && thread.record.title == title);
            if is_so.get() {
                return Ok(None);
            }
            if thread.body != seen.body {
                return Err(changed());
            }
            thread.body = body.to_owned();
            thread.record.title = title.to_owned();
            Ok(Some(("Rewrite the dashboard".to_owned(), vec![])))
        })?;
        Ok(if is_so.get() { Came::Found(()) } else { Came::Done(()) })
    }
}

fn dashboard(thread: &Thread) -> Dashboard {
    Dashboard {
        number: thread.record.number,
        url: String::new(),
        body: thread.body.clone(),
        labels: thread.record.labels.clone(),
    }
}

fn sorted(mut labels: Vec<String>) -> Vec<String> {
    labels.sort();
    labels.dedup();
    labels
}

/// Whether a name is among others; upper and lower case are the same in labels and logins, as on GitHub.
fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn add(names: &mut Vec<String>, more: &[String]) {
    for name in more {
        if !has(names, name) {
            names.push(name.clone());
        }
    }
}

/// Adds what a pull request that was found lacks of what it was to have. Says what that was; `None` where it has all.
fn furnished(thread: &mut Thread, new: &NewPullRequest) -> Option<String> {
    let before = thread.record.clone();
    let record = &mut thread.record;
    add(&mut record.labels, &new.labels);
    add(&mut record.reviewers, &new.reviewers);
    add(&mut record.assignees, &new.assignees);
    if *record == before {
        return None;
    }
    record.labels.sort();
    Some(format!("Add the labels, reviewers and assignees that {} lacks", record.number))
}

/// Says what was changed; `None` where all is so already.
fn changed(thread: &mut Thread, change: &PullRequestChange) -> Option<String> {
    let mut said = Vec::new();
    if let Some(title) = change.title.as_ref().filter(|title| **title != thread.record.title) {
        thread.record.title.clone_from(title);
        said.push("title".to_owned());
    }
    if let Some(body) = change.body.as_ref().filter(|body| **body != thread.body) {
        thread.body.clone_from(body);
        said.push("body".to_owned());
    }
    let mut labels = thread.record.labels.clone();
    add(&mut labels, &change.add_labels);
    labels.retain(|label| !has(&change.remove_labels, label));
    let labels = sorted(labels);
    if labels != thread.record.labels {
        said.push(format!("labels ({})", labels.join(", ")));
        thread.record.labels = labels;
    }
    (!said.is_empty()).then(|| format!("Change {} of {}", said.join(" and "), thread.record.number))
}

fn commented(thread: &mut Thread, marker: &str, body: &str) -> Option<String> {
    let ours = thread.comments.iter().find(|(_, text)| text.contains(marker)).map(|(index, _)| *index);
    let index = ours.unwrap_or_else(|| thread.comments.keys().last().map_or(1, |last| last + 1));
    if thread.comments.get(&index).is_some_and(|text| text == body) {
        return None;
    }
    let verb = if ours.is_some() { "Rewrite" } else { "Write" };
    thread.comments.insert(index, body.to_owned());
    Some(format!("{verb} comment {index} on {}", thread.record.number))
}
