//! What `detect` is asked to do.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::config::{Config, Selector};

/// What to look at, and how.
#[derive(Debug, Clone)]
pub struct DetectRequest {
    /// Repository or folder, as given.
    pub path: PathBuf,
    /// Revision to read instead of the working tree.
    pub rev: Option<String>,
    /// The validated configuration; the defaults where there is none.
    pub config: Config,
    /// Cached answers only.
    pub offline: bool,
    /// Only components that one of these names; empty = all.
    pub components: Vec<Selector>,
    /// Also ask what needs a request of its own for each target.
    pub deep: bool,
    /// When the report is made.
    pub now: Timestamp,
}

impl DetectRequest {
    /// Whether the component is wanted: looked for, and named by the filter where there is one.
    pub fn wants(&self, id: &str, kind: &str) -> bool {
        let named =
            self.components.is_empty() || self.components.iter().any(|selector| selector.matches(id, kind));
        named && self.config.settings_for(id, kind).enabled.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_and_configuration_both_decide_what_is_wanted() {
        let mut request = DetectRequest {
            path: PathBuf::new(),
            rev: None,
            config: Config::default(),
            offline: false,
            components: vec![],
            deep: false,
            now: Timestamp::UNIX_EPOCH,
        };
        assert!(request.wants("helm/a/b", "helm"));
        request.components = ["k3s", "helm/a/*"].map(|text| Selector::read(text).unwrap()).to_vec();
        for (id, kind, wanted) in [
            ("helm/a/b", "helm", true),
            ("staging:helm/a/b", "helm", true),
            ("helm/c/b", "helm", false),
            ("staging:k3s", "k3s", true),
            ("flux", "flux", false),
        ] {
            assert_eq!(request.wants(id, kind), wanted, "{id}");
        }
    }
}
