//! Says what the `validation` block means, and what of it a configuration that lies in the repository may not ask for.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Trust;
use super::hosts::Host;
use super::raw_validation::{
    RawCommand, RawComponentValidation, RawNetwork, RawPods, RawProbe, RawRecovery, RawRevertBy, RawStorage,
    RawTestJob, RawValidation, RawVantage, RawWithoutCluster, StatusText,
};
use super::tree::{Path, Step, path_text};
use super::upstreams::{is_variable, web_url};
use super::validate::{Checker, MAX_LIST, inside, key};
use super::validate_upstreams::OUTSIDE;
use super::validation::{ComponentValidation, Recovery, RevertBy, Validation};
use super::values;
use crate::domain::settle::health::probe::{
    CLUSTER_NAME, CommandSpec, HttpTarget, NetworkSpec, Pods, ProbeSpec, StorageSpec, Target, TestJob,
    Vantage,
};

/// Most probes; each is asked in every sample of every update.
const MAX_PROBES: usize = 50;
/// Most names, addresses or arguments in one list.
const MAX_ITEMS: usize = 100;

impl Checker<'_> {
    pub(super) fn validation(&mut self, raw: RawValidation) -> Validation {
        let top = key(&[], "validation");
        let defaults = Validation::default();
        let probes = self.probes(&key(&top, "probes"), raw.probes);
        let mut names: BTreeSet<String> = probes.iter().map(|probe| probe.name.clone()).collect();
        names.insert(String::new());
        let components = self.component_validations(&key(&top, "components"), raw.components, &names);
        let bad_of = self.count(&key(&top, "bad_of"), raw.bad_of, 1).unwrap_or(defaults.bad_of);
        let bad_samples = self
            .count(&key(&top, "bad_samples"), raw.bad_samples, 1)
            .unwrap_or(defaults.bad_samples.min(bad_of));
        if bad_samples > bad_of {
            self.wrong(&key(&top, "bad_samples"), format!("more than `bad_of`, which is {bad_of}"));
        }
        let failure_rate = raw.failure_rate.map_or(defaults.failure_rate, |rate| rate.0);
        let recovery = raw.recovery.map(|recovery| recoveries(&recovery));
        let mut time = |field: &str, text: Option<String>, least: &str, most: &str, default: Duration| {
            self.span(&key(&top, field), text.as_deref(), least, most).unwrap_or(default)
        };
        let sample = time("sample", raw.sample, "1s", "5m", defaults.sample);
        let settle = time("settle", raw.settle, "0s", "1h", defaults.settle);
        let cap = time("cap", raw.cap, "1s", "7d", defaults.cap);
        let window = self.span(&key(&top, "window"), raw.window.as_deref(), "1s", "24h");
        Validation {
            sample,
            settle,
            window,
            good_samples: self
                .count(&key(&top, "good_samples"), raw.good_samples, 1)
                .unwrap_or(defaults.good_samples),
            bad_samples,
            bad_of,
            failure_rate,
            state_changes: self
                .count(&key(&top, "state_changes"), raw.state_changes, 2)
                .unwrap_or(defaults.state_changes),
            cap,
            statuses: raw.without_cluster.is_none_or(|evidence| evidence == RawWithoutCluster::Statuses),
            recovery: recovery.unwrap_or_default(),
            revert_by: raw.revert_by.map_or(defaults.revert_by, |by| match by {
                RawRevertBy::Push => RevertBy::Push,
                RawRevertBy::PullRequest => RevertBy::PullRequest,
            }),
            reconcile: raw.reconcile.unwrap_or(defaults.reconcile),
            stop_rollouts: raw.stop_rollouts.unwrap_or(defaults.stop_rollouts),
            probes,
            pods: self.pods(&key(&top, "pods"), raw.pods),
            network: raw.network.map(|raw| self.network(&key(&top, "network"), raw)),
            storage: raw.storage.map(|raw| self.storage(&key(&top, "storage"), &raw)),
            test_job: raw.test_job.and_then(|raw| self.test_job(&key(&top, "test_job"), raw)),
            command: raw.command.and_then(|raw| self.command(&key(&top, "command"), raw)),
            components,
        }
    }

    /// A duration from `least` to `most`.
    fn span(&mut self, path: &[Step], text: Option<&str>, least: &str, most: &str) -> Option<Duration> {
        let duration = self.duration(path, text, most)?;
        if values::duration(least).is_ok_and(|least| duration < least) {
            self.wrong(path, format!("shorter than `{least}`"));
            return None;
        }
        Some(duration)
    }

    fn count(&mut self, path: &[Step], value: Option<u32>, least: u32) -> Option<u32> {
        let value = value?;
        let fine = (least..=100).contains(&value);
        if !fine {
            self.wrong(path, format!("not between {least} and 100"));
        }
        fine.then_some(value)
    }

    fn component_validations(
        &mut self,
        path: &Path,
        raw: std::collections::BTreeMap<String, RawComponentValidation>,
        probes: &BTreeSet<String>,
    ) -> Vec<(String, super::detection::Selector, ComponentValidation)> {
        if raw.len() > MAX_LIST {
            self.wrong(path, format!("more than {MAX_LIST} components"));
            return vec![];
        }
        let mut kept = vec![];
        for (name, raw) in raw {
            let path = key(path, &name);
            let Some(selector) = self.selector(&path, &name) else { continue };
            let wanted = raw.probes.map(|wanted| {
                let paths = self.item_paths(&key(&path, "probes"), wanted.len());
                for (name, path) in wanted.iter().zip(&paths) {
                    if !probes.contains(name) || name.is_empty() {
                        self.wrong(path, "not the name of an entry of `validation.probes`");
                    }
                }
                wanted.into_iter().collect()
            });
            let sets = ComponentValidation {
                settle: self.span(&key(&path, "settle"), raw.settle.as_deref(), "0s", "1h"),
                window: self.span(&key(&path, "window"), raw.window.as_deref(), "1s", "24h"),
                cap: self.span(&key(&path, "cap"), raw.cap.as_deref(), "1s", "7d"),
                recovery: raw.recovery.map(|recovery| recoveries(&recovery)),
                probes: wanted,
                storage: raw.storage,
                network: raw.network,
            };
            kept.push((path_text(&path), selector, sets));
        }
        kept
    }

    fn probes(&mut self, path: &[Step], raw: Vec<RawProbe>) -> Vec<ProbeSpec> {
        if raw.len() > MAX_PROBES {
            self.wrong(path, format!("more than {MAX_PROBES} probes"));
            return vec![];
        }
        let paths = self.item_paths(path, raw.len());
        let mut kept: Vec<ProbeSpec> = vec![];
        for (raw, path) in raw.into_iter().zip(paths) {
            let name_path = key(&path, "name");
            let plain =
                raw.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if raw.name.is_empty() || raw.name.len() > 63 || !plain {
                self.wrong(&name_path, "not a name of letters, digits, `-`, `_` and `.`, at most 63 of them");
                continue;
            }
            if kept.iter().any(|earlier| earlier.name == raw.name) {
                self.wrong(&name_path, format!("a second probe named `{}`", raw.name));
                continue;
            }
            kept.extend(self.probe(&path, raw));
        }
        kept
    }

    fn probe(&mut self, path: &Path, raw: RawProbe) -> Option<ProbeSpec> {
        let from = match raw.from {
            Some(RawVantage::Cluster) => Vantage::Cluster,
            Some(RawVantage::Here) | None => Vantage::Here,
        };
        let timeout = self.span(&key(path, "timeout"), raw.timeout.as_deref(), "1s", "60s");
        let is_http = raw.http.is_some();
        for (field, given) in [
            ("status", raw.status.is_some()),
            ("contains", raw.contains.is_some()),
            ("certificate_days", raw.certificate_days.is_some()),
            ("token_env", raw.token_env.is_some()),
        ] {
            if given && !is_http {
                self.wrong(&key(path, field), "goes with `http`, which is not given beside it");
            }
        }
        if raw.dns.is_none() && !raw.expect.is_empty() {
            self.wrong(&key(path, "expect"), "goes with `dns`, which is not given beside it");
        }
        let target = match (&raw.http, &raw.tcp, &raw.dns) {
            (Some(_), None, None) => self.http_target(path, &raw, from)?,
            (None, Some(address), None) => {
                let host = self.checked(&key(path, "tcp"), Host::read(address))?;
                let Some(port) = host.port() else {
                    self.wrong(&key(path, "tcp"), "has no port; write `host:port`");
                    return None;
                };
                Target::Tcp { host: host.name().to_owned(), port }
            }
            (None, None, Some(name)) => {
                let host = self.checked(&key(path, "dns"), dns_name(name))?;
                let paths = self.item_paths(&key(path, "expect"), raw.expect.len());
                let addresses = raw.expect.iter().zip(&paths).filter_map(|(text, path)| {
                    self.checked(path, text.parse().map_err(|_| "not an IP address".to_owned()))
                });
                Target::Dns { name: host, expect: addresses.collect() }
            }
            _ => {
                self.wrong(path, "give exactly one of `http`, `tcp` and `dns`");
                return None;
            }
        };
        Some(ProbeSpec { name: raw.name, target, from, timeout: timeout.unwrap_or(Duration::from_secs(10)) })
    }

    fn http_target(&mut self, path: &Path, raw: &RawProbe, from: Vantage) -> Option<Target> {
        let url = self.checked(&key(path, "http"), web_url(raw.http.as_deref()?))?;
        let host = Host::of(&url);
        let token_path = key(path, "token_env");
        let token_variable = self.variable(&token_path, raw.token_env.clone(), host.as_ref(), &["TOKEN"]);
        if token_variable.is_some() && from == Vantage::Cluster {
            // A Pod's specification is no place for a secret: everybody who may read Pods reads it.
            self.wrong(&token_path, "a Pod of the cluster is given no secret; ask `from: here`");
        }
        if token_variable.is_some() && url.scheme() == "http" && self.origin.trust == Trust::Repository {
            self.wrong(&token_path, format!("would be sent unencrypted; {OUTSIDE}"));
        }
        if let Some(days) = raw.certificate_days {
            let days_path = key(path, "certificate_days");
            if !(1..=3650).contains(&days) {
                self.wrong(&days_path, "not between 1 and 3650");
            }
            if url.scheme() != "https" {
                self.wrong(&days_path, "goes with an `https://` URL");
            }
            if from == Vantage::Cluster {
                self.wrong(&days_path, "looked at `from: here` only");
            }
        }
        if raw.contains.as_deref().is_some_and(|text| text.is_empty() || text.len() > 1_000) {
            self.wrong(&key(path, "contains"), "not a text of 1 to 1000 bytes");
        }
        let status = match &raw.status {
            None => vec![200..=299],
            Some(codes) => {
                let list = key(path, "status");
                if codes.is_empty() || codes.len() > MAX_ITEMS {
                    self.wrong(&list, format!("not 1 to {MAX_ITEMS} codes"));
                }
                let paths = self.item_paths(&list, codes.len());
                let read = |(code, path): (&StatusText, &Path)| self.checked(path, status(&code.0));
                codes.iter().zip(&paths).filter_map(read).collect()
            }
        };
        Some(Target::Http(Box::new(HttpTarget {
            url,
            status,
            contains: raw.contains.clone(),
            certificate_days: raw.certificate_days,
            token_variable,
        })))
    }

    fn pods(&mut self, path: &Path, raw: RawPods) -> Pods {
        let defaults = Pods::default();
        let image = raw.image.filter(|image| {
            let fine = !image.is_empty()
                && image.len() <= 500
                && image.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:@".contains(&b));
            if !fine {
                self.wrong(&key(path, "image"), "not an image such as `docker.io/library/busybox:1.37`");
            }
            fine
        });
        if raw.image_pull_secrets.len() > MAX_ITEMS {
            self.wrong(&key(path, "image_pull_secrets"), format!("more than {MAX_ITEMS}"));
        }
        let secrets = self.item_paths(&key(path, "image_pull_secrets"), raw.image_pull_secrets.len());
        for (name, path) in raw.image_pull_secrets.iter().zip(&secrets) {
            self.checked(path, object_name(name));
        }
        Pods {
            namespace: self.namespace(&key(path, "namespace"), raw.namespace).unwrap_or(defaults.namespace),
            image: image.unwrap_or(defaults.image),
            image_pull_secrets: raw.image_pull_secrets,
            timeout: self
                .span(&key(path, "timeout"), raw.timeout.as_deref(), "10s", "15m")
                .unwrap_or(defaults.timeout),
        }
    }

    fn namespace(&mut self, path: &[Step], name: Option<String>) -> Option<String> {
        let name = name?;
        self.checked(path, label(&name))?;
        Some(name)
    }

    fn network(&mut self, path: &Path, raw: RawNetwork) -> NetworkSpec {
        let names = raw.names.unwrap_or_else(|| vec![CLUSTER_NAME.to_owned()]);
        let list = key(path, "names");
        if names.len() > MAX_ITEMS {
            self.wrong(&list, format!("more than {MAX_ITEMS}"));
        }
        let paths = self.item_paths(&list, names.len());
        for (name, path) in names.iter().zip(&paths) {
            self.checked(path, dns_name(name));
        }
        let pods = raw.pods.unwrap_or(true);
        if names.is_empty() && !pods {
            self.wrong(path, "tries nothing; leave it out");
        }
        NetworkSpec { names, pods }
    }

    fn storage(&mut self, path: &Path, raw: &RawStorage) -> StorageSpec {
        let mut bytes = |field: &str, text: &Option<String>, default: u64, most: u64, word: &str| {
            let Some(text) = text else { return default };
            let path = key(path, field);
            match self.checked(&path, values::size(text)) {
                Some(size) if (1 << 20..=most).contains(&size) => size,
                Some(_) => {
                    self.wrong(&path, format!("not between `1MiB` and `{word}`"));
                    default
                }
                None => default,
            }
        };
        let size = bytes("size", &raw.size, 1 << 30, 100 << 30, "100GiB");
        let data = bytes("data", &raw.data, 16 << 20, 1 << 30, "1GiB");
        // File systems need some of the volume themselves.
        if data > size / 2 {
            self.wrong(&key(path, "data"), "more than half of `size`");
        }
        if let Some(class) = &raw.storage_class {
            self.checked(&key(path, "storage_class"), object_name(class));
        }
        StorageSpec {
            storage_class: raw.storage_class.clone(),
            size,
            data,
            restore: raw.restore.unwrap_or_default(),
        }
    }

    fn test_job(&mut self, path: &Path, raw: RawTestJob) -> Option<TestJob> {
        let manifest = inside(&raw.manifest).filter(|path| !path.is_empty());
        if manifest.is_none() {
            self.wrong(&key(path, "manifest"), "not a file within the repository");
        }
        let timeout = self.span(&key(path, "timeout"), raw.timeout.as_deref(), "1s", "2h");
        let namespace = self.namespace(&key(path, "namespace"), Some(raw.namespace))?;
        Some(TestJob { manifest: manifest?, namespace, timeout: timeout.unwrap_or(Duration::from_secs(600)) })
    }

    fn command(&mut self, path: &Path, raw: RawCommand) -> Option<CommandSpec> {
        if self.origin.trust == Trust::Repository {
            self.wrong(path, format!("runs a program; {OUTSIDE}"));
            return None;
        }
        let run = key(path, "run");
        let texts = raw.run.iter().all(|text| !text.contains('\0') && text.len() <= 10_000);
        if raw.run.first().is_none_or(String::is_empty) || raw.run.len() > MAX_ITEMS || !texts {
            self.wrong(&run, "not a program and its arguments");
            return None;
        }
        let paths = self.item_paths(&key(path, "pass"), raw.pass.len());
        for (name, path) in raw.pass.iter().zip(&paths) {
            if !is_variable(name) {
                self.wrong(path, "not the name of an environment variable");
            }
        }
        let timeout = self.span(&key(path, "timeout"), raw.timeout.as_deref(), "1s", "1h");
        Some(CommandSpec {
            run: raw.run,
            timeout: timeout.unwrap_or(Duration::from_secs(300)),
            pass: raw.pass,
        })
    }
}

fn recoveries(raw: &[RawRecovery]) -> BTreeSet<Recovery> {
    raw.iter()
        .map(|recovery| match recovery {
            RawRecovery::Reconcile => Recovery::Reconcile,
            RawRecovery::ResetRelease => Recovery::ResetRelease,
            RawRecovery::Uncordon => Recovery::Uncordon,
        })
        .collect()
}

/// `200` or `200-299`.
fn status(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || {
        format!(
            "`{}` is neither a code such as `200` nor a range such as `200-299`",
            super::tree::shorten(text)
        )
    };
    let code = |text: &str| text.parse().ok().filter(|code| (100..=599).contains(code)).ok_or_else(wrong);
    match text.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (code(first)?, code(last)?);
            if first <= last { Ok(first..=last) } else { Err(wrong()) }
        }
        None => code(text).map(|code| code..=code),
    }
}

/// A DNS name, with or without the dot at its end; without port.
fn dns_name(text: &str) -> Result<String, String> {
    let wrong = || format!("`{}` is not a name such as `shop.example.com`", super::tree::shorten(text));
    let bare = text.strip_suffix('.').unwrap_or(text);
    let host = Host::read(bare).map_err(|_| wrong())?;
    if host.port().is_some() || bare.starts_with('[') { Err(wrong()) } else { Ok(text.to_ascii_lowercase()) }
}

/// A name that may be a label of a DNS name, as that of a namespace.
fn label(text: &str) -> Result<(), String> {
    let fine = !text.is_empty()
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fine {
        Ok(())
    } else {
        Err("not a name of lower-case letters, digits and `-`, at most 63 of them".to_owned())
    }
}

/// A name of most objects: labels with dots between them.
fn object_name(text: &str) -> Result<(), String> {
    if text.len() <= 253 && text.split('.').all(|part| label(part).is_ok()) {
        Ok(())
    } else {
        Err("not the name of an object".to_owned())
    }
}
