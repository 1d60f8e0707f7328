//! Loading the sample into a catalogue that has never held a product.

use axum::{extract::State, response::Response};
use proto::products::{ImportOptions, ImportProductsRequest, ImportRows, import_products_request::Part};
use tokio::sync::mpsc;
use tonic::Code;

use crate::{
    backends::{Backends, endless, imports::unanswered},
    error::Failure,
    form::fresh,
    kept::Seen,
    pages,
    sheet::{Sheet, encoding::Choice, fault::Fault},
};

/// The products of a building-supply store that `just up` begins with.
const SAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../productsvc/sample/catalogue.csv"));

pub(crate) async fn load(State(backends): State<Backends>) -> Result<Response, Failure> {
    let messages = messages().map_err(|why| Failure::Internal(format!("the sample cannot be read: {why}")))?;
    // As many as there is room for: the receiver reads them while nobody waits for the sender.
    let (sender, receiver) = mpsc::channel(messages.len());
    for part in messages {
        // There is room, and somebody to receive it.
        let _sent = sender.try_send(ImportProductsRequest { part: Some(part) });
    }
    drop(sender);
    let to = match endless().scope(backends.import(receiver)).await {
        Ok(_) => "/?notice=sample",
        // It holds products by now, or did: then it is nobody's wish that it be filled.
        Err(status) if status.code() == Code::FailedPrecondition => "/",
        Err(status) => return Err(unanswered(&status)),
    };
    let mut response = pages::see_other(to);
    Seen::Unknown.tell(&mut response);
    Ok(response)
}

/// The sample as the messages of an import.
fn messages() -> Result<Vec<Part>, Fault> {
    let mut sheet = Sheet::new(Choice::default());
    sheet.push(SAMPLE.as_bytes()).and_then(|()| sheet.finish())?;
    let options = ImportOptions {
        request_id: fresh(),
        only_if_new: true,
        source: "the sample".into(),
        ..ImportOptions::default()
    };
    let rows = ImportRows { rows: std::mem::take(sheet.rows()) };
    Ok(vec![Part::Options(options), Part::Rows(rows)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_table_of_products() {
        let messages = messages().unwrap();
        let Some(Part::Rows(rows)) = messages.last() else { panic!("no rows") };
        assert!(rows.rows.len() > 200 && rows.rows.len() <= 1000, "{}", rows.rows.len());
    }
}
