//! Upstreams that refuse, limit, lie or break, one beside those that answer.

use serde_json::json;

use super::world::{World, problems, reduced, versions};
use crate::support::fake_git::Manner;
use crate::support::fake_github::Fault as GithubFault;
use crate::support::fake_registry::Door;
use crate::support::fake_upstream::Fault;
use crate::support::snapshot::snapshot;

#[test]
fn missing_credentials_are_told_at_once_and_nobody_is_asked_twice() {
    let world = World::home();
    world.web.protect("/charts/index.yaml", "Basic bm9ib2R5OnNlY3JldA==");
    world.registry.door(Door::TokenFor("Basic bm9ib2R5OnNlY3JldA==".to_owned()));
    world.git.manner(Manner::Unauthorized);
    for _ in 0..2 {
        world.github.fail(GithubFault::new(401));
    }
    let report = world.report(&[]);
    snapshot!(reduced(&report), @r#"
    flux: unresolved v2.8.5 -> -; reason cannot list releases of `fluxcd/flux2` on github.com: github.com answers nobody without a token; set `GITHUB_TOKEN`, or `upstreams.github.token_env`
      clusters/home/flux-system/gotk-components.yaml:3 v2.8.5
    git/git.example.com/site: unresolved v1.0.0 -> -; reason `http://git.test/site` answered 401: `git.test` wants credentials and none are configured for it; set `upstreams.hosts."git.test".token_env`, or `username_env` and `password_env`, or log in so that docker's config.json has an entry for `git.test`; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`
      apps/site.yaml:10 v1.0.0
    helm/apps/blog: unresolved 0.4.0 -> -; reason `http://registry.test/v2/example/charts/blog/tags/list?n=…` answered 401: `registry.test` wants credentials and none are configured for it; set `upstreams.hosts."registry.test".token_env`, or `username_env` and `password_env`, or log in so that docker's config.json has an entry for `registry.test`; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`
      apps/blog.yaml:10 0.4.0
    helm/apps/podinfo: unresolved 6.5.0 -> -; reason `http://web.test/charts/index.yaml` answered 401: `web.test` wants credentials and none are configured for it; set `upstreams.hosts."web.test".token_env`, or `username_env` and `password_env`, or log in so that docker's config.json has an entry for `web.test`; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`
      apps/podinfo.yaml:20 6.5.0
    image/ghcr.io/example/web: unresolved 1.2.0-alpine -> -; reason `http://registry.test/v2/example/web/tags/list?n=…` answered 401: `registry.test` wants credentials and none are configured for it; set `upstreams.hosts."registry.test".token_env`, or `username_env` and `password_env`, or log in so that docker's config.json has an entry for `registry.test`; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`
      apps/web.yaml:11 1.2.0-alpine
    k3s: unresolved v1.33.4+k3s1 -> -; reason cannot list releases of `k3s-io/k3s` on github.com: github.com answers nobody without a token; set `GITHUB_TOKEN`, or `upstreams.github.token_env`
      clusters/home/apps.yaml:29 v1.33.4+k3s1
    problem (authentication) https://charts.example.com: `http://web.test/charts/index.yaml` answered 401: `web.test` wants credentials and none are configured for it; set `upstreams.hosts."web.test".token_env`, or `username_env` and `password_env`, or log in so that docker's config.json has an entry for `web.test`; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`
    problem (authentication) https://git.example.com/site: `http://git.test/site` answered 401: `git.test` wants credentials and none are configured for it; set `upstreams.hosts."git.test".token_env`, or `username_env` and `password_env`, or log in so that docker's config.json has an entry for `git.test`; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`
    problem (authentication) https://github.com/fluxcd/flux2: cannot list releases of `fluxcd/flux2` on github.com: github.com answers nobody without a token; set `GITHUB_TOKEN`, or `upstreams.github.token_env`
    problem (authentication) https://update.k3s.io/v1-release/channels: cannot list releases of `k3s-io/k3s` on github.com: github.com answers nobody without a token; set `GITHUB_TOKEN`, or `upstreams.github.token_env`
    problem (authentication) oci://ghcr.io/example/charts/blog: `http://registry.test/v2/example/charts/blog/tags/list?n=…` answered 401: `registry.test` wants credentials and none are configured for it; set `upstreams.hosts."registry.test".token_env`, or `username_env` and `password_env`, or log in so that docker's config.json has an entry for `registry.test`; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`
    problem (authentication) oci://ghcr.io/example/web: `http://registry.test/v2/example/web/tags/list?n=…` answered 401: `registry.test` wants credentials and none are configured for it; set `upstreams.hosts."registry.test".token_env`, or `username_env` and `password_env`, or log in so that docker's config.json has an entry for `registry.test`; they go by http:// only with `plain_http: true` beside them, in a file named with `--config`
    "#);
    for problem in report["problems"].as_array().unwrap() {
        assert_eq!(problem["category"], "authentication", "{problem}");
    }
    let asked = world.requests();
    assert_eq!(asked.iter().filter(|line| line.contains("index.yaml")).count(), 1, "{asked:#?}");
    assert_eq!(asked.iter().filter(|line| line.contains("/repos/k3s-io")).count(), 1, "{asked:#?}");
    assert_eq!(asked.iter().filter(|line| line.contains("/tags/list")).count(), 2, "{asked:#?}");
}

#[test]
fn forbidden_is_as_final_as_unauthorized() {
    let world = World::home();
    world.web.fail("/charts/index.yaml", Fault::Status(403, vec![]));
    let report = world.report(&["--component", "helm/apps/podinfo"]);
    assert_eq!(versions(&report, "helm/apps/podinfo").0, "unresolved");
    assert_eq!(report["problems"][0]["category"], "authentication");
    assert_eq!(world.requests(), ["403 /charts/index.yaml"]);
}

#[test]
fn server_that_asks_for_a_pause_gets_it() {
    let world = World::home();
    world.web.fail("/charts/index.yaml", Fault::Status(429, vec![("retry-after", "1".to_owned())]));
    let started = std::time::Instant::now();
    let report = world.report(&["--component", "helm/apps/podinfo"]);
    assert_eq!(versions(&report, "helm/apps/podinfo"), ("update_available", "6.5.0", "6.6.0"));
    assert!(started.elapsed().as_millis() >= 1000);
    assert_eq!(world.requests(), ["200 /charts/index.yaml", "429 /charts/index.yaml"]);
}

#[test]
fn server_that_asks_for_an_hour_is_left_alone_and_said_to_be() {
    let world = World::home();
    world.web.fail("/charts/index.yaml", Fault::Status(429, vec![("retry-after", "3600".to_owned())]));
    world.github.remaining(0);
    let report = world.report(&["--component", "helm/apps/podinfo", "--component", "flux"]);
    for problem in report["problems"].as_array().unwrap() {
        assert_eq!(problem["category"], "rate_limit", "{problem}");
    }
    assert_eq!(world.requests().len(), 2);
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]");
    settings.bind(|| insta::assert_snapshot!(problems(&report), @r"
    problem (rate_limit) https://charts.example.com: `http://web.test/charts/index.yaml` answered 429: too many requests; it accepts requests again at [time]
    problem (rate_limit) https://github.com/fluxcd/flux2: cannot list releases of `fluxcd/flux2` on github.com: github.com answers no more until [time]; without a token there are 60 requests an hour, with one 5,000: set `GITHUB_TOKEN`, or `upstreams.github.token_env`
    "));
}

#[test]
fn one_dead_upstream_costs_its_own_components_only() {
    let world = World::home();
    world.configure("  retries: 0\n");
    world.web.fail("/charts/index.yaml", Fault::Status(500, vec![]));
    let report = world.report(&[]);
    assert_eq!(report["summary"]["total_updates"], 5);
    assert_eq!(report["summary"]["unresolved"], 1);
    insta::assert_snapshot!(report["components"]["helm/apps/podinfo"]["reason"].as_str().unwrap(), @"`http://web.test/charts/index.yaml` answered 500");
}

#[test]
fn answers_that_are_no_answers_are_problems() {
    let page = "<!DOCTYPE html><html><body>Please log in</body></html>";
    let bomb = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![b'#'; 1 << 20];
        for _ in 0..300 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap()
    };
    for (name, index) in [
        ("web page", page.as_bytes().to_vec()),
        ("empty", Vec::new()),
        ("cut", b"apiVersion: v1\nentries:\n  podinfo:\n    - {name: podinfo, version: \"6.".to_vec()),
        ("cut json", b"{\"entries\": {\"podinfo\": [{\"version\": \"6.6.0\"".to_vec()),
        ("list", b"- a\n- b\n".to_vec()),
        ("wrong types", b"entries: {podinfo: {version: 7}}".to_vec()),
        ("versions that are none", b"entries: {podinfo: [{version: [1], urls: 7}, 8, null]}".to_vec()),
        ("nul", vec![0; 10_000]),
        ("alias of itself", b"entries: &a {podinfo: *a}".to_vec()),
        ("deep", [b"entries: ".to_vec(), vec![b'['; 100_000]].concat()),
        ("gzip bomb", bomb),
    ] {
        let world = World::home();
        world.web.serve("/charts/index.yaml", index);
        let output = world.detect(&["--format", "json", "--component", "helm/apps/podinfo"]).exited(0);
        let report = &output.json()["update_report"];
        let (status, _, available) = versions(report, "helm/apps/podinfo");
        assert_eq!((status, available), ("unresolved", "-"), "{name}: {output}");
        let reason = report["components"]["helm/apps/podinfo"]["reason"].as_str().unwrap();
        assert!(!reason.is_empty() && reason.len() < 400, "{name}: {reason}");
        assert!(!output.stderr.contains("panicked"), "{name}: {output}");
    }
}

#[test]
fn github_and_registry_answers_of_the_wrong_shape_are_problems() {
    for body in [
        "",
        "[",
        "{\"message\": \"moved\"}",
        "[{\"tag_name\": 7}]",
        "[null]",
        "<html><body>Sign in</body></html>",
        "{\"tags\": 7}",
        "{\"tags\": [1, {}]}",
    ] {
        let world = World::home();
        world.github.fail(GithubFault::new(200).body(body));
        let report = world.report(&["--component", "flux"]);
        assert_eq!(versions(&report, "flux").0, "unresolved", "{body}: {}", reduced(&report));
    }
    let world = World::home();
    world.web.serve("/charts/v2/example/web/tags/list", "{\"tags\": {\"a\": 1}}");
    let mirrors = world.mirrors().replace("{from: https://ghcr.io,", "{from: https://other.example.com,");
    let charts = world.web.url("/charts");
    std::fs::write(
        world.config_path(),
        format!("{mirrors}    - {{from: https://ghcr.io, to: '{charts}'}}\n"),
    )
    .unwrap();
    let report = world.report(&["--component", "image"]);
    assert_eq!(versions(&report, "image/ghcr.io/example/web").0, "unresolved");
    snapshot!(problems(&report), @"problem (upstream) oci://ghcr.io/example/web: cannot read the tags of `ghcr.io/example/web`: invalid type: map, expected a sequence at line 1 column 9");
}

#[test]
fn redirects_that_go_in_circles_end() {
    let world = World::home();
    for _ in 0..20 {
        let here = world.web.url("/charts/index.yaml").to_string();
        world.web.fail("/charts/index.yaml", Fault::Redirect(302, here));
    }
    let report = world.report(&["--component", "helm/apps/podinfo"]);
    snapshot!(problems(&report), @"problem (upstream) https://charts.example.com: `http://web.test/charts/index.yaml` redirects more than 5 times");
    assert!(world.requests().len() <= 6);
}

#[test]
fn token_goes_to_its_host_and_into_no_output() {
    let world = World::home();
    let registry = world.registry.served.authority();
    let web = world.web.authority();
    world.registry.door(Door::Basic("Basic bWU6aHVudGVyMg==".to_owned()));
    world.web.protect("/charts/index.yaml", "Bearer open-sesame");
    world.configure(&format!(
        "  hosts:
    '{web}': {{token_env: CHARTS_TOKEN, plain_http: true}}
    '{registry}': {{username_env: REGISTRY_USER, password_env: REGISTRY_PASSWORD, plain_http: true}}
  github: {{token_env: MY_GITHUB_TOKEN}}
"
    ));
    let secrets = ["open-sesame", "hunter2", "gh-secret", "bWU6aHVudGVyMg"];
    let world = World {
        sandbox: world
            .sandbox
            .variable("CHARTS_TOKEN", "open-sesame")
            .variable("REGISTRY_USER", "me")
            .variable("REGISTRY_PASSWORD", "hunter2")
            .variable("MY_GITHUB_TOKEN", "gh-secret"),
        ..world
    };
    for format in ["text", "json", "html"] {
        let output = world.detect(&["--format", format, "-vv"]).exited(0);
        for secret in secrets {
            assert!(!output.to_string().contains(secret), "{secret}: {output}");
        }
    }
    let report = world.report(&[]);
    assert_eq!(problems(&report), "");
    assert_eq!(versions(&report, "helm/apps/podinfo").2, "6.6.0");
    assert_eq!(versions(&report, "image/ghcr.io/example/web").2, "1.3.0-alpine");
    for asked in world.github.seen().iter().chain(&world.git.seen()) {
        let sent = asked.header("authorization");
        assert!(sent.is_none(), "{} was sent {sent:?}, and a mirror is not the host", asked.target);
    }
    world.web.protect("/charts/index.yaml", "Bearer another");
    world.web.serve("/osv/v1/query", json!({}).to_string());
    let output = world.detect(&["--component", "helm/apps/podinfo", "--no-cache"]).exited(0);
    assert!(!output.to_string().contains("open-sesame"), "{output}");
}

#[test]
fn credentials_of_docker_login_are_used_unless_switched_off() {
    let world = World::home();
    let registry = world.registry.served.authority();
    world.registry.door(Door::Basic("Basic bWU6aHVudGVyMg==".to_owned()));
    world.sandbox.write(
        "apps/web.yaml",
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: apps}}\nspec: {{template: \
             {{spec: {{containers: [{{name: web, image: '{registry}/example/web:1.2.0-alpine'}}]}}}}}}\n"
        ),
    );
    let login = format!("{{\"auths\": {{\"{registry}\": {{\"auth\": \"bWU6aHVudGVyMg==\"}}}}}}");
    super::world::write(&world.beside("home/.docker/config.json"), login);
    let id = format!("image/{registry}/example/web");
    let plain = format!("  hosts: {{'{registry}': {{plain_http: true}}}}\n");
    let status = |report: serde_json::Value| {
        let text = report.to_string();
        assert!(!text.contains("hunter2") && !text.contains("bWU6aHVudGVyMg"), "{text}");
        let id = id.replace(&registry, "registry.test");
        versions(&report, &id).0.to_owned()
    };
    world.configure(&plain);
    assert_eq!(status(world.report(&["--component", "image"])), "update_available");
    world.configure(&format!("{plain}  docker_config: false\n"));
    assert_eq!(status(world.report(&["--component", "image", "--no-cache"])), "unresolved");
}

/// A configuration that came with the repository made `docker login` credentials go unencrypted, by `plain_http`;
/// and those of a host with a port went by `http://` wherever a manifest said so.
#[test]
fn repository_cannot_have_credentials_sent_in_the_clear() {
    let world = World::with(crate::support::sandbox::Sandbox::with_empty_repo());
    let (registry, web) = (world.registry.served.authority(), world.web.authority());
    world.registry.tags("example/web", ["1.2.0", "1.3.0"]);
    world.registry.door(Door::Basic("Basic bWU6aHVudGVyMg==".to_owned()));
    world.web.serve("/index.yaml", super::world::INDEX);
    world.web.protect("/index.yaml", "Bearer open-sesame");
    world.sandbox.write(
        "apps.yaml",
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: a}}\nspec: {{containers: [{{name: c, image: \
             '{registry}/example/web:1.2.0'}}]}}\n---\napiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {{name: c, \
             namespace: kube-system}}\nspec: {{chart: podinfo, repo: 'http://{web}', version: 6.5.0}}\n"
        ),
    );
    let login = format!("{{\"auths\": {{\"{registry}\": {{\"auth\": \"bWU6aHVudGVyMg==\"}}}}}}");
    super::world::write(&world.beside("home/.docker/config.json"), login);
    let variable = format!("GITOPS_UPDATER_HOST_{}_TOKEN", web.replace('.', "_").replace(':', "___"));
    world.sandbox.write(
        ".gitops-updater.yaml",
        format!("upstreams: {{hosts: {{'{registry}': {{plain_http: true}}, '{web}': {{token_env: {variable}}}}}}}\n"),
    );
    let world = World { sandbox: world.sandbox.variable(&variable, "open-sesame"), ..world };
    let output = world.run(&["detect", "--format", "json"]).exited(0);
    for asked in world.registry.seen() {
        assert!(asked.header("authorization").is_none(), "{}", asked.target);
    }
    let log = world.web.take_log();
    assert!(!log.is_empty());
    for asked in log {
        assert!(asked.header("authorization").is_none(), "{}", asked.path);
    }
    let report = &output.json()["update_report"];
    assert_eq!(report["summary"]["unresolved"], 2, "{}", reduced(report));
}
