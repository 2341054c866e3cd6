//! What `backup.data` may say, and what it means.

use std::time::Duration;

use super::{Config, Origin, Trust, parse};
use crate::domain::backup::longhorn::VolumeScope;

fn origin(trust: Trust) -> Origin<'static> {
    Origin { name: "config.yaml", trust, folder: None, repository: None }
}

fn read(text: &str) -> Config {
    parse(text, &origin(Trust::User)).unwrap()
}

fn errors(text: &str, trust: Trust) -> Vec<String> {
    parse(text, &origin(trust)).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_backed_up_unless_it_is_asked_for() {
    assert!(read("backup: {keep_last: 3}\n").data_backups.is_none());
    assert!(read("backup: {data: {longhorn: {enabled: false}}}\n").data_backups.is_none());
    let data = read("backup: {data: {longhorn: {}, etcd: {}, export: {}}}\n").data_backups;
    assert!(data.required && data.timeout == Duration::from_secs(1_800));
    let longhorn = data.longhorn.unwrap();
    assert_eq!((longhorn.concurrency, longhorn.keep_last, longhorn.backups), (3, 5, true));
    assert_eq!(longhorn.scope("longhorn", "longhorn"), VolumeScope::All);
    assert_eq!(longhorn.scope("helm/a/b", "helm"), VolumeScope::Namespace);
    assert_eq!(longhorn.scope("k3s", "k3s"), VolumeScope::None);
    assert!(
        longhorn.wants_system_backup("longhorn", "longhorn") && !longhorn.wants_system_backup("k3s", "k3s")
    );
    assert_eq!(data.etcd.unwrap().max_age, Duration::from_secs(86_400));
    let export = data.export.unwrap();
    assert_eq!(export.resources[0].plural, "configmaps");
    assert!(export.concerns("helm/a/b", "helm") && export.recipients.is_empty());
}

#[test]
fn most_particular_key_says_which_volumes_are_meant() {
    let config = read(
        "backup: {data: {longhorn: {volumes: {helm: release, helm/db/*: all, helm/db/cache: none, k3s: all}, \
         namespaces: {helm/db/postgres: [db, db-replicas]}}}}\n",
    );
    let longhorn = config.data_backups.longhorn.unwrap();
    for (id, expected) in [
        ("helm/apps/web", VolumeScope::Release),
        ("helm/db/postgres", VolumeScope::All),
        ("helm/db/cache", VolumeScope::None),
        ("k3s", VolumeScope::All),
    ] {
        assert_eq!(longhorn.scope(id, id.split('/').next().unwrap()), expected, "{id}");
    }
    assert_eq!(longhorn.namespaces_of("helm/db/postgres", "helm").unwrap(), ["db", "db-replicas"]);
    assert_eq!(longhorn.namespaces_of("helm/db/cache", "helm"), None);
}

#[test]
fn who_can_read_secrets_is_not_for_the_repository_to_choose() {
    let key = age::x25519::Identity::generate().to_public();
    let text = format!("backup: {{data: {{export: {{secrets: [apps], recipients: [{key}]}}}}}}\n");
    assert_eq!(read(&text).data_backups.export.unwrap().recipients, [key.to_string()]);
    let told = errors(&text, Trust::Repository);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|error| error.contains("chooses who can read Secrets")), "{told:?}");
}

#[test]
fn every_mistake_is_named_by_its_field() {
    let told = errors(
        "backup:
  data:
    timeout: 7h
    longhorn: {namespace: Not_One, concurrency: 21, keep_last: 0, target: 'a b'}
    etcd: {job: no-namespace, max_age: 31d}
    export:
      max_bytes: 0
      secrets: [apps]
      recipients: [age1wrong]
      resources: [{kind: Secret}, {kind: Thing, plural: secrets}, {kind: 'a b'}, {kind: X, api_version: A/B}]
",
        Trust::User,
    );
    for part in [
        "backup.data.timeout: longer than `6h`",
        "backup.data.longhorn.namespace: not the name of a namespace",
        "backup.data.longhorn.concurrency: not between 1 and 20",
        "backup.data.longhorn.keep_last: not between 1 and 100",
        "backup.data.longhorn.target: not the name of a BackupTarget",
        "backup.data.etcd.job: not `namespace/name` of a CronJob",
        "backup.data.etcd.max_age: longer than `30d`",
        "backup.data.export.max_bytes: not between 1 and 33554432",
        "recipients[0]: not a public key of age",
        "resources[0].kind: Secrets are never exported in clear",
        "resources[1].plural: not the plural of a kind",
        "resources[2].kind: not a kind such as `ConfigMap`",
        "resources[3].api_version: not an API version",
        "resources[1].kind: the API `v1` has no kind `Thing`; write the `apiVersion` of its manifests beside it",
    ] {
        assert!(told.iter().any(|error| error.contains(part)), "`{part}` is not among {told:#?}");
    }
}

/// Deployments were asked for in the API `v1`, where there are none, and the plural of an Ingress was made wrong.
#[test]
fn kind_of_another_api_is_told_what_to_write_beside_it() {
    let resources = |list: &str| format!("backup: {{data: {{export: {{resources: [{list}]}}}}}}\n");
    let told =
        errors(&resources("{kind: ConfigMap}, {kind: Deployment}, {kind: NetworkPolicy}"), Trust::Repository);
    assert_eq!(told.len(), 2, "{told:#?}");
    let wanted = [("Deployment", "apps/v1"), ("NetworkPolicy", "networking.k8s.io/v1")];
    for (told, (kind, api_version)) in told.iter().zip(wanted) {
        let said = format!("the API `v1` has no kind `{kind}`; write `api_version: {api_version}` beside it");
        assert!(told.contains(&said), "{told}");
    }
    let written =
        "{kind: Ingress, api_version: networking.k8s.io/v1}, {kind: Endpoints}, {kind: ServiceAccount}";
    let export = read(&resources(written)).data_backups.export.unwrap();
    let plurals: Vec<&str> = export.resources.iter().map(|one| one.plural.as_str()).collect();
    assert_eq!(plurals, ["ingresses", "endpoints", "serviceaccounts"]);
}
