//! What keeps requests together.

use std::net::IpAddr;

use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use rand::{Rng, RngExt};

use crate::ir::{HashKey, HashPolicy, xxh64};

/// The hash of one request or connection, and what its client is to be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// Chooses the endpoint. Absent if the request lacks what is hashed: then any will do.
    pub hash: Option<u64>,
    /// `set-cookie` for the response.
    pub set_cookie: Option<HeaderValue>,
}

// === impl Affinity ===

impl Affinity {
    /// Of a request. Draws the value of a cookie that the client is to get.
    pub fn of_request(
        policy: &HashPolicy,
        request: &Parts,
        source: Option<IpAddr>,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        let hashed = |text: &[u8]| Self {
            hash: Some(xxh64(text, 0)),
            set_cookie: None,
        };
        match &policy.key {
            HashKey::SourceIp => Self::of_connection(policy, source),
            HashKey::Header(name) => {
                let mut values: Vec<&[u8]> = request
                    .headers
                    .get_all(name)
                    .iter()
                    .map(HeaderValue::as_bytes)
                    .collect();
                values.sort_unstable();
                let fold =
                    |hash: Option<u64>, value: &&[u8]| Some(xxh64(value, hash.unwrap_or_default()));
                Self {
                    hash: values.iter().fold(None, fold),
                    set_cookie: None,
                }
            }
            HashKey::Query(name) => {
                let pairs = request.uri.query().unwrap_or_default().split('&');
                let value = pairs
                    .filter_map(|pair| pair.split_once('='))
                    .find(|(key, _)| *key == &**name);
                value.map_or_else(Self::default, |(_, value)| hashed(value.as_bytes()))
            }
            HashKey::Cookie(cookie) => {
                match (value_of(&request.headers, &cookie.name), &cookie.set) {
                    (Some(value), _) => hashed(value.as_bytes()),
                    (None, None) => Self::default(),
                    (None, Some(rest)) => {
                        let value = format!("{:016x}", rng.random::<u64>());
                        let text = format!("{}=\"{value}\"{rest}", cookie.name);
                        Self {
                            hash: Some(xxh64(value.as_bytes(), 0)),
                            set_cookie: HeaderValue::try_from(text).ok(),
                        }
                    }
                }
            }
        }
    }

    /// Of a connection of opaque bytes: only the address counts.
    pub fn of_connection(policy: &HashPolicy, source: Option<IpAddr>) -> Self {
        let source = source.filter(|_| policy.key == HashKey::SourceIp);
        Self {
            hash: source.map(|source| xxh64(source.to_canonical().to_string().as_bytes(), 0)),
            set_cookie: None,
        }
    }
}

// RFC 6265 section 4.2: pairs between semicolons; values may be quoted.
fn value_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = fields
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let quoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    Some(quoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::fixtures::rng;
    use crate::ir::{HashCookie, HashTableKind};

    fn policy(key: HashKey) -> HashPolicy {
        HashPolicy {
            key,
            table: HashTableKind::Ring { minimum_size: 1024 },
        }
    }

    fn hash(key: &HashKey, request: &http::request::Builder) -> Option<u64> {
        let (parts, ()) = request_of(request).into_parts();
        let source = "10.0.0.1".parse().ok();
        Affinity::of_request(&policy(key.clone()), &parts, source, &mut rng()).hash
    }

    fn request_of(builder: &http::request::Builder) -> Request<()> {
        let mut request = Request::builder().uri(builder.uri_ref().unwrap().clone());
        *request.headers_mut().unwrap() = builder.headers_ref().unwrap().clone();
        request.body(()).unwrap()
    }

    #[test]
    fn keys_are_found_and_equal_keys_have_equal_hashes() {
        let request = Request::get("/path?a=1&user=jo&user=al")
            .header("x-user", "jo")
            .header("cookie", "a=1; user=\"jo\"")
            .header("cookie", "b=2");
        let want = Some(xxh64(b"jo", 0));
        let cookie = |name: &str| {
            HashKey::Cookie(HashCookie {
                name: name.into(),
                set: None,
            })
        };
        let header = |name: &'static str| HashKey::Header(http::HeaderName::from_static(name));
        for key in [
            header("x-user"),
            HashKey::Query("user".into()),
            cookie("user"),
        ] {
            assert_eq!(hash(&key, &request), want, "{key:?}");
        }
        for key in [header("x-none"), HashKey::Query("u".into()), cookie("use")] {
            assert_eq!(hash(&key, &request), None, "{key:?}");
        }
        assert_eq!(
            hash(&HashKey::SourceIp, &request),
            Some(xxh64(b"10.0.0.1", 0))
        );
    }

    #[test]
    fn trap_25_a_cookie_with_a_life_is_generated() {
        let set = Some("; Max-Age=60; Path=/x; HttpOnly".into());
        let name = "user".into();
        let policy = policy(HashKey::Cookie(HashCookie { name, set }));
        let (parts, ()) = Request::get("/").body(()).unwrap().into_parts();
        let given = Affinity::of_request(&policy, &parts, None, &mut rng());
        let text = given.set_cookie.unwrap();
        let text = text.to_str().unwrap();
        let pair = text
            .strip_suffix("; Max-Age=60; Path=/x; HttpOnly")
            .unwrap();
        let (parts, ()) = Request::get("/")
            .header("cookie", pair)
            .body(())
            .unwrap()
            .into_parts();
        let again = Affinity::of_request(&policy, &parts, None, &mut rng());
        assert_eq!((again.hash, again.set_cookie), (given.hash, None));
    }
}
