//! What proxies before this one say of the client.

use std::net::IpAddr;

use http::HeaderMap;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The client's address as the farthest of so many trusted proxies has seen it: they have added
/// one address each to the end of `x-forwarded-for` (Envoy: xff_num_trusted_hops). `None` if there
/// is no such proxy, or the field is too short or holds something else there.
pub fn forwarded_client(headers: &HeaderMap, trusted_proxies: u32) -> Option<IpAddr> {
    let mut left = usize::try_from(trusted_proxies).ok()?.checked_sub(1)?;
    for value in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        let mut addresses = value.to_str().ok()?.rsplit(',');
        for address in addresses.by_ref() {
            if left == 0 {
                return address.trim().parse().ok();
            }
            left -= 1;
        }
    }
    None
}

/// The scheme that a client used, as a head says that the gateway has cleaned: by its own
/// connection, or as a trusted proxy says.
pub(super) fn forwarded_scheme(headers: &HeaderMap) -> Option<&'static str> {
    match headers.get(X_FORWARDED_PROTO)?.as_bytes() {
        b"http" => Some("http"),
        b"https" => Some("https"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn client(fields: &[&'static str], trusted: u32) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(field));
        }
        forwarded_client(&headers, trusted).map(|ip| ip.to_string())
    }

    #[test]
    fn trap_59_as_many_addresses_count_as_proxies_are_trusted() {
        for (fields, trusted, want) in [
            (&["1.1.1.1,2.2.2.2, 3.3.3.3"][..], 0, None),
            (&["1.1.1.1,2.2.2.2, 3.3.3.3"], 1, Some("3.3.3.3")),
            (&["1.1.1.1,2.2.2.2, 3.3.3.3"], 2, Some("2.2.2.2")),
            (&["1.1.1.1,2.2.2.2, 3.3.3.3"], 3, Some("1.1.1.1")),
            (&["1.1.1.1,2.2.2.2, 3.3.3.3"], 4, None),
            (&["1.1.1.1", "2.2.2.2,3.3.3.3"], 3, Some("1.1.1.1")),
            (&["1.1.1.1, 2001:db8::1"], 1, Some("2001:db8::1")),
            // Forged or broken entries are nobody's address.
            (&["1.1.1.1, unknown"], 1, None),
            (&["1.1.1.1:80"], 1, None),
            (&[""], 1, None),
            (&[], 1, None),
            (&["1.1.1.1"], u32::MAX, None),
        ] {
            assert_eq!(
                client(fields, trusted).as_deref(),
                want,
                "{fields:?} {trusted}"
            );
        }
    }
}
