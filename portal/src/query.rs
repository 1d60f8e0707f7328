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

/// In which order products are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    column: Column,
    descending: bool,
}

/// What products can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// In the order in which they were added.
    Added,
    Name,
    Category,
    Sku,
    Updated,
}

impl Column {
    pub(crate) const SHOWN: [Column; 4] = [Column::Name, Column::Category, Column::Sku, Column::Updated];

    /// How the contract says it.
    fn key(self) -> &'static str {
        match self {
            Column::Added => "id",
            Column::Name => "name",
            Column::Category => "category",
            Column::Sku => "sku",
            Column::Updated => "update_time",
        }
    }

    /// How people say it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Column::Added => "Added",
            Column::Name => "Name",
            Column::Category => "Category",
            Column::Sku => "SKU",
            Column::Updated => "Updated",
        }
    }
}

impl Sort {
    /// The newest first.
    pub(crate) const NEWEST: Sort = Sort { column: Column::Added, descending: true };

    /// Reads the `sort` of an address; anything unknown means the newest first.
    pub(crate) fn read(text: &str) -> Sort {
        let (key, descending) = text.strip_suffix(" desc").map_or((text, false), |key| (key, true));
        let column = [Column::Added].into_iter().chain(Column::SHOWN).find(|column| column.key() == key);
        column.map_or(Sort::NEWEST, |column| Sort { column, descending })
    }

    /// How an address and the contract say it; empty for the order that both begin with.
    pub(crate) fn key(self) -> String {
        match (self, self.descending) {
            (Sort::NEWEST, _) => String::new(),
            (_, true) => format!("{} desc", self.column.key()),
            (_, false) => self.column.key().to_owned(),
        }
    }

    /// What a click on the head of a column asks for: times begin with the latest, texts at A.
    pub(crate) fn by(self, column: Column) -> Sort {
        let first = column == Column::Updated;
        Sort { column, descending: if self.column == column { !self.descending } else { first } }
    }

    /// How a column is sorted, as `aria-sort` says it; nothing when it is another one.
    pub(crate) fn of(self, column: Column) -> Option<&'static str> {
        let order = if self.descending { "descending" } else { "ascending" };
        (self.column == column).then_some(order)
    }

    /// In words, as a caption says it.
    pub(crate) fn words(self) -> &'static str {
        match (self.column, self.descending) {
            (Column::Added, true) => "newest first",
            (Column::Added, false) => "oldest first",
            (Column::Name, false) => "by name",
            (Column::Name, true) => "by name, from Z to A",
            (Column::Category, false) => "by category",
            (Column::Category, true) => "by category, from Z to A",
            (Column::Sku, false) => "by SKU",
            (Column::Sku, true) => "by SKU, from Z to A",
            (Column::Updated, true) => "last changed first",
            (Column::Updated, false) => "longest unchanged first",
        }
    }
}

/// The filter that means a category and those below it; empty for all.
pub(crate) fn category_filter(category: &str) -> String {
    if category.is_empty() {
        return String::new();
    }
    let mut filter = "category:\"".to_owned();
    for letter in category.chars() {
        if matches!(letter, '"' | '\\' | '*') {
            filter.push('\\');
        }
        filter.push(letter);
    }
    filter.push('"');
    filter
}

/// Where the products of a category and those below it are.
pub(crate) fn category_link(category: &str) -> String {
    link("/", &[("category", category)])
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

/// The address of a service's page.
pub(crate) fn service_link(service: &str) -> String {
    let mut link = "/services/".to_owned();
    encode(service, &mut link);
    link
}

/// The address of an instance's page.
pub(crate) fn instance_link(service: &str, instance: &str) -> String {
    let mut link = service_link(service);
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

/// Where all that was logged during a trace is.
pub(crate) fn trace_link(trace_id: &str) -> String {
    let mut link = "/logs/traces/".to_owned();
    encode(trace_id, &mut link);
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
    fn a_column_is_turned_round_by_its_second_click() {
        let by_name = Sort::NEWEST.by(Column::Name);
        assert_eq!((by_name.key().as_str(), by_name.words()), ("name", "by name"));
        assert_eq!(by_name.by(Column::Name).key(), "name desc");
        assert_eq!(by_name.by(Column::Updated).key(), "update_time desc");
        assert_eq!((by_name.of(Column::Name), by_name.of(Column::Sku)), (Some("ascending"), None));
        for sort in [Sort::NEWEST, by_name, by_name.by(Column::Name), by_name.by(Column::Updated)] {
            assert_eq!(Sort::read(&sort.key()), sort);
        }
        assert_eq!(Sort::read("price"), Sort::NEWEST);
    }

    #[test]
    fn a_category_cannot_leave_its_filter() {
        assert_eq!(category_filter("Paint/Interior"), "category:\"Paint/Interior\"");
        assert_eq!(category_filter("3/4\" * \\"), "category:\"3/4\\\" \\* \\\\\"");
        assert_eq!(category_filter(""), "");
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
    fn an_unknown_field_means_any() {
        assert_eq!(Field::read("sku"), Field::Sku);
        assert_eq!(Field::read("'; DROP TABLE"), Field::Any);
        assert_eq!(Field::read(""), Field::Any);
    }
}
