//! What must be so of Longhorn before Longhorn itself is changed.
//!
//! What its documentation asks for ("Upgrade", `deploy/upgrade`): engines of the installed version, no volume of the V2 engine
//! attached, no failed BackingImage; and what makes a degraded volume whole again: no rebuild under way, room for
//! another one, nodes that have what the volumes in use need. Whether the parameters of its StorageClass are those of the chart
//! is not asked: Longhorn makes the class anew when they change, and only new volumes have it.

use super::longhorn;
use super::look::{Look, said, subject};
use super::owner::title;
use super::precheck::{Concern, concern};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::object::{Detail, LonghornNode, LonghornVolume, Object};

/// Setting by which several replicas of a volume may be on one node.
const SOFT_ANTI_AFFINITY: &str = "replica-soft-anti-affinity";
/// Setting by which there are volumes of the V2 engine.
const V2_ENGINE: &str = "v2-data-engine";

/// Why Longhorn must not be changed now.
pub(super) fn concerns(look: &Look<'_>) -> Vec<Concern> {
    let mut concerns = vec![];
    let default = longhorn::default_engine(look);
    for (object, volume) in volumes(look) {
        let name = Some(title(&subject(object)));
        if longhorn::old_engine(volume, default) {
            let text = format!("runs engine {}; upgrade engines first", volume.current_image);
            concerns.push(concern("longhorn_engine", name.clone(), text));
        }
        if volume.data_engine == "v2" && volume.state != "detached" {
            let text = "a volume of the V2 engine must be detached for an update".to_owned();
            concerns.push(concern("longhorn_v2", name, text));
        }
    }
    for object in look.of(Kind::LonghornEngine) {
        let Detail::LonghornEngine(engine) = &object.detail else { continue };
        if engine.rebuilding {
            let text = format!("a replica of volume {} is being rebuilt", engine.volume);
            concerns.push(concern("longhorn_rebuild", Some(title(&subject(object))), text));
        }
    }
    concerns.extend(backing_images(look));
    concerns.extend(room(look));
    concerns.extend(needs(look));
    concerns
}

fn volumes<'l>(look: &'l Look<'_>) -> impl Iterator<Item = (&'l Object, &'l LonghornVolume)> {
    look.of(Kind::LonghornVolume).filter_map(|object| match &object.detail {
        Detail::LonghornVolume(volume) => Some((object, volume)),
        _ => None,
    })
}

fn nodes<'l>(look: &'l Look<'_>) -> impl Iterator<Item = (&'l Object, &'l LonghornNode)> {
    look.of(Kind::LonghornNode).filter_map(|object| match &object.detail {
        Detail::LonghornNode(node) => Some((object, node)),
        _ => None,
    })
}

fn setting(look: &Look<'_>, name: &str) -> bool {
    look.of(Kind::LonghornSetting).filter(|setting| setting.meta.name == name).any(|setting| {
        // Where it has a value for each engine, one is enough: nothing is held for what one of them may do.
        matches!(&setting.detail, Detail::LonghornSetting(detail) if detail.value.contains("true"))
    })
}

/// Files of an image that failed are made anew from others, or not at all: volumes of it may not start again.
fn backing_images(look: &Look<'_>) -> Vec<Concern> {
    let failed = look.of(Kind::LonghornBackingImage).filter_map(|object| {
        let Detail::LonghornBackingImage(image) = &object.detail else { return None };
        let (disk, message) = image.failed.first_key_value()?;
        let text = said(&format!("its file on disk {disk} failed"), message);
        Some(concern("longhorn_backing_image", Some(title(&subject(object))), text))
    });
    failed.collect()
}

/// Whether Longhorn can place a replica on the node: by its own word of its disks, which heeds what is available, reserved
/// and scheduled (longhorn-manager `scheduler/replica_scheduler.go`, `IsSchedulableToDisk`).
fn has_room(object: &Object, node: &LonghornNode) -> bool {
    let mut disks = node.disks.iter().filter(|(name, _)| !node.closed.contains(*name));
    let is_open = disks.any(|(_, conditions)| {
        let is = |type_: &str| conditions.iter().any(|one| one.type_ == type_ && one.is_true());
        is("Ready") && is("Schedulable")
    });
    node.allow_scheduling && object.is("Ready") && object.is("Schedulable") && is_open
}

/// A replica that is lost finds another place: there are as many nodes with room as a volume in use has replicas.
fn room(look: &Look<'_>) -> Option<Concern> {
    // Without a node nothing is told of disks.
    nodes(look).next()?;
    let may_share = setting(look, SOFT_ANTI_AFFINITY);
    let wanted = |volume: &LonghornVolume| {
        let shares = match volume.soft_anti_affinity.as_str() {
            "enabled" => true,
            "disabled" => false,
            _ => may_share,
        };
        if shares { volume.replicas.min(1) } else { volume.replicas }
    };
    let attached = volumes(look).filter(|(_, volume)| volume.state == "attached");
    let (object, replicas) =
        attached.map(|(object, volume)| (object, wanted(volume))).max_by_key(|(_, replicas)| *replicas)?;
    let with_room = nodes(look).filter(|(object, node)| has_room(object, node)).count();
    let is_short = i64::try_from(with_room).is_ok_and(|with_room| with_room < replicas);
    is_short.then(|| {
        let text = format!(
            "needs {replicas} nodes with room for a replica, and {with_room} have a disk that is Schedulable: what is lost \
             could not be rebuilt"
        );
        concern("longhorn_room", Some(title(&subject(object))), text)
    })
}

/// What nodes need for the volumes that there are: an NFS client for shared ones, huge pages for the V2 engine.
fn needs(look: &Look<'_>) -> Vec<Concern> {
    let has_shared = volumes(look).any(|(_, volume)| volume.shared);
    let needed = [
        ("NFSClientInstalled", has_shared, "volumes are shared between nodes"),
        ("HugePagesAvailable", setting(look, V2_ENGINE), "the V2 engine is on"),
    ];
    let mut concerns = vec![];
    for (object, _) in nodes(look) {
        for (type_, _, why) in needed.iter().filter(|(_, is_needed, _)| *is_needed) {
            let Some(condition) = object.condition(type_).filter(|condition| condition.is_false()) else {
                continue;
            };
            let text = said(&format!("{type_} is False, and {why}"), &condition.message);
            concerns.push(concern("longhorn_node", Some(title(&subject(object))), text));
        }
    }
    concerns
}
