//! Longhorn's volumes, nodes, engines, replicas and backup targets.

use std::collections::BTreeMap;

use super::look::{Look, Wrong, said, subject, word};
use crate::domain::settle::finding::{Category, Severity};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Detail, LonghornVolume, Object};

/// Driver of Longhorn's volumes.
const DRIVER: &str = "driver.longhorn.io";
/// Setting with the image that new engines get.
const DEFAULT_ENGINE: &str = "default-engine-image";

pub(super) fn check(look: &mut Look<'_>) {
    volumes(look);
    nodes(look);
    engines(look);
    engine_images(look);
    backup_targets(look);
}

/// The image that engines of the installed version have, where Longhorn says.
pub(super) fn default_engine<'w>(look: &Look<'w>) -> Option<&'w str> {
    look.of(Kind::LonghornSetting).find(|setting| setting.meta.name == DEFAULT_ENGINE).and_then(|setting| {
        match &setting.detail {
            Detail::LonghornSetting(detail) if !detail.value.is_empty() => Some(detail.value.as_str()),
            _ => None,
        }
    })
}

/// Whether a volume runs another engine than those of the installed version.
pub(super) fn old_engine(volume: &LonghornVolume, default: Option<&str>) -> bool {
    let wanted = default.unwrap_or(&volume.image);
    !volume.current_image.is_empty() && !wanted.is_empty() && volume.current_image != wanted
}

/// Claims by the name of their Longhorn volume: what people know a volume by.
fn claims<'w>(look: &Look<'w>) -> BTreeMap<&'w str, String> {
    let mut claims = BTreeMap::new();
    for object in look.of(Kind::PersistentVolume) {
        let Detail::PersistentVolume(volume) = &object.detail else { continue };
        if volume.driver == DRIVER && !volume.claim.is_empty() {
            claims.insert(volume.handle.as_str(), format!("{}/{}", volume.claim_namespace, volume.claim));
        }
    }
    claims
}

fn volumes(look: &mut Look<'_>) {
    let claims = claims(look);
    let default = default_engine(look);
    for object in look.of(Kind::LonghornVolume) {
        let Detail::LonghornVolume(volume) = &object.detail else { continue };
        let of = claims
            .get(object.meta.name.as_str())
            .map(|claim| format!(" (claim {claim})"))
            .unwrap_or_default();
        match volume.robustness.as_str() {
            "faulted" => wrong(
                look,
                object,
                "longhorn_volume",
                Severity::Critical,
                "faulted",
                format!("no replica is usable{of}"),
            ),
            "degraded" => {
                let late = look.past(volume.degraded_at, look.settings.rebuild);
                let severity = if late { Severity::Failing } else { Severity::Notice };
                let age = look.ago(volume.degraded_at);
                let message = format!("fewer than {} replicas are healthy{age}{of}", volume.replicas);
                wrong(look, object, "longhorn_volume", severity, "degraded", message);
            }
            _ => {}
        }
        if let Some(condition) = object.condition("Scheduled").filter(|condition| condition.is_false()) {
            let message = said(&format!("replicas find no place{of}"), &condition.message);
            wrong(look, object, "longhorn_scheduled", Severity::Failing, word(condition), message);
        }
        if let Some(condition) = object.condition("TooManySnapshots").filter(|condition| condition.is_true())
        {
            let message = said(&format!("too many snapshots{of}"), &condition.message);
            wrong(look, object, "longhorn_snapshots", Severity::Notice, word(condition), message);
        }
        if old_engine(volume, default) {
            let message = format!("runs engine {}{of}", volume.current_image);
            wrong(look, object, "longhorn_engine", Severity::Notice, "OldEngine", message);
        }
    }
}

fn nodes(look: &mut Look<'_>) {
    for object in look.of(Kind::LonghornNode) {
        let Detail::LonghornNode(node) = &object.detail else { continue };
        for (type_, severity) in [
            ("Ready", Severity::Failing),
            ("MountPropagation", Severity::Failing),
            // A cordon makes a node unschedulable for Longhorn, too; that is told of the node itself.
            ("Schedulable", Severity::Notice),
            ("RequiredPackages", Severity::Notice),
            ("KernelModulesLoaded", Severity::Notice),
            ("Multipathd", Severity::Notice),
        ] {
            let Some(condition) = object.condition(type_).filter(|condition| condition.is_false()) else {
                continue;
            };
            if !look.past(condition.last_transition_time, look.settings.node) {
                continue;
            }
            let message = said(
                &format!("{type_} is False{}", look.ago(condition.last_transition_time)),
                &condition.message,
            );
            wrong(look, object, "longhorn_node", severity, word(condition), message);
        }
        for (disk, conditions) in &node.disks {
            for condition in conditions.iter().filter(|condition| condition.is_false()) {
                // A full disk takes no new replicas; what is on it goes on.
                let severity = if condition.type_ == "Ready" { Severity::Failing } else { Severity::Notice };
                if !look.past(condition.last_transition_time, look.settings.node) {
                    continue;
                }
                let message = said(&format!("disk {disk}: {} is False", condition.type_), &condition.message);
                wrong(look, object, "longhorn_disk", severity, word(condition), message);
            }
        }
    }
}

fn engines(look: &mut Look<'_>) {
    for object in look.of(Kind::LonghornEngine) {
        let Some(condition) = object.condition("FilesystemReadOnly").filter(|condition| condition.is_true())
        else {
            continue;
        };
        let message = said("its file system has become read-only", &condition.message);
        wrong(look, object, "longhorn_engine_writes", Severity::Failing, word(condition), message);
    }
    for object in look.of(Kind::LonghornReplica) {
        let Some(condition) = object.condition("RebuildFailed").filter(|condition| condition.is_true())
        else {
            continue;
        };
        let message = said("it could not be rebuilt", &condition.message);
        wrong(look, object, "longhorn_replica", Severity::Failing, word(condition), message);
    }
}

fn engine_images(look: &mut Look<'_>) {
    for object in look.of(Kind::LonghornEngineImage) {
        let Detail::LonghornEngineImage(image) = &object.detail else { continue };
        if image.incompatible {
            let message = format!("{} does not fit the installed version", image.image);
            let severity = if image.references > 0 { Severity::Failing } else { Severity::Notice };
            wrong(look, object, "longhorn_engine_image", severity, "Incompatible", message);
            continue;
        }
        let missing: Vec<&str> =
            image.nodes.iter().filter(|(_, there)| !**there).map(|(node, _)| node.as_str()).collect();
        let since =
            object.condition("ready").or(object.condition("Ready")).and_then(|c| c.last_transition_time);
        let since = since.or(object.meta.creation_timestamp);
        if (image.state != "deployed" || !missing.is_empty())
            && image.references > 0
            && look.past(since, look.settings.workload)
        {
            let on =
                if missing.is_empty() { String::new() } else { format!("not on {}", missing.join(", ")) };
            let state = if image.state.is_empty() { "unknown" } else { &image.state };
            wrong(look, object, "longhorn_engine_image", Severity::Failing, state, said(&image.image, &on));
        }
    }
}

fn backup_targets(look: &mut Look<'_>) {
    for object in look.of(Kind::LonghornBackupTarget) {
        let Detail::LonghornBackupTarget(target) = &object.detail else { continue };
        if !target.configured || target.available {
            continue;
        }
        let condition = object.condition("Unavailable").filter(|condition| condition.is_true());
        let reason = condition.map_or("Unavailable", word);
        let message =
            said("backups cannot be written", condition.map(|c| c.message.as_str()).unwrap_or_default());
        wrong(look, object, "longhorn_backup_target", Severity::Failing, reason, message);
    }
}

fn wrong(
    look: &mut Look<'_>,
    object: &Object,
    check: &'static str,
    severity: Severity,
    reason: &str,
    message: String,
) {
    look.wrong(subject(object), Wrong { check, category: Category::Storage, severity, reason, message });
}
