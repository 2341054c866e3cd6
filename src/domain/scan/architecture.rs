//! Architectures of the nodes that manifests ask for.

use crate::domain::manifest::document::{Document, NodeId};
use crate::domain::manifest::route::Pattern;

use super::FileScan;

/// Label of a node's architecture, and its name before Kubernetes 1.14.
const LABELS: [&str; 2] = ["kubernetes.io/arch", "beta.kubernetes.io/arch"];

/// What a `nodeSelector` or a node affinity wants: such nodes are in the cluster.
pub(super) fn read(document: &Document<'_>, root: NodeId, scan: &mut FileScan) {
    if memchr::memmem::find(document.source().as_bytes(), b"kubernetes.io/arch").is_none() {
        return;
    }
    let select = |pattern| Pattern::parse(pattern).map(|pattern| document.select(root, &pattern));
    for selector in select("/**/nodeSelector").unwrap_or_default() {
        let wanted = LABELS.iter().filter_map(|label| document.scalar_at(selector, &[label]));
        scan.architectures.extend(wanted.filter(|name| is_architecture(name)).map(str::to_owned));
    }
    for expression in select("/**/matchExpressions/*").unwrap_or_default() {
        let labelled = document.scalar_at(expression, &["key"]).is_some_and(|key| LABELS.contains(&key));
        if labelled
            && document.scalar_at(expression, &["operator"]) == Some("In")
            && let Some(values) = document.get(expression, "values")
        {
            let names = document.children(values).filter_map(|(_, value)| document.scalar(value));
            scan.architectures.extend(names.filter(|name| is_architecture(name)).map(str::to_owned));
        }
    }
}

/// A name as Go's `GOARCH` has it, no variable or template.
fn is_architecture(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::domain::scan::scan_file;

    #[test]
    fn architectures_that_manifests_ask_for_are_read() {
        for (text, expected) in [
            ("spec: {nodeSelector: {kubernetes.io/arch: arm64, disk: ssd}}\n", ["arm64"].as_slice()),
            ("spec: {values: {nodeSelector: {beta.kubernetes.io/arch: amd64}}}\n", &["amd64"]),
            (
                "a:\n- matchExpressions:\n  - {key: kubernetes.io/arch, operator: In, values: [arm64, amd64]}\n",
                &["amd64", "arm64"],
            ),
            ("a: {matchExpressions: [{key: kubernetes.io/arch, operator: NotIn, values: [arm]}]}\n", &[]),
            ("spec: {nodeSelector: {kubernetes.io/arch: \"${ARCH}\"}}\n", &[]),
            ("labels: {kubernetes.io/arch: arm64}\n", &[]),
        ] {
            let scan = scan_file("a.yaml", text.as_bytes(), &[]);
            assert!(scan.architectures.iter().eq(expected), "{text}: {:?}", scan.architectures);
        }
    }
}
