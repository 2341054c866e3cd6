//! How long is waited and how much is tolerated.

use std::collections::BTreeMap;
use std::time::Duration;

/// Windows and thresholds of the judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Time between two samples.
    pub sample: Duration,
    /// What happens this soon after everything is applied is not counted.
    pub settle: Duration,
    /// How long health is watched after that, by kind of component.
    pub windows: Windows,
    /// What components by their id have of their own.
    pub components: BTreeMap<String, Own>,
    /// Samples in a row that must be good at the end of the window.
    pub good: usize,
    /// So many bad samples ...
    pub bad: usize,
    /// ... of so many are a regression.
    pub bad_of: usize,
    /// Share of bad samples over the window that is a regression, between 0 and 1.
    pub failure_rate: f64,
    /// So many changes between good and bad within the window are a contradiction.
    pub flaps: usize,
    /// How long a node may be away while it restarts.
    pub node_restart: Duration,
    /// After so long without an answer a person is asked.
    pub cap: Duration,
}

/// Window by kind of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Helm charts.
    pub chart: Duration,
    /// Flux itself.
    pub flux: Duration,
    /// Longhorn.
    pub longhorn: Duration,
    /// k3s: after the last node.
    pub k3s: Duration,
    /// Everything else.
    pub other: Duration,
}

/// What one component has of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Instead of [`Settings::settle`].
    pub settle: Option<Duration>,
    /// Instead of the window of its kind.
    pub window: Option<Duration>,
    /// Instead of [`Settings::cap`].
    pub cap: Option<Duration>,
    /// Checks whose findings count against it wherever in the cluster they are.
    pub counts: Vec<String>,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Default for Windows {
    fn default() -> Self {
        Self {
            chart: 10 * MINUTE,
            flux: 15 * MINUTE,
            longhorn: 30 * MINUTE,
            k3s: 15 * MINUTE,
            other: 5 * MINUTE,
        }
    }
}

impl Windows {
    /// One window for every kind.
    pub fn all(window: Duration) -> Self {
        Self { chart: window, flux: window, longhorn: window, k3s: window, other: window }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sample: Duration::from_secs(10),
            settle: 2 * MINUTE,
            windows: Windows::default(),
            components: BTreeMap::new(),
            good: 5,
            bad: 3,
            bad_of: 5,
            failure_rate: 0.1,
            flaps: 3,
            node_restart: 5 * MINUTE,
            cap: 120 * MINUTE,
        }
    }
}

impl Settings {
    /// The window of a component.
    pub fn window(&self, component: &str, kind: &str) -> Duration {
        self.components.get(component).and_then(|own| own.window).unwrap_or(match kind {
            "helm" | "oci" | "chart" => self.windows.chart,
            "flux" => self.windows.flux,
            "longhorn" => self.windows.longhorn,
            "k3s" => self.windows.k3s,
            _ => self.windows.other,
        })
    }

    /// The settle time of a component.
    pub fn settle(&self, component: &str) -> Duration {
        self.components.get(component).and_then(|own| own.settle).unwrap_or(self.settle)
    }

    /// Whether findings of a check count against a component wherever in the cluster they are.
    pub fn counts(&self, component: &str, check: &str) -> bool {
        self.components.get(component).is_some_and(|own| own.counts.iter().any(|counted| counted == check))
    }

    /// The longest time for a component.
    pub fn cap(&self, component: &str) -> Duration {
        self.components.get(component).and_then(|own| own.cap).unwrap_or(self.cap)
    }

    /// How long a node of this update may be away: never longer than what the user is ready to watch.
    pub fn node_restart(&self, component: &str, kind: &str) -> Duration {
        self.node_restart.min(self.window(component, kind))
    }
}
