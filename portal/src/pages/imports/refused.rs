//! The refused rows of an import as a file, to be corrected and imported again.

use std::io;

use axum::{
    body::Body,
    extract::{Path, State},
    response::Response,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use mesh::{Call, cell::guarded};
use proto::products::{ImportRefusal, ListImportRefusalsRequest, ListImportRefusalsResponse};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    backends::{Backends, endless},
    csv,
    error::Failure,
    pages::imports::{csv_file, import_id},
};

/// Rows that are asked for at once.
const ROWS_PER_CALL: i32 = 1000;

/// The first three are what an import takes; it ignores the others.
const TITLES: [&str; 7] = ["name", "category", "sku", "line", "field", "reason", "message"];

/// Rows on their way out.
struct Going {
    backends: Backends,
    call: Call,
    stop: CancellationToken,
    request: ListImportRefusalsRequest,
    is_over: bool,
}

pub(crate) async fn file(
    State(backends): State<Backends>,
    State(stop): State<CancellationToken>,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let id = import_id(&id)?;
    let request = ListImportRefusalsRequest { id, page_size: ROWS_PER_CALL, page_token: String::new() };
    let mut going = Going { backends, call: endless(), stop, request, is_over: false };
    let mut text = String::from(csv::BYTE_ORDER_MARK);
    csv::write_row(TITLES.map(Into::into), &mut text);
    text.push_str(&going.next().await?);
    let rest = stream::try_unfold(going, rest);
    let body = Body::from_stream(stream::iter([Ok(Bytes::from(text))]).chain(rest));
    Ok(csv_file(&format!("import-{id}-refused.csv"), body))
}

async fn rest(mut going: Going) -> io::Result<Option<(Bytes, Going)>> {
    if going.is_over {
        return Ok(None);
    }
    let stop = going.stop.clone();
    let text = tokio::select! {
        () = stop.cancelled() => Err(Failure::Internal("the portal stops".into())),
        text = going.next() => text,
    };
    match text {
        Ok(text) => Ok(Some((text.into(), going))),
        // The browser says that the file is broken.
        Err(failure) => {
            warn!("the refused rows of import {} broke off: {failure}", going.request.id);
            Err(io::Error::other("the file broke off"))
        }
    }
}

impl Going {
    async fn next(&mut self) -> Result<String, Failure> {
        let asked = self.backends.import_refusals(self.request.clone());
        let ListImportRefusalsResponse { refusals, next_page_token } = self.call.clone().scope(asked).await?;
        self.is_over = next_page_token.is_empty();
        self.request.page_token = next_page_token;
        let mut text = String::new();
        refusals.into_iter().for_each(|refusal| write(refusal, &mut text));
        Ok(text)
    }
}

fn write(refusal: ImportRefusal, into: &mut String) {
    let reason = refusal.reason().as_str_name();
    let reason = reason.strip_prefix("ERROR_REASON_").unwrap_or(reason);
    let row = refusal.row.unwrap_or_default();
    let cells = [
        guarded(&row.name),
        guarded(&row.category),
        guarded(&row.sku),
        row.line.to_string().into(),
        guarded(&refusal.field),
        reason.into(),
        guarded(&refusal.message),
    ];
    csv::write_row(cells, into);
}

#[cfg(test)]
mod tests {
    use proto::products::{ErrorReason, ImportRow};

    use super::*;

    #[test]
    fn a_refused_row_stands_as_it_came_with_why() {
        let row = ImportRow { line: 7, name: "=cmd|x".into(), category: "a,b".into(), sku: String::new() };
        let refusal = ImportRefusal {
            row: Some(row),
            field: "sku".into(),
            reason: ErrorReason::InvalidField.into(),
            message: "must not be empty".into(),
            cut: false,
        };
        let mut text = String::new();
        write(refusal, &mut text);
        assert_eq!(text, "'=cmd|x,\"a,b\",,7,sku,INVALID_FIELD,must not be empty\n");
    }
}
