//! Counts over all entries, and what to do about the whole.

use std::collections::BTreeMap;

use crate::domain::component::{Inventory, UpdateType};
use crate::domain::report::{Entry, RecommendedAction, Status, Summary};

/// Kinds that the cluster itself runs on: every update of them is maintenance.
const FOUNDATIONS: [&str; 3] = ["k3s", "flux", "longhorn"];

/// Counts the entries and recommends an action for the whole.
pub fn summarize<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    files_read: usize,
    inventory: &Inventory,
) -> Summary {
    let mut summary = Summary {
        total_updates: 0,
        security_updates: 0,
        breaking_changes: 0,
        recommended_action: RecommendedAction::None,
        files_read,
        components: 0,
        unresolved: 0,
        by_type: BTreeMap::new(),
        by_status: BTreeMap::new(),
        inventory: inventory.clone(),
    };
    let mut needs_maintenance = false;
    for entry in entries {
        summary.components += 1;
        *summary.by_status.entry(status_word(entry.status).to_owned()).or_default() += 1;
        summary.unresolved += usize::from(entry.status == Status::Unresolved);
        if entry.status == Status::UpdateAvailable {
            summary.total_updates += 1;
            summary.security_updates += usize::from(entry.security_update == Some(true));
            summary.breaking_changes += usize::from(!entry.breaking_changes.is_empty());
            *summary.by_type.entry(update_word(entry.update_type).to_owned()).or_default() += 1;
            needs_maintenance |= is_maintenance(entry);
        }
    }
    summary.recommended_action = if summary.security_updates > 0 {
        RecommendedAction::UpdateNow
    } else if needs_maintenance {
        RecommendedAction::ScheduleMaintenance
    } else if summary.total_updates > 0 {
        RecommendedAction::Update
    } else if summary.unresolved > 0 && summary.unresolved * 2 >= summary.components {
        RecommendedAction::ReviewProblems
    } else {
        RecommendedAction::None
    };
    summary
}

/// Whether the update is more than a patch, or cannot be named, or is of what the cluster runs on.
fn is_maintenance(entry: &Entry) -> bool {
    let is_small = matches!(entry.update_type, UpdateType::Patch | UpdateType::Digest | UpdateType::Build);
    !is_small || FOUNDATIONS.contains(&entry.kind.as_str())
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::UpToDate => "up_to_date",
        Status::UpdateAvailable => "update_available",
        Status::NotPinned => "not_pinned",
        Status::Unresolved => "unresolved",
        Status::ManagedElsewhere => "managed_elsewhere",
        Status::Ignored => "ignored",
    }
}

fn update_word(update_type: UpdateType) -> &'static str {
    match update_type {
        UpdateType::None => "none",
        UpdateType::Patch => "patch",
        UpdateType::Minor => "minor",
        UpdateType::Major => "major",
        UpdateType::Prerelease => "prerelease",
        UpdateType::Digest => "digest",
        UpdateType::Build => "build",
        UpdateType::Unknown => "unknown",
    }
}
