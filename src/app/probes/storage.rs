//! The storage from inside: a volume is written before an update, kept, and read back on another node after it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::pod::{self, Ended, Limits, Task};
use super::{EXPIRES, LABEL, Testbed, Tried, not, written_time};
use crate::app::cluster::{Cluster, ClusterError, ErrorClass, Resource};
use crate::app::ports::Clock;
use crate::domain::settle::health::probe::StorageSpec;
use crate::domain::settle::kind::Kind;
use crate::domain::settle::record::KeptVolume;

/// Longest time until the claim is bound (what Kubernetes and Longhorn need on a busy node).
const BIND: Duration = Duration::from_secs(120);
/// Longest time until the volume is attached and mounted.
pub(super) const ATTACH: Duration = Duration::from_secs(180);
/// Longest time for writing or reading.
pub(super) const READ: Duration = Duration::from_secs(60);
/// Longest time until volume and claim are gone.
const GONE: Duration = Duration::from_secs(120);
/// How long a volume that nobody comes back for is kept: longer than any update is watched.
const KEPT: Duration = Duration::from_secs(8 * 86_400);
/// Annotation with the checksum of what was written.
const CHECKSUM: &str = "gitops-updater.io/sha256";
/// Annotation with the node that wrote.
const WRITER: &str = "gitops-updater.io/written-on";

const WRITE: &str = r#"
set -eu
dd if=/dev/urandom of=/data/probe bs=1048576 count="$1" conv=fsync 2>/dev/null
sync
printf 'sha256 %s\n' "$(sha256sum /data/probe | cut -d ' ' -f 1)"
"#;

pub(super) const READ_BACK: &str = r#"
set -eu
printf 'sha256 %s\n' "$(sha256sum /data/probe | cut -d ' ' -f 1)"
"#;

/// Writes a volume and keeps it. Repeated for the same purpose, it finds what was written.
///
/// # Errors
///
/// How it did not go: [`Tried::Bad`] where the storage is at fault, [`Tried::Not`] where it could not be tried. Nothing
/// is kept then.
pub async fn storage_before<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    spec: &StorageSpec,
) -> Result<KeptVolume, Tried> {
    let claim = testbed.name("storage");
    let (resource, namespace) =
        (Resource::of(Kind::PersistentVolumeClaim), Some(testbed.pods.namespace.as_str()));
    match testbed.cluster.create(&resource, namespace, &manifest(testbed, spec, &claim)).await {
        Ok(_) => {}
        Err(error) if error.class == ErrorClass::Conflict => {
            if let Some(kept) = kept(testbed, &claim).await.map_err(|error| not(&error))? {
                return kept_on(testbed, kept).await;
            }
        }
        Err(error) => return Err(not(&error)),
    }
    let written = write(testbed, spec, &claim).await;
    if written.is_err() {
        pod::remove(testbed, Kind::PersistentVolumeClaim, &claim).await;
    }
    written
}

async fn write<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    spec: &StorageSpec,
    claim: &str,
) -> Result<KeptVolume, Tried> {
    let name = testbed.name("writes");
    let mebibytes = spec.data.div_ceil(1 << 20).max(1);
    let task = Task {
        name: &name,
        script: WRITE,
        arguments: vec![mebibytes.to_string()],
        claim: Some(claim),
        ..Task::default()
    };
    let (sha256, node) = checksum(testbed, pod::run(testbed, &task, LIMITS).await, claim, "written").await?;
    let kept = KeptVolume {
        namespace: testbed.pods.namespace.clone(),
        claim: claim.to_owned(),
        sha256,
        node,
        until: testbed.after(KEPT),
        backup: None,
    };
    note(testbed, &kept).await
}

/// Notes on the claim what was written, so that whoever comes next finds it.
async fn note<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kept: &KeptVolume,
) -> Result<KeptVolume, Tried> {
    let said = json!({"metadata": {"annotations": {
        CHECKSUM: kept.sha256, WRITER: kept.node, EXPIRES: written_time(kept.until),
    }}});
    let (resource, namespace) =
        (Resource::of(Kind::PersistentVolumeClaim), Some(testbed.pods.namespace.as_str()));
    testbed.cluster.patch(&resource, namespace, &kept.claim, &said).await.map_err(|error| not(&error))?;
    Ok(kept.clone())
}

/// Keeps what was written for as long as if it were written now.
async fn kept_on<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    kept: KeptVolume,
) -> Result<KeptVolume, Tried> {
    note(testbed, &KeptVolume { until: testbed.after(KEPT), ..kept }).await
}

const LIMITS: Limits = Limits { scheduled: BIND, started: ATTACH, finished: READ };

/// Reads the volume back on another node and compares. It stays for another time.
pub async fn storage_read<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    wanted: &KeptVolume,
) -> Tried {
    if wanted.until <= testbed.clock.now() {
        return Tried::Not(format!(
            "the claim {} was kept until {} for anybody to remove",
            wanted.claim,
            written_time(wanted.until)
        ));
    }
    let resource = Resource::of(Kind::PersistentVolumeClaim);
    match testbed.cluster.get(&resource, Some(&testbed.pods.namespace), &wanted.claim).await {
        Ok(claim) if claim.pointer("/metadata/deletionTimestamp").is_some() => {
            Tried::Not(format!("somebody is removing the claim {}", wanted.claim))
        }
        Ok(_) => read_back(testbed, wanted, &wanted.sha256).await,
        // An object that is not there says nothing about what storage does with data.
        Err(error) if error.class == ErrorClass::NotFound => {
            Tried::Not(format!("somebody has removed the claim {}", wanted.claim))
        }
        Err(error) => not(&error),
    }
}

/// Reads the volume back on another node, compares, and removes it.
pub async fn storage_after<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    wanted: &KeptVolume,
) -> Tried {
    let tried = storage_read(testbed, wanted).await;
    match (tried, storage_removed(testbed, &wanted.claim).await) {
        (Tried::Good(_), Err(tried)) => tried,
        (tried, _) => tried,
    }
}

async fn read_back<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    known: &KeptVolume,
    expected: &str,
) -> Tried {
    let elsewhere = pod::usable_nodes(testbed.cluster).await.iter().any(|node| *node != known.node);
    let name = testbed.name("reads");
    let task = Task {
        name: &name,
        script: READ_BACK,
        claim: Some(&known.claim),
        not_on: if elsewhere { vec![known.node.clone()] } else { vec![] },
        ..Task::default()
    };
    match checksum(testbed, pod::run(testbed, &task, LIMITS).await, &known.claim, "read back").await {
        Err(tried) => tried,
        Ok((sha256, node)) if sha256 == expected => Tried::Good(if node == known.node {
            format!("read back on {node}, the only node that takes Pods")
        } else {
            format!("written on {}, read back on {node}", known.node)
        }),
        Ok((sha256, node)) => Tried::Bad(format!(
            "what was read back on {node} is not what was written on {}: {sha256} instead of {expected}",
            known.node
        )),
    }
}

/// The checksum that a Pod printed, and its node; or what became of the volume instead.
pub(super) async fn checksum<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    ended: Ended,
    claim: &str,
    verb: &str,
) -> Result<(String, String), Tried> {
    match ended {
        Ended::Said { well: true, log, node } => {
            let sum = log.lines().find_map(|line| line.strip_prefix("sha256 ")).unwrap_or_default().trim();
            let whole = sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit());
            if whole {
                Ok((sum.to_owned(), node))
            } else {
                Err(Tried::Not("the Pod said no checksum".to_owned()))
            }
        }
        Ended::Said { well: false, log, node } => {
            Err(Tried::Bad(super::plain(&format!("the volume was not {verb} on {node}: {log}"))))
        }
        Ended::Endless => Err(Tried::Bad(format!("the volume was not {verb} within {} s", READ.as_secs()))),
        Ended::Unstarted(why) => {
            Err(Tried::Bad(format!("the volume was not mounted within {} s: {why}", ATTACH.as_secs())))
        }
        // A claim that waits for its first Pod is bound while this one is put on a node.
        Ended::Unscheduled(why) => Err(match bound(testbed, claim).await {
            Some(false) => Tried::Bad(format!("the claim was not bound within {} s: {why}", BIND.as_secs())),
            _ => Tried::Not(format!("the Pod was not put on a node: {why}")),
        }),
        ended => ended.or_not().and(Err(Tried::Not("the Pod did not end".to_owned()))),
    }
}

async fn bound<C: Cluster, K: Clock + Sync>(testbed: &Testbed<'_, C, K>, claim: &str) -> Option<bool> {
    let resource = Resource::of(Kind::PersistentVolumeClaim);
    let object = testbed.cluster.get(&resource, Some(&testbed.pods.namespace), claim).await.ok()?;
    Some(object.pointer("/status/phase").and_then(Value::as_str) == Some("Bound"))
}

/// What the claim says was written; `None` where it was not written to its end.
async fn kept<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    claim: &str,
) -> Result<Option<KeptVolume>, ClusterError> {
    let resource = Resource::of(Kind::PersistentVolumeClaim);
    let object = testbed.cluster.get(&resource, Some(&testbed.pods.namespace), claim).await?;
    let said = |name: &str| object.pointer("/metadata/annotations")?.get(name)?.as_str().map(str::to_owned);
    let dying = object.pointer("/metadata/deletionTimestamp").is_some();
    let until = said(EXPIRES).and_then(|text| text.parse().ok());
    Ok(match (said(CHECKSUM), said(WRITER), until) {
        (Some(sha256), Some(node), Some(until)) if !dying => Some(KeptVolume {
            namespace: testbed.pods.namespace.clone(),
            claim: claim.to_owned(),
            sha256,
            node,
            until,
            backup: None,
        }),
        _ => None,
    })
}

/// Removes the claim and waits until its volume, and Longhorn's, are gone, where the StorageClass says so.
///
/// # Errors
///
/// Something of it is still there after a while.
pub async fn storage_removed<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    claim: &str,
) -> Result<(), Tried> {
    let resource = Resource::of(Kind::PersistentVolumeClaim);
    let object = match testbed.cluster.get(&resource, Some(&testbed.pods.namespace), claim).await {
        Ok(object) => object,
        Err(error) if error.class == ErrorClass::NotFound => return Ok(()),
        Err(error) => return Err(not(&error)),
    };
    let Some(volume) = object.pointer("/spec/volumeName").and_then(Value::as_str).map(str::to_owned) else {
        pod::remove(testbed, Kind::PersistentVolumeClaim, claim).await;
        return Ok(());
    };
    let persistent = Resource::of(Kind::PersistentVolume);
    // Where it may not be read, or is kept by its policy, its end cannot be waited for.
    let Ok(object) = testbed.cluster.get(&persistent, None, &volume).await else {
        pod::remove(testbed, Kind::PersistentVolumeClaim, claim).await;
        return Ok(());
    };
    let text = |route: &str| object.pointer(route).and_then(Value::as_str).unwrap_or_default().to_owned();
    let deleted = text("/spec/persistentVolumeReclaimPolicy") == "Delete";
    let longhorn = text("/spec/csi/driver") == "driver.longhorn.io";
    let handle = text("/spec/csi/volumeHandle");
    if !pod::remove(testbed, Kind::PersistentVolumeClaim, claim).await {
        return Err(Tried::Bad(format!("the claim {claim} is still there after it was deleted")));
    }
    if !deleted {
        return Ok(());
    }
    if !gone(testbed, &persistent, None, &volume).await {
        return Err(Tried::Bad(format!("volume {volume} is still there after its claim was deleted")));
    }
    if longhorn {
        let of_longhorn = Resource::of(Kind::LonghornVolume);
        if !gone(testbed, &of_longhorn, Some("longhorn-system"), &handle).await {
            return Err(Tried::Bad(format!(
                "Longhorn's volume {handle} is still there after its claim was deleted"
            )));
        }
    }
    Ok(())
}

/// Whether an object goes in time. What may not be read is not said to be there.
pub(super) async fn gone<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    resource: &Resource,
    namespace: Option<&str>,
    name: &str,
) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < GONE {
        match testbed.cluster.get(resource, namespace, name).await {
            Err(error) if error.class != ErrorClass::Transient => return true,
            _ => sleep(Duration::from_secs(1)).await,
        }
    }
    false
}

fn manifest<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    spec: &StorageSpec,
    name: &str,
) -> Value {
    let mut claim = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": spec.size.to_string()}},
    });
    if let (Some(class), Some(claim)) = (&spec.storage_class, claim.as_object_mut()) {
        claim.insert("storageClassName".to_owned(), json!(class));
    }
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": testbed.pods.namespace,
            "labels": {"app.kubernetes.io/managed-by": "gitops-updater", LABEL: "true"},
            "annotations": {EXPIRES: testbed.expires(KEPT)},
        },
        "spec": claim,
    })
}
