//! What stands in certificates, and for how long they are valid.

use std::time::{Duration, SystemTime};

use mesh_api::{SpiffeId, TrustDomain};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::DnsName;
use time::OffsetDateTime;

use super::{Refusal, RequestedKey};
use crate::clock::unix_seconds;

/// How long leaves live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    pub(crate) default: Duration,
    pub(crate) longest: Duration,
    pub(crate) clock_skew: Duration,
}

/// From when until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

// === impl Lifetime ===

impl Lifetime {
    /// The validity of a leaf, within that of its issuer and in whole seconds, as certificates
    /// have them. `None` if the issuer has not a second left.
    ///
    /// It begins a little early for clocks that are behind: by `clock_skew`, but by no more than
    /// a tenth of the life, so that a short life is not spent before it begins.
    pub(crate) fn leaf(
        &self,
        now: SystemTime,
        ttl: Option<Duration>,
        issuer: &Validity,
    ) -> Option<Validity> {
        let ttl = ttl
            .unwrap_or(self.default)
            .min(self.longest)
            .max(Duration::from_secs(1));
        let skew = Duration::from_secs(self.clock_skew.min(ttl / 10).as_secs());
        let now = whole_seconds(now);
        let not_before = whole_seconds(now.checked_sub(skew)?).max(issuer.not_before);
        let not_after = whole_seconds(now.checked_add(ttl)?).min(issuer.not_after);
        (not_after > now && not_after > not_before).then_some(Validity {
            not_before,
            not_after,
        })
    }
}

pub(crate) fn whole_seconds(time: SystemTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_seconds(time)).unwrap_or(0))
}

/// The time as certificates carry it; the year 9999 at most (RFC 5280, section 4.1.2.5).
pub(crate) fn certificate_time(time: SystemTime) -> OffsetDateTime {
    const END_OF_9999: i64 = 253_402_300_799;
    OffsetDateTime::from_unix_timestamp(unix_seconds(time).min(END_OF_9999))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A leaf by X.509-SVID, section 4: exactly one URI SAN, no authority, digital signature; both
/// client and server, since a workload is both. The subject stays empty.
pub(crate) fn leaf_profile(
    identity: &SpiffeId,
    dns_names: &[String],
    key: &RequestedKey,
) -> Result<CertificateParams, Refusal> {
    let ia5 = |text: &str| {
        Ia5String::try_from(text).map_err(|_| Refusal::DnsName(text.chars().take(256).collect()))
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(ia5(identity.as_str())?)];
    for name in dns_names {
        DnsName::try_from(name.as_str())
            .map_err(|_| Refusal::DnsName(name.chars().take(256).collect()))?;
        params.subject_alt_names.push(SanType::DnsName(ia5(name)?));
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if key.rsa {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A certificate of an authority (X.509-SVID, section 3): it may name its trust domain, and signs
/// certificates and nothing else.
pub(crate) fn authority_profile(
    trust_domain: &TrustDomain,
    name: &str,
    path_length: u8,
    validity: Validity,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, trust_domain.as_str());
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.not_before = certificate_time(validity.not_before);
    params.not_after = certificate_time(validity.not_after);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    const LIFETIME: Lifetime = Lifetime {
        default: Duration::from_secs(86_400),
        longest: Duration::from_secs(7 * 86_400),
        clock_skew: Duration::from_secs(120),
    };

    #[test]
    fn lives_as_asked_within_bounds() {
        let issuer = Validity {
            not_before: at(0),
            not_after: at(10_000_000),
        };
        let seconds = |s| Some(Duration::from_secs(s));
        for (ttl, before, after) in [
            (None, 120, 86_400),
            (seconds(3600), 120, 3600),
            (seconds(10), 1, 10),
            (seconds(0), 0, 1),
            (seconds(u64::MAX / 4), 120, 7 * 86_400),
        ] {
            let got = LIFETIME.leaf(at(1_000_000), ttl, &issuer).unwrap();
            assert_eq!(
                got,
                Validity {
                    not_before: at(1_000_000 - before),
                    not_after: at(1_000_000 + after)
                }
            );
        }
    }

    proptest! {
        #[test]
        fn never_outlives_its_issuer(now in 0u64..4_000_000, ttl in proptest::option::of(0u64..2_000_000), start in 0u64..2_000_000, life in 0u64..2_000_000) {
            let issuer = Validity { not_before: at(start), not_after: at(start + life) };
            if let Some(leaf) = LIFETIME.leaf(at(now), ttl.map(Duration::from_secs), &issuer) {
                prop_assert!(leaf.not_before >= issuer.not_before && leaf.not_after <= issuer.not_after);
                prop_assert!(leaf.not_before < leaf.not_after && leaf.not_after > at(now));
            } else {
                prop_assert!(issuer.not_after <= at(now) || issuer.not_before >= at(now));
            }
        }
    }
}
