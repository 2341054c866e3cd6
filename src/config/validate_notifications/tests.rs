//! What of channels is refused, and with which words.

use std::path::Path;

use jiff::Timestamp;
use rstest::rstest;

use super::*;
use crate::config::{Config, Origin, parse};
use crate::domain::notice::{Event, Subject};

fn read(trust: Trust, text: &str) -> Result<Config, Vec<String>> {
    let origin = Origin { name: "c", trust, folder: Some(Path::new("/etc/bot")), repository: None };
    parse(text, &origin).map_err(|findings| findings.iter().map(ToString::to_string).collect())
}

fn channel(trust: Trust, text: &str) -> Result<Config, Vec<String>> {
    read(trust, &format!("notifications: {{channels: {{ops-1: {{{text}}}}}}}\n"))
}

/// Whoever may open a pull request may change this file: it chooses neither which secret is used nor which file is
/// read, and holds no secret itself.
#[rstest]
#[case::own_variable("type: slack, url_env: GITOPS_UPDATER_NOTIFY_OPS_1_URL", true)]
#[case::own_key("type: webhook, url: 'https://a.b/c', secret_env: GITOPS_UPDATER_NOTIFY_OPS_1_SECRET", true)]
#[case::topic("type: ntfy, url: 'https://ntfy.sh/ops'", true)]
#[case::token_of_the_forge("type: webhook, url_env: GITHUB_TOKEN", false)]
#[case::variable_of_another_channel("type: slack, url_env: GITOPS_UPDATER_NOTIFY_OPS_URL", false)]
#[case::token_as_a_key("type: webhook, url: 'https://a.b/c', secret_env: GITHUB_TOKEN", false)]
#[case::file("type: slack, url_file: url", false)]
#[case::key_in_a_file("type: webhook, url: 'https://a.b/c', secret_file: key", false)]
#[case::secret_in_the_open("type: slack, url: 'https://hooks.slack.com/services/T/B/s3cret'", false)]
fn what_a_repository_may_ask_for(#[case] text: &str, #[case] fine: bool) {
    let found = channel(Trust::Repository, text);
    assert_eq!(found.is_ok(), fine, "{found:?}");
    assert!(found.err().is_none_or(|errors| !errors.concat().contains("s3cret")));
    // The user may, whatever it is.
    assert!(channel(Trust::User, text).is_ok());
}

#[rstest]
#[case::no_address("type: slack", "`url`, `url_env` or `url_file` is missing")]
#[case::two_addresses("type: ntfy, url: 'https://a.b/c', url_env: X", "give one of")]
#[case::no_topic("type: ntfy, url: 'https://ntfy.sh/'", "no topic")]
#[case::password("type: webhook, url: 'https://me:s3cret@a.b/c'", "credentials in a URL")]
#[case::other_scheme("type: webhook, url: 'file:///etc/passwd'", "not an absolute")]
#[case::key_elsewhere("type: slack, url_env: X, secret_env: Y", "only messages to a `webhook` are signed")]
#[case::unknown_kind("type: teams, url: 'https://a.b'", "unknown type of channel `teams`")]
#[case::unknown_event("type: ntfy, url: 'https://a.b/c', events: [meged]", "unknown kind of event `meged`")]
#[case::recipients("type: ntfy, url: 'https://a.b/c', to: [a@b.c]", "only for `email`")]
#[case::secret_as_a_name(
    "type: slack, url_env: 'https://hooks.slack.com/s3cret'",
    "the name, not the secret"
)]
fn what_makes_no_sense_is_said(#[case] text: &str, #[case] said: &str) {
    let errors = channel(Trust::User, text).unwrap_err();
    assert!(errors.iter().any(|error| error.contains(said)), "{errors:?}");
    assert!(!errors.concat().contains("s3cret"), "{errors:?}");
}

#[test]
fn mistakes_are_named_with_their_place() {
    let text = "\
notifications:
  channels:
    Ops: {type: ntfy, url: 'https://a.b/c'}
    ok: {type: ntfy, url: 'https://a.b/c'}
  holds: {repeat_every: 5m, escalate_to: [ok, pager]}
  timeout: 1h
metrics: {push: 'https://a.b?x=1', job: 'a b'}
";
    insta::assert_snapshot!(read(Trust::Repository, text).unwrap_err().join("\n"), @r"
        c:3:10: notifications.channels.Ops: not a name of at most 32 lower-case letters, digits and `-`
        c:5:25: notifications.holds.repeat_every: shorter than `10m` (`0s` is never)
        c:5:47: notifications.holds.escalate_to[1]: there is no channel `pager`
        c:6:12: notifications.timeout: longer than `2m`
        c:7:17: metrics.push: a base URL without `?`
        c:7:41: metrics.job: not a name of letters, digits, `-`, `_` and `.`
        ");
}

fn event(kind: Kind, component: Option<&str>) -> Event {
    let at: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let event = Event::new(kind, "x", "x", at);
    match component {
        Some(component) => event.about(Subject {
            component: component.to_owned(),
            from: None,
            to: None,
            update_id: None,
            pull_request: None,
        }),
        None => event,
    }
}

#[rstest]
#[case::default_is_warnings("", Kind::BotFailed, None, true)]
#[case::default_is_no_news("", Kind::Merged, Some("k3s"), false)]
#[case::everything("at_least: regular", Kind::Merged, Some("k3s"), true)]
#[case::listed("at_least: regular, events: [merged]", Kind::Merged, Some("k3s"), true)]
#[case::not_listed("at_least: regular, events: [merged]", Kind::Proposed, Some("k3s"), false)]
#[case::critical_whatever_is_listed("events: [merged]", Kind::Held, Some("k3s"), true)]
#[case::listed_and_not_urgent_enough("events: [merged]", Kind::Merged, Some("k3s"), false)]
#[case::component("components: [k3s]", Kind::Held, Some("staging:k3s"), true)]
#[case::other_component("components: [k3s]", Kind::Held, Some("helm/a/b"), false)]
#[case::pattern("components: ['helm/a/*']", Kind::Held, Some("helm/a/b"), true)]
#[case::about_no_component("components: [k3s]", Kind::CircuitBreaker, None, true)]
#[case::escalation_only("at_least: escalation", Kind::Held, Some("k3s"), false)]
fn channel_is_for_what_it_says(
    #[case] text: &str,
    #[case] kind: Kind,
    #[case] component: Option<&str>,
    #[case] wanted: bool,
) {
    let text = format!("type: ntfy, url: 'https://a.b/c', {text}");
    let config = channel(Trust::Repository, &text).unwrap();
    assert_eq!(config.notifications.channels[0].wants(&event(kind, component)), wanted);
}

#[test]
fn escalated_holds_go_where_the_configuration_says() {
    let text = "\
notifications:
  channels:
    boss: {type: ntfy, url: 'https://a.b/c', at_least: escalation}
    ops: {type: ntfy, url: 'https://a.b/c', components: [flux]}
";
    let mut hold = event(Kind::HoldUnacknowledged, Some("k3s"));
    hold.escalated = true;
    for (more, expected) in [("", [true, false]), ("  holds: {escalate_to: [ops]}\n", [false, true])] {
        let config = read(Trust::Repository, &format!("{text}{more}")).unwrap();
        let wants = config.notifications.channels.iter().map(|channel| channel.wants(&hold));
        assert_eq!(wants.collect::<Vec<_>>(), expected, "{more}");
    }
}
