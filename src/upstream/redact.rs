//! URLs in messages, without what may be secret in them.

use url::Url;

/// The URL as it may be shown: no user, no password, no fragment, and the query's values hidden.
///
/// Query values of download links are often signatures that stand for a credential.
pub fn redact(url: &Url) -> String {
    let mut shown = url.clone();
    strip(&mut shown);
    if let Some(query) = url.query() {
        let hidden: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) => format!("{name}=…"),
                None => "…".to_owned(),
            })
            .collect();
        shown.set_query(None);
        return format!("{shown}?{}", hidden.join("&"));
    }
    shown.to_string()
}

/// The same for text that should be a URL but may not be one.
pub fn redact_text(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => redact(&url),
        _ => match (text.split_once("://"), text.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) if !scheme.contains('@') => format!("{scheme}://{rest}"),
            (None, Some((_, rest))) => rest.to_owned(),
            _ => text.to_owned(),
        },
    }
}

/// Takes away what is no part of a question to a server: the user, who goes into a header, and the
/// fragment.
pub(crate) fn strip(url: &mut Url) {
    // Both fail only for URLs that cannot have a user, which then have nothing to take away.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.set_fragment(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_password_query_values_and_fragment_are_hidden() {
        for (url, shown) in [
            ("https://me:secret@charts.example.com/a/index.yaml", "https://charts.example.com/a/index.yaml"),
            ("https://s3.example.com/a?X-Sig=abc&page=2#frag", "https://s3.example.com/a?X-Sig=…&page=…"),
            ("https://s3.example.com/a?secret", "https://s3.example.com/a?…"),
            ("https://charts.example.com", "https://charts.example.com/"),
        ] {
            assert_eq!(redact(&Url::parse(url).unwrap()), shown, "{url}");
        }
    }

    #[test]
    fn text_that_is_no_url_loses_its_user_too() {
        assert_eq!(redact_text("https://me:secret@bad host/x"), "https://bad host/x");
        assert_eq!(redact_text("me:secret@example.com"), "example.com");
        assert_eq!(redact_text("not a url"), "not a url");
    }
}
