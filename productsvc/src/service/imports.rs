//! An import as it comes in: options, then rows, stored in pieces on the way.

use mesh::Call;
use proto::products::import_products_request::Part;
use proto::products::{ImportOptions, ImportProductsRequest, ImportProductsResponse, ImportRow};
use tokio::time::Instant;
use tonic::{Status, Streaming};
use tracing::info;

use crate::error::Error;
use crate::import::{Checker, Job, PIECE, Row};
use crate::service::{PATIENCE, answers, author_of, jobs, requests};
use crate::store::{ProductStore, Rules};

/// What the contract allows in one message.
const MOST_ROWS: usize = 1000;

/// What the contract allows in the reply.
const MOST_REFUSALS: usize = 1000;

/// Receives a whole import: how it went, and its first refused rows.
pub(super) async fn receive(
    store: &ProductStore,
    mut messages: Streaming<ImportProductsRequest>,
    call: &Call,
) -> Result<ImportProductsResponse, Status> {
    let Some(Part::Options(options)) = messages.message().await?.and_then(|message| message.part) else {
        return Err(Error::OptionsExpected.into());
    };
    let mut import = Import::begin(store, options, call).await?;
    if import.job.state.is_open() {
        while let Some(message) = messages.message().await? {
            match message.part {
                Some(Part::Rows(rows)) => import.add(rows.rows).await?,
                Some(Part::Options(_)) => return Err(Error::OptionsExpected.into()),
                None => return Err(Error::invalid("part", "must hold rows").into()),
            }
        }
        import.store(End::Yes).await?;
        import.tell();
    }
    let refused = store.refused_rows(import.job.id, 0, MOST_REFUSALS, import.deadline()).await?;
    let (refusals, _) = jobs::refusals_page(refused, MOST_REFUSALS);
    Ok(ImportProductsResponse { job: Some(answers::job(import.job)), refusals })
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
        let beginning = requests::options(options)?;
        let deadline = call.deadline();
        let job = store.begin_import(&beginning, within(deadline)).await?;
        let rules = Rules { author: Job::author_of(&job.source, &author_of(call)), end: false };
        if job.mark > 0 && job.state.is_open() {
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
        if self.checker.is_full() {
            self.spill().await?;
        }
        Ok(())
    }

    /// Has what the checker remembers written to disk, on a thread that may wait for it.
    async fn spill(&mut self) -> Result<(), Error> {
        let mut checker = std::mem::take(&mut self.checker);
        let spilled = tokio::task::spawn_blocking(move || checker.spill().map(|()| checker)).await;
        self.checker = spilled.map_err(|error| Error::Internal(error.to_string()))??;
        Ok(())
    }

    async fn store(&mut self, end: End) -> Result<(), Error> {
        let piece = self.checker.take();
        self.rules.end = end == End::Yes;
        self.job = match self.job.dry_run {
            true => self.store.stage_piece(&self.job, &piece, self.rules.end, self.deadline()).await?,
            false => self.store.store_piece(&self.job, &piece, &self.rules, self.deadline()).await?,
        };
        Ok(())
    }

    fn tell(&self) {
        let Job { id, counts, dry_run, .. } = &self.job;
        info!(
            import.id = id,
            "{} {} rows: {} created, {} changed, {} unchanged, {} refused",
            if *dry_run { "judged" } else { "imported" },
            counts.rows,
            counts.created,
            counts.updated,
            counts.unchanged,
            counts.refused
        );
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
