//! Names of Git objects.

use std::fmt;
use std::str::FromStr;

/// The SHA-1 name of a commit, tree, blob or tag.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 20]);

/// Text that is not 40 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot read an object name: it must have 40 hexadecimal digits")]
pub struct NotAnId;

impl Id {
    /// As libgit2 has it; `None` for the null id, which names nothing, and for ids of another length.
    pub(super) fn known(oid: git2::Oid) -> Option<Self> {
        if oid.is_zero() { None } else { oid.as_bytes().try_into().ok().map(Self) }
    }

    /// As libgit2 wants it.
    pub(super) fn oid(self) -> git2::Oid {
        git2::Oid::from_bytes(&self.0).expect("invariant: an id has 20 bytes")
    }

    /// The first ten digits, for people.
    pub fn short(self) -> String {
        self.to_string()[..10].to_owned()
    }
}

impl From<git2::Oid> for Id {
    /// For ids of objects that exist, which have 20 bytes: other object formats are refused when opening.
    fn from(oid: git2::Oid) -> Self {
        let mut bytes = [0; 20];
        for (to, from) in bytes.iter_mut().zip(oid.as_bytes()) {
            *to = *from;
        }
        Self(bytes)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if text.len() != 40 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAnId);
        }
        git2::Oid::from_str(text).map_err(|_| NotAnId).and_then(|oid| Self::known(oid).ok_or(NotAnId))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_forty_digits_and_not_the_null_id() {
        let text = "e714b3855b38c0df68071a800f3d2339fc09f908";
        assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<Id>().unwrap().to_string(), text);
        assert_eq!(text.parse::<Id>().unwrap().short(), "e714b3855b");
        for wrong in ["", "e714", &text[1..], &format!("{text}0"), &"0".repeat(40), &"g".repeat(40), "HEAD"] {
            assert_eq!(wrong.parse::<Id>(), Err(NotAnId), "{wrong}");
        }
    }
}
