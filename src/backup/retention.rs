//! Which backup points are old enough to go.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How many are kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest that are kept whatever their age.
    pub keep_last: usize,
    /// Younger ones are kept whatever their number.
    pub keep_for: Duration,
}

/// Ids of backup points that the bot made for steps, that are neither among the newest, nor young, nor `in_use` by an
/// update that is not done. What a person made, and anything of another form, stays.
pub fn outdated(
    ids: &[&str],
    retention: Retention,
    in_use: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<String> {
    let mut own: Vec<(Timestamp, &str)> =
        ids.iter().filter_map(|id| made_at(id).map(|time| (time, *id))).collect();
    own.sort_unstable_by(|a, b| b.cmp(a));
    own.into_iter()
        .skip(retention.keep_last)
        .filter(|(time, _)| now.duration_since(*time).unsigned_abs() >= retention.keep_for && *time <= now)
        .filter(|(_, id)| !in_use.contains(*id))
        .map(|(_, id)| id.to_owned())
        .collect()
}

/// When a backup point for a step was made, as its id says: `backup-YYYYMMDD-HHMMSS-xxxxxxxx`.
fn made_at(id: &str) -> Option<Timestamp> {
    let (time, digest) = id.strip_prefix("backup-")?.rsplit_once('-')?;
    let is_digest = digest.len() == 8 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let time = DateTime::strptime("%Y%m%d-%H%M%S", time).ok().filter(|_| is_digest && time.len() == 15)?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DAY: u64 = 86_400;

    #[rstest]
    #[case::all_are_young(0, 400, &[], &[])]
    #[case::old_and_not_among_the_newest(1, 10, &[], &["backup-20250102-000000-bbbbbbbb", "backup-20250101-000000-aaaaaaaa"])]
    #[case::old_but_in_use(0, 10, &["backup-20250101-000000-aaaaaaaa"], &["backup-20250102-000000-bbbbbbbb"])]
    #[case::newest_stay_whatever_their_age(9, 0, &[], &[])]
    #[case::nothing_is_kept(0, 0, &[], &["backup-20250201-000000-cccccccc", "backup-20250102-000000-bbbbbbbb", "backup-20250101-000000-aaaaaaaa"])]
    fn what_goes(
        #[case] keep_last: usize,
        #[case] days: u64,
        #[case] in_use: &[&str],
        #[case] expected: &[&str],
    ) {
        let ids = [
            "backup-20250101-000000-aaaaaaaa",
            "backup-20250102-000000-bbbbbbbb",
            "backup-20250201-000000-cccccccc",
            // A person's, and what only looks like the bot's.
            "backup-20250101-000000",
            "before-the-move",
            "backup-20250101-000000-aaaaaaaA",
            "backup-2025011-000000-aaaaaaaa",
            "backup-20251301-000000-aaaaaaaa",
        ];
        let retention = Retention { keep_last, keep_for: Duration::from_secs(days * DAY) };
        let in_use = in_use.iter().map(|&id| id.to_owned()).collect();
        // The two old ones are more than ten days old, the third is five.
        let found = outdated(&ids, retention, &in_use, "2025-02-06T00:00:00Z".parse().unwrap());
        assert_eq!(found, expected);
    }

    #[test]
    fn a_clock_that_went_back_removes_nothing() {
        let ids = ["backup-20250201-000000-cccccccc"];
        let retention = Retention { keep_last: 0, keep_for: Duration::from_secs(DAY) };
        assert!(
            outdated(&ids, retention, &BTreeSet::new(), "2020-01-01T00:00:00Z".parse().unwrap()).is_empty()
        );
    }
}
