//! All upstreams together, and the channels of k3s.

use super::*;

#[tokio::test]
async fn k3s_channels_are_read_in_every_form() {
    let server = FakeUpstream::start().await;
    server.serve(
        "/v1-release/channels",
        r#"{"type":"collection","data":[{"id":"stable","latest":"v1.36.4+k3s1"},{"id":"v1.16"},{"id":"odd","latest":"<b>"}]}"#,
    );
    let (http, url) = (http(None), |path: &str| server.url(path).to_string());
    assert_eq!(
        k3s::channel(&http, &url("/v1-release/channels/stable")).await.unwrap().as_deref(),
        Some("v1.36.4+k3s1")
    );
    assert_eq!(k3s::channel(&http, &url("/v1-release/channels/v1.16")).await.unwrap(), None);
    assert!(k3s::channel(&http, &url("/v1-release/channels/odd")).await.is_err());
    server.take_log();

    let tag = "https://github.com/k3s-io/k3s/releases/tag/v1.33.4%2Bk3s1";
    server.fail("/mine/channels/stable", Fault::Redirect(302, tag.to_owned()));
    assert_eq!(
        k3s::channel(&http, &url("/mine/channels/stable")).await.unwrap().as_deref(),
        Some("v1.33.4+k3s1")
    );
    assert_eq!(server.statuses(), [404, 302], "the redirect was not followed");

    server.fail("/other/stable", Fault::Redirect(302, "/login".to_owned()));
    server.serve("/page/stable", "<html>Sign in</html>");
    server.serve("/json/stable", r#"{"id":"stable","latest":"v1.30.0+k3s1"}"#);
    server.serve("/text/stable", "stable");
    for path in ["/other/stable", "/page/stable", "/text/stable", "/none/stable"] {
        assert!(k3s::channel(&http, &url(path)).await.is_err(), "{path}");
    }
    assert_eq!(k3s::channel(&http, &url("/json/stable")).await.unwrap().as_deref(), Some("v1.30.0+k3s1"));
}

#[derive(Default)]
struct Counted(Mutex<(usize, BTreeSet<UpstreamRef>)>);

impl Progress for Counted {
    fn started(&self, total: usize) {
        self.0.lock().unwrap().0 = total;
    }

    fn finished(&self, upstream: &UpstreamRef) {
        assert!(self.0.lock().unwrap().1.insert(upstream.clone()), "{upstream:?} finished twice");
    }
}

#[tokio::test]
async fn every_upstream_is_asked_once_and_one_that_fails_costs_no_other() {
    let (server, folder) = (FakeUpstream::start().await, tempfile::tempdir().unwrap());
    let mut wanted = BTreeSet::new();
    for repository in 0..20 {
        server.serve(&format!("/{repository}/index.yaml"), index(5, 4));
        for chart in 0..5 {
            wanted.insert(UpstreamRef::HelmChart {
                repository: server.url(&format!("/{repository}")).to_string(),
                chart: format!("chart-{chart}"),
            });
        }
    }
    for repository in ["not a url".to_owned(), server.url("/none").to_string()] {
        wanted.insert(UpstreamRef::HelmChart { repository, chart: "x".to_owned() });
    }
    for (round, status) in [200, 304].into_iter().enumerate() {
        let context = Context::new(
            http(Some(folder.path())),
            GithubOptions::default(),
            GitOptions::default(),
            OciOptions::default(),
            OsvOptions::default(),
        );
        let progress = Arc::new(Counted::default());
        let client = UpstreamClient::new(Arc::new(context)).with_progress(progress.clone());
        let (mut good, mut bad) = (0, 0);
        client
            .ask_all(
                wanted.iter().map(|upstream| (upstream.clone(), Wanted::default())).collect(),
                &mut |_, answer| match answer {
                    Ok(answer) => {
                        assert_eq!(answer.candidates.len(), 4);
                        good += 1;
                    }
                    Err(_) => bad += 1,
                },
            )
            .await;
        assert_eq!((good, bad), (100, 2), "round {round}");
        assert_eq!(*progress.0.lock().unwrap(), (102, wanted.clone()));
        let mut statuses = server.statuses();
        statuses.sort_unstable();
        let mut expected = vec![status; 20];
        expected.push(404);
        assert_eq!(statuses, expected, "round {round}");
    }
}
