//! The products of a list or a search as a file: CSV for spreadsheets and imports, JSON for programs.
//!
//! It is written while the products come, so that any number of them takes little memory. A
//! file that cannot be finished ends with an error, and the browser says that it is broken:
//! nothing that looks whole is not.

use std::io;

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header;
use mesh::cell::guarded;
use proto::products::{ExportProductsRequest, Product as Record, SearchProductsRequest};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::warn;

use crate::{
    backends::{
        Backends,
        exports::{Export, Wanted},
    },
    csv,
    error::{Backend, Failure},
    product_json,
    query::{Field, category_filter},
    time::Moment,
};

/// What an address says of the products, as Home and Search say it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    category: String,
    /// An order of `ListProducts`; empty means the newest first.
    sort: String,
    q: String,
    field: String,
    /// Empty for products that are not deleted; `only` for those that are; anything else for both.
    deleted: String,
}

/// How a file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
}

/// The titles of a CSV file. The first three are what an import takes; it ignores the others.
const TITLES: [&str; 7] = ["name", "category", "sku", "id", "version", "create_time", "update_time"];

pub(crate) async fn csv(
    State(backends): State<Backends>,
    State(stop): State<CancellationToken>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    file(Format::Csv, backends, stop, asked?.0).await
}

pub(crate) async fn json(
    State(backends): State<Backends>,
    State(stop): State<CancellationToken>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    file(Format::Json, backends, stop, asked?.0).await
}

async fn file(format: Format, backends: Backends, stop: CancellationToken, asked: Asked) -> Result<Response, Failure> {
    let with_deleted = !asked.deleted.is_empty();
    let mut export = backends.export(asked.wanted());
    // What is wrong with the question is said by a page; behind the first products it is too late for one.
    let first = export.first().await.map_err(|status| Failure::of(Backend::Catalogue, &status))?;
    let mut writer = Writer { format, with_deleted, written: 0 };
    let begin = writer.begin(&first);
    let rest = stream::try_unfold((export, writer, stop, false), rest);
    let body = Body::from_stream(stream::iter([Ok(begin)]).chain(rest));
    let (name, media_type) = match format {
        Format::Csv => ("csv", "text/csv; charset=utf-8; header=present"),
        Format::Json => ("json", "application/json"),
    };
    let day = &Moment::now().iso()[..10];
    let disposition = format!("attachment; filename=\"products-{day}.{name}\"");
    Ok(([(header::CONTENT_TYPE, media_type.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body)
        .into_response())
}

type Going = (Export, Writer, CancellationToken, bool);

/// The next part of a file behind its first products.
async fn rest((mut export, mut writer, stop, ended): Going) -> io::Result<Option<(Bytes, Going)>> {
    if ended {
        return Ok(None);
    }
    let products = tokio::select! {
        () = stop.cancelled() => Err(Status::unavailable("the portal stops")),
        products = export.next() => products,
    };
    match products {
        Ok(Some(products)) => Ok(Some((writer.products(&products), (export, writer, stop, false)))),
        Ok(None) => Ok(Some((writer.end(), (export, writer, stop, true)))),
        Err(status) => {
            warn!("an export broke off after {} products: {}", writer.written, status.message());
            Err(io::Error::other("the export broke off"))
        }
    }
}

impl Asked {
    fn wanted(self) -> Wanted {
        let text = self.q.trim();
        if !text.is_empty() {
            let field = Field::read(&self.field).number().into();
            return Wanted::Search(SearchProductsRequest { query: text.to_owned(), field, ..Default::default() });
        }
        let mut filter = category_filter(&self.category);
        if self.deleted == "only" {
            filter.push_str(if filter.is_empty() { "deleted = true" } else { " AND deleted = true" });
        }
        let order_by = if self.sort.is_empty() { "id desc".into() } else { self.sort };
        let show_deleted = !self.deleted.is_empty();
        Wanted::List(ExportProductsRequest { filter, show_deleted, order_by, page_token: String::new() })
    }
}

/// Writes products as a file has them.
struct Writer {
    format: Format,
    with_deleted: bool,
    written: u64,
}

impl Writer {
    fn begin(&mut self, first: &[Record]) -> Bytes {
        let mut text = String::new();
        match self.format {
            Format::Csv => {
                text.push_str(csv::BYTE_ORDER_MARK);
                let deleted = self.with_deleted.then_some("delete_time");
                csv::write_row(TITLES.into_iter().chain(deleted).map(Into::into), &mut text);
            }
            Format::Json => text.push('['),
        }
        self.write(first, &mut text);
        text.into()
    }

    fn products(&mut self, products: &[Record]) -> Bytes {
        let mut text = String::new();
        self.write(products, &mut text);
        text.into()
    }

    fn end(&self) -> Bytes {
        Bytes::from_static(match self.format {
            Format::Csv => b"",
            Format::Json => b"\n]\n",
        })
    }

    fn write(&mut self, products: &[Record], text: &mut String) {
        for product in products {
            match self.format {
                Format::Csv => self.write_row(product, text),
                Format::Json => {
                    text.push_str(if self.written == 0 { "\n" } else { ",\n" });
                    product_json::write(product, text);
                }
            }
            self.written += 1;
        }
    }

    fn write_row(&self, product: &Record, text: &mut String) {
        let moment = |time: Option<prost_types::Timestamp>| {
            time.as_ref().and_then(mesh::from_timestamp).map(|moment| moment.to_string()).unwrap_or_default().into()
        };
        let cells = [
            guarded(&product.name),
            guarded(&product.category),
            guarded(&product.sku),
            product.id.to_string().into(),
            product.version.to_string().into(),
            moment(product.create_time),
            moment(product.update_time),
        ];
        let deleted = self.with_deleted.then(|| moment(product.delete_time));
        csv::write_row(cells.into_iter().chain(deleted), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str) -> Record {
        let time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5000 });
        let (category, sku) = ("=Tools".into(), "A, \"B\"".into());
        Record {
            id: 3,
            name: name.into(),
            category,
            sku,
            version: 2,
            create_time: time,
            update_time: time,
            ..Default::default()
        }
    }

    fn written(format: Format, with_deleted: bool) -> String {
        let mut writer = Writer { format, with_deleted, written: 0 };
        let parts = [
            writer.begin(&[product("-½\" pipe")]),
            writer.products(&[]),
            writer.products(&[product("<b>")]),
            writer.end(),
        ];
        String::from_utf8(parts.concat()).unwrap()
    }

    #[test]
    fn a_csv_file_is_what_the_command_line_writes() {
        assert_eq!(
            written(Format::Csv, true),
            "\u{feff}name,category,sku,id,version,create_time,update_time,delete_time\n\
             \"'-½\"\" pipe\",'=Tools,\"A, \"\"B\"\"\",3,2,2023-11-14T22:13:20.000005Z,2023-11-14T22:13:20.000005Z,\n\
             <b>,'=Tools,\"A, \"\"B\"\"\",3,2,2023-11-14T22:13:20.000005Z,2023-11-14T22:13:20.000005Z,\n"
        );
    }

    #[test]
    fn a_json_file_is_one_array_of_canonical_products() {
        let products: serde_json::Value = serde_json::from_str(&written(Format::Json, false)).unwrap();
        let expected = serde_json::json!({
            "id": "3", "name": "-½\" pipe", "category": "=Tools", "sku": "A, \"B\"", "version": "2",
            "createTime": "2023-11-14T22:13:20.000005Z", "updateTime": "2023-11-14T22:13:20.000005Z",
        });
        assert_eq!((products.as_array().unwrap().len(), &products[0]), (2, &expected));
        let mut none = Writer { format: Format::Json, with_deleted: false, written: 0 };
        assert_eq!([none.begin(&[]), none.end()].concat(), b"[\n]\n");
    }

    #[test]
    fn a_file_has_what_is_on_the_screen() {
        let list = |asked: Asked| match asked.wanted() {
            Wanted::List(request) => (request.filter, request.order_by, request.show_deleted),
            Wanted::Search(_) => panic!("a search"),
        };
        assert_eq!(list(Asked::default()), (String::new(), "id desc".into(), false));
        let asked = Asked { category: "Paint".into(), sort: "name".into(), deleted: "only".into(), ..Asked::default() };
        assert_eq!(list(asked), ("category:\"Paint\" AND deleted = true".into(), "name".into(), true));
        let asked = Asked { q: " ham ".into(), field: "sku".into(), ..Asked::default() };
        assert!(matches!(asked.wanted(), Wanted::Search(request) if request.query == "ham" && request.field == 4));
    }
}
