//! Manifests that several worlds have.

/// Where the charts of the worlds are published.
pub(crate) const SOURCE: &str = "\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: example, namespace: apps}
spec: {url: https://charts.example.com}
";

/// A release of a chart of [`SOURCE`] in the namespace `apps`, with these lines at its end.
pub(crate) fn release(name: &str, version: &str, more: &str) -> String {
    format!(
        "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: apps}}
spec:
  chart:
    spec:
      chart: {name}
      version: {version} # kept
      sourceRef: {{kind: HelmRepository, name: example}}
{more}"
    )
}
