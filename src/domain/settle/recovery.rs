//! What may be tried before a revert, by what an object says of itself.

use super::object::{Detail, Object};
use super::readiness::speaks_of;

/// Whether a HelmRelease, as its spec is now, is not tried again because its retries ran out: only that does a reset of
/// the count of failures change. Stalled for another reason, such as a rollback without a target, it stays as it is
/// (helm-controller `internal/reconcile/atomic_release.go`, `RetriesExceeded`).
pub fn retries_ran_out(release: &Object) -> bool {
    let Detail::HelmRelease(detail) = &release.detail else { return false };
    let stalled = release.condition("Stalled").filter(|stalled| speaks_of(stalled, release));
    !detail.suspend && stalled.is_some_and(|stalled| stalled.is_true() && stalled.reason == "RetriesExceeded")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::settle::kind::Kind;

    fn release(stalled: Value, suspend: bool) -> Object {
        let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "demo", "namespace": "apps", "uid": "u", "generation": 2},
            "spec": {"suspend": suspend}, "status": {"observedGeneration": 2, "conditions": stalled}});
        Object::from_slice(Kind::HelmRelease, &serde_json::to_vec(&object).unwrap()).unwrap()
    }

    fn stalled(status: &str, reason: &str, generation: i64) -> Value {
        json!([{"type": "Stalled", "status": status, "reason": reason, "observedGeneration": generation}])
    }

    #[rstest]
    #[case::they_did(stalled("True", "RetriesExceeded", 2), false, true)]
    #[case::it_is_tried_again(json!([]), false, false)]
    #[case::it_has_nothing_to_go_back_to(stalled("True", "MissingRollbackTarget", 2), false, false)]
    #[case::it_is_stalled_no_more(stalled("False", "RetriesExceeded", 2), false, false)]
    #[case::that_was_before_its_spec_changed(stalled("True", "RetriesExceeded", 1), false, false)]
    #[case::it_is_suspended(stalled("True", "RetriesExceeded", 2), true, false)]
    fn retries_of_a_release_ran_out_where(
        #[case] conditions: Value,
        #[case] suspend: bool,
        #[case] ran_out: bool,
    ) {
        assert_eq!(retries_ran_out(&release(conditions, suspend)), ran_out);
    }
}
