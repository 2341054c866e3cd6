//! Objects of the cluster as files of the backup point; Secrets only encrypted.

use serde_json::Value;

use super::{Cluster, DataError, ErrorClass, Resource, Work, all_in, api_version, resource};
use crate::backup::encrypt;
use crate::config::Exports;
use crate::domain::backup::export::{files, saved, secrets};

/// Left-out objects that are named.
const NAMED: usize = 10;

impl<C: Cluster> Work<'_, C> {
    pub(super) async fn export(&mut self) -> Result<(), DataError> {
        let Some(exports) = &self.settings.export else { return Ok(()) };
        if !exports.concerns(self.request.component, self.request.kind) {
            return Ok(());
        }
        let objects = loop {
            match self.exported(exports).await {
                Err(DataError::Cluster(error)) if error.class == ErrorClass::Transient => {
                    self.pause(|| vec![error.to_string()]).await?;
                }
                found => break found?,
            }
        };
        let mut kept = files(&objects, exports.bounds);
        let used: usize = kept.files.values().map(Vec::len).sum();
        let encrypted = self.encrypted(exports, exports.bounds.bytes.saturating_sub(used)).await?;
        kept.files.extend(encrypted);
        if !kept.left_out.is_empty() {
            let more = kept.left_out.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named: Vec<&str> = kept.left_out.iter().take(NAMED).map(String::as_str).collect();
            let what = format!("exports are bounded, these were left out: {}{more}", named.join(", "));
            self.made.not_covered.push(what);
        }
        self.made.data.extend(saved(&kept.files));
        self.made.files = kept.files;
        Ok(())
    }

    async fn exported(&mut self, exports: &Exports) -> Result<Vec<Value>, DataError> {
        let mut objects = Vec::new();
        let mut not_covered = Vec::new();
        for wanted in &exports.resources {
            let resource: Resource = resource(&wanted.group, &wanted.version, &wanted.kind, &wanted.plural);
            let own: Vec<String> = self.request.namespace.map(str::to_owned).into_iter().collect();
            let namespaces = match wanted.namespaces.as_slice() {
                [] if own.is_empty() => {
                    not_covered
                        .push(format!("no {}: the namespace of the component is not known", wanted.kind));
                    continue;
                }
                [] => Some(own.as_slice()),
                all if all.iter().any(|name| name == "*") => None,
                some => Some(some),
            };
            match all_in(self.cluster, &resource, namespaces, &wanted.labels).await? {
                Some(mut found) => objects.append(&mut found),
                None => not_covered.push(format!(
                    "no {}: the cluster has no `{}` of the API `{}`; `backup.data.export.resources` says which `api_version` and `plural` it is asked for",
                    wanted.kind,
                    wanted.plural,
                    api_version(&resource)
                )),
            }
        }
        self.made.not_covered.append(&mut not_covered);
        Ok(objects)
    }

    async fn encrypted(
        &mut self,
        exports: &Exports,
        room: usize,
    ) -> Result<std::collections::BTreeMap<String, Vec<u8>>, DataError> {
        let mut sealed = std::collections::BTreeMap::new();
        if exports.recipients.is_empty() {
            self.made.not_covered.push("no Secret: there are no recipients to encrypt them for".to_owned());
            return Ok(sealed);
        }
        if exports.secrets.is_empty() {
            return Ok(sealed);
        }
        let kind = resource("", "v1", "Secret", "secrets");
        let found = all_in(self.cluster, &kind, Some(&exports.secrets), "").await?.unwrap_or_default();
        let mut used = 0;
        for (path, text) in secrets(&found) {
            let bytes = encrypt(text.as_bytes(), &exports.recipients).map_err(DataError::Encryption)?;
            used += bytes.len();
            if used > room {
                self.made.not_covered.push(format!("exports are bounded, `{path}` was left out"));
                continue;
            }
            sealed.insert(path, bytes);
        }
        Ok(sealed)
    }
}
