use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn window(cron: &str, hours: u64, zone: &str) -> Window {
    Window::new(cron, Duration::from_secs(hours * 3600), TimeZone::get(zone).unwrap(), "windows[0]").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn without_windows_it_is_always_open() {
    assert_eq!(open([], at("2026-11-21T12:00:00Z")), Opening::Open { until: None });
}

#[rstest]
#[case::before_it_opens("2026-11-21T00:59:59Z", "closed until 2026-11-21T01:00:00Z")]
#[case::the_moment_it_opens("2026-11-21T01:00:00Z", "open until 2026-11-21T05:00:00Z")]
#[case::the_last_moment("2026-11-21T04:59:59Z", "open until 2026-11-21T05:00:00Z")]
#[case::the_moment_it_closes("2026-11-21T05:00:00Z", "closed until 2026-11-28T01:00:00Z")]
fn window_is_open_from_its_beginning_and_before_its_end(#[case] now: &str, #[case] expected: &str) {
    assert_eq!(shown(open([&window("0 2 * * 6", 4, "Europe/Berlin")], at(now))), expected);
}

fn shown(opening: Opening) -> String {
    let time = |time: Option<Timestamp>| time.map_or("nothing known".to_owned(), |time| time.to_string());
    match opening {
        Opening::Open { until } => format!("open until {}", time(until)),
        Opening::Closed { next } => format!("closed until {}", time(next)),
    }
}

#[rstest]
#[case::on_its_own_day("2026-11-20T22:30:00Z", "open until 2026-11-21T02:00:00Z")]
#[case::after_midnight_it_is_still_fridays("2026-11-21T01:30:00Z", "open until 2026-11-21T02:00:00Z")]
#[case::thursdays_night_is_not("2026-11-20T01:30:00Z", "closed until 2026-11-20T22:00:00Z")]
fn window_over_midnight_belongs_to_the_day_it_begins(#[case] now: &str, #[case] expected: &str) {
    assert_eq!(shown(open([&window("0 22 * * 5", 4, "UTC")], at(now))), expected);
}

// Berlin's clocks go from 02:00 to 03:00 on 2026-03-29 (01:00Z), and from 03:00 to 02:00 on 2026-10-25 (01:00Z).
#[rstest]
#[case::skipped_time_counts_an_hour_later(
    "30 2 * * *",
    1,
    "2026-03-29T01:29:59Z",
    "closed until 2026-03-29T01:30:00Z"
)]
#[case::skipped_time_lasts_as_long(
    "30 2 * * *",
    1,
    "2026-03-29T01:30:00Z",
    "open until 2026-03-29T02:30:00Z"
)]
#[case::doubled_time_counts_once("30 2 * * *", 1, "2026-10-25T00:30:00Z", "open until 2026-10-25T01:30:00Z")]
#[case::doubled_time_does_not_open_again(
    "30 2 * * *",
    1,
    "2026-10-25T01:30:00Z",
    "closed until 2026-10-26T01:30:00Z"
)]
#[case::four_hours_pass_in_the_short_night(
    "0 0 * * *",
    4,
    "2026-03-29T02:59:59Z",
    "open until 2026-03-29T03:00:00Z"
)]
#[case::four_hours_pass_in_the_long_night(
    "0 0 * * *",
    4,
    "2026-10-25T01:59:59Z",
    "open until 2026-10-25T02:00:00Z"
)]
#[case::beginnings_out_of_order("30 2,3 * * *", 1, "2026-03-29T01:30:00Z", "open until 2026-03-29T02:30:00Z")]
fn changes_of_the_clocks_neither_lose_nor_double_a_window(
    #[case] cron: &str,
    #[case] hours: u64,
    #[case] now: &str,
    #[case] expected: &str,
) {
    assert_eq!(shown(open([&window(cron, hours, "Europe/Berlin")], at(now))), expected);
}

#[test]
fn windows_that_touch_or_overlap_are_one() {
    let windows =
        [window("0 1 * * *", 2, "UTC"), window("0 3 * * *", 2, "UTC"), window("30 4 * * *", 1, "UTC")];
    assert_eq!(shown(open(&windows, at("2026-11-21T01:00:00Z"))), "open until 2026-11-21T05:30:00Z");
    assert_eq!(shown(open(&windows, at("2026-11-21T05:30:00Z"))), "closed until 2026-11-22T01:00:00Z");
}

#[test]
fn window_that_never_closes_has_no_end() {
    assert_eq!(
        open([&window("0 0 * * *", 24, "UTC")], at("2026-11-21T01:00:00Z")),
        Opening::Open { until: None }
    );
}

#[rstest]
#[case::rare_dates_come("0 0 29 2 *", "closed until 2028-02-29T00:00:00Z")]
#[case::last_day_of_the_month("0 0 L * *", "closed until 2026-11-30T00:00:00Z")]
#[case::first_sunday("0 0 * * 0#1", "closed until 2026-12-06T00:00:00Z")]
#[case::names_of_days("0 0 * JAN Mon", "closed until 2027-01-04T00:00:00Z")]
fn forms_of_cron_are_understood(#[case] cron: &str, #[case] expected: &str) {
    assert_eq!(shown(open([&window(cron, 1, "UTC")], at("2026-11-21T01:00:00Z"))), expected);
}

#[rstest]
#[case::four_fields("0 2 * *")]
#[case::a_zone_inside("0 2 * * 6 UTC")]
#[case::seconds("0 0 2 * * 6")]
#[case::hour_24("0 24 * * *")]
#[case::words("at two")]
#[case::aliases("@daily")]
#[case::nothing("")]
#[case::hashed("H 2 * * *")]
fn what_is_no_cron_expression_is_refused(#[case] cron: &str) {
    let made = Window::new(cron, Duration::from_secs(3600), TimeZone::UTC, "windows[0]");
    assert!(matches!(made, Err(WindowError::Cron { .. })), "{made:?}");
}

#[test]
fn dates_that_never_come_and_durations_out_of_bounds_are_refused() {
    let made = |cron, seconds| Window::new(cron, Duration::from_secs(seconds), TimeZone::UTC, "x").map(drop);
    assert_eq!(made("0 0 31 2 *", 3600), Err(WindowError::Never { text: "0 0 31 2 *".to_owned() }));
    assert_eq!(made("0 0 * * *", 59), Err(WindowError::Duration));
    assert_eq!(made("0 0 * * *", 7 * 86_400 + 1), Err(WindowError::Duration));
    assert_eq!(made("0 0 * * *", 60), Ok(()));
}

/// The same question, answered minute by minute and without the cron library.
fn is_open_by_looking(
    minute: i8,
    hour: i8,
    weekday: Option<i8>,
    lasts: i64,
    zone: &TimeZone,
    now: Timestamp,
) -> bool {
    let wanted = |civil: DateTime| {
        civil.hour() == hour
            && civil.minute() == minute
            && weekday.is_none_or(|weekday| civil.weekday().to_sunday_zero_offset() == weekday)
    };
    // Every date around, its time on the wall, and when that is.
    let today = zone.to_datetime(now).date();
    (-9..=1).any(|days| {
        let civil = today.checked_add(Span::new().days(days)).unwrap().at(hour, minute, 0, 0);
        if !wanted(civil) {
            return false;
        }
        let as_utc = TimeZone::UTC.to_timestamp(civil).unwrap();
        // What the clocks are ahead of UTC the day before and the day after: one of them is right for the time.
        let [before, after] = [-30, 30].map(|hours| zone.to_offset(as_utc + Span::new().hours(hours)));
        let shown = [before, after].map(|offset| offset.to_timestamp(civil).unwrap());
        let first = shown.into_iter().filter(|instant| zone.to_datetime(*instant) == civil).min();
        // Skipped: by the clock from before the change.
        let begins = first.unwrap_or(shown[0]);
        begins <= now && now < begins + Span::new().minutes(lasts)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn open_agrees_with_looking_at_every_minute(
        minute in 0i8..60,
        hour in 0i8..24,
        weekday in proptest::option::of(0i8..7),
        lasts in 1i64..6000,
        zone in proptest::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
        // Around changes of the clocks, and anywhere.
        around in proptest::sample::select(vec!["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z", "2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z", "2026-07-01T00:00:00Z"]),
        offset in -3000i64..3000,
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let now = at(around) + Span::new().minutes(offset);
        let weekdays = weekday.map_or("*".to_owned(), |day| day.to_string());
        let duration = Duration::from_secs(lasts as u64 * 60);
        let window = Window::new(&format!("{minute} {hour} * * {weekdays}"), duration, zone.clone(), "x").unwrap();
        let opening = open([&window], now);
        prop_assert_eq!(matches!(opening, Opening::Open { .. }), is_open_by_looking(minute, hour, weekday, lasts, &zone, now));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_is_said_of_the_future_comes_true(
        cron in "[0-9]{1,2} (\\*|[0-9]|1[0-9]|2[0-3]|\\*/[2-6]) \\* \\* (\\*|[0-6])",
        lasts in 1u64..4000,
        zone in proptest::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
        offset in 0i64..525_600,
    ) {
        let made = Window::new(&cron, Duration::from_secs(lasts * 60), TimeZone::get(zone).unwrap(), "x");
        prop_assume!(made.is_ok());
        let window = made.unwrap();
        let now = at("2026-01-01T00:00:00Z") + Span::new().minutes(offset);
        let just_before = |time: Timestamp| time - Span::new().nanoseconds(1);
        match open([&window], now) {
            Opening::Open { until: Some(until) } => {
                let is_closed = matches!(open([&window], until), Opening::Closed { .. });
                prop_assert!(until > now && is_closed);
                prop_assert_eq!(open([&window], just_before(until)), Opening::Open { until: Some(until) });
            }
            Opening::Closed { next } => {
                let next = next.unwrap();
                let is_open = matches!(open([&window], next), Opening::Open { .. });
                prop_assert!(next > now && is_open);
                prop_assert_eq!(open([&window], just_before(next)), Opening::Closed { next: Some(next) });
            }
            Opening::Open { until: None } => {}
        }
    }
}
