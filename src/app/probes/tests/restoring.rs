//! The backup of a volume, and the new volume that is made from it.

use super::*;

/// A cluster whose Longhorn takes backups and restores them; `sums` as for [`with_storage`].
fn with_longhorn(sums: &'static [(&'static str, &'static str)], backup: &'static str) -> Simulated {
    let cluster = Simulated::new(&["n1", "n2"], move |objects, key| {
        match key.0.as_str() {
        "PersistentVolumeClaim" => {
            let bound = json!({"spec": {"volumeName": "pvc-1"}, "status": {"phase": "Bound"}});
            objects.after(1, key, bound);
        }
        "Snapshot" => objects.after(3, key, json!({"status": {"readyToUse": true}})),
        "Backup" => objects.after(
            9,
            key,
            json!({"status": {"state": backup, "url": "s3://backups@eu/?backup=b", "error": "no space left"}}),
        ),
        "Pod" => {
            let (_, sum) = sums.iter().find(|(what, _)| key.2.contains(what)).unwrap();
            objects.ends(key, "n1", "Succeeded", &format!("sha256 {sum}\n"));
        }
        _ => {}
    }
    });
    {
        let mut objects = cluster.objects.lock().unwrap();
        objects.put(
            "",
            json!({"kind": "PersistentVolume", "metadata": {"name": "pvc-1"}, "spec": {
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": "driver.longhorn.io", "volumeHandle": "pvc-1", "fsType": "xfs"}}}),
        );
        objects.put("longhorn-system", json!({"kind": "Volume", "metadata": {"name": "pvc-1"},
            "spec": {"size": "1073741824", "numberOfReplicas": 2, "accessMode": "rwo", "backupTargetName": "default"},
            "status": {"state": "attached", "robustness": "healthy"}}));
        objects.put(
            "longhorn-system",
            json!({"kind": "BackupTarget", "metadata": {"name": "default"},
            "spec": {"backupTargetURL": "s3://backups@eu/"}, "status": {"available": true}}),
        );
    }
    cluster
}

fn restoring() -> Trials {
    Trials { storage: Some(StorageSpec { restore: true, ..STORAGE }), ..Trials::default() }
}

#[rstest]
#[case::same(&[("writes", SUM), ("reads", SUM)], true)]
#[case::other(&[("writes", SUM), ("rereads", OTHER), ("reads", SUM)], false)]
#[tokio::test(start_paused = true)]
async fn backup_of_the_volume_is_restored_into_a_new_one_and_read(
    #[case] sums: &'static [(&'static str, &'static str)],
    #[case] good: bool,
) {
    let cluster = with_longhorn(sums, "Completed");
    let validation = Validation::default();
    let tester = Tester {
        cluster: Some(&cluster),
        outside: Nowhere,
        clock: clock(),
        validation: &validation,
        rules: vec![],
    };
    let before = left(&cluster);
    let (kept, told) = tester.write("update-1".to_owned(), restoring()).await;
    let names: Vec<&str> = told.iter().map(|trial| trial.name.as_str()).collect();
    assert_eq!(names, ["storage/update-1", "restore/update-1"]);
    assert!(told.iter().all(|trial| matches!(trial.tried, Tried::Good(_))), "{told:?}");
    let kept = kept.unwrap();
    // A pass that comes again finds volume and backup.
    assert_eq!(tester.write("update-1".to_owned(), restoring()).await.0, Some(kept.clone()));
    let order =
        Order { work: Work::Restore(kept.clone()), update: "update-1".to_owned(), trials: restoring() };
    let tried = tester.work(order).await.remove(0).tried;
    assert_eq!(matches!(tried, Tried::Good(_)), good, "{tried:?}");
    assert_eq!(matches!(tried, Tried::Bad(_)), !good, "{tried:?}");
    {
        let made = cluster.made.lock().unwrap();
        let volume = made.iter().find(|object| object["kind"] == "Volume").unwrap();
        assert_eq!(volume["spec"]["fromBackup"], "s3://backups@eu/?backup=b");
        assert_ne!(volume["metadata"]["name"], "pvc-1", "beside the old one");
        let points = made.iter().filter(|object| object["kind"] == "Backup");
        assert!(
            points.clone().count() == 1
                && points.clone().all(|backup| {
                    backup["metadata"]["labels"].get("gitops-updater/backup-point").is_none()
                }),
            "it is no backup point"
        );
    }
    tester.remove("update-1".to_owned(), kept).await.unwrap();
    assert_eq!(left(&cluster), before, "nothing of it is left");
}

#[tokio::test(start_paused = true)]
async fn backup_that_fails_is_told_and_the_volume_is_kept_all_the_same() {
    let cluster = with_longhorn(&[("writes", SUM), ("reads", SUM)], "Error");
    let validation = Validation::default();
    let tester = Tester {
        cluster: Some(&cluster),
        outside: Nowhere,
        clock: clock(),
        validation: &validation,
        rules: vec![],
    };
    let (kept, told) = tester.write("update-1".to_owned(), restoring()).await;
    let kept = kept.unwrap();
    assert_eq!(kept.backup, None);
    assert_eq!(told[1].tried, Tried::Bad("the Backup failed: no space left".to_owned()));
    let order = |work| Order { work, update: "update-1".to_owned(), trials: restoring() };
    let read = tester.work(order(Work::ReadBack(kept.clone()))).await.remove(0);
    assert!(read.name == "storage/update-1" && matches!(read.tried, Tried::Good(_)), "{read:?}");
    let restored = tester.work(order(Work::Restore(kept))).await.remove(0);
    assert_eq!(restored.tried, Tried::Not("no backup was made before the update".to_owned()));
}
