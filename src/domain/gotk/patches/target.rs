//! Which objects a patch is for.

use regex::Regex;

use crate::domain::gotk::tree::Node;
use crate::domain::selector::Selector;

/// A selector of kustomize. Missing parts match everything.
pub(super) struct Target {
    group: Option<String>,
    version: Option<String>,
    kind: Option<String>,
    /// A name, or an expression that must match the whole name.
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Option<Selector>,
    annotations: Option<Selector>,
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
        let selector = |key: &str| {
            text(key)
                .map(|text| {
                    Selector::parse(&text)
                        .ok_or_else(|| format!("the selector `{text}` of its target is not understood"))
                })
                .transpose()
        };
        Ok(Self {
            group: text("group"),
            version: text("version"),
            kind: text("kind"),
            name: whole("name")?,
            namespace: whole("namespace")?,
            labels: selector("labelSelector")?,
            annotations: selector("annotationSelector")?,
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
            labels: None,
            annotations: None,
        }
    }

    pub(super) fn matches(&self, object: &Node) -> bool {
        let (group, version) = group_version(object);
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let is_like =
            |wanted: &Option<Regex>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted.is_match(found));
        let meets = |selector: &Option<Selector>, marks: &str| {
            let marks = object.at(&["metadata", marks]);
            selector.as_ref().is_none_or(|selector| selector.matches(|key| marks?.text_at(&[key])))
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

/// `apps` and `v1` of `apps/v1`.
fn group_version(object: &Node) -> (String, String) {
    let api = object.text_at(&["apiVersion"]).unwrap_or_default();
    let (group, version) = api.split_once('/').unwrap_or(("", api));
    (group.to_owned(), version.to_owned())
}
