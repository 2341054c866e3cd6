//! What the benchmarks work on: a repository and indexes of any size, the same in every run.

use std::fmt::Write as _;

/// Versions of every chart and image.
pub(crate) const VERSIONS: usize = 50;
/// The minor version that is installed; 200 indexes of 140 kB are the 28 MB that figures are promised for.
pub(crate) const INSTALLED: usize = 40;
const INDEX_BYTES: usize = 140_000;

/// Name of a chart.
pub(crate) fn chart(number: usize) -> String {
    format!("chart-{number}")
}

/// Name of an index.
pub(crate) fn index(number: usize) -> String {
    format!("charts-{number:03}")
}

/// Path and text of every file of a repository: one folder a release, one file a chart repository or image.
pub(crate) fn files(server: &str, releases: usize, indexes: usize, images: usize) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut write = |path: &str, text: &str| files.push((path.to_owned(), text.to_owned()));
    let mut sources = String::from("resources:\n");
    for number in 0..indexes {
        let name = index(number);
        writeln!(sources, "  - {name}.yaml").unwrap();
        write(
            &format!("sources/{name}.yaml"),
            &format!(
                "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata:\n  name: {name}\n  namespace: flux-system\nspec:\n  interval: 1h\n  url: http://{server}/charts/{name}\n"
            ),
        );
    }
    write("sources/kustomization.yaml", &kustomization("", &sources));
    let mut apps = String::from("resources:\n");
    for release in 0..releases {
        let name = format!("release-{release:04}");
        writeln!(apps, "  - {name}").unwrap();
        let (chart, index) = (chart(release / indexes), index(release % indexes));
        write(&format!("apps/{name}/helmrelease.yaml"), &helm_release(&name, &chart, &index));
        write(
            &format!("apps/{name}/kustomization.yaml"),
            &kustomization(&format!("team-{:02}", release % 20), "resources:\n  - helmrelease.yaml\n"),
        );
    }
    for image in 0..images {
        let name = format!("image-{image:04}");
        writeln!(apps, "  - {name}.yaml").unwrap();
        write(&format!("apps/{name}.yaml"), &deployment(&name, server));
    }
    write("apps/kustomization.yaml", &kustomization("", &apps));
    for part in ["sources", "apps"] {
        write(
            &format!("clusters/home/{part}.yaml"),
            &format!(
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: {part}\n  namespace: flux-system\nspec:\n  interval: 10m\n  path: ./{part}\n  prune: true\n  sourceRef:\n    kind: GitRepository\n    name: flux-system\n"
            ),
        );
    }
    files
}

fn kustomization(namespace: &str, rest: &str) -> String {
    let mut text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n".to_owned();
    if !namespace.is_empty() {
        writeln!(text, "namespace: {namespace}").unwrap();
    }
    text + rest
}

/// As people write them: values of forty lines, without an image of their own.
fn helm_release(name: &str, chart: &str, index: &str) -> String {
    let mut text = format!(
        "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: {name}\nspec:\n  interval: 30m\n  chart:\n    spec:\n      chart: {chart}\n      version: 1.{INSTALLED}.0\n      sourceRef:\n        kind: HelmRepository\n        name: {index}\n        namespace: flux-system\n  install:\n    remediation:\n      retries: 3\n  values:\n    replicaCount: 2\n    ingress:\n      enabled: true\n      className: internal\n      annotations:\n        cert-manager.io/cluster-issuer: letsencrypt\n      hosts:\n        - host: &host {name}.example.org\n          paths:\n            - path: /\n              pathType: Prefix\n      tls:\n        - hosts: [*host]\n          secretName: {name}-tls\n    resources:\n      requests: {{cpu: 10m, memory: 64Mi}}\n      limits: {{memory: 256Mi}}\n    env:\n"
    );
    for number in 0..10 {
        writeln!(text, "      # what setting {number} is for\n      SETTING_{number}: \"value {number}\"")
            .unwrap();
    }
    text
}

fn deployment(name: &str, server: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: apps\n  labels: &labels\n    app.kubernetes.io/name: {name}\nspec:\n  replicas: 1\n  selector:\n    matchLabels: *labels\n  template:\n    metadata:\n      labels: *labels\n    spec:\n      containers:\n        - name: app\n          image: {server}/team/{name}:1.{INSTALLED}.0\n          ports:\n            - containerPort: 8080\n          resources:\n            requests: {{cpu: 10m, memory: 64Mi}}\n"
    )
}

/// As `helm repo index` writes it, newest version first.
pub(crate) fn helm_index(repository: &str, charts: usize) -> String {
    let mut text = String::from("apiVersion: v1\nentries:\n");
    let filler = INDEX_BYTES / (charts * VERSIONS);
    for number in 0..charts {
        let name = chart(number);
        writeln!(text, "  {name}:").unwrap();
        for minor in (0..VERSIONS).rev() {
            let start = text.len();
            let (month, day) = (minor / 28 + 1, minor % 28 + 1);
            write!(
                text,
                "  - apiVersion: v2\n    appVersion: 2.{minor}.1\n    created: \"2026-{month:02}-{day:02}T10:00:00.123456789Z\"\n    digest: {minor:064x}\n    home: https://example.org/{name}\n    maintainers:\n    - email: charts@example.org\n      name: charts\n    name: {name}\n    sources:\n    - https://github.com/example/{repository}\n    type: application\n    urls:\n    - https://example.org/{repository}/{name}-1.{minor}.0.tgz\n    version: 1.{minor}.0\n    description: "
            )
            .unwrap();
            let missing = filler.saturating_sub(text.len() - start + 1);
            text.extend("what the chart is for ".chars().cycle().take(missing));
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
    }
    text.push_str("generated: \"2026-11-01T10:00:00Z\"\n");
    text
}
