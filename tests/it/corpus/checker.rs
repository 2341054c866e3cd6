//! Plays a plan state by state and says what is wrong with it.
//!
//! Nothing here is the planner's: versions, ranges and tables are read and written anew, so that both would have to
//! be wrong in the same way.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Flux minor → lowest minor of Kubernetes.
const FLUX: &[((u64, u64), u64)] = &[
    ((0, 35), 20),
    ((0, 41), 20),
    ((2, 0), 22),
    ((2, 1), 25),
    ((2, 2), 26),
    ((2, 3), 28),
    ((2, 4), 28),
    ((2, 5), 30),
    ((2, 6), 31),
    ((2, 7), 32),
    ((2, 8), 33),
    ((2, 9), 33),
];

/// Longhorn minor → lowest and highest minor of Kubernetes.
const LONGHORN: &[(u64, u64, u64)] = &[
    (3, 18, 24),
    (4, 21, u64::MAX),
    (5, 21, u64::MAX),
    (6, 21, u64::MAX),
    (7, 21, u64::MAX),
    (8, 25, u64::MAX),
    (9, 25, u64::MAX),
    (10, 25, u64::MAX),
    (11, 25, u64::MAX),
    (12, 25, u64::MAX),
    (13, 34, u64::MAX),
];

/// cert-manager minor → lowest minor of Kubernetes.
const CERT_MANAGER: &[(u64, u64)] = &[(20, 32), (21, 33)];

/// API group and version → the Flux minor that no longer serves it.
const FLUX_APIS: &[(&str, u64)] = &[
    ("source.toolkit.fluxcd.io/v1beta1", 7),
    ("kustomize.toolkit.fluxcd.io/v1beta1", 7),
    ("image.toolkit.fluxcd.io/v1beta1", 7),
    ("notification.toolkit.fluxcd.io/v1beta1", 7),
    ("helm.toolkit.fluxcd.io/v2beta1", 7),
    ("source.toolkit.fluxcd.io/v1beta2", 8),
    ("kustomize.toolkit.fluxcd.io/v1beta2", 8),
    ("helm.toolkit.fluxcd.io/v2beta2", 8),
    ("image.toolkit.fluxcd.io/v1beta2", 9),
    ("notification.toolkit.fluxcd.io/v1beta2", 9),
];

/// API group and version → the Kubernetes minor that no longer serves it.
const KUBERNETES_APIS: &[(&str, u64)] = &[
    ("batch/v1beta1", 25),
    ("policy/v1beta1", 25),
    ("discovery.k8s.io/v1beta1", 25),
    ("autoscaling/v2beta1", 25),
    ("autoscaling/v2beta2", 26),
    ("flowcontrol.apiserver.k8s.io/v1beta2", 29),
    ("flowcontrol.apiserver.k8s.io/v1beta3", 32),
];

type Numbers = (u64, u64, u64);

/// What the checker knows beside the plan.
pub(super) struct World {
    /// Component id → what detect says of it.
    pub(super) components: BTreeMap<String, Value>,
    /// k3s version → year and month of its release.
    pub(super) months: BTreeMap<String, (u64, u64)>,
    /// Component id and version → `kubeVersion` of the chart.
    pub(super) charts: BTreeMap<(String, String), String>,
    /// API versions that manifests of the repository have.
    pub(super) apis: BTreeSet<String>,
}

/// A component's version in the state that is looked at.
type State = BTreeMap<String, String>;

impl World {
    /// Everything that is wrong with a plan.
    pub(super) fn faults(&self, plan: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let mut state: State = self
            .components
            .iter()
            .filter_map(|(id, entry)| Some((id.clone(), entry["current_version"].as_str()?.to_owned())))
            .collect();
        let at_start = self.broken(&state);
        let mut broken = at_start.clone();
        let mut done: BTreeSet<String> = BTreeSet::new();
        for (place, wave) in plan["waves"].as_array().unwrap().iter().enumerate() {
            let steps = wave["steps"].as_array().unwrap();
            if wave["number"] != place + 1 || steps.is_empty() {
                faults.push(format!(
                    "wave {place} is numbered {} with {} steps",
                    wave["number"],
                    steps.len()
                ));
            }
            let alone = steps.iter().any(|step| step["revert"]["safety"] != "safe");
            if alone && steps.len() > 1 {
                faults.push(format!("wave {} has more than the step that goes alone", place + 1));
            }
            for step in steps {
                self.step(step, &state, &done, &mut faults);
                // Its companions may be merged before it or after it.
                for others in [false, true] {
                    let mut after = state.clone();
                    for other in steps.iter().filter(|other| others || *other == step) {
                        after.insert(text(other, "component"), text(other, "to"));
                    }
                    let now = self.broken(&after);
                    for new in now.difference(&broken) {
                        faults.push(format!("after {}: {new}", step["id"]));
                    }
                }
            }
            for step in steps {
                state.insert(text(step, "component"), text(step, "to"));
                done.insert(text(step, "id"));
            }
            broken = self.broken(&state);
        }
        self.ends(plan, &state, &mut faults);
        faults
    }

    /// What one step may not do, whatever the others.
    fn step(&self, step: &Value, state: &State, done: &BTreeSet<String>, faults: &mut Vec<String>) {
        let [id, component, from, to] = ["id", "component", "from", "to"].map(|field| text(step, field));
        let mut fault = |what: String| faults.push(format!("{id}: {what}"));
        if id != format!("{component}@{to}") || done.contains(&id) {
            fault("is a wrong id".to_owned());
        }
        for required in step["requires"].as_array().unwrap() {
            if !done.contains(required.as_str().unwrap()) {
                fault(format!("requires {required}, which is not done"));
            }
        }
        if step["next"] == true && !step["requires"].as_array().unwrap().is_empty() {
            fault("is next, and requires something".to_owned());
        }
        if step["gate"] == "auto" && step["revert"]["safety"] != "safe" {
            fault("is merged by itself and cannot be reverted".to_owned());
        }
        if state.get(&component) != Some(&from) {
            fault(format!("starts from {from}, and Git has {:?}", state.get(&component)));
        }
        let kind = self.components[&component]["kind"].as_str().unwrap_or_default();
        let (Some(low), Some(high)) = (numbers(&from), numbers(&to)) else { return };
        if matches!(kind, "k3s" | "flux" | "longhorn") && (high, &to) <= (low, &from) {
            fault("goes back".to_owned());
        }
        match kind {
            "k3s" => {
                if (high.0, high.1) > (low.0, low.1 + 1) {
                    fault("skips a minor".to_owned());
                }
                if low.1 <= 33 && high.1 >= 34 && (low.1, low.2) < (33, 8) {
                    fault("brings etcd 3.6 to data of an etcd before 3.5.26".to_owned());
                }
                let used = KUBERNETES_APIS
                    .iter()
                    .find(|(api, gone)| high.1 >= *gone && low.1 < *gone && self.apis.contains(*api));
                if let Some((api, _)) = used {
                    fault(format!("no longer serves {api}, which is used"));
                }
                match (self.months.get(&from), self.months.get(&to)) {
                    (Some(before), Some(after)) if low.1 == high.1 || after >= before => {}
                    (before, after) => fault(format!("was built {after:?}, after {before:?}")),
                }
            }
            "longhorn" => {
                if high.0 != low.0 || high.1 > low.1 + 1 {
                    fault("skips a minor".to_owned());
                }
                if low.1 < 10 && high.1 >= 10 && self.apis.contains("longhorn.io/v1beta1") {
                    fault("no longer serves longhorn.io/v1beta1, which is used".to_owned());
                }
                if high == (1, 11, 0) {
                    fault("is the version that leaks".to_owned());
                }
            }
            "flux" => {
                let next_major = (low.0, low.1, high.0, high.1) == (0, 41, 2, 0);
                if !next_major && (high.0 != low.0 || high.1 > low.1 + 1) {
                    fault("skips a minor".to_owned());
                }
                let used = FLUX_APIS.iter().find(|(api, gone)| {
                    high.0 == 2 && high.1 >= *gone && low.1 < *gone && self.apis.contains(*api)
                });
                if let Some((api, _)) = used {
                    fault(format!("no longer serves {api}, which is used"));
                }
            }
            _ => {}
        }
    }

    /// What does not go together in a state.
    fn broken(&self, state: &State) -> BTreeSet<String> {
        let of_kind = |kind: &str| {
            let mut found = self.components.iter().filter(|(id, entry)| entry["kind"] == kind && *id == kind);
            found.next().and_then(|(id, _)| numbers(state.get(id)?))
        };
        let mut broken = BTreeSet::new();
        let Some(kubernetes) = of_kind("k3s") else { return broken };
        let minor = kubernetes.1;
        if let Some(flux) = of_kind("flux") {
            let row = FLUX.iter().rev().find(|(version, _)| *version <= (flux.0, flux.1));
            if row.is_some_and(|(_, lowest)| minor < *lowest) {
                broken.insert(format!("flux {}.{} on kubernetes 1.{minor}", flux.0, flux.1));
            }
        }
        if let Some(longhorn) = of_kind("longhorn") {
            let row = LONGHORN.iter().find(|(version, ..)| *version == longhorn.1);
            if row.is_none_or(|(_, lowest, highest)| !(*lowest..=*highest).contains(&minor)) {
                broken.insert(format!("longhorn 1.{} on kubernetes 1.{minor}", longhorn.1));
            }
        }
        for (id, version) in state {
            let chart = self.components[id]["upstream"]["name"].as_str();
            if chart == Some("cert-manager")
                && let Some((_, minor_of, _)) = numbers(version)
                && CERT_MANAGER.iter().any(|(known, lowest)| *known == minor_of && minor < *lowest)
            {
                broken.insert(format!("cert-manager 1.{minor_of} on kubernetes 1.{minor}"));
            }
            if let Some(range) = self.charts.get(&(id.clone(), version.clone()))
                && !admits(range, kubernetes)
            {
                broken.insert(format!("{id} {version} ({range}) on kubernetes {kubernetes:?}"));
            }
        }
        broken
    }

    /// Every component has its newest version in the end, or is held with one reason.
    fn ends(&self, plan: &Value, state: &State, faults: &mut Vec<String>) {
        // The corpus has no archives and no images: what nobody could ask for now stays on the way all the same.
        let held: Vec<&Value> = plan["held"].as_array().unwrap().iter().collect();
        let steps =
            || plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave["steps"].as_array().unwrap());
        for held in &held {
            let is_it =
                |step: &Value| ["component", "from", "to"].iter().all(|field| step[*field] == held[*field]);
            if steps().any(is_it) {
                faults.push(format!("{} {} is held, and stands in a wave", held["component"], held["to"]));
            }
        }
        for (id, entry) in &self.components {
            let own: Vec<_> = held.iter().filter(|held| held["component"] == id.as_str()).collect();
            if own.len() > 1 {
                faults.push(format!("{id} is held {} times", own.len()));
            }
            for held in &own {
                let reason = held["reason"].as_str().unwrap_or_default();
                let gate = held["gate"].as_str().unwrap_or_default();
                if reason.is_empty() || gate.is_empty() {
                    faults.push(format!("{id} is held without a reason"));
                }
                let compared = matches!(gate, "compatibility" | "ladder" | "removed_api" | "build_month");
                if compared && held["constraint"].as_str().is_none_or(str::is_empty) {
                    faults.push(format!("{id} is held by {gate} without a constraint"));
                }
            }
            if entry["status"] != "update_available" {
                continue;
            }
            let newest = entry["available_version"].as_str().unwrap_or_default();
            let last = state.get(id).map(String::as_str).unwrap_or_default();
            let reached = last == newest || last.starts_with(&format!("{newest}@"));
            if !reached && own.is_empty() {
                faults.push(format!("{id} ends at {last}, not at {newest}, and is not held"));
            }
            if let Some(held) = own.first()
                && held["gate"] != "edit"
                && held["from"].as_str() != Some(last)
            {
                faults.push(format!("{id} ends at {last}, and is held at {}", held["from"]));
            }
        }
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

/// The first three numbers of a version.
pub(super) fn numbers(version: &str) -> Option<Numbers> {
    let version = version.trim_start_matches('v');
    let end = version.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(version.len());
    let mut parts = version[..end].split('.').map(|part| part.parse().ok());
    let major = parts.next()??;
    let minor = parts.next().flatten().unwrap_or(0);
    let patch = parts.next().flatten().unwrap_or(0);
    Some((major, minor, patch))
}

/// Whether a chart's `kubeVersion` has a version without pre-release.
///
/// Panics on what it does not know, so that nothing passes unseen.
fn admits(range: &str, version: Numbers) -> bool {
    range.split("||").any(|group| {
        let spaced = group.replace(',', " ");
        let mut words = spaced.split_whitespace().peekable();
        let mut all = true;
        while let Some(word) = words.next() {
            // `>= 1.20` has a blank.
            let whole = if word.trim_start_matches(['<', '>', '=', '!', '~', '^']).is_empty() {
                format!("{word}{}", words.next().unwrap_or_default())
            } else {
                word.to_owned()
            };
            all &= holds(&whole, version);
        }
        all
    })
}

fn holds(comparison: &str, version: Numbers) -> bool {
    let start = comparison.find(|letter: char| letter.is_ascii_digit() || matches!(letter, 'v' | '*' | 'x'));
    let (operator, bound) = comparison.split_at(start.unwrap_or_else(|| panic!("`{comparison}`")));
    if matches!(bound, "*" | "x") {
        return true;
    }
    let wild = bound.split('-').next().unwrap().split('.').filter(|part| !matches!(*part, "x" | "*")).count();
    let bound = numbers(bound).unwrap_or_else(|| panic!("`{comparison}`"));
    match operator {
        ">=" | "=>" => version >= bound,
        ">" if wild == 2 => (version.0, version.1) > (bound.0, bound.1),
        ">" => version > bound,
        "<" => version < bound,
        "<=" | "=<" if wild == 2 => (version.0, version.1) <= (bound.0, bound.1),
        "<=" | "=<" => version <= bound,
        "^" => version >= bound && version.0 == bound.0,
        "~" => version >= bound && (version.0, version.1) == (bound.0, bound.1),
        "" | "=" if wild == 1 => version.0 == bound.0,
        "" | "=" if wild == 2 => version >= bound && (version.0, version.1) == (bound.0, bound.1),
        "" | "=" => version == bound,
        "!=" => version != bound,
        other => panic!("operator `{other}` in `{comparison}`"),
    }
}

/// The checker itself must see what is wrong.
mod self_test {
    use serde_json::json;

    use super::*;

    fn world() -> World {
        let entry = |kind: &str, current: &str, newest: &str| {
            json!({
                "kind": kind, "current_version": current, "available_version": newest,
                "status": "update_available", "upstream": {"name": kind},
            })
        };
        World {
            components: BTreeMap::from([
                ("k3s".to_owned(), entry("k3s", "v1.24.6+k3s1", "v1.25.16+k3s4")),
                ("longhorn".to_owned(), entry("longhorn", "1.3.2", "1.4.4")),
            ]),
            months: BTreeMap::from([
                ("v1.24.6+k3s1".to_owned(), (2022, 9)),
                ("v1.25.16+k3s4".to_owned(), (2023, 12)),
            ]),
            charts: BTreeMap::from([(("longhorn".to_owned(), "1.4.4".to_owned()), ">=1.21.0-0".to_owned())]),
            apis: BTreeSet::new(),
        }
    }

    fn step(component: &str, from: &str, to: &str) -> Value {
        json!({
            "id": format!("{component}@{to}"), "component": component, "from": from, "to": to, "requires": [],
            "next": false, "gate": "review", "revert": {"safety": "conditional"},
        })
    }

    fn plan(steps: &[Value]) -> Value {
        let waves: Vec<Value> =
            steps.iter().enumerate().map(|(at, step)| json!({"number": at + 1, "steps": [step]})).collect();
        json!({"waves": waves, "held": []})
    }

    #[test]
    fn checker_accepts_what_is_right_and_sees_what_is_wrong() {
        let k3s = || step("k3s", "v1.24.6+k3s1", "v1.25.16+k3s4");
        let longhorn = || step("longhorn", "1.3.2", "1.4.4");
        assert_eq!(world().faults(&plan(&[longhorn(), k3s()])), Vec::<String>::new());
        for (name, steps, fault) in [
            ("order", vec![k3s(), longhorn()], "longhorn 1.3 on kubernetes 1.25"),
            ("end", vec![longhorn()], "k3s ends at v1.24.6+k3s1"),
            ("start", vec![step("longhorn", "1.3.0", "1.4.4"), k3s()], "starts from 1.3.0"),
            ("skip", vec![step("longhorn", "1.3.2", "1.5.0"), k3s()], "skips a minor"),
            ("month", vec![longhorn(), step("k3s", "v1.24.6+k3s1", "v1.25.0+k3s1")], "was built None"),
        ] {
            let faults = world().faults(&plan(&steps));
            assert!(faults.iter().any(|known| known.contains(fault)), "{name}: {faults:?}");
        }
        let mut late = longhorn();
        late["requires"] = json!(["k3s@v1.25.16+k3s4"]);
        let faults = world().faults(&plan(&[late, k3s()]));
        assert!(faults.iter().any(|fault| fault.contains("which is not done")), "{faults:?}");
    }

    #[test]
    fn ranges_of_charts_are_read() {
        for (range, version, expected) in [
            (">=1.25.0-0", (1, 25, 0), true),
            (">=1.25.0-0", (1, 24, 17), false),
            (">= 1.19.0-0, < 1.30.0", (1, 29, 9), true),
            ("^1.19.0-0", (1, 36, 3), true),
            ("~1.19", (1, 20, 0), false),
            ("1.x", (1, 20, 0), true),
            (">=1.16.0 <1.22.0 || >=1.24", (1, 23, 1), false),
        ] {
            assert_eq!(admits(range, version), expected, "{range} and {version:?}");
        }
    }
}
