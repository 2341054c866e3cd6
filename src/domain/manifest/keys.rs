//! Which keys a document may have, told in a few instructions.

use super::route::{Pattern, Segment};

/// The keys of a document's mappings, as a Bloom filter: a key that is missing here is nowhere in the
/// document, one that is here may be.
///
/// Rules look for dozens of places in every object; most name a key that the document does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys([u64; 4]);

impl Keys {
    /// The keys without which none of the patterns names anything.
    pub fn needed<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Self {
        let mut keys = Self::default();
        for segment in patterns.into_iter().flat_map(|pattern| &pattern.segments) {
            match segment {
                // An index of a list is not written.
                Segment::Key(key) if key.parse::<usize>().is_err() => keys.add(key),
                Segment::Key(_) | Segment::Any | Segment::Deep => {}
            }
        }
        keys
    }

    /// Whether all of `others` may be here.
    pub fn may_have(&self, others: &Self) -> bool {
        self.0.iter().zip(&others.0).all(|(here, wanted)| here & wanted == *wanted)
    }

    pub(super) fn add(&mut self, key: &str) {
        // FNV-1a (draft-eastlake-fnv), of which the high bits are the best mixed.
        let hash = key
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let bit = (hash >> 24) as usize;
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    /// Any key may be here.
    pub(super) fn add_all(&mut self) {
        self.0 = [u64::MAX; 4];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needed(patterns: &[&str]) -> Keys {
        let patterns: Vec<_> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        Keys::needed(&patterns)
    }

    #[test]
    fn only_keys_are_needed() {
        assert_eq!(needed(&["", "/*/**", "/0/17"]), Keys::default());
        assert_ne!(needed(&["/spec"]), Keys::default());
        assert_eq!(needed(&["/spec/**/image"]), needed(&["image", "/spec/0"]));
    }

    #[test]
    fn key_that_is_missing_is_told_from_those_that_are_there() {
        let mut keys = Keys::default();
        assert!(keys.may_have(&Keys::default()));
        for key in ["apiVersion", "kind", "metadata", "name", "spec"] {
            keys.add(key);
        }
        assert!(keys.may_have(&needed(&["/spec/name"])));
        assert!(!keys.may_have(&needed(&["/spec/image"])));
        keys.add_all();
        assert!(keys.may_have(&needed(&["/spec/image"])));
    }

    proptest! {
        #[test]
        fn key_that_is_there_is_never_missed(keys in proptest::collection::vec("\\PC{1,12}", 1..40)) {
            let mut all = Keys::default();
            keys.iter().for_each(|key| all.add(key));
            for key in &keys {
                let pattern = Pattern { absolute: true, segments: vec![Segment::Key(key.clone())] };
                prop_assert!(all.may_have(&Keys::needed([&pattern])));
            }
        }
    }
}
