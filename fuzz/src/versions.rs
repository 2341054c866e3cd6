use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};

use gitops_updater::domain::component::UpdateType;
use gitops_updater::domain::version::range::{Range, strict_version};
use gitops_updater::domain::version::{Scheme, Version};

const SCHEMES: [Scheme; 4] = [Scheme::Semver, Scheme::K3s, Scheme::ImageTag, Scheme::Loose];

/// The order of the versions of a scheme is total and agrees with equality; the kind of an update
/// agrees with the order.
///
/// The first byte is the scheme, the lines behind it are versions.
pub fn versions(bytes: &[u8]) {
    let Some((selector, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let scheme = SCHEMES[usize::from(*selector) % SCHEMES.len()];
    let read: Vec<Version> = text.lines().take(4).filter_map(|line| scheme.parse(line)).collect();
    for one in &read {
        assert_eq!(one.cmp(one), Ordering::Equal);
        assert_eq!(one.update_type(one), UpdateType::None, "{one:?}");
        let _in_a_range = one.for_range();
        for other in &read {
            pair_holds(one, other);
            for third in &read {
                assert!(!(one <= other && other <= third) || one <= third, "{one:?} {other:?} {third:?}");
            }
        }
    }
}

fn pair_holds(one: &Version, other: &Version) {
    let order = one.cmp(other);
    assert_eq!(order, other.cmp(one).reverse(), "{one:?} {other:?}");
    assert_eq!(order.is_eq(), one == other, "{one:?} {other:?}");
    assert_eq!(one.partial_cmp(other), Some(order));
    if one == other {
        assert_eq!(hash(one), hash(other), "{one:?} {other:?}");
    }
    assert_eq!(one.comparable(other), other.comparable(one), "{one:?} {other:?}");
    assert_eq!(one.same_release(other), other.same_release(one), "{one:?} {other:?}");
    let update = one.update_type(other);
    if one.comparable(other) {
        let newer = !matches!(update, UpdateType::None) && order.is_ne();
        assert_eq!(newer, order.is_lt(), "{update:?} from {one:?} to {other:?}");
    } else {
        assert_eq!(update, UpdateType::Unknown, "{one:?} {other:?}");
    }
}

fn hash(version: &Version) -> u64 {
    let mut hasher = DefaultHasher::new();
    version.hash(&mut hasher);
    hasher.finish()
}

/// A range gives back its text, reads it again to the same, and what it admits is consistent.
///
/// The first line is the range, the others are versions.
pub fn ranges(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (range, versions) = text.split_once('\n').unwrap_or((text, ""));
    let read = match Range::parse(range) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(read.to_string(), range);
    let admitted: Vec<semver::Version> = versions
        .lines()
        .take(8)
        .filter_map(strict_version)
        .filter(|version| {
            let strict = read.matches(version);
            assert!(!strict || read.matches_with_prereleases(version), "{range} {version}");
            assert!(!strict || version.pre.is_empty() || read.names_prerelease(), "{range} {version}");
            strict
        })
        .collect();
    if read.is_exact() {
        for pair in admitted.windows(2) {
            assert!(pair[0].cmp_precedence(&pair[1]).is_eq(), "`{range}` is exact but admits {pair:?}");
        }
    }
}
