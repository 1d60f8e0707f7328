//! All products of a list, or all that a search finds, as they come from the catalogue.
//!
//! A stream that breaks off goes on behind the last products that came, at whichever
//! instance answers; what cannot go on ends with the status that says why.

use std::time::Duration;

use mesh::Call;
use proto::products::{ExportProductsRequest, ExportProductsResponse, Product as Record, SearchProductsRequest};
use tokio::time::{Instant, sleep};
use tonic::{Code, Request, Status, Streaming};

use crate::backends::{Backends, endless};

/// How long a catalogue that is away is waited for. A browser waits as long without a byte.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked for.
const PAUSE: Duration = Duration::from_millis(300);

/// How long one page of a search may take.
const SEARCH_DEADLINE: Duration = Duration::from_secs(10);

/// Products of a search that are asked for at once.
const FOUND_PER_CALL: i32 = 500;

/// Which products are told, and where it goes on.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    List(ExportProductsRequest),
    Search(SearchProductsRequest),
}

/// Products on their way out.
pub(crate) struct Export {
    backends: Backends,
    call: Call,
    wanted: Wanted,
    batches: Option<Streaming<ExportProductsResponse>>,
    is_over: bool,
}

impl Backends {
    /// Begins to tell the products that are wanted.
    pub(crate) fn export(&self, wanted: Wanted) -> Export {
        Export { backends: self.clone(), call: endless(), wanted, batches: None, is_over: false }
    }
}

impl Export {
    /// The next products, perhaps none; nothing behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Record>>, Status> {
        let waiting_since = Instant::now();
        while !self.is_over {
            let call = self.call.clone();
            match call.scope(self.once()).await {
                Ok(products) => return Ok(Some(products)),
                Err(status) if passes(&status) && waiting_since.elapsed() < PATIENCE => {
                    self.batches = None;
                    sleep(PAUSE).await;
                }
                Err(status) => return Err(status),
            }
        }
        Ok(None)
    }

    /// The same without patience, for the first products: a page can say that there are none yet.
    pub(crate) async fn first(&mut self) -> Result<Vec<Record>, Status> {
        let call = self.call.clone();
        call.scope(self.once()).await
    }

    async fn once(&mut self) -> Result<Vec<Record>, Status> {
        let mut products = self.backends.products.clone();
        match &mut self.wanted {
            Wanted::List(request) => {
                let batches = match &mut self.batches {
                    Some(batches) => batches,
                    None => self.batches.insert(products.export_products(request.clone()).await?.into_inner()),
                };
                let batch = batches.message().await?.ok_or_else(|| Status::unavailable("the export broke off"))?;
                request.page_token = batch.page_token;
                self.is_over = batch.is_last;
                Ok(batch.products)
            }
            Wanted::Search(request) => {
                request.page_size = FOUND_PER_CALL;
                let mut asked = Request::new(request.clone());
                asked.set_timeout(SEARCH_DEADLINE);
                let page = products.search_products(asked).await?.into_inner();
                self.is_over = page.next_page_token.is_empty();
                request.page_token = page.next_page_token;
                Ok(page.results.into_iter().filter_map(|result| result.product).collect())
            }
        }
    }
}

/// Whether the same may succeed in a moment.
fn passes(status: &Status) -> bool {
    // What is left of a connection that broke says so in many ways.
    matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown | Code::DeadlineExceeded)
}
