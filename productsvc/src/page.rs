//! A place in the list of products, newest first, and the tokens that name it.

use crate::error::Error;

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// With the newest product.
    Newest,
    /// With the newest product whose id is below this one.
    Older(i64),
    /// So that it ends with the oldest product whose id is above this one.
    Newer(i64),
}

/// Some products, and where those before and after them are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on the page.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// Where the page before begins, if there is one.
    pub previous: Option<Cursor>,
}

impl Cursor {
    /// Reads the token of a request; an empty one is the first page.
    pub fn parse(token: &str, method: &str, arguments: &[&str]) -> Result<Self, Error> {
        if token.is_empty() {
            return Ok(Self::Newest);
        }
        let key = mesh::page::decode(token, method, arguments).map_err(|_| Error::InvalidPageToken)?;
        match key.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["older", id] => id.parse().map(Self::Older).map_err(|_| Error::InvalidPageToken),
            ["newer", id] => id.parse().map(Self::Newer).map_err(|_| Error::InvalidPageToken),
            _ => Err(Error::InvalidPageToken),
        }
    }

    /// The token that leads here; empty for none.
    pub fn token(cursor: Option<Self>, method: &str, arguments: &[&str]) -> String {
        match cursor {
            None | Some(Self::Newest) => String::new(),
            Some(Self::Older(id)) => mesh::page::encode(method, arguments, &["older", &id.to_string()]),
            Some(Self::Newer(id)) => mesh::page::encode(method, arguments, &["newer", &id.to_string()]),
        }
    }
}

/// The pattern of `LIKE … ESCAPE '\'` for texts that contain this key as it is.
pub fn containing(key: &str) -> String {
    let mut pattern = String::with_capacity(key.len() + 2);
    pattern.push('%');
    for c in key.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place() {
        for cursor in [Cursor::Older(7), Cursor::Newer(i64::MAX)] {
            let token = Cursor::token(Some(cursor), "List", &[]);

            assert_eq!(Cursor::parse(&token, "List", &[]).unwrap(), cursor);
        }
    }

    #[test]
    fn the_first_page_has_no_token() {
        assert_eq!(Cursor::parse("", "List", &[]).unwrap(), Cursor::Newest);
        assert_eq!(Cursor::token(None, "List", &[]), "");
    }

    #[test]
    fn foreign_tokens_are_refused() {
        let of_another_query = Cursor::token(Some(Cursor::Older(7)), "Search", &["1", "paint"]);
        let forged =
            [mesh::page::encode("List", &[], &["older", "x"]), mesh::page::encode("List", &[], &["sideways", "1"])];

        for token in [of_another_query, "garbage".to_owned()].into_iter().chain(forged) {
            assert!(matches!(Cursor::parse(&token, "List", &[]), Err(Error::InvalidPageToken)), "{token}");
        }
    }

    #[test]
    fn wildcards_in_a_query_are_literal() {
        assert_eq!(containing(r"50%_\x*"), r"%50\%\_\\x*%");
    }
}
