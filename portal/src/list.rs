//! The list of a page for programs: as JSON when they ask for it, as CSV when its address ends so.
//!
//! JSON is the answer that the page itself was made of, as the gateway would write it.
//! CSV has a column for each field of a row; what is a list is JSON in its cell.
//! A list that no service answered with, such as the accounts, is a [`Table`].

use std::{borrow::Cow, convert::Infallible};

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};
use serde_json::Value as Json;

use crate::{contract, csv};

/// How whoever asks wants a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Page,
    Json,
    Csv,
}

/// Where in an answer the rows of a list are: the message, and the field of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows(&'static str, &'static str);

pub(crate) const PRODUCTS: Rows = Rows("rundoo.products.v1.ListProductsResponse", "products");
pub(crate) const RESULTS: Rows = Rows("rundoo.products.v1.SearchProductsResponse", "results");
pub(crate) const CATEGORIES: Rows = Rows("rundoo.products.v1.ListCategoriesResponse", "categories");
pub(crate) const VERSIONS: Rows = Rows("rundoo.products.v1.ListProductVersionsResponse", "versions");
pub(crate) const IMPORTS: Rows = Rows("rundoo.products.v1.ListImportJobsResponse", "jobs");
pub(crate) const INSTANCES: Rows = Rows("rundoo.registry.v1.DiscoverResponse", "instances");
pub(crate) const EVENTS: Rows = Rows("rundoo.registry.v1.ListEventsResponse", "events");
pub(crate) const RECORDS: Rows = Rows("rundoo.logs.v1.Rows", "records");

impl Wanted {
    /// Reads what is wanted of an address by these headers.
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Wanted {
        if path.ends_with(".csv") {
            return Wanted::Csv;
        }
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (mut best, mut weight) = (Wanted::Page, 0.0);
        for range in accepted.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let wanted = match parts.next().unwrap_or_default() {
                "application/json" | "application/problem+json" => Wanted::Json,
                "text/csv" => Wanted::Csv,
                "text/html" | "application/xhtml+xml" | "*/*" => Wanted::Page,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse().ok());
            if quality.is_some_and(|quality: f32| quality > weight) {
                (best, weight) = (wanted, quality.unwrap_or_default());
            }
        }
        best
    }

    /// What an address names: the ending that says how it is wanted is no part of it.
    pub(crate) fn named(self, last: &str) -> &str {
        if self == Wanted::Csv { last.strip_suffix(".csv").unwrap_or(last) } else { last }
    }

    /// A list as it is wanted, which goes on at `next`; nothing when that is a page.
    pub(crate) fn answer(self, rows: Rows, answer: &impl Message, next: Option<String>) -> Option<Response> {
        let mut response = match self {
            Wanted::Page => return None,
            Wanted::Json => rows.json(answer),
            Wanted::Csv => rows.csv(answer),
        };
        let next = next.map(|next| if self == Wanted::Csv { as_file(&next) } else { next });
        // As programs read it (RFC 8288).
        let link = next.map(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")));
        if let Some(Ok(link)) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        Some(response)
    }
}

/// The address of the same list as a file.
fn as_file(address: &str) -> String {
    let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
    let path = if path == "/" { "/products" } else { path };
    format!("{path}.csv{}", query.map(|query| format!("?{query}")).unwrap_or_default())
}

/// A list of the portal's own.
pub(crate) struct Table {
    /// What its rows are, as JSON names them.
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
    /// A value for each column; null where there is none.
    pub(crate) rows: Vec<Vec<Json>>,
}

impl Table {
    /// The list as it is wanted; nothing when that is a page.
    pub(crate) fn answer(self, wanted: Wanted) -> Option<Response> {
        match wanted {
            Wanted::Page => None,
            Wanted::Json => Some(Table::together([self])),
            Wanted::Csv => Some(self.csv()),
        }
    }

    /// Several lists as one JSON object.
    pub(crate) fn together<const N: usize>(tables: [Table; N]) -> Response {
        let lists: serde_json::Map<String, Json> =
            tables.into_iter().map(|table| (table.name.to_owned(), Json::Array(table.objects()))).collect();
        as_json(Json::Object(lists).to_string().into_bytes())
    }

    fn objects(self) -> Vec<Json> {
        let object = |row: Vec<Json>| -> Json {
            let named = self.columns.iter().map(|name| (*name).to_owned()).zip(row);
            Json::Object(named.filter(|(_, value)| !value.is_null()).collect())
        };
        self.rows.into_iter().map(object).collect()
    }

    fn csv(self) -> Response {
        let mut text = String::from(csv::BYTE_ORDER_MARK);
        csv::write_row(self.columns.iter().copied().map(Cow::from), &mut text);
        for row in self.rows {
            let cells = row.into_iter().map(|value| match value {
                Json::Null => String::new(),
                Json::String(text) => text,
                other => other.to_string(),
            });
            csv::write_row(cells.map(guarded), &mut text);
        }
        as_csv(text)
    }
}

fn as_json(json: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response()
}

fn as_csv(text: String) -> Response {
    let media_type = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

/// A cell that no spreadsheet runs.
fn guarded(cell: String) -> Cow<'static, str> {
    mesh::cell::guarded(&cell).into_owned().into()
}

impl<S: Sync> FromRequestParts<S> for Wanted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Wanted, Infallible> {
        Ok(Wanted::of(parts.uri.path(), &parts.headers))
    }
}

impl Rows {
    fn message(self, answer: &impl Message) -> DynamicMessage {
        let kind = contract::message(self.0).unwrap_or_else(|| panic!("there is no message {}", self.0));
        contract::dynamic(kind, answer)
    }

    fn json(self, answer: &impl Message) -> Response {
        as_json(serde_json::to_vec(&self.message(answer)).expect("an answer is always JSON"))
    }

    fn csv(self, answer: &impl Message) -> Response {
        let message = self.message(answer);
        let mut text = String::from(csv::BYTE_ORDER_MARK);
        let Some(field) = message.descriptor().get_field_by_name(self.1) else { panic!("no field {}", self.1) };
        let Kind::Message(row) = field.kind() else { panic!("rows are messages") };
        let columns = columns(&row);
        csv::write_row(columns.iter().map(|column| Cow::from(column.name())), &mut text);
        if let Value::List(rows) = message.get_field(&field).as_ref() {
            for row in rows.iter().filter_map(Value::as_message) {
                csv::write_row(columns.iter().map(|column| guarded(column.cell(row))), &mut text);
            }
        }
        as_csv(text)
    }
}

/// A column: the way to a field of a row.
struct Column(Vec<FieldDescriptor>);

impl Column {
    /// Names of the fields on the way.
    fn name(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(FieldDescriptor::name).collect();
        names.join("_")
    }

    fn cell(&self, row: &DynamicMessage) -> String {
        let mut value = Cow::Borrowed(row);
        let (last, way) = self.0.split_last().expect("a column has a field");
        for field in way {
            if !value.has_field(field) {
                return String::new();
            }
            let Value::Message(inner) = value.get_field(field).into_owned() else { return String::new() };
            value = Cow::Owned(inner);
        }
        if last.supports_presence() && !value.has_field(last) {
            return String::new();
        }
        let value = value.get_field(last).into_owned();
        let kind = self.0.last().map(FieldDescriptor::kind);
        match (value, kind) {
            (Value::String(text), _) => text,
            (Value::Bool(truth), _) => truth.to_string(),
            (Value::I32(number), _) => number.to_string(),
            (Value::I64(number), _) => number.to_string(),
            (Value::U32(number), _) => number.to_string(),
            (Value::U64(number), _) => number.to_string(),
            (Value::F32(number), _) => number.to_string(),
            (Value::F64(number), _) => number.to_string(),
            (Value::EnumNumber(number), Some(Kind::Enum(kind))) => {
                kind.get_value(number).map_or_else(|| number.to_string(), |value| value.name().to_owned())
            }
            (Value::Message(message), _) => match serde_json::to_value(&message) {
                Ok(serde_json::Value::String(text)) => text,
                Ok(other) => other.to_string(),
                Err(_) => String::new(),
            },
            (Value::List(list), _) if list.is_empty() => String::new(),
            (Value::Map(map), _) if map.is_empty() => String::new(),
            // A list or map is JSON, which only a message around it can write.
            _ => self.listed(row),
        }
    }

    fn listed(&self, row: &DynamicMessage) -> String {
        let mut json = serde_json::to_value(row).unwrap_or_default();
        for field in &self.0 {
            json = json.get_mut(field.json_name()).map(serde_json::Value::take).unwrap_or_default();
        }
        if json.is_null() { String::new() } else { json.to_string() }
    }
}

/// Where a list goes on, by the token of its answer; nowhere when that is empty.
pub(crate) fn next(token: &str, link: impl FnOnce(&str) -> String) -> Option<String> {
    (!token.is_empty()).then(|| link(token))
}

/// How deep the messages of a row are spread over columns.
const DEPTH: usize = 2;

fn columns(row: &MessageDescriptor) -> Vec<Column> {
    let mut columns = Vec::new();
    spread(row, &mut Vec::new(), &mut columns);
    columns
}

fn spread(message: &MessageDescriptor, way: &mut Vec<FieldDescriptor>, columns: &mut Vec<Column>) {
    for field in message.fields() {
        way.push(field.clone());
        match field.kind() {
            Kind::Message(inner)
                if !field.is_list()
                    && !field.is_map()
                    && way.len() < DEPTH
                    && !inner.full_name().starts_with("google.protobuf.") =>
            {
                spread(&inner, way, columns);
            }
            _ => columns.push(Column(way.clone())),
        }
        way.pop();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use proto::products::{ListProductsResponse, Product};

    use super::*;

    fn accepting(accept: &str) -> Wanted {
        Wanted::of("/", &[(header::ACCEPT, accept.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn who_prefers_json_gets_it_and_browsers_get_pages() {
        for (accept, wanted) in [
            ("", Wanted::Page),
            ("*/*", Wanted::Page),
            ("application/json", Wanted::Json),
            ("text/csv;q=0.9", Wanted::Csv),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Wanted::Page),
            ("application/json;q=0.5, text/html", Wanted::Page),
            ("application/json, text/html;q=0.5", Wanted::Json),
            ("application/json;q=0", Wanted::Page),
            ("nonsense;;,", Wanted::Page),
        ] {
            assert_eq!(accepting(accept), wanted, "{accept}");
        }
        assert_eq!(Wanted::of("/trash.csv", &HeaderMap::new()), Wanted::Csv);
        assert_eq!((Wanted::Csv.named("portal.csv"), Wanted::Json.named("a.csv")), ("portal", "a.csv"));
    }

    async fn written(wanted: Wanted) -> (String, String) {
        let product = Product { id: 7, name: "=Hammer, \"claw\"".into(), sku: "H-1".into(), ..Default::default() };
        let answer = ListProductsResponse { products: vec![product], ..Default::default() };
        let response = wanted.answer(PRODUCTS, &answer, Some("/trash?page=x".into())).unwrap();
        let link = response.headers()[header::LINK].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), link)
    }

    #[tokio::test]
    async fn rows_become_json_or_csv_that_no_spreadsheet_runs() {
        let (json, link) = written(Wanted::Json).await;
        assert_eq!(json, r#"{"products":[{"id":"7","name":"=Hammer, \"claw\"","sku":"H-1"}]}"#);
        assert_eq!(link, "</trash?page=x>; rel=\"next\"");

        let (csv, link) = written(Wanted::Csv).await;
        assert_eq!(link, "</trash.csv?page=x>; rel=\"next\"");
        assert_eq!((as_file("/"), as_file("/?page=x")), ("/products.csv".into(), "/products.csv?page=x".into()));
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].starts_with("\u{feff}id,name,category,sku,version,etag,"), "{}", lines[0]);
        assert!(lines[1].starts_with("7,\"'=Hammer, \"\"claw\"\"\",,H-1,0,"), "{}", lines[1]);
    }

    #[tokio::test]
    async fn a_table_leaves_out_what_is_not_there() {
        let written = async |wanted| {
            let rows = vec![vec![Json::from("ann"), Json::Null], vec![Json::from("-bob"), Json::from(2)]];
            let response = Table { name: "users", columns: &["name", "tokens"], rows }.answer(wanted).unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        };
        assert_eq!(written(Wanted::Json).await, r#"{"users":[{"name":"ann"},{"name":"-bob","tokens":2}]}"#);
        assert_eq!(written(Wanted::Csv).await, "\u{feff}name,tokens\nann,\n'-bob,2\n");
    }

    #[test]
    fn every_list_has_columns_of_its_own() {
        for name in [
            "rundoo.products.v1.SearchResult",
            "rundoo.products.v1.ProductVersion",
            "rundoo.registry.v1.Instance",
            "rundoo.registry.v1.Event",
            "rundoo.logs.v1.StoredRecord",
        ] {
            let columns = columns(&contract::message(name).unwrap());
            let names: std::collections::BTreeSet<String> = columns.iter().map(Column::name).collect();
            assert!(names.len() == columns.len() && names.len() > 3, "{name}: {names:?}");
        }
    }
}
