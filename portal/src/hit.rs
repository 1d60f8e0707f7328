//! A product that was found, with what was looked for marked in its texts.

use proto::products::{MatchRange, MatchTier, SearchField, SearchResult};

use crate::product::Product;

/// A part of a text, and whether it is what was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) is_match: bool,
}

/// A product that was found.
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) product: Product,
    pub(crate) name: Vec<Piece>,
    pub(crate) category: Vec<Piece>,
    pub(crate) sku: Vec<Piece>,
    /// Why it is among the first, when that is worth a word.
    pub(crate) remark: Option<&'static str>,
}

impl Hit {
    /// Reads a result; one without a product is none.
    pub(crate) fn read(result: SearchResult) -> Option<Hit> {
        let tier = result.tier();
        let product = Product::from(result.product?);
        let marked = |field, text: &str| pieces(text, result.ranges.iter().filter(|range| range.field() == field));
        Some(Hit {
            name: marked(SearchField::Name, &product.name),
            category: marked(SearchField::Category, &product.category),
            sku: marked(SearchField::Sku, &product.sku),
            remark: match tier {
                MatchTier::SkuExact => Some("its SKU"),
                MatchTier::SkuPrefix => Some("SKU begins so"),
                MatchTier::NamePrefix => Some("name begins so"),
                MatchTier::Words | MatchTier::Substring | MatchTier::Unspecified => None,
            },
            product,
        })
    }
}

/// Cuts a text where the ranges begin and end; one that does not fit the text is passed over.
fn pieces<'a>(text: &str, ranges: impl Iterator<Item = &'a MatchRange>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut add = |text: &str, is_match| {
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), is_match });
        }
    };
    for range in ranges {
        let (Ok(begin), Ok(end)) = (usize::try_from(range.begin), usize::try_from(range.end)) else { continue };
        if begin < at {
            continue;
        }
        let (Some(before), Some(found)) = (text.get(at..begin), text.get(begin..end)) else { continue };
        add(before, false);
        add(found, true);
        at = end;
    }
    add(text.get(at..).unwrap_or_default(), false);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, ranges: &[(i32, i32)]) -> String {
        let ranges: Vec<_> =
            ranges.iter().map(|(begin, end)| MatchRange { begin: *begin, end: *end, ..Default::default() }).collect();
        let pieces = pieces(text, ranges.iter());
        pieces
            .iter()
            .map(|piece| if piece.is_match { format!("[{}]", piece.text) } else { piece.text.clone() })
            .collect()
    }

    #[test]
    fn what_was_found_is_marked() {
        assert_eq!(marked("Claw hammer", &[(5, 8)]), "Claw [ham]mer");
        assert_eq!(marked("Claw hammer", &[(0, 4), (5, 11)]), "[Claw] [hammer]");
        assert_eq!(marked("½\" nail", &[(0, 2)]), "[½]\" nail");
        assert_eq!(marked("nail", &[]), "nail");
    }

    #[test]
    fn ranges_that_do_not_fit_change_nothing() {
        assert_eq!(marked("½", &[(1, 2)]), "½");
        assert_eq!(marked("nail", &[(2, 9), (-1, 2)]), "nail");
        assert_eq!(marked("nails", &[(0, 3), (1, 4)]), "[nai]ls");
    }
}
