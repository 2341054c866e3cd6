//! Says what the `policy`, `limits` and `windows` blocks mean.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::detection::Selector;
use super::policy::{Block, GateOverrides, PathPattern, Policy, PolicyOverrides, Wildcard, WindowRule};
use super::proposal::Limits;
use super::raw_policy::{
    RawApproval, RawComponentPolicy, RawGates, RawKubernetesApi, RawLimits, RawPolicy, RawRanges,
    RawVerification, RawWindow,
};
use super::tree::{Path, path_text};
use super::validate::{Checker, MAX_LIST, key, path_pattern};
use super::values;
use crate::domain::apis::RemovedApi;
use crate::domain::plan::Approval;
use crate::domain::policy::window::Window;
use crate::domain::policy::{RangeEdits, Verification};
use crate::domain::select::Ignored;
use crate::domain::version::range::Range;

/// How long a merged step is waited for where nothing else is said.
const SETTLE: Duration = Duration::from_secs(24 * 3600);

impl Checker<'_> {
    pub(super) fn policy(&mut self, raw: RawPolicy) -> Policy {
        let top = key(&[], "policy");
        let defaults = RawComponentPolicy {
            semver_gates: raw.semver_gates,
            minimum_release_age: raw.minimum_release_age,
            ranges: raw.ranges,
            verification: raw.verification,
            settle: raw.settle,
            allowed: raw.allowed,
            denied: raw.denied,
        };
        let defaults = self.policy_overrides(&top, defaults);
        let (mut components, mut namespaces, mut paths) = (vec![], vec![], vec![]);
        for (path, name, raw) in self.blocks(&key(&top, "components"), raw.components) {
            let sets = self.policy_overrides(&path, raw);
            let Some(names) = self.selector(&path, &name) else { continue };
            components.push(Block { key: path_text(&path), names, sets });
        }
        for (path, name, raw) in self.blocks(&key(&top, "namespaces"), raw.namespaces) {
            let sets = self.policy_overrides(&path, raw);
            let Some(names) = self.checked(&path, Wildcard::read(&name)) else { continue };
            namespaces.push(Block { key: path_text(&path), names, sets });
        }
        for (path, name, raw) in self.blocks(&key(&top, "paths"), raw.paths) {
            let sets = self.policy_overrides(&path, raw);
            let pattern = path_pattern(&name).and_then(|()| PathPattern::read(&name));
            let Some(names) = self.checked(&path, pattern) else { continue };
            paths.push(Block { key: path_text(&path), names, sets });
        }
        Policy { defaults, components, namespaces, paths }
    }

    fn blocks<T>(&mut self, path: &Path, raw: BTreeMap<String, T>) -> Vec<(Path, String, T)> {
        if raw.len() > MAX_LIST {
            self.wrong(path, format!("more than {MAX_LIST} keys"));
            return vec![];
        }
        raw.into_iter().map(|(name, value)| (key(path, &name), name, value)).collect()
    }

    fn policy_overrides(&mut self, path: &Path, raw: RawComponentPolicy) -> PolicyOverrides {
        let settle_path = key(path, "settle");
        let settle = self.duration(&settle_path, raw.settle.as_deref(), "90d");
        if raw.settle.is_some() && raw.verification != Some(RawVerification::Merged) {
            self.wrong(&settle_path, "goes with `verification: merged`, which is not given beside it");
        }
        let allowed = raw.allowed.and_then(|text| {
            self.checked(&key(path, "allowed"), values::range(&text))?;
            Range::parse(&text).ok()
        });
        let denied = raw.denied.map(|denied| {
            let paths = self.item_paths(&key(path, "denied"), denied.len());
            let read = |(text, path): (&String, &Path)| {
                // Texts that are neither are most likely slips, and would deny nothing.
                if values::version(text).is_err() {
                    self.checked(path, values::range(text))?;
                }
                Ignored::parse(text).ok()
            };
            denied.iter().zip(&paths).filter_map(read).collect()
        });
        PolicyOverrides {
            gates: gates(&raw.semver_gates),
            minimum_release_age: self.duration(
                &key(path, "minimum_release_age"),
                raw.minimum_release_age.as_deref(),
                "365d",
            ),
            ranges: raw.ranges.map(|ranges| match ranges {
                RawRanges::Keep => RangeEdits::Keep,
                RawRanges::Widen => RangeEdits::Widen,
            }),
            verification: raw.verification.map(|verification| match verification {
                RawVerification::Observed => Verification::Observed,
                RawVerification::Merged => Verification::Merged { settle: settle.unwrap_or(SETTLE) },
            }),
            allowed,
            denied,
        }
    }

    pub(super) fn limits(&mut self, raw: &RawLimits) -> Limits {
        let top = key(&[], "limits");
        let defaults = Limits::default();
        let mut number = |field: &str, value: Option<u32>, default: usize| match value {
            Some(value @ 1..=100) => value as usize,
            Some(_) => {
                self.wrong(&key(&top, field), "not between 1 and 100");
                default
            }
            None => default,
        };
        Limits {
            open_pull_requests: number(
                "open_pull_requests",
                raw.open_pull_requests,
                defaults.open_pull_requests,
            ),
            per_hour: number("per_hour", raw.per_hour, defaults.per_hour),
            concurrency: number("concurrency", raw.concurrency, defaults.concurrency),
        }
    }

    pub(super) fn kubernetes_apis(&mut self, raw: Vec<RawKubernetesApi>) -> Vec<RemovedApi> {
        let top = key(&[], "kubernetes_apis");
        if raw.len() > MAX_LIST {
            self.wrong(&top, format!("more than {MAX_LIST} rows"));
            return vec![];
        }
        let paths = self.item_paths(&top, raw.len());
        let mut rows = vec![];
        for (row, path) in raw.into_iter().zip(paths) {
            if !is_api_version(&row.api_version) {
                self.wrong(&key(&path, "api_version"), "not a group and version such as `policy/v1beta1`");
            }
            let kind_paths = self.item_paths(&key(&path, "kinds"), row.kinds.len());
            for (kind, path) in row.kinds.iter().zip(&kind_paths) {
                if kind.is_empty() || kind.len() > 63 || !kind.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    self.wrong(path, "not a kind such as `PodDisruptionBudget`");
                }
            }
            let removed_in = row.removed_in.as_deref().and_then(|text| {
                let minor = text.strip_prefix("1.").and_then(|minor| minor.parse::<u64>().ok());
                self.checked(
                    &key(&path, "removed_in"),
                    minor.filter(|minor| *minor < 1_000).ok_or_else(|| {
                        format!("`{}` is not a minor such as `1.25`", super::tree::shorten(text))
                    }),
                )
            });
            rows.push(RemovedApi {
                api_version: row.api_version,
                kinds: row.kinds,
                removed_in,
                replacement: row.replacement,
            });
        }
        rows
    }

    pub(super) fn windows(&mut self, raw: Vec<RawWindow>) -> Vec<WindowRule> {
        let top = key(&[], "windows");
        if raw.len() > MAX_WINDOWS {
            self.wrong(&top, format!("more than {MAX_WINDOWS} windows"));
            return vec![];
        }
        let paths = self.item_paths(&top, raw.len());
        let mut windows = vec![];
        for (window, path) in raw.into_iter().zip(paths) {
            let selectors = key(&path, "components");
            if window.components.len() > MAX_LIST {
                self.wrong(&selectors, format!("more than {MAX_LIST} components"));
                continue;
            }
            let paths = self.item_paths(&selectors, window.components.len());
            let named = window.components.len();
            let components: Vec<Selector> = window
                .components
                .iter()
                .zip(&paths)
                .filter_map(|(name, path)| self.selector(path, name))
                .collect();
            // Each setting is judged by itself, so that no mistake hides another.
            let judged = Window::check_cron(&window.cron).map_err(|error| error.to_string());
            let cron = self.checked(&key(&path, "cron"), judged);
            let duration = values::duration(&window.duration).and_then(|duration| {
                Window::check_duration(duration).map_err(|error| error.to_string()).map(|()| duration)
            });
            let duration = self.checked(&key(&path, "duration"), duration);
            let zone = match &window.time_zone {
                Some(name) => self.checked(&key(&path, "time_zone"), time_zone(name)),
                None => Some(TimeZone::UTC),
            };
            let (Some(()), Some(duration), Some(zone)) = (cron, duration, zone) else { continue };
            // A window for components that were not understood must not become one for all.
            if components.len() != named {
                continue;
            }
            let made = Window::new(&window.cron, duration, zone, &path_text(&path))
                .map_err(|error| error.to_string());
            windows.extend(self.checked(&path, made).map(|window| WindowRule { window, components }));
        }
        windows
    }
}

fn is_api_version(text: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    };
    let (group, version) = text.split_once('/').unwrap_or(("core", text));
    text.len() <= 320 && word(group) && word(version) && version.starts_with('v')
}

/// More windows than anybody has; each is looked at for every component.
const MAX_WINDOWS: usize = 50;

fn gates(raw: &RawGates) -> GateOverrides {
    let approval = |raw: Option<RawApproval>| {
        raw.map(|raw| match raw {
            RawApproval::Auto => Approval::Auto,
            RawApproval::Review => Approval::Review,
            RawApproval::Manual => Approval::Manual,
            RawApproval::Skip => Approval::Skip,
        })
    };
    GateOverrides {
        patch: approval(raw.patch),
        minor: approval(raw.minor),
        major: approval(raw.major),
        prerelease: approval(raw.prerelease),
        digest: approval(raw.digest),
        build: approval(raw.build),
    }
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    let unknown = || {
        format!("unknown time zone `{}`; zones are named as in `Europe/Berlin`", super::tree::shorten(name))
    };
    if name.len() > 100 {
        return Err(unknown());
    }
    TimeZone::get(name).map_err(|_| unknown())
}

/// Reads a window from one line, as options of the command line have it: the five fields of cron, how long it stays
/// open, and its time zone if that is not UTC: `0 2 * * 6 4h Europe/Berlin`. `by` names the option.
///
/// # Errors
///
/// Says what is wrong with which part.
pub fn window_from_line(line: &str, by: &str) -> Result<Window, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (cron, duration, zone) = match words.as_slice() {
        [cron @ .., duration] if cron.len() == 5 => (cron, duration, TimeZone::UTC),
        [cron @ .., duration, zone] if cron.len() == 5 => (cron, duration, time_zone(zone)?),
        _ => {
            return Err(format!(
                "`{}` is not a window such as `0 2 * * 6 4h Europe/Berlin`: minute, hour, day of month, month, day of week, duration, and a time zone if it is not UTC",
                super::tree::shorten(line)
            ));
        }
    };
    Window::new(&cron.join(" "), values::duration(duration)?, zone, by).map_err(|error| error.to_string())
}
