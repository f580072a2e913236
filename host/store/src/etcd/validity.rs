//! Until when a certificate is valid: the one thing of X.509 that an operator has to be told. Enough DER for that.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of a certificate in DER; `None` when this is not one.
pub(super) fn valid_until(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(certificate, Some(SEQUENCE))?;
    let (_, mut fields, _) = element(certificate, Some(SEQUENCE))?;
    // version (optional), serial number, signature algorithm, issuer, validity
    if fields.first() == Some(&EXPLICIT_VERSION) {
        fields = element(fields, None)?.2;
    }
    for _ in 0..3 {
        fields = element(fields, None)?.2;
    }
    let (_, validity, _) = element(fields, Some(SEQUENCE))?;
    let not_after = element(validity, None)?.2;
    let (tag, text, _) = element(not_after, None)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// The tag and the content of the first element, and what follows it.
fn element(bytes: &[u8], expected: Option<u8>) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, mut rest) = rest.split_first()?;
    let mut length = usize::from(length);
    if length >= 0x80 {
        // The long form: so many bytes of length follow.
        let digits = rest.get(..length - 0x80).filter(|digits| digits.len() <= 4)?;
        rest = &rest[digits.len()..];
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
    }
    let right = expected.is_none_or(|expected| expected == tag);
    right.then_some((tag, rest.get(..length)?, &rest[length..]))
}

/// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on (RFC 5280 §4.1.2.5).
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let full = match (tag, text.get(..2)?.parse::<u8>().ok()?) {
        (UTC_TIME, 50..) => format!("19{text}"),
        (UTC_TIME, _) => format!("20{text}"),
        (GENERALIZED_TIME, _) => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", full).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 3);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_spellings_of_the_date_are_read() {
        for year in [1999, 2026, 2049, 2050, 2999] {
            assert_eq!(valid_until(&certificate(year)).unwrap().to_string(), format!("{year}-02-03T00:00:00Z"));
        }
    }

    #[test]
    fn whatever_is_cut_or_broken_has_no_date_and_no_panic() {
        let whole = certificate(2026);
        for length in 0..whole.len() {
            let _ = valid_until(&whole[..length]);
            let mut broken = whole.clone();
            broken[length] ^= 0xff;
            let _ = valid_until(&broken);
        }
        assert_eq!(valid_until(b""), None);
        assert_eq!(valid_until(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
