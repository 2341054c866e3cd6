//! Which objects a patch is for.

use regex::Regex;

use crate::domain::gotk::tree::Node;

/// A selector of kustomize. Missing parts match everything.
pub(super) struct Target {
    group: Option<String>,
    version: Option<String>,
    kind: Option<String>,
    /// A name, or an expression that must match the whole name.
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
}

/// One part of a label selector.
struct Requirement {
    key: String,
    /// `None` asks for the key alone.
    value: Option<String>,
    /// Whether it must be so, or must not.
    wanted: bool,
}

impl Target {
    /// Reads the `target` of an entry.
    ///
    /// # Errors
    ///
    /// An expression or a selector that is not understood here.
    pub(super) fn read(node: &Node) -> Result<Self, String> {
        let text = |key: &str| node.text_at(&[key]).filter(|text| !text.is_empty()).map(str::to_owned);
        let whole = |key: &str| {
            text(key)
                .map(|text| {
                    Regex::new(&format!("^(?:{text})$"))
                        .map_err(|_| format!("the {key} `{text}` of its target is no expression"))
                })
                .transpose()
        };
        Ok(Self {
            group: text("group"),
            version: text("version"),
            kind: text("kind"),
            name: whole("name")?,
            namespace: whole("namespace")?,
            labels: requirements(text("labelSelector").as_deref())?,
            annotations: requirements(text("annotationSelector").as_deref())?,
        })
    }

    /// The object that a patch names itself.
    pub(super) fn of(patch: &Node) -> Self {
        let exactly =
            |text: Option<&str>| text.and_then(|text| Regex::new(&format!("^{}$", regex::escape(text))).ok());
        let (group, version) = group_version(patch);
        Self {
            group: Some(group),
            version: Some(version),
            kind: Some(patch.kind().to_owned()),
            name: exactly(Some(patch.name())),
            namespace: exactly(patch.text_at(&["metadata", "namespace"])),
            labels: Vec::new(),
            annotations: Vec::new(),
        }
    }

    pub(super) fn matches(&self, object: &Node) -> bool {
        let (group, version) = group_version(object);
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let is_like =
            |wanted: &Option<Regex>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted.is_match(found));
        let meets = |requirements: &[Requirement], key: &str| {
            requirements.iter().all(|requirement| requirement.is_met(object.at(&["metadata", key])))
        };
        is(&self.group, &group)
            && is(&self.version, &version)
            && is(&self.kind, object.kind())
            && is_like(&self.name, object.name())
            && is_like(&self.namespace, object.text_at(&["metadata", "namespace"]).unwrap_or_default())
            && meets(&self.labels, "labels")
            && meets(&self.annotations, "annotations")
    }
}

impl Requirement {
    fn is_met(&self, labels: Option<&Node>) -> bool {
        let found = labels.and_then(|labels| labels.text_at(&[self.key.as_str()]));
        let holds = match &self.value {
            Some(value) => found == Some(value),
            None => found.is_some(),
        };
        holds == self.wanted
    }
}

/// `apps` and `v1` of `apps/v1`.
fn group_version(object: &Node) -> (String, String) {
    let api = object.text_at(&["apiVersion"]).unwrap_or_default();
    let (group, version) = api.split_once('/').unwrap_or(("", api));
    (group.to_owned(), version.to_owned())
}

/// Reads `a=b,c!=d,e,!f`; sets (`in`, `notin`) are not understood.
fn requirements(selector: Option<&str>) -> Result<Vec<Requirement>, String> {
    let Some(selector) = selector else { return Ok(Vec::new()) };
    let requirement = |part: &str| {
        let part = part.trim();
        let (key, value, wanted) = if let Some((key, value)) = part.split_once("!=") {
            (key, Some(value), false)
        } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            (key, Some(value), true)
        } else if let Some(key) = part.strip_prefix('!') {
            (key, None, false)
        } else {
            (part, None, true)
        };
        let (key, value) = (key.trim(), value.map(|value| value.trim().to_owned()));
        let is_key = !key.is_empty() && !key.contains([' ', '(', ')']);
        is_key
            .then(|| Requirement { key: key.to_owned(), value, wanted })
            .ok_or_else(|| format!("the selector `{selector}` of its target is not understood"))
    };
    selector.split(',').map(requirement).collect()
}
