//! A volume that is written, kept and read back.

use super::*;

#[tokio::test(start_paused = true)]
async fn volume_is_read_back_on_another_node_and_nothing_is_left() {
    let cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", SUM)]);
    assert_eq!(before_and_after(&cluster).await, Tried::Good("written on n1, read back on n2".to_owned()));
    assert_eq!(left(&cluster), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn only_node_reads_back_what_it_wrote_and_that_is_said() {
    let cluster = with_storage(&["n1"], &[("writes", SUM), ("reads", SUM)]);
    let tried = before_and_after(&cluster).await;
    assert_eq!(tried, Tried::Good("read back on n1, the only node that takes Pods".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn other_content_is_bad() {
    let cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", OTHER)]);
    let Tried::Bad(why) = before_and_after(&cluster).await else { panic!("not bad") };
    assert!(why.contains("is not what was written on n1"), "{why}");
    assert_eq!(left(&cluster), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn run_that_was_killed_in_between_finds_what_was_written() {
    let cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", SUM)]);
    at(&cluster, async |testbed| {
        let first = storage_before(testbed, &STORAGE).await.unwrap();
        assert_eq!(storage_before(testbed, &STORAGE).await.unwrap(), first);
        assert_eq!(cluster.made.lock().unwrap().len(), 2, "one claim and one Pod");
        assert!(matches!(storage_read(testbed, &first).await, Tried::Good(_)));
        assert!(matches!(storage_after(testbed, &first).await, Tried::Good(_)), "it stays for another time");
        // An object that is gone says nothing about what storage does with data.
        let Tried::Not(why) = storage_after(testbed, &first).await else { panic!("tried") };
        assert!(why.contains("somebody has removed the claim"), "{why}");
    })
    .await;
}

fn stuck(claim_phase: &'static str, pod: Value) -> Simulated {
    Simulated::new(&["n1"], move |objects, key| match key.0.as_str() {
        "PersistentVolumeClaim" => objects.after(1, key, json!({"status": {"phase": claim_phase}})),
        _ => objects.after(1, key, pod.clone()),
    })
}

fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    json!({"spec": {"nodeName": "n1"}, "status": {"phase": "Pending", "containerStatuses": [{"state": state}]}})
}

fn unscheduled() -> Value {
    json!({"status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "no node fits"}]}})
}

#[rstest]
#[case::not_bound("Pending", unscheduled(), true, "not bound within 120 s: no node fits")]
#[case::no_room("Bound", unscheduled(), false, "not put on a node: no node fits")]
#[case::not_mounted(
    "Bound",
    waiting("ContainerCreating", ""),
    true,
    "not mounted within 180 s: ContainerCreating"
)]
#[case::image(
    "Bound",
    waiting("ImagePullBackOff", "no such image"),
    false,
    "image was not pulled: no such image"
)]
#[tokio::test(start_paused = true)]
async fn storage_that_does_not_come_is_bad_and_what_else_fails_is_not_tried(
    #[case] claim: &'static str,
    #[case] pod: Value,
    #[case] bad: bool,
    #[case] expected: &str,
) {
    let cluster = stuck(claim, pod);
    let begun = tokio::time::Instant::now();
    let tried = at(&cluster, async |testbed| storage_before(testbed, &STORAGE).await.unwrap_err()).await;
    let (Tried::Bad(why) | Tried::Not(why)) = &tried else { panic!("{tried:?}") };
    assert_eq!(matches!(tried, Tried::Bad(_)), bad, "{tried:?}");
    assert!(why.contains(expected), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(300), "{:?}", begun.elapsed());
    assert_eq!(left(&cluster), [] as [&str; 0]);
}

#[rstest]
#[case("create PersistentVolumeClaim")]
#[case("create Pod")]
#[tokio::test(start_paused = true)]
async fn what_the_account_may_not_is_not_tried(#[case] denied: &'static str) {
    let mut cluster = with_storage(&["n1"], &[("writes", SUM)]);
    cluster.denied = vec![denied];
    let tried = at(&cluster, async |testbed| storage_before(testbed, &STORAGE).await.unwrap_err()).await;
    let Tried::Not(why) = tried else { panic!("{tried:?}") };
    assert!(why.contains(denied), "{why}");
    // A claim that was never bound has no volume that goes with it.
    assert!(left(&cluster).iter().all(|name| name == "PersistentVolume/pvc-1"), "{:?}", left(&cluster));
}

#[tokio::test(start_paused = true)]
async fn outage_of_the_api_server_is_waited_for() {
    let mut cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", SUM)]);
    cluster.outage = Some((1, 40));
    assert!(matches!(before_and_after(&cluster).await, Tried::Good(_)));
    let mut cluster = with_storage(&["n1", "n2"], &[("writes", SUM), ("reads", SUM)]);
    cluster.outage = Some((1, 10_000));
    let tried = at(&cluster, async |testbed| storage_before(testbed, &STORAGE).await.unwrap_err()).await;
    assert!(matches!(tried, Tried::Not(_)), "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn image_that_is_pulled_slowly_is_no_fault_of_the_storage() {
    let mut pulling = waiting("ContainerCreating", "");
    pulling["status"]["conditions"] = json!([{"type": "PodReadyToStartContainers", "status": "True"}]);
    let cluster = stuck("Bound", pulling);
    let tried = at(&cluster, async |testbed| storage_before(testbed, &STORAGE).await.unwrap_err()).await;
    assert!(matches!(tried, Tried::Not(_)), "{tried:?}");
}
