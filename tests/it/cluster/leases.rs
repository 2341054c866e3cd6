//! One at a time: the Lease in the cluster.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use gitops_updater::app::lease::{Lease, Reached, SKEW, Terms, reach};
use gitops_updater::clock::Time;
use gitops_updater::cluster::Live;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::connect;
use crate::support::fake_cluster::{ADMIN, Account, Answer, FakeCluster, How, START};

const LASTS: SignedDuration = SignedDuration::from_mins(1);
const LEASES: &str = "leases.coordination.k8s.io";

/// Time that passes when somebody sleeps.
struct Passing(Mutex<Timestamp>);

impl Passing {
    fn start() -> Self {
        Self(Mutex::new(START.parse().unwrap()))
    }

    fn pass(&self, duration: SignedDuration) {
        *self.0.lock().unwrap() += duration;
    }
}

impl Time for Passing {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'_, ()> {
        self.pass(SignedDuration::try_from(pause).unwrap());
        Box::pin(tokio::task::yield_now())
    }
}

fn terms(holder: &str) -> Terms {
    Terms { namespace: "default".into(), name: "bot".into(), holder: holder.into(), lasts: LASTS }
}

async fn ours(live: &Live, holder: &str, time: &Passing) -> Lease {
    match reach(live, &terms(holder), time).await.unwrap() {
        Reached::Ours(lease) => lease,
        Reached::Theirs { holder, .. } => panic!("{holder} has it"),
    }
}

async fn theirs(live: &Live, holder: &str, time: &Passing) -> (String, Timestamp) {
    match reach(live, &terms(holder), time).await.unwrap() {
        Reached::Ours(_) => panic!("{holder} got it"),
        Reached::Theirs { holder, until } => (holder, until),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lease_is_of_one_until_it_is_given_back() {
    let (cluster, time) = (FakeCluster::start(), Passing::start());
    let live = connect(&cluster, ADMIN, None).await;
    let one = ours(&live, "one", &time).await;
    let until = time.now() + LASTS + SKEW;
    assert_eq!(theirs(&live, "two", &time).await, ("one".to_owned(), until));
    one.release(&live).await.unwrap();
    let two = ours(&live, "two", &time).await;
    drop(two);
    let lease = cluster.cluster().get(LEASES, "default", "bot").unwrap();
    assert_eq!(
        (&lease["spec"]["holderIdentity"], &lease["spec"]["leaseTransitions"]),
        (&json!("two"), &json!(1))
    );
    assert_eq!(lease["spec"]["renewTime"], "2026-11-21T10:00:00.000000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_of_a_ghost_ends() {
    let (cluster, time) = (FakeCluster::start(), Passing::start());
    let live = connect(&cluster, ADMIN, None).await;
    let mut ghost = ours(&live, "ghost", &time).await;
    time.pass(LASTS - SKEW);
    theirs(&live, "two", &time).await;
    time.pass(SKEW + SKEW);
    theirs(&live, "two", &time).await;
    time.pass(SignedDuration::from_secs(1));
    let two = ours(&live, "two", &time).await;
    assert!(ghost.renew(&live, time.now()).await.is_err());
    ghost.release(&live).await.unwrap();
    drop(two);
    assert_eq!(
        theirs(&live, "three", &time).await.0,
        "two",
        "a ghost gives back nothing that is not its own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_reach_for_it_at_once_one_gets_it() {
    for exists in [false, true] {
        let (cluster, time) = (FakeCluster::start(), Passing::start());
        let live = connect(&cluster, ADMIN, None).await;
        if exists {
            ours(&live, "before", &time).await.release(&live).await.unwrap();
        }
        let names: Vec<String> = (0..8).map(|number| number.to_string()).collect();
        let reached = futures_util::future::join_all(names.iter().map(|name| {
            let (live, time) = (&live, &time);
            async move { reach(live, &terms(name), time).await }
        }))
        .await;
        let got = reached.iter().filter(|reached| matches!(reached, Ok(Reached::Ours(_)))).count();
        assert_eq!(got, 1, "{reached:?}");
    }
}

/// Somebody takes the lease as soon as it is renewed once.
fn thief(cluster: &FakeCluster) {
    cluster.on_write(|cluster, written| {
        let renewed = |lease: &serde_json::Value| {
            lease["spec"]["renewTime"].as_str() != lease["spec"]["acquireTime"].as_str()
        };
        if written.object.as_deref().is_some_and(renewed) {
            cluster
                .change(LEASES, "default", "bot", |lease| lease["spec"]["holderIdentity"] = json!("thief"));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn lease_is_kept_through_an_outage_of_any_length_until_somebody_takes_it() {
    let (cluster, time) = (FakeCluster::start(), Passing::start());
    let live = connect(&cluster, ADMIN, None).await;
    let mut lease = ours(&live, "one", &time).await;
    cluster.fail("PUT", "/leases", 50, How::Instead(Answer::unavailable()));
    cluster.fail("PUT", "/leases", 1, How::Break);
    thief(&cluster);
    let began = time.now();
    let lost = lease.keep(&live, &time).await;
    assert_eq!(lost.to_string(), "cannot keep the lease `default/bot`: somebody else took or deleted it");
    assert!(time.now().duration_since(began) > LASTS * 3, "nobody else could take it before");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_whose_answer_is_lost_leaves_the_lease_ours() {
    let (cluster, time) = (FakeCluster::start(), Passing::start());
    let live = connect(&cluster, ADMIN, None).await;
    let mut lease = ours(&live, "one", &time).await;
    let changed = |label: &'static str| {
        cluster.cluster().change(LEASES, "default", "bot", |lease| {
            lease["metadata"]["labels"][label] = json!("yes");
        });
    };
    changed("somebody");
    thief(&cluster);
    let began = time.now();
    lease.keep(&live, &time).await;
    assert!(time.now().duration_since(began) > LASTS / 3, "the change of somebody ends nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn account_without_the_right_to_leases_gets_none() {
    let (cluster, time) = (FakeCluster::start(), Passing::start());
    cluster.account("bot", Account::nobody("bot").may(&["get"], &[LEASES], None));
    let live = connect(&cluster, "bot", None).await;
    let error = reach(&live, &terms("one"), &time).await.unwrap_err();
    assert!(error.hint.unwrap().contains("resources: [leases], verbs: [create]"));
}
