//! Exports: all products of a list in batches, each with the token that goes on behind it.
//!
//! Read page by page, never in one long transaction, and only as far ahead as the
//! caller takes it: an export of any size takes a few batches of memory.

use prost::Message as _;
use proto::products::{ExportProductsRequest, ExportProductsResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::error::Error;
use crate::page::{Cursor, Page};
use crate::product::Product;
use crate::service::{PATIENCE, answers, lists, requests};
use crate::store::{List, Listed, ProductStore, Route, Total};

const METHOD: &str = "ExportProducts";

/// Products of a batch at most; of the greatest length they would be 768 KiB.
const MOST_PRODUCTS: usize = 500;

/// A batch is full when its products reach this.
const BATCH_BYTES: usize = 256 * 1024;

/// Batches that wait for a slow caller.
const AHEAD: usize = 4;

/// What is told to a caller.
type Told = Result<ExportProductsResponse, Status>;

/// A place for the last word, whoever does not read: an export that breaks off must not look whole.
pub(super) type LastWord = mpsc::OwnedPermit<Told>;

/// An export that is running.
pub(super) struct Export {
    store: ProductStore,
    list: List,
    /// What its tokens belong to.
    binding: [String; 3],
}

/// Where batches are sent, with a place kept for the last word.
pub(super) fn channel() -> (Option<LastWord>, mpsc::Sender<Told>, mpsc::Receiver<Told>) {
    let (sender, batches) = mpsc::channel(AHEAD + 1);
    // A new channel has room.
    (sender.clone().try_reserve_owned().ok(), sender, batches)
}

impl Export {
    /// Reads what is to be exported, and from where on.
    pub(super) fn parse(store: ProductStore, request: &ExportProductsRequest) -> Result<Self, Error> {
        let (selection, order) = requests::export(request)?;
        let binding = lists::binding(&selection, order);
        let arguments = binding.each_ref().map(String::as_str);
        let cursor = match Cursor::parse(&request.page_token, METHOD, &arguments, order)? {
            cursor @ (Cursor::First | Cursor::After(_)) => cursor,
            // No batch leads backwards.
            Cursor::Before(_) | Cursor::UpTo(_) => return Err(Error::InvalidPageToken),
        };
        let list = List { selection, order, cursor, size: MOST_PRODUCTS };
        Ok(Self { store, list, binding })
    }

    /// Tells until all is told, nobody listens or the process stops.
    pub(super) async fn run(
        mut self,
        told: mpsc::Sender<Told>,
        last_word: Option<LastWord>,
        stopping: CancellationToken,
    ) {
        let ended = tokio::select! {
            ended = self.tell_all(&told) => ended,
            () = stopping.cancelled() => Err(Error::Stopping),
            () = told.closed() => return,
        };
        if let (Err(error), Some(place)) = (ended, last_word) {
            place.send(Err(error.into()));
        }
    }

    async fn tell_all(&mut self, told: &mpsc::Sender<Told>) -> Result<(), Error> {
        let Listed { mut page, total, route } = self.store.list(&self.list, soon()).await?;
        let mut total = Some(total);
        loop {
            let next = page.next.take();
            for batch in self.batches(page, next.clone(), total.take()) {
                if told.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
            }
            let Some(next) = next else { return Ok(()) };
            self.list.cursor = next;
            page = self.follow(route).await?;
        }
    }

    async fn follow(&self, route: Route) -> Result<Page<Product>, Error> {
        self.store.follow(&self.list, route, soon()).await
    }

    /// A page as batches, the last of which leads to what comes next.
    fn batches(&self, page: Page<Product>, next: Option<Cursor>, total: Option<Total>) -> Vec<ExportProductsResponse> {
        let order = self.list.order;
        let mut batches = vec![ExportProductsResponse::default()];
        let (mut bytes, mut last) = (0, None);
        for product in page.items {
            let place = order.place(&product);
            let product = answers::product(product);
            if bytes >= BATCH_BYTES {
                if let Some(batch) = batches.last_mut() {
                    batch.page_token = self.token(last);
                }
                batches.push(ExportProductsResponse::default());
                bytes = 0;
            }
            bytes += product.encoded_len();
            last = Some(Cursor::After(place));
            if let Some(batch) = batches.last_mut() {
                batch.products.push(product);
            }
        }
        if let Some(batch) = batches.last_mut() {
            batch.is_last = next.is_none();
            // Also the last one leads on: behind it there is nothing, or what was added since.
            batch.page_token = self.token(next.or(last).or_else(|| Some(self.list.cursor.clone())));
        }
        if let (Some(total), Some(first)) = (total, batches.first_mut()) {
            first.total_size = total.size;
            first.total_size_is_exact = total.is_exact;
        }
        batches
    }

    fn token(&self, cursor: Option<Cursor>) -> String {
        Cursor::token(cursor, METHOD, &self.binding.each_ref().map(String::as_str))
    }
}

/// A page is read in this time, or the database is busy; the caller's own deadline ends the stream.
fn soon() -> Instant {
    Instant::now() + PATIENCE
}
