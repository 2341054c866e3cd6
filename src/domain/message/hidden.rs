//! Machine data in texts that people read and edit.

use serde::{Deserialize, Serialize};

use super::names::branch_name;
use crate::domain::component::UpdateType;
use crate::domain::plan::{Approval, Revert};

/// Version of the shape.
const SCHEMA: &str = "gitops-updater/pull-request/v1";
const OPEN: &str = "<!-- gitops-updater/pull-request/v1 ";
const CLOSE: &str = " -->";
/// Longest marker that is read, in bytes.
const MAX_MARKER: usize = 16 << 10;
/// Longest id, in bytes; the state takes no longer ones.
const MAX_ID: usize = 64;

/// What the body of a pull request says to the program: enough to rebuild a lost state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Update id.
    pub update_id: String,
    /// Campaign id.
    pub campaign: String,
    /// Component id.
    pub component: String,
    /// Name of its chart, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
    /// What kind of step it is.
    pub update_type: UpdateType,
    /// How it is approved.
    pub gate: Approval,
    /// What decided the gate.
    pub policy_applied: String,
    /// Whether going back is safe.
    pub revert: Revert,
    /// Backup point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// Commit that the change was made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

impl Marker {
    /// The hidden comment, on one line.
    pub fn comment(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        // Within a comment of HTML `--` and `>` could end it; JSON has other words for them.
        let json = json.replace("--", "\\u002d\\u002d").replace('<', "\\u003c").replace('>', "\\u003e");
        format!("{OPEN}{json}{CLOSE}")
    }

    /// The marker in a body, the last one where there are several: texts of others stand above it.
    pub fn parse(body: &str) -> Option<Self> {
        let start = body.rfind(OPEN)? + OPEN.len();
        let rest = &body[start..];
        let json = &rest[..rest.find(CLOSE).filter(|length| *length <= MAX_MARKER)?];
        serde_json::from_str(json).ok()
    }

    /// Whether it is one that the program may have written for the pull request of `branch`: its ids are ids, and the
    /// branch is that of its component and version. Whoever may edit a pull request may edit this.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for people.
    pub fn check(&self, branch: &str) -> Result<(), String> {
        let is_id = |id: &str, prefix: &str| {
            id.starts_with(prefix)
                && id.len() <= MAX_ID
                && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if !is_id(&self.update_id, "update-") {
            return Err("its `update_id` is no id".to_owned());
        }
        if !is_id(&self.campaign, "campaign-") {
            return Err("its `campaign` is no id".to_owned());
        }
        if branch_name(&self.component, &self.to) != branch {
            return Err(format!("`{branch}` is not the branch of its component and version"));
        }
        Ok(())
    }

    /// The version of the shape, as it stands in the comment.
    pub fn schema() -> &'static str {
        SCHEMA
    }
}

/// `text` in letters that neither Git, HTML nor a forge takes for anything; [`decoded`] gives it back.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"./:_+~^,=*".contains(&byte) {
            out.push(char::from(byte));
        } else if byte == b'-' && !out.ends_with('-') {
            out.push('-');
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What [`encoded`] was made from; `None` for what it never makes.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::plan::RevertSafety;

    fn marker(text: &str) -> Marker {
        Marker {
            update_id: "update-20261121-100000".to_owned(),
            campaign: "campaign-20261121-100000".to_owned(),
            component: text.to_owned(),
            chart: Some(text.to_owned()),
            from: "1.0.0".to_owned(),
            to: text.to_owned(),
            update_type: UpdateType::Minor,
            gate: Approval::Review,
            policy_applied: "policy.semver_gates.minor".to_owned(),
            revert: Revert { safety: RevertSafety::Safe, why: text.to_owned() },
            backup_id: None,
            base: Some("0123".to_owned()),
        }
    }

    #[test]
    fn marker_that_somebody_changed_is_told_from_one_of_ours() {
        let ours = marker("helm/apps/podinfo");
        let branch = branch_name("helm/apps/podinfo", "helm/apps/podinfo");
        assert_eq!(ours.check(&branch), Ok(()));
        for update_id in
            ["", "update-", "../x", "update-../x", "update-A", &format!("update-{}", "1".repeat(60))]
        {
            let update_id = update_id.to_owned();
            let is_fine = update_id == "update-";
            assert_eq!(Marker { update_id, ..ours.clone() }.check(&branch).is_ok(), is_fine);
        }
        assert!(Marker { campaign: "x".to_owned(), ..ours.clone() }.check(&branch).is_err());
        assert!(Marker { to: "9.9.9".to_owned(), ..ours.clone() }.check(&branch).is_err());
        assert!(Marker { component: "k3s".to_owned(), ..ours }.check(&branch).is_err());
    }

    proptest! {
        #[test]
        fn what_is_hidden_is_found_again(text in "\\PC{0,40}|[-<>!\"\\\\ ]{0,20}|(-->)") {
            let comment = marker(&text).comment();
            prop_assert_eq!(comment.matches("--").count(), 2);
            prop_assert!(!comment.contains('\n'));
            let body = format!("above {OPEN}{{}} -->\n{comment}\nbelow");
            prop_assert_eq!(Marker::parse(&body), Some(marker(&text)));
        }

        #[test]
        fn any_body_is_read_without_panic(body in "\\PC{0,60}", at in 0..3_usize) {
            let texts = [body.clone(), format!("{OPEN}{body}"), format!("{OPEN}{body}{CLOSE}")];
            prop_assert_eq!(Marker::parse(&texts[at]), None);
        }

        #[test]
        fn encoded_text_is_found_again(text in "\\PC{0,60}") {
            let code = encoded(&text);
            prop_assert!(code.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(!code.contains(['@', '#', '<', '>', '&', '"']) && !code.contains("--"));
            prop_assert_eq!(decoded(&code), Some(text));
        }
    }
}
