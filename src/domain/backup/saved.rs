//! What of the data from before a step a person can bring back, and from where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DataBackup;

/// Data that a person restores where Git alone is no way back, by the backup that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restorable {
    /// Everything that Kubernetes knows, from a snapshot of etcd.
    EtcdSnapshot,
    /// Volumes, from Longhorn's backups of them.
    LonghornBackup,
}

impl Restorable {
    /// The kind of the backup, as in [`DataBackup::kind`].
    fn kind(self) -> &'static str {
        match self {
            Self::EtcdSnapshot => "etcd_snapshot",
            Self::LonghornBackup => "longhorn_backup",
        }
    }

    /// The backup in words.
    fn what(self) -> &'static str {
        match self {
            Self::EtcdSnapshot => "snapshot of etcd",
            Self::LonghornBackup => "backup of a volume",
        }
    }

    /// The options of `backup restore` that bring it back.
    fn options(self) -> &'static str {
        match self {
            Self::EtcdSnapshot => "--etcd",
            Self::LonghornBackup => "--volume NAME --as NEW",
        }
    }
}

/// What was backed up before a step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Saved<'a> {
    /// The backup point, where there is one.
    pub id: Option<&'a str>,
    /// The backups of data that it names; `None` where nobody has looked.
    pub data: Option<&'a [DataBackup]>,
}

impl Saved<'_> {
    /// From where data comes back: the command for it, or, where the point names none of the kind, that it does not come
    /// from there.
    pub fn restore(&self, wanted: Restorable) -> String {
        let (what, options) = (wanted.what(), wanted.options());
        let id = self.id.unwrap_or("ID");
        let command = format!("`gitops-updater backup restore {id} {options}`");
        match (self.id, self.data) {
            (None, _) => {
                format!(
                    "from a backup of your own, because no backup point from before is known to hold a {what}"
                )
            }
            (Some(_), Some(data)) if !data.iter().any(|one| one.kind == wanted.kind()) => {
                format!("from a backup of your own, because backup point `{id}` holds no {what}")
            }
            (Some(_), Some(_)) => format!("{command} (`gitops-updater backup show {id}` has the names)"),
            (Some(_), None) => format!("{command}, where `gitops-updater backup show {id}` has one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Commands were printed that fail, and backups spoken of that nobody had made: the point held nothing of the kind.
    #[rstest]
    #[case::there_is_no_point(None, Some(vec![]), "from a backup of your own, because no backup point")]
    #[case::nobody_has_looked(
        Some("b-1"),
        None,
        "`gitops-updater backup restore b-1 --volume NAME --as NEW`, where"
    )]
    #[case::it_has_none(Some("b-1"), Some(vec![]), "backup of your own, because backup point `b-1` holds no backup of a volume")]
    #[case::it_has_another_kind(Some("b-1"), Some(vec!["export", "etcd_snapshot"]), "from a backup of your own, ")]
    #[case::it_has_one(Some("b-1"), Some(vec!["export", "longhorn_backup"]), "`gitops-updater backup restore b-1 --volume")]
    fn data_comes_back_from_where_it_was_backed_up(
        #[case] id: Option<&str>,
        #[case] kinds: Option<Vec<&str>>,
        #[case] expected: &str,
    ) {
        let one = |kind: &&str| DataBackup { kind: (*kind).to_owned(), ..DataBackup::default() };
        let data: Option<Vec<DataBackup>> = kinds.map(|kinds| kinds.iter().map(one).collect());
        let text = Saved { id, data: data.as_deref() }.restore(Restorable::LonghornBackup);
        assert!(text.contains(expected), "{text}");
    }
}
