//! A certificate authority that is made here and lives in memory.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use crate::{Error, Identity};

/// Ten years: the authority lives as long as the process that made it.
const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// Kubernetes' own serving certificates live a year; a leaf is renewed long before.
const LEAF_LIFE: Duration = Duration::from_hours(90 * 24);
/// Clocks of nodes differ by minutes.
const SKEW: Duration = Duration::from_hours(1);

/// A self-made certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    not_after: SystemTime,
}

impl Authority {
    /// Makes a new one, valid from an hour before `now`.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(now: SystemTime) -> Result<Self, Error> {
        let mut params = params("fluxkeep authority", Vec::new(), now, AUTHORITY_LIFE)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer, not_after: now + AUTHORITY_LIFE })
    }

    /// The certificate that clients have to trust, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.issuer.pem()
    }

    /// When the authority ends to be valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Makes a serving certificate for these DNS names and IP addresses.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn leaf(&self, names: &[String], now: SystemTime) -> Result<Identity, Error> {
        let mut params = params("fluxkeep", names.to_vec(), now, LEAF_LIFE)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Identity::new(vec![certificate.der().clone()], der, "the certificate made here")
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// Whether a certificate is to be renewed: two thirds of its life are over, or it is not valid at
/// all yet, as after a jump of the clock.
#[must_use]
pub fn is_due(not_before: SystemTime, not_after: SystemTime, now: SystemTime) -> bool {
    let (Ok(life), Ok(age)) = (not_after.duration_since(not_before), now.duration_since(not_before)) else {
        return true;
    };
    age >= life * 2 / 3
}

fn params(common_name: &str, names: Vec<String>, now: SystemTime, life: Duration) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    // rcgen's own default is 1975 to 4096.
    params.not_before = OffsetDateTime::from(now) - SKEW;
    params.not_after = OffsetDateTime::from(now) + life;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_due_at_two_thirds_of_its_life_and_after_a_jump_of_the_clock() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let end = start + Duration::from_mins(5);
        let cases = [(0, false), (199, false), (200, true), (300, true), (100_000, true)];
        for (age, due) in cases {
            assert_eq!(is_due(start, end, start + Duration::from_secs(age)), due, "{age}");
        }
        assert!(is_due(start, end, start - Duration::from_secs(1)), "the clock went back");
        assert!(is_due(end, start, start), "a life that ends before it begins");
    }
}
