//! The stylesheet and the icon, under addresses that change with their content.

use std::{fmt::Write as _, sync::LazyLock};

use axum::{
    extract::RawQuery,
    response::{IntoResponse as _, Response},
};
use http::header;
use sha2::{Digest as _, Sha256};

/// A file that is part of the program.
pub(crate) struct Asset {
    content: &'static str,
    media_type: &'static str,
    version: String,
    link: String,
}

/// The one stylesheet: later parts refine earlier ones.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let parts = concat!(
        include_str!("../../assets/style/base.css"),
        include_str!("../../assets/style/controls.css"),
        include_str!("../../assets/style/content.css"),
        include_str!("../../assets/style/lists.css"),
        include_str!("../../assets/style/logs.css"),
        include_str!("../../assets/style/services.css"),
        include_str!("../../assets/style/imports.css"),
        include_str!("../../assets/style/narrow.css"),
    );
    Asset::new("/style.css", "text/css; charset=utf-8", parts)
});

/// The mark of Rundoo: three boards on a stack.
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/favicon.svg", "image/svg+xml", include_str!("../../assets/favicon.svg")));

/// The mark inside of a page.
pub(crate) static INLINE_ICON: LazyLock<String> = LazyLock::new(|| ICON.inline());

pub(crate) async fn style(RawQuery(query): RawQuery) -> Response {
    STYLE.answer(query.as_deref())
}

pub(crate) async fn icon(RawQuery(query): RawQuery) -> Response {
    ICON.answer(query.as_deref())
}

impl Asset {
    fn new(path: &str, media_type: &'static str, content: &'static str) -> Asset {
        // 64 bits tell two builds apart; nobody gains by forging one.
        let mut version = String::from("v=");
        for byte in &Sha256::digest(content)[..8] {
            write!(version, "{byte:02x}").expect("a string takes everything");
        }
        let link = format!("{path}?{version}");
        Asset { content, media_type, version, link }
    }

    /// Where this very content is.
    pub(crate) fn link(&self) -> &str {
        &self.link
    }

    /// The content itself as an address, which costs no request.
    pub(crate) fn inline(&self) -> String {
        let mut link = format!("data:{},", self.media_type);
        for letter in self.content.trim_end().chars() {
            match letter {
                '%' | '"' | '#' | '<' | '>' | ' ' => {
                    write!(link, "%{:02X}", u32::from(letter)).expect("a string takes everything");
                }
                letter => link.push(letter),
            }
        }
        link
    }

    fn answer(&self, query: Option<&str>) -> Response {
        let caching =
            if query == Some(self.version.as_str()) { "public, max-age=31536000, immutable" } else { "no-cache" };
        ([(header::CONTENT_TYPE, self.media_type), (header::CACHE_CONTROL, caching)], self.content).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_with_its_hash_is_kept_for_ever() {
        let caching = |query| {
            let response = STYLE.answer(query);
            response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        let (_, query) = STYLE.link().split_once('?').unwrap();
        assert!(caching(Some(query)).contains("immutable"));
        assert_eq!(caching(Some("v=0")), "no-cache");
        assert_eq!(caching(None), "no-cache");
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for foreign in ["//", "@import", "@font-face", "url("] {
            assert!(!STYLE.content.contains(foreign), "the stylesheet holds {foreign}");
        }
    }
}
