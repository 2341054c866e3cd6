//! What a new file does to the CustomResourceDefinitions of the old one.

use std::collections::BTreeMap;

use super::tree::{self, Node};
use super::{FILE, GotkError};

/// Versions by name of the definition.
type Definitions = BTreeMap<String, Vec<Served>>;

struct Served {
    version: String,
    served: bool,
    stored: bool,
}

/// A version of a definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrdVersion {
    /// Name of the definition, such as `gitrepositories.source.toolkit.fluxcd.io`.
    pub name: String,
    /// Such as `v1beta2`.
    pub version: String,
}

/// The differences between the definitions of two files; each list is sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrdChanges {
    /// Definitions that the new file does not have: their objects would all be deleted.
    pub lost: Vec<String>,
    /// Definitions that are new.
    pub added: Vec<String>,
    /// Versions that the old file serves and the new one does not: no manifest may use them any more.
    pub no_longer_served: Vec<CrdVersion>,
    /// Versions that the old file declares and the new one does not: none may stand in the definition's
    /// `status.storedVersions`, or the API server refuses the new one (fluxcd/flux2#5598).
    pub removed: Vec<CrdVersion>,
    /// Versions in which objects are stored from now on, where that changes.
    pub stored_as: Vec<CrdVersion>,
}

/// Compares the definitions of two files.
///
/// # Errors
///
/// A file that is no list of objects.
pub fn compare(old_file: &str, new_file: &str) -> Result<CrdChanges, GotkError> {
    let (old, new) = (definitions(old_file)?, definitions(new_file)?);
    let mut changes = CrdChanges {
        added: new.keys().filter(|name| !old.contains_key(*name)).cloned().collect(),
        ..CrdChanges::default()
    };
    for (name, old) in &old {
        let Some(new) = new.get(name) else {
            changes.lost.push(name.clone());
            continue;
        };
        let of = |version: &str| CrdVersion { name: name.clone(), version: version.to_owned() };
        for version in old {
            let kept = new.iter().find(|kept| kept.version == version.version);
            if version.served && !kept.is_some_and(|kept| kept.served) {
                changes.no_longer_served.push(of(&version.version));
            }
            if kept.is_none() {
                changes.removed.push(of(&version.version));
            }
        }
        let stored = |versions: &[Served]| {
            versions.iter().find(|version| version.stored).map(|version| version.version.clone())
        };
        let now = stored(new);
        if now != stored(old) {
            changes.stored_as.extend(now.map(|version| of(&version)));
        }
    }
    for list in [&mut changes.no_longer_served, &mut changes.removed, &mut changes.stored_as] {
        list.sort();
    }
    Ok(changes)
}

fn definitions(file: &str) -> Result<Definitions, GotkError> {
    let objects = tree::objects(file).map_err(|error| GotkError::Unreadable {
        file: FILE.to_owned(),
        line: error.line,
        message: error.message,
    })?;
    let definition = |object: &Node| {
        let versions = object.items_at(&["spec", "versions"]).iter().filter_map(|version| {
            Some(Served {
                version: version.text_at(&["name"])?.to_owned(),
                served: version.get("served") == Some(&Node::Bool(true)),
                stored: version.get("storage") == Some(&Node::Bool(true)),
            })
        });
        (object.name().to_owned(), versions.collect())
    };
    Ok(objects.iter().filter(|object| object.kind() == "CustomResourceDefinition").map(definition).collect())
}
