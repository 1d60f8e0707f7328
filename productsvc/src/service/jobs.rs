//! The methods about imports that are there: reading, watching, applying, stopping, undoing.

use std::time::Duration;

use proto::products::*;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::info;

use crate::error::Error;
use crate::import::{Job, Refused};
use crate::service::requests::WhichImport;
use crate::service::{PATIENCE, answers, author, deadline, requests};
use crate::store::ProductStore;

/// How often we look what became of a job. Not at each piece: people watch this.
const LOOK_PERIOD: Duration = Duration::from_millis(200);

/// After so long without a change the job is told again.
const SILENCE: Duration = Duration::from_secs(30);

/// A page ends where its texts reach this, with a message's 4 MiB in mind.
const MOST_TEXT: usize = 2 * 1024 * 1024;

pub(super) type Watched = ReceiverStream<Result<WatchImportJobResponse, Status>>;

type Answer<T> = Result<Response<T>, Status>;

pub(super) async fn get(store: &ProductStore, request: Request<GetImportJobRequest>) -> Answer<GetImportJobResponse> {
    let deadline = deadline(&request);
    let job = match requests::which_import(&request.into_inner())? {
        WhichImport::Id(id) => store.find_import(id, deadline).await?,
        WhichImport::Request(id) => store.find_import_of(&id.to_string(), deadline).await?,
    };
    Ok(Response::new(GetImportJobResponse { job: Some(answers::job(job)) }))
}

pub(super) async fn list(
    store: &ProductStore,
    request: Request<ListImportJobsRequest>,
) -> Answer<ListImportJobsResponse> {
    let deadline = deadline(&request);
    let (size, before) = requests::jobs(&request.into_inner())?;
    let mut jobs = store.imports(before, size + 1, deadline).await?;
    let more = jobs.len() > size;
    jobs.truncate(size);
    let last = jobs.last().filter(|_| more).map(|job| job.id);
    Ok(Response::new(ListImportJobsResponse {
        jobs: jobs.into_iter().map(answers::job).collect(),
        next_page_token: last.map(requests::jobs_token).unwrap_or_default(),
    }))
}

pub(super) async fn refusals(
    store: &ProductStore,
    request: Request<ListImportRefusalsRequest>,
) -> Answer<ListImportRefusalsResponse> {
    let deadline = deadline(&request);
    let (id, size, after) = requests::refusals(&request.into_inner())?;
    store.find_import(id, deadline).await?;
    let found = store.refused_rows(id, after, size + 1, deadline).await?;
    let (refusals, more) = refusals_page(found, size);
    let last = refusals.last().filter(|_| more).and_then(|refusal| refusal.row.as_ref()).map(|row| row.line);
    let next_page_token = last.map(|line| requests::refusals_token(id, line)).unwrap_or_default();
    Ok(Response::new(ListImportRefusalsResponse { refusals, next_page_token }))
}

pub(super) async fn changes(
    store: &ProductStore,
    request: Request<ListImportChangesRequest>,
) -> Answer<ListImportChangesResponse> {
    let deadline = deadline(&request);
    let asked = requests::changes(&request.into_inner())?;
    let limit = asked.limit + 1;
    let previews = store.previews(crate::store::Previews { limit, ..asked }, deadline).await?;
    let (changes, more) = page(previews.into_iter().map(answers::preview).collect(), asked.limit, |change| {
        let product = |product: &Option<Product>| {
            product.as_ref().map_or(0, |product| product.name.len() + product.category.len() + product.sku.len())
        };
        // Each difference says again what both products say.
        2 * (product(&change.before) + product(&change.after))
    });
    let last = changes.last().filter(|_| more).map(|change| change.line);
    let next_page_token = last.map(|line| requests::changes_token(&asked, line)).unwrap_or_default();
    Ok(Response::new(ListImportChangesResponse { changes, next_page_token }))
}

pub(super) async fn conflicts(
    store: &ProductStore,
    request: Request<ListImportConflictsRequest>,
) -> Answer<ListImportConflictsResponse> {
    let deadline = deadline(&request);
    let (id, size, after) = requests::conflicts(&request.into_inner())?;
    store.find_import(id, deadline).await?;
    let mut found = store.import_conflicts(id, after, size + 1, deadline).await?;
    let more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| more).map(|conflict| conflict.product_id);
    Ok(Response::new(ListImportConflictsResponse {
        next_page_token: last.map(|product| requests::conflicts_token(id, product)).unwrap_or_default(),
        conflicts: found.into_iter().map(answers::conflict).collect(),
    }))
}

/// As many refused rows as fit on a page, and whether there are more.
pub(super) fn refusals_page(found: Vec<Refused>, size: usize) -> (Vec<ImportRefusal>, bool) {
    page(found.into_iter().map(answers::refusal).collect(), size, |refusal: &ImportRefusal| {
        let row = refusal.row.as_ref();
        row.map_or(0, |row| row.name.len() + row.category.len() + row.sku.len()) + refusal.message.len()
    })
}

/// As many as fit on a page, and whether there are more.
fn page<T>(mut items: Vec<T>, size: usize, bytes: impl Fn(&T) -> usize) -> (Vec<T>, bool) {
    let mut text = 0;
    let fitting = items.iter().take(size).take_while(|item| {
        text += bytes(item);
        text <= MOST_TEXT
    });
    // One always fits, being no longer than what a message brought.
    let fitting = fitting.count().max(1);
    let more = items.len() > fitting;
    items.truncate(fitting);
    (items, more)
}

pub(super) async fn commit(
    store: &ProductStore,
    request: Request<CommitImportRequest>,
) -> Answer<CommitImportResponse> {
    let (deadline, author) = (deadline(&request), author(&request));
    let (id, key) = requests::commit(&request.into_inner())?;
    let job = store.commit_import(id, key.as_ref(), &author, deadline).await?;
    info!(import.id = id, "import {id} is to be applied");
    Ok(Response::new(CommitImportResponse { job: Some(answers::job(job)) }))
}

pub(super) async fn cancel(
    store: &ProductStore,
    request: Request<CancelImportRequest>,
) -> Answer<CancelImportResponse> {
    let deadline = deadline(&request);
    let id = requests::id(request.into_inner().id)?;
    let job = store.cancel_import(id, deadline).await?;
    info!(import.id = id, "cancelled import {id}");
    Ok(Response::new(CancelImportResponse { job: Some(answers::job(job)) }))
}

pub(super) async fn undo(store: &ProductStore, request: Request<UndoImportRequest>) -> Answer<UndoImportResponse> {
    let (deadline, author) = (deadline(&request), author(&request));
    let (id, key) = requests::undo(&request.into_inner())?;
    let job = store.undo_import(id, key.as_ref(), &author, deadline).await?;
    info!(import.id = id, "import {id} is to be undone");
    Ok(Response::new(UndoImportResponse { job: Some(answers::job(job)) }))
}

pub(super) async fn watch(
    store: &ProductStore,
    request: Request<WatchImportJobRequest>,
    stopping: CancellationToken,
) -> Answer<Watched> {
    let within = deadline(&request);
    let id = requests::id(request.into_inner().id)?;
    let job = store.find_import(id, within).await?;
    let (told, jobs) = mpsc::channel(1);
    let store = store.clone();
    mesh::spawn("import watcher", async move {
        let ended = tokio::select! {
            ended = tell_all(&store, job, &told) => ended.err(),
            () = stopping.cancelled() => Some(Error::Stopping),
            () = told.closed() => None,
        };
        if let Some(error) = ended {
            // Who does not read is not waited for: the stream ends then without a reason.
            let _full = told.try_send(Err(error.into()));
        }
    });
    Ok(Response::new(ReceiverStream::new(jobs)))
}

async fn tell_all(
    store: &ProductStore,
    mut job: Job,
    told: &mpsc::Sender<Result<WatchImportJobResponse, Status>>,
) -> Result<(), Error> {
    loop {
        let message = WatchImportJobResponse { job: Some(answers::job(job.clone())) };
        if told.send(Ok(message)).await.is_err() || job.state.rests() {
            return Ok(());
        }
        let told_at = Instant::now();
        loop {
            tokio::time::sleep(LOOK_PERIOD).await;
            let next = store.find_import(job.id, Instant::now() + PATIENCE).await?;
            if next != job || told_at.elapsed() >= SILENCE {
                job = next;
                break;
            }
        }
    }
}
