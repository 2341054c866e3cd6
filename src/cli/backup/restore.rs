//! `backup restore`: files by a pull request, volumes beside the old ones, exports as files, and the steps for etcd.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::going_back::{Going, Told, judge, leave};
use super::{base, beside};
use crate::app::forge::{Forge as _, NewPullRequest, PullRequestState};
use crate::backup::{self, Restored, Scope};
use crate::cli::GlobalArgs;
use crate::cli::error::{CommandError, Outcome};
use crate::cli::form;
use crate::cli::markdown::folded;
use crate::cli::switch;
use crate::cli::workplace::{PlaceArgs, Workplace, blocking};
use crate::domain::backup::BackupPoint;
use crate::domain::backup::restore::etcd_steps;
use crate::domain::message::{asked_comment, left_comment, neutral};
use crate::domain::notice::kind_of;
use crate::report::clean;

/// Longest note of a pull request, in characters.
const MAX_NOTE: usize = 1_000;

/// Open a pull request that brings a backup point back, or bring data back
#[derive(Debug, Args)]
#[command(after_help = "\
Without an option all files come back by a pull request, or with --component the
files that hold the versions of these components, whole. What does harm is
refused, as by `rollback`; versions that are left are not proposed again. Nothing
is merged, and data is only ever restored beside what is there")]
pub(in crate::cli) struct RestoreArgs {
    /// Id of the backup point
    id: String,

    #[command(flatten)]
    place: PlaceArgs,

    /// Make a new volume from the backup of this volume or claim (`namespace/claim`), beside the old one
    #[arg(long, value_name = "NAME", requires = "new_name", conflicts_with_all = ["exports", "etcd"])]
    volume: Option<String>,

    /// With --volume: name of the new volume and claim
    #[arg(long = "as", value_name = "NEW", requires = "volume", id = "new_name")]
    new_name: Option<String>,

    /// With --volume: namespace of Longhorn
    #[arg(long, value_name = "NAMESPACE", default_value = "longhorn-system")]
    pub(super) longhorn_namespace: String,

    /// Write the objects that were exported as files below DIR, where nothing else may be
    #[arg(long, value_name = "DIR", conflicts_with = "etcd")]
    exports: Option<PathBuf>,

    /// Print the steps by which a person goes back to the etcd snapshot
    #[arg(long)]
    etcd: bool,

    /// Go on although this harm is done; the refusal names the word (repeatable)
    #[arg(long = "accept-harm", value_name = "HARM", conflicts_with_all = ["volume", "exports", "etcd"])]
    accept_harm: Vec<String>,

    /// With --volume or --exports: create what is not there in the cluster; nothing that is there is changed
    #[arg(long)]
    pub(super) apply: bool,

    /// With --apply: the cluster of this kubeconfig [default: that of the environment, or the pod's account]
    #[arg(long, value_name = "FILE", requires = "apply")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// With --apply: the cluster of this context of the kubeconfig
    #[arg(long, value_name = "NAME", requires = "apply")]
    pub(super) context: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("backup point `{0}` has none of these components")]
    NoComponent(String),
    #[error("backup point `{0}` names no etcd snapshot")]
    NoSnapshot(String),
}

/// The steps for etcd, as scripts read them.
#[derive(Debug, Serialize)]
struct Steps<'a> {
    schema: &'static str,
    backup_id: &'a str,
    steps: Vec<&'a str>,
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
    /// Versions that go back.
    versions: &'a [Going],
    notes: &'a [String],
}

pub(super) async fn run(args: &RestoreArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
    if args.apply && args.volume.is_none() && args.exports.is_none() {
        return Err(CommandError::usage(
            "--apply is for --volume or --exports: files come back by a pull request",
        ));
    }
    let workplace = args.place.open(global).await?;
    let restores_files = args.volume.is_none() && args.exports.is_none() && !args.etcd;
    if args.apply || restores_files {
        let (_, tip, _) = base(&workplace).await?;
        switch::refuse("restore", &workplace, tip).await?;
    }
    if restores_files {
        return files(args, global, &workplace).await;
    }
    let (backups, id) = (workplace.backups(), args.id.clone());
    let point = blocking(move || backups.show(&id)).await?;
    match (&args.volume, &args.new_name, &args.exports) {
        (Some(volume), Some(new), _) => beside::volume(args, global, &point, volume, new).await,
        (_, _, Some(folder)) => beside::exports(args, global, &workplace, &point, folder).await,
        _ => {
            let steps = etcd_steps(&point).ok_or_else(|| {
                CommandError::failed(Error::NoSnapshot(args.id.clone()))
                    .hint("`gitops-updater backup show` lists what it has")
            })?;
            let steps = clean_lines(&steps);
            let shown = Steps {
                schema: "gitops-updater/restore-steps/v1",
                backup_id: &point.backup_id,
                steps: steps.lines().collect(),
            };
            form::write(global, &shown, || steps.clone())
        }
    }
}

fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean::line(line).into_owned() + "\n").collect()
}

/// All files, or those of components, by a pull request.
async fn files(
    args: &RestoreArgs,
    global: &GlobalArgs,
    workplace: &Workplace,
) -> Result<Outcome, CommandError> {
    let (branch, tip, _) = base(workplace).await?;
    let (backups, id, now) = (workplace.backups(), args.id.clone(), workplace.now());
    let selectors = global.components.clone();
    let (point, scope) = blocking(move || -> Result<_, CommandError> {
        let point = backups.show(&id)?;
        let scope = if selectors.is_empty() {
            Scope::Tree
        } else {
            let named = |component: &&String| {
                let kind = kind_of(component);
                selectors.iter().any(|selector| selector.matches(component, kind))
            };
            let components: Vec<String> = point.components.keys().filter(named).cloned().collect();
            if components.is_empty() {
                return Err(CommandError::failed(Error::NoComponent(id))
                    .hint("`gitops-updater backup show` lists its components"));
            }
            Scope::Components(components)
        };
        Ok((point, scope))
    })
    .await?;
    let told = judge(workplace, &point, &scope, tip, &args.accept_harm).await?;
    let backups = workplace.backups();
    let (point, prepared) = blocking(move || {
        let prepared = backups.prepare(&point, &scope, tip, now)?;
        Ok::<_, backup::Error>((point, prepared))
    })
    .await?;
    let known = workplace.forge.pull_requests_of(&prepared.branch).await?;
    let is_open = known.iter().any(|pull| pull.state == PullRequestState::Open);
    // As `rollback` does: first no run may propose them, then the branch comes, then its pull request.
    leave(workplace, &point, &told, is_open).await?;
    let backups = workplace.backups();
    let restored = blocking(move || backups.push(prepared)).await?;
    let new = NewPullRequest {
        branch: restored.branch.clone(),
        base: branch,
        title: restored.title.clone(),
        body: body(&point, &restored, &told, now),
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
        versions: &told.versions,
        notes: &told.notes,
    };
    form::write(global, &opened, || {
        let place = if pull.url.is_empty() { restored.branch.clone() } else { pull.url.clone() };
        let opened = folded(&format!("opened #{}: {}", pull.number, clean::line(&restored.title)), 0);
        let mut text = format!("{opened}\n  {}\n", clean::line(&place));
        for Going { component, from, to } in &told.versions {
            text.push_str(&(folded(&format!("{component} {from} → {to}"), 2) + "\n"));
        }
        for note in &told.notes {
            text.push_str(&(folded(&format!("mind: {note}"), 2) + "\n"));
        }
        text
    })
}

fn body(point: &BackupPoint, restored: &Restored, told: &Told, asked_at: Timestamp) -> String {
    const SHOWN: usize = 50;
    let mut text = format!(
        "Brings back what `{}` held at {} (commit {}), as backup point `{}` recorded it.\n\n",
        point.branch, point.created_at, point.commit, point.backup_id
    );
    for Going { component, from, to } in told.versions.iter().take(SHOWN) {
        let (component, from, to) = (neutral::code(component), neutral::code(from), neutral::code(to));
        text.push_str(&format!("- {component}: {from} → {to}\n"));
    }
    if told.versions.len() > SHOWN {
        text.push_str(&format!("- and {} more\n", told.versions.len() - SHOWN));
    }
    if !told.versions.is_empty() {
        text.push_str(
            "\nThe versions that are left are in quarantine: they are not proposed again until a newer one appears, or \
             a person clears them. Close this without merging it, and the next run lets them be and takes the branch \
             away.\n\n",
        );
    }
    for note in told.notes.iter().take(SHOWN) {
        text.push_str(&format!("Take note: {}\n\n", neutral::prose(note, MAX_NOTE)));
    }
    text.push_str(
        "Whole files come back: changes that others made in them since then go, too. Review the difference.\n\n",
    );
    for path in restored.paths.iter().take(SHOWN) {
        text.push_str(&format!("- `{}`\n", clean::line(path).replace('`', "'")));
    }
    if restored.paths.len() > SHOWN {
        text.push_str(&format!("- and {} more files\n", restored.paths.len() - SHOWN));
    }
    let left = told.versions.iter().map(|one| (one.component.as_str(), one.from.as_str()));
    text + "\n" + &asked_comment(asked_at) + "\n" + &left_comment(left) + "\n"
}
