//! `backup restore`: files by a pull request, volumes beside the old ones, exports as files, and the steps for etcd.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::base;
use super::going_back::{Going, Told, judge};
use crate::app::cluster::{Cluster as _, ErrorClass, Resource};
use crate::app::forge::{Forge as _, NewPullRequest};
use crate::backup::{self, Restored, Scope};
use crate::cli::GlobalArgs;
use crate::cli::connection::connect;
use crate::cli::error::{CommandError, Outcome};
use crate::cli::form;
use crate::cli::switch;
use crate::cli::workplace::{PlaceArgs, Workplace, blocking};
use crate::cluster::{Access, Live};
use crate::domain::backup::BackupPoint;
use crate::domain::backup::export::{ENCRYPTED, FOLDER, owner, shown};
use crate::domain::backup::names::{MANAGED_BY, MANAGER, is_name};
use crate::domain::backup::restore::{backup_of, etcd_steps, volume_beside};
use crate::domain::message::{left_comment, neutral};
use crate::domain::notice::kind_of;
use crate::domain::settle::kind::Kind;
use crate::report::clean;

/// Most files of an export, and most bytes of one.
const MOST_FILES: usize = 30_000;
/// Longest note of a pull request, in characters.
const MAX_NOTE: usize = 1_000;
const FILE_LIMIT: usize = 32 << 20;

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
    longhorn_namespace: String,

    /// Write the objects that were exported as files below DIR, which must not be there or be empty
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
    apply: bool,

    /// With --apply: the cluster of this kubeconfig [default: that of the environment, or the pod's account]
    #[arg(long, value_name = "FILE", requires = "apply")]
    kubeconfig: Option<PathBuf>,

    /// With --apply: the cluster of this context of the kubeconfig
    #[arg(long, value_name = "NAME", requires = "apply")]
    context: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("backup point `{0}` has none of these components")]
    NoComponent(String),
    #[error("backup point `{0}` names no etcd snapshot")]
    NoSnapshot(String),
    #[error("backup point `{0}` has no exported objects")]
    NoExports(String),
    #[error("cannot write below `{}`: it is there and not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot read the exported `{path}`")]
    Export { path: String, source: serde_yaml::Error },
    #[error("cannot restore into `{0}`: it is there, and nothing is restored over what is there")]
    Taken(String),
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

/// What became of objects.
#[derive(Debug, Default, Serialize)]
struct Applied {
    schema: &'static str,
    /// Files that were written.
    files: Vec<String>,
    /// Objects that were created, or that would be.
    objects: Vec<Value>,
    created: Vec<String>,
    /// Objects that were left out, with the reason.
    left_out: Vec<String>,
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
        (Some(volume), Some(new), _) => self::volume(args, global, &point, volume, new).await,
        (_, _, Some(folder)) => exports(args, global, &workplace, &point, folder).await,
        _ => {
            let steps = etcd_steps(&point).ok_or_else(|| {
                CommandError::failed(Error::NoSnapshot(args.id.clone()))
                    .hint("`gitops-updater backup show` lists what it has")
            })?;
            global.output().write(&clean_lines(&steps))?;
            Ok(Outcome::Done)
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
    let (point, restored) = blocking(move || {
        let restored = backups.restore(&point, &scope, tip, now)?;
        Ok::<_, backup::Error>((point, restored))
    })
    .await?;
    let new = NewPullRequest {
        branch: restored.branch.clone(),
        base: branch,
        title: restored.title.clone(),
        body: body(&point, &restored, &told),
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
        let mut text = format!("opened #{}: {}\n  {place}\n", pull.number, restored.title);
        for Going { component, from, to } in &told.versions {
            text.push_str(&format!(
                "  {} {} → {}\n",
                clean::line(component),
                clean::line(from),
                clean::line(to)
            ));
        }
        for note in &told.notes {
            text.push_str(&format!("  mind: {}\n", clean::line(note)));
        }
        text
    })
}

fn body(point: &BackupPoint, restored: &Restored, told: &Told) -> String {
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
             a person clears them.\n\n",
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
    text + "\n" + &left_comment(left) + "\n"
}

async fn cluster(args: &RestoreArgs) -> Result<Live, CommandError> {
    connect(&Access { kubeconfig: args.kubeconfig.clone(), context: args.context.clone() }).await
}

/// A volume with its claim, beside the old one.
async fn volume(
    args: &RestoreArgs,
    global: &GlobalArgs,
    point: &BackupPoint,
    volume: &str,
    new: &str,
) -> Result<Outcome, CommandError> {
    let (data, record) = backup_of(point, volume).map_err(CommandError::failed)?;
    if !is_name(&args.longhorn_namespace) {
        return Err(CommandError::usage("--longhorn-namespace is not the name of a namespace"));
    }
    let claims: Vec<&str> = point
        .data
        .iter()
        .filter_map(|data| data.volume.as_ref())
        .flat_map(|record| [Some(record.name.as_str()), record.claim.as_deref()])
        .flatten()
        .collect();
    let objects =
        volume_beside(data, record, new, &args.longhorn_namespace, &claims).map_err(CommandError::failed)?;
    let mut applied = Applied { schema: "gitops-updater/restored-objects/v1", ..Applied::default() };
    if record.encrypted {
        applied.left_out.push(
            "the volume is encrypted: add the `csi` references to the Secret of its StorageClass to the PersistentVolume"
                .to_owned(),
        );
    }
    if args.apply {
        let cluster = cluster(args).await?;
        let kinds = [Kind::LonghornVolume, Kind::PersistentVolume, Kind::PersistentVolumeClaim];
        let kinds = kinds.map(Resource::of);
        // All are looked for before anything is made.
        for (kind, object) in kinds.iter().zip(&objects) {
            match cluster.get(kind, object["metadata"]["namespace"].as_str(), new).await {
                // What an earlier try has made is gone on with.
                Ok(found) if is_made(&found, object) => {}
                Ok(_) => return Err(CommandError::failed(Error::Taken(shown(object)))),
                Err(error) if error.class == ErrorClass::NotFound => {}
                Err(error) => return Err(CommandError::failed(error)),
            }
        }
        for (kind, object) in kinds.iter().zip(&objects) {
            let namespace = object["metadata"]["namespace"].as_str();
            match cluster.create(kind, namespace, object).await {
                Ok(_) => applied.created.push(shown(object)),
                Err(error) if error.class == ErrorClass::Conflict => {
                    applied.left_out.push(format!("{}: it was made before", shown(object)));
                }
                Err(error) => return Err(CommandError::failed(error)),
            }
        }
    }
    applied.objects = objects;
    form::write(global, &applied, || {
        let mut text: String = applied.left_out.iter().map(|note| format!("# {note}\n")).collect();
        if args.apply {
            text.extend(applied.created.iter().map(|object| format!("created {object}\n")));
        } else {
            text.push_str(&manifests(&applied.objects));
        }
        text
    })
}

/// Whether an object that is there is the one that would be made.
fn is_made(found: &Value, object: &Value) -> bool {
    let same = |pointer: &str| found.pointer(pointer) == object.pointer(pointer);
    found["metadata"]["labels"][MANAGED_BY] == MANAGER
        && ["/spec/fromBackup", "/spec/csi/volumeHandle", "/spec/volumeName"].into_iter().all(same)
}

fn manifests(objects: &[Value]) -> String {
    let texts = objects.iter().filter_map(|object| serde_yaml::to_string(object).ok());
    texts.map(|text| format!("---\n{text}")).collect()
}

/// The exported objects as files, and those that are missing into the cluster.
async fn exports(
    args: &RestoreArgs,
    global: &GlobalArgs,
    workplace: &Workplace,
    point: &BackupPoint,
    folder: &Path,
) -> Result<Outcome, CommandError> {
    let (repo, id) = (workplace.repo.clone(), point.backup_id.clone());
    let files = blocking(move || exported(&repo, &id)).await?;
    if files.is_empty() {
        return Err(CommandError::failed(Error::NoExports(point.backup_id.clone())));
    }
    if folder.exists() && std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_some()) {
        return Err(CommandError::failed(Error::NotEmpty(folder.to_owned())));
    }
    let mut applied = Applied { schema: "gitops-updater/restored-objects/v1", ..Applied::default() };
    for (path, bytes) in &files {
        let target = folder.join(path);
        let failed = |source| CommandError::failed(Error::Write { path: target.clone(), source });
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&target, bytes).map_err(failed)?;
        applied.files.push(path.clone());
    }
    if args.apply {
        apply(args, &files, &mut applied).await?;
    }
    form::write(global, &applied, || {
        let count = applied.files.len();
        let mut lines = vec![format!(
            "wrote {count} file{} below {}",
            if count == 1 { "" } else { "s" },
            folder.display()
        )];
        if applied.files.iter().any(|path| path.ends_with(ENCRYPTED)) {
            lines.push("Secrets are encrypted: `age --decrypt --identity KEY` reads them".to_owned());
        }
        lines.extend(applied.created.iter().map(|object| format!("created {object}")));
        lines.extend(applied.left_out.iter().map(|why| format!("left out {why}")));
        lines.iter().map(|line| clean::line(line).into_owned() + "\n").collect()
    })
}

/// Exported files of a backup point, by path below its folder of exports.
fn exported(repo: &crate::repo::write::WriteRepo, id: &str) -> Result<Vec<(String, Vec<u8>)>, CommandError> {
    let name = format!("{}{id}", backup::PREFIX);
    let refs = repo.fetch(|known| known == name)?;
    let Some(tag) = refs.refs.get(&name) else { return Ok(vec![]) };
    let commit = repo.peel(*tag)?;
    let top = format!("{}/{FOLDER}", backup::FOLDER);
    let mut files = Vec::new();
    for path in repo.files(commit, &top, MOST_FILES)?.into_keys() {
        let below = path.strip_prefix(&top).unwrap_or(&path).trim_start_matches('/').to_owned();
        // The tree came from the remote: nothing of it leads out of the folder.
        let is_plain =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0']);
        if !below.split('/').all(is_plain) {
            continue;
        }
        if let Some(bytes) = repo.read_file(commit, &path, FILE_LIMIT)? {
            files.push((below, bytes));
        }
    }
    Ok(files)
}

async fn apply(
    args: &RestoreArgs,
    files: &[(String, Vec<u8>)],
    applied: &mut Applied,
) -> Result<(), CommandError> {
    let cluster = cluster(args).await?;
    for (path, bytes) in files {
        if path.ends_with(ENCRYPTED) {
            applied.left_out.push(format!("{path}: it is encrypted"));
            continue;
        }
        let object: Value = serde_yaml::from_slice(bytes)
            .map_err(|source| CommandError::failed(Error::Export { path: path.clone(), source }))?;
        let name = shown(&object);
        if let Some(owner) = owner(&object) {
            applied.left_out.push(format!("{name}: {owner} applies it"));
            continue;
        }
        let Some(resource) = resource_of(&object) else {
            applied.left_out.push(format!("{name}: its kind is not known here; use `kubectl create -f`"));
            continue;
        };
        match cluster.create(&resource, object["metadata"]["namespace"].as_str(), &object).await {
            Ok(_) => applied.created.push(name),
            Err(error) if error.class == ErrorClass::Conflict => {
                applied.left_out.push(format!("{name}: it is there"));
            }
            Err(error) => return Err(CommandError::failed(error)),
        }
    }
    Ok(())
}

/// How an object is asked for; only of kinds whose plural is known.
fn resource_of(object: &Value) -> Option<Resource> {
    let (api_version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = match Kind::of(api_version, kind) {
        Some(known) => known.api().plural.to_owned(),
        None if (group, kind) == ("", "ConfigMap") => "configmaps".to_owned(),
        None => return None,
    };
    Some(Resource { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned(), plural })
}
