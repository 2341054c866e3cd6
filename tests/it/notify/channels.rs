//! One message to each kind of channel, and what they answer.

use std::time::Duration;

use gitops_updater::app::notify::{Event, Kind, Messenger as _, NotSent, Subject};
use gitops_updater::notify::{Channel, ChannelKind, Channels};
use gitops_updater::upstream::credentials::{Credential, Credentials};
use gitops_updater::upstream::retry::Policy;
use jiff::Timestamp;
use ring::hmac;

use crate::support::fake_channels::{DISCORD_PATH, FakeChannels, HOOK_PATH, SLACK_PATH, TOPIC};

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

/// An event with everything that strangers could put into it.
fn hostile() -> Event {
    let evil = "@everyone <!channel> <@U1> [click](https://evil.example/x) `code` **bold** \u{202e}\u{1b}[31m\r\nline";
    Event::new(Kind::Held, "update-1", format!("podinfo 6.7.0 -> 6.7.1 {evil}"), now())
        .about(Subject {
            component: "helm/apps/podinfo".to_owned(),
            from: Some("6.7.0".to_owned()),
            to: Some("6.7.1".to_owned()),
            update_id: Some("update-1".to_owned()),
            pull_request: Some(7),
        })
        .because((0..100).map(|number| format!("{number} {evil}{}", "x".repeat(500))))
        .then(["gitops-updater acknowledge update-1".to_owned()])
        .at_link(Some("https://github.com/acme/ops/pull/7".to_owned()))
}

fn channels(fake: &FakeChannels) -> Channels {
    let channel = |name: &str, kind, url: String| Channel {
        name: name.to_owned(),
        kind,
        address: url::Url::parse(&url).unwrap().into(),
    };
    let signed = ChannelKind::Webhook { secret: Some("k3y-of-hook".to_owned().into()) };
    let plain = ChannelKind::Webhook { secret: None };
    let list = vec![
        channel("slack", ChannelKind::Slack, fake.url(SLACK_PATH)),
        channel("discord", ChannelKind::Discord, fake.url(DISCORD_PATH)),
        channel("ntfy", ChannelKind::Ntfy, fake.url(TOPIC)),
        channel("hook", signed, fake.url(HOOK_PATH)),
        channel("moved", plain.clone(), fake.url("/elsewhere")),
        channel("gone", plain, fake.url("/none/s3cret-none")),
    ];
    let mut credentials = Credentials::new();
    let origin = fake.url("/");
    credentials.add(&origin, Credential::Bearer("t0ken-of-host".to_owned().into())).unwrap();
    let retry = Policy {
        retries: 2,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(1500),
    };
    Channels::new(list, credentials, "acme/ops".to_owned(), Duration::from_secs(5), Some(retry)).unwrap()
}

async fn send(fake: &FakeChannels, channel: &str, events: &[&Event]) -> Result<(), NotSent> {
    channels(fake).send(channel, "0123abcd", events).await
}

#[tokio::test]
async fn strict_services_take_the_message_and_strangers_text_does_nothing_there() {
    let fake = FakeChannels::start().await;
    let event = hostile();
    for channel in ["slack", "discord", "ntfy", "hook"] {
        send(&fake, channel, &[&event]).await.unwrap();
    }
    let arrived = fake.arrived();
    assert_eq!(arrived.iter().map(|one| one.at).collect::<Vec<_>>(), ["slack", "discord", "ntfy", "hook"]);
    for one in &arrived {
        assert_eq!(one.headers["x-gitops-updater-id"], "0123abcd");
        let text = String::from_utf8(one.bytes.clone()).unwrap();
        assert!(!text.contains("\\u001b") && !text.contains('\u{202e}') && !text.contains("\\r"), "{text}");
        if one.at != "hook" {
            for active in ["@everyone", "<!channel", "<@U1", "](", "https://evil"] {
                assert!(!text.contains(active), "{}: {active} in {text}", one.at);
            }
            assert!(text.contains("acme/ops") || text.contains('…'), "{text}");
        }
    }
    assert_eq!(arrived[0].body["attachments"][0]["title_link"], "https://github.com/acme/ops/pull/7");
    assert!(!arrived[0].body.to_string().contains("<\u{200b}"), "Slack's own escapes");
    assert_eq!(arrived[1].body["allowed_mentions"], serde_json::json!({"parse": []}));
    assert!(arrived[1].body.to_string().contains("\\\\*\\\\*bold"), "{}", arrived[1].body);
    assert_eq!(arrived[2].body["priority"], 5);
    assert_eq!(arrived[3].body["schema"], "gitops-updater/notification/v1");
    assert_eq!(arrived[3].body["events"][0]["subject"]["component"], "helm/apps/podinfo");
}

#[tokio::test]
async fn webhook_is_signed_with_the_key_and_hosts_get_their_own_token() {
    let fake = FakeChannels::start().await;
    send(&fake, "hook", &[&hostile()]).await.unwrap();
    let arrived = fake.arrived().remove(0);
    let signature = arrived.headers["x-gitops-updater-signature"].to_str().unwrap();
    let tag: Vec<u8> = (7..signature.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"k3y-of-hook");
    hmac::verify(&key, &arrived.bytes, &tag).unwrap();
    assert_eq!(arrived.headers["authorization"], "Bearer t0ken-of-host");
}

#[tokio::test]
async fn many_events_are_one_message() {
    let fake = FakeChannels::start().await;
    let events: Vec<Event> = (0..30)
        .map(|number| Event::new(Kind::UpdateFound, &number.to_string(), format!("chart {number}"), now()))
        .collect();
    let all: Vec<&Event> = events.iter().collect();
    for channel in ["slack", "discord", "ntfy", "hook"] {
        send(&fake, channel, &all).await.unwrap();
    }
    for one in fake.arrived() {
        assert!(one.body.to_string().contains("30 events"), "{}", one.body);
    }
    assert_eq!(fake.arrived()[3].body["events"].as_array().unwrap().len(), 30);
}

#[tokio::test]
async fn passing_failures_are_tried_again_within_bounds() {
    let too_many = r#"{"message": "You are being rate limited.", "retry_after": 0.01, "global": false}"#;
    for (answers, sent, requests) in [
        (vec![(503, None, "")], true, 2),
        (vec![(429, Some(("retry-after", "1")), "rate_limited")], true, 2),
        (vec![(429, None, too_many)], true, 2),
        (vec![(500, None, ""), (500, None, ""), (500, None, "")], false, 3),
        (vec![(429, Some(("retry-after", "3600")), "rate_limited")], false, 1),
        (vec![(429, None, r#"{"retry_after": 3600.5}"#)], false, 1),
        (vec![(404, None, "no_service")], false, 1),
        (vec![(400, None, "invalid_payload")], false, 1),
        (vec![(401, None, "")], false, 1),
    ] {
        let fake = FakeChannels::start().await;
        for (status, header, body) in &answers {
            fake.next(*status, *header, body);
        }
        let result = send(&fake, "discord", &[&hostile()]).await;
        assert_eq!((result.is_ok(), fake.requests()), (sent, requests), "{answers:?}: {result:?}");
    }
}

#[tokio::test]
async fn what_a_service_refuses_is_said_without_its_address() {
    let fake = FakeChannels::start().await;
    let host = fake.url("/");
    let mut said = Vec::new();
    for channel in ["gone", "moved"] {
        said.push(send(&fake, channel, &[&hostile()]).await.unwrap_err().reason);
    }
    fake.next(404, None, r#"{"message": "Unknown Webhook", "code": 10015}"#);
    said.push(send(&fake, "discord", &[&hostile()]).await.unwrap_err().reason);
    fake.next(403, None, "invalid_token");
    said.push(send(&fake, "slack", &[&hostile()]).await.unwrap_err().reason);
    drop(fake);
    let said: Vec<String> = said.iter().map(|text| text.replace(&host, "[host]")).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    `[host]` answered 404 (`no_service`): there is no such channel any more; look at its address
    `[host]` answered 307: redirects are not followed; name the address it leads to
    `[host]` answered 404 (`Unknown Webhook`): there is no such channel any more; look at its address
    `[host]` answered 403 (`invalid_token`): it refuses the credentials, or wants some; set them under `upstreams.hosts`
    ");
    assert!(!said.concat().contains("s3cret") && !said.concat().contains("t0ken"), "{said:?}");
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let fake = FakeChannels::start().await;
    send(&fake, "moved", &[&hostile()]).await.unwrap_err();
    assert_eq!((fake.requests(), fake.arrived().len()), (1, 0));
}

#[tokio::test]
async fn service_that_is_away_is_said_without_its_address() {
    let fake = FakeChannels::start().await;
    let channels = channels(&fake);
    drop(fake);
    let event = hostile();
    let reason = channels.send("slack", "0", &[&event]).await.unwrap_err().reason;
    assert!(reason.contains("cannot connect") || reason.contains("cannot send to"), "{reason}");
    assert!(!reason.contains("s3cret"), "{reason}");
    assert!(
        !format!("{:?}", ChannelKind::Webhook { secret: Some("hunter2".to_owned().into()) })
            .contains("hunter2")
    );
}
