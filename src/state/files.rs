//! The state as files of a tree, and back.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use crate::domain::notice::Told;
use crate::domain::problem::Problem;
use crate::domain::settle::memory::{Baseline, Remembered};
use crate::domain::settle::record::{Breaker, Evidence};
use crate::domain::state::{Campaign, Maintenance, Quarantined, State, Update};
use crate::repo::write::{Change, Id, WriteRepo};

/// Version of the layout.
pub const SCHEMA: &str = "gitops-updater/state/v1";

const SCHEMA_FILE: &str = "schema";
const UPDATES: &str = "updates/";
const CAMPAIGNS: &str = "campaigns/";
const QUARANTINE: &str = "quarantine.yaml";
const MAINTENANCE: &str = "maintenance.yaml";
const TOLD: &str = "told.yaml";
const EVIDENCE: &str = "evidence/";
const BASELINES: &str = "baselines/";
const MEMORY: &str = "memory/";
const BREAKER: &str = "breaker.yaml";

/// Most bytes of one file: the baseline of a large cluster in which much is wrong has some hundred thousand.
const FILE_LIMIT: usize = 2 << 20;
/// Most files of the tree.
const MOST_FILES: usize = 20_000;

/// A file of the state that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Path within the tree.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

impl Broken {
    /// As a report tells it.
    pub fn problem(&self, tip: Id) -> Problem {
        let path = format!("{}:{}", super::STATE_REF, self.path);
        let message = format!(
            "cannot read `{}` of the state at `{}`: {}; nothing is proposed, merged or recorded before it is repaired",
            self.path,
            tip.short(),
            self.why
        );
        Problem::in_file(path, None, message)
    }
}

/// Reads the tree of a commit.
pub(super) fn read(repo: &WriteRepo, tip: Id) -> Result<(State, Vec<Broken>), Error> {
    let mut state = State::default();
    let mut broken = Vec::new();
    let files = repo.files(tip, "", MOST_FILES)?;
    check_schema(repo, tip, files.contains_key(SCHEMA_FILE))?;
    for path in files.keys() {
        if let Err(why) = read_file(repo, tip, path, &mut state)? {
            broken.push(Broken { path: path.clone(), why });
        }
    }
    Ok((state, broken))
}

fn check_schema(repo: &WriteRepo, tip: Id, is_there: bool) -> Result<(), Error> {
    let found = if is_there { repo.read_file(tip, SCHEMA_FILE, 1024)? } else { None };
    let found = found.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default();
    if found == SCHEMA { Ok(()) } else { Err(Error::Schema { tip, found }) }
}

/// `Ok(Err)` = the file is broken.
fn read_file(repo: &WriteRepo, tip: Id, path: &str, state: &mut State) -> Result<Result<(), String>, Error> {
    let folders = [UPDATES, CAMPAIGNS, EVIDENCE, BASELINES, MEMORY];
    let is_known = folders.iter().any(|folder| path.starts_with(folder))
        || [QUARANTINE, MAINTENANCE, BREAKER, TOLD].contains(&path);
    if !is_known {
        return Ok(Ok(()));
    }
    let bytes = match repo.read_file(tip, path, FILE_LIMIT) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(crate::repo::write::Error::TooLarge { limit, .. }) => {
            return Ok(Err(format!("it has more than {limit} bytes")));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(parse(path, &bytes, state))
}

fn parse(path: &str, bytes: &[u8], state: &mut State) -> Result<(), String> {
    if path == QUARANTINE {
        state.quarantine = yaml::<Vec<Quarantined>>(bytes)?;
    } else if path == MAINTENANCE {
        state.maintenance = Some(yaml::<Maintenance>(bytes)?);
    } else if path == TOLD {
        state.told = yaml::<Told>(bytes)?;
    } else if path == BREAKER {
        state.breaker = Some(yaml::<Breaker>(bytes)?);
    } else if let Some(name) = path.strip_prefix(EVIDENCE) {
        let evidence: Evidence = yaml(bytes)?;
        let id = id_of(name, &evidence.update_id)?;
        state.evidence.insert(id, evidence);
    } else if let Some(name) = path.strip_prefix(BASELINES) {
        state.baselines.insert(stem(name)?, yaml::<Baseline>(bytes)?);
    } else if let Some(name) = path.strip_prefix(MEMORY) {
        state.memory.insert(stem(name)?, yaml::<Remembered>(bytes)?);
    } else if let Some(name) = path.strip_prefix(UPDATES) {
        let update: Update = yaml(bytes)?;
        let id = id_of(name, &update.update_id)?;
        state.updates.insert(id, update);
    } else if let Some(name) = path.strip_prefix(CAMPAIGNS) {
        let campaign: Campaign = yaml(bytes)?;
        let id = id_of(name, &campaign.campaign_id)?;
        state.campaigns.insert(id, campaign);
    }
    Ok(())
}

/// The id that a file's name and its content agree on.
fn id_of(name: &str, id: &str) -> Result<String, String> {
    match name.strip_suffix(".yaml") {
        Some(stem) if stem == id && is_id(id) => Ok(id.to_owned()),
        Some(stem) if stem == id => Err(format!("`{id}` is no id")),
        _ => Err(format!("its name and its id `{id}` differ")),
    }
}

/// The id in the name of a file whose content does not say it.
fn stem(name: &str) -> Result<String, String> {
    match name.strip_suffix(".yaml") {
        Some(stem) if is_id(stem) => Ok(stem.to_owned()),
        _ => Err("its name is no id".to_owned()),
    }
}

pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn yaml<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

/// The files that make `new` out of `old`; what is equal is not written again.
pub(super) fn changes(old: &State, new: &State) -> Result<BTreeMap<String, Change>, Error> {
    let mut changes = BTreeMap::new();
    entries(UPDATES, &old.updates, &new.updates, &mut changes)?;
    entries(CAMPAIGNS, &old.campaigns, &new.campaigns, &mut changes)?;
    entries(EVIDENCE, &old.evidence, &new.evidence, &mut changes)?;
    entries(BASELINES, &old.baselines, &new.baselines, &mut changes)?;
    entries(MEMORY, &old.memory, &new.memory, &mut changes)?;
    if old.breaker != new.breaker {
        let change = new.breaker.as_ref().map_or(Ok(Change::Delete), |one| written(BREAKER, one))?;
        changes.insert(BREAKER.to_owned(), change);
    }
    if old.quarantine != new.quarantine {
        changes.insert(QUARANTINE.to_owned(), written(QUARANTINE, &new.quarantine)?);
    }
    if old.maintenance != new.maintenance {
        let change = new.maintenance.as_ref().map_or(Ok(Change::Delete), |one| written(MAINTENANCE, one))?;
        changes.insert(MAINTENANCE.to_owned(), change);
    }
    if old.told != new.told {
        let change = if new.told.is_empty() { Change::Delete } else { written(TOLD, &new.told)? };
        changes.insert(TOLD.to_owned(), change);
    }
    Ok(changes)
}

/// The files of a tree without a past.
pub(super) fn layout() -> BTreeMap<String, Change> {
    BTreeMap::from([(SCHEMA_FILE.to_owned(), Change::Write(format!("{SCHEMA}\n").into_bytes()))])
}

fn entries<T: PartialEq + Serialize>(
    folder: &str,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    changes: &mut BTreeMap<String, Change>,
) -> Result<(), Error> {
    for (id, entry) in new {
        if old.get(id) == Some(entry) {
            continue;
        }
        if !is_id(id) {
            return Err(Error::Id { id: id.clone() });
        }
        let path = format!("{folder}{id}.yaml");
        let change = written(&path, entry)?;
        changes.insert(path, change);
    }
    for id in old.keys().filter(|id| !new.contains_key(*id)) {
        changes.insert(format!("{folder}{id}.yaml"), Change::Delete);
    }
    Ok(())
}

fn written<T: Serialize>(path: &str, value: &T) -> Result<Change, Error> {
    let text = serde_yaml::to_string(value).map_err(|source| Error::Unwritable { source })?;
    if text.len() > FILE_LIMIT {
        return Err(Error::TooLarge { path: path.to_owned(), size: text.len(), limit: FILE_LIMIT });
    }
    Ok(Change::Write(text.into_bytes()))
}
