//! Pull requests and their commits.

use proptest::prelude::*;

use super::neutral::{hostile, outside_code};
use super::*;

#[test]
fn a_pull_request_tells_a_reviewer_what_is_needed_to_decide() {
    let section = Section {
        title: "Default values of the chart".to_owned(),
        urgent: false,
        items: vec!["`persistence.size` was `10Gi` and is `20Gi`".to_owned()],
        diff: Some("-size: 10Gi\n+size: 20Gi\n".to_owned()),
    };
    let written =
        written("## Fixes\n\n* a bug by @dev in https://github.com/o/r/pull/5\n", &[section], &ours());
    insta::assert_snapshot!(written.title, @"longhorn: 1.11.2 -> 1.12.1");
    insta::assert_snapshot!(written.commit, @r#"
    longhorn: 1.11.2 -> 1.12.1

    Longhorn: minor update, fixes CVE-2026-12345.

    infrastructure/longhorn/release.yaml:12: 1.11.2 -> 1.12.1

    A revert is unsafe: Longhorn cannot go back to 1.11 once its managers have started

    Gitops-Updater-Update: update-20261121-100000
    Gitops-Updater-Component: longhorn
    Gitops-Updater-From: 1.11.2
    Gitops-Updater-To: 1.12.1
    Gitops-Updater-Backup: backup-20261121-095500
    "#);
    insta::assert_snapshot!(seen(&written.body), @r#"
    Moves Longhorn from `1.11.2` to `1.12.1` (minor): fixes CVE-2026-12345.

    **Fixes known vulnerabilities:** `CVE-2026-12345`

    **May break:**

    - The setting `x` of @·someone was removed, see #·12

    ### Changes

    | place | from | to |
    |---|---|---|
    | `infrastructure/longhorn/release.yaml:12` | `1.11.2` | `1.12.1` |

    Not changed:

    - `old/values.yaml:3` (`1.9.0`): it is a copy that says `1.9.0`, not `1.11.2`

    ### Place in the sequence

    Wave 2 of 5.

    - k3s `v1.34.1+k3s1` must be there first, and is

    Had to come first:

    - `k3s` `v1.33.4+k3s1` → `v1.34.1+k3s1`: verified (#7); longhorn 1.12 needs kubernetes &gt;=1.34

    Comes after it:

    - `k3s` `v1.33.4+k3s1` → `v1.34.1+k3s1`: not yet proposed: longhorn 1.12 needs kubernetes &gt;=1.34

    ### Gates

    Approved by: `review` (`policy.semver_gates.minor`).

    | gate | verdict | | decided by |
    |---|---|---|---|
    | `release_age` | passed | released 12 days ago, 3 are asked for | `policy.minimum_release_age` |

    ### If it goes wrong

    Revert: **unsafe**. Longhorn cannot go back to 1.11 once its managers have started

    Where the cluster is watched and validation fails, gitops-updater never reverts this: the queue stops, and a person is called here with the evidence. Do not revert the merged commit: that does harm. Keep what can be seen and repair forwards.

    As the last way, restore the volumes. The data for it: `gitops-updater backup restore b-1 --volume NAME`.

    Backup point: `backup-20261121-095500`

    <details><summary>Default values of the chart</summary>

    - `persistence.size` was `10Gi` and is `20Gi`

    ```diff
    -size: 10Gi
    +size: 20Gi
    ```

    </details>

    ### Release notes

    <https://github.com/longhorn/longhorn/releases>

    <details><summary>1.12.1, 2026-11-01</summary>

    `#1`

    **Fixes**

    - a bug by @·dev in `#5`

    </details>

    <details><summary>1.12.0, 2026-09-01</summary>

    <https://github.com/longhorn/longhorn/releases/tag/v1.12.0>

    No notes were found.

    </details>

    ---
    Update `update-20261121-100000` of `campaign-20261121-095000`.

    <!-- gitops-updater/pull-request/v1 {"update_id":"update-20261121-100000","campaign":"campaign-20261121-095000","component":"longhorn","from":"1.11.2","to":"1.12.1","update_type":"minor","gate":"review","policy_applied":"policy.semver_gates.minor","revert":{"safety":"unsafe","why":"Longhorn cannot go back to 1.11 once its managers have started"},"backup_id":"backup-20261121-095500","base":"0f0e0d0c"} -->
    "#);
    assert_eq!(Marker::parse(&written.body), Some(marker(&step())));
    assert_eq!(Trailers::parse(&written.commit).unwrap().to, "1.12.1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_body_fits_and_is_found_again(text in hostile(), repeat in 1..1_000_usize) {
        let notes = format!("{text}\n").repeat(repeat);
        let section = Section { title: text.clone(), urgent: repeat % 2 == 0, items: vec![text.clone(); 50], diff: Some(notes.clone()) };
        let written = written(&notes, &[section.clone(), section], &ours());
        prop_assert!(written.body.chars().count() <= MAX_BODY + 2);
        let text = outside_code(&written.body);
        prop_assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        prop_assert_eq!(Marker::parse(&written.body), Some(marker(&step())));
    }
}
