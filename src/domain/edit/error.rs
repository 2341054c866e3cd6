//! Why a file is not changed.

use crate::domain::component::Component;

/// A change that is refused; nothing is written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Something else writes the version.
    #[error("cannot change the version of `{component}`: {reason}")]
    ManagedElsewhere {
        /// Component id.
        component: String,
        /// Who writes it.
        reason: String,
    },
    /// Git holds no version that could be replaced.
    #[error("cannot change the version of `{component}`: Git does not pin it ({reason})")]
    NotPinned {
        /// Component id.
        component: String,
        /// What it holds instead.
        reason: String,
    },
    /// The file is made by a program.
    #[error("cannot edit `{file}`: it is generated and must be made anew")]
    Generated {
        /// Path.
        file: String,
    },
    /// Every place says what it should.
    #[error("there is nothing to change for `{component}` to become `{target}`")]
    NothingToChange {
        /// Component id.
        component: String,
        /// The published version.
        target: String,
    },
    /// The target has no text in the form in which the pin is written.
    #[error(
        "cannot write `{target}` in the form of `{text}` at {file}:{line}; write the version as it is published"
    )]
    Form {
        /// Path.
        file: String,
        /// 1-based.
        line: usize,
        /// What stands there.
        text: String,
        /// The published version.
        target: String,
    },
    /// A digest would be left behind.
    #[error("cannot change the version at {file}:{line}: {reason}")]
    Digest {
        /// Path.
        file: String,
        /// 1-based.
        line: usize,
        /// What is wrong with the digest.
        reason: String,
    },
    /// The range cannot be moved in its form.
    #[error("cannot widen the range `{range}` at {file}:{line} to hold `{target}`: {reason}")]
    Range {
        /// Path.
        file: String,
        /// 1-based.
        line: usize,
        /// What stands there.
        range: String,
        /// The published version.
        target: String,
        /// Why not.
        reason: String,
    },
    /// The file could not be read again.
    #[error("cannot edit `{file}`: {reason}")]
    Unreadable {
        /// Path.
        file: String,
        /// Why.
        reason: String,
    },
    /// The file is not text.
    #[error("cannot edit `{file}`: it is not UTF-8")]
    NotText {
        /// Path.
        file: String,
    },
    /// The file is not as it was when the pin was found.
    #[error("cannot edit {file}:{line}: `{expected}` does not stand there; read the repository again")]
    Stale {
        /// Path.
        file: String,
        /// 1-based.
        line: usize,
        /// What should stand there.
        expected: String,
    },
    /// Two replacements want the same bytes.
    #[error("cannot edit {file}:{line}: two changes meet there")]
    Overlap {
        /// Path.
        file: String,
        /// 1-based.
        line: usize,
    },
    /// A checksum over the values of the file would no longer be right.
    #[error(
        "cannot edit `{file}`: SOPS keeps a checksum of its values, so Flux would refuse to decrypt it; move the version to a file that is not encrypted"
    )]
    Encrypted {
        /// Path.
        file: String,
    },
    /// The file would not mean what it should.
    #[error("cannot write `{new}` at {file}:{line} (`{route}`): {reason}")]
    ReadsBack {
        /// Path.
        file: String,
        /// 1-based.
        line: usize,
        /// JSON Pointer within the document.
        route: String,
        /// The text that was to be written.
        new: String,
        /// What it would be read as.
        reason: String,
    },
}

impl EditError {
    pub(super) fn not_pinned(component: &Component, reason: String) -> Self {
        Self::NotPinned { component: component.id.clone(), reason }
    }
}
