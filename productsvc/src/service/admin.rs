//! `AdminService`: archive runs, and what they made.

use std::pin::Pin;

use jiff::Timestamp;
use mesh::page;
use proto::products::admin_service_server::AdminService as Contract;
use proto::products::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::archive::{Archiver, Progress, Stage};
use crate::error::Error;
use crate::lake::{Lake, Month};
use crate::service::{answers, deadline, requests};
use crate::store::{self, ProductStore};

/// Messages that wait for a slow caller; then the run waits, too.
const AHEAD: usize = 16;

/// Serves who runs the catalogue.
#[derive(Debug, Clone)]
pub struct AdminService {
    store: ProductStore,
    archiver: Option<Archiver>,
    stopping: CancellationToken,
}

impl AdminService {
    /// Archives from `store` to the lake, if there is one; runs end when the process is `stopping`.
    pub fn new(store: ProductStore, lake: Option<Lake>, stopping: CancellationToken) -> Self {
        let archiver = lake.map(|lake| Archiver::new(store.clone(), lake));
        Self { store, archiver, stopping }
    }
}

#[tonic::async_trait]
impl Contract for AdminService {
    type ArchiveVersionsStream = Pin<Box<dyn Stream<Item = Result<ArchiveVersionsResponse, Status>> + Send>>;

    async fn archive_versions(
        &self,
        request: Request<ArchiveVersionsRequest>,
    ) -> Result<Response<Self::ArchiveVersionsStream>, Status> {
        let request = request.into_inner();
        let through = through(&request.through_month, Archiver::last_closed(Timestamp::now()))?;
        let archiver = self.archiver.clone().ok_or(Error::NoLake)?;
        let (told, progress) = mpsc::channel(AHEAD);
        let (failed, failure) = mpsc::channel(1);
        let stopping = self.stopping.clone();
        mesh::spawn("archive run", async move {
            let gone = told.clone();
            let done = tokio::select! {
                done = archiver.run(through, request.validate_only, &told) => done,
                // What is done stays done; the next run goes on.
                () = gone.closed() => return,
                () = stopping.cancelled() => Err(Error::Stopping),
            };
            if let Err(error) = done {
                // Nobody waits for it any more, then.
                let _gone = failed.send(error).await;
            }
        });
        let progress = ReceiverStream::new(progress).map(|progress| Ok(message(progress)));
        let failure = ReceiverStream::new(failure).map(|error| Err(error.into()));
        Ok(Response::new(Box::pin(progress.chain(failure))))
    }

    async fn list_archives(
        &self,
        request: Request<ListArchivesRequest>,
    ) -> Result<Response<ListArchivesResponse>, Status> {
        const METHOD: &str = "ListArchives";
        let deadline = deadline(&request);
        let request = request.into_inner();
        let (size, after) = requests::archives(&request, METHOD)?;
        let mut archives = self.store.archives(after, size + 1, deadline).await?;
        let more = archives.len() > size;
        archives.truncate(size);
        let last = archives.last().filter(|_| more).map(|archive| archive.month.code().to_string());
        Ok(Response::new(ListArchivesResponse {
            next_page_token: last.map(|code| page::encode(METHOD, &[], &[&code])).unwrap_or_default(),
            archives: archives.into_iter().map(archive).collect(),
        }))
    }
}

/// The last month to archive: the one that is asked for, if it is closed.
fn through(text: &str, last: Month) -> Result<Month, Error> {
    if text.is_empty() {
        return Ok(last);
    }
    let month = Month::parse(text).map_err(|problem| Error::invalid("through_month", problem))?;
    if month > last {
        return Err(Error::invalid("through_month", format!("is not closed yet; the last that is, is {last}")));
    }
    Ok(month)
}

fn message(progress: Progress) -> ArchiveVersionsResponse {
    let step = match progress.stage {
        Stage::Found => ArchiveStep::Found,
        Stage::Writing => ArchiveStep::Writing,
        Stage::Verifying => ArchiveStep::Verifying,
        Stage::Removing => ArchiveStep::Removing,
        Stage::Done => ArchiveStep::Done,
    };
    ArchiveVersionsResponse {
        month: progress.month.to_string(),
        step: step.into(),
        rows: progress.rows,
        total_rows: progress.total,
    }
}

fn archive(archive: store::Archive) -> Archive {
    Archive {
        month: archive.month.to_string(),
        rows: archive.rows,
        files: archive.files,
        bytes: archive.bytes,
        archive_time: Some(answers::timestamp(archive.time)),
        removed: archive.removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_months_are_archived() {
        let last = Month::parse("2026-09").unwrap();

        assert_eq!(through("", last).unwrap(), last);
        assert_eq!(through("2025-12", last).unwrap().to_string(), "2025-12");
        for text in ["2026-10", "9999-12", "2026", "x"] {
            assert!(matches!(through(text, last), Err(Error::Invalid(faults)) if faults[0].field == "through_month"));
        }
    }
}
