//! The few things that a browser keeps for the portal. Only a session grants anything.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// A cookie that the portal sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The last change that this browser made, so that no page is older.
    Seen,
    /// In which zone times are shown.
    Zone,
    /// Who logged in, where somebody could read along.
    Session,
    /// Who logged in, where nobody can: browsers take and send it by TLS only, and to this very host.
    SecureSession,
}

impl Cookie {
    fn name(self) -> &'static str {
        match self {
            Cookie::Seen => "seen",
            Cookie::Zone => "zone",
            Cookie::Session => "session",
            Cookie::SecureSession => "__Host-session",
        }
    }

    /// The cookie of a session, by whether the connection is encrypted. Neither counts for the other.
    pub(crate) fn session(is_secure: bool) -> Cookie {
        if is_secure { Cookie::SecureSession } else { Cookie::Session }
    }

    /// What a request says of it; nothing when it stands there more than once or holds anything odd.
    pub(crate) fn read(self, headers: &HeaderMap) -> Option<&str> {
        let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.name()).map(|(_, value)| value);
        let value = values.next().filter(|value| value.len() <= 64 && value.bytes().all(is_plain));
        value.filter(|_| values.next().is_none())
    }

    /// The header that sets it, for so many seconds or until the browser is closed.
    pub(crate) fn set(self, value: &str, seconds: Option<u32>) -> (HeaderName, HeaderValue) {
        let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let secure = if self == Cookie::SecureSession { "; Secure" } else { "" };
        let value: String = value.bytes().filter(|byte| is_plain(*byte)).map(char::from).collect();
        let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", self.name());
        (header::SET_COOKIE, HeaderValue::try_from(cookie).expect("plain letters make a header"))
    }
}

/// What zone names and numbers are made of, and nothing that ends a value.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_+./".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cookies: &[&'static str]) -> Option<String> {
        let headers = cookies.iter().map(|text| (header::COOKIE, HeaderValue::from_static(text))).collect();
        Cookie::Zone.read(&headers).map(str::to_owned)
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        assert_eq!(read(&["a=b; zone=America/Chicago;seen=4"]).as_deref(), Some("America/Chicago"));
        assert_eq!(read(&["a=b", "zone=UTC"]).as_deref(), Some("UTC"));
        assert_eq!(read(&["timezone=UTC"]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn what_is_odd_is_not_believed() {
        assert_eq!(read(&["zone=UTC; zone=Asia/Tokyo"]), None);
        assert_eq!(read(&["zone=\"UTC\""]), None);
        assert_eq!(read(&["zone=<b>"]), None);
    }

    #[test]
    fn a_session_by_tls_is_a_cookie_of_its_own() {
        let (_, value) = Cookie::session(true).set("ab", None);
        assert_eq!(value, "__Host-session=ab; Path=/; HttpOnly; SameSite=Lax; Secure");
        let (_, value) = Cookie::session(false).set("ab", None);
        assert_eq!(value, "session=ab; Path=/; HttpOnly; SameSite=Lax");
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static("__Host-session=ab"))]);
        assert_eq!(Cookie::session(false).read(&headers), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_sent_only_a_plain_value_that_stands_there_once_is_read(text in "[ -~]{0,60}", value in "[a-z0-9]{1,64}") {
            let read = |text: String| {
                let headers = HeaderMap::from_iter(HeaderValue::try_from(text).map(|text| (header::COOKIE, text)));
                Cookie::Session.read(&headers).map(str::to_owned)
            };
            let told = read(text.clone());
            proptest::prop_assert!(told.is_none_or(|told| told.bytes().all(is_plain) && text.contains("session=")));
            proptest::prop_assert_eq!(read(format!("session={value}; session={value}")), None);
            proptest::prop_assert_eq!(read(format!("a={value}; session={value}")), Some(value));
        }
    }

    #[test]
    fn a_value_cannot_end_its_cookie() {
        let (_, value) = Cookie::Zone.set("UTC; Domain=evil\r\n", Some(60));
        assert_eq!(value, "zone=UTCDomainevil; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
    }

    mod fuzz {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn no_header_breaks_the_reader(texts in proptest::collection::vec("[ -~]{0,60}|(zone=|;| |UTC|seen=4)*", 0..4)) {
                let values = texts.iter().filter_map(|text| HeaderValue::from_str(text).ok());
                let headers: HeaderMap = values.map(|value| (header::COOKIE, value)).collect();
                if let Some(value) = Cookie::Zone.read(&headers) {
                    prop_assert!(value.len() <= 64 && value.bytes().all(is_plain));
                }
            }

            #[test]
            fn what_is_set_is_read(value in "[A-Za-z0-9_+./-]{0,64}") {
                let (_, cookie) = Cookie::Zone.set(&value, None);
                let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
                let headers: HeaderMap = [(header::COOKIE, HeaderValue::try_from(pair).unwrap())].into_iter().collect();
                prop_assert_eq!(Cookie::Zone.read(&headers), Some(value.as_str()));
            }
        }
    }
}
