//! What a contract says of itself: its comments, as they stand before each thing.

use std::collections::HashMap;

use prost_types::SourceCodeInfo;

/// The comments of one file.
#[derive(Debug)]
pub(crate) struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    /// Reads a file's; one that came without has none.
    pub(super) fn of(source: SourceCodeInfo) -> Comments {
        let said = source.location.into_iter().filter_map(|location| {
            let text = unindented(location.leading_comments.as_deref()?);
            Some((location.path, text))
        });
        Comments(said.collect())
    }

    /// What is said of the thing at a path, as descriptors know theirs; empty when nothing is.
    pub(crate) fn at(&self, path: &[i32]) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }
}

/// Each line begins with the space that parts it from its slashes.
fn unindented(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n").trim().to_owned()
}

/// The first sentence, without its stop.
pub(crate) fn summary(comment: &str) -> String {
    let first = comment.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let end = first.find(". ").unwrap_or(first.len());
    first[..end].trim_end_matches('.').to_owned()
}

/// A piece of a paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    /// Whether it is written as the contract spells it.
    pub(crate) is_code: bool,
}

/// The paragraphs of a comment, each in pieces.
pub(crate) fn paragraphs(comment: &str) -> Vec<Vec<Piece>> {
    let pieces = |paragraph: &str| {
        let texts = paragraph.split('`').enumerate();
        let pieces = texts.map(|(index, text)| Piece { text: text.to_owned(), is_code: index % 2 == 1 });
        pieces.filter(|piece| !piece.text.is_empty()).collect()
    };
    comment.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()).map(pieces).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract, gateway::descriptors};

    #[test]
    fn methods_fields_and_values_have_their_comments() {
        let message = contract::message("rundoo.products.v1.UpdateProductRequest").unwrap();
        let name = message.parent_file().name().to_owned();
        let comments = Comments::of(descriptors::source(proto::products::DESCRIPTORS, &name).unwrap());
        let mask = message.get_field_by_name("update_mask").unwrap();
        assert!(comments.at(message.path()).starts_with("Changes") || !comments.at(message.path()).is_empty());
        assert_eq!(
            comments.at(mask.path()),
            "Which of name, category and SKU to change; absent or `*` means all three."
        );
        let service = contract::services().find(|service| service.name() == "ProductService").unwrap();
        let delete = service.methods().find(|method| method.name() == "DeleteProduct").unwrap();
        assert!(summary(comments.at(delete.path())).starts_with("Deletes a product"));
    }

    #[test]
    fn a_summary_is_the_first_sentence() {
        assert_eq!(summary("Deletes a product: lists hide it. More.\n\nElse."), "Deletes a product: lists hide it");
        assert_eq!(summary("Lists\nproducts.\n\nElse."), "Lists products");
        assert_eq!(summary(""), "");
    }

    #[test]
    fn what_is_code_is_told_apart() {
        let code = |text: &str| Piece { text: text.into(), is_code: true };
        let plain = |text: &str| Piece { text: text.into(), is_code: false };
        assert_eq!(paragraphs("Give `a`.\n\nElse"), [vec![plain("Give "), code("a"), plain(".")], vec![plain("Else")]]);
    }
}
