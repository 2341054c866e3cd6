//! `backup`: backup points, by hand.

mod beside;
mod going_back;
mod restore;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::GlobalArgs;
use super::age_of;
use super::error::{CommandError, Outcome};
use super::form::{self, WIDTH};
use super::markdown::folded;
use super::opened::block_on;
use super::plan::FactsArgs;
use super::switch;
use super::workplace::{PlaceArgs, Workplace, blocking};
use crate::app::data::{Made, Request, make};
use crate::app::detect::{self, DetectRequest, Found};
use crate::app::effects::Acting;
use crate::app::named;
use crate::backup::{Backups, Listed, check_id};
use crate::domain::backup::export::{EXPORT, saved};
use crate::domain::backup::{BackupPoint, SCHEMA, components};
use crate::domain::component::Component;
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
    Restore(restore::RestoreArgs),
}

/// Record what the base branch holds now, as a ref that is never changed
#[derive(Debug, Args)]
#[command(after_help = "\
With --cluster (or a kubeconfig) and --component, the data of these components
is backed up, too, as `backup.data` of the configuration says")]
pub(super) struct CreateArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// Id instead of `backup-<time>`
    #[arg(long, value_name = "ID")]
    backup_id: Option<String>,

    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    facts: FactsArgs,
}

/// List the backup points, newest first
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Show what a backup point holds
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
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
    #[error("`--component` names whose data is backed up, and no cluster is named that has it")]
    NoCluster,
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
            BackupCommand::Restore(args) => restore::run(args, global).await,
        }
    })
}

/// The base branch as it is at the remote, with its objects here.
pub(super) async fn base(workplace: &Workplace) -> Result<(String, Id, RemoteRefs), CommandError> {
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
    switch::refuse("make a backup point", &workplace, commit).await?;
    if let Some(id) = &args.backup_id
        && refs.refs.contains_key(&format!("{}{id}", crate::backup::PREFIX))
    {
        let (backups, id) = (workplace.backups(), id.clone());
        let point = blocking(move || backups.show(&id)).await?;
        return there(args, global, &workplace, (&branch, commit), point);
    }
    let now = workplace.now();
    let taken = |id: &str| refs.refs.contains_key(&format!("{}{id}", crate::backup::PREFIX));
    let store = workplace.state();
    let state = blocking(move || store.load()).await?.tip;
    let backup_id = args.backup_id.clone().unwrap_or_else(|| fresh_id("backup", now, taken));
    let found = found_at(&workplace, commit)?;
    let made = data(args, global, &workplace, &found, &backup_id).await?;
    let point = BackupPoint {
        schema: SCHEMA.to_owned(),
        backup_id,
        created_at: now,
        reason: args.reason.clone(),
        branch,
        commit: commit.to_string(),
        step: None,
        components: components(&found.components),
        facts: None,
        state: state.map(|tip| tip.to_string()),
        data: made.data,
        not_covered: made.not_covered,
    };
    let backups = workplace.backups();
    let (created, files) = (point.clone(), made.files);
    blocking(move || backups.create(&created, &files)).await?;
    form::write(global, &point, || {
        let mut lines = vec![format!(
            "made backup point `{}` of `{}` at {}, {} component{}",
            point.backup_id,
            point.branch,
            commit.short(),
            point.components.len(),
            if point.components.len() == 1 { "" } else { "s" }
        )];
        lines.extend(not_covered(&point));
        lines.join("\n") + "\n"
    })
}

/// A point of the id that was given is there: said where it holds what is wanted, else refused. It is never changed.
fn there(
    args: &CreateArgs,
    global: &GlobalArgs,
    workplace: &Workplace,
    (branch, commit): (&str, Id),
    point: BackupPoint,
) -> Result<Outcome, CommandError> {
    let found = found_at(workplace, commit)?;
    // Data is of the time when it is made.
    let wants_data = args.facts.access().is_some() && !global.components.is_empty();
    let differs = [
        (point.step.is_some(), "it was made for an update"),
        (point.branch != branch, "it is of another branch"),
        (point.commit != commit.to_string(), "it is of another commit"),
        (point.reason != args.reason, "it was made for another reason"),
        (point.components != components(&found.components), "it holds other versions"),
        (!point.data.is_empty() && !wants_data, "it also holds backups of data"),
        (wants_data, "data is of the time when it was backed up"),
    ];
    let differs: Vec<&str> = differs.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what).collect();
    if differs.is_empty() {
        return form::write(global, &point, || {
            let point = format!(
                "backup point `{}` is there already, made {} of `{}` at {}; nothing is changed",
                point.backup_id,
                point.created_at,
                point.branch,
                commit.short()
            );
            folded(&point, 0) + "\n"
        });
    }
    let hold = format!(
        "it was made {} of `{}` at {}: {}",
        point.created_at,
        point.branch,
        &point.commit,
        differs.join(", ")
    );
    Err(CommandError::from(crate::backup::Error::Exists { id: point.backup_id }).detail(hold))
}

/// What the repository runs at a commit, without asking anybody.
pub(super) fn found_at(workplace: &Workplace, commit: Id) -> Result<Found, CommandError> {
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
    detect::read(&repository, &request, threads).map_err(CommandError::failed)
}

/// Backs up the data of the components that were named, where there is a way to the cluster.
async fn data(
    args: &CreateArgs,
    global: &GlobalArgs,
    workplace: &Workplace,
    found: &Found,
    backup_id: &str,
) -> Result<Made, CommandError> {
    let mut all = Made::default();
    let ids = found.components.iter().map(|component| (component.id.as_str(), component.kind.as_str()));
    if global.components_are_written
        && let Some(unknown) = named::missing(ids, &global.components).into_iter().next()
    {
        return Err(CommandError::usage(unknown));
    }
    if args.facts.access().is_none() {
        return match global.components_are_written {
            false => Ok(all),
            true => Err(CommandError::usage(Error::NoCluster).hint(
                "add `--cluster` (or `--kubeconfig FILE`), or leave `--component` out: a backup point holds all files",
            )),
        };
    }
    let named = |component: &&Component| {
        global.components.iter().any(|selector| selector.matches(&component.id, &component.kind))
    };
    let named: Vec<&Component> = found.components.iter().filter(named).collect();
    let settings = &workplace.config.data_backups;
    // Who names a cluster takes it that its data is in the point.
    if settings.is_none() {
        all.not_covered.push(
            "no data of the cluster: the configuration asks for none (`backup.data` says what is backed up)"
                .to_owned(),
        );
        return Ok(all);
    }
    if named.is_empty() {
        all.not_covered.push(
            "no data of the cluster: no component was named; `--component ID` backs up the data of one, such as \
             `--component longhorn`"
                .to_owned(),
        );
        return Ok(all);
    }
    let Some(cluster) = args.facts.connect().await? else { return Ok(all) };
    for component in named {
        let request = Request {
            backup_id,
            component: &component.id,
            kind: &component.kind,
            namespace: component.namespace.as_deref(),
            now: workplace.now(),
        };
        let made = make(&cluster, settings, &request, &Acting).await.map_err(|error| {
            let hint = error.hint();
            let error = CommandError::failed(error);
            match hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })?;
        // Volumes of one namespace belong to several components.
        for data in made.data {
            if data.kind != EXPORT && !all.data.contains(&data) {
                all.data.push(data);
            }
        }
        all.files.extend(made.files);
        all.not_covered.extend(made.not_covered);
    }
    // The files of all components lie in one folder.
    all.data.extend(saved(&all.files));
    all.not_covered.sort();
    all.not_covered.dedup();
    Ok(all)
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
        Ok(point) => (age_of(point.created_at, now), summary(point) + &amount(point)),
        Err(why) => (String::new(), format!("cannot be read: {why}")),
    };
    let id = clean::left(&clean::fit(&id, 34), 34);
    let what = clean::line(&what).into_owned();
    match clean::width(&what) <= WIDTH - 43 {
        true => format!("{id}  {age:>5}  {what}").trim_end().to_owned() + "\n",
        // Versions are not what is cut off.
        false => format!("{id}  {age:>5}\n{}\n", folded(&what, 2)),
    }
}

/// Why it was made, in a few words.
fn summary(point: &BackupPoint) -> String {
    match (&point.step, &point.reason) {
        (Some(step), _) => format!("{} {} -> {}", step.component, step.from, step.to),
        (None, Some(reason)) => reason.clone(),
        (None, None) => format!("{} at {}", point.branch, point.commit.get(..10).unwrap_or(&point.commit)),
    }
}

/// How much data it has, in a few words.
fn amount(point: &BackupPoint) -> String {
    match point.data.iter().filter(|data| data.kind != "longhorn_snapshot").count() {
        0 => String::new(),
        1 => " (and data)".to_owned(),
        count => format!(" (and data: {count} backups)"),
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
        lines.extend(point.data.iter().map(|data| folded(&data.line(), 2)));
    }
    lines.extend(not_covered(point));
    lines.join("\n") + "\n"
}

/// What the point does not hold, under a heading of its own.
fn not_covered(point: &BackupPoint) -> Vec<String> {
    if point.not_covered.is_empty() {
        return Vec::new();
    }
    let wrapped = |why: &String| clean::wrap(&clean::line(why), WIDTH - 2);
    let lines = point.not_covered.iter().flat_map(wrapped).map(|line| format!("  {line}"));
    ["\nNot backed up".to_owned()].into_iter().chain(lines).collect()
}
