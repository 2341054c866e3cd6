//! `pr`: the pull requests of the local forge, for people.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use super::form::{self, WIDTH};
use super::markdown::{self, folded};
use super::opened::block_on;
use super::workplace::{PlaceArgs, Workplace};
use crate::app::forge::{Forge as _, MergeMethod, Number, PullRequest, PullRequestState};
use crate::forge::local::{Details, LocalForge};
use crate::report::clean;

/// List, show, merge and close the pull requests of a repository that has no forge
#[derive(Debug, Subcommand)]
pub(super) enum PrCommand {
    List(ListArgs),
    Show(ShowArgs),
    Merge(MergeArgs),
    Close(CloseArgs),
}

/// List the pull requests
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// Only those in this state
    #[arg(long, value_enum, default_value_t)]
    state: StateFilter,
}

/// Show what a pull request changes, and what was said about it
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Number of the pull request
    number: Number,

    #[command(flatten)]
    place: PlaceArgs,
}

/// Close a pull request unmerged, which means: not this version
#[derive(Debug, Args)]
pub(super) struct CloseArgs {
    /// Number of the pull request
    number: Number,

    #[command(flatten)]
    place: PlaceArgs,
}

/// Merge a pull request into its base branch
#[derive(Debug, Args)]
#[command(after_help = "\
A work tree that has the base branch checked out follows if it is clean; if it
is not, or if both sides changed the same lines, nothing is merged")]
pub(super) struct MergeArgs {
    /// Number of the pull request
    number: Number,

    #[command(flatten)]
    place: PlaceArgs,

    /// How it is merged, instead of the way that is configured
    #[arg(long, value_enum)]
    method: Option<Method>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum StateFilter {
    #[default]
    Open,
    Merged,
    Closed,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    Merge,
    Squash,
    Rebase,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("pull requests of this repository live on GitHub")]
    Elsewhere,
    #[error("cannot merge pull request {0}: it is closed")]
    Closed(Number),
}

/// A pull request as scripts read it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    number: Number,
    state: &'static str,
    title: &'a str,
    branch: &'a str,
    base: &'a str,
    head: &'a str,
    draft: bool,
    labels: &'a [String],
    merge_commit: Option<&'a str>,
    merged_at: Option<Timestamp>,
}

impl<'a> Row<'a> {
    fn of(pull: &'a PullRequest) -> Self {
        let (merge_commit, merged_at) = match &pull.state {
            PullRequestState::Merged { commit, at } => (Some(commit.as_str()), Some(*at)),
            _ => (None, None),
        };
        Self {
            number: pull.number,
            state: word(&pull.state),
            title: &pull.title,
            branch: &pull.branch,
            base: &pull.base,
            head: &pull.head,
            draft: pull.draft,
            labels: &pull.labels,
            merge_commit,
            merged_at,
        }
    }
}

#[derive(Debug, Serialize)]
struct List<'a> {
    schema: &'static str,
    pull_requests: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    schema: &'static str,
    #[serde(flatten)]
    row: Row<'a>,
    body: &'a str,
    commits: Vec<Commit<'a>>,
    files: &'a [String],
    comments: Vec<&'a str>,
    reviewers: &'a [String],
    assignees: &'a [String],
    opened_at: Timestamp,
    merged_by: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Commit<'a> {
    id: &'a str,
    subject: &'a str,
}

pub(super) fn run(command: &PrCommand, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    block_on(async {
        match command {
            PrCommand::List(args) => list(args, global).await,
            PrCommand::Show(args) => show(args, global).await,
            PrCommand::Merge(args) => merge(args, global).await,
            PrCommand::Close(args) => close(args, global).await,
        }
    })
}

async fn open(place: &PlaceArgs, global: &GlobalArgs) -> Result<(Workplace, LocalForge), CommandError> {
    let workplace = place.open(global).await?;
    let forge = workplace.local_forge().ok_or_else(|| {
        CommandError::failed(Error::Elsewhere)
            .hint("use its pages or the `gh` program; with `--remote .`, those of this clone")
    })?;
    Ok((workplace, forge))
}

async fn list(args: &ListArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let (_, forge) = open(&args.place, global).await?;
    let mut pulls = forge.pull_requests().await?;
    pulls.retain(|pull| match args.state {
        StateFilter::Open => pull.state == PullRequestState::Open,
        StateFilter::Merged => matches!(pull.state, PullRequestState::Merged { .. }),
        StateFilter::Closed => pull.state == PullRequestState::Closed,
        StateFilter::All => true,
    });
    let list = List {
        schema: "gitops-updater/pull-requests/v1",
        pull_requests: pulls.iter().map(Row::of).collect(),
    };
    form::write(global, &list, || {
        if pulls.is_empty() {
            let which = match args.state {
                StateFilter::Open => "no open pull requests; `--state all` lists the others\n",
                StateFilter::Merged => "no merged pull requests\n",
                StateFilter::Closed => "no closed pull requests\n",
                StateFilter::All => "no pull requests\n",
            };
            return which.to_owned();
        }
        pulls.iter().map(line).collect()
    })
}

fn line(pull: &PullRequest) -> String {
    let state = if pull.draft && pull.state == PullRequestState::Open { "draft" } else { word(&pull.state) };
    let number = format!("#{}", pull.number);
    let mut title = clean::wrap(&clean::line(&pull.title), WIDTH - 15).into_iter();
    let first = title.next().unwrap_or_default();
    let rest: String = title.map(|line| format!("{:15}{line}\n", "")).collect();
    format!("{number:>5}  {state:<6}  {first}\n{rest}")
}

fn word(state: &PullRequestState) -> &'static str {
    match state {
        PullRequestState::Open => "open",
        PullRequestState::Merged { .. } => "merged",
        PullRequestState::Closed => "closed",
    }
}

async fn show(args: &ShowArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let (_, forge) = open(&args.place, global).await?;
    let details = forge.details(args.number).await?;
    let shown = Shown {
        schema: "gitops-updater/pull-request/v1",
        row: Row::of(&details.pull),
        body: &details.pull.body,
        commits: details.commits.iter().map(|(id, subject)| Commit { id, subject }).collect(),
        files: &details.paths,
        comments: details.comments.iter().map(|comment| comment.body.as_str()).collect(),
        reviewers: &details.reviewers,
        assignees: &details.assignees,
        opened_at: details.opened_at,
        merged_by: details.merged_by.as_deref(),
    };
    form::write(global, &shown, || text(&details))
}

/// For people: what they need to decide, and how they say it.
fn text(details: &Details) -> String {
    let pull = &details.pull;
    let mut lines = vec![folded(&format!("#{} {}", pull.number, pull.title), 0)];
    let mut state = format!("{}: {} into {}", word(&pull.state), pull.branch, pull.base);
    if let PullRequestState::Merged { commit, at } = &pull.state {
        let by =
            details.merged_by.as_deref().map(|by| format!(" by {}", clean::line(by))).unwrap_or_default();
        state = format!("{state}, {at}{by}, as {}", commit.get(..10).unwrap_or(commit));
    }
    lines.push(folded(&state, 0));
    if !pull.labels.is_empty() {
        lines.push(folded(&format!("labels: {}", pull.labels.join(", ")), 0));
    }
    let mut section = |title: &str, entries: Vec<String>| {
        if !entries.is_empty() {
            lines.push(String::new());
            lines.push(title.to_owned());
            lines.extend(entries.iter().map(|entry| format!("  {entry}").trim_end().to_owned()));
        }
    };
    section("Description", markdown::lines(&pull.body, WIDTH - 2));
    let commits = details.commits.iter().map(|(id, subject)| format!("{id} {subject}"));
    let commits = commits.flat_map(|commit| clean::wrap(&clean::line(&commit), WIDTH - 2));
    section("Commits", commits.collect());
    section("Files", details.paths.iter().map(|path| clean::line(path).into_owned()).collect());
    for comment in &details.comments {
        section(&format!("Comment {}", comment.number), markdown::lines(&comment.body, WIDTH - 2));
    }
    if pull.state == PullRequestState::Open {
        let number = pull.number;
        lines.push(String::new());
        lines.push(format!(
            "See the change with `git diff {}...{}`",
            pull.base,
            pull.head.get(..10).unwrap_or_default()
        ));
        lines.push(format!("and say `gitops-updater pr merge {number}` or `pr close {number}`"));
    }
    lines.join("\n") + "\n"
}

async fn merge(args: &MergeArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let (workplace, forge) = open(&args.place, global).await?;
    let details = forge.details(args.number).await?;
    let pull = &details.pull;
    let method = match args.method {
        Some(Method::Merge) => MergeMethod::Merge,
        Some(Method::Squash) => MergeMethod::Squash,
        Some(Method::Rebase) => MergeMethod::Rebase,
        None => workplace.config.pull_requests.merge_method,
    };
    if pull.state == PullRequestState::Closed {
        return Err(CommandError::failed(Error::Closed(args.number))
            .hint("a pull request that was closed means \"not this version\"; the bot opens another one for a newer one"));
    }
    let message = match method {
        // One commit keeps its own words, with the trailers by which it is known.
        MergeMethod::Squash if details.commits.len() == 1 => forge.message_of(&pull.head).await?,
        MergeMethod::Squash => format!("{} (#{})\n", pull.title, pull.number),
        _ => format!("Merge pull request #{} from {}\n\n{}\n", pull.number, pull.branch, pull.title),
    };
    let commit = forge.merge(pull.number, &pull.head, method, &message).await?;
    let was_merged = matches!(pull.state, PullRequestState::Merged { .. });
    let verb = if was_merged { "was merged" } else { "merged" };
    let said =
        format!("#{} {verb} into {} as {}\n", pull.number, pull.base, commit.get(..10).unwrap_or(&commit));
    // Elsewhere, no work tree of this clone follows.
    let said = match workplace.repo.remote().is_own() {
        true => said,
        false => said + "bring it here with `git pull`\n",
    };
    let now = forge.pull_request(pull.number).await?;
    form::write(global, &Row::of(&now), || said)
}

async fn close(args: &CloseArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let (_, forge) = open(&args.place, global).await?;
    forge.close(args.number).await?;
    let now = forge.pull_request(args.number).await?;
    form::write(global, &Row::of(&now), || format!("#{} closed\n", args.number))
}
