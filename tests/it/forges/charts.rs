//! Archives of charts, from a chart repository and from a registry.

use flate2::Compression;
use flate2::write::GzEncoder;
use gitops_updater::domain::upstream::{FailureClass, UpstreamRef};
use gitops_updater::upstream::chart_archive::chart;
use serde_json::json;

use super::super::support::fake_registry::{Door, FakeRegistry, digest};
use super::super::support::fake_upstream::FakeUpstream;
use super::Setting;

/// An archive as `helm package` makes it.
fn archive(version: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let about = format!("apiVersion: v2\nname: app\nversion: {version}\nkubeVersion: '>=1.30'\n");
    for (name, content) in [("app/Chart.yaml", about.as_str()), ("app/values.yaml", "replicas: 1\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn an_archive_of_a_chart_repository_is_found_by_its_index_and_checked() {
    let server = FakeUpstream::start().await;
    let good = archive("1.1.0");
    let sum = digest(&good);
    let sum = sum.strip_prefix("sha256:").unwrap();
    server.serve(
        "/charts/index.yaml",
        format!(
            "apiVersion: v1\nentries:\n  app:\n  - version: 1.1.0\n    digest: {sum}\n    urls: [files/app-1.1.0.tgz]\n  - version: 1.0.0\n    digest: {sum}\n    urls: [files/app-1.0.0.tgz]\n  - version: 0.9.0\n    urls: ['oci://example.org/app']\n"
        ),
    );
    server.serve("/charts/files/app-1.1.0.tgz", &good);
    server.serve("/charts/files/app-1.0.0.tgz", archive("1.0.0"));
    let context = Setting::default().context();
    let upstream =
        UpstreamRef::HelmChart { repository: server.url("/charts").to_string(), chart: "app".to_owned() };
    let found = chart(&context, &upstream, "v1.1.0").await.unwrap();
    assert_eq!((found.name.as_str(), found.version.as_str()), ("app", "1.1.0"));
    assert_eq!(found.kube_version.as_deref(), Some(">=1.30"));
    let changed = chart(&context, &upstream, "1.0.0").await.unwrap_err();
    assert_eq!(changed.class, FailureClass::Permanent);
    assert!(changed.message.contains("is not what the index promises"), "{}", changed.message);
    for missing in ["0.9.0", "3.0.0"] {
        let failure = chart(&context, &upstream, missing).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::NotFound, "{missing}: {}", failure.message);
    }
}

#[tokio::test]
async fn an_archive_of_a_registry_is_the_layer_of_its_tag_and_checked() {
    let fake = FakeRegistry::start().await;
    let registry = fake.served.authority();
    fake.door(Door::AnonymousToken);
    let layer = fake.bytes("charts/app", archive("1.1.0+b1"));
    let config = json!({"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": format!("sha256:{}", "0".repeat(64))});
    let layers =
        json!([{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": layer}]);
    fake.manifest("charts/app", Some("1.1.0_b1"), &json!({"config": config, "layers": layers}));
    fake.manifest("charts/app", Some("1.0.0"), &json!({"config": config, "layers": []}));
    let context = Setting::default().plain_http(&registry).context();
    let upstream =
        UpstreamRef::Oci { registry: registry.clone(), repository: "charts/app".to_owned(), chart: true };
    let found = chart(&context, &upstream, "1.1.0+b1").await.unwrap();
    assert_eq!(found.version, "1.1.0+b1");
    let none = chart(&context, &upstream, "1.0.0").await.unwrap_err();
    assert!(none.message.contains("holds no chart archive"), "{}", none.message);
    fake.corrupt_blob("charts/app", &layer, archive("6.6.6"));
    let changed = chart(&context, &upstream, "1.1.0+b1").await.unwrap_err();
    assert!(changed.message.contains("not what its digest says"), "{}", changed.message);
    let image = UpstreamRef::Oci { registry, repository: "charts/app".to_owned(), chart: false };
    assert!(chart(&context, &image, "1.0.0").await.is_err());
}
