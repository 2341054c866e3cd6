//! The text of a target in the form in which Git writes the version.

use crate::domain::version::Scheme;

/// Takes the prefix of a tag away. `None` when the tag does not carry it.
pub(crate) fn strip_prefix<'a>(text: &'a str, prefix: Option<&str>) -> Option<&'a str> {
    match prefix {
        None => Some(text),
        Some(prefix) => text.strip_prefix(prefix),
    }
}

/// Writes `target`, as published, in the form of `pin`: with or without the tag prefix, a leading `v`, and `-` for
/// the `+` of k3s.
///
/// `listed` is how the upstream publishes the version of the pin. Where both are the same text, the pin takes the
/// upstream's form as it is; so do image tags, which exist in no other form.
pub(crate) fn in_form_of(
    pin: &str,
    listed: Option<&str>,
    target: &str,
    scheme: Scheme,
    prefix: Option<&str>,
) -> String {
    if scheme == Scheme::ImageTag || listed == Some(pin) {
        return target.to_owned();
    }
    let bare_target = strip_prefix(target, prefix).unwrap_or(target);
    let (kept_prefix, bare_pin) = match prefix.and_then(|prefix| Some((prefix, pin.strip_prefix(prefix)?))) {
        Some((prefix, bare)) => (prefix, bare),
        None => ("", pin),
    };
    let number = bare_target.strip_prefix('v').unwrap_or(bare_target);
    let is_number = |text: &str| text.starts_with(|character: char| character.is_ascii_digit());
    let sign = match bare_pin.strip_prefix('v') {
        Some(rest) if is_number(rest) => "v",
        None if is_number(bare_pin) => "",
        _ => &bare_target[..bare_target.len() - number.len()],
    };
    let mut text = format!("{kept_prefix}{sign}{number}");
    if scheme == Scheme::K3s {
        let (from, to) = if bare_pin.contains("+k3s") { ("-k3s", "+k3s") } else { ("+k3s", "-k3s") };
        text = text.replacen(from, to, 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_keeps_the_form_of_the_pin() {
        for (scheme, pin, listed, target, prefix, expected) in [
            (Scheme::Semver, "1.2.3", Some("v1.2.3"), "v1.3.0", None, "1.3.0"),
            (Scheme::Semver, "v1.2.3", Some("1.2.3"), "1.3.0", None, "v1.3.0"),
            (Scheme::Semver, "1.2.3", None, "v1.3.0", None, "1.3.0"),
            (Scheme::Semver, "1.2.3", Some("1.2.3"), "v1.3.0", None, "v1.3.0"),
            (Scheme::ImageTag, "1.2.3", None, "1.3.0", None, "1.3.0"),
            (Scheme::Semver, "app-1.2.3", Some("app-1.2.3"), "app-1.3.0", Some("app-"), "app-1.3.0"),
            (Scheme::Semver, "app-1.2.3", None, "app-v1.3.0", Some("app-"), "app-1.3.0"),
            (Scheme::Semver, "1.2.3", Some("app-1.2.3"), "app-1.3.0", Some("app-"), "1.3.0"),
            (Scheme::K3s, "v1.33.4-k3s1", Some("v1.33.4+k3s1"), "v1.33.5+k3s1", None, "v1.33.5-k3s1"),
            (Scheme::K3s, "v1.33.4+k3s1", Some("v1.33.4-k3s1"), "v1.33.5-rc1-k3s1", None, "v1.33.5-rc1+k3s1"),
            (Scheme::K3s, "1.33.4+k3s1", Some("v1.33.4+k3s1"), "v1.33.5+k3s1", None, "1.33.5+k3s1"),
            (Scheme::Loose, "release-1.2", Some("release-1.2"), "release-1.3", None, "release-1.3"),
        ] {
            assert_eq!(in_form_of(pin, listed, target, scheme, prefix), expected, "{pin} to {target}");
        }
    }
}
