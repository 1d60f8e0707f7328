//! Places among the results of a search, and the page tokens that hold them.

use crate::error::Error;
use crate::product::Product;
use crate::search::Tier;
use crate::text::fold;

/// A place among results: they come tier by tier, in the first three by their keys,
/// in the others the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// In which tier.
    pub tier: Tier,
    /// What the tier goes by; empty where that is the id alone.
    pub key: String,
    /// The id.
    pub id: i64,
}

impl Place {
    /// Where a product is in its tier.
    pub fn of(product: &Product, tier: Tier) -> Self {
        let key = match tier {
            Tier::SkuExact | Tier::SkuPrefix => fold(&product.sku),
            Tier::NamePrefix => fold(&product.name),
            Tier::Words | Tier::Substring => String::new(),
        };
        Self { tier, key, id: product.id }
    }
}

/// Where a page of results begins, or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// With the first result.
    First,
    /// With the first result behind this place.
    After(Place),
    /// So that it ends with the last result before this place.
    Before(Place),
}

impl Cursor {
    /// Reads the token of a request; an empty one is the first page.
    pub fn parse(token: &str, method: &str, arguments: &[&str]) -> Result<Self, Error> {
        if token.is_empty() {
            return Ok(Self::First);
        }
        let key = mesh::page::decode(token, method, arguments).map_err(|_| Error::InvalidPageToken)?;
        let [side, tier, key, id] = key.as_slice() else { return Err(Error::InvalidPageToken) };
        let place = place(tier, key, id).ok_or(Error::InvalidPageToken)?;
        match side.as_str() {
            "after" => Ok(Self::After(place)),
            "before" => Ok(Self::Before(place)),
            _ => Err(Error::InvalidPageToken),
        }
    }

    /// The token that leads here; empty for none.
    pub fn token(cursor: Option<&Self>, method: &str, arguments: &[&str]) -> String {
        let (side, place) = match cursor {
            None | Some(Self::First) => return String::new(),
            Some(Self::After(place)) => ("after", place),
            Some(Self::Before(place)) => ("before", place),
        };
        let (tier, id) = ((place.tier as usize).to_string(), place.id.to_string());
        mesh::page::encode(method, arguments, &[side, &tier, &place.key, &id])
    }
}

fn place(tier: &str, key: &str, id: &str) -> Option<Place> {
    let tier = *Tier::ALL.get(tier.parse::<usize>().ok()?)?;
    // Databases refuse the null character in a text.
    let key = Some(key).filter(|key| !key.contains('\0'))?;
    Some(Place { tier, key: key.to_owned(), id: id.parse().ok().filter(|id| (0..i64::MAX).contains(id))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place() {
        for tier in Tier::ALL {
            let place = Place { tier, key: "½ \"".to_owned(), id: 7 };
            for cursor in [Cursor::After(place.clone()), Cursor::Before(place)] {
                let token = Cursor::token(Some(&cursor), "Search", &["saw"]);

                assert_eq!(Cursor::parse(&token, "Search", &["saw"]).unwrap(), cursor);
                assert!(Cursor::parse(&token, "Search", &["drill"]).is_err());
            }
        }
        assert_eq!(Cursor::parse("", "Search", &[]).unwrap(), Cursor::First);
    }

    #[test]
    fn forged_tokens_are_refused() {
        for key in
            [&["after", "5", "", "1"][..], &["on", "1", "", "1"], &["after", "1", "\0", "1"], &["after", "1", "", "-1"]]
        {
            let token = mesh::page::encode("Search", &[], key);

            assert!(matches!(Cursor::parse(&token, "Search", &[]), Err(Error::InvalidPageToken)), "{key:?}");
        }
    }
}
