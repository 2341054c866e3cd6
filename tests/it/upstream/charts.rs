//! Indexes of charts, and the archives that they name.

use super::*;

#[tokio::test]
async fn mapped_folder_answers_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"entries:\n  demo:\n  - version: 1.10\n").unwrap();
    std::fs::write(folder.path().join("index.yaml.gz"), packed.finish().unwrap()).unwrap();
    let base = Url::parse("https://charts.example.com").unwrap();
    let mapping = Mapping::new(vec![(base, Target::Path(folder.path().to_path_buf()))]);
    for offline in [false, true] {
        let http = Http::new(HttpOptions { mapping: mapping.clone(), offline, ..options(None) }).unwrap();
        let answers =
            helm_index::charts(&http, "https://charts.example.com/", BTreeSet::from(["demo".into()])).await;
        assert_eq!(answers[0].1.as_ref().unwrap().candidates[0].version, "1.10");
        let missing = text(&http, &Url::parse("https://charts.example.com/none").unwrap()).await.unwrap_err();
        assert_eq!(missing.class, FailureClass::NotFound);
        assert!(missing.message.contains("is mapped to"), "{missing}");
    }
}

/// An index with one version of `demo` whose archive is at `url`.
fn index_with_archive(url: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nentries:\n  demo:\n  - name: demo\n    version: 1.2.3\n    urls: [{url}]\n{more}"
    )
}

#[tokio::test]
async fn archive_is_looked_for_where_the_index_says() {
    let server = FakeUpstream::start().await;
    server.serve("/charts/demo-1.2.3.tgz", "archive");
    server.serve("/elsewhere/demo.tgz", "archive");
    let absolute = server.url("/elsewhere/demo.tgz").to_string();
    let digest = format!("    digest: {}\n", "ab".repeat(32));
    for (url, more, available, digested) in [
        ("demo-1.2.3.tgz", "", Some(true), false),
        ("demo-1.2.3.tgz", &*digest, Some(true), true),
        ("/elsewhere/demo.tgz", "", Some(true), false),
        (&*absolute, "", Some(true), false),
        ("gone-1.2.3.tgz", "", Some(false), false),
        ("oci://registry.example.com/demo:1.2.3", "", None, false),
        ("file:///etc/passwd", "", None, false),
    ] {
        server.serve("/charts/index.yaml", index_with_archive(url, more));
        let repository = server.url("/charts").to_string();
        let checks = helm_index::inspect(&http(None), &repository, "demo", "v1.2.3").await.unwrap();
        assert_eq!(checks.archive_available, available, "{url}");
        assert_eq!(checks.digest, digested.then(|| format!("sha256:{}", "ab".repeat(32))), "{url}");
    }
    server.serve("/charts/index.yaml", index_with_archive("demo-1.2.3.tgz", ""));
    let repository = server.url("/charts").to_string();
    for (chart, version) in [("demo", "9.9.9"), ("other", "1.2.3")] {
        let failure = helm_index::inspect(&http(None), &repository, chart, version).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::NotFound, "{chart} {version}");
        assert!(failure.message.contains(&format!("no version {version} of chart `{chart}`")), "{failure}");
    }
}

/// Every form in which an index may be written, and the one that was just read is not asked for again.
#[tokio::test]
async fn archive_is_found_in_every_form_of_an_index_and_the_index_is_asked_for_once() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/charts/demo-1.2.3.tgz", "archive");
    let repository = server.url("/charts").to_string();
    let block = index_with_archive("demo-1.2.3.tgz", "");
    let json = r#"{"entries": {"demo": [{"name": "demo", "version": "1.2.3", "urls": ["demo-1.2.3.tgz"]}]}}"#;
    let flow = "entries: {demo: [{name: demo, version: 1.2.3, urls: [demo-1.2.3.tgz]}]}\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(block.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    for form in [block.as_bytes(), json.as_bytes(), flow.as_bytes(), &packed] {
        server.serve("/charts/index.yaml", form);
        let http = http(Some(folder.path()));
        let asked = helm_index::charts(&http, &repository, BTreeSet::from(["demo".to_owned()])).await;
        assert!(asked[0].1.is_ok());
        server.take_log();
        let checks = helm_index::inspect(&http, &repository, "demo", "1.2.3").await.unwrap();
        assert_eq!(checks.archive_available, Some(true));
        let paths: Vec<_> = server.take_log().into_iter().map(|asked| asked.path).collect();
        assert_eq!(paths, ["/charts/demo-1.2.3.tgz"]);
    }
}

#[tokio::test]
async fn an_archive_that_nobody_could_look_for_is_a_failure_and_no_answer() {
    let server = FakeUpstream::start().await;
    server.serve("/charts/index.yaml", index_with_archive("demo-1.2.3.tgz", ""));
    server.serve("/charts/demo-1.2.3.tgz", "archive");
    let repository = server.url("/charts").to_string();
    server.protect("/charts/demo-1.2.3.tgz", "Bearer x");
    let failure = helm_index::inspect(&http(None), &repository, "demo", "1.2.3").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Denied);
    for _ in 0..3 {
        server.fail("/charts/demo-1.2.3.tgz", Fault::Status(503, vec![]));
    }
    let failure = helm_index::inspect(&http(None), &repository, "demo", "1.2.3").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient);
}

#[tokio::test]
async fn unchanged_index_is_not_read_again() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    server.serve("/charts/index.yaml", index(3, 5));
    let repository = server.url("/charts").to_string();
    let ask = async |charts: &[&str]| {
        let charts = charts.iter().map(|name| (*name).to_owned()).collect();
        helm_index::charts(&http(Some(folder.path())), &repository, charts).await
    };
    let cold = ask(&["chart-0", "chart-1"]).await;
    // Without its body the stored index can only answer by its extract.
    let body = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "body"))
        .unwrap();
    let content = std::fs::read(&body).unwrap();
    std::fs::write(&body, vec![b'#'; content.len()]).unwrap();
    assert_eq!(ask(&["chart-0", "chart-1"]).await, cold);
    assert_eq!(server.statuses(), [200, 304]);
    // A chart that the extract does not have needs the body, whose damage is noticed.
    assert_eq!(ask(&["chart-2"]).await[0].1.as_ref().unwrap().candidates.len(), 5);
    assert_eq!(server.statuses(), [304, 304, 200]);
    assert_eq!(ask(&["chart-0", "chart-1"]).await, cold);
}

#[tokio::test]
async fn missing_chart_is_told_with_names_like_it() {
    let server = FakeUpstream::start().await;
    server.serve("/index.yaml", "entries:\n  longhorn:\n  - version: 1.0.0\n  empty: []\n");
    let charts = ["longhron", "empty"].map(str::to_owned).into();
    let answers = helm_index::charts(&http(None), server.url("").as_str(), charts).await;
    let messages: Vec<String> = answers
        .into_iter()
        .map(|(_, answer)| answer.unwrap_err())
        .inspect(|failure| assert_eq!(failure.class, FailureClass::NotFound))
        .map(|failure| failure.message.replace(&server.authority(), "HOST"))
        .collect();
    insta::assert_snapshot!(messages.join("\n"), @r"
    `http://HOST/index.yaml` lists no version of chart `empty`
    `http://HOST/index.yaml` has no chart `longhron`; did you mean `longhorn`?
    ");
}

#[tokio::test]
async fn index_of_sixty_megabytes_is_read_and_a_larger_one_than_the_bound_is_refused() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let mut large = index(1, 3);
    let padding = format!("  - name: padding\n    description: {}\n", "x".repeat(10_000));
    large = large.replace("generated:", &format!("  padding:\n{}generated:", padding.repeat(6_000)));
    assert!(large.len() > 60_000_000);
    server.serve("/index.yaml", &large);
    let ask = async || {
        let charts = BTreeSet::from(["chart-0".to_owned()]);
        helm_index::charts(&http(Some(folder.path())), server.url("").as_str(), charts).await.remove(0).1
    };
    assert_eq!(ask().await.unwrap().candidates.len(), 3);
    large.push_str(&"# more\n".repeat(6_000_000));
    server.serve("/index.yaml", &large);
    let failure = ask().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("larger than"), "{failure}");
}
