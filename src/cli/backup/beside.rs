//! What `backup restore` brings back beside what is there: volumes, and objects that were exported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::restore::RestoreArgs;
use crate::app::cluster::{Cluster as _, ClusterError, ErrorClass, Resource};
use crate::backup;
use crate::cli::GlobalArgs;
use crate::cli::connection::connect;
use crate::cli::error::{CommandError, Outcome};
use crate::cli::form;
use crate::cli::markdown::folded;
use crate::cli::workplace::{Workplace, blocking};
use crate::cluster::{Access, Live};
use crate::domain::backup::BackupPoint;
use crate::domain::backup::export::{ENCRYPTED, FOLDER, owner, shown};
use crate::domain::backup::names::{MANAGED_BY, MANAGER, is_name};
use crate::domain::backup::restore::{backup_of, volume_beside};
use crate::domain::settle::kind::Kind;

/// What to do where a folder holds something else.
const ELSEWHERE: &str = "name a folder that is not there or is empty";
/// Most files of an export.
const MOST_FILES: usize = 30_000;
/// Most bytes of one of them.
const FILE_LIMIT: usize = 32 << 20;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("backup point `{0}` has no exported objects")]
    NoExports(String),
    #[error("cannot write below `{}`: it is there and is no folder", .0.display())]
    NoFolder(PathBuf),
    #[error("cannot write below `{}`: `{}` is there, and is none of the exported objects", folder.display(), other.display())]
    NotEmpty { folder: PathBuf, other: PathBuf },
    #[error("cannot write `{}`: it is there, with another content than backup point `{id}` has", path.display())]
    Differs { path: PathBuf, id: String },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot read the exported `{path}`")]
    Export { path: String, source: serde_yaml::Error },
    #[error("cannot restore into `{0}`: it is there, and nothing is restored over what is there")]
    Taken(String),
    #[error("cannot restore `{object}`")]
    Object { object: String, source: ClusterError },
}

/// An object that the cluster did not show or take, with what to do next.
fn not_restored(object: &Value, source: ClusterError) -> CommandError {
    let hint = source.hint.clone();
    let error = CommandError::failed(Error::Object { object: shown(object), source });
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What became of objects.
#[derive(Debug, Default, Serialize)]
struct Applied {
    schema: &'static str,
    /// Files that were written.
    files: Vec<String>,
    /// Files that were there already, as they are in the backup point.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files_found: Vec<String>,
    /// Objects that were created, or that would be.
    objects: Vec<Value>,
    created: Vec<String>,
    /// Objects that were left out, with the reason.
    left_out: Vec<String>,
    /// Objects that the cluster did not take, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
}

async fn cluster(args: &RestoreArgs) -> Result<Live, CommandError> {
    connect(&Access { kubeconfig: args.kubeconfig.clone(), context: args.context.clone() }).await
}

/// A volume with its claim, beside the old one.
pub(super) async fn volume(
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
                Err(error) => return Err(not_restored(object, error)),
            }
        }
        for (kind, object) in kinds.iter().zip(&objects) {
            let namespace = object["metadata"]["namespace"].as_str();
            match cluster.create(kind, namespace, object).await {
                Ok(_) => applied.created.push(shown(object)),
                Err(error) if error.class == ErrorClass::Conflict => {
                    applied.left_out.push(format!("{}: it was made before", shown(object)));
                }
                Err(error) => return Err(not_restored(object, error)),
            }
        }
    }
    applied.objects = objects;
    form::write(global, &applied, || {
        let mut text: String = applied.left_out.iter().map(|note| format!("# {note}\n")).collect();
        if args.apply {
            text.extend(applied.created.iter().map(|object| folded(&format!("created {object}"), 0) + "\n"));
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
pub(super) async fn exports(
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
    let there = there(folder, &files, &point.backup_id)?;
    let mut applied = Applied { schema: "gitops-updater/restored-objects/v1", ..Applied::default() };
    for (path, bytes) in &files {
        if there.contains(path) {
            applied.files_found.push(path.clone());
            continue;
        }
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
    form::write(global, &applied, || exports_text(&applied, folder))?;
    Ok(if applied.refused.is_empty() { Outcome::Done } else { Outcome::Incomplete })
}

fn exports_text(applied: &Applied, folder: &Path) -> String {
    let number = |count: usize| format!("{count} file{}", if count == 1 { "" } else { "s" });
    let (written, found, below) = (applied.files.len(), applied.files_found.len(), folder.display());
    let mut lines = vec![match (written, found) {
        (written, 0) => format!("wrote {} below {below}", number(written)),
        (0, found) => format!("{} below {below} are there already, as they were exported", number(found)),
        (written, found) => {
            format!(
                "wrote {} below {below}; {found} were there already, as they were exported",
                number(written)
            )
        }
    }];
    if applied.files.iter().chain(&applied.files_found).any(|path| path.ends_with(ENCRYPTED)) {
        lines.push("Secrets are encrypted: `age --decrypt --identity KEY` reads them".to_owned());
    }
    lines.extend(applied.created.iter().map(|object| format!("created {object}")));
    lines.extend(applied.left_out.iter().map(|why| format!("left out {why}")));
    lines.extend(applied.refused.iter().map(|why| format!("failed: {why}")));
    lines.iter().map(|line| folded(line, 0) + "\n").collect()
}

/// What of an export is in a folder already, by path. Whatever else is there is somebody's, and nothing is written over
/// it or beside it.
fn there(folder: &Path, files: &[(String, Vec<u8>)], id: &str) -> Result<BTreeSet<String>, CommandError> {
    let mut found = BTreeSet::new();
    let other = |path: PathBuf| {
        let error = CommandError::failed(Error::NotEmpty { folder: folder.to_owned(), other: path });
        Err(error.hint(ELSEWHERE))
    };
    match folder.metadata() {
        Ok(about) if about.is_dir() => {}
        Ok(_) => return Err(CommandError::failed(Error::NoFolder(folder.to_owned())).hint(ELSEWHERE)),
        Err(_) => return Ok(found),
    }
    let known: BTreeMap<&str, &[u8]> =
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let holds_some = |name: &str| {
        let below = format!("{name}/");
        known.range(below.as_str()..).next().is_some_and(|(path, _)| path.starts_with(&below))
    };
    let mut folders = vec![folder.to_owned()];
    while let Some(place) = folders.pop() {
        let failed = |source| CommandError::failed(Error::Read { path: place.clone(), source });
        for entry in std::fs::read_dir(&place).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let name = path.strip_prefix(folder).ok().and_then(Path::to_str).unwrap_or_default().to_owned();
            let kind = entry.file_type().map_err(failed)?;
            // Links are not followed: they lead out of the folder.
            if kind.is_dir() && holds_some(&name) {
                folders.push(path);
                continue;
            }
            let Some(bytes) = known.get(name.as_str()).filter(|_| kind.is_file()) else { return other(path) };
            let same = entry.metadata().map_err(failed)?.len() == bytes.len() as u64
                && std::fs::read(&path).map_err(failed)? == *bytes;
            if !same {
                return Err(CommandError::failed(Error::Differs { path, id: id.to_owned() }).hint(ELSEWHERE));
            }
            found.insert(name);
        }
    }
    Ok(found)
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
            // Nobody answers: so it would be for all that follow.
            Err(error) if error.class == ErrorClass::Transient => return Err(not_restored(&object, error)),
            // The others are created all the same.
            Err(error) => {
                let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                applied.refused.push(format!("{name}: {error}{hint}"));
            }
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
