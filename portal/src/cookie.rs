//! The few things that a browser keeps for the portal. None of them grants anything.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// A cookie that the portal sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The last change that this browser made, so that no page is older.
    Seen,
    /// In which zone times are shown.
    Zone,
}

impl Cookie {
    fn name(self) -> &'static str {
        match self {
            Cookie::Seen => "seen",
            Cookie::Zone => "zone",
        }
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
        let value: String = value.bytes().filter(|byte| is_plain(*byte)).map(char::from).collect();
        let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{age}", self.name());
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
