//! The messages of an import, made from its file while they are sent.
//!
//! A thread reads the file a little ahead of the network; a bounded queue between
//! them holds it back, so that a file of any size takes a few MiB.

use indicatif::ProgressBar;
use proto::products::import_products_request::Part;
use proto::products::{ImportOptions, ImportProductsRequest, ImportRow, ImportRows};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::import::Row;
use crate::importer::sheet::{Sheet, SheetError};

/// What the contract allows in one message.
const MOST_ROWS: usize = 1000;

/// A message is sent when its texts reach this; with a last row of 256 KiB it
/// stays far below the 4 MiB that gRPC takes.
const MESSAGE_BYTES: usize = 512 * 1024;

/// Messages that wait for the network.
const WAITING: usize = 2;

/// A stream that is still open, though no more will come.
type Messages = mpsc::Sender<ImportProductsRequest>;

/// The thread that reads the file.
pub(super) struct Feed {
    reading: Option<JoinHandle<Result<(), (SheetError, Messages)>>>,
}

impl Feed {
    /// Starts reading: the messages to send, the options first.
    pub(super) fn start(
        options: ImportOptions,
        sheet: Sheet,
        bar: ProgressBar,
    ) -> (Self, ReceiverStream<ImportProductsRequest>) {
        let (sender, messages) = mpsc::channel(WAITING);
        let reading = tokio::task::spawn_blocking(move || match read(options, sheet, &sender, &bar) {
            Ok(()) => Ok(()),
            // The stream must not look as if it had ended.
            Err(error) => Err((error, sender)),
        });
        (Self { reading: Some(reading) }, ReceiverStream::new(messages))
    }

    /// Waits for an error of the file; for ever when there is none.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        if let Some(reading) = self.reading.take() {
            match reading.await {
                Ok(Ok(())) => {}
                Ok(Err((error, _open))) => return error.into(),
                Err(panic) => return panic.into(),
            }
        }
        std::future::pending().await
    }
}

/// Reads the file to its end, or until nobody takes the messages any more.
fn read(options: ImportOptions, mut sheet: Sheet, messages: &Messages, bar: &ProgressBar) -> Result<(), SheetError> {
    bar.set_position(0);
    if messages.blocking_send(message(Part::Options(options))).is_err() {
        return Ok(());
    }
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(Row { line, name, category, sku }) = sheet.next_row()? {
        bytes += name.len() + category.len() + sku.len();
        rows.push(ImportRow { line, name, category, sku });
        if rows.len() == MOST_ROWS || bytes >= MESSAGE_BYTES {
            let full = ImportRows { rows: std::mem::take(&mut rows) };
            bytes = 0;
            if messages.blocking_send(message(Part::Rows(full))).is_err() {
                return Ok(());
            }
            bar.set_position(sheet.bytes_read());
        }
    }
    if !rows.is_empty() && messages.blocking_send(message(Part::Rows(ImportRows { rows }))).is_err() {
        return Ok(());
    }
    bar.set_position(sheet.bytes_read());
    Ok(())
}

fn message(part: Part) -> ImportProductsRequest {
    ImportProductsRequest { part: Some(part) }
}
