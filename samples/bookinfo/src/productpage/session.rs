//! Who is signed in: any name, without a password, kept in a cookie.

use http::{HeaderMap, HeaderValue, header};

use crate::urlencoded;

/// The cookie's name, as in the original. Its content is not signed: whoever could forge it
/// could as well sign in under that name.
const COOKIE: &str = "session";
const MAX_NAME: usize = 64;

/// 1 to 64 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User(String);

// === impl User ===

impl User {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        let valid = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
        valid.then(|| Self(name.to_owned()))
    }

    /// The user of the session cookie.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).into_iter();
        cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .find_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                Self::parse(&urlencoded::decode(value).filter(|_| name == COOKIE)?)
            })
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// For `end-user`: UTF-8, which is plain ASCII for most names.
    pub(super) fn header_value(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.0.as_bytes()).ok()
    }

    /// The `Set-Cookie` that signs the user in.
    pub(super) fn remember(&self) -> String {
        format!(
            "{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax",
            urlencoded::encode(&self.0)
        )
    }

    /// The `Set-Cookie` that signs whoever it is out.
    pub(super) fn forget() -> String {
        format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_cookie() {
        for (cookies, expected) in [
            (&["session=jason"][..], Some("jason")),
            (&["a=b; session=anna%20m"], Some("anna m")),
            (&["a=b", "x=y;session=j%C3%B6rg"], Some("jörg")),
            (&["session="], None),
            (&["session=a%0D%0Ab"], None),
            (&["session=%FF"], None),
            (&["mysession=jason; session"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(header::COOKIE, HeaderValue::from_static(cookie));
            }
            let user = User::from_headers(&headers);
            assert_eq!(user.as_ref().map(User::name), expected, "{cookies:?}");
        }
    }

    #[test]
    fn names_have_a_limit() {
        assert_eq!(User::parse("  jason ").unwrap().name(), "jason");
        assert!(User::parse(&"x".repeat(64)).is_some());
        assert!(User::parse(&"x".repeat(65)).is_none());
    }
}
