//! What a certificate says of itself: until when it is good, and for which names.

use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

use crate::TlsError;
use crate::binding::{SEQUENCE, value};

/// More tags of DER that are needed.
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version of a certificate, which may be left out.
const VERSION: u8 = 0xa0;

/// A server's certificate, read.
#[derive(Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// From when it is good, since the Unix epoch.
    pub not_before: Duration,
    /// Until when it is good, since the Unix epoch.
    pub not_after: Duration,
}

impl Certificate {
    /// The first certificate of a chain in PEM: the server's own.
    pub fn from_pem(chain: &[u8]) -> Result<Self, TlsError> {
        let first = CertificateDer::pem_slice_iter(chain).next();
        let der = first
            .ok_or(TlsError::NoCertificate)?
            .map_err(TlsError::Certificate)?;
        Self::read(der)
    }

    /// All of them.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Self>, TlsError> {
        CertificateDer::pem_slice_iter(pem)
            .map(|der| Self::read(der.map_err(TlsError::Certificate)?))
            .collect()
    }

    fn read(der: CertificateDer<'static>) -> Result<Self, TlsError> {
        let (not_before, not_after) = validity(&der).ok_or(TlsError::NoValidity)?;
        Ok(Self {
            der,
            not_before,
            not_after,
        })
    }

    /// Whether it is good at this time, since the Unix epoch.
    pub fn is_good_at(&self, now: Duration) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Whether it is for this host or domain.
    pub fn is_for(&self, name: &str) -> bool {
        let parsed = ParsedCertificate::try_from(&self.der);
        let (Ok(parsed), Ok(name)) = (parsed, ServerName::try_from(name)) else {
            return false;
        };
        rustls::client::verify_server_name(&parsed, &name).is_ok()
    }
}

/// What stands fifth in the body of a certificate, without its version (RFC 5280).
fn validity(certificate: &[u8]) -> Option<(Duration, Duration)> {
    let (certificate, _) = value(SEQUENCE, certificate)?;
    let (body, _) = value(SEQUENCE, certificate)?;
    let mut rest = value(VERSION, body).map_or(body, |(_, rest)| rest);
    // Serial number, algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, rest) = value(tag, rest)?;
    }
    let (validity, _) = value(SEQUENCE, rest)?;
    let (not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some((not_before, not_after))
}

/// `YYMMDDHHMMSSZ`, whose years are those from 1950 to 2049, or `YYYYMMDDHHMMSSZ`; and what follows.
fn time(octets: &[u8]) -> Option<(Duration, &[u8])> {
    if let Some((text, rest)) = value(UTC_TIME, octets) {
        let year = digits(text.get(..2)?)?;
        let century = if year < 50 { 2000 } else { 1900 };
        return Some((since_epoch(century + year, text.get(2..)?)?, rest));
    }
    let (text, rest) = value(GENERALIZED_TIME, octets)?;
    let year = digits(text.get(..4)?)?;
    Some((since_epoch(year, text.get(4..)?)?, rest))
}

fn digits(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A year and `MMDDHHMMSSZ`. What was before 1970 counts as its beginning.
fn since_epoch(year: u64, text: &[u8]) -> Option<Duration> {
    let part = |at: usize| digits(text.get(at..at + 2)?);
    let (month, day) = (part(0)?, part(2)?);
    let (hour, minute, second) = (part(4)?, part(6)?, part(8)?);
    (text.get(10..) == Some(b"Z") && (1..=12).contains(&month)).then_some(())?;
    // The year begins in March, so that the day that is not always there is its last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    // From the first of March of the year 0 to 1970; the day of the month counts from 1.
    let days = days.saturating_sub(719_469);
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (year, text, seconds) in [
            (1970, "0101000000Z", 0),
            (2000, "0229000000Z", 951_782_400),
            (2026, "1129013641Z", 1_795_916_201),
            (2100, "0301000000Z", 4_107_542_400),
        ] {
            let read = since_epoch(year, text.as_bytes());
            assert_eq!(read, Some(Duration::from_secs(seconds)), "{year} {text}");
        }
        for text in ["", "0101", "1301000000Z", "0101000000+0100"] {
            assert_eq!(since_epoch(2026, text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_certificate_says_until_when_it_is_good_and_for_whom() {
        let mut params = rcgen::CertificateParams::new(vec!["sip.example.org".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 2);
        params.not_after = rcgen::date_time_ymd(2051, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let read = Certificate::from_pem(pem.as_bytes()).unwrap();
        let days = |days: u64| Duration::from_hours(24 * days);
        assert_eq!(read.not_before, days(20_455));
        assert_eq!(read.not_after, days(29_647));
        assert!(read.is_for("sip.example.org") && !read.is_for("example.org"));
        assert!(read.is_good_at(days(20_834)));
        assert!(!read.is_good_at(days(30_093)));
        assert!(!read.is_good_at(days(19_676)));
    }
}
