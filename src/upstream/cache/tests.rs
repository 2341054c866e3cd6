use super::*;
use reqwest::header::HeaderMap;

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn key(name: &str) -> Key {
    Key::new(&Url::parse("https://a.example").unwrap(), Some(name), None)
}

fn put(cache: &Cache, name: &str, size: usize, at: Timestamp) -> PathBuf {
    let body = Body::Memory(vec![b'x'; size].into());
    let check = Check { length: size as u64, crc: 0 };
    let about = About { check, headers: &HeaderMap::new(), max_age: 0, redirected_to: None };
    cache.store(&key(name), &body, about, at).unwrap()
}

fn hour(hours: i64) -> Timestamp {
    now().checked_add(jiff::SignedDuration::from_hours(hours)).unwrap()
}

#[test]
fn entries_checked_longest_ago_go_first_and_with_all_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache { largest: 5_000, ..Cache::open(folder.path()).unwrap() };
    let extract = put(&cache, "old", 2_000, hour(-3)).with_extension("body.charts");
    std::fs::write(&extract, "x").unwrap();
    put(&cache, "checked", 2_000, hour(-4));
    put(&cache, "new", 2_000, hour(-1));
    let checked = cache.lookup(&key("checked"), now()).unwrap();
    cache.confirm(&key("checked"), &checked, 0, hour(-2));
    cache.prune(now()).unwrap();
    assert!(cache.lookup(&key("old"), now()).is_none());
    assert!(!extract.exists());
    assert!(
        cache.lookup(&key("checked"), now()).is_some_and(|stored| stored.age == Duration::from_secs(7200))
    );
    assert!(cache.lookup(&key("new"), now()).is_some());
}

#[test]
fn files_that_nothing_names_go_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let replaced = put(&cache, "a", 10, now());
    let current = put(&cache, "a", 10, now());
    let cut = folder.path().join("0123.tmp");
    std::fs::write(&cut, "x").unwrap();
    for (path, age) in [(&replaced, 30), (&cut, 30)] {
        let modified = SystemTime::from(now()) - Duration::from_secs(60 * age);
        File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    }
    cache.prune(now()).unwrap();
    assert!(replaced.exists() && cut.exists() && current.exists());
    cache.prune(hour(1)).unwrap();
    assert!(!replaced.exists() && !cut.exists());
    assert!(current.exists(), "a named body stays whatever its age");
}

#[test]
fn keys_differ_by_url_accept_and_identity_and_not_by_how_these_are_joined() {
    let url = |text: &str| Url::parse(text).unwrap();
    let keys = [
        Key::new(&url("https://a.example/x"), None, None),
        Key::new(&url("https://a.example/x?y"), None, None),
        Key::new(&url("https://a.example/x"), Some("ab"), Some("c")),
        Key::new(&url("https://a.example/x"), Some("a"), Some("bc")),
        Key::new(&url("https://a.example/x"), None, Some("ab")),
    ];
    for (place, one) in keys.iter().enumerate() {
        assert!(keys[place + 1..].iter().all(|other| one != other), "{one:?}");
    }
}

#[test]
fn cache_control_is_read_leniently_and_capped() {
    for (control, age, forbidden, max_age) in [
        ("", None, false, 0),
        ("max-age=60", None, false, 60),
        ("public, Max-Age=60", Some("20"), false, 40),
        ("max-age=60", Some("90"), false, 0),
        ("max-age=999999999999999999999", None, false, 0),
        ("max-age=86400", None, false, 3600),
        ("max-age=60, no-cache", None, false, 0),
        ("no-store, max-age=60", None, true, 60),
        ("s-maxage=60, immutable", None, false, 0),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", control.parse().unwrap());
        if let Some(age) = age {
            headers.insert("age", age.parse().unwrap());
        }
        let keeping = Keeping::from_headers(&headers);
        assert_eq!((keeping.forbidden, keeping.max_age), (forbidden, max_age), "{control} {age:?}");
    }
}
