//! Names of what is made in a cluster for a backup point: the same for the same point, so that a pass that was cut off
//! finds what it made.

use sha2::{Digest as _, Sha256};

/// Label of everything that the program makes in a cluster, with [`MANAGER`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub const MANAGER: &str = "gitops-updater";
/// Label with the [`key`] of the backup point.
pub const POINT_LABEL: &str = "gitops-updater/backup-point";
/// Annotation with the id of the backup point, which may be too long for a label.
pub const POINT_ANNOTATION: &str = "gitops-updater/backup-id";

/// Longest name of an object that is used here: names of Jobs become labels of their pods (RFC 1123 label).
const MAX_NAME: usize = 63;

/// What stands for a backup point in names and labels: `gu-` and 10 hexadecimal digits.
pub fn key(backup_id: &str) -> String {
    format!("gu-{}", digits(backup_id, 5))
}

/// Name of an object that a backup point has of something, such as a volume: the key, and the thing's own name.
pub fn name_of(backup_id: &str, of: &str) -> String {
    let name = format!("{}-{of}", key(backup_id));
    if name.len() <= MAX_NAME && is_name(&name) {
        name
    } else {
        format!("{}-{}", key(backup_id), digits(of, 8))
    }
}

/// RFC 1123 label: what every kind of object takes as its name.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn digits(text: &str, bytes: usize) -> String {
    Sha256::digest(text).iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_tell_point_and_volume_and_stay_the_same() {
        let volume = "pvc-0b9a3c1e-6a52-4b3f-9f0e-2f3d7c1b5a90";
        let name = name_of("backup-20261121-095500-6ea68369", volume);
        assert_eq!(name, format!("{}-{volume}", key("backup-20261121-095500-6ea68369")));
        assert_ne!(name, name_of("backup-20261121-095501-6ea68369", volume));
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_kubernetes_takes(id in "\\PC{0,120}", of in "\\PC{0,120}") {
            prop_assert!(is_name(&name_of(&id, &of)), "{}", name_of(&id, &of));
        }
    }
}
