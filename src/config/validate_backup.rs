//! Says what the `backup.data` block means, and what a configuration that lies in the repository may not ask for.

use std::collections::BTreeMap;

use super::Trust;
use super::backup::{DataBackups, EtcdBackups, ExportedResource, Exports, LonghornBackups};
use super::detection::Selector;
use super::raw_backup::{
    RawDataBackups, RawEtcdBackups, RawExportedResource, RawExports, RawLonghornBackups, RawVolumeScope,
};
use super::tree::{Path, Step, shorten};
use super::validate::{Checker, key};
use super::validate_upstreams::OUTSIDE;
use crate::domain::backup::export::Bounds;
use crate::domain::backup::kinds;
use crate::domain::backup::longhorn::VolumeScope;
use crate::domain::backup::names::is_name;

/// Most entries of a list.
const MAX_LIST: usize = 200;
const NOT_A_NAMESPACE: &str = "not the name of a namespace";

impl Checker<'_> {
    pub(super) fn data_backups(&mut self, raw: RawDataBackups) -> DataBackups {
        let top = key(&key(&[], "backup"), "data");
        let defaults = DataBackups::default();
        let timeout = self.duration(&key(&top, "timeout"), raw.timeout.as_deref(), "6h");
        DataBackups {
            required: raw.required.unwrap_or(defaults.required),
            timeout: timeout.unwrap_or(defaults.timeout),
            longhorn: raw.longhorn.and_then(|raw| self.longhorn_backups(&key(&top, "longhorn"), raw)),
            etcd: raw.etcd.and_then(|raw| self.etcd_backups(&key(&top, "etcd"), raw)),
            export: raw.export.and_then(|raw| self.exports(&key(&top, "export"), raw)),
        }
    }

    fn longhorn_backups(&mut self, top: &Path, raw: RawLonghornBackups) -> Option<LonghornBackups> {
        let namespace = self.namespace_or(&key(top, "namespace"), raw.namespace, "longhorn-system");
        let target = raw.target.unwrap_or_else(|| "default".to_owned());
        if !is_name(&target) {
            self.wrong(&key(top, "target"), "not the name of a BackupTarget");
        }
        let concurrency = self.number(&key(top, "concurrency"), raw.concurrency, 3, 20);
        let volumes = raw.volumes.into_iter().map(|(name, scope)| {
            let scope = match scope {
                RawVolumeScope::All => VolumeScope::All,
                RawVolumeScope::None => VolumeScope::None,
                RawVolumeScope::Namespace => VolumeScope::Namespace,
                RawVolumeScope::Release => VolumeScope::Release,
            };
            (name, scope)
        });
        let volumes = self.by_selector(&key(top, "volumes"), volumes.collect());
        let mut namespaces = BTreeMap::new();
        for (name, list) in raw.namespaces {
            let path = key(&key(top, "namespaces"), &name);
            namespaces.insert(name, self.namespaces(&path, list, false));
        }
        let namespaces = self.by_selector(&key(top, "namespaces"), namespaces);
        let system_backup = self.selectors(&key(top, "system_backup"), raw.system_backup, "longhorn");
        let keep_last = self.number(&key(top, "keep_last"), raw.keep_last, 5, 100);
        let keep_for = self.duration(&key(top, "keep_for"), raw.keep_for.as_deref(), "3650d");
        raw.enabled.unwrap_or(true).then_some(LonghornBackups {
            namespace,
            backups: raw.backups.unwrap_or(true),
            target,
            concurrency,
            volumes,
            namespaces,
            system_backup,
            keep_last,
            keep_for: keep_for.unwrap_or(std::time::Duration::from_secs(14 * 86_400)),
        })
    }

    fn etcd_backups(&mut self, top: &Path, raw: RawEtcdBackups) -> Option<EtcdBackups> {
        let components = self.selectors(&key(top, "components"), raw.components, "k3s");
        let max_age = self.duration(&key(top, "max_age"), raw.max_age.as_deref(), "30d");
        let job = raw.job.and_then(|text| {
            let parts = text.split_once('/').filter(|(namespace, name)| is_name(namespace) && is_name(name));
            if parts.is_none() {
                self.wrong(&key(top, "job"), "not `namespace/name` of a CronJob");
            }
            parts.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
        });
        raw.enabled.unwrap_or(true).then_some(EtcdBackups {
            components,
            max_age: max_age.unwrap_or(std::time::Duration::from_secs(86_400)),
            job,
        })
    }

    fn exports(&mut self, top: &Path, raw: RawExports) -> Option<Exports> {
        let components = match raw.components {
            Some(list) => self.selectors(&key(top, "components"), Some(list), ""),
            None => vec![],
        };
        let resources = match raw.resources {
            None => vec![ExportedResource::config_maps()],
            Some(list) if list.len() > MAX_LIST => {
                self.wrong(&key(top, "resources"), format!("more than {MAX_LIST}"));
                vec![]
            }
            Some(list) => {
                let paths = self.item_paths(&key(top, "resources"), list.len());
                list.into_iter().zip(paths).filter_map(|(raw, path)| self.exported(&path, raw)).collect()
            }
        };
        let secrets = self.namespaces(&key(top, "secrets"), raw.secrets, false);
        let recipients = self.recipients(&key(top, "recipients"), raw.recipients);
        for (field, is_given) in [("secrets", !secrets.is_empty()), ("recipients", !recipients.is_empty())] {
            // Who writes the repository must not choose who can read the Secrets of the cluster.
            if is_given && self.origin.trust == Trust::Repository {
                self.wrong(&key(top, field), format!("chooses who can read Secrets; {OUTSIDE}"));
            }
        }
        if !secrets.is_empty() && recipients.is_empty() {
            self.wrong(&key(top, "secrets"), "no Secret is exported without `recipients`");
        }
        let objects = self.number(&key(top, "max_objects"), raw.max_objects, 2_000, 20_000);
        let bytes = match raw.max_bytes {
            None => 4 << 20,
            Some(bytes @ 1..=33_554_432) => bytes as usize,
            Some(_) => {
                self.wrong(&key(top, "max_bytes"), "not between 1 and 33554432");
                4 << 20
            }
        };
        let bounds = Bounds { objects, bytes };
        raw.enabled.unwrap_or(true).then_some(Exports { components, resources, secrets, recipients, bounds })
    }

    fn exported(&mut self, path: &Path, raw: RawExportedResource) -> Option<ExportedResource> {
        let word = |text: &str| {
            !text.is_empty() && text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if !word(&raw.kind) {
            self.wrong(&key(path, "kind"), "not a kind such as `ConfigMap`");
            return None;
        }
        if raw.kind == "Secret" {
            self.wrong(
                &key(path, "kind"),
                "Secrets are never exported in clear; name namespaces as `secrets`",
            );
            return None;
        }
        let is_of_another = raw.api_version.is_none() && !kinds::is_core(&raw.kind);
        if is_of_another {
            let kind = shorten(&raw.kind);
            let next = match kinds::api_version_of(&raw.kind) {
                Some(api_version) => format!("write `api_version: {api_version}` beside it"),
                None => {
                    "write the `apiVersion` of its manifests beside it, such as `api_version: example.org/v1`"
                        .to_owned()
                }
            };
            self.wrong(&key(path, "kind"), format!("the API `v1` has no kind `{kind}`; {next}"));
        }
        let api_version = raw.api_version.unwrap_or_else(|| "v1".to_owned());
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let dns = |text: &str| text.len() <= 253 && text.split('.').all(is_name);
        if !(group.is_empty() || dns(group)) || !is_name(version) {
            self.wrong(&key(path, "api_version"), "not an API version such as `v1` or `apps/v1`");
            return None;
        }
        let plural = raw.plural.unwrap_or_else(|| kinds::plural_of(&raw.kind));
        if !is_name(&plural) || plural == "secrets" {
            self.wrong(&key(path, "plural"), "not the plural of a kind such as `configmaps`");
            return None;
        }
        let labels = raw.labels;
        if labels.len() > 500 || labels.chars().any(char::is_control) {
            self.wrong(&key(path, "labels"), "not a label selector such as `app=web`");
            return None;
        }
        let namespaces = self.namespaces(&key(path, "namespaces"), raw.namespaces, true);
        (!is_of_another).then_some(ExportedResource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: raw.kind,
            plural,
            namespaces,
            labels,
        })
    }

    fn recipients(&mut self, path: &[Step], list: Vec<String>) -> Vec<String> {
        if list.len() > MAX_LIST {
            self.wrong(path, format!("more than {MAX_LIST}"));
            return vec![];
        }
        let paths = self.item_paths(path, list.len());
        for (recipient, path) in list.iter().zip(paths) {
            if recipient.parse::<age::x25519::Recipient>().is_err() {
                self.wrong(&path, "not a public key of age such as `age1…`");
            }
        }
        list
    }

    fn namespace_or(&mut self, path: &[Step], text: Option<String>, default: &str) -> String {
        let text = text.unwrap_or_else(|| default.to_owned());
        if !is_name(&text) {
            self.wrong(path, NOT_A_NAMESPACE);
        }
        text
    }

    fn namespaces(&mut self, path: &[Step], list: Vec<String>, stars: bool) -> Vec<String> {
        if list.len() > MAX_LIST {
            self.wrong(path, format!("more than {MAX_LIST}"));
            return vec![];
        }
        let paths = self.item_paths(path, list.len());
        for (name, path) in list.iter().zip(paths) {
            let is_star = stars && name == "*";
            if !is_name(name) && !is_star {
                self.wrong(&path, NOT_A_NAMESPACE);
            }
        }
        list
    }

    fn selectors(&mut self, path: &[Step], list: Option<Vec<String>>, default: &str) -> Vec<Selector> {
        let Some(list) = list else { return Selector::read(default).into_iter().collect() };
        if list.len() > MAX_LIST {
            self.wrong(path, format!("more than {MAX_LIST}"));
            return vec![];
        }
        let paths = self.item_paths(path, list.len());
        list.iter().zip(paths).filter_map(|(name, path)| self.selector(&path, name)).collect()
    }

    fn by_selector<T>(&mut self, path: &Path, entries: BTreeMap<String, T>) -> Vec<(Selector, T)> {
        if entries.len() > MAX_LIST {
            self.wrong(path, format!("more than {MAX_LIST}"));
            return vec![];
        }
        let selected = entries
            .into_iter()
            .filter_map(|(name, value)| Some((self.selector(&key(path, &name), &name)?, value)));
        selected.collect()
    }

    fn number(&mut self, path: &[Step], given: Option<u32>, default: usize, most: usize) -> usize {
        match given.map(|number| number as usize) {
            None => default,
            Some(number) if (1..=most).contains(&number) => number,
            Some(_) => {
                self.wrong(path, format!("not between 1 and {most}"));
                default
            }
        }
    }
}
