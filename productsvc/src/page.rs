//! Pages of a list of products, and the tokens that lead from one to the next.

use crate::error::Error;
use crate::order::{Order, Place};

/// Where a page begins, or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// With the first product.
    First,
    /// With the first product behind this place.
    After(Place),
    /// So that it ends with the last product before this place.
    Before(Place),
    /// So that it ends with the last product up to this place.
    UpTo(Place),
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
    pub fn parse(token: &str, method: &str, arguments: &[&str], order: Order) -> Result<Self, Error> {
        if token.is_empty() {
            return Ok(Self::First);
        }
        let key = mesh::page::decode(token, method, arguments).map_err(|_| Error::InvalidPageToken)?;
        let [side, id, value] = key.as_slice() else { return Err(Error::InvalidPageToken) };
        let place = Place::parse(id, value, order).ok_or(Error::InvalidPageToken)?;
        match side.as_str() {
            "after" => Ok(Self::After(place)),
            "before" => Ok(Self::Before(place)),
            "up_to" => Ok(Self::UpTo(place)),
            _ => Err(Error::InvalidPageToken),
        }
    }

    /// The token that leads here; empty for none.
    pub fn token(cursor: Option<Self>, method: &str, arguments: &[&str]) -> String {
        let (side, place) = match cursor {
            None | Some(Self::First) => return String::new(),
            Some(Self::After(place)) => ("after", place),
            Some(Self::Before(place)) => ("before", place),
            Some(Self::UpTo(place)) => ("up_to", place),
        };
        let [id, value] = place.parts();
        mesh::page::encode(method, arguments, &[side, &id, &value])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{By, Value};

    const BY_NAME: Order = Order { by: By::Name, descending: true };

    fn place(name: &str) -> Place {
        Place { value: Value::Text(name.to_owned()), id: 7 }
    }

    #[test]
    fn a_token_leads_back_to_its_place() {
        for cursor in [Cursor::After(place("saw")), Cursor::Before(place("½ \"")), Cursor::UpTo(place(""))] {
            let token = Cursor::token(Some(cursor.clone()), "List", &["name desc"]);

            assert_eq!(Cursor::parse(&token, "List", &["name desc"], BY_NAME).unwrap(), cursor);
        }
    }

    #[test]
    fn the_first_page_has_no_token() {
        assert_eq!(Cursor::parse("", "List", &[], BY_NAME).unwrap(), Cursor::First);
        assert_eq!(Cursor::token(None, "List", &[]), "");
    }

    #[test]
    fn foreign_tokens_are_refused() {
        let of_another_query = Cursor::token(Some(Cursor::After(place("saw"))), "Search", &["1", "paint"]);
        let encode = |key: &[&str]| mesh::page::encode("List", &[], key);
        let forged = [encode(&["after", "x", ""]), encode(&["sideways", "1", ""]), encode(&["after", "1"])];

        for token in [of_another_query, "garbage".to_owned()].into_iter().chain(forged) {
            assert!(matches!(Cursor::parse(&token, "List", &[], BY_NAME), Err(Error::InvalidPageToken)), "{token}");
        }
    }
}
