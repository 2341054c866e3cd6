//! `backup`: backup points, by hand.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::GlobalArgs;
use super::age_of;
use super::error::{CommandError, Outcome};
use super::form::{self, FORMATS, WIDTH};
use super::opened::block_on;
use super::workplace::{PlaceArgs, Workplace, blocking};
use crate::app::detect::{self, DetectRequest};
use crate::app::forge::{Forge as _, NewPullRequest};
use crate::backup::{Backups, Listed, Restored, Scope, check_id};
use crate::domain::backup::{BackedUp, BackupPoint, SCHEMA, components};
use crate::domain::state::fresh_id;
use crate::repo;
use crate::repo::write::{Id, RemoteRefs};
use crate::report::clean;

/// Make, list, show and restore backup points
#[derive(Debug, Subcommand)]
pub(super) enum BackupCommand {
    Create(CreateArgs),
    List(ListArgs),
    Show(ShowArgs),
    Restore(RestoreArgs),
}

/// Record what the base branch holds now, as a ref that is never changed
#[derive(Debug, Args)]
#[command(after_help = FORMATS)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// Id instead of `backup-<time>`
    #[arg(long, value_name = "ID")]
    backup_id: Option<String>,

    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// List the backup points, newest first
#[derive(Debug, Args)]
#[command(after_help = FORMATS)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Show what a backup point holds
#[derive(Debug, Args)]
#[command(after_help = FORMATS)]
pub(super) struct ShowArgs {
    /// Id of the backup point
    id: String,

    #[command(flatten)]
    place: PlaceArgs,
}

/// Open a pull request that brings a backup point back
#[derive(Debug, Args)]
#[command(after_help = "\
All files come back, or with --component the files that hold the versions of
these components, whole. Nothing is merged, and no data is restored")]
pub(super) struct RestoreArgs {
    /// Id of the backup point
    id: String,

    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot tell which branch to take")]
    NoBranch,
    #[error("there is no branch `{0}` at the remote")]
    Branch(String),
    #[error("backup point `{0}` has none of these components")]
    NoComponent(String),
}

#[derive(Debug, Serialize)]
struct List<'a> {
    schema: &'static str,
    backups: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    backup_id: &'a str,
    tag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    point: Option<&'a BackupPoint>,
}

#[derive(Debug, Serialize)]
struct Opened<'a> {
    schema: &'static str,
    backup_id: &'a str,
    pull_request: u64,
    url: &'a str,
    branch: &'a str,
    commit: String,
    files: &'a [String],
}

pub(super) fn run(command: &BackupCommand, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    form::check(global)?;
    block_on(async {
        match command {
            BackupCommand::Create(args) => create(args, global).await,
            BackupCommand::List(args) => list(args, global).await,
            BackupCommand::Show(args) => {
                let backups = args.place.open(global).await?.backups();
                let id = args.id.clone();
                let point = blocking(move || backups.show(&id)).await?;
                form::write(global, &point, || text(&point))
            }
            BackupCommand::Restore(args) => restore(args, global).await,
        }
    })
}

/// The base branch as it is at the remote, with its objects here.
async fn base(workplace: &Workplace) -> Result<(String, Id, RemoteRefs), CommandError> {
    let repo = workplace.repo.clone();
    let refs = blocking(move || repo.refs()).await?;
    let branch = workplace.base_branch(&refs).ok_or_else(|| {
        CommandError::failed(Error::NoBranch).hint("set `forge: {base_branch: …}` in the configuration")
    })?;
    let (repo, name) = (workplace.repo.clone(), format!("refs/heads/{branch}"));
    let refs = blocking(move || repo.fetch(|other| other == name)).await?;
    let tip = refs.branch(&branch).ok_or_else(|| CommandError::failed(Error::Branch(branch.clone())))?;
    Ok((branch, tip, refs))
}

async fn create(args: &CreateArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    if let Some(id) = &args.backup_id {
        check_id(id)?;
    }
    let workplace = args.place.open(global).await?;
    let (branch, commit, refs) = base(&workplace).await?;
    let now = workplace.now();
    let taken = |id: &str| refs.refs.contains_key(&format!("{}{id}", crate::backup::PREFIX));
    let store = workplace.state();
    let state = blocking(move || store.load()).await?.tip;
    let point = BackupPoint {
        schema: SCHEMA.to_owned(),
        backup_id: args.backup_id.clone().unwrap_or_else(|| fresh_id("backup", now, taken)),
        created_at: now,
        reason: args.reason.clone(),
        branch,
        commit: commit.to_string(),
        step: None,
        components: components_at(&workplace, commit)?,
        facts: None,
        state: state.map(|tip| tip.to_string()),
        data: vec![],
        not_covered: vec![],
    };
    let backups = workplace.backups();
    let made = point.clone();
    blocking(move || backups.create(&made, &BTreeMap::new())).await?;
    form::write(global, &point, || {
        format!(
            "made backup point `{}` of `{}` at {}, {} component{}\n",
            point.backup_id,
            point.branch,
            commit.short(),
            point.components.len(),
            if point.components.len() == 1 { "" } else { "s" }
        )
    })
}

/// What the repository runs at a commit, without asking anybody.
fn components_at(workplace: &Workplace, commit: Id) -> Result<BTreeMap<String, BackedUp>, CommandError> {
    let rev = commit.to_string();
    let path = workplace.repo.work_dir().unwrap_or(workplace.repo.git_dir());
    let repository = repo::open(path, Some(&rev)).map_err(CommandError::failed)?;
    let request = DetectRequest {
        path: path.to_owned(),
        rev: Some(rev),
        config: workplace.config.clone(),
        offline: true,
        components: vec![],
        deep: false,
        now: workplace.now(),
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let found = detect::read(&repository, &request, threads).map_err(CommandError::failed)?;
    Ok(components(&found.components))
}

async fn list(args: &ListArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let workplace = args.place.open(global).await?;
    let backups: Backups = workplace.backups();
    let found = blocking(move || backups.list()).await?;
    let rows = found.iter().map(|listed| Row {
        backup_id: &listed.id,
        tag: listed.tag.to_string(),
        problem: listed.point.as_ref().err().map(String::as_str),
        point: listed.point.as_ref().ok(),
    });
    let list = List { schema: "gitops-updater/backups/v1", backups: rows.collect() };
    form::write(global, &list, || {
        if found.is_empty() {
            return "no backup points\n".to_owned();
        }
        found.iter().map(|listed| line(listed, workplace.now())).collect()
    })
}

fn line(listed: &Listed, now: jiff::Timestamp) -> String {
    let id = clean::line(&listed.id);
    let (age, what) = match &listed.point {
        Ok(point) => (age_of(point.created_at, now), summary(point)),
        Err(why) => (String::new(), format!("cannot be read: {why}")),
    };
    let id = clean::left(&clean::fit(&id, 34), 34);
    let what = clean::line(&what).into_owned();
    format!("{id}  {age:>5}  {}", clean::fit(&what, WIDTH - 43)).trim_end().to_owned() + "\n"
}

/// Why it was made, in a few words.
fn summary(point: &BackupPoint) -> String {
    match (&point.step, &point.reason) {
        (Some(step), _) => format!("{} {} -> {}", step.component, step.from, step.to),
        (None, Some(reason)) => reason.clone(),
        (None, None) => format!("{} at {}", point.branch, point.commit.get(..10).unwrap_or(&point.commit)),
    }
}

fn text(point: &BackupPoint) -> String {
    let mut lines = vec![
        format!("backup point {}", point.backup_id),
        format!("made {}", point.created_at),
        format!("of {} at {}", clean::line(&point.branch), point.commit),
    ];
    if let Some(step) = &point.step {
        let step = format!("before {} {} -> {}", step.component, step.from, step.to);
        lines.push(clean::line(&step).into_owned());
    }
    // The bot's own reason is the step.
    let reason = point.reason.as_deref().map(|reason| clean::line(reason).into_owned());
    lines.extend(reason.filter(|reason| lines.last() != Some(reason)));
    if !point.components.is_empty() {
        lines.push(format!("\nComponents ({})", point.components.len()));
        for (id, component) in &point.components {
            let (id, version) = (clean::line(id), component.version.as_deref().unwrap_or("not in Git"));
            let id = clean::left(&clean::fit(&id, 50), 50);
            lines.push(format!("  {id}  {}", clean::fit(&clean::line(version), WIDTH - 54)));
        }
    }
    if !point.data.is_empty() {
        lines.push(format!("\nBackups of data ({})", point.data.len()));
        let data = point.data.iter().map(|data| format!("  {} {}: {}", data.kind, data.name, data.status));
        lines.extend(data.map(|line| clean::line(&line).into_owned()));
    }
    lines.join("\n") + "\n"
}

async fn restore(args: &RestoreArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let workplace = args.place.open(global).await?;
    let (branch, tip, _) = base(&workplace).await?;
    let (backups, id, now) = (workplace.backups(), args.id.clone(), workplace.now());
    let selectors = global.components.clone();
    let (point, restored) = blocking(move || -> Result<_, CommandError> {
        let point = backups.show(&id)?;
        let scope = if selectors.is_empty() {
            Scope::Tree
        } else {
            let named = |component: &&String| {
                let kind = component.rsplit_once(':').map_or(component.as_str(), |(_, id)| id);
                let kind = kind.split('/').next().unwrap_or(kind);
                selectors.iter().any(|selector| selector.matches(component, kind))
            };
            let components: Vec<String> = point.components.keys().filter(named).cloned().collect();
            if components.is_empty() {
                return Err(CommandError::failed(Error::NoComponent(id))
                    .hint("`gitops-updater backup show` lists its components"));
            }
            Scope::Components(components)
        };
        let restored = backups.restore(&point, &scope, tip, now)?;
        Ok((point, restored))
    })
    .await?;
    let new = NewPullRequest {
        branch: restored.branch.clone(),
        base: branch,
        title: restored.title.clone(),
        body: body(&point, &restored),
        labels: workplace.config.pull_requests.labels.clone(),
        reviewers: workplace.config.pull_requests.reviewers.clone(),
        assignees: workplace.config.pull_requests.assignees.clone(),
        draft: false,
    };
    let pull = workplace.forge.open(&new).await?;
    let opened = Opened {
        schema: "gitops-updater/restore/v1",
        backup_id: &point.backup_id,
        pull_request: pull.number,
        url: &pull.url,
        branch: &restored.branch,
        commit: restored.commit.to_string(),
        files: &restored.paths,
    };
    form::write(global, &opened, || {
        let place = if pull.url.is_empty() { restored.branch.clone() } else { pull.url.clone() };
        format!("opened #{}: {}\n  {place}\n", pull.number, restored.title)
    })
}

fn body(point: &BackupPoint, restored: &Restored) -> String {
    const SHOWN: usize = 50;
    let mut text = format!(
        "Brings back what `{}` held at {} (commit {}), as backup point `{}` recorded it.\n\n\
         Whole files come back: changes that others made in them since then go, too. Review the difference, and mind \
         that going back is not safe for every component: k3s nodes and Longhorn volumes do not go back with Git.\n\n",
        point.branch, point.created_at, point.commit, point.backup_id
    );
    for path in restored.paths.iter().take(SHOWN) {
        text.push_str(&format!("- `{}`\n", clean::line(path).replace('`', "'")));
    }
    if restored.paths.len() > SHOWN {
        text.push_str(&format!("- and {} more files\n", restored.paths.len() - SHOWN));
    }
    text
}
