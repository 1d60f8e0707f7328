//! What the portal asks of the catalogue about imports.
//!
//! An import is answered when all of its rows are in, which may take longer than a page
//! waits. It is asked by a call that is [`endless`](crate::backends::endless), and so is what is asked behind it, or
//! while a page goes on. Each single answer has a deadline of its own.

use std::time::Duration;

use futures_util::stream;
use proto::products::{
    CancelImportRequest, CommitImportRequest, GetImportJobRequest, ImportProductsRequest, ListImportChangesRequest,
    ListImportChangesResponse, ListImportConflictsRequest, ListImportConflictsResponse, ListImportJobsRequest,
    ListImportJobsResponse, ListImportRefusalsRequest, ListImportRefusalsResponse, UndoImportRequest,
    WatchImportJobRequest, WatchImportJobResponse,
};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Code, Response, Status, Streaming};

use crate::{
    backends::Backends,
    error::{Backend, Failure},
    grpcurl::Method,
    job::Job,
};

pub(crate) const LIST: Method = Method::new("rundoo.products.v1.ProductService/ListImportJobs");
pub(crate) const GET: Method = Method::new("rundoo.products.v1.ProductService/GetImportJob");
pub(crate) const WATCH: Method = Method::new("rundoo.products.v1.ProductService/WatchImportJob");
pub(crate) const REFUSALS: Method = Method::new("rundoo.products.v1.ProductService/ListImportRefusals");
pub(crate) const CHANGES: Method = Method::new("rundoo.products.v1.ProductService/ListImportChanges");
pub(crate) const CONFLICTS: Method = Method::new("rundoo.products.v1.ProductService/ListImportConflicts");

/// How long one answer may take where the page itself has no deadline.
const DEADLINE: Duration = Duration::from_secs(10);

async fn bounded<T>(work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    timeout(DEADLINE, work).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
}

impl Backends {
    /// Imports what comes, the options first, until the sender is dropped. Whoever drops this
    /// future before breaks the import off, and may go on with it. Wants a call that is endless.
    pub(crate) async fn import(&self, messages: mpsc::Receiver<ImportProductsRequest>) -> Result<Job, Status> {
        let messages = stream::unfold(messages, async |mut messages| {
            let message = messages.recv().await?;
            Some((message, messages))
        });
        let answer = self.products.clone().import_products(messages).await?;
        answer.into_inner().job.map(Job::from).ok_or_else(|| Status::internal("an import without a job"))
    }

    /// The import that a request began, if it did.
    pub(crate) async fn import_of(&self, request_id: &str) -> Option<Job> {
        let request = GetImportJobRequest { id: 0, request_id: request_id.to_owned() };
        let answer = bounded(self.products.clone().get_import_job(request)).await.ok()?;
        answer.into_inner().job.map(Job::from)
    }

    /// A page of imports, the newest first.
    pub(crate) async fn import_jobs(&self, request: ListImportJobsRequest) -> Result<ListImportJobsResponse, Failure> {
        answered(bounded(self.products.clone().list_import_jobs(request)).await)
    }

    /// An import as it is.
    pub(crate) async fn import_job(&self, request: GetImportJobRequest) -> Result<Job, Failure> {
        let answer = answered(bounded(self.products.clone().get_import_job(request)).await)?;
        answer.job.map(Job::from).ok_or(Failure::NoSuchImport)
    }

    /// An import as it goes. Wants a call that is endless.
    pub(crate) async fn watch_import(
        &self,
        request: WatchImportJobRequest,
    ) -> Result<Streaming<WatchImportJobResponse>, Status> {
        // The deadline is for the answer to begin; it goes on without one.
        Ok(bounded(self.products.clone().watch_import_job(request)).await?.into_inner())
    }

    pub(crate) async fn import_refusals(
        &self,
        request: ListImportRefusalsRequest,
    ) -> Result<ListImportRefusalsResponse, Failure> {
        answered(bounded(self.products.clone().list_import_refusals(request)).await)
    }

    pub(crate) async fn import_changes(
        &self,
        request: ListImportChangesRequest,
    ) -> Result<ListImportChangesResponse, Failure> {
        answered(bounded(self.products.clone().list_import_changes(request)).await)
    }

    pub(crate) async fn import_conflicts(
        &self,
        request: ListImportConflictsRequest,
    ) -> Result<ListImportConflictsResponse, Failure> {
        answered(bounded(self.products.clone().list_import_conflicts(request)).await)
    }

    /// Begins to apply what was only looked at.
    pub(crate) async fn commit_import(&self, request: CommitImportRequest) -> Result<(), Status> {
        bounded(self.products.clone().commit_import(request)).await.map(drop)
    }

    /// Stops an import.
    pub(crate) async fn cancel_import(&self, request: CancelImportRequest) -> Result<(), Status> {
        bounded(self.products.clone().cancel_import(request)).await.map(drop)
    }

    /// Begins to take an import back.
    pub(crate) async fn undo_import(&self, request: UndoImportRequest) -> Result<(), Status> {
        bounded(self.products.clone().undo_import(request)).await.map(drop)
    }
}

fn answered<T>(answer: Result<Response<T>, Status>) -> Result<T, Failure> {
    answer.map(Response::into_inner).map_err(|status| unanswered(&status))
}

/// Why nothing is known of an import.
pub(crate) fn unanswered(status: &Status) -> Failure {
    match status.code() {
        Code::NotFound => Failure::NoSuchImport,
        // It went on between two questions: what was asked of it is no question any more.
        Code::FailedPrecondition => Failure::StaleLink,
        _ => Failure::of(Backend::Catalogue, status),
    }
}
