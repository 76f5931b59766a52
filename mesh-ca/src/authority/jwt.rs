//! The authority's tokens.

use std::time::SystemTime;

use mesh_api::SpiffeId;

use super::material::AuthorityMaterial;
use super::{Authority, AuthorityError, Charge, State};
use crate::clock;
use crate::issue::Refusal;
use crate::jwt::{
    FormerJwtKey, IssuedJwt, JwtKey, JwtPublicKey, LONGEST_AUDIENCE, MOST_AUDIENCES, key_set,
};
use crate::secret_key::KeyError;

/// What signs tokens, and what verifies them.
pub(super) struct JwtKeys {
    signing: JwtKey,
    // Those that may sign next.
    expected: Vec<JwtPublicKey>,
    // Those that have signed, until nothing by them can be good any more. They may be among those
    // that are expected: a rotation that is taken back signs by the old key again.
    former: Vec<FormerJwtKey>,
}

// === impl Authority ===

impl Authority {
    /// Signs a JWT-SVID (SPIFFE JWT-SVID, section 3) for an identity that the caller has already
    /// authenticated. It is good for [`super::AuthorityOptions::jwt_ttl`].
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was signed.
    pub fn issue_jwt(
        &self,
        identity: &SpiffeId,
        audience: &[String],
        now: SystemTime,
    ) -> Result<IssuedJwt, Refusal> {
        self.check_fence()?;
        let fits = |name: &String| !name.is_empty() && name.len() <= LONGEST_AUDIENCE;
        if audience.is_empty() || audience.len() > MOST_AUDIENCES || !audience.iter().all(fits) {
            return Err(Refusal::Audience);
        }
        if identity.trust_domain() != self.options.trust_domain.as_str() {
            return Err(Refusal::TrustDomain {
                identity: identity.clone(),
                trust_domain: self.options.trust_domain.to_string(),
            });
        }
        let state = self.state.load();
        if state.material.not_after() <= now {
            return Err(Refusal::AuthorityExpired);
        }
        let not_after = (now + self.options.jwt_ttl).min(state.material.not_after());
        state
            .jwt
            .signing
            .sign(identity, audience, now, not_after)
            .map_err(|_| Refusal::Internal)
    }

    /// The keys that verify its tokens: those that sign, those that may sign next, and those that
    /// have signed what may still be good. A JSON Web Key Set (RFC 7517).
    pub fn jwks(&self, now: SystemTime) -> String {
        let state = self.state.load();
        let jwt = &state.jwt;
        let now = clock::unix_seconds(now);
        let former = jwt.former.iter().filter(|former| former.until > now);
        let former = former.map(|former| &former.key);
        let current = std::iter::once(jwt.signing.public()).chain(&jwt.expected);
        key_set(current.chain(former.filter(|key| !jwt.expected.contains(key))))
    }

    /// The keys that have signed what may still be good, the one of now among them: to be written
    /// down before another one signs, so that a restart does not make tokens worthless.
    pub fn signed_before(&self, now: SystemTime) -> Vec<FormerJwtKey> {
        let state = self.state.load();
        let over = clock::unix_seconds(now + self.options.jwt_ttl + self.options.clock_skew);
        let signing = FormerJwtKey {
            key: state.jwt.signing.public().clone(),
            until: over,
        };
        let now = clock::unix_seconds(now);
        let former = state.jwt.former.iter();
        let former = former.filter(|former| former.until > now && former.key != signing.key);
        std::iter::once(signing.clone())
            .chain(former.cloned())
            .collect()
    }

    /// Lets peers learn the key of tokens of what is to be adopted later.
    ///
    /// # Errors
    /// If its key cannot be used.
    pub fn expect(&self, material: &AuthorityMaterial) -> Result<(), AuthorityError> {
        let key = material.jwt_public_key()?;
        let before = self.state.load_full();
        let known = std::iter::once(before.jwt.signing.public()).chain(&before.jwt.expected);
        if known.into_iter().any(|known| *known == key) {
            return Ok(());
        }
        let mut charge = before.charge();
        charge.more_jwt_keys.push(key);
        self.publish(State::new(charge)?);
        Ok(())
    }

    /// What goes from one state to the next: tokens outlive the key that signed them.
    pub(super) fn keep_former_keys(&self, next: &mut State) {
        for former in self.signed_before(clock::now()) {
            next.jwt.has_signed(former);
        }
    }
}

// === impl JwtKeys ===

impl JwtKeys {
    pub(super) fn new(
        material: &AuthorityMaterial,
        more: Vec<JwtPublicKey>,
        former: Vec<FormerJwtKey>,
    ) -> Result<Self, KeyError> {
        let signing = JwtKey::derive(&material.key)?;
        let mut expected: Vec<JwtPublicKey> = Vec::new();
        for key in more {
            if key != *signing.public() && !expected.contains(&key) {
                expected.push(key);
            }
        }
        let mut keys = Self {
            signing,
            expected,
            former: Vec::new(),
        };
        former.into_iter().for_each(|key| keys.has_signed(key));
        Ok(keys)
    }

    /// Keeps a key that has signed; of two ends the later one counts.
    fn has_signed(&mut self, new: FormerJwtKey) {
        if new.key == *self.signing.public() {
            return;
        }
        match self.former.iter_mut().find(|known| known.key == new.key) {
            Some(known) => known.until = known.until.max(new.until),
            None => self.former.push(new),
        }
    }
}

// === impl AuthorityMaterial ===

impl AuthorityMaterial {
    /// What verifies the tokens that are signed by it.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn jwt_public_key(&self) -> Result<JwtPublicKey, KeyError> {
        Ok(JwtKey::derive(&self.key)?.public().clone())
    }
}

// === impl State ===

impl State {
    /// The same again, to be changed.
    pub(super) fn charge(&self) -> Charge {
        Charge {
            material: self.material.clone(),
            more_roots: self.trusted.to_vec(),
            more_jwt_keys: self.jwt.expected.clone(),
            former_jwt_keys: Vec::new(),
            renewal: self.renewal.to_string(),
            directory: self.directory.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::authority::AuthorityOptions;

    fn identity(text: &str) -> SpiffeId {
        text.parse().unwrap()
    }

    fn count(authority: &Authority, now: SystemTime) -> usize {
        authority.jwks(now).matches("\"kid\"").count()
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let options = AuthorityOptions::default();
        let now = clock::now();
        let material = AuthorityMaterial::generate(&options, now).unwrap();
        let authority = Authority::from_material(material, &options).unwrap();
        let own = identity("spiffe://cluster.local/ns/a/sa/b");
        let names = |count: usize| vec!["x".to_owned(); count];
        for audience in [
            names(0),
            names(MOST_AUDIENCES + 1),
            vec![String::new()],
            vec!["x".repeat(LONGEST_AUDIENCE + 1)],
        ] {
            let refused = authority.issue_jwt(&own, &audience, now).unwrap_err();
            assert_eq!(refused, Refusal::Audience);
        }
        let other = identity("spiffe://other.example/ns/a/sa/b");
        let refused = authority.issue_jwt(&other, &names(1), now).unwrap_err();
        assert!(matches!(refused, Refusal::TrustDomain { .. }));
        let late = authority.material().not_after();
        let refused = authority.issue_jwt(&own, &names(1), late).unwrap_err();
        assert_eq!(refused, Refusal::AuthorityExpired);
        let issued = authority.issue_jwt(&own, &names(1), now).unwrap();
        assert_eq!(issued.not_after, now + options.jwt_ttl);
    }

    #[test]
    fn a_key_is_known_before_it_signs_and_after_it_has() {
        let options = AuthorityOptions::default();
        let now = clock::now();
        let make = || AuthorityMaterial::generate(&options, now).unwrap();
        let authority = Authority::from_material(make(), &options).unwrap();
        let first = authority.jwks(now);
        assert_eq!(count(&authority, now), 1);
        let next = make();
        let id = next.jwt_public_key().unwrap().id().to_owned();
        authority.expect(&next).unwrap();
        authority.expect(&next).unwrap();
        assert!(authority.jwks(now).contains(&id));
        assert_eq!(count(&authority, now), 2);
        authority.trust(next.roots_der());
        assert_eq!(count(&authority, now), 2, "roots alone change nothing");
        authority.adopt(next.clone(), now).unwrap();
        assert_eq!(
            count(&authority, now),
            2,
            "tokens of the old one may be good"
        );
        assert_ne!(authority.jwks(now), first);
        let later = now + options.jwt_ttl + options.clock_skew + Duration::from_secs(60);
        assert_eq!(count(&authority, later), 1);
        assert!(authority.jwks(later).contains(&id));
    }

    #[test]
    fn a_key_that_has_signed_is_known_after_it_was_taken_back() {
        let options = AuthorityOptions::default();
        let now = clock::now();
        let make = || AuthorityMaterial::generate(&options, now).unwrap();
        let (old, new) = (make(), make());
        let authority = Authority::from_material(old.clone(), &options).unwrap();
        let both = |signs: &AuthorityMaterial, other: &AuthorityMaterial| {
            let mut charge = Charge::new(signs.clone());
            charge.more_jwt_keys = vec![other.jwt_public_key().unwrap()];
            charge
        };
        // Signing by the new one, back to the old one, at rest.
        authority.take_charge(both(&new, &old), now).unwrap();
        authority.take_charge(both(&old, &new), now).unwrap();
        assert_eq!(count(&authority, now), 2);
        authority
            .take_charge(Charge::new(old.clone()), now)
            .unwrap();
        let id = new.jwt_public_key().unwrap().id().to_owned();
        assert!(authority.jwks(now).contains(&id), "its tokens may be good");
        // What is written down brings it back in another process.
        let mut charge = Charge::new(old);
        charge.former_jwt_keys = authority.signed_before(now);
        let text = serde_json::to_string(&charge.former_jwt_keys).unwrap();
        charge.former_jwt_keys = serde_json::from_str(&text).unwrap();
        let again = Authority::from_material(make(), &options).unwrap();
        again.take_charge(charge, now).unwrap();
        assert!(again.jwks(now).contains(&id), "{text}");
        let later = now + options.jwt_ttl + options.clock_skew + Duration::from_secs(60);
        assert!(!again.jwks(later).contains(&id));
    }
}
