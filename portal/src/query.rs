//! Addresses with a query: what a search asks for, and links that ask for it.

use proto::products::SearchField;

/// What is looked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    /// Trimmed; may be empty, which the catalogue refuses.
    pub(crate) text: String,
    pub(crate) field: Field,
}

/// Which text is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Any,
    Name,
    Category,
    Sku,
}

impl Field {
    pub(crate) const ALL: [Field; 4] = [Field::Any, Field::Name, Field::Category, Field::Sku];

    /// Reads the `field` of an address; anything unknown means any.
    pub(crate) fn read(text: &str) -> Field {
        Field::ALL.into_iter().find(|field| field.key() == text).unwrap_or(Field::Any)
    }

    /// How an address says it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Field::Any => "any",
            Field::Name => "name",
            Field::Category => "category",
            Field::Sku => "sku",
        }
    }

    /// How people say it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Field::Any => "Any",
            Field::Name => "Name",
            Field::Category => "Category",
            Field::Sku => "SKU",
        }
    }

    /// How the contract says it.
    pub(crate) fn number(self) -> SearchField {
        match self {
            Field::Any => SearchField::Any,
            Field::Name => SearchField::Name,
            Field::Category => SearchField::Category,
            Field::Sku => SearchField::Sku,
        }
    }
}

impl Search {
    /// The address of a page of it; an empty token means the first.
    pub(crate) fn link(&self, page: &str) -> String {
        link("/search", &[("q", &self.text), ("field", self.field.key()), ("page", page)])
    }
}

/// An address with those parts of a query that are not empty.
pub(crate) fn link(path: &str, parts: &[(&str, &str)]) -> String {
    let mut link = path.to_owned();
    for (key, value) in parts.iter().filter(|(_, value)| !value.is_empty()) {
        link.push(if link.contains('?') { '&' } else { '?' });
        link.push_str(key);
        link.push('=');
        encode(value, &mut link);
    }
    link
}

/// The filter that means a category and all below it; empty for all products.
pub(crate) fn category_filter(category: &str) -> String {
    if category.is_empty() {
        return String::new();
    }
    let mut filter = String::from("category:\"");
    for letter in category.chars() {
        if matches!(letter, '"' | '\\' | '*') {
            filter.push('\\');
        }
        filter.push(letter);
    }
    filter.push('"');
    filter
}

/// The address of an instance's page.
pub(crate) fn instance_link(service: &str, instance: &str) -> String {
    let mut link = "/services/".to_owned();
    encode(service, &mut link);
    link.push('/');
    encode(instance, &mut link);
    link
}

/// Where all that was logged during a request is.
pub(crate) fn records_link(request_id: &str) -> String {
    let mut link = "/logs/requests/".to_owned();
    encode(request_id, &mut link);
    link
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(digit.into(), 16).expect("four bits are a digit");
                into.push(digit.to_ascii_uppercase());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_survives_in_a_link() {
        let search = Search { text: "3/4\" & 100% <é>".into(), field: Field::Name };
        assert_eq!(search.link(""), "/search?q=3%2F4%22%20%26%20100%25%20%3C%C3%A9%3E&field=name");
        assert_eq!(search.link("a_b-c"), format!("{}&page=a_b-c", search.link("")));
    }

    #[test]
    fn empty_parts_are_left_out() {
        assert_eq!(link("/", &[("page", "")]), "/");
        assert_eq!(link("/", &[("page", "x=")]), "/?page=x%3D");
    }

    #[test]
    fn a_name_stays_inside_its_place_in_an_address() {
        assert_eq!(instance_link("productsvc", "3f2a"), "/services/productsvc/3f2a");
        assert_eq!(instance_link("a", "../?x=\"#%2F"), "/services/a/..%2F%3Fx%3D%22%23%252F");
    }

    #[test]
    fn a_category_stays_inside_its_filter() {
        assert_eq!(category_filter("Paint/Interior"), "category:\"Paint/Interior\"");
        assert_eq!(category_filter("3/4\" AND id=1 \\*"), "category:\"3/4\\\" AND id=1 \\\\\\*\"");
        assert_eq!(category_filter(""), "");
    }

    #[test]
    fn an_unknown_field_means_any() {
        assert_eq!(Field::read("sku"), Field::Sku);
        assert_eq!(Field::read("'; DROP TABLE"), Field::Any);
        assert_eq!(Field::read(""), Field::Any);
    }
}
