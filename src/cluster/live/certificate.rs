use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// When the first certificate of a PEM text ends; `None` if there is none that can be read.
///
/// TLS stacks tell what is wrong with the other side's certificate, never with
/// one's own: the server just says 401. So its end is looked up here.
pub(super) fn not_after(pem: &[u8]) -> Option<Timestamp> {
    let der = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    // RFC 5280, 4.1: Certificate > TBSCertificate > [0] version, serial number,
    // signature, issuer, validity > not before, not after.
    let (_, certificate, _) = element(&der)?;
    let (_, mut rest, _) = element(certificate)?;
    let (first, _, after) = element(rest)?;
    if first == VERSION {
        rest = after;
    }
    for _ in ["serial number", "signature", "issuer"] {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (tag, time, _) = element(element(validity)?.2)?;
    read_time(tag, std::str::from_utf8(time).ok()?)
}

/// The context tag that version 2 and 3 certificates begin with.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first element of some DER: its tag, its content, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
        if long.len() > 4 {
            return None;
        }
        let length = long.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ`, where years from 50 on are of the last century, or the same with four digits.
fn read_time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
    let at = |from: usize, to: usize| digits.get(from..to);
    let (date, time) = ([at(0, 4)?, at(4, 6)?, at(6, 8)?].join("-"), [at(8, 10)?, at(10, 12)?, at(12, 14)?].join(":"));
    format!("{date}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate() {
        let said = |pem: &str| not_after(pem.as_bytes()).map(|end| end.to_string());
        assert_eq!(said(include_str!("testdata/expired.pem")).as_deref(), Some("2021-02-03T04:05:06Z"));
        assert_eq!(said(include_str!("testdata/server.pem")).as_deref(), Some("2126-01-02T03:04:05Z"));
        assert_eq!(said(""), None);
        assert_eq!(said("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), None);
    }

    #[test]
    fn both_forms_of_time() {
        let said = |tag, text| read_time(tag, text).map(|time| time.to_string());
        assert_eq!(said(UTC_TIME, "491231235959Z").as_deref(), Some("2049-12-31T23:59:59Z"));
        assert_eq!(said(UTC_TIME, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(said(GENERALIZED_TIME, "20500101000000Z").as_deref(), Some("2050-01-01T00:00:00Z"));
        for (tag, text) in [(UTC_TIME, ""), (UTC_TIME, "ü"), (GENERALIZED_TIME, "2050Z"), (0x02, "50")] {
            assert_eq!(said(tag, text), None, "{text}");
        }
    }
}
