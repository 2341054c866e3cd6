//! The `validation` block: what is accepted, what it means for which component, and what the repository may not ask for.

use std::collections::BTreeSet;
use std::time::Duration;

use rstest::rstest;

use super::tests::{errors, errors_from, origin, read};
use super::*;
use crate::domain::rule::health::HealthRule;
use crate::domain::settle::health::probe::{Target, Vantage};

const FULL: &str = "validation:
  sample: 5s
  settle: 30s
  window: 1m
  cap: 1h
  good_samples: 2
  bad_samples: 2
  bad_of: 4
  failure_rate: 0.25
  state_changes: 4
  without_cluster: nothing
  recovery: [reconcile, uncordon]
  revert_by: pull_request
  stop_rollouts: false
  components:
    helm: {window: 3m}
    helm/monitoring/*: {window: 20m, probes: [shop]}
    helm/monitoring/grafana: {settle: 1m, recovery: [], network: true}
  probes:
    - {name: shop, http: 'https://shop.example.com/health', status: [200, 300-399], contains: ok, certificate_days: 14}
    - {name: mail, tcp: 'mail.example.com:25', timeout: 3s}
    - {name: names, dns: Shop.example.com, expect: [192.0.2.10, '2001:db8::1'], from: cluster}
  pods: {namespace: probes, image: 'registry.example.com:5000/busybox:1', image_pull_secrets: [pull], timeout: 1m}
  network: {names: [example.com]}
  storage: {storage_class: longhorn, size: 2GiB, data: 1MiB, restore: true}
  test_job: {manifest: ./tests/smoke.yaml, namespace: smoke, timeout: 1m}
";

#[test]
fn every_key_is_understood() {
    let validation = read(FULL).validation;
    assert_eq!(validation.sample, Duration::from_secs(5));
    assert_eq!((validation.good_samples, validation.bad_samples, validation.bad_of), (2, 2, 4));
    assert!(!validation.statuses);
    assert_eq!(validation.recovery, BTreeSet::from([Recovery::Reconcile, Recovery::Uncordon]));
    assert_eq!(validation.revert_by, RevertBy::PullRequest);
    assert!(!validation.stop_rollouts && read("").validation.stop_rollouts);
    let [shop, mail, names] = validation.probes.as_slice() else { panic!("{:?}", validation.probes) };
    let Target::Http(http) = &shop.target else { panic!("{shop:?}") };
    assert_eq!([200, 204, 302, 404].map(|code| http.takes(code)), [true, false, true, false]);
    assert_eq!(mail.target, Target::Tcp { host: "mail.example.com".to_owned(), port: 25 });
    assert_eq!((mail.timeout, mail.from), (Duration::from_secs(3), Vantage::Here));
    assert_eq!(names.from, Vantage::Cluster);
    assert_eq!(
        names.target,
        Target::Dns {
            name: "shop.example.com".to_owned(),
            expect: vec!["192.0.2.10".parse().unwrap(), "2001:db8::1".parse().unwrap()]
        }
    );
    assert_eq!(validation.test_job.unwrap().manifest, "tests/smoke.yaml");
    let storage = validation.storage.unwrap();
    assert_eq!((storage.data, storage.restore), (1 << 20, true));
}

#[test]
fn more_exact_key_decides_and_is_named() {
    let validation = read(FULL).validation;
    let grafana = validation.for_component("helm/monitoring/grafana", "helm");
    assert_eq!(grafana.window.value, Some(Duration::from_secs(1200)));
    assert_eq!(grafana.window.by.as_deref(), Some("validation.components[\"helm/monitoring/*\"].window"));
    assert_eq!(grafana.settle.value, Duration::from_secs(60));
    assert_eq!(grafana.recovery.value, BTreeSet::new());
    let other = validation.for_component("helm/apps/shop", "helm");
    assert_eq!((other.window.value, other.settle.by), (Some(Duration::from_secs(180)), None));
    assert_eq!(validation.for_component("k3s", "k3s").window.value, None);
}

#[test]
fn trials_are_those_that_the_key_or_else_the_rule_asks_for() {
    let validation = read(FULL).validation;
    let names = |id: &str, kind: &str, rule: Option<&HealthRule>| {
        validation.trials_for(id, kind, rule).names().into_iter().collect::<Vec<_>>().join(" ")
    };
    let storage = HealthRule { storage: true, ..HealthRule::default() };
    assert_eq!(names("k3s", "k3s", None), "probe/mail probe/names probe/shop test_job");
    assert_eq!(
        names("longhorn", "longhorn", Some(&storage)),
        "probe/mail probe/names probe/shop restore storage test_job"
    );
    let own = validation.trials_for("longhorn", "longhorn", Some(&storage)).names_for("update-1");
    assert!(own.contains("storage/update-1") && own.contains("restore/update-1"), "{own:?}");
    assert_eq!(
        names("helm/monitoring/grafana", "helm", None),
        "network/dns network/pods probe/shop test_job"
    );
}

#[test]
fn program_is_run_only_where_the_operator_names_it_outside_the_repository() {
    let text = "validation: {command: {run: [./check.sh, --fast], timeout: 1m, pass: [HOME]}}\n";
    assert!(errors(text)[0].contains("--config"), "{:?}", errors(text));
    let config = parse(text, &origin(Trust::User)).unwrap();
    assert_eq!(config.validation.command.unwrap().run, ["./check.sh", "--fast"]);
}

#[test]
fn token_of_a_probe_goes_to_its_own_host_only() {
    let probe = |url: &str, variable: &str| {
        format!("validation: {{probes: [{{name: a, http: '{url}', token_env: {variable}}}]}}\n")
    };
    let own = "GITOPS_UPDATER_HOST_SHOP_EXAMPLE_COM_TOKEN";
    assert!(parse(&probe("https://shop.example.com/", own), &origin(Trust::Repository)).is_ok());
    for (url, variable) in [
        ("https://evil.example/", own),
        ("https://shop.example.com/", "GITHUB_TOKEN"),
        ("http://shop.example.com/", own),
    ] {
        let text = probe(url, variable);
        assert!(errors(&text).iter().any(|error| error.contains("--config")), "{text}");
        assert!(parse(&text, &origin(Trust::User)).is_ok(), "{text}");
    }
    let inside = format!(
        "validation: {{probes: [{{name: a, http: 'https://shop.example.com/', token_env: {own}, from: cluster}}]}}\n"
    );
    for trust in [Trust::Repository, Trust::User] {
        assert!(errors_from(trust, &inside)[0].contains("is given no secret"), "{inside}");
    }
}

#[rstest]
#[case("sample: 100ms", "validation.sample")]
#[case("sample: 10m", "validation.sample: longer than `5m`")]
#[case("settle: 2h", "validation.settle: longer than `1h`")]
#[case("window: 0s", "validation.window: shorter than `1s`")]
#[case("good_samples: 0", "validation.good_samples: not between 1 and 100")]
#[case("{bad_samples: 6}", "validation.bad_samples: more than `bad_of`, which is 5")]
#[case("failure_rate: 1.5", "validation.failure_rate: not a share from 0 to 1")]
#[case("failure_rate: .nan", "validation.failure_rate: not a share from 0 to 1")]
#[case("state_changes: 1", "validation.state_changes: not between 2 and 100")]
#[case("recovery: [reboot]", "unknown recovery `reboot`")]
#[case("revert_by: email", "unknown way to revert `email`")]
#[case("probes: [{name: a}]", "give exactly one of `http`, `tcp` and `dns`")]
#[case("probes: [{name: a, http: 'https://a.example', tcp: 'a:1'}]", "give exactly one of")]
#[case("probes: [{name: a, tcp: a.example}]", "has no port; write `host:port`")]
#[case("probes: [{name: a, dns: 'a.example:53'}]", "is not a name such as")]
#[case("probes: [{name: a, dns: a.example, expect: [here]}]", "not an IP address")]
#[case("probes: [{name: a, tcp: 'a:1', status: [200]}]", "goes with `http`")]
#[case("probes: [{name: a, http: 'https://a.example', status: [2xx]}]", "`2xx` is neither a code")]
#[case("probes: [{name: a, http: 'https://a.example', status: [300-200]}]", "`300-200` is neither a code")]
#[case("probes: [{name: a, http: 'http://a.example', certificate_days: 3}]", "goes with an `https://` URL")]
#[case("probes: [{name: a, http: 'ftp://a.example'}]", "not an absolute `https://` or `http://` URL")]
#[case("probes: [{name: a/b, tcp: 'a:1'}]", "not a name of letters")]
#[case("probes: [{name: a, tcp: 'a:1'}, {name: a, tcp: 'a:2'}]", "a second probe named `a`")]
#[case("components: {helm: {probes: [none]}}", "not the name of an entry of `validation.probes`")]
#[case("pods: {namespace: Probes}", "not a name of lower-case letters")]
#[case("pods: {image: 'busy box'}", "not an image such as")]
#[case("network: {names: [], pods: false}", "tries nothing; leave it out")]
#[case("storage: {size: 1MiB, data: 1MiB}", "more than half of `size`")]
#[case("storage: {size: 1TiB}", "is not a size such as")]
#[case("storage: {size: 200GiB}", "not between `1MiB` and `100GiB`")]
#[case("test_job: {manifest: ../a.yaml, namespace: a}", "not a file within the repository")]
#[case("test_job: {manifest: a.yaml}", "`namespace` is missing")]
fn mistakes_are_told_with_their_field(#[case] text: &str, #[case] expected: &str) {
    let block = if text.starts_with('{') {
        format!("validation: {text}\n")
    } else {
        format!("validation:\n  {text}\n")
    };
    let told = errors(&block);
    assert!(told.iter().any(|error| error.contains(expected)), "{told:?}");
}

#[test]
fn nothing_written_is_the_defaults() {
    let (read, default) = (read("validation:\n").validation, Validation::default());
    assert_eq!(format!("{read:?}"), format!("{default:?}"));
    assert_eq!(read.trials().names(), BTreeSet::new());
}

#[test]
fn judge_is_told_what_the_key_and_else_the_rule_says() {
    let rule = HealthRule {
        window: Some(Duration::from_secs(1800)),
        counts: vec!["certificate_ready".to_owned()],
        ..HealthRule::default()
    };
    let text = FULL.replace("  window: 1m\n", "");
    let validation = read(&text).validation;
    let window = |id: &str, kind: &str| validation.own(id, kind, Some(&rule)).window;
    assert_eq!(window("longhorn", "longhorn"), Some(Duration::from_secs(1800)));
    assert_eq!(window("helm/monitoring/grafana", "helm"), Some(Duration::from_secs(1200)));
    let own = validation.own("helm/monitoring/grafana", "helm", Some(&rule));
    assert_eq!((own.settle, own.counts), (Some(Duration::from_secs(60)), rule.counts.clone()));
    assert_eq!(validation.own("longhorn", "longhorn", None).window, None);
    let all = read(FULL).validation;
    assert_eq!(all.own("longhorn", "longhorn", Some(&rule)).window, None, "the key above says for all");
}
