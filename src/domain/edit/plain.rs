//! What YAML readers make of plain scalars.
//!
//! Kubernetes, Flux and Helm read manifests with go-yaml, which follows YAML 1.1 in part (`resolve.go`): octal
//! numbers, numbers with `_`, `yes` and `off`.

/// What a plain scalar is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    /// `exact`: what is read is written as the text is (`1.10` is read as 1.1).
    Number {
        exact: bool,
    },
    Text,
}

pub(super) fn kind(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "n" | "N" | "no" | "No" | "NO" | "true" | "True" | "TRUE"
        | "false" | "False" | "FALSE" | "on" | "On" | "ON" | "off" | "Off" | "OFF" => return Kind::Bool,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan"
        | ".NaN" | ".NAN" => return Kind::Number { exact: false },
        _ => {}
    }
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !body.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Kind::Text;
    }
    let plain = body.replace('_', "");
    let digits = |text: &str, radix: u32| !text.is_empty() && text.chars().all(|digit| digit.is_digit(radix));
    let prefixed = plain.get(..2).zip(plain.get(2..)).is_some_and(|(prefix, rest)| match prefix {
        "0x" | "0X" => digits(rest, 16),
        "0o" | "0O" => digits(rest, 8),
        "0b" | "0B" => digits(rest, 2),
        _ => false,
    });
    if prefixed {
        return Kind::Number { exact: false };
    }
    if digits(&plain, 10) {
        let octal = plain.len() > 1 && plain.starts_with('0');
        let fits = plain.parse::<i64>().is_ok();
        return Kind::Number { exact: body == text && plain == body && !octal && fits };
    }
    if !is_float(&plain) {
        return Kind::Text;
    }
    let read = plain.parse::<f64>().ok();
    Kind::Number { exact: body == text && read.is_some_and(|number| format!("{number:?}") == text) }
}

/// `^(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, as go-yaml has it, after the sign.
fn is_float(text: &str) -> bool {
    let (number, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.is_none_or(|exponent| {
        let bare = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !bare.is_empty() && digits(bare)
    });
    let number = match number.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()),
        None => !number.is_empty() && digits(number),
    };
    exponent && number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_go_yaml_reads() {
        let number = |exact| Kind::Number { exact };
        for (text, expected) in [
            ("1.2.3", Kind::Text),
            ("v1.2", Kind::Text),
            ("1.2-alpine", Kind::Text),
            ("2024-01-05", Kind::Text),
            ("1.5", number(true)),
            ("1.10", number(false)),
            ("1.0", number(true)),
            ("1.", number(false)),
            ("16", number(true)),
            ("016", number(false)),
            ("0x10", number(false)),
            ("1_6", number(false)),
            ("+1", number(false)),
            ("12e4", number(false)),
            ("12e", Kind::Text),
            ("1e-3x", Kind::Text),
            (".5", number(false)),
            (".", Kind::Text),
            ("1.2.", Kind::Text),
            ("123456789012345678901234567890", number(false)),
            ("off", Kind::Bool),
            ("~", Kind::Null),
            ("", Kind::Null),
            ("~1.9", Kind::Text),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
