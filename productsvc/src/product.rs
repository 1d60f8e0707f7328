//! A product, and the parts of one that cannot be wrong.

use jiff::Timestamp;

use crate::category::Category;
use crate::error::Fault;
use crate::text::Text;

/// What a product is called.
pub type Name = Text<200>;
/// The stock keeping unit: unique by its key.
pub type Sku = Text<64>;

/// What a person says of a product: all of it but what the catalogue gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What it is called.
    pub name: Name,
    /// Where it belongs.
    pub category: Category,
    /// Its stock keeping unit.
    pub sku: Sku,
}

impl Draft {
    /// Checks all three fields and names every one that is at fault.
    pub fn parse(name: &str, category: &str, sku: &str) -> Result<Self, Vec<Fault>> {
        let name = Name::parse(name).map_err(|fault| Fault::new("name", fault));
        let category = Category::parse(category).map_err(|fault| Fault::new("category", fault));
        let sku = Sku::parse(sku).map_err(|fault| Fault::new("sku", fault));
        match (name, category, sku) {
            (Ok(name), Ok(category), Ok(sku)) => Ok(Self { name, category, sku }),
            (name, category, sku) => Err([name.err(), category.err(), sku.err()].into_iter().flatten().collect()),
        }
    }
}

impl Draft {
    /// What a product is when it says this.
    pub fn of(&self, product: &Product) -> Product {
        let (name, category, sku) = (self.name.as_str(), self.category.as_str(), self.sku.as_str());
        Product { name: name.to_owned(), category: category.to_owned(), sku: sku.to_owned(), ..product.clone() }
    }
}

/// A product as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Given at creation, never used again.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// Where it belongs.
    pub category: String,
    /// Its stock keeping unit.
    pub sku: String,
    /// Rises by one with each change, from 1.
    pub version: i64,
    /// When it was added.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// When it was deleted.
    pub delete_time: Option<Timestamp>,
}

impl Product {
    /// Names the present version.
    pub fn etag(&self) -> Etag {
        Etag { version: self.version }
    }
}

/// Names a version of a product: its number in quotes, as in HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Etag {
    /// The version's number.
    pub version: i64,
}

/// The text is no etag of a product.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not the etag of a product")]
pub struct InvalidEtag;

impl Etag {
    /// Reads an etag back.
    pub fn parse(text: &str) -> Result<Self, InvalidEtag> {
        let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(InvalidEtag)?;
        let version = digits.parse().map_err(|_| InvalidEtag)?;
        let etag = Self { version };
        // One spelling each, or `"+3"` and `"03"` would be etags too.
        if version > 0 && etag.to_string() == text { Ok(etag) } else { Err(InvalidEtag) }
    }
}

impl std::fmt::Display for Etag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bad_fields_are_named_together() {
        let faults = Draft::parse("", &"x".repeat(121), "ok").unwrap_err();

        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["name", "category"]);
    }

    #[test]
    fn an_etag_is_the_version_in_quotes() {
        let etag = Etag { version: 3 };

        assert_eq!(etag.to_string(), "\"3\"");
        assert_eq!(Etag::parse("\"3\""), Ok(etag));
    }

    #[test]
    fn other_etags_are_refused() {
        for text in
            ["", "3", "\"\"", "\"0\"", "\"-1\"", "\"03\"", "\"+3\"", "W/\"3\"", "\"99999999999999999999\"", "\""]
        {
            assert_eq!(Etag::parse(text), Err(InvalidEtag), "{text}");
        }
    }
}
