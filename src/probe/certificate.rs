//! The end of a certificate's validity, read from its DER form (RFC 5280 §4.1).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When a certificate ends; `None` where the bytes are no certificate.
pub(super) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der).filter(|(tag, _, _)| *tag == SEQUENCE)?;
    let (_, signed, _) = element(certificate).filter(|(tag, _, _)| *tag == SEQUENCE)?;
    let mut rest = signed;
    // Version (where it is not the first), serial number, algorithm, issuer.
    if element(rest)?.0 == VERSION {
        rest = element(rest)?.2;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest).filter(|(tag, _, _)| *tag == SEQUENCE)?;
    let (_, _, after) = element(validity)?;
    let (tag, time, _) = element(after)?;
    let text = std::str::from_utf8(time).ok()?;
    let text = match tag {
        // Two digits of the year: up to 49 they are of this century.
        UTC_TIME => {
            let year: u32 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year < 50 { "20" } else { "19" })
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Tag and content of the first element, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let bytes = usize::from(first & 0x7f);
        if bytes == 0 || bytes > 4 || rest.len() < bytes {
            return None;
        }
        let (length, after) = rest.split_at(bytes);
        rest = after;
        length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    };
    if rest.len() < length {
        return None;
    }
    let (content, after) = rest.split_at(length);
    Some((tag, content, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut der = vec![tag];
        match content.len() {
            length @ 0..=127 => der.push(u8::try_from(length).unwrap()),
            length => {
                der.extend([0x82, u8::try_from(length >> 8).unwrap(), u8::try_from(length & 0xff).unwrap()])
            }
        }
        der.extend(content);
        der
    }

    fn certificate(version: bool, times: &[Vec<u8>; 2]) -> Vec<u8> {
        let mut signed = vec![];
        if version {
            signed.extend(of(VERSION, &of(0x02, &[2])));
        }
        signed.extend(of(0x02, &[1; 16]));
        signed.extend(of(SEQUENCE, &of(0x06, &[42, 134])));
        signed.extend(of(SEQUENCE, &[0; 200]));
        signed.extend(of(SEQUENCE, &times.concat()));
        signed.extend(of(SEQUENCE, &[]));
        of(SEQUENCE, &[of(SEQUENCE, &signed), of(0x03, &[0; 64])].concat())
    }

    #[test]
    fn end_is_read_in_both_forms() {
        let begin = of(UTC_TIME, b"250101000000Z");
        for (version, end, expected) in [
            (true, of(UTC_TIME, b"261231235959Z"), "2026-12-31T23:59:59Z"),
            (false, of(UTC_TIME, b"491231235959Z"), "2049-12-31T23:59:59Z"),
            (true, of(GENERALIZED_TIME, b"20501231235959Z"), "2050-12-31T23:59:59Z"),
        ] {
            let der = certificate(version, &[begin.clone(), end]);
            assert_eq!(not_after(&der).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn other_bytes_are_no_certificate() {
        let der = certificate(true, &[of(UTC_TIME, b"250101000000Z"), of(0x02, b"1")]);
        assert_eq!(not_after(&der), None);
        for end in 0..der.len() {
            assert_eq!(not_after(&der[..end]), None);
        }
        assert_eq!(not_after(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(der in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _answer = not_after(&der);
        }
    }
}
