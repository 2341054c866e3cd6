//! The way back to data: a volume beside the old one, and the steps that only a person may take.
//!
//! Nothing here ever names an old volume or claim as its target.

use serde_json::{Value, json};

use super::longhorn::API_VERSION;
use super::names::{MANAGED_BY, MANAGER, is_name};
use super::{BackupPoint, DataBackup, VolumeRecord};

/// Why no volume can be made from a backup point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The point has no backup of it.
    #[error("backup point `{id}` has no Longhorn backup of a volume or claim `{volume}`")]
    NotThere {
        /// The point.
        id: String,
        /// As given.
        volume: String,
    },
    /// Several volumes are claimed by this name.
    #[error("`{volume}` names several volumes of backup point `{id}`: {}", names.join(", "))]
    Several {
        /// The point.
        id: String,
        /// As given.
        volume: String,
        /// Names of the volumes.
        names: Vec<String>,
    },
    /// The new name is that of the old volume or of another one.
    #[error("cannot restore into `{name}`: {why}")]
    Name {
        /// As given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody recorded where the backup lies.
    #[error("cannot restore volume `{volume}`: it is not recorded where its backup lies")]
    NoLocation {
        /// The volume.
        volume: String,
    },
}

/// Finds the backup of a volume by the volume's name, its claim's name or `namespace/claim`.
///
/// # Errors
///
/// There is none, or several.
pub fn backup_of<'p>(
    point: &'p BackupPoint,
    volume: &str,
) -> Result<(&'p DataBackup, &'p VolumeRecord), RestoreError> {
    let names = |record: &VolumeRecord| {
        let claim = record.claim.as_deref().unwrap_or_default();
        let full = format!("{}/{claim}", record.namespace.as_deref().unwrap_or_default());
        record.name == volume || claim == volume || full == volume
    };
    let found: Vec<_> = point
        .data
        .iter()
        .filter(|data| data.kind == "longhorn_backup")
        .filter_map(|data| Some((data, data.volume.as_ref()?)))
        .filter(|(_, record)| names(record))
        .collect();
    match found.as_slice() {
        [] => Err(RestoreError::NotThere { id: point.backup_id.clone(), volume: volume.to_owned() }),
        [one] => Ok(*one),
        several => Err(RestoreError::Several {
            id: point.backup_id.clone(),
            volume: volume.to_owned(),
            names: several.iter().map(|(_, record)| record.name.clone()).collect(),
        }),
    }
}

/// The objects that make a new volume, with a claim for it, from a backup: the Longhorn Volume, the PersistentVolume and
/// the PersistentVolumeClaim, all of the name `new`. `others` are names that must not be taken.
///
/// # Errors
///
/// The name cannot be used, or nobody recorded where the backup lies.
pub fn volume_beside(
    data: &DataBackup,
    record: &VolumeRecord,
    new: &str,
    longhorn: &str,
    others: &[&str],
) -> Result<Vec<Value>, RestoreError> {
    let refused = |why| RestoreError::Name { name: new.to_owned(), why };
    if !is_name(new) || new.len() > 40 {
        return Err(refused("a name has lower-case letters, digits and `-`, at most 40"));
    }
    if new == record.name || Some(new) == record.claim.as_deref() || others.contains(&new) {
        return Err(refused("it is in use, and nothing is restored over what is there"));
    }
    let location =
        data.location.as_deref().ok_or_else(|| RestoreError::NoLocation { volume: record.name.clone() })?;
    let labels = json!({MANAGED_BY: MANAGER});
    let mut spec = json!({
        "fromBackup": location,
        "size": record.size.to_string(),
        "numberOfReplicas": record.replicas,
        "accessMode": record.access_mode,
        // The block device is what the CSI driver attaches, whatever the engine.
        "frontend": "blockdev",
    });
    if !record.data_engine.is_empty() {
        spec["dataEngine"] = record.data_engine.clone().into();
    }
    if record.encrypted {
        spec["encrypted"] = true.into();
    }
    if !record.backup_target.is_empty() {
        spec["backupTargetName"] = record.backup_target.clone().into();
    }
    let modes = json!([match record.access_mode.as_str() {
        "rwx" => "ReadWriteMany",
        "rwop" => "ReadWriteOncePod",
        _ => "ReadWriteOnce",
    }]);
    let namespace = record.namespace.as_deref().unwrap_or("default");
    Ok(vec![
        json!({
            "apiVersion": API_VERSION,
            "kind": "Volume",
            "metadata": {"name": new, "namespace": longhorn, "labels": labels},
            "spec": spec,
        }),
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": new, "labels": labels},
            "spec": {
                "capacity": {"storage": record.size.to_string()},
                "accessModes": modes,
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "claimRef": {"namespace": namespace, "name": new},
                "csi": {"driver": "driver.longhorn.io", "fsType": if record.fs_type.is_empty() { "ext4" } else { record.fs_type.as_str() }, "volumeHandle": new},
            },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": new, "namespace": namespace, "labels": labels},
            "spec": {
                "accessModes": modes,
                "storageClassName": "",
                "volumeName": new,
                "resources": {"requests": {"storage": record.size.to_string()}},
            },
        }),
    ])
}

/// The steps to go back to an etcd snapshot, for a person: k3s documents them in `docs/cli/etcd-snapshot.md` and
/// `docs/upgrades/roll-back.md`. `None` where the point names no snapshot.
pub fn etcd_steps(point: &BackupPoint) -> Option<String> {
    let snapshot = point.data.iter().find(|data| data.kind == "etcd_snapshot")?;
    let version =
        point.components.get("k3s").and_then(|k3s| k3s.version.as_deref()).unwrap_or("the version of then");
    let node = snapshot.node.as_deref().unwrap_or("the server that holds it");
    let path = snapshot.location.as_deref().unwrap_or(&snapshot.name);
    let path = path.strip_prefix("file://").unwrap_or(path);
    let from_s3 = node == "s3" || path.starts_with("s3://");
    let (place, restore) = if from_s3 {
        ("any one server".to_owned(), format!("{} --etcd-s3 --etcd-s3-bucket=BUCKET …", snapshot.name))
    } else {
        (node.to_owned(), path.to_owned())
    };
    let made = snapshot.made_at.as_deref().unwrap_or("an unknown time");
    Some(format!(
        "\
Going back to the etcd snapshot `{name}` of {made}: for a person, with the cluster down.

  Everything that happened in the cluster since then is lost. PersistentVolumes and Longhorn's objects go back, too, and
  no longer match the data that is on the disks: restore volumes from their backups afterwards. You need the server token
  of that time (`/var/lib/rancher/k3s/server/token`): without it the snapshot cannot be read. A snapshot is restored on the
  same or a higher minor than the one that made it.

  1. Stop the updates:            gitops-updater maintenance enable --reason \"restore of {id}\"
  2. Keep the Plans from moving:  set `concurrency: 0` in both Plans, and the version to `{version}`, in Git
  3. On every server:             systemctl stop k3s
  4. On {place}, put the binary of {version} at /usr/local/bin/k3s, then:
                                  k3s server --cluster-reset --token TOKEN --cluster-reset-restore-path={restore}
  5. On that server:              systemctl start k3s
  6. On every other server:       the same binary; rm -rf /var/lib/rancher/k3s/server/db; systemctl start k3s
  7. On every agent:              the same binary; systemctl restart k3s-agent
  8. Look at all of it:           gitops-updater health
  9. Uncordon nodes that are Ready: kubectl uncordon NODE
",
        name = snapshot.name,
        id = point.backup_id,
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::backup::{BackedUp, SCHEMA};

    fn point() -> BackupPoint {
        let volume = |name: &str, namespace: &str, claim: &str| DataBackup {
            kind: "longhorn_backup".to_owned(),
            name: format!("gu-1-{name}"),
            namespace: Some("longhorn-system".to_owned()),
            status: "Completed".to_owned(),
            location: Some(format!("s3://b@r/?volume={name}&backup=gu-1-{name}")),
            volume: Some(VolumeRecord {
                name: name.to_owned(),
                namespace: Some(namespace.to_owned()),
                claim: Some(claim.to_owned()),
                size: 1 << 30,
                replicas: 3,
                access_mode: "rwx".to_owned(),
                data_engine: "v1".to_owned(),
                ..VolumeRecord::default()
            }),
            ..DataBackup::default()
        };
        BackupPoint {
            schema: SCHEMA.to_owned(),
            backup_id: "backup-1".to_owned(),
            created_at: "2026-11-21T10:00:00Z".parse().unwrap(),
            reason: None,
            branch: "main".to_owned(),
            commit: "0".repeat(40),
            step: None,
            components: BTreeMap::from([(
                "k3s".to_owned(),
                BackedUp { version: Some("v1.33.4+k3s1".to_owned()), files: vec![] },
            )]),
            facts: None,
            state: None,
            data: vec![
                volume("pvc-1", "apps", "data"),
                volume("pvc-2", "db", "data"),
                DataBackup {
                    kind: "etcd_snapshot".to_owned(),
                    name: "etcd-snapshot-server-1-1700000000".to_owned(),
                    status: "readyToUse".to_owned(),
                    node: Some("server-1".to_owned()),
                    location: Some(
                        "file:///var/lib/rancher/k3s/server/db/snapshots/etcd-snapshot-server-1-1700000000"
                            .to_owned(),
                    ),
                    ..DataBackup::default()
                },
            ],
            not_covered: vec![],
        }
    }

    #[test]
    fn volume_is_found_by_its_name_or_its_claim() {
        let point = point();
        assert_eq!(backup_of(&point, "pvc-2").unwrap().1.name, "pvc-2");
        assert_eq!(backup_of(&point, "apps/data").unwrap().1.name, "pvc-1");
        assert!(matches!(backup_of(&point, "data"), Err(RestoreError::Several { .. })));
        assert!(matches!(backup_of(&point, "other"), Err(RestoreError::NotThere { .. })));
    }

    #[test]
    fn volume_is_restored_beside_the_old_one() {
        let point = point();
        let (data, record) = backup_of(&point, "pvc-1").unwrap();
        let objects = volume_beside(data, record, "data-restored", "longhorn-system", &[]).unwrap();
        let texts: Vec<String> =
            objects.iter().map(|object| serde_yaml::to_string(object).unwrap()).collect();
        insta::assert_snapshot!(texts.join("---\n"), @r"
        apiVersion: longhorn.io/v1beta2
        kind: Volume
        metadata:
          name: data-restored
          namespace: longhorn-system
          labels:
            app.kubernetes.io/managed-by: gitops-updater
        spec:
          fromBackup: s3://b@r/?volume=pvc-1&backup=gu-1-pvc-1
          size: '1073741824'
          numberOfReplicas: 3
          accessMode: rwx
          frontend: blockdev
          dataEngine: v1
        ---
        apiVersion: v1
        kind: PersistentVolume
        metadata:
          name: data-restored
          labels:
            app.kubernetes.io/managed-by: gitops-updater
        spec:
          capacity:
            storage: '1073741824'
          accessModes:
          - ReadWriteMany
          persistentVolumeReclaimPolicy: Retain
          storageClassName: ''
          claimRef:
            namespace: apps
            name: data-restored
          csi:
            driver: driver.longhorn.io
            fsType: ext4
            volumeHandle: data-restored
        ---
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata:
          name: data-restored
          namespace: apps
          labels:
            app.kubernetes.io/managed-by: gitops-updater
        spec:
          accessModes:
          - ReadWriteMany
          storageClassName: ''
          volumeName: data-restored
          resources:
            requests:
              storage: '1073741824'
        ");
    }

    #[test]
    fn nothing_is_restored_over_what_is_there() {
        let point = point();
        let (data, record) = backup_of(&point, "pvc-1").unwrap();
        for name in ["pvc-1", "data", "taken", "Not_A_Name", "", &"a".repeat(41)] {
            let refused = volume_beside(data, record, name, "longhorn-system", &["taken"]);
            assert!(matches!(refused, Err(RestoreError::Name { .. })), "{name}");
        }
    }

    #[test]
    fn steps_to_an_etcd_snapshot_have_the_real_names() {
        let text = etcd_steps(&point()).unwrap();
        for part in [
            "etcd-snapshot-server-1-1700000000",
            "On server-1, put the binary of v1.33.4+k3s1",
            "--cluster-reset-restore-path=/var/lib/rancher/k3s/server/db/snapshots/etcd-snapshot-server-1-1700000000",
            "server token",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        let mut without = point();
        without.data.clear();
        assert_eq!(etcd_steps(&without), None);
    }
}
