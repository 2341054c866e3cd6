//! Claims, volumes and attachments, whatever driver they are of.

use std::collections::BTreeSet;

use super::look::{Look, Wrong, named, said, subject};
use crate::domain::settle::finding::{Category, Severity};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Detail, Object, PersistentVolumeClaim};

/// Annotation of the default StorageClass.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) fn check(look: &mut Look<'_>) {
    claims(look);
    volumes(look);
    attachments(look);
}

fn claims(look: &mut Look<'_>) {
    let mut mounted: Option<BTreeSet<(&str, &str)>> = None;
    for object in look.of(Kind::PersistentVolumeClaim) {
        let Detail::PersistentVolumeClaim(claim) = &object.detail else { continue };
        match claim.phase.as_str() {
            "Lost" => wrong(look, object, "claim_bound", "Lost", "its volume is gone".to_owned()),
            "Pending" if look.past(object.meta.creation_timestamp, look.settings.claim) => {
                let mounted = mounted.get_or_insert_with(|| mounted_claims(look));
                // A claim that waits for its first Pod is as it should be while there is none.
                if waits_for_a_pod(look, claim) && (!look.sees(Kind::Pod) || !mounted.contains(&object.key()))
                {
                    continue;
                }
                let age = look.ago(object.meta.creation_timestamp);
                wrong(look, object, "claim_bound", "Pending", format!("not bound{age}"));
            }
            _ => {
                if let Some(condition) = object.condition("FileSystemResizePending").filter(|c| c.is_true())
                    && look.past(condition.last_transition_time, look.settings.claim)
                {
                    look.wrong(
                        subject(object),
                        Wrong {
                            check: "claim_resized",
                            category: Category::Storage,
                            severity: Severity::Notice,
                            reason: "FileSystemResizePending",
                            message: said("grown, but its file system is not", &condition.message),
                        },
                    );
                }
            }
        }
    }
}

fn mounted_claims<'w>(look: &Look<'w>) -> BTreeSet<(&'w str, &'w str)> {
    let mut mounted = BTreeSet::new();
    for pod in look.of(Kind::Pod) {
        if let Detail::Pod(detail) = &pod.detail {
            mounted.extend(detail.claims.iter().map(|claim| (pod.meta.namespace.as_str(), claim.as_str())));
        }
    }
    mounted
}

fn waits_for_a_pod(look: &Look<'_>, claim: &PersistentVolumeClaim) -> bool {
    let is_default =
        |class: &Object| class.meta.annotations.get(DEFAULT_CLASS).is_some_and(|value| value == "true");
    let mut classes = look.of(Kind::StorageClass).filter(|class| match &claim.class {
        Some(name) => class.meta.name == *name,
        None => is_default(class),
    });
    classes.any(|class| {
        matches!(&class.detail, Detail::StorageClass(detail) if detail.binding_mode == "WaitForFirstConsumer")
    })
}

fn volumes(look: &mut Look<'_>) {
    for object in look.of(Kind::PersistentVolume) {
        let Detail::PersistentVolume(volume) = &object.detail else { continue };
        if volume.phase == "Failed" {
            let claim = said("its reclaim failed", &format!("{}/{}", volume.claim_namespace, volume.claim));
            wrong(look, object, "volume_phase", "Failed", claim);
        }
    }
}

fn attachments(look: &mut Look<'_>) {
    for object in look.of(Kind::VolumeAttachment) {
        let Detail::VolumeAttachment(attachment) = &object.detail else { continue };
        let began = object.meta.deletion_timestamp.or(object.meta.creation_timestamp);
        if !look.past(began, look.settings.attachment) {
            continue;
        }
        let (reason, error) = match (&attachment.attach_error, &attachment.detach_error) {
            (Some(error), _) if !attachment.attached => ("AttachError", error),
            (_, Some(error)) => ("DetachError", error),
            _ => continue,
        };
        // Its own name is a hash; the volume is what people know.
        let message = said(&format!("to node {}", attachment.node), error);
        look.wrong(
            named("PersistentVolume", "", &attachment.volume),
            Wrong {
                check: "volume_attached",
                category: Category::Storage,
                severity: Severity::Failing,
                reason,
                message,
            },
        );
    }
}

fn wrong(look: &mut Look<'_>, object: &Object, check: &'static str, reason: &str, message: String) {
    look.wrong(
        subject(object),
        Wrong { check, category: Category::Storage, severity: Severity::Failing, reason, message },
    );
}
