//! An import as it comes in: options, then rows, stored in pieces on the way.

use mesh::Call;
use proto::products::import_products_request::Part;
use proto::products::{ImportOptions, ImportProductsRequest, ImportRow};
use tokio::time::Instant;
use tonic::{Status, Streaming};
use tracing::info;

use crate::error::Error;
use crate::import::{Checker, Job, Refused, Row};
use crate::service::{PATIENCE, requests};
use crate::store::{Beginning, ProductStore, Rules};
use crate::version::Author;

/// Rows that are stored in one transaction. Enough that the disk's share of each
/// is small, few enough that others who write do not notice.
const PIECE: usize = 500;

/// What the contract allows in one message.
const MOST_ROWS: usize = 1000;

/// What the contract allows in the reply.
const MOST_REFUSALS: usize = 1000;

/// Receives a whole import: how it went, and its first refused rows.
pub(super) async fn receive(
    store: &ProductStore,
    mut messages: Streaming<ImportProductsRequest>,
    call: &Call,
) -> Result<(Job, Vec<Refused>), Status> {
    let Some(Part::Options(options)) = messages.message().await?.and_then(|message| message.part) else {
        return Err(Error::OptionsExpected.into());
    };
    let mut import = Import::begin(store, options, call).await?;
    if import.job.end_time.is_none() {
        while let Some(message) = messages.message().await? {
            match message.part {
                Some(Part::Rows(rows)) => import.add(rows.rows).await?,
                Some(Part::Options(_)) => return Err(Error::OptionsExpected.into()),
                None => return Err(Error::invalid("part", "must hold rows").into()),
            }
        }
        import.store(End::Yes).await?;
        let Job { id, counts, .. } = &import.job;
        info!(
            import.id = id,
            "imported {} rows: {} created, {} changed, {} unchanged, {} refused",
            counts.rows,
            counts.created,
            counts.updated,
            counts.unchanged,
            counts.refused
        );
    }
    let refused = store.refused_rows(import.job.id, 0, MOST_REFUSALS, import.deadline()).await?;
    Ok((import.job, refused))
}

/// Whether a piece is the last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Yes,
    No,
}

/// An import that is being received.
struct Import<'a> {
    store: &'a ProductStore,
    job: Job,
    /// The mark that was found: rows up to it are stored already.
    begun_at: i64,
    rules: Rules,
    checker: Checker,
    deadline: Option<Instant>,
}

impl<'a> Import<'a> {
    async fn begin(store: &'a ProductStore, options: ImportOptions, call: &Call) -> Result<Self, Error> {
        let (beginning, mode) = requests::options(options)?;
        let deadline = call.deadline();
        let job = store.begin_import(&beginning, within(deadline)).await?;
        let Beginning { only_if_new, source, .. } = beginning;
        let name = if source.is_empty() { call.caller().to_owned() } else { source };
        let author = Author { name, call_id: call.request_id().to_owned() };
        let rules = Rules { author, mode, only_if_new, end: false };
        if job.mark > 0 && job.end_time.is_none() {
            info!(import.id = job.id, "import {} goes on behind line {}", job.id, job.mark);
        }
        Ok(Self { store, begun_at: job.mark, job, rules, checker: Checker::default(), deadline })
    }

    async fn add(&mut self, rows: Vec<ImportRow>) -> Result<(), Error> {
        if rows.len() > MOST_ROWS {
            return Err(Error::invalid(
                "rows",
                format!("must be at most {MOST_ROWS} in a message, are {}", rows.len()),
            ));
        }
        for ImportRow { line, name, category, sku } in rows {
            self.checker.add(&Row { line, name, category, sku }, self.begun_at)?;
            if self.checker.waiting() == PIECE {
                self.store(End::No).await?;
            }
        }
        Ok(())
    }

    async fn store(&mut self, end: End) -> Result<(), Error> {
        let piece = self.checker.take();
        self.rules.end = end == End::Yes;
        self.job = self.store.store_piece(&self.job, &piece, &self.rules, self.deadline()).await?;
        Ok(())
    }

    fn deadline(&self) -> Instant {
        within(self.deadline)
    }
}

/// Each piece gets the patience of a call; an import may take as long as it is.
fn within(deadline: Option<Instant>) -> Instant {
    let patience = Instant::now() + PATIENCE;
    deadline.map_or(patience, |deadline| deadline.min(patience))
}
