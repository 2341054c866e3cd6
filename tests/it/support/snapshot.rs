//! Output that is the same on every machine: what differs from run to run is replaced.

/// Patterns for `insta`, and what to put in place of a match. Temporary paths are replaced before, by
/// [`super::sandbox::Sandbox`], which knows them.
pub(crate) const FILTERS: &[(&str, &str)] = &[
    (r"\b[0-9a-f]{40}\b", "[commit]"),
    (r"(?m)^([*|/\\ ]+)[0-9a-f]{7,12} ", "$1[commit] "),
    (r"\b\d+(\.\d+)?(ms|µs|ns|s)\b", "[duration]"),
];

/// Compares what is given with an inline snapshot, after [`FILTERS`].
macro_rules! snapshot {
    ($value:expr, @$expected:literal) => {{
        let mut settings = insta::Settings::clone_current();
        for (pattern, replacement) in $crate::support::snapshot::FILTERS {
            settings.add_filter(pattern, *replacement);
        }
        settings.bind(|| insta::assert_snapshot!($value.to_string(), @$expected));
    }};
}
pub(crate) use snapshot;

#[test]
fn what_differs_between_runs_is_replaced_and_the_rest_is_not() {
    snapshot!(
        "at 0123456789abcdef0123456789abcdef01234567-dirty in 1.25s, k3s v1.33.4+k3s1\n* 0a1b2c3 (main) Start",
        @r"
    at [commit]-dirty in [duration], k3s v1.33.4+k3s1
    * [commit] (main) Start
    "
    );
}
