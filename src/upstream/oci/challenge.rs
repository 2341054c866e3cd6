//! What a registry's 401 asks for. Pure: headers in, values out.

use std::collections::HashMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

/// How a registry wants to be told who we are (RFC 9110 section 11.6.1; Docker's "Token Authentication").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// Whether credentials and questions may go to the realm that the registry named.
pub(super) fn may_ask_realm(realm: &Url, asked: &Url) -> Result<(), &'static str> {
    if !realm.username().is_empty() || realm.password().is_some() {
        return Err("its address holds credentials");
    }
    match realm.scheme() {
        "https" => Ok(()),
        "http" if asked.scheme() == "http" && realm.host_str() == asked.host_str() => Ok(()),
        "http" => Err("it is not asked over https"),
        _ => Err("its address is neither http nor https"),
    }
}

/// The best challenge of a 401: a token where one is offered.
pub(super) fn read_challenge(headers: &HeaderMap, base: &Url) -> Option<Challenge> {
    let values = || headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let bearer = values().find_map(|value| {
        let (scheme, parameters) = value.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameters = read_parameters(parameters);
        let realm = base.join(parameters.get("realm")?).ok()?;
        Some(Challenge::Bearer { realm, service: parameters.get("service").cloned() })
    });
    let is_basic = |value: &str| value.trim().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("basic"));
    bearer.or_else(|| values().any(is_basic).then_some(Challenge::Basic))
}

/// `key="value", key=value`, with commas and escaped quotes inside quotes (RFC 9110 section 11.2).
fn read_parameters(text: &str) -> HashMap<String, String> {
    let mut parameters = HashMap::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let mut value = String::new();
        let mut letters = after.trim_start().chars();
        if after.trim_start().starts_with('"') {
            letters.next();
            while let Some(letter) = letters.next() {
                match letter {
                    '"' => break,
                    '\\' => value.extend(letters.next()),
                    _ => value.push(letter),
                }
            }
            rest = letters.as_str();
            rest = rest.split_once(',').map_or("", |(_, rest)| rest);
        } else {
            let (bare, others) = after.split_once(',').unwrap_or((after, ""));
            bare.trim().clone_into(&mut value);
            rest = others;
        }
        parameters.entry(key.trim().to_ascii_lowercase()).or_insert(value);
    }
    parameters
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn challenge(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        read_challenge(&headers, &url("https://registry.example/v2/a/tags/list"))
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: url(realm), service: service.map(str::to_owned) })
    }

    #[test]
    fn a_challenge_names_realm_and_service() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#;
        let table: [(&[&str], Option<Challenge>); 9] = [
            (&[docker], bearer("https://auth.docker.io/token", Some("registry.docker.io"))),
            (&["bearer realm=https://a/t"], bearer("https://a/t", None)),
            (
                &[r#"Bearer service="a,b=c", realm="/token""#],
                bearer("https://registry.example/token", Some("a,b=c")),
            ),
            (&[r#"Bearer realm="https://a/t", service="a\"b""#], bearer("https://a/t", Some("a\"b"))),
            (&[r#"Basic realm="x""#], Some(Challenge::Basic)),
            (&["Basic realm=x", "Bearer realm=https://a/t"], bearer("https://a/t", None)),
            (&["Bearer service=x"], None),
            (&["Negotiate", "ä"], None),
            (&[], None),
        ];
        for (values, expected) in table {
            assert_eq!(challenge(values), expected, "{values:?}");
        }
    }

    #[test]
    fn credentials_go_to_a_realm_only_as_safely_as_to_the_registry() {
        let table = [
            ("https://auth.docker.io/token", "https://registry-1.docker.io/v2/", true),
            ("http://auth.docker.io/token", "https://registry-1.docker.io/v2/", false),
            ("http://registry.lan:5001/token", "http://registry.lan:5000/v2/", true),
            ("http://evil.example/token", "http://registry.lan:5000/v2/", false),
            ("https://auth.lan/token", "http://registry.lan:5000/v2/", true),
            ("https://user:password@a/t", "https://a/v2/", false),
            ("file:///etc/passwd", "http://a/v2/", false),
        ];
        for (realm, asked, allowed) in table {
            assert_eq!(may_ask_realm(&url(realm), &url(asked)).is_ok(), allowed, "{realm} for {asked}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_challenge_is_read_without_panic(value in "\\PC{0,80}") {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(&format!("Bearer {value}")) {
                headers.insert(WWW_AUTHENTICATE, value);
            }
            read_challenge(&headers, &url("https://registry.example/"));
        }

        #[test]
        fn a_quoted_parameter_comes_back(text in "[ -~]{0,40}") {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            let parameters = read_parameters(&format!("realm=\"{quoted}\", service=x"));
            proptest::prop_assert_eq!(parameters.get("realm"), Some(&text));
            proptest::prop_assert_eq!(parameters.get("service").map(String::as_str), Some("x"));
        }
    }
}
