//! What is read back from a log service.

use std::time::Duration;

use anyhow::Context as _;
use proto::logs::query_done::End;
use proto::logs::{Filter, Order, QueryDone, QueryRequest, StoredRecord, VerifiedFile, VerifyDone, VerifyRequest};
use proto::logs::{query_response, verify_response};
use tokio::time::Instant;
use tonic::Status;

use super::Client;

/// The largest page.
const PAGE: i32 = 10_000;

/// The answer to one search.
#[derive(Debug, Clone)]
pub struct Found {
    /// In the order asked for.
    pub rows: Vec<StoredRecord>,
    /// The last message.
    pub done: QueryDone,
    /// How many messages told progress.
    pub progress: usize,
    /// After so long the first rows came.
    pub first_rows: Option<Duration>,
    /// After so long the first message came.
    pub first_message: Option<Duration>,
    /// After so long the last message came.
    pub elapsed: Duration,
}

/// Searches once.
pub async fn query(client: &mut Client, request: impl tonic::IntoRequest<QueryRequest>) -> Result<Found, Status> {
    use query_response::Part;
    let began = Instant::now();
    let mut stream = client.query(request).await?.into_inner();
    let (mut rows, mut progress, mut first_rows, mut first_message) = (Vec::new(), 0, None, None);
    while let Some(message) = stream.message().await? {
        first_message.get_or_insert_with(|| began.elapsed());
        match message.part {
            Some(Part::Rows(more)) => {
                first_rows.get_or_insert_with(|| began.elapsed());
                rows.extend(more.records);
            }
            Some(Part::Progress(_)) => progress += 1,
            Some(Part::Done(done)) => {
                let elapsed = began.elapsed();
                if stream.message().await?.is_some() {
                    return Err(Status::data_loss("there is a message after the last one"));
                }
                return Ok(Found { rows, done, progress, first_rows, first_message, elapsed });
            }
            None => {}
        }
    }
    Err(Status::data_loss("the last message did not come"))
}

/// Everything that a filter finds, oldest first, page after page.
pub async fn everything(client: &mut Client, filter: Filter) -> anyhow::Result<Vec<StoredRecord>> {
    let mut rows = Vec::new();
    each_page(client, filter, |page| {
        rows.extend(page);
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// Gives each page of what a filter finds, oldest first. Answers the snapshot.
pub(super) async fn each_page(
    client: &mut Client,
    filter: Filter,
    mut take: impl FnMut(Vec<StoredRecord>) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut request =
        QueryRequest { filter: Some(filter), order: Order::OldestFirst.into(), page_size: PAGE, ..Default::default() };
    loop {
        let Found { rows, done, .. } = query(client, request.clone()).await?;
        anyhow::ensure!(done.rows == rows.len() as u64, "{} rows came: {done:?}", rows.len());
        take(rows)?;
        if done.end() == End::Complete {
            return Ok(done.snapshot);
        }
        anyhow::ensure!(!done.next_page_token.is_empty(), "it does not say how to go on: {done:?}");
        request.page_token = done.next_page_token;
    }
}

/// Checks every hash, as the log service does.
pub async fn verify(client: &mut Client) -> anyhow::Result<(Vec<VerifiedFile>, VerifyDone)> {
    let mut stream = client.verify(VerifyRequest {}).await?.into_inner();
    let mut files = Vec::new();
    while let Some(message) = stream.message().await? {
        match message.part.context("an empty message")? {
            verify_response::Part::File(file) => files.push(file),
            verify_response::Part::Done(done) => return Ok((files, done)),
        }
    }
    anyhow::bail!("the last message did not come")
}
