//! A product as pages show it, and a page of a list of them.

use proto::products::{ListProductsResponse, Product as Record};

use crate::{number::grouped, query, time::Moment};

/// A product of the catalogue, deleted or not.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) category: String,
    pub(crate) sku: String,
    pub(crate) version: i64,
    pub(crate) etag: String,
    pub(crate) created: Option<Moment>,
    pub(crate) updated: Option<Moment>,
    pub(crate) deleted: Option<Moment>,
    /// Until when it can be had back.
    pub(crate) purge: Option<Moment>,
}

impl From<Record> for Product {
    fn from(record: Record) -> Product {
        Product {
            id: record.id,
            name: record.name,
            category: record.category,
            sku: record.sku,
            version: record.version,
            etag: record.etag,
            created: Moment::read(record.create_time),
            updated: Moment::read(record.update_time),
            deleted: Moment::read(record.delete_time),
            purge: Moment::read(record.purge_time),
        }
    }
}

impl Product {
    /// One of which only this is known.
    pub(crate) fn unknown(id: i64, etag: String) -> Product {
        Product::from(Record { id, etag, name: format!("Product {id}"), ..Record::default() })
    }

    /// Where its page is.
    pub(crate) fn link(&self) -> String {
        format!("/products/{}", self.id)
    }

    /// The levels of its category with their slashes: a line may break after each.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.category.split_inclusive('/')
    }

    /// Where everything of its category is.
    pub(crate) fn category_link(&self) -> String {
        query::category_link(&self.category)
    }

    /// The path to its category, level by level: what each is called, and where its products are.
    pub(crate) fn path(&self) -> Vec<(&str, String)> {
        levels(&self.category)
    }
}

/// The levels of a category from the top: what each is called, and where its products are.
pub(crate) fn levels(category: &str) -> Vec<(&str, String)> {
    let ends = category.match_indices('/').map(|(at, _)| at).chain([category.len()]);
    let mut begin = 0;
    ends.map(|end| {
        let level = (&category[begin..end], query::category_link(&category[..end]));
        begin = end + 1;
        level
    })
    .collect()
}

/// How many there are, as far as it is known: 285, or about 1.2 M.
pub(crate) fn estimate(number: i64, is_exact: bool) -> String {
    match (is_exact, number) {
        (true, number) => grouped(number.unsigned_abs()),
        (false, ..1000) => format!("about {number}"),
        (false, ..1_000_000) => format!("about {} k", number / 1000),
        (false, ..10_000_000) => format!("about {:.1} M", number as f64 / 1e6),
        (false, _) => format!("about {} M", number / 1_000_000),
    }
}

/// A page of a list, with the tokens of the pages beside it; empty when there is none.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) products: Vec<Product>,
    pub(crate) newer: String,
    pub(crate) older: String,
    /// How many products all pages have, in words.
    pub(crate) total: String,
}

impl From<ListProductsResponse> for Listing {
    fn from(page: ListProductsResponse) -> Listing {
        Listing {
            products: page.products.into_iter().map(Product::from).collect(),
            newer: page.previous_page_token,
            older: page.next_page_token,
            total: estimate(page.total_size, page.total_size_is_exact),
        }
    }
}

impl Listing {
    /// Links to the pages beside it, `address` being what makes a link of a token.
    pub(crate) fn pager(&self, address: impl Fn(&str) -> String) -> Pager {
        Pager::new(&self.newer, &self.older, address)
    }
}

/// Links to the pages beside a page.
#[derive(Debug)]
pub(crate) struct Pager {
    pub(crate) newer: Option<String>,
    pub(crate) older: Option<String>,
    pub(crate) first: String,
}

impl Pager {
    /// `address` makes a link of a token; an empty token is the first page, or none.
    pub(crate) fn new(newer: &str, older: &str, address: impl Fn(&str) -> String) -> Pager {
        let beside = |token: &str| (!token.is_empty()).then(|| address(token));
        Pager { newer: beside(newer), older: beside(older), first: address("") }
    }

    /// Whether there is any other page.
    pub(crate) fn is_needed(&self) -> bool {
        self.newer.is_some() || self.older.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_leads_to_each_of_its_levels() {
        let levels = levels("Paint/Interior/Matt & Co");
        let links: Vec<_> = levels.iter().map(|(name, link)| (*name, link.as_str())).collect();
        assert_eq!(
            links,
            [
                ("Paint", "/?category=Paint"),
                ("Interior", "/?category=Paint%2FInterior"),
                ("Matt & Co", "/?category=Paint%2FInterior%2FMatt%20%26%20Co"),
            ]
        );
    }

    #[test]
    fn a_count_says_how_sure_it_is() {
        assert_eq!(estimate(285, true), "285");
        assert_eq!(estimate(1_234_567, true), "1,234,567");
        assert_eq!(estimate(999, false), "about 999");
        assert_eq!(estimate(82_300, false), "about 82 k");
        assert_eq!(estimate(1_234_567, false), "about 1.2 M");
        assert_eq!(estimate(12_345_678, false), "about 12 M");
    }
}
