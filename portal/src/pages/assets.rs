//! The stylesheet and the icon, under addresses that change with their content.

use std::{fmt::Write as _, io::Write as _, sync::LazyLock};

use axum::{
    extract::RawQuery,
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest as _, Sha256};

/// A file that is part of the program.
pub(crate) struct Asset {
    content: &'static str,
    /// As small as it gets: it is sent to every new visitor, and compressed once.
    compressed: Vec<u8>,
    media_type: &'static str,
    version: String,
    link: String,
}

/// The one stylesheet: later parts refine earlier ones.
pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/style.css", "text/css; charset=utf-8", without_comments(parts()).leak()));

/// As they are written.
const fn parts() -> &'static str {
    concat!(
        include_str!("../../assets/style/base.css"),
        include_str!("../../assets/style/controls.css"),
        include_str!("../../assets/style/content.css"),
        include_str!("../../assets/style/lists.css"),
        include_str!("../../assets/style/logs.css"),
        include_str!("../../assets/style/services.css"),
        include_str!("../../assets/style/imports.css"),
        include_str!("../../assets/style/narrow.css"),
    )
}

/// A stylesheet as a browser needs it: comments and the space between lines are for us. Nothing in ours stands
/// between quotes that looks like either.
fn without_comments(style: &str) -> String {
    let mut bare = String::with_capacity(style.len());
    let mut rest = style;
    while let Some((before, behind)) = rest.split_once("/*") {
        bare.push_str(before);
        rest = behind.split_once("*/").map_or("", |(_, behind)| behind);
    }
    bare.push_str(rest);
    let lines = bare.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// The mark of Rundoo: three boards on a stack.
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/favicon.svg", "image/svg+xml", include_str!("../../assets/favicon.svg")));

pub(crate) async fn style(headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    STYLE.answer(&headers, query.as_deref())
}

pub(crate) async fn icon(headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    ICON.answer(&headers, query.as_deref())
}

/// Whether a browser says that it takes gzip. All do that take it, without conditions.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("gzip"))
}

impl Asset {
    fn new(path: &str, media_type: &'static str, content: &'static str) -> Asset {
        // 64 bits tell two builds apart; nobody gains by forging one.
        let mut version = String::from("v=");
        for byte in &Sha256::digest(content)[..8] {
            write!(version, "{byte:02x}").expect("a string takes everything");
        }
        let link = format!("{path}?{version}");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let written = encoder.write_all(content.as_bytes()).and_then(|()| encoder.finish());
        let compressed = written.expect("memory takes everything");
        Asset { content, compressed, media_type, version, link }
    }

    /// Where this very content is.
    pub(crate) fn link(&self) -> &str {
        &self.link
    }

    fn answer(&'static self, headers: &HeaderMap, query: Option<&str>) -> Response {
        let caching =
            if query == Some(self.version.as_str()) { "public, max-age=31536000, immutable" } else { "no-cache" };
        let about = [(header::CONTENT_TYPE, self.media_type), (header::CACHE_CONTROL, caching)];
        if !takes_gzip(headers) {
            return (about, self.content).into_response();
        }
        let mut response = (about, self.compressed.as_slice()).into_response();
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_with_its_hash_is_kept_for_ever() {
        let caching = |query| {
            let response = STYLE.answer(&HeaderMap::new(), query);
            response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        let (_, query) = STYLE.link().split_once('?').unwrap();
        assert!(caching(Some(query)).contains("immutable"));
        assert_eq!(caching(Some("v=0")), "no-cache");
        assert_eq!(caching(None), "no-cache");
    }

    #[test]
    fn who_takes_gzip_gets_as_little_as_possible() {
        let answer = |coding: &'static str| {
            let headers = [(header::ACCEPT_ENCODING, HeaderValue::from_static(coding))].into_iter().collect();
            STYLE.answer(&headers, None).headers().get(header::CONTENT_ENCODING).cloned()
        };
        assert_eq!(answer("deflate, gzip").unwrap(), "gzip");
        assert_eq!(answer("identity"), None);
        assert!(!STYLE.content.contains("/*") && STYLE.content.contains("prefers-color-scheme"));
        assert!(STYLE.compressed.len() < 8 * 1024, "{} bytes of style are too many", STYLE.compressed.len());
    }

    #[test]
    fn a_class_means_one_thing() {
        // What refines it for a narrow screen is indented.
        let rules = parts().lines().filter(|line| line.starts_with('.')).filter_map(|line| line.split_once(" {"));
        let is_bare = |class: &&str| class[1..].bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let mut classes: Vec<&str> = rules.map(|(class, _)| class).filter(is_bare).collect();
        let count = classes.len();
        classes.sort_unstable();
        let twice: Vec<&str> = classes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        assert!(count > 40 && twice.is_empty(), "{count} classes, of which these stand twice: {twice:?}");
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for foreign in ["//", "@import", "@font-face", "url("] {
            assert!(!STYLE.content.contains(foreign), "the stylesheet holds {foreign}");
        }
    }
}
