//! One at a time: the Lease in the cluster.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use gitops_updater::app::lease::{Lease, Lost, Reached, SKEW, Terms, reach};
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
    assert!(two.holds(time.now()));
    let lease = cluster.cluster().get(LEASES, "default", "bot").unwrap();
    assert_eq!(
        (&lease["spec"]["holderIdentity"], &lease["spec"]["leaseTransitions"]),
        (&json!("two"), &json!(1))
    );
    assert_eq!(lease["spec"]["renewTime"], "2026-11-21T10:00:00.000000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_of_a_ghost_ends_and_its_holder_knows_before_anybody_else_begins() {
    let (cluster, time) = (FakeCluster::start(), Passing::start());
    let live = connect(&cluster, ADMIN, None).await;
    let mut ghost = ours(&live, "ghost", &time).await;
    time.pass(LASTS - SKEW);
    assert!(!ghost.holds(time.now()));
    theirs(&live, "two", &time).await;
    time.pass(SKEW + SKEW);
    theirs(&live, "two", &time).await;
    time.pass(SignedDuration::from_secs(1));
    let two = ours(&live, "two", &time).await;
    assert!(ghost.renew(&live, time.now()).await.is_err());
    ghost.release(&live).await.unwrap();
    assert!(two.holds(time.now()));
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

#[tokio::test(flavor = "multi_thread")]
async fn lease_is_kept_through_a_short_outage_and_lost_in_a_long_one() {
    let (cluster, time) = (FakeCluster::start(), Passing::start());
    let live = connect(&cluster, ADMIN, None).await;
    let mut lease = ours(&live, "one", &time).await;
    cluster.fail("PUT", "/leases", 2, How::Instead(Answer::unavailable()));
    cluster.fail("PUT", "/leases", 1, How::Break);
    let began = time.now();
    // It is kept until somebody takes it.
    let live_too = live.clone();
    cluster.on_write(move |cluster, written| {
        if written
            .object
            .as_ref()
            .is_some_and(|lease| lease["metadata"]["resourceVersion"].as_str().unwrap() > "125")
        {
            cluster
                .change(LEASES, "default", "bot", |lease| lease["spec"]["holderIdentity"] = json!("thief"));
        }
    });
    let lost = lease.keep(&live_too, &time).await;
    assert!(matches!(lost, Lost::Taken { .. }), "{lost}");
    assert!(time.now().duration_since(began) > LASTS * 3);

    let (cluster, time) = (FakeCluster::start(), Passing::start());
    let live = connect(&cluster, ADMIN, None).await;
    let mut lease = ours(&live, "one", &time).await;
    cluster.fail("PUT", "/leases", 1000, How::Instead(Answer::unavailable()));
    let lost = lease.keep(&live, &time).await;
    assert!(matches!(lost, Lost::Over { .. }), "{lost}");
    theirs(&live, "two", &time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn account_without_the_right_to_leases_gets_none() {
    let (cluster, time) = (FakeCluster::start(), Passing::start());
    cluster.account("bot", Account::nobody("bot").may(&["get"], &[LEASES], None));
    let live = connect(&cluster, "bot", None).await;
    let error = reach(&live, &terms("one"), &time).await.unwrap_err();
    assert!(error.hint.unwrap().contains("resources: [leases], verbs: [create]"));
}
